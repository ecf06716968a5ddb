"""Preprocessing on Spark, start to end: the compiled steps, the fit between them, tables and counts.

::

    python spark_job.py --input FOLDER --output FOLDER      (paths or s3:// URIs)

Reads `plan.json` (the steps as SQL, what is to be fitted) and `raw/` (Parquet: `_row` and one text column per cell).
Writes `table/` and `rejects/` (Parquet), and last `result/` (one line of JSON: fitted statistics, counts, the
statements that ran): a folder without `result/` is not a result.

This file travels alone: it needs the standard library and PySpark 3.5 or later, and neither TabVeil nor `awsglue`. A
laptop and AWS Glue run this very file. DuckDB's fit imports the arithmetic of the first half, so that both engines
round alike.
"""

from __future__ import annotations

import argparse
import datetime
import importlib
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

INTEGER, DECIMAL, MOMENT, CATEGORY = "integer", "decimal", "moment", "category"
CREATE_VIEW = "CREATE OR REPLACE TEMPORARY VIEW `{name}` AS\n{select}"
SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",  # an overflow is an error, as in DuckDB
    "spark.sql.variable.substitute": "false",  # a null token may hold ${...}
    "spark.sql.parquet.datetimeRebaseModeInWrite": "CORRECTED",  # one calendar for all years
}
FAILED = "the Spark job failed"
_EPOCH = datetime.datetime(1970, 1, 1)
_FIRST_SECOND = (datetime.datetime.min - _EPOCH).total_seconds()
_LAST_SECOND = (datetime.datetime(9999, 12, 31) - _EPOCH).total_seconds()
_SMALLEST_STEP = 1e-300  # below it, a range is no range: its thousandth is not a number one can divide by


@dataclass(frozen=True)
class Ask:
    """What one column wants to know of the accepted rows.

    Args:
        kind: integer, decimal, moment (a date or datetime, in seconds since 1970) or category.
        clip: bounds at the fitted quantiles.
        impute: a value for missing cells: the median, or the mode of a category.
        minimum, maximum: declared bounds that an imputed number keeps.
    """

    name: str
    kind: str
    clip: bool = False
    impute: bool = False
    minimum: float | None = None
    maximum: float | None = None


def positions(count: int, levels: Sequence[float]) -> list[int]:
    """Ranks (from 0) of the two neighbours of each quantile among `count` sorted values, without repetitions."""
    exact = [level * (count - 1) for level in levels]
    return sorted({rank for at in exact for rank in (math.floor(at), math.ceil(at))})


def quantiles(count: int, levels: Sequence[float], ranked: dict[int, float]) -> list[float]:
    """Linearly interpolated quantiles (Hyndman and Fan 1996, type 7) from the values at `positions`."""
    found = []
    for level in levels:
        at = level * (count - 1)
        low, high = ranked[math.floor(at)], ranked[math.ceil(at)]
        found.append(low + (high - low) * (at - math.floor(at)) + 0.0)  # + 0.0: no negative zero
    return found


def rounding_step(low: float, high: float) -> float:
    """The power of ten just below a thousandth of the range; 0 (no rounding) for a constant or next to constant one."""
    part = (high - low) / 1000
    return 10.0 ** math.floor(math.log10(part)) if part > _SMALLEST_STEP and math.isfinite(part) else 0.0


def round_to(value: float, step: float, direction: str = "nearest") -> float:
    """`value` as a multiple of `step`; `direction` is "nearest", "down" or "up"."""
    if step == 0:
        return float(value)
    quotient = value / step
    whole = {"nearest": round(quotient), "down": math.floor(quotient), "up": math.ceil(quotient)}[direction]
    return float(whole * step) if step >= 1 else round(whole * step, max(0, -round(math.log10(step))))


def fit_ordered(ask: Ask, low: float, median: float, high: float) -> dict[str, Any]:
    """Clip bounds (rounded outwards) and fill of a number or a moment, from its three quantiles."""
    step = rounding_step(low, high)
    fitted: dict[str, Any] = {}
    if ask.impute:
        fitted |= {"fill": _fill(ask, median, step), "fill_kind": "median"}
    if ask.clip:
        fitted["low"] = _number(ask, round_to(low, step, "down"), -1)
        fitted["high"] = _number(ask, round_to(high, step, "up"), 1)
    return fitted


def _fill(ask: Ask, median: float, step: float) -> int | float | str:
    if ask.kind == MOMENT:
        seconds = min(max(median, _FIRST_SECOND), _LAST_SECOND)  # SQL knows the year 0, Python does not
        return (_EPOCH + datetime.timedelta(seconds=seconds)).date().isoformat()
    value = round_to(median, step)
    low = ask.minimum if ask.minimum is not None else value
    high = ask.maximum if ask.maximum is not None else value
    return _number(ask, min(max(value, low), high), 0)


