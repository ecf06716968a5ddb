"""The compiled steps on Spark, as one job that somebody runs: a plan and the raw rows in, a table and counts out.

DuckDB only reads the file: it holds the rows as text, finds the signs of numbers (how the file is written, not what it
says) and joins the rejected rows with their text. Typing, judging, deduplication, fit and constraints run where the
job runs.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import duckdb

from tabveil.artifacts import write_json
from tabveil.errors import ProcessingError
from tabveil.ingest.reader import RawTable
from tabveil.preprocess import compile as steps
from tabveil.preprocess.fit import asks, fit_levels, fit_signs, mode_query, require_fitted, statistics_of, value_query
from tabveil.preprocess.outcome import DUPLICATES, REASONS, Outcome, bad_values_query, quoted, script
from tabveil.preprocess.spark_job import CATEGORY
from tabveil.preprocess.spec import ColumnPlan, TableSpec
from tabveil.schema import ColumnType

SPARK = "pyspark"  # Ibis's name of the dialect
PLAN, RAW, TABLE, REJECTS, RESULT = "plan.json", "raw", "table", "rejects", "result"
KEPT_STEPS = {"judged", "accepted", "checked"}  # read more than once
RunJob = Callable[[Path, Path], None]
"""Runs `spark_job.py` with an input folder, and leaves what it wrote in an output folder."""
_SPARK_TYPE = {
    ColumnType.string: "STRING",
    ColumnType.integer: "BIGINT",
    ColumnType.decimal: "DOUBLE",
    ColumnType.boolean: "BOOLEAN",
    ColumnType.date: "DATE",
    ColumnType.datetime: "TIMESTAMP",
}


def run_on_spark(
    connection: duckdb.DuckDBPyConnection, raw: RawTable, spec: TableSpec, folder: Path, run_job: RunJob
) -> Outcome:
    """Fit and apply in a Spark job.

    Args:
        folder: private and empty; must outlive the connection, since its views read from there.
        run_job: see `RunJob`.

    Raises:
        SchemaError: a column to impute holds no value at all.
        ProcessingError: the job left no result, or not all of its rows.
        TabVeilError: whatever `run_job` raises.
    """
    source, target = folder / "input", folder / "output"
    signs = _write_input(connection, raw, spec, source)
    run_job(source, target)
    result = _read_result(target)
    require_fitted(result.get("unfit", []))
    _make_views(connection, target, result["counts"]["kept"]["kept"])
    counted = result["counts"].get("bad_values", {})
    return Outcome(
        num_duplicates=result["counts"]["duplicates"]["duplicates"],
        statistics=statistics_of(spec, result["fitted"], signs),
        bad_values={name: count for name, count in counted.items() if count},
        sql=script(spec, result["statements"], SPARK),
    )


def job_plan(spec: TableSpec, signs: dict[str, str]) -> dict[str, Any]:
    """What `spark_job.py` reads: every statement compiled, JSON-able."""
    clean = [
        steps.bare_step(spec, "raw", SPARK),
        steps.trim_step(spec, SPARK),
        steps.type_step(spec, signs, SPARK),
        steps.judge_step(spec, SPARK),
        steps.accept_step(spec, SPARK),
    ]
    wanted = asks(spec)
    queries = {
        ask.name: (mode_query(spec, ask.name, SPARK) if ask.kind == CATEGORY else value_query(spec, ask, SPARK))
        for ask in wanted
    }
    types = {column.name: _SPARK_TYPE[column.spec.type] for column in spec.columns if column.is_fitted}
    fit = {"columns": [asdict(ask) for ask in wanted], "queries": queries, "types": types, "levels": fit_levels(spec)}
    return {
        "clean": [_record(step) for step in clean],
        "fit": fit,
        "apply": [_record(steps.apply_fitted_step(spec, SPARK)), _record(steps.check_step(spec, SPARK))],
        "table": _table_query(spec),
        "rejects": REASONS,
        "counts": _count_queries(spec),
    }


def _record(step: steps.Step) -> dict[str, Any]:
    return {"name": step.name, "select": step.select, "keep": step.name in KEPT_STEPS}


def _table_query(spec: TableSpec) -> str:
    """The kept rows in file order; a moment without a time zone, as DuckDB has it."""
    values = ", ".join(_plain(column) for column in spec.columns)
    return f"SELECT _row, {values} FROM checked WHERE _reason IS NULL ORDER BY _row"  # noqa: S608 - snake_case names


def _plain(column: ColumnPlan) -> str:
    name = quoted(column.name, SPARK)
    return f"CAST({name} AS TIMESTAMP_NTZ) AS {name}" if column.spec.type is ColumnType.datetime else name


def _count_queries(spec: TableSpec) -> dict[str, str]:
    queries = {"kept": "SELECT count(*) AS kept FROM checked WHERE _reason IS NULL", "duplicates": DUPLICATES}
    bad_values = bad_values_query(spec, SPARK)
    return queries if bad_values is None else {**queries, "bad_values": bad_values}


def _write_input(connection: duckdb.DuckDBPyConnection, raw: RawTable, spec: TableSpec, source: Path) -> dict[str, str]:
    """Write the plan and the raw rows; returns the signs that numbers carry."""
    connection.execute(f"CREATE VIEW bare AS {steps.bare_step(spec, raw.table).select}")
    connection.execute(f"CREATE VIEW trimmed AS {steps.trim_step(spec).select}")
    signs = fit_signs(connection, spec)
    write_json(source / PLAN, job_plan(spec, signs))
    (source / RAW).mkdir()
    target = str(source / RAW / "part-0.parquet").replace("'", "''")
    connection.execute(f"COPY {raw.table} TO '{target}' (FORMAT parquet, COMPRESSION zstd)")
    return signs


def _read_result(target: Path) -> dict[str, Any]:
    """The job's last output.

    Raises:
        ProcessingError: there is none, or it is damaged.
    """
    parts = sorted((target / RESULT).glob("part-*"))
    try:
        (line,) = "".join(part.read_text(encoding="utf-8") for part in parts).splitlines()
        result: dict[str, Any] = json.loads(line)
    except ValueError as err:
        raise ProcessingError("the Spark job must leave a result, however there is none: run it again") from err
    return result


def _make_views(connection: duckdb.DuckDBPyConnection, target: Path, num_kept: int) -> None:
    for view, name in (("kept", TABLE), ("rejected", REJECTS)):
        pattern = str(target / name / "*.parquet").replace("'", "''")
        connection.execute(f"CREATE VIEW {view} AS SELECT * FROM read_parquet('{pattern}')")  # noqa: S608
    (found,) = connection.execute("SELECT count(*) FROM kept").fetchall()[0]
    if found != num_kept:
        raise ProcessingError(
            f"the Spark job must leave the {num_kept} rows that it kept, however {found} arrived: run it again"
        )
