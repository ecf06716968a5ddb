"""Stage `preprocess`: is it a table we understand?

Reads: `artifacts/pull/raw`, the dataset's declared columns.
Writes: `artifacts/preprocess/table.parquet` (typed, snake_case, personal data still in it), `profile.json` (fitted
statistics, counts that add up), `quarantine.parquet` (each rejected row with its reason), `transform.sql`.
Fails when: a declared column is missing, an undeclared one is there, or more than `max_rejected_fraction` is rejected.
"""

from __future__ import annotations

import sys
from typing import Any

from tabveil.artifacts import Artifacts, require, write_json, write_parquet, write_text
from tabveil.config import Config, DatasetConfig
from tabveil.preprocess import preprocess
from tabveil.stages.app import stage_app


def run(config: Config, artifacts: Artifacts) -> None:
    """Normalise the raw file; every read row ends in the table, among the duplicates or in the quarantine."""
    result = preprocess(require(artifacts.raw, "pull"), config.dataset, config.preprocess)
    write_parquet(artifacts.table, result.table)
    write_parquet(artifacts.quarantine, result.quarantine)
    write_text(artifacts.sql, result.sql)
    write_json(artifacts.profile, result.profile)
    for note in rounding_notes(result.profile, config.dataset):
        print(f"note: {note}", file=sys.stderr)


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
