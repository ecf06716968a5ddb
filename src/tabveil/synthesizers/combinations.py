"""Combinations of values that a table may hold, where a constraint says so; each shown by enough people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tabveil.constraints import ConstraintKind, ConstraintSpec
from tabveil.entities import Codes, entities_per_group
from tabveil.errors import SynthesizerError, TrainingError
from tabveil.schema import Metadata, canonical

COMBINED = (ConstraintKind.fixed_combinations, ConstraintKind.functional_dependency, ConstraintKind.one_hot)


@dataclass(frozen=True)
class KnownCombinations:
    """The rows that `columns` may form together.

    Attributes:
        label: of the constraint.
        allowed: canonical frame of distinct rows, each of which at least k people have.
    """

    label: str
    columns: tuple[str, ...]
    allowed: pd.DataFrame

    def broken(self, table: pd.DataFrame) -> NDArray[np.bool_]:
        """Rows of a canonical frame whose combination is not allowed, bool (num_rows,)."""
        return self._foreign(table[list(self.columns)])

    def excluded(self, cells: pd.DataFrame) -> NDArray[np.bool_]:
        """Rows of a canonical frame that are no part of an allowed combination, whatever their other cells become.

        Args:
            cells: some of the columns, and any others.
        """
        names = [name for name in self.columns if name in cells.columns]
        return self._foreign(cells[names]) if names else np.zeros(len(cells), dtype=bool)

    def _foreign(self, rows: pd.DataFrame) -> NDArray[np.bool_]:
        """Rows that are not among those that the same columns of `allowed` hold."""
        return np.asarray(~np.isin(_keys(rows), _keys(self.allowed[list(rows.columns)])))

    def to_record(self) -> dict[str, Any]:
        """For JSON: missing values are null, instants microseconds since 1970."""
        records = [[_plain(value) for value in row] for row in self.allowed.itertuples(index=False)]
        return {"label": self.label, "columns": list(self.columns), "allowed": records}

    @classmethod
    def from_record(cls, record: dict[str, Any], metadata: Metadata) -> KnownCombinations:
        """Inverse of `to_record`."""
        columns = tuple(record["columns"])
        values = {
            name: pd.Series([row[i] for row in record["allowed"]], dtype="object") for i, name in enumerate(columns)
        }
        for name, series in values.items():
            if pd.api.types.is_datetime64_any_dtype(canonical(pd.DataFrame({name: series[:0]}), metadata)[name].dtype):
                moments = [np.datetime64("NaT" if v is None else int(v), "us") for v in series]
                values[name] = pd.Series(np.array(moments, dtype="datetime64[us]"))
        return cls(record["label"], columns, canonical(pd.DataFrame(values), metadata))


def find_combinations(
    table: pd.DataFrame, metadata: Metadata, entities: Codes | None, min_count: int
) -> tuple[KnownCombinations, ...]:
    """What the constraints of `COMBINED` kinds on modelled columns allow.

    Args:
        table: canonical training rows. entities: whose row each is; None: its own.
        min_count: k; a combination of fewer people is not kept.

    Raises:
        TrainingError: no combination is shared by k people.
    """
    constraints = [c for c in metadata.modelled_constraints if c.kind in COMBINED]
    return tuple(_combinations(constraint, table, entities, min_count) for constraint in constraints)


def require_allowed(asked: pd.DataFrame, combinations: Sequence[KnownCombinations], totals: Sequence[str] = ()) -> None:
    """Refuse conditions that are no part of an allowed combination.

    Args:
        totals: if `asked` are whole rows, the given totals from which they follow.

    Raises:
        SynthesizerError: names the constraint and the columns, not the values.
    """
    for known in combinations:
        refused = int(known.excluded(asked).sum())
        if refused:
            names = list(totals) or [name for name in known.columns if name in asked.columns]
            raise SynthesizerError(
                f"conditions on {names} must be part of a combination that {known.label} allows, however {refused} "
                "rows are of none: ask for values that enough people of the training table have together"
            )


def require_complete(combinations: tuple[KnownCombinations, ...], metadata: Metadata) -> None:
    """Refuse a model that has lost what one of its constraints allows: its rows would not be held against it.

    Raises:
        ValueError: combinations and constraints do not belong together.
    """
    asked = [(c.label, tuple(c.used_columns)) for c in metadata.modelled_constraints if c.kind in COMBINED]
    if [(known.label, known.columns) for known in combinations] != asked or not all(map(_any, combinations)):
        raise ValueError("the combinations must be those of the metadata's constraints")


def _any(known: KnownCombinations) -> bool:
    return len(known.allowed) > 0


def _combinations(
    constraint: ConstraintSpec, table: pd.DataFrame, entities: Codes | None, min_count: int
) -> KnownCombinations:
    rows = table[constraint.used_columns]
    groups = pd.factorize(_keys(rows))[0].astype(np.int64)
    first = pd.Series(np.arange(len(rows))).groupby(groups).first().to_numpy()
    shared = entities_per_group(groups, len(first), entities) >= min_count
    whole = ~constraint.broken(rows)[first]
    if not (shared & whole).any():
        raise TrainingError(
            f"the constraint {constraint.label} must have a combination that {min_count} people share, however there "
            "is none: generalise a column, or drop the constraint"
        )
    allowed = rows.iloc[first[shared & whole]].reset_index(drop=True)
    return KnownCombinations(constraint.label, tuple(constraint.used_columns), allowed)


def _keys(rows: pd.DataFrame) -> NDArray[np.uint64]:
    """One number per row, equal for equal rows, missing values included."""
    decimals = rows.select_dtypes("float64").columns
    plain = rows.assign(**{name: rows[name] + 0.0 for name in decimals})  # -0.0 is 0.0
    return np.asarray(pd.util.hash_pandas_object(plain, index=False), dtype=np.uint64)


def _plain(value: Any) -> Any:
    if pd.isna(value):
        return None
    if isinstance(value, pd.Timestamp):
        return int(np.datetime64(value, "us").astype(np.int64))
    return value.item() if isinstance(value, np.generic) else value
