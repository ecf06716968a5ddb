"""Relations that a person declares between columns: what kinds there are, what each needs, which rows break one.

A constraint reads the tables of `tabveil.schema.canonical`. Names of columns are all it knows of them; whether their
types fit is asked where the types are known (`tabveil.schema.constraint_misfit`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Optional

import numpy as np
import numpy.typing as npt
import pandas as pd

from tabveil.errors import ConfigError

Broken = npt.NDArray[np.bool_]


class ConstraintKind(str, Enum):
    """Relations between columns that hold in every accepted and every sampled row."""

    inequality = "inequality"  # low <= high (or < when strict); a missing side holds
    range = "range"  # low <= middle <= high (or < when strict); a missing one is left out of the comparison
    sum = "sum"  # total = sum of parts, within `tolerance`; a missing side holds
    unique = "unique"  # the combination of `columns` occurs once in the table
    one_hot = "one_hot"  # exactly one of `columns` is true or 1, the others are false or 0; a missing one breaks it
    fixed_combinations = "fixed_combinations"  # of `columns`, only combinations that occur in the training table
    functional_dependency = "functional_dependency"  # equal `columns`, equal `dependent`; a missing one holds


ROW_WISE = (ConstraintKind.inequality, ConstraintKind.range, ConstraintKind.sum, ConstraintKind.one_hot)
SUM_SLACK = 1e-9  # half a unit in the 9th place: sums of decimal fractions are not exact in binary

# kind -> (the keys that name its columns, in words)
_ASKED: dict[ConstraintKind, tuple[tuple[str, ...], str]] = {
    ConstraintKind.inequality: (("low", "high"), "low and high"),
    ConstraintKind.range: (("low", "middle", "high"), "low, middle and high"),
    ConstraintKind.sum: (("total", "parts"), "total and at least two parts"),
    ConstraintKind.unique: (("columns",), "columns"),
    ConstraintKind.one_hot: (("columns",), "at least two columns"),
    ConstraintKind.fixed_combinations: (("columns",), "at least two columns"),
    ConstraintKind.functional_dependency: (("columns", "dependent"), "columns and dependent"),
}
_AT_LEAST_TWO = {
    ConstraintKind.sum: "parts",
    ConstraintKind.one_hot: "columns",
    ConstraintKind.fixed_combinations: "columns",
}
_COLUMN_KEYS = ("low", "middle", "high", "total", "parts", "columns", "dependent")


@dataclass
class ConstraintSpec:
    """A relation that must hold in every row (see `ConstraintKind`)."""

    kind: ConstraintKind = ConstraintKind.inequality
    low: Optional[str] = None
    middle: Optional[str] = None
    high: Optional[str] = None
    strict: bool = False
    total: Optional[str] = None
    parts: list[str] = field(default_factory=list)
    tolerance: float = 0.005
    columns: list[str] = field(default_factory=list)
    dependent: Optional[str] = None

    def __post_init__(self) -> None:
        keys, words = _ASKED[self.kind]
        several = _AT_LEAST_TWO.get(self.kind)
        if not all(getattr(self, key) for key in keys) or (several and len(getattr(self, several)) < 2):
            raise ConfigError(f"a constraint of kind '{self.kind.value}' needs {words}")
        foreign = [key for key in _COLUMN_KEYS if key not in keys and getattr(self, key)]
        if foreign:
            raise ConfigError(f"a constraint of kind '{self.kind.value}' takes {words}, however: {', '.join(foreign)}")
        named = [*self.columns, self.dependent]
        repeated = sorted({name for name in named if name is not None and named.count(name) > 1})
        if repeated:
            raise ConfigError(
                f"a constraint of kind '{self.kind.value}' must name each column once, however: {', '.join(repeated)}"
            )
        if self.tolerance < 0:
            raise ConfigError(f"tolerance must not be negative, however: tolerance={self.tolerance}")

    @property
    def used_columns(self) -> list[str]:
        """Names of every column the constraint reads."""
        named = [name for name in (self.low, self.middle, self.high, self.total) if name is not None]
        return [*named, *self.parts, *self.columns, *([] if self.dependent is None else [self.dependent])]

    @property
    def row_wise(self) -> bool:
        """Whether a row can be judged by itself."""
        return self.kind in ROW_WISE

    @property
    def label(self) -> str:
        """Short readable form, e.g. ``paid_principal <= loan_amount`` or ``city, street -> postal_code``."""
        if self.orders:
            return (" < " if self.strict else " <= ").join(self.used_columns)
        if self.kind is ConstraintKind.sum:
            return f"{self.total} = {' + '.join(self.parts)}"
        if self.kind is ConstraintKind.functional_dependency:
            return f"{', '.join(self.columns)} -> {self.dependent}"
        return f"{self.kind.value}({', '.join(self.columns)})"

    @property
    def orders(self) -> bool:
        """Whether it is about which of several columns is larger."""
        return self.kind in (ConstraintKind.inequality, ConstraintKind.range)

    def ordered_pairs(self) -> list[tuple[str, str]]:
        """(smaller, larger) columns of an inequality or a range; a range's ends too, for rows without a middle."""
        names = self.used_columns
        return [(low, high) for place, low in enumerate(names) for high in names[place + 1 :]]

    def broken(self, table: pd.DataFrame) -> Broken:
        """Rows in which the constraint does not hold.

        Returns:
            bool array of shape (num_rows,). For `unique`, every repetition after the first is marked. For
            `functional_dependency`, every row whose dependent is not the most frequent one of its determinants; of
            equally frequent ones the smallest is taken (text by code point, false before true). For
            `fixed_combinations` no row: a table shows its own combinations.
        """
        return _BROKEN[self.kind](self, table)


