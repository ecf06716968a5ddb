from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from evaluation_tables import independent, metadata, real_table

from tabveil.artifacts import to_json
from tabveil.config import EvaluationConfig
from tabveil.errors import DataError, SchemaError
from tabveil.evaluation import Evaluation, evaluate
from tabveil.schema import SDType

METADATA = metadata()
IN_UNIT_INTERVAL = [
    "quality/overall", "quality/column_shapes", "quality/column_pair_trends", "quality/floor", "quality/ceiling",
    "quality/ceiling_bootstrap", "quality/overall_at_holdout_size", "quality/shared_shapes", "quality/shared_trends",
    "quality/shared_trends_floor", "quality/shared_trends_ceiling", "quality/shared_shapes_ceiling",
    "diagnostic/overall", "detection/c2st_auc", "detection/c2st_auc_ceiling", "utility/tstr", "utility/trtr",
    "utility/all_columns_tstr", "utility/all_columns_trtr", "privacy/dcr_share_closer_to_train",
    "privacy/dcr_share_closer_to_train_low", "privacy/dcr_share_closer_to_train_high", "privacy/nndr",
    "privacy/nndr_holdout", "privacy/identical_share", "privacy/identical_share_holdout", "rare/recall",
    "rare/recall_ceiling", "rare/recall_worst", "rare/coverage",
]  # fmt: skip


@pytest.mark.parametrize("name", IN_UNIT_INTERVAL)
def test_evaluate_bounds_every_share(good: Evaluation, shuffled: Evaluation, copied: Evaluation, name: str) -> None:
    assert all(0.0 <= evaluation.metrics[name] <= 1.0 for evaluation in (good, shuffled, copied))


def test_evaluate_orders_floor_synthetic_and_ceiling(good: Evaluation, shuffled: Evaluation) -> None:
    metrics = good.metrics
    assert metrics["quality/floor"] < metrics["quality/overall"] - 0.05
    assert metrics["quality/floor"] < metrics["quality/ceiling"] <= 1.0
    assert metrics["quality/shared_trends_floor"] < metrics["quality/shared_trends_ceiling"]
    assert shuffled.metrics["quality/overall"] == pytest.approx(metrics["quality/floor"], abs=0.03)


def test_evaluate_has_no_floor_where_no_pair_counts() -> None:
    rng = np.random.default_rng(0)
    frames = [pd.DataFrame({"grade": rng.choice(["A", "B"], 300), "active": rng.random(300) < 0.5}) for _ in range(3)]
    tables = [frame.astype({"grade": "object", "active": "boolean"}) for frame in frames]
    kept = tuple(column for column in METADATA.columns if column.name in ("grade", "active"))
    result = evaluate(*tables, replace(METADATA, columns=kept, target=None, constraints=()), EvaluationConfig())
    assert result.metrics["quality/num_counted_pairs"] == 0
    assert "quality/floor" not in result.metrics
    assert result.metrics["quality/ceiling"] < 1.0
    assert any("there is no floor" in note for note in result.notes)


def test_evaluate_gives_one_to_the_training_table_itself(copied: Evaluation) -> None:
    assert copied.metrics["quality/overall"] == 1.0
    assert copied.metrics["diagnostic/overall"] == 1.0
    assert copied.metrics["quality/association_difference"] == 0.0


def test_evaluate_catches_copied_rows(good: Evaluation, copied: Evaluation) -> None:
    assert copied.metrics["privacy/identical_share"] == 1.0
    assert copied.metrics["privacy/identical_ratio"] > 100
    assert copied.metrics["privacy/dcr_share_closer_to_train"] > 0.7
    assert good.metrics["privacy/identical_share"] == 0.0
    assert good.metrics["privacy/identical_ratio"] == 1.0


def test_evaluate_finds_no_copying_in_fresh_rows(good: Evaluation) -> None:
    metrics = good.metrics
    assert metrics["privacy/dcr_share_closer_to_train"] == pytest.approx(0.5, abs=0.08)
    assert metrics["privacy/dcr_share_closer_to_train_low"] <= 0.5 <= metrics["privacy/dcr_share_closer_to_train_high"]
    assert metrics["privacy/dcr_share_closer_to_holdout"] == 1 - metrics["privacy/dcr_share_closer_to_train"]


def test_evaluate_detects_independent_columns_and_not_fresh_rows(good: Evaluation, shuffled: Evaluation) -> None:
    assert shuffled.metrics["detection/c2st_auc"] > 0.9
    assert good.metrics["detection/c2st_auc"] < 0.65
    assert good.metrics["detection/c2st_auc_ceiling"] < 0.65


