"""Fitted statistics: what the first pass learns from the accepted rows, and their JSON.

Numbers are rounded to the scale of their column (a thousandth of its inner range), so that neither the SQL nor
the profile repeats one person's extreme value. A text column's mode is needed by the SQL and is therefore kept
here, but `to_dict`, which goes into the profile, shows only that it exists.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

_SMALLEST_STEP = 1e-300  # below it, a range is no range: its thousandth is not a number one can divide by


@dataclass(frozen=True)
class ColumnStatistics:
    """Of one column.

    Args:
        low, high: clip bounds, or None.
        fill: what replaces a missing value (median or mode), or None. ISO text for dates and datetimes.
        fill_kind: "median" or "mode".
        secret: the fill is a category of the real table and must not be shown.
    """

    low: int | float | None = None
    high: int | float | None = None
    fill: int | float | bool | str | None = None
    fill_kind: str | None = None
    secret: bool = False

    def to_dict(self) -> dict[str, Any]:
        """JSON-able, without categories."""
        record: dict[str, Any] = {}
        if self.low is not None:
            record["clip"] = [self.low, self.high]
        if self.fill_kind is not None:
            record[self.fill_kind] = "(not shown)" if self.secret else self.fill
        return record


@dataclass(frozen=True)
class Statistics:
    """Of the table: per column, and the currency or percent signs stripped from numbers."""

    columns: dict[str, ColumnStatistics] = field(default_factory=dict)
    signs: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able, without categories."""
        return {"columns": {name: c.to_dict() for name, c in self.columns.items()}, "signs": dict(self.signs)}


def rounding_step(low: float, high: float) -> float:
    """The power of ten just below a thousandth of the range; 0 (no rounding) for a constant or next to constant one."""
    part = (high - low) / 1000
    return 10.0 ** math.floor(math.log10(part)) if part > _SMALLEST_STEP and math.isfinite(part) else 0.0


def round_to(value: float, step: float, direction: str = "nearest") -> float:
    """`value` as a multiple of `step`; `direction` is "nearest", "down" or "up"."""
    if step == 0:
        return float(value)
    quotient = value / step
    whole = {"nearest": round(quotient), "down": math.floor(quotient), "up": math.ceil(quotient)}[direction]
    return float(whole * step) if step >= 1 else round(whole * step, max(0, -round(math.log10(step))))
