"""Declared constraints hold in every row that the TVAE samples, before anything is rejected."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabveil.constraints import ConstraintKind, ConstraintSpec
from tabveil.errors import ModelFileError, TrainingError
from tabveil.schema import ColumnType, canonical
from tabveil.synthesizers import SampleCounts, create_synthesizer, load_synthesizer, sample_chunks
from tabveil.synthesizers.combinations import KnownCombinations
from tabveil.synthesizers.model_folder import MANIFEST

NUM_ROWS = 1200
CITIES = {"Hanoi": ("VN", 84), "Hue": ("VN", 84), "Lyon": ("FR", 33), "Nice": ("FR", 33), "Bonn": ("DE", 49)}
TYPES = {
    "closed": ColumnType.date,
    "opened": ColumnType.date,
    "least": ColumnType.integer,
    "limit": ColumnType.decimal,
    "most": ColumnType.decimal,
    "country": ColumnType.string,
    "city": ColumnType.string,
    "dial": ColumnType.integer,
    "term": ColumnType.integer,
    "product": ColumnType.string,
    "is_a": ColumnType.boolean,
    "is_b": ColumnType.boolean,
    "is_c": ColumnType.boolean,
    "flag_x": ColumnType.integer,
    "flag_y": ColumnType.integer,
}
CONSTRAINTS = (
    ConstraintSpec(kind=ConstraintKind.inequality, low="opened", high="closed", strict=True),
    ConstraintSpec(kind=ConstraintKind.range, low="least", middle="limit", high="most"),
    ConstraintSpec(kind=ConstraintKind.functional_dependency, columns=["city"], dependent="country"),
    ConstraintSpec(kind=ConstraintKind.functional_dependency, columns=["country"], dependent="dial"),
    ConstraintSpec(kind=ConstraintKind.fixed_combinations, columns=["product", "term"]),
    ConstraintSpec(kind=ConstraintKind.one_hot, columns=["is_a", "is_b", "is_c"]),
    ConstraintSpec(kind=ConstraintKind.one_hot, columns=["flag_x", "flag_y"]),
)


def accounts(num_rows: int = NUM_ROWS, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    opened = np.datetime64("2020-01-01", "us") + rng.integers(0, 900, num_rows).astype("timedelta64[D]")
    closed = opened + rng.integers(1, 200, num_rows).astype("timedelta64[D]")
    closed[rng.random(num_rows) < 0.2] = np.datetime64("NaT")
    least = rng.integers(0, 500, num_rows)
    most = least + rng.gamma(2, 100, num_rows).round(1)
    limit = np.clip(least + (most - least) * rng.random(num_rows), least, most).round(2)
    limit = np.clip(limit, least, most)
    limit[rng.random(num_rows) < 0.1] = np.nan
    city = rng.choice(list(CITIES), num_rows)
    product = rng.choice(["card", "loan", "home"], num_rows)
    term = np.select([product == "card", product == "loan"], [0, rng.choice([36, 60], num_rows)], 240)
    hot, flag = rng.integers(0, 3, num_rows), rng.integers(0, 2, num_rows)
    return pd.DataFrame(
        {
            "closed": closed,
            "opened": opened,
            "least": least,
            "limit": limit,
            "most": most,
            "country": [CITIES[name][0] for name in city],
            "city": city,
            "dial": [CITIES[name][1] for name in city],
            "term": term,
            "product": product,
            **{f"is_{name}": hot == i for i, name in enumerate("abc")},
            **{f"flag_{name}": (flag == i).astype(int) for i, name in enumerate("xy")},
        }
    )


@pytest.fixture(scope="module")
def described(make_metadata):
    return make_metadata(TYPES, *CONSTRAINTS)


@pytest.fixture(scope="module")
def real(described):
    return canonical(accounts(), described)


@pytest.fixture(scope="module")
def fitted(real, described, quick):
    synthesizer = create_synthesizer(quick(full_budget_rows=500))
    synthesizer.fit(real, described)
    return synthesizer


def breaking(synthesizer, table) -> dict[str, int]:
    """Broken rows by constraint, those that are broken by one row alone and those of combinations."""
    row_wise = {c.label: int(c.broken(table).sum()) for c in CONSTRAINTS}
    return row_wise | {known.label: int(known.broken(table).sum()) for known in synthesizer.combinations}


def test_the_table_itself_is_sound_and_an_unconstrained_model_breaks_it(real, make_metadata, quick):
    """The positive control: without the constraints the same model breaks every one of them."""
    assert not any(c.broken(real).any() for c in CONSTRAINTS)
    free = create_synthesizer(quick(max_steps=40))
    free.fit(real, make_metadata(TYPES))
    table = free.sample(2000, seed=0)
    judged = [c for c in CONSTRAINTS if c.kind is not ConstraintKind.fixed_combinations]
    assert {c.label: bool(c.broken(table).any()) for c in judged} == {c.label: True for c in judged}
    terms = set(zip(table["product"], table["term"], strict=True))
    assert terms - set(zip(real["product"], real["term"], strict=True))


def test_every_sampled_row_keeps_every_constraint(fitted, real):
    table = fitted.sample(5000, seed=1)
    assert breaking(fitted, table) == dict.fromkeys(breaking(fitted, table), 0)
    assert set(table["city"]) == set(CITIES)
    assert set(table["product"]) == {"card", "loan", "home"}
    assert 0.1 < table["closed"].isna().mean() < 0.35
    durations = (table["closed"] - table["opened"]).dropna()
    assert durations.min() >= pd.Timedelta(days=1)


def test_nothing_is_rejected(fitted):
    counts = SampleCounts()
    table = pd.concat(sample_chunks(fitted, 3000, 0, chunk_rows=1000, counts=counts))
    assert len(table) == 3000
    assert counts.rejected == 0


def test_a_saved_model_keeps_them_too(fitted, tmp_path):
    fitted.save(tmp_path / "model")
    loaded = load_synthesizer(tmp_path / "model")
    assert loaded.sample(500, seed=1).equals(fitted.sample(500, seed=1))
    assert [k.allowed.equals(o.allowed) for k, o in zip(loaded.combinations, fitted.combinations, strict=True)]


@settings(max_examples=12, deadline=None)
@given(row=st.integers(0, NUM_ROWS - 1), names=st.sets(st.sampled_from(sorted(TYPES)), min_size=1, max_size=4))
def test_conditions_on_any_columns_leave_the_rest_in_order(fitted, real, row, names):
    """Also on a later column of a pair, whose earlier one has to make room."""
    given_cells = real[sorted(names)].iloc[[row] * 200].reset_index(drop=True)
    table = fitted.sample(200, seed=3, conditions=given_cells)
    pd.testing.assert_frame_equal(table[sorted(names)], given_cells)
    assert sum(breaking(fitted, table).values()) == 0


def test_imputed_cells_keep_them(fitted, real):
    emptied = ["opened", "limit", "country", "term", "is_b"]
    holes = real.assign(**{name: pd.Series([None] * len(real), dtype="object") for name in emptied})
    whole = fitted.impute(canonical(holes, fitted.metadata), seed=0)
    assert whole["country"].tolist() == real["country"].tolist()
    ends = real[["closed", "most"]].rank(pct=True)
    inner = whole[(ends.fillna(0.5).sub(0.5).abs() < 0.45).all(axis=1)]  # real extremes lie beyond what is ever drawn
    assert len(inner) > 900
    assert sum(breaking(fitted, inner).values()) == 0


def test_a_combination_of_few_people_is_neither_sampled_nor_stored(real, described, quick, tmp_path):
    table = real.copy()
    rare = table.index[table["product"] == "card"][:5]
    table.loc[rare, "term"] = 60
    synthesizer = create_synthesizer(quick(max_steps=100))
    synthesizer.fit(table, described)
    sampled = synthesizer.sample(5000, seed=0)
    assert not ((sampled["product"] == "card") & (sampled["term"] == 60)).any()
    assert ((sampled["product"] == "loan") & (sampled["term"] == 60)).any()
    synthesizer.save(tmp_path / "model")
    known = next(k for k in load_synthesizer(tmp_path / "model").combinations if "product" in k.columns)
    assert ("card", 60) not in set(zip(known.allowed["product"], known.allowed["term"], strict=True))


def test_combinations_that_nobody_shares_are_refused(real, make_metadata, quick):
    constraint = ConstraintSpec(kind=ConstraintKind.fixed_combinations, columns=["most", "opened"])
    with pytest.raises(TrainingError, match="8 people share"):
        create_synthesizer(quick()).fit(real, make_metadata(TYPES, constraint))


def test_equal_values_are_equal_in_combinations_however_they_are_written(make_metadata):
    metadata = make_metadata({"rate": ColumnType.decimal, "count": ColumnType.integer, "kind": ColumnType.string})
    allowed = canonical(pd.DataFrame({"rate": [0.0, np.nan], "count": [1, None], "kind": ["a", None]}), metadata)
    known = KnownCombinations("x", ("rate", "count", "kind"), allowed)
    asked = pd.DataFrame({"rate": [-0.0, np.nan, 0.0], "count": [1, None, 2], "kind": ["a", None, "a"]})
    assert known.broken(canonical(asked, metadata)).tolist() == [False, False, True]
    assert KnownCombinations.from_record(known.to_record(), metadata).allowed.equals(allowed)


def test_combinations_of_open_end_dates_are_read_as_written(make_metadata):
    metadata = make_metadata({"until": ColumnType.date, "kind": ColumnType.string})
    until = np.array(["0001-01-01", "9999-12-31", "NaT"], dtype="datetime64[us]")
    allowed = canonical(pd.DataFrame({"until": until, "kind": ["a", "b", None]}), metadata)
    known = KnownCombinations("x", ("until", "kind"), allowed)
    assert KnownCombinations.from_record(known.to_record(), metadata).allowed.equals(allowed)


@pytest.mark.parametrize("lost", ["all", "one", "rows", "cells"])
def test_a_model_that_lost_its_combinations_is_refused_without_a_value(fitted, tmp_path, lost):
    fitted.save(tmp_path / "model")
    path = tmp_path / "model" / MANIFEST
    manifest = json.loads(path.read_text())
    known = manifest["combinations"]
    if lost == "all":
        known.clear()
    elif lost == "one":
        known.pop()
    elif lost == "rows":
        known[0]["allowed"] = []
    else:
        known[0]["allowed"] = [["Hanoi"]]
    path.write_text(json.dumps(manifest))
    with pytest.raises(ModelFileError, match="not a complete model") as refusal:
        load_synthesizer(tmp_path / "model")
    assert "Hanoi" not in str(refusal.value)
