"""The compiled steps on DuckDB, in this process."""

from __future__ import annotations

import duckdb

from tabveil.ingest.reader import RawTable
from tabveil.preprocess import compile as steps
from tabveil.preprocess.database import fetch_row
from tabveil.preprocess.fit import fit_signs, fit_statistics
from tabveil.preprocess.outcome import DUPLICATES, REASONS, Outcome, bad_values_query, script
from tabveil.preprocess.spec import TableSpec
from tabveil.preprocess.statistics import Statistics


def run_on_duckdb(connection: duckdb.DuckDBPyConnection, raw: RawTable, spec: TableSpec) -> Outcome:
    """Fit and apply.

    Raises:
        SchemaError: a column to impute holds no value at all.
    """
    made, statistics = _run_steps(connection, raw, spec)
    connection.execute("CREATE VIEW kept AS SELECT * EXCLUDE (_reason) FROM checked WHERE _reason IS NULL")
    connection.execute(f"CREATE VIEW rejected AS {REASONS}")
    return Outcome(
        num_duplicates=fetch_row(connection, DUPLICATES)[0],
        statistics=statistics,
        bad_values=_bad_values(connection, spec),
        sql=script(spec, ((step.name, step.statement()) for step in made)),
    )


def _run_steps(
    connection: duckdb.DuckDBPyConnection, raw: RawTable, spec: TableSpec
) -> tuple[list[steps.Step], Statistics]:
    """Each table is dropped once the next one stands; `judged`'s reasons are kept."""
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
    run(steps.judge_step(spec), "typed")
    run(steps.accept_step(spec))
    statistics = fit_statistics(connection, spec, signs)
    run(steps.apply_step(spec, statistics))
    run(steps.check_step(spec), "applied")
    return made, statistics


def _bad_values(connection: duckdb.DuckDBPyConnection, spec: TableSpec) -> dict[str, int]:
    query = bad_values_query(spec)
    if query is None:
        return {}
    found = connection.execute(query)
    names = [item[0] for item in found.description or ()]
    return {name: int(count) for name, count in zip(names, found.fetchall()[0], strict=True) if count}
