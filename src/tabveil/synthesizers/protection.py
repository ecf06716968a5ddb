"""What a model's metadata may tell of the table: no count of few rows, or of few entities."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tabveil.entities import Codes, entities_per_group
from tabveil.schema import Metadata

MIN_COUNT = 8  # a count of fewer rows is not written to a model folder


def without_few_missing(metadata: Metadata, table: pd.DataFrame, entities: Codes | None, min_count: int) -> Metadata:
    """Metadata whose null fractions do not tell of missing values that fewer than `min_count` entities have.

    Of columns that are not in `table` the rows count, see `protected`.
    """
    if entities is None:
        return metadata
    few = {n for n in table.columns if _holders(table[n].isna().to_numpy(), entities) < min_count}
    columns = tuple(dataclasses.replace(c, null_fraction=0.0) if c.name in few else c for c in metadata.columns)
    return dataclasses.replace(metadata, columns=columns)


def _holders(marked: NDArray[np.bool_], entities: Codes) -> int:
    return int(entities_per_group(np.where(marked, 0, -1), 1, entities)[0])


def protected(metadata: Metadata, num_rows: int, min_count: int) -> Metadata:
    """Metadata whose null fractions do not tell of fewer than `min_count` rows."""
    columns = tuple(
        dataclasses.replace(c, null_fraction=0.0) if c.null_fraction * num_rows < min_count else c
        for c in metadata.columns
    )
    return dataclasses.replace(metadata, columns=columns)
