"""Range checks of settings: one line that names the setting, what is allowed and what was found."""

from __future__ import annotations

from tabveil.errors import ConfigError


def check_range(name: str, value: float, low: float, high: float, kind: str = "number") -> None:
    """Raise `ConfigError` unless low <= value <= high."""
    if not low <= value <= high:
        raise ConfigError(f"{name} must be a {kind} from {low:g} to {high:g}, however: {name}={value}")


def check_positive(name: str, value: float) -> None:
    """Raise `ConfigError` unless value > 0."""
    if value <= 0:
        raise ConfigError(f"{name} must be positive, however: {name}={value}")
