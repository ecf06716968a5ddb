"""Frames in the plain numpy dtypes that sdmetrics and scikit-learn understand, and seeded ways to draw rows.

Everything random in this package starts here: one seed, one label per purpose, independent streams.
"""

from __future__ import annotations

import zlib

import numpy as np
import numpy.typing as npt
import pandas as pd

from tabveil.errors import DataError, SchemaError
from tabveil.schema import ColumnType, Metadata, SDType

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]

PLAIN_DTYPE = {ColumnType.integer: "float64", ColumnType.decimal: "float64"}


def stream(seed: int, label: str) -> np.random.Generator:
    """Independent random stream for one purpose: ``stream(0, "floor")`` never changes when another is added."""
    return np.random.default_rng([seed, zlib.crc32(label.encode())])


def plain(table: pd.DataFrame, metadata: Metadata) -> pd.DataFrame:
    """The modelled columns, without pandas' nullable dtypes.

    integer and decimal -> float64 (missing: NaN), boolean -> object (True, False, None), string -> object,
    date and datetime -> datetime64[ns]. The dtype follows the declared type, never the content, so that two tables
    of one schema always agree.

    Raises:
        SchemaError: a modelled column is missing.
    """
    missing = [name for name in metadata.modelled_columns if name not in table.columns]
    if missing:
        raise SchemaError(f"every modelled column must be in the table, however these are missing: {missing}")
    columns = {name: _plain_column(table[name], metadata[name].type) for name in metadata.modelled_columns}
    return pd.DataFrame(columns).reset_index(drop=True)


def _plain_column(series: pd.Series, kind: ColumnType) -> pd.Series:
    if kind in PLAIN_DTYPE:
        return series.astype("float64")
    if kind in (ColumnType.date, ColumnType.datetime):
        return series.astype("datetime64[ns]")
    return series.astype("object").mask(series.isna(), None)


def is_numeric(metadata: Metadata, name: str) -> bool:
    """Whether a column is compared as a number (dates included) rather than as a set of levels."""
    column = metadata[name]
    return column.sdtype in (SDType.numerical, SDType.datetime) and column.type not in (
        ColumnType.string,
        ColumnType.boolean,
    )


def numbers(series: pd.Series) -> Float:
    """A plain numeric column as float64; dates become seconds since 1970, missing becomes NaN."""
    if series.dtype.kind != "M":
        return series.to_numpy(dtype="float64")
    seconds = series.astype("int64").to_numpy(dtype="float64") / 1e9
    return np.where(series.isna().to_numpy(), np.nan, seconds)


def sample_rows(table: pd.DataFrame, num_rows: int, seed: int, label: str) -> pd.DataFrame:
    """At most `num_rows` rows, drawn without replacement; the table itself when it is small enough."""
    if len(table) <= num_rows:
        return table
    chosen = np.sort(stream(seed, label).permutation(len(table))[:num_rows])
    return table.iloc[chosen].reset_index(drop=True)


def require_rows(name: str, table: pd.DataFrame, minimum: int) -> None:
    """Refuse a table too small to say anything.

    Raises:
        DataError: fewer than `minimum` rows.
    """
    if len(table) < minimum:
        raise DataError(f"{name} must have at least {minimum} rows to be scored, however: {len(table)}")
