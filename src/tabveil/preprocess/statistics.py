"""Fitted statistics: what the first pass learns from the accepted rows, and their JSON.

Numbers are rounded to the scale of their column (a thousandth of its inner range), so that neither the SQL nor
the profile repeats one person's extreme value. A text column's mode is needed by the SQL and is therefore kept
here, but `to_dict`, which goes into the profile, shows only that it exists.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


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
