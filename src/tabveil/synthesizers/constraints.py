"""Constraints kept by construction: the total of a declared sum is computed from its parts, not modelled.

Whatever cannot be kept this way is left to rejection (`tabveil.synthesizers.sampling`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tabveil.schema import ColumnType, ConstraintKind, ConstraintSpec, Metadata, SDType
from tabveil.synthesizers.resolution import Resolution, learn_resolution
from tabveil.synthesizers.values import from_floats, learned_as


@dataclass(frozen=True)
class DerivedTotal:
    """``total = sum(parts)``, rounded to `decimals` (None: not rounded); missing when a part is missing."""

    total: str
    parts: tuple[str, ...]
    type: ColumnType
    decimals: int | None

    def compute(self, table: pd.DataFrame) -> pd.Series[Any]:
        """The total column in its canonical dtype, shape (num_rows,)."""
        exact = np.zeros(len(table))
        for part in self.parts:
            exact = exact + table[part].to_numpy(dtype=np.float64, na_value=np.nan)
        return from_floats(Resolution(self.decimals).round(exact), self.type).set_axis(table.index)


def derive_totals(real_data: pd.DataFrame, metadata: Metadata) -> tuple[DerivedTotal, ...]:
    """The sum constraints whose total may be computed, in the order of computation.

    A total qualifies if in every row of `real_data` (canonical) the constraint holds and the total is missing exactly
    when some part is, if its parts do not depend on itself, and if the columns are numerical.
    """
    chosen: dict[str, DerivedTotal] = {}
    for constraint in metadata.modelled_constraints:
        if constraint.kind is not ConstraintKind.sum or constraint.total in chosen:
            continue
        derived = _derived(constraint, real_data, metadata)
        if derived is not None and derived.total not in _sources(derived.parts, chosen):
            chosen[derived.total] = derived
    return _in_order(chosen)


def add_totals(table: pd.DataFrame, totals: Iterable[DerivedTotal]) -> pd.DataFrame:
    """A new frame with the totals computed."""
    result = table.copy(deep=False)
    for derived in totals:
        result[derived.total] = derived.compute(result)
    return result


def _derived(constraint: ConstraintSpec, real_data: pd.DataFrame, metadata: Metadata) -> DerivedTotal | None:
    total, parts = str(constraint.total), constraint.parts
    if any(learned_as(metadata[name]) is not SDType.numerical for name in (total, *parts)):
        return None
    if total in parts or constraint.broken(real_data).any():
        return None
    if (real_data[total].isna() != real_data[parts].isna().any(axis=1)).any():
        return None
    values = real_data[total].dropna().to_numpy(dtype=np.float64)
    kind = metadata[total].type
    if not len(values):
        return None
    return DerivedTotal(total, tuple(parts), kind, learn_resolution(values, kind).decimals)


def _sources(parts: Iterable[str], chosen: dict[str, DerivedTotal]) -> set[str]:
    """Every column the parts are computed from, themselves included."""
    found: set[str] = set()
    waiting = list(parts)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(chosen[name].parts if name in chosen else ())
    return found


def _in_order(chosen: dict[str, DerivedTotal]) -> tuple[DerivedTotal, ...]:
    """Parts before the totals that use them."""
    depth = {name: len(_sources(derived.parts, chosen) & chosen.keys()) for name, derived in chosen.items()}
    return tuple(sorted(chosen.values(), key=lambda derived: (depth[derived.total], derived.total)))
