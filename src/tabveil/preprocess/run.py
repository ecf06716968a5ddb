"""Preprocessing from file to table: load, let an engine run the compiled steps, count."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa

from tabveil.config import DatasetConfig, Engine, PreprocessConfig
from tabveil.errors import SchemaError, TooManyRejectedError
from tabveil.ingest.reader import RawTable, load_raw
from tabveil.preprocess.database import database, fetch_row
from tabveil.preprocess.duckdb_engine import run_on_duckdb
from tabveil.preprocess.local_spark import run_locally
from tabveil.preprocess.outcome import Outcome
from tabveil.preprocess.profile import describe
from tabveil.preprocess.spark_engine import RunJob, run_on_spark
from tabveil.preprocess.spec import TableSpec, table_spec
from tabveil.schema import ColumnType

MALFORMED = "malformed line"
JOBS: dict[Engine, RunJob | None] = {Engine.duckdb: None, Engine.spark: run_locally}
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


def preprocess(
    raw_path: Path, dataset: DatasetConfig, options: PreprocessConfig, run_job: RunJob | None = None
) -> PreprocessResult:
    """Normalise a raw file to the declared table.

    Args:
        run_job: who runs the Spark job; by default `options.engine` decides.

    Raises:
        UnreadableFileError: the file cannot be read in the declared format, dialect or encoding.
        SchemaError: a declared column is missing, an undeclared one is there, or no row is left.
        TooManyRejectedError: the rejected share is above `max_rejected_fraction`.
        ConfigError: a date format, a token list or a constraint cannot be used; Spark is not installed.
        ProcessingError: Spark failed.
        TabVeilError: whatever `run_job` raises.
    """
    job = run_job or JOBS[options.engine]
    with tempfile.TemporaryDirectory(prefix="tabveil-") as folder, database() as connection:
        raw = load_raw(connection, raw_path, dataset.source.format, dataset.csv, name=dataset.source.key)
        spec = table_spec(raw, dataset, options)
        outcome = (
            run_on_duckdb(connection, raw, spec)
            if job is None
            else run_on_spark(connection, raw, spec, Path(folder), job)
        )
        counts = _counts(connection, raw, outcome)
        _check_rejected(counts, dataset, options)
        table = _table(connection, spec)
        return PreprocessResult(
            table=table,
            quarantine=_quarantine(connection, raw, spec),
            profile=describe(table, spec, counts, outcome.statistics, outcome.bad_values),
            sql=outcome.sql,
        )


def _counts(connection: duckdb.DuckDBPyConnection, raw: RawTable, outcome: Outcome) -> dict[str, Any]:
    """read, kept, duplicates, rejected, rejected_by_reason, malformed."""
    grouped = connection.execute("SELECT _reason, count(*) FROM rejected GROUP BY _reason").fetchall()
    by_reason = {reason: int(count) for reason, count in grouped}
    if raw.num_malformed:
        by_reason[MALFORMED] = raw.num_malformed
    counts: dict[str, Any] = {
        "read": raw.num_rows,
        "malformed": raw.num_malformed,
        "duplicates": outcome.num_duplicates,
        "rejected": sum(by_reason.values()),
        "rejected_by_reason": dict(sorted(by_reason.items())),
        "kept": fetch_row(connection, "SELECT count(*) FROM kept")[0],
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
    query = f"SELECT {names} FROM kept ORDER BY _row"  # noqa: S608 - snake_case names
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
        f"FROM {raw.table} r JOIN rejected q ON r._row = q._row "
        f"UNION ALL SELECT _row, '{MALFORMED}', {nothing}, _line FROM {raw.malformed_table} ORDER BY 1"
    )
    arrow: pa.Table = connection.sql(query).to_arrow_table()
    frame: pd.DataFrame = arrow.to_pandas()
    return frame
