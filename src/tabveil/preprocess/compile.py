"""Spec and statistics to SQL: a chain of small steps, each one SELECT over the table before.

::

    raw -> bare -> trimmed -> typed -> judged -> accepted -> applied -> checked

`bare` trims text, `trimmed` knows what is missing, `typed` casts, `judged` names what is wrong with a row,
`accepted` numbers repetitions, `applied` clips and imputes with fitted literals, `checked` tests the constraints on
the final values. Every step is materialised, so that no expression is computed twice and the statements stay
readable. Internal columns begin with an underscore, which no declared name does.
"""

from __future__ import annotations

import functools
import operator
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir

from tabveil.constraints import SUM_SLACK
from tabveil.preprocess import cells
from tabveil.preprocess.spec import ColumnPlan, TableSpec
from tabveil.preprocess.statistics import ColumnStatistics, Statistics
from tabveil.schema import ColumnType, ConstraintKind, ConstraintSpec, NullPolicy

_SQL_TYPE = {
    ColumnType.string: "string",
    ColumnType.integer: "int64",
    ColumnType.decimal: "float64",
    ColumnType.boolean: "boolean",
    ColumnType.date: "date",
    ColumnType.datetime: "timestamp",
}
_EXPECTED = {
    ColumnType.integer: "not an integer",
    ColumnType.decimal: "not a number",
    ColumnType.boolean: "not a boolean",
    ColumnType.date: "not a date",
    ColumnType.datetime: "not a date and time",
}
_CREATE = {
    "duckdb": 'CREATE OR REPLACE TEMPORARY TABLE "{name}" AS\n{select}',
    "pyspark": "CREATE OR REPLACE TEMPORARY VIEW `{name}` AS\n{select}",
}


@dataclass(frozen=True)
class Step:
    """One statement: the table it makes and the SELECT that fills it."""

    name: str
    select: str

    def statement(self, dialect: str = "duckdb") -> str:
        """CREATE statement without a final semicolon."""
        return _CREATE[dialect].format(name=self.name, select=self.select)


def to_sql(expression: ir.Table, dialect: str = "duckdb") -> str:
    """SQL text of an Ibis expression."""
    if dialect == "pyspark":
        ibis.pyspark  # noqa: B018 - Ibis registers the dialect when the attribute is first touched
    return str(ibis.to_sql(expression, dialect=dialect))


def bare_step(spec: TableSpec, source: str, dialect: str = "duckdb") -> Step:
    """`raw` -> `bare`: declared names, text without blanks at its ends."""
    schema = {"_row": "int64", **{column.source: "string" for column in spec.columns}}
    raw = ibis.table(schema, name=source)
    values = {column.name: cells.bare(raw[column.source]) for column in spec.columns}
    return Step("bare", to_sql(raw.select("_row", **values), dialect))


def trim_step(spec: TableSpec, dialect: str = "duckdb") -> Step:
    """`bare` -> `trimmed`: null tokens as NULL."""
    table = ibis.table({"_row": "int64", **dict.fromkeys(spec.names, "string")}, name="bare")
    values = {name: cells.without_nulls(table[name], spec.null_tokens) for name in spec.names}
    return Step("trimmed", to_sql(table.select("_row", **values), dialect))


def type_step(spec: TableSpec, signs: dict[str, str], dialect: str = "duckdb") -> Step:
    """`trimmed` -> `typed`: values, and per column that is no string whether it was given at all."""
    table = ibis.table({"_row": "int64", **dict.fromkeys(spec.names, "string")}, name="trimmed")
    values = {c.name: cells.typed(table[c.name], c, spec, signs.get(c.name)) for c in spec.columns}
    given = {_given(c): table[c.name].notnull() for c in _castable(spec)}
    return Step("typed", to_sql(table.select("_row", **values, **given), dialect))


def judge_step(spec: TableSpec, dialect: str = "duckdb") -> Step:
    """`typed` -> `judged`: `_reason`, the first thing that is wrong with the row, or NULL."""
    table = ibis.table(
        {**typed_schema(spec), **{_given(column): "boolean" for column in _castable(spec)}}, name="typed"
    )
    faults = [fault for column in spec.columns for fault in _faults(table, column, spec)]
    faults += [(_broken(table, c), c.label) for c in spec.constraints if c.row_wise]
    return Step("judged", to_sql(table.mutate(_reason=_first(faults)), dialect))


