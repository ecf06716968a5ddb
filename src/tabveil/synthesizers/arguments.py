"""What may be asked of a synthesizer: a table to learn, rows to draw, conditions that they meet."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from tabveil.entities import Codes, num_entities
from tabveil.errors import SchemaError, SynthesizerError, TrainingError
from tabveil.schema import ColumnType, Metadata, canonical
from tabveil.synthesizers.values import END_OF_INSTANTS, FIRST_INSTANT, INSTANTS, NUMBERS

Conditions = Mapping[str, Any] | pd.DataFrame

MAX_ROWS = 10**10
MAX_SEED = 2**31 - 1
_READ_AS_INSTANT = frozenset({"datetime", "datetime64", "date", "string", "empty"})  # words of `infer_dtype`
_READ_AS_NUMBER = frozenset({"integer", "floating", "mixed-integer-float", "decimal", "boolean", "string", "empty"})


def folder_path(name: str, folder: Any) -> Path:
    """An argument that must be a path.

    Raises:
        SynthesizerError: another type.
    """
    if not isinstance(folder, (str, os.PathLike)):
        raise SynthesizerError(f"{name} must be a path, however it is a {type(folder).__name__}")
    return Path(folder)


def replaceable_folder(name: str, folder: Any, mark: str) -> Path:
    """A folder to be replaced as a whole, so that nothing else is lost.

    Args:
        mark: file by which a folder of the same kind is known.

    Raises:
        SynthesizerError: no path, a file, below a file, or a folder that holds something else.
    """
    path = folder_path(name, folder)
    in_the_way = next((part for part in (path, *path.parents) if part.exists() and not part.is_dir()), None)
    if in_the_way is not None:
        raise SynthesizerError(f"{name} must be a folder, however {in_the_way} is a file")
    if path.exists() and not (path / mark).is_file() and any(path.iterdir()):
        raise SynthesizerError(
            f"{name} must be a new or empty folder, or one that may be replaced since it has a {mark}, however {path} "
            "holds something else: name another one"
        )
    return path


def require_several(entities: Codes | None, num_rows: int) -> None:
    """Refuse a table of one person: nobody would be left to validate on.

    Raises:
        TrainingError: it is one.
    """
    if num_entities(entities, num_rows) < 2:
        raise TrainingError("the training table must hold at least 2 entities, however it holds 1: bring more")


def training_table(real_data: pd.DataFrame, metadata: Metadata, min_rows: int) -> pd.DataFrame:
    """The modelled columns of a table that can be learned, canonical.

    Raises:
        TrainingError: fewer than `min_rows` rows, no or missing columns, or infinite numbers.
        SchemaError: values do not fit the declared types.
    """
    if not isinstance(real_data, pd.DataFrame):
        raise TrainingError(f"the training table must be a DataFrame, however it is a {type(real_data).__name__}")
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
    infinite = _infinite(table, metadata)
    if infinite:
        raise TrainingError(
            f"decimal columns must hold finite numbers, however infinite ones were found in: {infinite}; declare "
            "minimum or maximum for these columns, or empty the cells in the source"
        )
    beyond = _beyond_calendar(table, metadata)
    if beyond:
        raise TrainingError(f"dates must be of the years 1 to 9999, however others were found in: {beyond}")
    broken = [n for n in table.columns if metadata[n].type is ColumnType.string and not _is_unicode(table[n])]
    if broken:
        raise TrainingError(f"text must be Unicode without surrogates, however some is not in: {broken}")
    return table


def modelled_cells(table: pd.DataFrame, names: Sequence[str], metadata: Metadata) -> pd.DataFrame:
    """The columns `names` of a table, canonical and as `exact_cells` reads them.

    Raises:
        SchemaError: no frame, a column is missing or there twice, or of another type.
        SynthesizerError: no rows, or infinite numbers.
    """
    if not isinstance(table, pd.DataFrame):
        raise SchemaError(f"the table must be a DataFrame, however it is a {type(table).__name__}")
    missing = [name for name in names if name not in table.columns]
    if missing:
        raise SchemaError(f"the table must hold every modelled column, however these miss: {missing}")
    chosen = table[list(names)]
    if not chosen.columns.is_unique:
        raise SchemaError("the table must hold each modelled column once, however some are repeated")
    if not len(chosen):
        raise SynthesizerError("the table must hold a row, however it is empty")
    return exact_cells(chosen, metadata)


def condition_table(
    conditions: Conditions | None, num_rows: int, known: Sequence[str], metadata: Metadata
) -> pd.DataFrame | None:
    """Conditions as a canonical frame of `num_rows` rows; None where nothing is asked for.

    Args:
        known: the columns that may be asked for.

    Raises:
        SchemaError: conditions on another column, or of another type.
        SynthesizerError: neither a mapping nor a frame, a frame of another number of rows or with repeated columns, a
            list as the value of a column, or an infinite number.
    """
    if conditions is None:
        return None
    if not isinstance(conditions, (Mapping, pd.DataFrame)):
        raise SynthesizerError(
            "conditions must be a mapping (column -> value) or a DataFrame of num_rows rows, however: a "
            f"{type(conditions).__name__}"
        )
    names = list(conditions)
    if not names:
        return None
    foreign = [name for name in names if not isinstance(name, str) or name not in known]
    if foreign:
        raise SchemaError(f"conditions must be on modelled columns, however: {foreign}; there are: {list(known)}")
    if isinstance(conditions, pd.DataFrame):
        if len(conditions) != num_rows or not conditions.columns.is_unique:
            raise SynthesizerError(
                f"conditions must be a frame of num_rows={num_rows} rows with unique columns, however it has "
                f"{len(conditions)} rows and the columns {names}"
            )
        return exact_cells(conditions, metadata)
    row = exact_cells(_one_row(conditions), metadata)
    return row.loc[np.zeros(num_rows, dtype=np.int64)].reset_index(drop=True)


def exact_cells(table: pd.DataFrame, metadata: Metadata) -> pd.DataFrame:
    """A canonical frame whose cells can stand in a synthetic table as they are.

    None, NaN, NaT and NA are missing values; a value of a text column is its text, a date its midnight.

    Raises:
        SchemaError: values do not fit their column's type (an instant is no number, a number no instant).
        SynthesizerError: infinite numbers.
    """
    cells = canonical(pd.DataFrame({name: _readable(table[name], metadata) for name in table.columns}), metadata)
    lost = [name for name in table.columns if (cells[name].isna().to_numpy() & table[name].notna().to_numpy()).any()]
    if lost:
        raise SchemaError(f"text must be a value of its column to be read as one, however some is not in: {lost}")
    infinite = _infinite(cells, metadata)
    if infinite:
        raise SynthesizerError(f"given numbers must be finite, however infinite ones were found in: {infinite}")
    beyond = _beyond_calendar(cells, metadata)
    if beyond:
        raise SynthesizerError(f"given dates must be of the years 1 to 9999, however others were found in: {beyond}")
    for name in cells.columns:
        if metadata[name].type is ColumnType.date:
            cells[name] = cells[name].dt.normalize()
    return cells


def whole_number(name: str, value: Any, low: int, high: int) -> int:
    """An argument that must be an integer, numpy's included, as Python's.

    Raises:
        SynthesizerError: another type, or out of range.
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise SynthesizerError(f"{name} must be an integer, however it is a {type(value).__name__}")
    number = int(value)
    if not low <= number <= high:
        raise SynthesizerError(f"{name} must be an integer from {low} to {high}, however: {name}={number}")
    return number


