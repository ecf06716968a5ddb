"""The table a scan reads while a dataset is drafted: guessed types applied, whatever does not fit left out."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import duckdb
import pandas as pd

from tabveil.config import TRUE_TOKENS, CsvConfig
from tabveil.ingest.dates import compile_format, parse
from tabveil.ingest.guess import MAX_INTEGER, ColumnGuess
from tabveil.ingest.reader import RawTable
from tabveil.ingest.text import SIGNS, group_marks, trim
from tabveil.schema import PANDAS_DTYPE, ColumnType

MAX_ROWS = 200_000


def typed_sample(
    connection: duckdb.DuckDBPyConnection,
    raw: RawTable,
    guesses: list[ColumnGuess],
    csv: CsvConfig,
    nulls: Collection[str],
) -> pd.DataFrame:
    """Up to `MAX_ROWS` rows, spread over the file, with the canonical dtypes of the guessed types."""
    stride = max(1, -(-raw.num_rows // MAX_ROWS))
    cells = ", ".join(raw.columns)
    query = f'SELECT {cells} FROM "{raw.table}" WHERE _row % {stride} = 0 ORDER BY _row'  # noqa: S608 - our names
    arrow = connection.sql(query).to_arrow_table()
    columns = {}
    for guess, column in zip(guesses, raw.columns, strict=True):
        missing = {*nulls, *guess.null_tokens}
        columns[guess.name] = _typed(arrow.column(column).to_pandas(), guess, csv, missing)
    return pd.DataFrame(columns)


def _typed(texts: pd.Series[Any], guess: ColumnGuess, csv: CsvConfig, missing: Collection[str]) -> pd.Series[Any]:
    read = _reader(guess, csv)
    values = {text: None if trim(text) in missing else read(trim(text)) for text in texts.dropna().unique()}
    typed: list[Any] = [None if text is None else values[text] for text in texts]
    dtype: Any = PANDAS_DTYPE[guess.type]
    return pd.Series(typed, dtype=dtype)


def _reader(guess: ColumnGuess, csv: CsvConfig) -> Callable[[str], Any]:
    if guess.type is ColumnType.boolean:
        return lambda text: text.lower() in TRUE_TOKENS.split()
    if guess.type is ColumnType.integer:
        return lambda text: _integer(text, csv)
    if guess.type is ColumnType.decimal:
        return lambda text: _decimal(text, csv)
    if guess.type in (ColumnType.date, ColumnType.datetime):
        return lambda text: _moment(text, guess)
    return lambda text: text


def _plain_number(text: str, csv: CsvConfig) -> str:
    for mark in (*SIGNS, *group_marks(csv.thousands or ""), " "):
        text = text.replace(mark, "")
    return text.replace(csv.decimal, ".")


def _decimal(text: str, csv: CsvConfig) -> float | None:
    try:
        return float(_plain_number(text, csv))
    except ValueError:
        return None


def _integer(text: str, csv: CsvConfig) -> int | None:
    whole = _plain_number(text, csv).split(".")[0]
    try:
        value = int(whole)
    except ValueError:
        return None
    return value if abs(value) <= MAX_INTEGER else None


def _moment(text: str, guess: ColumnGuess) -> Any:
    for format in guess.formats or ("%Y-%m-%d",):
        moment = parse(compile_format(format), text)
        if moment is not None:
            return moment
    return None