def _number(ask: Ask, value: float, direction: int) -> int | float:
    """A decimal as it is; for an integer column the next whole number down (-1), nearest (0) or up (1)."""
    if ask.kind == DECIMAL:
        return value
    return int({-1: value // 1, 0: round(value), 1: -(-value // 1)}[direction])


def run_job(spark: SparkSession, source: str, target: str) -> None:
    """Run the plan in `source`; see the module's text for what is read and written."""
    for name, value in SETTINGS.items():
        spark.conf.set(name, value)
    plan = json.loads(spark.read.text(f"{source}/plan.json", wholetext=True).collect()[0][0])
    spark.read.parquet(f"{source}/raw").createOrReplaceTempView("raw")
    statements = [(step["name"], _create(spark, step)) for step in plan["clean"]]
    fitted, unfit = _fit(spark, plan["fit"])
    if unfit:
        _write_result(spark, target, {"unfit": unfit})
        return
    found = [{"name": "fitted", "select": _fitted_select(plan["fit"]["types"], fitted)}] if fitted else []
    statements += [(step["name"], _create(spark, step)) for step in [*found, *plan["apply"]]]
    for name in ("table", "rejects"):
        spark.sql(plan[name]).write.parquet(f"{target}/{name}")
    counts = {name: spark.sql(query).collect()[0].asDict() for name, query in plan["counts"].items()}
    result = {"fitted": fitted, "counts": counts, "statements": statements, "spark": spark.version}
    _write_result(spark, target, result)


def _create(spark: SparkSession, step: dict[str, Any]) -> str:
    """Make a step's view; one marked `keep` is computed once and held on the executors' disks. Returns its SQL."""
    from pyspark import StorageLevel

    view = spark.sql(step["select"])
    if step.get("keep"):
        view = view.persist(StorageLevel.DISK_ONLY)
    view.createOrReplaceTempView(step["name"])
    return CREATE_VIEW.format(**step)


def _fit(spark: SparkSession, plan: dict[str, Any]) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """(fitted values by column, columns to impute that hold nothing to impute from)."""
    fitted, unfit = {}, []
    for record in plan["columns"]:
        ask = Ask(**record)
        query = plan["queries"][ask.name]
        found = _mode(spark, query) if ask.kind == CATEGORY else _ordered(spark, ask, query, plan["levels"])
        if found is None and ask.impute:
            unfit.append(ask.name)
        fitted[ask.name] = found or {}
    return fitted, unfit


def _mode(spark: SparkSession, query: str) -> dict[str, Any] | None:
    rows = spark.sql(query).collect()
    return {"fill": rows[0][0], "fill_kind": "mode"} if rows else None


def _ordered(spark: SparkSession, ask: Ask, query: str, levels: list[float]) -> dict[str, Any] | None:
    """From exact ranks: a sort that spills to disk, where Spark's `percentile` holds all values in memory."""
    counted = f"SELECT value, count(*) AS n FROM ({query}) WHERE value IS NOT NULL GROUP BY value"  # noqa: S608
    total = spark.sql(f"SELECT sum(n) FROM ({counted})").collect()[0][0]  # noqa: S608
    if not total:
        return None
    ranks = positions(total, levels)
    ranked = f"SELECT value, sum(n) OVER (ORDER BY value) AS upto FROM ({counted})"  # noqa: S608
    picks = ", ".join(f"min(CASE WHEN upto > {rank} THEN value END)" for rank in ranks)
    values = spark.sql(f"SELECT {picks} FROM ({ranked})").collect()[0]  # noqa: S608
    return fit_ordered(ask, *quantiles(total, levels, dict(zip(ranks, values, strict=True))))


def _fitted_select(types: dict[str, str], fitted: dict[str, dict[str, Any]]) -> str:
    """One row with a column for each fitted value, e.g. ``_low_income``; `types` are Spark's."""
    values = [
        f"CAST({_literal(values.get(part))} AS {types[name]}) AS `_{part}_{name}`"
        for name, values in fitted.items()
        for part in ("low", "high", "fill")
    ]
    return "SELECT\n  " + ",\n  ".join(values)


def _literal(value: object) -> str:
    if value is None:
        return "NULL"
    text = str(value).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{text}'"


def _write_result(spark: SparkSession, target: str, result: dict[str, Any]) -> None:
    from pyspark.sql import functions

    line = spark.range(1).select(functions.lit(json.dumps(result)).alias("value")).coalesce(1)
    line.write.text(f"{target}/result")


def main(arguments: list[str]) -> None:
    """Entry point; unknown arguments are Glue's own."""
    from pyspark.errors import PySparkException
    from pyspark.sql import SparkSession

    java_error: type[Exception] = importlib.import_module("py4j.protocol").Py4JError  # has no types
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--input", required=True)
    parser.add_argument("--output", required=True)
    known, _ = parser.parse_known_args(arguments)
    spark = SparkSession.builder.appName("tabveil-preprocess").getOrCreate()
    spark.sparkContext.setLogLevel("OFF")  # Spark's own error lines quote values; `_kind` says what happened
    try:
        run_job(spark, known.input.rstrip("/"), known.output.rstrip("/"))
    except (java_error, PySparkException) as err:
        sys.exit(f"{FAILED}: {_kind(err)}")  # the message may quote a row's value: it stays behind
    finally:
        spark.stop()


def _kind(err: Any) -> str:
    """What kind of error it was, without its message."""
    java = getattr(err, "java_exception", None)
    names = [type(err).__name__, err.getErrorClass() if hasattr(err, "getErrorClass") else None]
    names.append(java.getClass().getName() if java is not None else None)
    return " ".join(name for name in names if name)


if __name__ == "__main__":
    main(sys.argv[1:])