def _out_of_order(spec: ConstraintSpec, table: pd.DataFrame) -> Broken:
    broken = np.zeros(len(table), dtype=bool)
    for smaller, larger in spec.ordered_pairs():
        low, high = table[smaller], table[larger]
        holds = (low < high) if spec.strict else (low <= high)
        broken |= np.asarray((~holds.fillna(True).astype(bool)) & low.notna() & high.notna())
    return broken


def _off_total(spec: ConstraintSpec, table: pd.DataFrame) -> Broken:
    parts = sum(table[part].astype("float64") for part in spec.parts)
    difference = (table[spec.total].astype("float64") - parts).abs()
    return np.asarray((difference > spec.tolerance + SUM_SLACK).fillna(False))


def _repeated(spec: ConstraintSpec, table: pd.DataFrame) -> Broken:
    return np.asarray(table.duplicated(spec.columns, keep="first"))


def _not_one_hot(spec: ConstraintSpec, table: pd.DataFrame) -> Broken:
    values = table[spec.columns].astype("float64")  # missing: NaN, neither 0 nor 1
    ones, zeros = (values == 1).sum(axis=1), (values == 0).sum(axis=1)
    return np.asarray((ones != 1) | (zeros != len(spec.columns) - 1))


def _nothing(spec: ConstraintSpec, table: pd.DataFrame) -> Broken:
    return np.zeros(len(table), dtype=bool)


def _unusual_dependent(spec: ConstraintSpec, table: pd.DataFrame) -> Broken:
    broken = np.zeros(len(table), dtype=bool)
    known = table[spec.used_columns].notna().to_numpy().all(axis=1)
    rows = table[spec.used_columns][known]
    ranks, _ = pd.factorize(rows[str(spec.dependent)], sort=True)  # numbered from the smallest value on
    seen = pd.DataFrame({"group": rows.groupby(spec.columns, sort=False).ngroup().to_numpy(), "rank": ranks})
    counted = seen.value_counts(["group", "rank"], sort=False).rename("count").reset_index()
    ordered = counted.sort_values(["count", "rank"], ascending=[False, True])
    usual = ordered.drop_duplicates("group").set_index("group")["rank"]
    broken[known] = (seen["rank"] != seen["group"].map(usual)).to_numpy()
    return broken


_BROKEN: dict[ConstraintKind, Callable[[ConstraintSpec, pd.DataFrame], Broken]] = {
    ConstraintKind.inequality: _out_of_order,
    ConstraintKind.range: _out_of_order,
    ConstraintKind.sum: _off_total,
    ConstraintKind.unique: _repeated,
    ConstraintKind.one_hot: _not_one_hot,
    ConstraintKind.fixed_combinations: _nothing,
    ConstraintKind.functional_dependency: _unusual_dependent,
}
