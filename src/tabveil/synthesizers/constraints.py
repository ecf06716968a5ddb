"""Sums that hold in every row, because the total is computed from its parts; orders that conditions must not cross.

Whatever cannot be kept this way is left to rejection (`tabveil.synthesizers.sampling`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tabveil.constraints import SUM_SLACK
from tabveil.entities import Codes, num_entities
from tabveil.errors import SynthesizerError
from tabveil.schema import ColumnType, ConstraintKind, ConstraintSpec, Metadata, SDType
from tabveil.synthesizers.resolution import MAX_DECIMALS, Resolution, learn_resolution
from tabveil.synthesizers.values import from_floats, learned_as


@dataclass(frozen=True)
class DerivedTotal:
    """``total = sum(parts)``, rounded to `decimals` (None: not rounded) where that stays within `tolerance`.

    Attributes:
        modelled: whether the total is a column of the model as well, because in the training table enough people have
            another one, or one that is not missing exactly when a part is: the model then draws whether it is there.
            Otherwise it is missing when a part is.
    """

    total: str
    parts: tuple[str, ...]
    type: ColumnType
    decimals: int | None
    tolerance: float
    modelled: bool

    def compute(self, table: pd.DataFrame) -> pd.Series[Any]:
        """The sum of the parts in the canonical dtype of the total, shape (num_rows,); missing when a part is."""
        exact = np.zeros(len(table))
        for part in self.parts:
            exact = exact + table[part].to_numpy(dtype=np.float64, na_value=np.nan)
        rounded = Resolution(self.decimals).round(exact)
        near = np.abs(rounded - exact) <= self.tolerance + SUM_SLACK
        return from_floats(np.where(near, rounded, exact), self.type).set_axis(table.index)

    def apply(self, table: pd.DataFrame) -> pd.Series[Any]:
        """The total column: computed; of a modelled total, where it and its parts are there."""
        computed = self.compute(table)
        if not self.modelled:
            return computed
        drawn = table[self.total]
        return drawn.where(drawn.isna() | computed.isna(), computed)


def derive_totals(
    real_data: pd.DataFrame, metadata: Metadata, rare_threshold: int = 1, entities: Codes | None = None
) -> tuple[DerivedTotal, ...]:
    """The sum constraints whose total is computed, in the order of computation.

    A total qualifies if its parts do not depend on itself and the columns are numerical. Of several constraints on one
    total the first counts.

    Args:
        real_data: canonical; in a row with exceptions (`DerivedTotal.modelled`) the sum need not hold.
        rare_threshold: exceptions of fewer entities do not count, nor do their decimals (`learn_resolution`); a total
            that only they have gets `MAX_DECIMALS`.
        entities: whose row each is, int64 of shape (num_rows,); None: its own.
    """
    chosen: dict[str, DerivedTotal] = {}
    for constraint in _sums(metadata):
        if constraint.total in chosen:
            continue
        derived = _derived(constraint, real_data, metadata, rare_threshold, entities)
        if derived is not None and derived.total not in _sources(derived.parts, chosen):
            chosen[derived.total] = derived
    return _in_order(chosen)


def add_totals(table: pd.DataFrame, totals: Iterable[DerivedTotal]) -> pd.DataFrame:
    """A new frame with the totals computed."""
    result = table.copy(deep=False)
    for derived in totals:
        result[derived.total] = derived.apply(result)
    return result


def with_asked_totals(table: pd.DataFrame, totals: Iterable[DerivedTotal], asked: pd.DataFrame) -> pd.DataFrame:
    """The totals of `table` exactly as in `asked`, a canonical frame of conditions.

    Raises:
        SynthesizerError: in a row the parts do not sum to what was asked: no row does.
    """
    result = table.copy(deep=False)
    for derived in totals:
        if derived.total not in asked.columns:
            continue
        wanted, found = asked[derived.total], result[derived.total]
        numbers = (series.to_numpy(dtype=np.float64, na_value=np.nan) for series in (wanted, derived.compute(result)))
        off = np.abs(np.subtract(*numbers)) > derived.tolerance + SUM_SLACK
        unmet = int((off | (wanted.isna() != found.isna()).to_numpy()).sum())
        if unmet:
            raise SynthesizerError(
                f"conditions on the total '{derived.total}' must be met by its parts {list(derived.parts)}, however "
                f"{unmet} rows cannot: ask for other totals, or for fewer of the parts"
            )
        result[derived.total] = wanted
    return result


def addends(derived: DerivedTotal, totals: Mapping[str, DerivedTotal], known: Collection[str]) -> dict[str, int]:
    """How often each column counts in a total, its parts' own parts instead of them unless they are `known`."""
    counts: Counter[str] = Counter()
    for part in derived.parts:
        if part in totals and part not in known:
            counts.update(addends(totals[part], totals, known))
        else:
            counts[part] += 1
    return dict(counts)


