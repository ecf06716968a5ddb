"""Train and holdout: whole people on one side, chosen by a seeded hash of who they are."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from tabveil.errors import DataError
from tabveil.pii.columns import distinct


def split_by_entity(
    table: pd.DataFrame,
    entity: pd.Series[Any] | None,
    holdout_fraction: float,
    seed: int,
    *,
    min_holdout_rows: int = 1,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Row positions of train and holdout.

    Entities are put in the order of a hash keyed by `seed`; the first ones whose rows come closest to
    `holdout_fraction` of the table form the holdout. Which side an entity falls on does not depend on the order of
    rows. A row without an entity (None, or a missing key) is its own.

    Args:
        entity: one key per row, in table order; None when rows are independent.
        holdout_fraction: in (0, 1).
        min_holdout_rows: a smaller holdout is refused: it could not tell a copy from a likeness.

    Returns:
        Two ascending int64 arrays that partition ``range(len(table))``, neither empty.

    Raises:
        DataError: fewer than two entities, a holdout below `min_holdout_rows`, another number of keys than rows.
    """
    if entity is not None and len(entity) != len(table):
        raise DataError(f"expected one entity key per row ({len(table)}), however there are {len(entity)}")
    if not 0 < holdout_fraction < 1:
        raise DataError(f"holdout_fraction must be between 0 and 1, however: {holdout_fraction}")
    codes, labels = _entities(entity, len(table))
    if len(labels) < 2:
        raise DataError(
            f"a holdout needs at least 2 entities, however the table has {len(labels)}: "
            "check dataset.entity_key, or bring more rows"
        )
    order = _hash_order(labels, seed)
    rows = np.cumsum(np.bincount(codes, minlength=len(labels))[order])
    taken = int(np.abs(rows[:-1] - holdout_fraction * len(table)).argmin()) + 1
    held = np.zeros(len(labels), dtype=bool)
    held[order[:taken]] = True
    in_holdout = held[codes]
    if in_holdout.sum() < min_holdout_rows:
        raise DataError(
            f"the holdout must have at least {min_holdout_rows} rows (pii.min_holdout_rows), however it has "
            f"{int(in_holdout.sum())} of the {len(table)} rows that preprocess kept (see profile.json): bring about "
            f"{math.ceil(min_holdout_rows / holdout_fraction)} rows, or lower pii.min_holdout_rows"
        )
    return np.flatnonzero(~in_holdout).astype(np.int64), np.flatnonzero(in_holdout).astype(np.int64)


def row_entities(entity: pd.Series[Any]) -> npt.NDArray[np.int64]:
    """Entity of each row as a number, int64 of shape (num_rows,); a row without a key is its own."""
    return _entities(entity, len(entity))[0]


def _entities(entity: pd.Series[Any] | None, num_rows: int) -> tuple[npt.NDArray[np.int64], list[bytes]]:
    """Code per row and one label per entity; rows without a key are numbered among themselves."""
    if entity is None:
        return np.arange(num_rows, dtype=np.int64), [b"row:%d" % i for i in range(num_rows)]
    codes, uniques = distinct(entity)
    labels = [b"key:" + str(value).encode() for value in uniques]
    missing = np.flatnonzero(codes < 0)
    codes[missing] = len(labels) + np.arange(len(missing))
    return codes, [*labels, *(b"row:%d" % i for i in range(len(missing)))]


def _hash_order(labels: list[bytes], seed: int) -> npt.NDArray[np.int64]:
    keyed = hashlib.blake2b(digest_size=16, key=str(seed).encode(), person=b"tabveil-split")
    digests = []
    for label in labels:
        one = keyed.copy()
        one.update(label)
        digests.append(one.digest())
    return np.array(sorted(range(len(labels)), key=lambda i: (digests[i], labels[i])), dtype=np.int64)
