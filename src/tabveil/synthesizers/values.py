"""One column's values as floats and back, and whether they are learned as numbers, instants or categories at all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tabveil.schema import NUMERIC_TYPES, TEMPORAL_TYPES, Column, ColumnType, SDType

INSTANTS, NUMBERS = TEMPORAL_TYPES, NUMERIC_TYPES
MICROSECONDS_PER_DAY = 86_400_000_000
LAST_SECOND = MICROSECONDS_PER_DAY - 1_000_000
MAX_WHOLE = 2.0**63 - 1024  # the largest float64 below 2**63
FIRST_INSTANT, END_OF_INSTANTS = np.datetime64("0001-01-01", "us"), np.datetime64("10000-01-01", "us")
EARLIEST, LATEST = (np.datetime64(day, "us").astype(np.int64).astype(float) for day in ("0001-01-01", "9999-12-31"))


def learned_as(column: Column) -> SDType:
    """numerical, datetime, boolean or categorical: the declared sdtype where the stored type allows it.

    Text and booleans are categories, whatever is declared; a date that is not declared categorical is an instant.
    """
    if column.sdtype in (SDType.numerical, SDType.datetime):
        if column.type in NUMBERS:
            return SDType.numerical
        if column.type in INSTANTS:
            return SDType.datetime
    return SDType.boolean if column.type is ColumnType.boolean else SDType.categorical


def to_floats(series: pd.Series[Any]) -> NDArray[np.float64]:
    """Canonical numbers or instants (as microseconds since 1970) as float64, NaN when missing.

    Whole numbers beyond 2**53, and microseconds of instants beyond the year 2255, go to the nearest float64.
    """
    if pd.api.types.is_datetime64_any_dtype(series.dtype):
        whole = series.to_numpy(dtype="datetime64[us]").astype(np.int64).astype(np.float64)
        return np.where(series.isna().to_numpy(), np.nan, whole)
    return np.asarray(series.to_numpy(dtype=np.float64, na_value=np.nan), dtype=np.float64)


def from_floats(values: NDArray[np.float64], kind: ColumnType) -> pd.Series[Any]:
    """Inverse of `to_floats` in the canonical dtype of `kind`, a number or an instant.

    Whole numbers stay inside int64, instants inside the years 1 to 9999; a date is its midnight.
    """
    if kind is ColumnType.decimal:
        return pd.Series(values, dtype="float64")
    missing = np.isnan(values)
    if kind is ColumnType.integer:
        limited = np.clip(np.where(missing, 0.0, np.round(values)), -MAX_WHOLE, MAX_WHOLE)
        return pd.Series(pd.arrays.IntegerArray(limited.astype(np.int64), missing))
    whole = np.clip(np.where(missing, 0.0, np.round(values)), EARLIEST, LATEST + LAST_SECOND)
    if kind is ColumnType.date:
        whole = np.minimum(np.round(whole / MICROSECONDS_PER_DAY) * MICROSECONDS_PER_DAY, LATEST)
    instants = whole.astype(np.int64).astype("datetime64[us]")
    instants[missing] = np.datetime64("NaT")
    return pd.Series(instants)
