"""How many people share a combination of quasi-identifiers: k-anonymity of single columns, pairs and all together.

A table is k-anonymous if every combination of its quasi-identifiers that occurs is shared by at least k people
(Samarati & Sweeney 1998, "Protecting privacy when disclosing information"). Where no entity key tells people apart, a
row counts as one. A missing value is a value of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from tabveil.entities import entities_per_group
from tabveil.errors import PolicyViolationError, SchemaError
from tabveil.pii.findings import ScanResult
from tabveil.pii.identifiers import QUASI_TYPES
from tabveil.schema import Column

Codes = npt.NDArray[np.int64]
QUASI_IDENTIFYING = (*QUASI_TYPES, "DATE_OF_BIRTH")
MAX_PAIRED = 20  # columns; 190 pairs
_DENSE = 2**22  # counters that are counted in an array instead of by sorting
_MAX_NAMED = 5


@dataclass(frozen=True)
class Combination:
    """Groups of rows that agree in all of `columns`.

    Args:
        num_groups: different combinations that occur.
        min_group_rows: rows of the smallest group (the k of k-anonymity); its entities, where they were given.
        rows_below_k: rows in groups smaller than k.
        share_below_k: the same over all rows, in [0, 1], to six decimals.
    """

    columns: tuple[str, ...]
    num_groups: int
    min_group_rows: int
    rows_below_k: int
    share_below_k: float

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary; counts and column names only."""
        return {**self.__dict__, "columns": list(self.columns)}


@dataclass(frozen=True)
class KAnonymity:
    """The combinations of a table's quasi-identifiers.

    Args:
        singles, pairs: in order of `columns`; pairs of the first `MAX_PAIRED` columns by number of values.
        full: all columns together; None where there is no quasi-identifier or no row.
        num_unpaired: columns left out of the pairs. `full` never leaves one out.
    """

    k: int
    num_rows: int
    columns: tuple[str, ...]
    singles: tuple[Combination, ...]
    pairs: tuple[Combination, ...]
    full: Combination | None
    num_unpaired: int = 0

    def to_dict(self) -> dict[str, Any]:
        """For `findings.json`."""
        return {
            "k": self.k,
            "num_rows": self.num_rows,
            "columns": list(self.columns),
            "singles": [item.to_dict() for item in self.singles],
            "pairs": [item.to_dict() for item in self.pairs],
            "full": self.full.to_dict() if self.full else None,
            "num_unpaired": self.num_unpaired,
        }


def quasi_columns(columns: Sequence[Column], scanned: ScanResult) -> list[str]:
    """Columns that a model sees and that may single a person out in combination, in table order.

    Those with a quasi-identifying semantic type (also a date of birth, generalised or not), and those without a
    semantic type that the scan reports as a quasi-identifier. Unique ids are none: no group shares them.
    """
    told = {item.column for item in scanned.quasi_identifiers if item.type in QUASI_IDENTIFYING}
    return [
        column.name
        for column in columns
        if column.modelled
        and (column.semantic_type in QUASI_IDENTIFYING or (column.semantic_type is None and column.name in told))
    ]


def k_anonymity(table: pd.DataFrame, columns: Sequence[str], k: int, *, entities: Codes | None = None) -> KAnonymity:
    """Group sizes of a table by its quasi-identifiers.

    Args:
        table: any frame with these columns.
        columns: names of the quasi-identifiers.
        k: groups of fewer rows (entities, if given) are counted as small.
        entities: whose row each is, int64 of shape (num_rows,); None: its own.

    Raises:
        SchemaError: a column is not in the table.
    """
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise SchemaError(f"quasi-identifiers must be in the table, however these are not: {', '.join(missing)}")
    if not columns or not len(table):
        return KAnonymity(k, len(table), tuple(columns), (), (), None)
    codes = {name: _codes(table[name]) for name in columns}
    widest = set(sorted(columns, key=lambda name: -codes[name].max())[:MAX_PAIRED])
    paired = [name for name in columns if name in widest]
    together = np.zeros(len(table), dtype=np.int64)
    for name in columns:
        together = _joined(together, codes[name])
    return KAnonymity(
        k=k,
        num_rows=len(table),
        columns=tuple(columns),
        singles=tuple(_combination((name,), codes[name], k, entities) for name in columns),
        pairs=tuple(
            _combination(pair, _joined(*(codes[n] for n in pair)), k, entities) for pair in combinations(paired, 2)
        ),
        full=_combination(tuple(columns), together, k, entities),
        num_unpaired=len(columns) - len(paired),
    )


def check_k(report: KAnonymity, min_k: int | None) -> None:
    """Stop where fewer than `min_k` people share a combination; None: information only.

    No group of fewer columns is smaller than the smallest group of all columns, so that one decides.

    Raises:
        PolicyViolationError: names the columns, the sizes, and the pairs that single out most rows.
    """
    if min_k is None or report.full is None or report.full.min_group_rows >= min_k:
        return
    worst = [item for item in _worst((*report.singles, *report.pairs)) if item.min_group_rows < min_k][:_MAX_NAMED]
    shown = "; ".join(f"{' + '.join(c.columns)}: smallest group {c.min_group_rows}" for c in worst)
    raise PolicyViolationError(
        f"every combination of {', '.join(report.columns)} must be shared by at least {min_k} people (pii.min_k; a row "
        f"is one where there is no entity key), however the smallest group has {report.full.min_group_rows}: "
        f"generalise or drop some of these columns, or lower pii.min_k{f' ({shown})' if shown else ''}"
    )


def _worst(items: Iterable[Combination]) -> list[Combination]:
    return sorted(items, key=lambda item: (-item.rows_below_k, item.min_group_rows, item.columns))


def _codes(cells: pd.Series[Any]) -> Codes:
    """A number from 0 on for every value; missing values share one."""
    codes, uniques = pd.factorize(cells, use_na_sentinel=True)
    return np.where(codes < 0, len(uniques), codes).astype(np.int64)


def _joined(left: Codes, right: Codes) -> Codes:
    """A number for every combination that occurs, dense from 0 on, so that products stay below 2**63."""
    width = int(right.max()) + 1
    keys = left * width + right
    size = (int(left.max()) + 1) * width
    if size > _DENSE:
        return np.asarray(np.unique(keys, return_inverse=True)[1], dtype=np.int64)
    occurs = np.zeros(size, dtype=np.int64)
    occurs[keys] = 1
    return np.asarray((np.cumsum(occurs) - 1)[keys], dtype=np.int64)


def _combination(columns: tuple[str, ...], codes: Codes, k: int, entities: Codes | None) -> Combination:
    counts = np.bincount(codes)
    holders = entities_per_group(codes, len(counts), entities)
    below = int(counts[holders < k].sum())
    sizes = holders[counts > 0]
    return Combination(columns, len(sizes), int(sizes.min()), below, round(below / len(codes), 6))