def test_evaluate_finds_independent_columns_useless(good: Evaluation, shuffled: Evaluation) -> None:
    assert good.target.kind == "auc"
    assert good.metrics["utility/tstr"] == pytest.approx(good.metrics["utility/trtr"], abs=0.05)
    assert shuffled.metrics["utility/tstr"] < 0.7 < shuffled.metrics["utility/trtr"]
    assert shuffled.metrics["utility/all_columns_tstr"] < 0.5 * shuffled.metrics["utility/all_columns_trtr"]


def test_evaluate_repeats_itself_and_ignores_ids(
    good: Evaluation, train: pd.DataFrame, holdout: pd.DataFrame, fresh: pd.DataFrame
) -> None:
    again = evaluate(train, holdout, fresh.drop(columns="customer_id"), METADATA, EvaluationConfig())
    assert again.metrics == good.metrics
    assert "customer_id" not in set(good.columns["column"])
    assert [h.column for h in good.histograms] == METADATA.modelled_columns


def test_evaluate_metrics_are_plain_json(good: Evaluation) -> None:
    assert json.loads(to_json(good.metrics)) == good.metrics


def test_evaluate_changes_no_global_random_state(train: pd.DataFrame, holdout: pd.DataFrame) -> None:
    before = np.random.get_state()[1].copy()
    evaluate(train[:100], holdout[:60], train[100:200], METADATA, EvaluationConfig())
    assert (np.random.get_state()[1] == before).all()


def test_evaluate_samples_large_tables_and_says_so(train: pd.DataFrame, holdout: pd.DataFrame) -> None:
    evaluation = evaluate(train, holdout, independent(train), METADATA, EvaluationConfig(max_rows=200))
    assert evaluation.rows["train"] == 500
    assert evaluation.rows["train_scored"] == evaluation.rows["synthetic_scored"] == 200
    assert any("200 of 500 train rows" in note for note in evaluation.notes)


def test_evaluate_chooses_a_target_when_none_is_declared(train: pd.DataFrame, holdout: pd.DataFrame) -> None:
    evaluation = evaluate(train, holdout, train[::-1], metadata(target=None), EvaluationConfig(max_rows=150))
    assert evaluation.target.target in {"grade", "active"}
    numeric = evaluate(train, holdout, train[::-1], metadata(target="income"), EvaluationConfig(max_rows=150))
    assert (numeric.target.target, numeric.target.kind) == ("income", "r2")


def test_evaluate_leaves_out_what_cannot_be_computed() -> None:
    constant = real_table(60, seed=1)
    for name in METADATA.modelled_columns:
        constant[name] = constant[name].iloc[0]
    evaluation = evaluate(constant, constant, constant, METADATA, EvaluationConfig())
    assert "utility/tstr" not in evaluation.metrics
    assert "rare/recall" not in evaluation.metrics
    assert evaluation.metrics["quality/overall"] == 1.0
    assert any("utility/tstr" in note for note in evaluation.notes)


def test_evaluate_survives_empty_columns_and_a_single_column() -> None:
    table = real_table(80, seed=1)
    table["income"], table["region"] = np.nan, None
    table["count"] = pd.array([pd.NA] * 80, dtype="Int64")
    evaluation = evaluate(table, table, table, METADATA, EvaluationConfig())
    assert evaluation.metrics["quality/shared_shapes"] == 1.0
    only = replace(METADATA, columns=(METADATA["amount"],), target=None)
    assert evaluate(table, table, table, only, EvaluationConfig()).metrics["quality/overall"] == 1.0


def test_evaluate_names_missing_columns(train: pd.DataFrame, holdout: pd.DataFrame) -> None:
    with pytest.raises(SchemaError, match=r"missing: \['grade'\]"):
        evaluate(train, holdout, train.drop(columns="grade"), METADATA, EvaluationConfig())


@pytest.mark.parametrize("role", ["train", "holdout", "synthetic"])
def test_evaluate_refuses_a_tiny_table(train: pd.DataFrame, role: str) -> None:
    given = {"train": train, "holdout": train, "synthetic": train, role: train[:3]}
    with pytest.raises(DataError, match=f"the {role} table must have at least 20 rows"):
        evaluate(given["train"], given["holdout"], given["synthetic"], METADATA, EvaluationConfig())


def test_evaluate_refuses_metadata_without_modelled_columns(train: pd.DataFrame) -> None:
    ids = replace(METADATA, columns=tuple(replace(c, sdtype=SDType.id) for c in METADATA.columns))
    with pytest.raises(DataError, match="no modelled column"):
        evaluate(train, train, train, ids, EvaluationConfig())
