"""First pass: what the data says that the SQL needs as literals (signs, clip bounds, medians, modes)."""

from __future__ import annotations

from typing import Any

import duckdb
import ibis
import ibis.expr.types as ir

from tabveil.errors import SchemaError
from tabveil.ingest.text import SIGNS, character_class, number_pattern
from tabveil.preprocess.cells import whole
from tabveil.preprocess.compile import to_sql, typed_schema
from tabveil.preprocess.database import fetch_row
from tabveil.preprocess.spark_job import CATEGORY, DECIMAL, INTEGER, MOMENT, Ask, fit_ordered, positions, quantiles
from tabveil.preprocess.spec import ColumnPlan, TableSpec
from tabveil.preprocess.statistics import ColumnStatistics, Statistics
from tabveil.schema import ColumnType, NullPolicy

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
    fits = {name: text.re_search(whole(pattern)) for name, pattern in patterns.items()}
    counts = _aggregate(connection, table, {name: fit.sum() for name, fit in fits.items()})
    plain = counts["plain"] or 0
    # a bare number fits every pattern, whatever the sign
    found = [sign for i, sign in enumerate(SIGNS) if (counts[f"sign_{i}"] or 0) > plain]
    if len(found) != 1 or (found == [_PERCENT] and plain):
        return None
    return found[0]


def asks(spec: TableSpec) -> list[Ask]:
    """What the columns that clip or impute want to know."""
    return [
        Ask(c.name, _kind(c), c.spec.clip, c.spec.nulls is NullPolicy.impute, c.spec.minimum, c.spec.maximum)
        for c in spec.columns
        if c.is_fitted
    ]


def fit_levels(spec: TableSpec) -> list[float]:
    """The quantiles of an ordered column: lower bound, median, upper bound."""
    low, high = spec.clip_quantiles
    return [low, 0.5, high]


def fit_statistics(connection: duckdb.DuckDBPyConnection, spec: TableSpec, signs: dict[str, str]) -> Statistics:
    """Clip bounds and fills of the columns that ask for them, over the first occurrences in `accepted`.

    Raises:
        SchemaError: a column to impute holds no value at all.
    """
    wanted = asks(spec)
    fitted = _fit_ordered(connection, spec, [ask for ask in wanted if ask.kind != CATEGORY])
    for ask in wanted:
        if ask.kind == CATEGORY:
            row = fetch_row(connection, mode_query(spec, ask.name))
            fitted[ask.name] = {"fill": row[0], "fill_kind": "mode"} if row else {}
    require_fitted([ask.name for ask in wanted if ask.impute and not fitted[ask.name]])
    return statistics_of(spec, {ask.name: fitted[ask.name] for ask in wanted}, signs)


def statistics_of(spec: TableSpec, fitted: dict[str, dict[str, Any]], signs: dict[str, str]) -> Statistics:
    """Fitted values as `Statistics`; a text column's are secret."""
    text = {column.name for column in spec.columns if column.spec.type is ColumnType.string}
    columns = {name: ColumnStatistics(**values, secret=name in text) for name, values in fitted.items()}
    return Statistics(columns, signs)


def require_fitted(unfit: list[str]) -> None:
    """Refuse columns to impute that hold nothing to impute from.

    Raises:
        SchemaError: there is one.
    """
    if unfit:
        names = ", ".join(f"dataset.columns.{name}" for name in unfit)
        raise SchemaError(
            f"{names} must hold values to impute from, however all are missing: set nulls: keep, or drop the column"
        )


def mode_query(spec: TableSpec, name: str, dialect: str = "duckdb") -> str:
    """SQL of the most frequent value of a column of `accepted`; of equally frequent ones the smallest."""
    table = _accepted(spec)
    value = table[name]
    counted = table.filter(value.notnull()).group_by(value=value).aggregate(frequency=lambda t: t.count())
    return to_sql(counted.order_by([counted.frequency.desc(), counted.value.asc()]).limit(1), dialect)


def value_query(spec: TableSpec, ask: Ask, dialect: str = "duckdb") -> str:
    """SQL of an ordered column of `accepted` as float64 `value`; a moment's day in seconds since 1970."""
    table = _accepted(spec)
    value = table[ask.name]
    number = value.cast("date").cast("timestamp").epoch_seconds() if ask.kind == MOMENT else value
    return to_sql(table.select(value=number.cast("float64")), dialect)


def _accepted(spec: TableSpec) -> ir.Table:
    table = ibis.table({**typed_schema(spec), "_repeat": "int64"}, name="accepted")
    return table.filter(table._repeat == 0)


def _kind(column: ColumnPlan) -> str:
    if column.is_numeric:
        return INTEGER if column.spec.type is ColumnType.integer else DECIMAL
    return MOMENT if column.is_temporal else CATEGORY


def _fit_ordered(
    connection: duckdb.DuckDBPyConnection, spec: TableSpec, wanted: list[Ask]
) -> dict[str, dict[str, Any]]:
    return {ask.name: _ordered(connection, spec, ask) for ask in wanted}


def _ordered(connection: duckdb.DuckDBPyConnection, spec: TableSpec, ask: Ask) -> dict[str, Any]:
    """From exact ranks, so that every engine interpolates between the same two values; empty without any value."""
    query, levels = value_query(spec, ask), fit_levels(spec)
    (count,) = fetch_row(connection, f"SELECT count(value) FROM ({query})")  # noqa: S608
    if not count:
        return {}
    ranks = positions(count, levels)
    shares = ", ".join(repr((rank + 0.5) / count) for rank in ranks)  # half a rank away from any rounding
    (values,) = fetch_row(connection, f"SELECT quantile_disc(value, [{shares}]) FROM ({query})")  # noqa: S608
    return fit_ordered(ask, *quantiles(count, levels, dict(zip(ranks, values, strict=True))))


def _aggregate(
    connection: duckdb.DuckDBPyConnection, table: ir.Table, measures: dict[str, ir.Scalar]
) -> dict[str, Any]:
    if not measures:
        return {}
    return dict(zip(measures, fetch_row(connection, to_sql(table.aggregate(**measures))), strict=True))
