"""The profile: what is known of the finished table, in counts and fitted statistics only."""

from __future__ import annotations

from typing import Any

import pandas as pd

from tabveil.ingest.names import unique_names
from tabveil.preprocess.spec import ColumnPlan, TableSpec
from tabveil.preprocess.statistics import Statistics
from tabveil.schema import ColumnType, SDType

EXACT_INTEGER = 2**53  # float64 tells whole numbers apart up to here


def describe(
    table: pd.DataFrame,
    spec: TableSpec,
    counts: dict[str, Any],
    statistics: Statistics,
    bad_values: dict[str, int],
) -> dict[str, Any]:
    """Columns, counts and fitted statistics of a finished run as JSON: no category and no row's value.

    Args:
        bad_values: values of any read row that did not fit their type, per column that has some.
    """
    _, collisions = unique_names([column.header for column in spec.columns])
    profile: dict[str, Any] = {
        "dataset": spec.dataset,
        "columns": _column_profiles(table, spec),
        "counts": counts,
        "name_collisions": {name: len(headers) for name, headers in collisions.items()},
        "fitted": statistics.to_dict(),
    }
    if not spec.reject_bad_values:
        profile["bad_values_made_null"] = bad_values
    return profile


def _column_profiles(table: pd.DataFrame, spec: TableSpec) -> list[dict[str, Any]]:
    """Name, original header, type, nulls and distinct values of each column of the kept rows."""
    return [
        {
            "name": column.name,
            "original_name": column.header,
            "type": column.spec.type.value,
            "nulls": int(table[column.name].isna().sum()),
            "distinct": int(table[column.name].nunique()),
            **_rounded(table, column),
        }
        for column in spec.columns
    ]


def _rounded(table: pd.DataFrame, column: ColumnPlan) -> dict[str, int]:
    """How many integers a model of numbers will round; here they are exact."""
    if column.spec.type is not ColumnType.integer or column.spec.resolved_sdtype is not SDType.numerical:
        return {}
    values = table[column.name]
    num_large = int(((values > EXACT_INTEGER) | (values < -EXACT_INTEGER)).sum())
    return {"beyond_exact": num_large} if num_large else {}
