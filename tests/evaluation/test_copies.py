"""The gate as it ships stops a table that copies its training rows, and lets an honest one pass."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from evaluation_tables import metadata, real_table

from tabveil.config import EvaluationConfig
from tabveil.errors import SchemaError
from tabveil.evaluation import Evaluation, evaluate
from tabveil.evaluation.gate import Verdict, judge
from tabveil.schema import DEFAULT_SDTYPE, ENTITY_COLUMN, Column, ColumnType, Metadata, canonical

COPY_CHECKS = {"privacy/dcr_share_closer_to_train_low", "privacy/identical_ratio"}
TYPES = {
    "salary": ColumnType.decimal,
    "firm": ColumnType.string,
    "amount": ColumnType.decimal,
    "kind": ColumnType.string,
}
ACCOUNTS = Metadata(
    "accounts", tuple(Column(n, n, t, DEFAULT_SDTYPE[t]) for n, t in TYPES.items()), entity_key="customer"
)


def verdict(evaluation: Evaluation) -> Verdict:
    return judge(evaluation.metrics, EvaluationConfig(), unexplained_pii_findings=0, real_identity_values=0)


def failed(result: Verdict) -> set[str]:
    return {check.name for check in result.checks if not check.passed}


def noisy(table: pd.DataFrame) -> pd.DataFrame:
    """Every row once more, its numbers changed by a little."""
    rng = np.random.default_rng(0)
    return table.assign(
        amount=(table["amount"] + rng.normal(0, 2, len(table))).round(2),
        income=(table["income"] + rng.normal(0, 2, len(table))).round(2),
    )


def people(num_people: int, seed: int, rows_each: int = 30) -> pd.DataFrame:
    """Rows of people who each keep their salary and a firm that is theirs alone."""
    rng = np.random.default_rng(seed)
    who = np.repeat(np.arange(num_people), rows_each)
    table = pd.DataFrame(
        {
            "salary": rng.gamma(4, 1000, num_people).round(2)[who],
            "firm": np.array([f"firm {seed}-{n}" for n in range(num_people)], dtype=object)[who],
            "amount": rng.gamma(2, 40, len(who)).round(2),
            "kind": rng.choice(["card", "cash", "wire"], len(who)),
            ENTITY_COLUMN: who,
        }
    )
    return canonical(table, ACCOUNTS)


def test_fresh_rows_pass_the_gate_as_it_ships(good: Evaluation) -> None:
    assert verdict(good).passed


def test_training_rows_with_noise_do_not_pass(train: pd.DataFrame, holdout: pd.DataFrame) -> None:
    result = verdict(evaluate(train, holdout, noisy(train), metadata(), EvaluationConfig()))
    assert failed(result) == {"privacy/dcr_share_closer_to_train_low"}
    assert "dataset.entity_key" in result.table()


def test_training_rows_as_they_are_fail_both_checks(copied: Evaluation) -> None:
    assert failed(verdict(copied)) == COPY_CHECKS


def test_people_that_are_memorised_do_not_pass() -> None:
    train, holdout = people(80, 1), people(20, 2)
    made = people(80, 3).assign(salary=train["salary"], firm=train["firm"])  # new transactions of the same people
    metrics = evaluate(train, holdout, made, ACCOUNTS, EvaluationConfig()).metrics
    assert metrics["privacy/dcr_share_closer_to_train_low"] > 0.8


@pytest.mark.parametrize("seed", range(4))
def test_new_people_pass_though_there_are_few(seed: int) -> None:
    train, holdout, made = people(40, 3 * seed), people(10, 3 * seed + 1), people(600, 3 * seed + 2, rows_each=1)
    metrics = evaluate(train, holdout, made, ACCOUNTS, EvaluationConfig()).metrics
    assert metrics["privacy/dcr_share_closer_to_train_low"] < 0.5
    assert metrics["privacy/identical_ratio"] == 1.0
    assert metrics["privacy/dcr_effective_rows"] < 100


def test_a_table_that_does_not_say_whose_its_rows_are_is_refused(train: pd.DataFrame, holdout: pd.DataFrame) -> None:
    described = dataclasses.replace(metadata(), entity_key="customer_id")
    assert evaluate(train, holdout, holdout, described, EvaluationConfig()).rows["train"] == len(train)
    silent = train.drop(columns="customer_id")
    with pytest.raises(SchemaError, match="whose row each is, in column customer_id or _entity"):
        evaluate(silent, holdout, holdout, described, EvaluationConfig())


def test_an_entity_per_row_changes_no_score(train: pd.DataFrame, holdout: pd.DataFrame, good: Evaluation) -> None:
    described = dataclasses.replace(metadata(), entity_key="customer_id")
    fresh = real_table(500, seed=3)
    assert evaluate(train, holdout, fresh, described, EvaluationConfig()).metrics == good.metrics
