"""Checks of settings: one line that names the setting, what is allowed and what was found."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import fields
from numbers import Integral, Real
from typing import Any, get_type_hints

from tabveil.errors import ConfigError


def check_range(name: str, value: float, low: float, high: float, kind: str = "number") -> None:
    """Raise `ConfigError` unless low <= value <= high."""
    if not low <= value <= high:
        article = "an" if kind == "integer" else "a"
        raise ConfigError(f"{name} must be {article} {kind} from {low:g} to {high:g}, however: {name}={value}")


def check_positive(name: str, value: float) -> None:
    """Raise `ConfigError` unless value > 0 (and no NaN)."""
    if not value > 0:
        raise ConfigError(f"{name} must be positive, however: {name}={value}")


def check_types(config: Any, group: str) -> None:
    """Hold each field of a dataclass of plain values against its annotation: int, float or str.

    Numbers become Python's own. A whole number is a float too; a bool is no number, and neither is text that reads
    like one.

    Args:
        config: changed in place.
        group: key path of the dataclass, for the message.

    Raises:
        ConfigError: another type, NaN, or infinite.
    """
    hints = get_type_hints(type(config))
    for item in fields(config):
        value, kind = getattr(config, item.name), hints[item.name]
        setattr(config, item.name, _CHECKED[kind](f"{group}.{item.name}", value))


def _integer(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise ConfigError(f"{name} must be an integer, however: {name}={value!r}")
    return int(value)


def _number(name: str, value: Any) -> float:
    number = math.nan
    if not isinstance(value, bool) and isinstance(value, Real):
        with suppress(OverflowError):
            number = float(value)
    if not math.isfinite(number):
        raise ConfigError(f"{name} must be a finite number, however: {name}={value!r}")
    return number


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ConfigError(f"{name} must be text, however: {name}={value!r}")
    return value


_CHECKED = {int: _integer, float: _number, str: _text}
