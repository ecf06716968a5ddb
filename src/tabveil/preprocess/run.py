"""Preprocessing from file to table: load, compile, run on DuckDB, count."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa

from tabveil.config import DatasetConfig, PreprocessConfig
from tabveil.errors import SchemaError, TooManyRejectedError
from tabveil.ingest.reader import RawTable, load_raw
from tabveil.preprocess import compile as steps
from tabveil.preprocess.database import database, fetch_row
from tabveil.preprocess.fit import fit_signs, fit_statistics
from tabveil.preprocess.profile import describe
from tabveil.preprocess.spec import TableSpec, table_spec
from tabveil.preprocess.statistics import Statistics
from tabveil.schema import ColumnType

MALFORMED = "malformed line"
_SHOWN_REASONS = 10


@dataclass(frozen=True)
class PreprocessResult:
    """What preprocessing made.

    Args:
        table: accepted rows in file order, columns in file order with snake_case names and the canonical dtypes of
            `tabveil.schema.PANDAS_DTYPE`.
        quarantine: rejected rows: `_row` (1-based record number in the file), `_reason`, the raw text of every
            column (snake_case names), and `_line`, the text of a record that could not be split into columns.
        profile: columns, counts (``read = kept + duplicates + rejected``) and fitted statistics; JSON-able.
        sql: the statements that made the table, in order.
    """

    table: pd.DataFrame
    quarantine: pd.DataFrame
    profile: dict[str, Any]
    sql: str


def preprocess(raw_path: Path, dataset: DatasetConfig, options: PreprocessConfig) -> PreprocessResult:
    """Normalise a raw file to the declared table.

    Raises:
        UnreadableFileError: the file cannot be read in the declared format, dialect or encoding.
        SchemaError: a declared column is missing, an undeclared one is there, or no row is left.
        TooManyRejectedError: the rejected share is above `max_rejected_fraction`.
        ConfigError: a date format, a token list or a constraint cannot be used.
    """
    with database() as connection:
        raw = load_raw(connection, raw_path, dataset.source.format, dataset.csv, name=dataset.source.key)
        spec = table_spec(raw, dataset, options)
        made, statistics = _run_steps(connection, raw, spec)
        counts = _counts(connection, raw)
        _check_rejected(counts, dataset, options)
        table = _table(connection, spec)
        return PreprocessResult(
            table=table,
            quarantine=_quarantine(connection, raw, spec),
            profile=describe(connection, table, spec, counts, statistics),
            sql=_script(spec, made),
        )


def _run_steps(
    connection: duckdb.DuckDBPyConnection, raw: RawTable, spec: TableSpec
) -> tuple[list[steps.Step], Statistics]:
    """Fit and apply. Each table is dropped once the next one stands; `judged`'s reasons are kept."""
    made: list[steps.Step] = []

    def run(step: steps.Step, *done: str) -> None:
        connection.execute(step.statement())
        made.append(step)
        for table in done:
            connection.execute(f'DROP TABLE "{table}"')

    run(steps.bare_step(spec, raw.table))
    run(steps.trim_step(spec), "bare")
    signs = fit_signs(connection, spec)
    run(steps.type_step(spec, signs), "trimmed")
    run(steps.judge_step(spec))
    run(steps.accept_step(spec))
    statistics = fit_statistics(connection, spec, signs)
    run(steps.apply_step(spec, statistics))
    run(steps.check_step(spec), "applied")
    return made, statistics


def _script(spec: TableSpec, made: list[steps.Step]) -> str:
    """The statements as one text with a header."""
    head = (
        f"-- TabVeil preprocessing: dataset {spec.dataset}, {len(spec.columns)} columns, DuckDB dialect.\n"
        "-- Reads table raw (_row: 1-based record number; c1, c2, ...: text of each cell in file order).\n"
        "-- The result: the rows of table checked whose _reason is null, ordered by _row.\n"
        "-- Numbers in step 'applied' are fitted; run the statements in this order.\n"
    )
    numbered = (f"\n-- {n} of {len(made)}: {step.name}\n{step.statement()};\n" for n, step in enumerate(made, start=1))
    return head + "".join(numbered)


_REASONS = (
    "SELECT _row, _reason FROM judged WHERE _reason IS NOT NULL "
    "UNION ALL SELECT _row, _reason FROM checked WHERE _reason IS NOT NULL"
)


