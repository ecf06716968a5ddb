"""botocore's service models as judges: of what our adapters ask, and of what the embedded endpoint answers.

`Stubber` and boto3 check names, types and required members of a request, but neither enums nor patterns nor lengths,
and of an answer nothing at all.
"""

from __future__ import annotations

import re
from datetime import datetime
from functools import cache
from typing import Any

import botocore.session
from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape

PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "character": (str,),
    "integer": (int,),
    "long": (int,),
    "float": (float, int),
    "double": (float, int),
    "boolean": (bool,),
    "timestamp": (datetime, int, float, str),
    "blob": (bytes, bytearray, str),
}
SURROGATE_PAIRS = {r"\uD800\uDC00-\uDBFF\uDFFF": r"\U00010000-\U0010FFFF"}  # a range of them, as Java writes it
JAVA_CLASSES = SURROGATE_PAIRS | {r"\p{L}": r"\w", r"\p{N}": r"\d", r"\p{Z}": r"\s", r"\p{Alnum}": "a-zA-Z0-9"}


def faults(value: Any, shape: Shape, where: str = "") -> list[str]:
    """What is wrong with a value that must have a shape: types, members, enums, patterns, lengths and ranges."""
    where = where or shape.name
    if isinstance(shape, StructureShape):
        return _structure(value, shape, where)
    if isinstance(shape, ListShape):
        if not isinstance(value, list):
            return [f"{where} must be a list, however: {type(value).__name__}"]
        inner = [f for i, item in enumerate(value) for f in faults(item, shape.member, f"{where}[{i}]")]
        return [*_bounds(len(value), shape, where), *inner]
    if isinstance(shape, MapShape):
        if not isinstance(value, dict):
            return [f"{where} must be a map, however: {type(value).__name__}"]
        keys = [f for key in value for f in faults(key, shape.key, f"{where} (key)")]
        return [*_bounds(len(value), shape, where), *keys] + [
            f for key, item in value.items() for f in faults(item, shape.value, f"{where}[{key}]")
        ]
    return _scalar(value, shape, where)


def _structure(value: Any, shape: StructureShape, where: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{where} must be a structure, however: {type(value).__name__}"]
    found = [f"{where}.{name} is missing" for name in shape.required_members if name not in value]
    for name, item in value.items():
        if name not in shape.members:
            found.append(f"{where}.{name} is not a member")
        else:
            found += faults(item, shape.members[name], f"{where}.{name}")
    return found


def _scalar(value: Any, shape: Shape, where: str) -> list[str]:
    expected = PYTHON_TYPES[shape.type_name]
    if not isinstance(value, expected) or (isinstance(value, bool) and bool not in expected):
        return [f"{where} must be {shape.type_name}, however: {type(value).__name__}"]
    found = []
    if isinstance(shape, StringShape) and shape.enum and value not in shape.enum:
        found.append(f"{where}={value!r} is not one of the enum's {len(shape.enum)} values")
    pattern = shape.metadata.get("pattern")
    if pattern and isinstance(value, str) and not re.fullmatch(_python_pattern(pattern), value, re.DOTALL):
        found.append(f"{where}={value!r} does not match {pattern}")
    size = len(value) if isinstance(value, str | bytes) else value
    return found + (_bounds(size, shape, where) if isinstance(size, int | float) else [])


def _bounds(size: float, shape: Shape, where: str) -> list[str]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    outside = (low is not None and size < low) or (high is not None and size > high)
    return [f"{where} must be from {low} to {high} long or large, however: {size}"] if outside else []


@cache
def _python_pattern(pattern: str) -> str:
    """The models' patterns are Java's: `\\p{L}` and the like become what `re` knows, inside a character class."""
    for java, python in JAVA_CLASSES.items():
        pattern = pattern.replace(java, python)
    return pattern


@cache
def service_model(service: str) -> Any:
    """botocore's model of a service."""
    return botocore.session.get_session().get_service_model(service)


def answer_faults(service: str, operation: str, answer: dict[str, Any]) -> list[str]:
    """What is wrong with an answer, by the operation's output shape."""
    shape = service_model(service).operation_model(operation).output_shape
    plain = {name: value for name, value in answer.items() if name != "ResponseMetadata"}
    if shape is None:
        return [f"{operation} must answer nothing, however: {sorted(plain)}"] if plain else []
    return faults(plain, shape, operation)


def watch(client: Any) -> Any:
    """Judge every request of a boto3 client before it is sent, and every answer that comes. Returns the client.

    Raises (from the client's calls):
        AssertionError: a request or an answer breaks the service's model.
    """
    events, service = client.meta.events, client.meta.service_model.service_name

    def judge_request(params: dict[str, Any], model: Any, **_: Any) -> None:
        found = faults(params, model.input_shape, model.name) if model.input_shape else []
        assert not found, "; ".join(found)

    def judge_answer(http_response: Any, parsed: dict[str, Any], model: Any, **_: Any) -> None:
        if http_response.status_code < 300:
            found = answer_faults(service, model.name, parsed)
            assert not found, "; ".join(found)

    events.register(f"provide-client-params.{service}", judge_request)
    events.register(f"after-call.{service}", judge_answer)
    return client