def fraction_below_one(name: str, value: Any) -> float:
    """An argument that must be a number in [0, 1).

    Raises:
        SynthesizerError: it is not.
    """
    number = _real(value)
    if not 0 <= number < 1:
        raise SynthesizerError(f"{name} must be a number in [0, 1), however: {value!r}")
    return number


def rows_and_seed(num_rows: Any, seed: Any) -> tuple[int, int]:
    """Both as Python's integers.

    Raises:
        SynthesizerError: `num_rows` is no positive integer, or `seed` none in [0, 2**31).
    """
    return whole_number("num_rows", num_rows, 1, MAX_ROWS), checked_seed(seed)


def checked_seed(seed: Any) -> int:
    """As Python's integer.

    Raises:
        SynthesizerError: no integer in [0, 2**31).
    """
    return whole_number("seed", seed, 0, MAX_SEED)


def same_for_all(conditions: Any) -> Mapping[str, Any] | None:
    """Conditions that are the same in all rows.

    Raises:
        SynthesizerError: a frame, which has rows of its own.
    """
    if not isinstance(conditions, pd.DataFrame):
        return cast("Mapping[str, Any] | None", conditions)
    if len(conditions.columns):
        raise SynthesizerError(
            "conditions of chunks must be a mapping with one value a column, however: a DataFrame: use "
            "sample(len(frame), seed, conditions=frame) for rows of their own"
        )
    return None


