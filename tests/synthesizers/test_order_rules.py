"""Declared orders hold in every row, also beside exact values that are given."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabveil.constraints import ConstraintKind, ConstraintSpec
from tabveil.errors import SynthesizerError
from tabveil.schema import ColumnType, canonical
from tabveil.synthesizers import create_synthesizer, sample_chunks
from tabveil.synthesizers.tvae.order_rules import on_grid

NUM_ROWS = 1000
TYPES = {
    "high": ColumnType.decimal,
    "low": ColumnType.decimal,
    "last": ColumnType.decimal,
    "first": ColumnType.decimal,
    "used": ColumnType.integer,
    "term": ColumnType.integer,
    "closed": ColumnType.date,
    "opened": ColumnType.date,
}
ORDERS = (
    ConstraintSpec(low="low", high="high"),
    ConstraintSpec(low="first", high="last", strict=True),
    ConstraintSpec(low="used", high="term"),
    ConstraintSpec(low="opened", high="closed", strict=True),
)


def ordered(num_rows: int = NUM_ROWS, seed: int = 0) -> pd.DataFrame:
    """Cents, numbers without a grid, whole numbers below one of four, dates of which some are open."""
    rng = np.random.default_rng(seed)
    low, first, term = rng.gamma(2, 100, num_rows), rng.normal(size=num_rows), rng.choice([12, 24, 36, 60], num_rows)
    opened = np.datetime64("2020-01-01", "us") + rng.integers(0, 900, num_rows).astype("timedelta64[D]")
    closed = opened + rng.integers(1, 200, num_rows).astype("timedelta64[D]")
    closed[rng.random(num_rows) < 0.2] = np.datetime64("NaT")
    return pd.DataFrame(
        {
            "high": (low + rng.gamma(1, 50, num_rows)).round(2) + 0.01,
            "low": low.round(2),
            "last": first + np.abs(rng.normal(size=num_rows)),
            "first": first,
            "used": rng.integers(0, term + 1),
            "term": term,
            "closed": closed,
            "opened": opened,
        }
    )


@pytest.fixture(scope="module")
def described(make_metadata):
    return make_metadata(TYPES, *ORDERS)


@pytest.fixture(scope="module")
def real(described):
    return canonical(ordered(), described)


@pytest.fixture(scope="module")
def fitted(real, described, quick):
    synthesizer = create_synthesizer(quick())
    synthesizer.fit(real, described)
    return synthesizer


def broken(table) -> dict[str, int]:
    return {order.label: int(order.broken(table).sum()) for order in ORDERS}


NONE_BROKEN = {order.label: 0 for order in ORDERS}


@pytest.mark.parametrize(
    "conditions",
    [
        {"low": 150},
        {"low": 150.004},  # between two values of the grid
        {"high": 150.0},
        {"first": 0.3},
        {"last": 0.3, "low": 77.77},
        {"term": 30},  # between two spikes
        {"used": 25},
        {"used": 36},
        {"opened": pd.Timestamp("2021-03-03"), "used": 13},
        {"closed": pd.Timestamp("2021-03-03"), "high": 99.99},
    ],
)
def test_a_given_number_bounds_the_other_side_by_its_exact_value(fitted, conditions):
    rows = fitted.sample(1500, seed=1, conditions=conditions)
    assert broken(rows) == NONE_BROKEN
    assert all((rows[name] == value).all() for name, value in conditions.items())


def test_the_other_side_is_drawn_and_not_only_moved_to_the_bound(fitted):
    rows = fitted.sample(1000, seed=1, conditions={"low": 150.004})
    assert (rows["high"] < 150.02).mean() < 0.05
    assert rows["high"].nunique() > 300


@settings(max_examples=15, deadline=None)
@given(names=st.sets(st.sampled_from(sorted(TYPES)), min_size=1, max_size=5), seed=st.integers(0, 10**6))
def test_any_cells_of_usual_rows_may_be_given(fitted, real, names, seed):
    ranks = real.rank(pct=True).sub(0.5).abs()
    usual = real[(ranks.fillna(0) < 0.45).all(axis=1)]  # the ends of a column lie beyond what is ever drawn
    wanted = usual[sorted(names)].sample(100, random_state=seed % 1000).reset_index(drop=True)
    rows = fitted.sample(100, seed, conditions=wanted)
    assert broken(rows) == NONE_BROKEN
    pd.testing.assert_frame_equal(rows[wanted.columns], wanted)


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ({"low": 77.25, "high": 76.5}, r"conditions must keep low <= high, however 20 rows do not"),
        ({"first": 0.125, "last": 0.125}, r"conditions must keep first < last, however 20 rows do not"),
        ({"opened": "2021-03-03", "closed": "2020-03-03"}, r"conditions must keep opened < closed"),
        ({"low": 1.25e9}, r"conditions on \['low'\] must leave the column 'high' a value .* however 20 rows do not"),
        ({"high": -125.0}, r"conditions on \['high'\] must leave the column 'low' a value"),
        ({"used": 61}, r"conditions on \['used'\] must leave the column 'term' a value"),
    ],
)
def test_conditions_that_cross_or_leave_no_room_are_refused_without_their_values(fitted, conditions, message):
    with pytest.raises(SynthesizerError, match=message) as refusal:
        fitted.sample(20, seed=0, conditions=conditions)
    assert "125" not in str(refusal.value)
    with pytest.raises(SynthesizerError, match=r"conditions"):
        list(sample_chunks(fitted, 20, 0, conditions=conditions))


def test_only_the_rows_that_cross_are_counted(fitted):
    wanted = pd.DataFrame({"low": [5.0, 50.0, 70.0], "high": [60.0, 40.0, 60.0]})
    with pytest.raises(SynthesizerError, match="however 2 rows do not"):
        fitted.sample(3, seed=0, conditions=wanted)


def test_a_side_that_may_be_missing_is_missing_where_nothing_else_is_left(fitted):
    rows = fitted.sample(200, seed=0, conditions={"opened": "2030-01-01"})
    assert rows["closed"].isna().all()


def test_a_column_between_two_given_ones_needs_a_value_of_its_own_grid(make_metadata, quick):
    rng = np.random.default_rng(0)
    low = rng.integers(0, 400, 600) / 4
    table = pd.DataFrame({"low": low, "middle": np.ceil(low) + 2, "high": np.ceil(low) + rng.integers(3, 9, 600)})
    types = {"low": ColumnType.decimal, "middle": ColumnType.integer, "high": ColumnType.decimal}
    spec = ConstraintSpec(kind=ConstraintKind.range, low="low", middle="middle", high="high")
    metadata = make_metadata(types, spec)
    synthesizer = create_synthesizer(quick(max_steps=30))
    synthesizer.fit(canonical(table, metadata), metadata)
    rows = synthesizer.sample(300, 0, conditions={"low": 50.25, "high": 52.75})
    assert set(rows["middle"]) == {51, 52}
    with pytest.raises(SynthesizerError, match=r"conditions on \['low', 'high'\] must leave the column 'middle'"):
        synthesizer.sample(300, 0, conditions={"low": 50.25, "high": 50.75})


def test_imputed_cells_keep_orders_also_beside_extremes(fitted, real):
    rng = np.random.default_rng(3)
    holes = real.copy()
    for name in holes:
        holes.loc[rng.random(len(holes)) < 0.4, name] = None
    holes = canonical(holes, fitted.metadata)
    whole = fitted.impute(holes, seed=0)
    assert broken(whole) == NONE_BROKEN
    for name in holes:
        there = holes[name].notna()
        assert whole[name][there].equals(holes[name][there])


def test_given_cells_that_cross_stay_as_they_are_in_an_imputed_row(fitted, real):
    crossed = real.head(5).assign(low=300.0, high=20.0, term=pd.NA)
    whole = fitted.impute(canonical(crossed, fitted.metadata), seed=0)
    assert (whole["low"] == 300.0).all()
    assert (whole["high"] == 20.0).all()
    assert (whole["used"] <= whole["term"]).all()


@settings(deadline=None)
@given(
    values=st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=5),
    step=st.sampled_from([0.0, 0.01, 0.25, 1.0, 25.0]),
    up=st.booleans(),
    strict=st.booleans(),
)
def test_the_next_value_of_a_grid_is_on_the_right_side_and_near(values, step, up, strict):
    start = np.array(values)
    found = on_grid(start, step, up=up, strict=strict)
    slack = 1e-8 * np.maximum(np.abs(start), 1)
    distance = (found - start) if up else (start - found)
    assert (distance >= -slack).all()
    assert (distance <= step * (1 + strict) + slack).all()
    if strict and step:
        assert (distance > 0).all()


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("low_first", [True, False])
def test_numbers_on_different_grids_keep_their_order(make_metadata, quick, strict, low_first):
    rng = np.random.default_rng(0)
    low = rng.integers(0, 400, 800) / 4
    high = np.floor(low) + rng.integers(1, 4, 800)
    names = ["low", "high"] if low_first else ["high", "low"]
    table = pd.DataFrame({"low": low, "high": high})[names]
    types = {"low": ColumnType.decimal, "high": ColumnType.integer}
    constraint = ConstraintSpec(kind=ConstraintKind.inequality, low="low", high="high", strict=strict)
    metadata = make_metadata({name: types[name] for name in names}, constraint)
    synthesizer = create_synthesizer(quick(full_budget_rows=500))
    synthesizer.fit(canonical(table.astype({"high": "Int64"}), metadata), metadata)
    sampled = synthesizer.sample(5000, seed=0)
    assert not constraint.broken(sampled).any()
    assert sampled["low"].nunique() > 100


@settings(max_examples=8, deadline=None)
@given(order=st.permutations(["a", "b", "c", "d"]))
def test_a_chain_of_orders_holds_whichever_column_is_drawn_last(make_metadata, quick, order):
    rng = np.random.default_rng(0)
    values = np.cumsum(rng.integers(1, 50, (300, 4)), axis=1)
    table = pd.DataFrame(values, columns=list("abcd"))[order]
    chain = [
        ConstraintSpec(kind=ConstraintKind.inequality, low=low, high=high, strict=low == "c")
        for low, high in ("ab", "cd", "bc")
    ]
    metadata = make_metadata(dict.fromkeys(order, ColumnType.integer), *chain)
    synthesizer = create_synthesizer(quick(max_steps=20))
    synthesizer.fit(canonical(table, metadata), metadata)
    sampled = synthesizer.sample(2000, seed=0)
    assert not any(constraint.broken(sampled).any() for constraint in chain)
