"""First pass: what the data says that the SQL needs as literals (signs, clip bounds, medians, modes)."""

from __future__ import annotations

import datetime
from typing import Any

import duckdb
import ibis
import ibis.expr.types as ir

from tabveil.errors import SchemaError
from tabveil.ingest.text import SIGNS, character_class, number_pattern
from tabveil.preprocess.compile import to_sql, typed_schema
from tabveil.preprocess.database import fetch_row
from tabveil.preprocess.spec import ColumnPlan, TableSpec
from tabveil.preprocess.statistics import ColumnStatistics, Statistics, round_to, rounding_step
from tabveil.schema import ColumnType, NullPolicy

_EPOCH = datetime.datetime(1970, 1, 1)
_PERCENT = "%"


def fit_signs(connection: duckdb.DuckDBPyConnection, spec: TableSpec) -> dict[str, str]:
    """The one currency or percent sign of each numeric column of `trimmed`, where it is unambiguous.

    A currency sign is, if the column has no other; bare numbers beside it are the same amount. A percent sign is,
    if every number of the column has it (``5%`` beside ``0.05`` would be two scales).
    """
    table = ibis.table({"_row": "int64", **dict.fromkeys(spec.names, "string")}, name="trimmed")
    numeric = [column for column in spec.columns if column.is_numeric]
    any_sign = character_class("".join(SIGNS))
    marked = _aggregate(connection, table, {c.name: table[c.name].re_search(any_sign).sum() for c in numeric})
    signs = {}
    for column in (column for column in numeric if marked[column.name]):
        sign = _sign(connection, table, column, spec)
        if sign is not None:
            signs[column.name] = sign
    return signs


def _sign(connection: duckdb.DuckDBPyConnection, table: ir.Table, column: ColumnPlan, spec: TableSpec) -> str | None:
    text = table[column.name]
    patterns = {"plain": number_pattern(spec.csv, integer=False)}
    patterns |= {f"sign_{i}": number_pattern(spec.csv, integer=False, sign=sign) for i, sign in enumerate(SIGNS)}
    fits = {name: text.re_search(pattern) for name, pattern in patterns.items()}
    counts = _aggregate(connection, table, {name: fit.sum() for name, fit in fits.items()})
    plain = counts["plain"] or 0
    # a bare number fits every pattern, whatever the sign
    found = [sign for i, sign in enumerate(SIGNS) if (counts[f"sign_{i}"] or 0) > plain]
    if len(found) != 1 or (found == [_PERCENT] and plain):
        return None
    return found[0]


def fit_statistics(connection: duckdb.DuckDBPyConnection, spec: TableSpec, signs: dict[str, str]) -> Statistics:
    """Clip bounds and fills of the columns that ask for them, over the first occurrences in `accepted`.

    Raises:
        SchemaError: a column to impute holds no value at all.
    """
    table = ibis.table({**typed_schema(spec), "_repeat": "int64"}, name="accepted")
    table = table.filter(table._repeat == 0)
    asked = [column for column in spec.columns if column.spec.clip or column.spec.nulls is NullPolicy.impute]
    ordered = [column for column in asked if column.is_numeric or column.is_temporal]
    quantiles = _quantiles(connection, table, ordered, spec)
    columns = {}
    for column in asked:
        if column in ordered:
            fitted = _ordered_statistics(column, *quantiles[column.name])
        else:
            fitted = _mode_statistics(connection, table, column)
        columns[column.name] = fitted
    return Statistics(columns, signs)


def _aggregate(
    connection: duckdb.DuckDBPyConnection, table: ir.Table, measures: dict[str, ir.Scalar]
) -> dict[str, Any]:
    if not measures:
        return {}
    return dict(zip(measures, fetch_row(connection, to_sql(table.aggregate(**measures))), strict=True))


def _quantiles(
    connection: duckdb.DuckDBPyConnection, table: ir.Table, columns: list[ColumnPlan], spec: TableSpec
) -> dict[str, tuple[float | None, float | None, float | None]]:
    """(low, median, high) of each column; moments in seconds since 1970."""
    low, high = spec.clip_quantiles
    measures = {}
    for column in columns:
        value = table[column.name]
        number = value.cast("timestamp").epoch_seconds() if column.is_temporal else value
        for part, level in (("low", low), ("median", 0.5), ("high", high)):
            measures[f"{part}_{column.name}"] = number.cast("float64").quantile(level)
    found = _aggregate(connection, table, measures)
    return {c.name: (found[f"low_{c.name}"], found[f"median_{c.name}"], found[f"high_{c.name}"]) for c in columns}


def _ordered_statistics(
    column: ColumnPlan, low: float | None, median: float | None, high: float | None
) -> ColumnStatistics:
    if low is None or median is None or high is None:
        return _nothing_to_fit(column)
    fill = _fill(column, median, rounding_step(low, high)) if column.spec.nulls is NullPolicy.impute else None
    bounds: tuple[Any, Any] = (None, None)
    if column.spec.clip:
        step = rounding_step(low, high)
        bounds = (_number(column, round_to(low, step, "down"), -1), _number(column, round_to(high, step, "up"), 1))
    return ColumnStatistics(*bounds, fill, None if fill is None else "median")


def _nothing_to_fit(column: ColumnPlan) -> ColumnStatistics:
    if column.spec.nulls is NullPolicy.impute:
        raise SchemaError(
            f"dataset.columns.{column.name} must hold values to impute from, however all are missing: "
            "set nulls: keep, or drop the column"
        )
    return ColumnStatistics()


def _fill(column: ColumnPlan, median: float, step: float) -> int | float | str:
    if column.is_temporal:
        day = (_EPOCH + datetime.timedelta(seconds=median)).date()
        return day.isoformat()
    value = round_to(median, step)
    low = column.spec.minimum if column.spec.minimum is not None else value
    high = column.spec.maximum if column.spec.maximum is not None else value
    return _number(column, min(max(value, low), high), 0)


def _number(column: ColumnPlan, value: float, direction: int) -> int | float:
    """A decimal as it is; for an integer column the next whole number down (-1), nearest (0) or up (1)."""
    if column.spec.type is ColumnType.decimal:
        return value
    return int({-1: value // 1, 0: round(value), 1: -(-value // 1)}[direction])


def _mode_statistics(connection: duckdb.DuckDBPyConnection, table: ir.Table, column: ColumnPlan) -> ColumnStatistics:
    """The most frequent value; of equally frequent ones the smallest."""
    value = table[column.name]
    counted = table.filter(value.notnull()).group_by(value=value).aggregate(frequency=lambda t: t.count())
    top = counted.order_by([counted.frequency.desc(), counted.value.asc()]).limit(1)
    row = fetch_row(connection, to_sql(top))
    if not row:
        return _nothing_to_fit(column)
    return ColumnStatistics(fill=row[0], fill_kind="mode", secret=column.spec.type is ColumnType.string)