def checked_shares(column: Any, shares: Any) -> list[float]:
    """The shares of `rebalance` as floats, in order.

    Raises:
        SchemaError: the column's name is no text.
        SynthesizerError: no mapping, or not positive numbers that sum to 1.
    """
    if not isinstance(column, str):
        raise SchemaError(f"the column to rebalance must be a name, however it is a {type(column).__name__}")
    if not isinstance(shares, Mapping):
        raise SynthesizerError(
            f"the shares of '{column}' must be a mapping (value -> share), however: a {type(shares).__name__}"
        )
    numbers = [_real(share) for share in shares.values()]
    if not numbers or not all(share > 0 for share in numbers) or not abs(sum(numbers) - 1) <= 1e-6:
        raise SynthesizerError(
            f"the shares of '{column}' must be positive and sum to 1, however: {len(numbers)} shares that sum to "
            f"{sum(numbers):g}"
        )
    return numbers


def _real(value: Any) -> float:
    """A number as a float, infinite if it is too large for one; NaN if it is no number."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _one_row(conditions: Mapping[str, Any]) -> pd.DataFrame:
    several = [name for name, value in conditions.items() if not pd.api.types.is_scalar(value)]
    if several:
        raise SynthesizerError(
            f"conditions in a mapping must have one value a column, however these have another object: {several}: give "
            "a DataFrame of num_rows rows for values of their own"
        )
    return pd.DataFrame({name: pd.Series([value], dtype="object") for name, value in conditions.items()})


def _readable(series: pd.Series[Any], metadata: Metadata) -> pd.Series[Any]:
    """Values that `canonical` reads rightly."""
    name, kind = str(series.name), metadata[str(series.name)].type
    if isinstance(series.dtype, pd.CategoricalDtype) or kind is ColumnType.string:
        series = series.astype("object")
    if series.dtype == "object":
        series = series.mask(series.isna(), None)
    if kind is ColumnType.string:
        return series.map(str, na_action="ignore")
    accepted = _READ_AS_INSTANT if kind in INSTANTS else _READ_AS_NUMBER if kind in NUMBERS else None
    found = pd.api.types.infer_dtype(series, skipna=True)
    if accepted is not None and found not in accepted:
        raise SchemaError(f"column '{name}' must hold {kind.value} values, however they are of type {found}")
    return series


def _beyond_calendar(table: pd.DataFrame, metadata: Metadata) -> list[str]:
    """Columns of a canonical frame that hold instants outside the years 1 to 9999."""
    instants = {n: table[n].dropna().to_numpy() for n in table.columns if metadata[n].type in INSTANTS}
    return [n for n, found in instants.items() if ((found < FIRST_INSTANT) | (found >= END_OF_INSTANTS)).any()]


def _is_unicode(series: pd.Series[Any]) -> bool:
    try:
        "".join(map(str, series.dropna().unique())).encode()
    except UnicodeEncodeError:
        return False
    return True


def _infinite(table: pd.DataFrame, metadata: Metadata) -> list[str]:
    """Decimal columns of a canonical frame that hold an infinite number."""
    return [n for n in table.columns if metadata[n].type is ColumnType.decimal and np.isinf(table[n]).any()]