def accept_step(spec: TableSpec, dialect: str = "duckdb") -> Step:
    """`judged` -> `accepted`: rows without a fault; `_repeat` counts exact repetitions from 0 in file order."""
    table = ibis.table({**typed_schema(spec), "_reason": "string"}, name="judged")
    sound = table.filter(table._reason.isnull()).select("_row", *spec.names)
    repeat = ibis.row_number().over(group_by=spec.names, order_by="_row") if spec.deduplicate else ibis.literal(0)
    return Step("accepted", to_sql(sound.mutate(_repeat=repeat.cast("int64")), dialect))


def apply_step(spec: TableSpec, statistics: Statistics, dialect: str = "duckdb") -> Step:
    """`accepted` -> `applied`: first occurrences only, clipped and imputed."""
    table = ibis.table({**typed_schema(spec), "_repeat": "int64"}, name="accepted")
    values = {}
    for column in spec.columns:
        fitted = statistics.columns.get(column.name, ColumnStatistics())
        bounds = (_literal(value, column) for value in (fitted.low, fitted.high, fitted.fill))
        values[column.name] = _applied(table[column.name], *bounds)
    return Step("applied", to_sql(table.filter(table._repeat == 0).select("_row", **values), dialect))


def apply_fitted_step(spec: TableSpec, dialect: str = "pyspark") -> Step:
    """`accepted`, `fitted` -> `applied`: as `apply_step`, with the values of the one row of `fitted`.

    For an engine that fits and applies in one go: `fitted` has ``_low_<name>``, ``_high_<name>`` and ``_fill_<name>``
    of every column that clips or imputes, NULL where there is none.
    """
    types = {c.name: _SQL_TYPE[c.spec.type] for c in spec.columns if c.is_fitted}
    parts = {f"_{part}_{name}": kind for name, kind in types.items() for part in ("low", "high", "fill")}
    table = ibis.table({**typed_schema(spec), "_repeat": "int64"}, name="accepted")
    table = table.filter(table._repeat == 0)
    joined = table.cross_join(ibis.table(parts, name="fitted")) if parts else table
    values = {c.name: _fitted_value(joined, c) for c in spec.columns}
    return Step("applied", to_sql(joined.select("_row", **values), dialect))


def _fitted_value(joined: ir.Table, column: ColumnPlan) -> ir.Value:
    clip, impute = column.spec.clip, column.spec.nulls is NullPolicy.impute
    low, high = (joined[f"_{part}_{column.name}"] if clip else None for part in ("low", "high"))
    return _applied(joined[column.name], low, high, joined[f"_fill_{column.name}"] if impute else None)


def check_step(spec: TableSpec, dialect: str = "duckdb") -> Step:
    """`applied` -> `checked`: `_reason`, the first constraint the final row breaks, or NULL."""
    table = ibis.table(typed_schema(spec), name="applied")
    changed = {c.name for c in spec.columns if c.is_fitted}
    by_row = [c for c in spec.constraints if c.row_wise and changed & set(c.used_columns)]
    checked = table.mutate(_reason=_first([(_broken(table, constraint), constraint.label) for constraint in by_row]))
    for constraint in spec.constraints:
        if constraint.kind is ConstraintKind.unique:
            checked = _unique(checked, constraint)
        if constraint.kind is ConstraintKind.functional_dependency:
            checked = _dependent(checked, constraint)
    return Step("checked", to_sql(checked, dialect))


def _unique(table: ir.Table, constraint: ConstraintSpec) -> ir.Table:
    """Repetitions of the combination among the rows that are sound so far get the constraint as their reason."""
    sound = table._reason.isnull()
    window = ibis.window(group_by=[*constraint.columns, sound], order_by="_row")
    numbered = table.mutate(_place=ibis.row_number().over(window))
    return _with_reason(table, numbered, numbered._reason.isnull() & (numbered._place > 0), constraint)


def _dependent(table: ir.Table, constraint: ConstraintSpec) -> ir.Table:
    """Same rule as `ConstraintSpec.broken`, among the rows that are sound so far and miss none of the columns.

    The rank of a dependent value within its determinants is 0 for the most frequent one, of equals for the smallest.
    """
    names = constraint.used_columns
    judged = table.mutate(_judged=ibis.and_(table._reason.isnull(), *(table[name].notnull() for name in names)))
    frequency = judged[constraint.dependent].count().over(ibis.window(group_by=[*names, "_judged"]))
    counted = judged.mutate(_frequency=frequency)
    order = [ibis.desc("_frequency"), ibis.asc(constraint.dependent)]
    window = ibis.window(group_by=[*constraint.columns, "_judged"], order_by=order)
    ranked = counted.mutate(_place=ibis.rank().over(window))
    return _with_reason(table, ranked, ranked._judged & (ranked._place > 0), constraint)