def _counts(connection: duckdb.DuckDBPyConnection, raw: RawTable) -> dict[str, Any]:
    """read, kept, duplicates, rejected, rejected_by_reason, malformed."""
    grouped = connection.execute(f"SELECT _reason, count(*) FROM ({_REASONS}) GROUP BY _reason").fetchall()  # noqa: S608
    by_reason = {reason: int(count) for reason, count in grouped}
    if raw.num_malformed:
        by_reason[MALFORMED] = raw.num_malformed
    counts: dict[str, Any] = {
        "read": raw.num_rows,
        "malformed": raw.num_malformed,
        "duplicates": fetch_row(connection, "SELECT count(*) FROM accepted WHERE _repeat > 0")[0],
        "rejected": sum(by_reason.values()),
        "rejected_by_reason": dict(sorted(by_reason.items())),
        "kept": fetch_row(connection, "SELECT count(*) FROM checked WHERE _reason IS NULL")[0],
    }
    if counts["read"] != counts["kept"] + counts["duplicates"] + counts["rejected"]:
        raise SchemaError(f"every row must be accounted for, however: {counts}")
    return counts


def _check_rejected(counts: dict[str, Any], dataset: DatasetConfig, options: PreprocessConfig) -> None:
    own = dataset.max_rejected_fraction
    limit = own if own is not None else options.max_rejected_fraction
    if counts["rejected"] > limit * counts["read"]:
        raise TooManyRejectedError(
            f"dataset '{dataset.name}': at most {limit:.2%} of the rows may be rejected, however: {counts['rejected']} "
            f"of {counts['read']} ({counts['rejected'] / counts['read']:.2%}): {_reason_table(counts)}; correct "
            "dataset.columns, set preprocess.bad_values: null, or raise dataset.max_rejected_fraction"
        )
    if counts["kept"] == 0:
        raise SchemaError(f"dataset '{dataset.name}': no row is left of {counts['read']} read: {_reason_table(counts)}")


def _reason_table(counts: dict[str, Any]) -> str:
    ranked = sorted(counts["rejected_by_reason"].items(), key=lambda item: (-item[1], item[0]))
    shown = [f"{reason} ({count})" for reason, count in ranked[:_SHOWN_REASONS]]
    more = len(ranked) - len(shown)
    return ", ".join(shown) + (f" and {more} more reasons" if more else "")


def _table(connection: duckdb.DuckDBPyConnection, spec: TableSpec) -> pd.DataFrame:
    """The kept rows with canonical dtypes."""
    names = ", ".join(f'"{name}"' for name in spec.names)
    query = f"SELECT {names} FROM checked WHERE _reason IS NULL ORDER BY _row"  # noqa: S608 - snake_case names
    arrow: pa.Table = connection.sql(query).to_arrow_table()
    return pd.DataFrame(
        {c.name: _series(arrow.column(c.name), c.spec.type) for c in spec.columns}, index=pd.RangeIndex(arrow.num_rows)
    )


def _series(column: pa.ChunkedArray, kind: ColumnType) -> pd.Series[Any]:
    """Arrow to the canonical pandas dtype, integers without a detour through floats."""
    if kind in (ColumnType.date, ColumnType.datetime):
        column = column.cast(pa.timestamp("us"))
    nullable = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}
    series: pd.Series[Any] = column.to_pandas(types_mapper=nullable.get, coerce_temporal_nanoseconds=False)
    return series.astype("float64") if kind is ColumnType.decimal else series


def _quarantine(connection: duckdb.DuckDBPyConnection, raw: RawTable, spec: TableSpec) -> pd.DataFrame:
    """Rejected rows with their raw text, in file order."""
    cells = ", ".join(f'r."{column.source}" AS "{column.name}"' for column in spec.columns)
    nothing = ", ".join("NULL" for _ in spec.columns)
    query = (
        f"SELECT r._row, q._reason, {cells}, CAST(NULL AS VARCHAR) AS _line "  # noqa: S608 - our names
        f"FROM {raw.table} r JOIN ({_REASONS}) q ON r._row = q._row "
        f"UNION ALL SELECT _row, '{MALFORMED}', {nothing}, _line FROM {raw.malformed_table} ORDER BY 1"
    )
    arrow: pa.Table = connection.sql(query).to_arrow_table()
    frame: pd.DataFrame = arrow.to_pandas()
    return frame