def total_from_record(record: Mapping[str, Any], metadata: Metadata) -> DerivedTotal:
    """A total as a model folder describes it.

    Raises:
        ValueError, LookupError, TypeError: it is not one of the metadata's sums, or damaged.
    """
    derived = DerivedTotal(**{**record, "parts": tuple(record["parts"]), "type": ColumnType(record["type"])})
    declared = [(c.total, tuple(c.parts), c.tolerance) for c in _sums(metadata)]
    if (derived.total, derived.parts, derived.tolerance) not in declared or not isinstance(derived.modelled, bool):
        raise ValueError("a total must be one of the metadata's sums")
    if derived.type is not metadata[derived.total].type:
        raise ValueError("a total must have the type of its column")
    decimals = derived.decimals
    if decimals is not None and (type(decimals) is not int or not 0 <= decimals <= MAX_DECIMALS):
        raise ValueError(f"a total must have 0 to {MAX_DECIMALS} decimals")
    return derived


def require_ordered(totals: Sequence[DerivedTotal]) -> None:
    """Refuse totals of a damaged model folder that cannot be computed one after the other.

    Raises:
        ValueError: one is there twice, or is used before it is computed.
    """
    names = [derived.total for derived in totals]
    if len(set(names)) < len(names):
        raise ValueError("each total must be computed once")
    for place, derived in enumerate(totals):
        if set(derived.parts) & set(names[place:]):
            raise ValueError("a total must be computed after its parts")


def require_order(asked: pd.DataFrame, metadata: Metadata) -> None:
    """Refuse conditions that contradict a declared order among themselves.

    Raises:
        SynthesizerError: names the columns, not the values.
    """
    for constraint in metadata.modelled_constraints:
        for low, high in constraint.ordered_pairs() if constraint.orders else ():
            if low in asked.columns and high in asked.columns:
                order = ConstraintSpec(low=low, high=high, strict=constraint.strict)
                crossed = int(order.broken(asked).sum())
                if crossed:
                    raise SynthesizerError(
                        f"conditions must keep {order.label}, however {crossed} rows do not: mend them"
                    )


def _derived(
    constraint: ConstraintSpec, real_data: pd.DataFrame, metadata: Metadata, rare_threshold: int, entities: Codes | None
) -> DerivedTotal | None:
    total, parts = str(constraint.total), constraint.parts
    if any(learned_as(metadata[name]) is not SDType.numerical for name in (total, *parts)) or total in parts:
        return None
    present = real_data[total].notna().to_numpy()
    values = real_data[total][present].to_numpy(dtype=np.float64)
    owners = None if entities is None else entities[present]
    if not len(values):
        return None
    apart: NDArray[np.bool_] = (real_data[total].isna() != real_data[parts].isna().any(axis=1)).to_numpy()
    exceptions = constraint.broken(real_data) | apart
    holders = num_entities(None if entities is None else entities[exceptions], int(exceptions.sum()))
    kind = metadata[total].type
    few = num_entities(owners, len(values)) < rare_threshold
    return DerivedTotal(
        total=total,
        parts=tuple(parts),
        type=kind,
        decimals=MAX_DECIMALS if few else learn_resolution(values, kind, rare_threshold, owners).decimals,
        tolerance=constraint.tolerance,
        modelled=holders >= rare_threshold,
    )


def _sums(metadata: Metadata) -> list[ConstraintSpec]:
    return [c for c in metadata.modelled_constraints if c.kind is ConstraintKind.sum]


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
