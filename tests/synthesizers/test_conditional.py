from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tabveil.config import SDVConfig, TVAEConfig
from tabveil.errors import SchemaError, SynthesizerError
from tabveil.schema import Column, ColumnType, ConstraintKind, ConstraintSpec, Metadata, SDType, canonical
from tabveil.synthesizers import create_synthesizer, load_synthesizer, rebalance, sample_chunks

TOTAL = ConstraintSpec(kind=ConstraintKind.sum, total="total", parts=["income", "bonus"])
ORDERED = ConstraintSpec(kind=ConstraintKind.inequality, low="bonus", high="income")
METADATA = Metadata(
    "people",
    (
        Column("income", "income", ColumnType.decimal, SDType.numerical),
        Column("grade", "grade", ColumnType.string, SDType.categorical),
        Column("owner", "owner", ColumnType.boolean, SDType.boolean),
        Column("bonus", "bonus", ColumnType.integer, SDType.numerical),
        Column("total", "total", ColumnType.decimal, SDType.numerical),
    ),
    constraints=(TOTAL, ORDERED),
)
SHARES = {"a": 0.6, "b": 0.35, "c": 0.05}
QUICK = {"max_steps": 300, "full_budget_rows": 4000, "encoder_dim": 64, "decoder_dim": 64, "latent_dim": 8}
OWNERS = {"a": 0.9, "b": 0.5, "c": 0.1}


def people(num_rows: int = 4000, seed: int = 0) -> pd.DataFrame:
    """The grade decides how likely one owns and, coming after it, what one earned."""
    rng = np.random.default_rng(seed)
    grade = rng.choice(list(SHARES), num_rows, p=list(SHARES.values()))
    owner = rng.random(num_rows) < pd.Series(grade).map(OWNERS)
    income = (rng.gamma(40.0, 50.0, num_rows) + 1000 * (grade == "b") + 3000 * (grade == "c")).round(2)
    bonus = pd.array(rng.integers(0, 500, num_rows), dtype="Int64")
    bonus[rng.random(num_rows) < 0.2] = pd.NA
    table = pd.DataFrame({"income": income, "grade": grade, "owner": owner, "bonus": bonus})
    table["total"] = table["income"] + table["bonus"].astype("float64")
    return canonical(table, METADATA)


@pytest.fixture(scope="module")
def model():
    synthesizer = create_synthesizer(TVAEConfig(**QUICK))
    synthesizer.fit(people(), METADATA)
    return synthesizer


def test_conditions_hold_exactly_and_are_repeatable(model):
    conditions = {"grade": "c", "owner": True, "bonus": 123}
    rows = model.sample(500, seed=3, conditions=conditions)
    assert len(rows) == 500
    for name, value in conditions.items():
        assert (rows[name] == value).all()
    pd.testing.assert_frame_equal(rows, model.sample(500, seed=3, conditions=conditions))
    assert not rows.equals(model.sample(500, seed=4, conditions=conditions))


def test_totals_are_computed_from_conditioned_parts(model):
    rows = model.sample(200, seed=0, conditions={"bonus": 100})
    np.testing.assert_allclose(rows["total"], rows["income"] + 100)


@pytest.mark.parametrize(("name", "value"), [("owner", True), ("owner", False), ("bonus", 250), ("bonus", None)])
def test_a_later_column_as_condition_moves_earlier_ones_as_rejection_would(model, name, value):
    free = model.sample(20_000, seed=1)
    chosen = (
        free[name].isna()
        if value is None
        else (free[name].astype("float64") - float(value)).abs() <= 20 * (name == "bonus")
    )
    kept, rows = free[chosen.fillna(False).astype(bool)], model.sample(2000, seed=2, conditions={name: value})
    wanted, found = (table["grade"].value_counts(normalize=True) for table in (kept, rows))
    assert (wanted - found).abs().max() < 0.05
    assert abs(kept["income"].mean() / rows["income"].mean() - 1) < 0.05


def test_the_posterior_of_the_grade_given_ownership_is_that_of_the_table(model):
    rows = model.sample(4000, seed=5, conditions={"owner": False})
    joint = {grade: SHARES[grade] * (1 - OWNERS[grade]) for grade in SHARES}
    expected = {grade: share / sum(joint.values()) for grade, share in joint.items()}
    found = rows["grade"].value_counts(normalize=True)
    assert all(abs(found[grade] - expected[grade]) < 0.08 for grade in SHARES)


def test_a_frame_of_conditions_is_met_row_by_row(model):
    wanted = people(300, seed=9)[["grade", "income"]]
    rows = model.sample(300, seed=0, conditions=wanted)
    pd.testing.assert_frame_equal(rows[["grade", "income"]], wanted)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.sets(st.sampled_from(["income", "grade", "owner", "bonus"]), min_size=1), seed=st.integers(0, 1000))
def test_any_subset_of_columns_may_be_given(model, names, seed):
    wanted = people(40, seed)[sorted(names)]
    rows = model.sample(40, seed, conditions=wanted)
    pd.testing.assert_frame_equal(rows[sorted(names)], wanted)
    assert list(rows.columns) == METADATA.modelled_columns


@pytest.mark.parametrize(
    ("conditions", "error", "message"),
    [
        ({"grad": "a"}, SchemaError, r"conditions must be on modelled columns, however: \['grad'\]; there are:"),
        ({"grade": "zzz"}, SynthesizerError, r"column 'grade' must be values that the model has learned, however 10"),
        ({"income": None}, SynthesizerError, "column 'income' must be missing values that the model has learned"),
        ({"income": "much"}, SchemaError, "column 'income' must hold decimal values"),
        (pd.DataFrame({"grade": ["a"]}), SynthesizerError, "a frame of num_rows=10 rows"),
    ],
)
def test_wrong_conditions_are_refused(model, conditions, error, message):
    with pytest.raises(error, match=message) as caught:
        model.sample(10, seed=0, conditions=conditions)
    assert "zzz" not in str(caught.value)


