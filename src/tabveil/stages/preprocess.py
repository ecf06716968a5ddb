"""Stage `preprocess`: is it a table we understand?

Reads: `artifacts/pull/raw`, the dataset's declared columns.
Writes: `artifacts/preprocess/table.parquet` (typed, snake_case, personal data still in it), `profile.json` (fitted
statistics, counts that add up), `quarantine.parquet` (each rejected row with its reason), `transform.sql`.
Fails when: a declared column is missing, an undeclared one is there, or more than `max_rejected_fraction` is rejected;
with `environment.processing=glue` also when the job could cost more than `environment.max_cost_usd`, or does not
succeed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tabveil.artifacts import Artifacts, require, write_json, write_parquet, write_text
from tabveil.config import Config, DatasetConfig, Processing, project_root
from tabveil.preprocess import RunJob, preprocess
from tabveil.stages.app import stage_app


def run(config: Config, artifacts: Artifacts) -> None:
    """Normalise the raw file; every read row ends in the table, among the duplicates or in the quarantine."""
    job = PROCESSING[config.environment.processing](config)
    result = preprocess(require(artifacts.raw, "pull"), config.dataset, config.preprocess, job)
    write_parquet(artifacts.table, result.table)
    write_parquet(artifacts.quarantine, result.quarantine)
    write_text(artifacts.sql, result.sql)
    write_json(artifacts.profile, result.profile)
    for note in rounding_notes(result.profile, config.dataset):
        print(f"note: {note}", file=sys.stderr)


def by_engine(_: Config) -> RunJob | None:
    """Here, by `preprocess.engine`."""
    return None


def by_glue(config: Config) -> RunJob:
    """In a Glue job, whatever `preprocess.engine` says.

    Raises:
        ConfigError: no role is configured, or an unknown worker type.
        CostError: a run could cost more than `environment.max_cost_usd`.
    """
    from tabveil.aws.glue import require_ready  # boto3 is for those who need it

    require_ready(config.environment)
    return partial(run_in_glue, config)


def run_in_glue(config: Config, source: Path, target: Path) -> None:
    """Run the Spark job on Glue, its state told on a terminal, and record what it cost."""
    from tabveil.aws.charges import glue_charge, record, s3_charge
    from tabveil.aws.glue import run_on_glue
    from tabveil.aws.session import connect_aws

    environment = config.environment
    with connect_aws(environment, project_root()) as aws:
        done = run_on_glue(aws, source, target, on_status=tell_status)
        job = glue_charge(environment.prices, done.dpu_seconds)
        record(project_root(), "preprocess", environment, [job, s3_charge(environment.prices, aws.store.requests)])
    print(f"Glue: {done.seconds} s, {job.usage}, about {job.usd:.4f} USD")


def tell_status(status: str) -> None:
    """A line per state on a terminal; logs stay quiet."""
    if sys.stderr.isatty():
        print(f"Glue: {status}", file=sys.stderr, flush=True)


PROCESSING: dict[Processing, Callable[[Config], RunJob | None]] = {
    Processing.in_process: by_engine,
    Processing.glue: by_glue,
}


def rounding_notes(profile: dict[str, Any], dataset: DatasetConfig) -> list[str]:
    """Integer columns that are exact in the table, and that a model of numbers (float64) will round."""
    return [
        f"dataset.columns.{column['name']} holds {column['beyond_exact']} integers beyond 2^53, which a model rounds: "
        "declare sdtype: id or categorical if they name something"
        for column in profile["columns"]
        if "beyond_exact" in column and dataset.columns[column["name"]].policy is None
    ]


main = stage_app("preprocess", run)

if __name__ == "__main__":
    main()
