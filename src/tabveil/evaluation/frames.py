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

INSTANTS = (ColumnType.date, ColumnType.datetime)
NUMBERS = (ColumnType.integer, ColumnType.decimal)
MAX_NUMBER = 1e30  # squares of larger numbers overflow in scikit-learn's float32 and in sums


def stream(seed: int, label: str) -> np.random.Generator:
    """Independent random stream for one purpose: ``stream(0, "floor")`` never changes when another is added."""
    return np.random.default_rng([seed, zlib.crc32(label.encode())])


def plain(table: pd.DataFrame, metadata: Metadata) -> pd.DataFrame:
    """The modelled columns as float64 or object, whatever pandas made of them.

    Compared as numbers (`is_numeric`): float64, missing NaN; dates and instants are seconds since 1970, so that every
    year from 1 to 9999 fits; numbers beyond +-`MAX_NUMBER` count as that. Compared as levels: object, missing None;
    dates are ISO text. The dtype follows the declared type, never the content, so that two tables of one schema
    always agree.

    Raises:
        SchemaError: a modelled column is missing.
        DataError: a decimal column holds infinite numbers.
    """
    missing = [name for name in metadata.modelled_columns if name not in table.columns]
    if missing:
        raise SchemaError(f"every modelled column must be in the table, however these are missing: {missing}")
    columns = {name: _plain_column(table[name], metadata, name) for name in metadata.modelled_columns}
    return pd.DataFrame(columns).reset_index(drop=True)


def _plain_column(series: pd.Series, metadata: Metadata, name: str) -> pd.Series:
    kind, numeric = metadata[name].type, is_numeric(metadata, name)
    if kind in INSTANTS:
        instants = series.astype("datetime64[us]")
        return _seconds(instants) if numeric else _iso_text(instants)
    if numeric or kind is ColumnType.decimal:
        values = series.astype("float64")
        if np.isinf(values).any():
            raise DataError(f"column '{name}' must hold finite numbers to be scored, however infinite ones were found")
        return values.clip(-MAX_NUMBER, MAX_NUMBER)
    return series.astype("object").mask(series.isna(), None)


def _seconds(instants: pd.Series) -> pd.Series:
    return (instants.astype("int64") / 1e6).mask(instants.isna())


def _iso_text(instants: pd.Series) -> pd.Series:
    text = np.datetime_as_string(instants.to_numpy(dtype="datetime64[us]")).astype("object")
    return pd.Series(text, index=instants.index).str.removesuffix("T00:00:00.000000").mask(instants.isna(), None)


def is_numeric(metadata: Metadata, name: str) -> bool:
    """Whether a column is compared as a number (dates included) rather than as a set of levels.

    Text and booleans never are, whatever sdtype is declared: the one place where this package decides it.
    """
    column = metadata[name]
    return column.sdtype in (SDType.numerical, SDType.datetime) and column.type in (*NUMBERS, *INSTANTS)


def numbers(series: pd.Series) -> Float:
    """A plain numeric column as float64 of shape (num_rows,); missing is NaN."""
    return series.to_numpy(dtype="float64")


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
