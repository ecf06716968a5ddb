"""Small and odd tables: every one is scored, judged and drawn, or refused in one line; warnings are errors."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from evaluation_tables import metadata, real_table

from tabveil.config import EvaluationConfig
from tabveil.errors import DataError
from tabveil.evaluation import Evaluation, ReportContext, evaluate, judge, render_report, write_plots
from tabveil.schema import ColumnType, Metadata, SDType, canonical

METADATA = metadata()
NAMES = METADATA.modelled_columns
EMPTY = {
    "amount": np.nan,
    "income": np.nan,
    "count": pd.NA,
    "grade": None,
    "region": None,
    "active": pd.NA,
    "opened": pd.NaT,
}
OPEN_END, FIRST_DAY = (np.datetime64(day, "us") for day in ("9999-12-31", "0001-01-01"))

Change = Callable[[pd.DataFrame], pd.DataFrame]


def with_columns(**columns: object) -> Change:
    return lambda table: canonical(table.assign(**columns), METADATA)


def first_rows(name: str, *values: object) -> Change:
    """The first values of a column replaced."""

    def change(table: pd.DataFrame) -> pd.DataFrame:
        replaced = [*values, *table[name].tolist()[len(values) :]]
        return canonical(table.assign(**{name: pd.Series(replaced, dtype=table[name].dtype)}), METADATA)

    return change


def only(*names: str) -> Metadata:
    return replace(METADATA, columns=tuple(METADATA[name] for name in names), target=None)


def declared(**sdtypes: SDType) -> Metadata:
    columns = (replace(c, sdtype=sdtypes.get(c.name, c.sdtype)) for c in METADATA.columns)
    return replace(METADATA, columns=tuple(columns))


def same(table: pd.DataFrame) -> pd.DataFrame:
    return table


def identical(table: pd.DataFrame) -> pd.DataFrame:
    return table.iloc[[3] * len(table)].reset_index(drop=True)


def distinct(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(grade=[f"g{n}" for n in range(len(table))], region=[f"r{n}" for n in range(len(table))])


EVERYWHERE: dict[str, tuple[Change, Metadata]] = {
    "small": (same, METADATA),
    "identical_rows": (identical, METADATA),
    "all_distinct_levels": (distinct, METADATA),
    "all_empty": (with_columns(**EMPTY), METADATA),
    "constant": (with_columns(amount=1.0, income=0.0, count=7, grade="A", region="x", active=True), METADATA),
    "no_category": (same, only("amount", "income", "count", "opened")),
    "no_number": (same, only("grade", "region", "active")),
    "no_target": (same, replace(METADATA, target=None)),
    "target_not_modelled": (same, replace(METADATA, target="customer_id")),
    "target_unknown": (same, replace(METADATA, target="nowhere")),
    "target_empty": (with_columns(grade=None), METADATA),
    "target_constant": (with_columns(grade="A"), METADATA),
    "open_end": (first_rows("opened", *[OPEN_END] * 20, FIRST_DAY), METADATA),
    "all_open_end": (with_columns(opened=OPEN_END), METADATA),
    "first_day": (with_columns(opened=FIRST_DAY), METADATA),
    "outliers": (first_rows("amount", 1e300, -1e300), METADATA),
    "outliers_of_the_target": (first_rows("amount", 1.7e308, -1.7e308), metadata(target="amount")),
    "tiny": (with_columns(amount=lambda t: t["amount"] * 1e-310), METADATA),
    "largest_whole": (first_rows("count", 2**63 - 1, -(2**63), 2**53 + 1), metadata(target="count")),
    "text_called_number": (same, declared(grade=SDType.numerical, region=SDType.datetime)),
    "flag_called_number": (same, declared(active=SDType.numerical)),
    "date_called_number": (same, declared(opened=SDType.numerical)),
    "number_called_date": (same, declared(amount=SDType.datetime)),
    "dates_as_levels": (first_rows("opened", *[OPEN_END] * 20, FIRST_DAY), declared(opened=SDType.categorical)),
    "numbers_as_levels": (same, declared(amount=SDType.categorical, count=SDType.categorical)),
    **{f"only_{name}": (same, only(name)) for name in NAMES},
    **{f"only_empty_{name}": (with_columns(**EMPTY), only(name)) for name in NAMES},
    **{f"only_one_value_{name}": (identical, only(name)) for name in NAMES},
}  # fmt: skip
ONE_SIDED: dict[str, Change] = {
    "all_empty": with_columns(**EMPTY),
    "identical_rows": identical,
    "unseen_levels": with_columns(grade="Z", region="Z"),
    "out_of_range": with_columns(amount=1e300, opened=OPEN_END, count=2**62),
    "empty_numbers": with_columns(**{name: EMPTY[name] for name in ("amount", "count", "opened")}),
    "empty_levels": with_columns(**{name: EMPTY[name] for name in ("grade", "active")}),
}


def examine(train: pd.DataFrame, holdout: pd.DataFrame, made: pd.DataFrame, meta: Metadata, folder: Path) -> Evaluation:
    """Everything that the stage does with an evaluation."""
    evaluation = evaluate(train, holdout, made, meta, EvaluationConfig(num_plots=1))
    assert all(math.isfinite(value) for value in evaluation.metrics.values())
    assert [histogram.column for histogram in evaluation.histograms] == meta.modelled_columns
    assert np.isfinite(evaluation.associations.real).all()
    verdict = judge(evaluation.metrics, EvaluationConfig(), unexplained_pii_findings=0, real_identity_values=0)
    page = render_report(evaluation, verdict, ReportContext("odd", "tvae", 0))
    assert ("Gate passed" in page) == verdict.passed
    assert all(path.stat().st_size for path in write_plots(evaluation, folder, 1))
    return evaluation


@pytest.mark.parametrize("name", EVERYWHERE)
def test_odd_tables_are_scored_and_drawn(name: str, tmp_path: Path) -> None:
    change, meta = EVERYWHERE[name]
    tables = [change(real_table(rows, seed)) for rows, seed in ((60, 1), (50, 2), (60, 3))]
    evaluation = examine(*tables, meta, tmp_path)
    assert 0.0 <= evaluation.metrics.get("quality/overall", 0.0) <= 1.0


@pytest.mark.parametrize("name", ["small", "open_end", "outliers", "largest_whole", "numbers_as_levels"])
def test_a_copy_of_an_odd_table_is_seen(name: str) -> None:
    change, meta = EVERYWHERE[name]
    train, holdout = change(real_table(60, 1)), change(real_table(60, 2))
    metrics = evaluate(train, holdout, train, meta, EvaluationConfig()).metrics
    assert metrics["privacy/identical_share"] == 1.0
    assert metrics["quality/shared_shapes"] == 1.0
    assert metrics["quality/overall"] == pytest.approx(1.0)


@pytest.mark.parametrize("side", ["train", "holdout", "synthetic"])
@pytest.mark.parametrize("name", ONE_SIDED)
def test_one_odd_table_among_three(name: str, side: str, tmp_path: Path) -> None:
    tables = {"train": real_table(60, 1), "holdout": real_table(50, 2), "synthetic": real_table(60, 3)}
    tables[side] = ONE_SIDED[name](tables[side])
    examine(tables["train"], tables["holdout"], tables["synthetic"], METADATA, tmp_path)


@pytest.mark.parametrize("sdtype", [SDType.numerical, SDType.categorical])
@pytest.mark.parametrize("value", [np.inf, -np.inf])
@pytest.mark.parametrize("side", [0, 1, 2])
def test_infinite_numbers_are_refused_by_name(value: float, side: int, sdtype: SDType) -> None:
    tables = [real_table(60, seed) for seed in (1, 2, 3)]
    tables[side] = first_rows("amount", value)(tables[side])
    with pytest.raises(DataError, match="column 'amount' must hold finite numbers"):
        evaluate(*tables, declared(amount=sdtype), EvaluationConfig())


def test_large_codes_are_told_apart() -> None:
    meta = Metadata("one", (declared(count=SDType.categorical)["count"],))
    tables = [pd.DataFrame({"count": pd.array([2**53 + n] * 60, dtype="Int64")}) for n in (0, 0, 1)]
    assert evaluate(*tables, meta, EvaluationConfig()).metrics["privacy/identical_share"] == 0.0


def test_column_types_are_all_here() -> None:
    assert {METADATA[name].type for name in NAMES} == set(ColumnType) - {ColumnType.datetime}
