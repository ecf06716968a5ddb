"""What every engine hands back, and the SQL that is the same for all of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tabveil.preprocess.spec import TableSpec
from tabveil.preprocess.statistics import Statistics
from tabveil.schema import ColumnType

REASONS = (
    "SELECT _row, _reason FROM judged WHERE _reason IS NOT NULL "
    "UNION ALL SELECT _row, _reason FROM checked WHERE _reason IS NOT NULL"
)
DUPLICATES = "SELECT count(*) AS duplicates FROM accepted WHERE _repeat > 0"
_QUOTE = {"duckdb": '"', "pyspark": "`"}
_TITLE = {"duckdb": "DuckDB", "pyspark": "Spark"}


@dataclass(frozen=True)
class Outcome:
    """A finished run: what the engine left in DuckDB, and what it counted.

    In the database stand the views `kept` (`_row` and the typed columns of the accepted rows) and `rejected` (`_row`,
    `_reason`), in any order.

    Args:
        num_duplicates: repetitions that were left out.
        bad_values: per column that has some, values that did not fit their type.
        sql: the statements that ran, with a header.
    """

    num_duplicates: int
    statistics: Statistics
    bad_values: dict[str, int]
    sql: str


def quoted(name: str, dialect: str) -> str:
    """A column's name in SQL."""
    return f"{_QUOTE[dialect]}{name}{_QUOTE[dialect]}"


def bad_values_query(spec: TableSpec, dialect: str = "duckdb") -> str | None:
    """SQL that counts the values of each column that did not fit its type; None if every column is text."""
    names = [column.name for column in spec.columns if column.spec.type is not ColumnType.string]
    measures = [
        f"count(CASE WHEN {quoted(f'_given_{name}', dialect)} AND {quoted(name, dialect)} IS NULL THEN 1 END) "
        f"AS {quoted(name, dialect)}"
        for name in names
    ]
    return f"SELECT {', '.join(measures)} FROM judged" if measures else None  # noqa: S608 - snake_case names


def script(spec: TableSpec, statements: Iterable[tuple[str, str]], dialect: str = "duckdb") -> str:
    """(step, statement) pairs as one text with a header."""
    numbered = list(statements)
    head = (
        f"-- TabVeil preprocessing: dataset {spec.dataset}, {len(spec.columns)} columns, {_TITLE[dialect]} dialect.\n"
        "-- Reads table raw (_row: 1-based record number; c1, c2, ...: text of each cell in file order).\n"
        "-- The result: the rows of table checked whose _reason is null, ordered by _row.\n"
        f"-- Numbers in step '{'applied' if dialect == 'duckdb' else 'fitted'}' are fitted; run the statements in this "
        "order.\n"
    )
    return head + "".join(
        f"\n-- {number} of {len(numbered)}: {name}\n{text};\n" for number, (name, text) in enumerate(numbered, start=1)
    )
