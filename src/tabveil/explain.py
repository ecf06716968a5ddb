"""Why a configuration is refused, in one line that names the key and what may stand there.

OmegaConf finds out *that* something is wrong; where it is below a list or a mapping, and which words are allowed, is
found here by walking the plain data along the types of the structured configs. Only a refused configuration is walked.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any, Union, get_args, get_origin, get_type_hints

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from tabveil.errors import ConfigError

_MISSING = "???"
_SHOWN = 30


def find_fault(data: Any, hint: Any, path: str) -> str | None:
    """What is wrong with plain data that must have a type, deepest first in the order of the file; None if nothing is.

    Args:
        data: as in YAML: dictionaries, lists, strings, numbers, booleans, None.
        hint: a structured config, an enum, ``dict[str, X]``, ``list[X]``, ``Optional[X]`` or a plain type.
        path: key path of `data`, for the message.
    """
    origin, inner = get_origin(hint), get_args(hint)
    fault = None  # plain values: OmegaConf converts them, and names their key
    if data == _MISSING or (origin is Union and data is None):
        fault = None
    elif origin is Union:
        fault = find_fault(data, inner[0], path)
    elif is_dataclass(hint):
        fault = _in_settings(data, hint, path)
    elif origin is dict:
        fault = _in_mapping(data, inner[1], path)
    elif origin is list:
        fault = _in_list(data, inner[0], path)
    elif isinstance(hint, type) and issubclass(hint, Enum):
        fault = _in_words(data, hint, path)
    return fault


def _in_settings(data: Any, shape: Any, path: str) -> str | None:
    known = [item.name for item in fields(shape)]
    if not isinstance(data, dict):
        return f"{path} must hold settings ({', '.join(known[:_SHOWN])}), however: {_kind(data)}"
    hints = get_type_hints(shape)
    for key, value in data.items():
        if key not in known:
            return unknown_setting(f"{path}.{key}", known)
        fault = find_fault(value, hints[key], f"{path}.{key}")
        if fault is not None:
            return fault
    return _by_itself(data, shape, path)


def _by_itself(data: dict[str, Any], shape: Any, path: str) -> str | None:
    """What the structured config itself says: plain values of a wrong type, values that contradict each other."""
    try:
        made = OmegaConf.merge(OmegaConf.structured(shape), data)
        if not OmegaConf.missing_keys(made):
            OmegaConf.to_object(made)
    except ConfigError as err:
        named = str(err).partition(".")[0] in path.split(".")
        return str(err) if named else f"{path}: {err}"
    except OmegaConfBaseException as err:
        return f"{path}.{keyed_line(err)}"
    return None


def _in_mapping(data: Any, hint: Any, path: str) -> str | None:
    if not isinstance(data, dict):
        return f"{path} must be a mapping (name: ...), however: {_kind(data)}"
    faults = (find_fault(value, hint, f"{path}.{key}") for key, value in data.items())
    return next((fault for fault in faults if fault is not None), None)


def _in_list(data: Any, hint: Any, path: str) -> str | None:
    if not isinstance(data, list):
        return f"{path} must be a list ([...]), however: {_kind(data)}"
    faults = (find_fault(value, hint, f"{path}[{position}]") for position, value in enumerate(data))
    return next((fault for fault in faults if fault is not None), None)


def _in_words(data: Any, words: type[Enum], path: str) -> str | None:
    allowed = [word.name for word in words]
    if data in allowed:
        return None
    close = difflib.get_close_matches(str(data), allowed, n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    return f"{path} must be one of {', '.join(allowed)}, however: {_kind(data) if data is None else data}{hint}"


def _kind(data: Any) -> str:
    names = {dict: "a mapping", list: "a list", type(None): "nothing"}
    return names.get(type(data), repr(data))


def unknown_setting(path: str, known: Iterable[str]) -> str:
    """The message for a key that nobody knows."""
    return f"unknown setting {path}{did_you_mean(path.rpartition('.')[2], known)}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of an error message: the closest known word, or the known ones."""
    known = list(known)
    close = difflib.get_close_matches(word, known, n=1)
    if close:
        return f" (did you mean {close[0]}?)"
    return f"; there are: {', '.join(sorted(known)[:_SHOWN])}" if known else ""


def keyed_line(err: Exception) -> str:
    """The first line of an error's text (OmegaConf's further ones are about its own types), behind its key."""
    key = getattr(err, "full_key", None)
    line = str(err).strip().splitlines()[0]
    return f"{key}: {line}" if key else line