def _with_reason(table: ir.Table, judged: ir.Table, broken: ir.BooleanValue, constraint: ConstraintSpec) -> ir.Table:
    """The columns of `table` from `judged`, which has more; named one by one: Ibis lists what it drops in any order."""
    return judged.mutate(_reason=ibis.cases((broken, constraint.label), else_=judged._reason)).select(table.columns)


def typed_schema(spec: TableSpec) -> dict[str, str]:
    """Ibis schema of the typed columns, `_row` first."""
    return {"_row": "int64", **{column.name: _SQL_TYPE[column.spec.type] for column in spec.columns}}


def _castable(spec: TableSpec) -> list[ColumnPlan]:
    return [column for column in spec.columns if column.spec.type is not ColumnType.string]


def _given(column: ColumnPlan) -> str:
    return f"_given_{column.name}"


def _faults(table: ir.Table, column: ColumnPlan, spec: TableSpec) -> list[tuple[ir.BooleanValue, str]]:
    """What can be wrong with a column's value, most basic first."""
    value, name, declared = table[column.name], column.name, column.spec
    faults: list[tuple[ir.BooleanValue, str]] = []
    if declared.type is not ColumnType.string and spec.reject_bad_values:
        faults.append((table[_given(column)] & value.isnull(), f"{name}: {_EXPECTED[declared.type]}"))
    if declared.nulls is NullPolicy.drop:
        faults.append((value.isnull(), f"{name}: missing"))
    if column.is_numeric and declared.minimum is not None:
        faults.append((value < _bound(declared.minimum), f"{name}: below minimum"))
    if column.is_numeric and declared.maximum is not None:
        faults.append((value > _bound(declared.maximum), f"{name}: above maximum"))
    return faults


def _bound(value: float) -> int | float:
    """The bound as an integer where it is one, so that large integers are compared exactly."""
    return int(value) if float(value).is_integer() else float(value)


def _first(faults: list[tuple[ir.BooleanValue, str]]) -> ir.Value:
    if not faults:
        return ibis.null("string")
    return ibis.cases(*((fault, ibis.literal(reason)) for fault, reason in faults), else_=ibis.null("string"))


def _broken(table: ir.Table, constraint: ConstraintSpec) -> ir.BooleanValue:
    """Same rule as `ConstraintSpec.broken` for a constraint on single rows; NULL (a missing side) holds."""
    if constraint.kind is ConstraintKind.one_hot:
        return _not_one_hot(table, constraint)
    if constraint.kind is ConstraintKind.sum:
        return _off_total(table, constraint)
    pairs = [(table[low], table[high]) for low, high in constraint.ordered_pairs()]
    return ibis.or_(*(low >= high if constraint.strict else low > high for low, high in pairs))


def _off_total(table: ir.Table, constraint: ConstraintSpec) -> ir.BooleanValue:
    parts = [table[part].cast("float64") for part in constraint.parts]
    total = functools.reduce(operator.add, parts)
    return (table[constraint.total].cast("float64") - total).abs() > constraint.tolerance + SUM_SLACK


def _not_one_hot(table: ir.Table, constraint: ConstraintSpec) -> ir.BooleanValue:
    values = [table[name].cast("float64") for name in constraint.columns]
    ones, zeros = (
        functools.reduce(operator.add, [ibis.cases((value == wanted, 1), else_=0) for value in values])
        for wanted in (1, 0)
    )
    return (ones != 1) | (zeros != len(values) - 1)


def _applied(value: ir.Value, low: ir.Value | None, high: ir.Value | None, fill: ir.Value | None) -> ir.Value:
    if low is not None and high is not None:
        value = ibis.cases((value < low, low), (value > high, high), else_=value)
    return value if fill is None else ibis.coalesce(value, fill)


def _literal(value: object, column: ColumnPlan) -> ir.Value | None:
    return None if value is None else ibis.literal(value).cast(_SQL_TYPE[column.spec.type])
