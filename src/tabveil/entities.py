"""Whose row is it? Codes of entities (people, customers), and how many of them share a value.

A value is rare when few *people* have it, not when few rows do: a customer with thirty transactions is one customer.
Wherever a threshold k protects rare values it counts distinct entities. Without an entity key each row is its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from tabveil.errors import SchemaError
from tabveil.schema import ENTITY_COLUMN, Metadata

Codes = npt.NDArray[np.int64]


def codes_of(keys: pd.Series[Any]) -> Codes:
    """Entity of each row, int64 of shape (num_rows,), numbered by first appearance; a row without a key is its own."""
    codes, uniques = pd.factorize(keys)
    missing = np.flatnonzero(codes < 0)
    codes = codes.astype(np.int64)
    codes[missing] = len(uniques) + np.arange(len(missing))
    return codes


def entity_codes(table: pd.DataFrame, metadata: Metadata) -> Codes | None:
    """Entity of each row of a clean table, int64 of shape (num_rows,); None where each row is its own.

    They are read from `schema.ENTITY_COLUMN`, or from the entity key where its column is pseudonymised.

    Raises:
        SchemaError: the metadata has an entity key and the table holds neither.
    """
    key = metadata.entity_key
    if key is None:
        return None
    for name in (ENTITY_COLUMN, key):
        if name in table.columns:
            try:
                return codes_of(table[name])
            except TypeError:
                raise SchemaError(
                    f"column '{name}' must say by one value whose row each is, however it holds others"
                ) from None
    raise SchemaError(
        f"the table must say whose row each is, in column {key} or {ENTITY_COLUMN}, however it has neither: give the "
        "whole table that verify wrote"
    )


def num_entities(codes: Codes | None, num_rows: int) -> int:
    """How many entities `num_rows` rows belong to."""
    return num_rows if codes is None else len(pd.unique(codes))


def entities_per_group(groups: Codes, num_groups: int, entities: Codes | None) -> Codes:
    """How many distinct entities each group of rows belongs to.

    Args:
        groups: int64 of shape (num_rows,), in [0, num_groups); a negative one is not counted.
        entities: int64 of shape (num_rows,), not negative; None: each row is its own entity.

    Returns:
        int64 of shape (num_groups,).
    """
    counted = groups >= 0
    chosen = groups[counted]
    if entities is not None and len(chosen):
        width = int(entities.max()) + 1
        chosen = pd.unique(chosen * width + entities[counted]) // width
    return np.bincount(chosen, minlength=num_groups).astype(np.int64)