def test_imputation_fills_the_gaps_and_nothing_else(model):
    real = people(1000, seed=3)
    gaps = real.copy()
    rng = np.random.default_rng(0)
    for name in ("income", "grade", "owner"):
        gaps.loc[rng.random(1000) < 0.3, name] = None
    gaps = canonical(gaps, METADATA)
    filled = model.impute(gaps, seed=0)
    assert not filled.isna().any().any()
    for name in METADATA.modelled_columns:
        there = gaps[name].notna()
        assert filled[name][there].equals(gaps[name][there])
    known = real["grade"] == "a"
    guessed = filled["owner"][gaps["owner"].isna() & known & gaps["grade"].notna()]
    assert abs(guessed.mean() - OWNERS["a"]) < 0.1


def test_imputation_takes_rows_with_values_the_model_never_saw(model):
    odd = canonical(people(20, seed=1).assign(grade="unheard of", income=1e9, bonus=pd.NA, total=np.nan), METADATA)
    filled = model.impute(odd, seed=0)
    assert (filled["grade"] == "unheard of").all()
    assert (filled["income"] == 1e9).all()
    assert filled["bonus"].notna().all()
    np.testing.assert_allclose(filled["total"], 1e9 + filled["bonus"].astype("float64"))


def test_imputation_refuses_a_table_without_its_columns(model):
    with pytest.raises(SchemaError, match=r"these miss: \['bonus'\]"):
        model.impute(people(5).drop(columns="bonus"), seed=0)
    with pytest.raises(SynthesizerError, match="must hold a row, however it is empty"):
        model.impute(people(5).head(0), seed=0)


def test_log_prob_tells_likely_rows_from_unlikely_ones(model):
    fresh = people(500, seed=11)
    shuffled = canonical(fresh.assign(grade=fresh["grade"].iloc[::-1].to_numpy()), METADATA)
    assert model.log_prob(fresh).mean() > model.log_prob(shuffled).mean() + 0.5
    np.testing.assert_array_equal(model.log_prob(fresh, seed=1), model.log_prob(fresh, seed=1))
    assert model.log_prob(fresh).shape == (500,)


def test_log_prob_of_a_categorical_table_is_its_distribution():
    metadata = Metadata("pair", METADATA.columns[1:3])
    synthesizer = create_synthesizer(TVAEConfig(**QUICK))
    synthesizer.fit(people()[["grade", "owner"]], metadata)
    rows = pd.DataFrame({"grade": list("aabbcc"), "owner": pd.array([True, False] * 3, dtype="boolean")})
    exact = [
        SHARES[g] * (OWNERS[g] if owns else 1 - OWNERS[g]) for g, owns in zip(rows["grade"], rows["owner"], strict=True)
    ]
    np.testing.assert_allclose(np.exp(synthesizer.log_prob(rows)), exact, atol=0.03)


def test_rebalanced_shares_are_exact_and_constraints_hold(model):
    rows = rebalance(model, "grade", {"a": 0.2, "b": 0.3, "c": 0.5}, num_rows=1001, seed=0)
    assert rows["grade"].value_counts().to_dict() == {"c": 501, "b": 300, "a": 200}
    assert not any(constraint.broken(rows).any() for constraint in METADATA.modelled_constraints)
    by_grade = rows.groupby("grade")["income"].mean()
    assert by_grade["c"] > by_grade["b"] > by_grade["a"]
    assert rows["grade"].iloc[:100].nunique() == 3


@pytest.mark.parametrize("shares", [{}, {"a": 0.5, "b": 0.4}, {"a": 1.5, "b": -0.5}])
def test_rebalance_refuses_shares_that_are_none(model, shares):
    with pytest.raises(SynthesizerError, match="must be positive and sum to 1"):
        rebalance(model, "grade", shares, num_rows=10, seed=0)


def test_chunks_keep_constraints_under_conditions(model):
    chunks = list(sample_chunks(model, 700, 0, chunk_rows=300, conditions={"grade": "b"}))
    assert [len(chunk) for chunk in chunks] == [300, 300, 100]
    table = pd.concat(chunks)
    assert (table["grade"] == "b").all()
    assert not ORDERED.broken(table).any()


def test_a_loaded_model_answers_alike(model, tmp_path):
    model.save(tmp_path / "model")
    loaded = load_synthesizer(tmp_path / "model")
    conditions = {"grade": "b"}
    pd.testing.assert_frame_equal(
        loaded.sample(50, 0, conditions=conditions), model.sample(50, 0, conditions=conditions)
    )
    np.testing.assert_array_equal(loaded.log_prob(people(50)), model.log_prob(people(50)))


def test_baselines_say_that_they_take_no_conditions():
    baseline = create_synthesizer(SDVConfig(name="sdv_gaussian_copula", seed=0))
    baseline.fit(people(300)[["grade", "owner"]], Metadata("pair", METADATA.columns[1:3]))
    with pytest.raises(SynthesizerError, match="need synthesizer 'tvae'"):
        baseline.sample(5, 0, conditions={"grade": "a"})
    with pytest.raises(SynthesizerError, match="log_prob needs synthesizer 'tvae'"):
        baseline.log_prob(people(5))
