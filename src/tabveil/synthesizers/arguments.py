"""What may be asked of a synthesizer: a table to learn, rows to draw, conditions that they meet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from tabveil.errors import SchemaError, SynthesizerError, TrainingError
from tabveil.schema import ColumnType, Metadata, canonical

Conditions = Mapping[str, Any] | pd.DataFrame


def training_table(real_data: pd.DataFrame, metadata: Metadata, min_rows: int) -> pd.DataFrame:
    """The modelled columns of a table that can be learned, canonical.

    Raises:
        TrainingError: fewer than `min_rows` rows, no or missing columns, or infinite numbers.
        SchemaError: values do not fit the declared types.
    """
    names = metadata.modelled_columns
    if not names:
        raise TrainingError("there must be at least one modelled column, however the metadata has none")
    missing = [name for name in names if name not in real_data.columns]
    if missing:
        raise TrainingError(f"the training table must hold every modelled column, however these miss: {missing}")
    if not real_data.columns.is_unique:
        raise TrainingError("the training table's column names must be unique, however some are repeated")
    if len(real_data) < min_rows:
        raise TrainingError(
            f"the training table must have at least {min_rows} rows, however: {len(real_data)} "
            "(synthesizer.min_rows sets the limit)"
        )
    table = canonical(real_data[names], metadata)
    infinite = [n for n in names if metadata[n].type is ColumnType.decimal and np.isinf(table[n]).any()]
    if infinite:
        raise TrainingError(
            f"decimal columns must hold finite numbers, however infinite ones were found in: {infinite}; declare "
            "minimum or maximum for these columns, or empty the cells in the source"
        )
    return table


def condition_table(conditions: Conditions, num_rows: int, known: list[str], metadata: Metadata) -> pd.DataFrame:
    """Conditions as a canonical frame of `num_rows` rows.

    Args:
        known: the columns that may be asked for.

    Raises:
        SchemaError: conditions on another column, or of another type.
        SynthesizerError: a frame of another number of rows, or with repeated columns.
    """
    names = [str(name) for name in conditions]
    foreign = [name for name in names if name not in known]
    if foreign:
        raise SchemaError(
            f"conditions must be on modelled columns that are not computed, however: {foreign}; there are: {known}"
        )
    if isinstance(conditions, pd.DataFrame):
        if len(conditions) != num_rows or not conditions.columns.is_unique:
            raise SynthesizerError(
                f"conditions must be a frame of num_rows={num_rows} rows with unique columns, however it has "
                f"{len(conditions)} rows and the columns {names}"
            )
        return canonical(conditions, metadata)
    repeated = {str(name): pd.Series([value] * num_rows, dtype="object") for name, value in conditions.items()}
    return canonical(pd.DataFrame(repeated), metadata)


def require_range(num_rows: int, seed: int) -> None:
    """Refuse a number of rows or a seed that is out of range.

    Raises:
        SynthesizerError: `num_rows` is not positive, or `seed` not in [0, 2**31).
    """
    if num_rows < 1:
        raise SynthesizerError(f"num_rows must be positive, however: num_rows={num_rows}")
    if not 0 <= seed < 2**31:
        raise SynthesizerError(f"seed must be in [0, 2**31), however: seed={seed}")
