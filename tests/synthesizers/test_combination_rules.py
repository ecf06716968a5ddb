"""Combinations of the TVAE: joined where they share columns, kept in every row, found by index."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tabveil.constraints import ConstraintKind, ConstraintSpec
from tabveil.errors import SynthesizerError, TrainingError
from tabveil.schema import ColumnType, canonical
from tabveil.synthesizers import create_synthesizer, rebalance
from tabveil.synthesizers.tvae import relations
from tabveil.synthesizers.tvae.combination_rules import MAX_INDEXES, CombinationRule
from tabveil.synthesizers.tvae.relations import Relation, relations_of
from tabveil.synthesizers.tvae.rows import Seen

NAMES = ["a", "b", "c", "d"]


def fixed(*columns: str) -> ConstraintSpec:
    return ConstraintSpec(kind=ConstraintKind.fixed_combinations, columns=list(columns))


def dependency(determinant: str, dependent: str) -> ConstraintSpec:
    return ConstraintSpec(kind=ConstraintKind.functional_dependency, columns=[determinant], dependent=dependent)


@pytest.fixture(scope="session")
def fit(make_metadata, quick):
    """`fit(frame of text, *constraints, **settings)`, barely trained: the worst case for what a model must keep."""

    def fitted(table, *constraints, **options):
        metadata = make_metadata(dict.fromkeys(table.columns, ColumnType.string), *constraints)
        synthesizer = create_synthesizer(quick(**{"max_steps": 3, **options}))
        synthesizer.fit(canonical(table, metadata), metadata)
        return synthesizer

    return fitted


def broken(synthesizer, table: pd.DataFrame) -> int:
    return sum(int(known.broken(table).sum()) for known in synthesizer.combinations)


def places(num_rows: int = 1500) -> pd.DataFrame:
    """A city has one state, a state one country; half of the rows lie in country 0."""
    rng = np.random.default_rng(0)
    state = rng.choice(12, num_rows, p=[0.4] + [0.6 / 11] * 11)
    city = state * 2 + rng.integers(0, 2, num_rows)
    return pd.DataFrame({"city": city, "state": state, "country": np.minimum(state, 3)}).astype(str)


class Cells:
    """Rows whose cells are given: `tokens` int64 (num_rows, num_columns), -1 where not known."""

    def __init__(self, tokens: np.ndarray) -> None:
        self.tokens = torch.from_numpy(tokens)

    def seen(self, column: int) -> Seen:
        return Seen(self.tokens[:, column].clamp(min=0), None, self.tokens[:, column] >= 0)


def allowed_one_by_one(rows: np.ndarray, cells: np.ndarray, column: int, num_tokens: int) -> np.ndarray:
    """The definition, row by row; known cells that no row has leave everything open."""
    result = np.zeros((len(cells), num_tokens), dtype=bool)
    for i, cell in enumerate(cells):
        others = [c for c in range(rows.shape[1]) if c != column and cell[c] >= 0]
        fitting = (rows[:, others] == cell[others]).all(axis=1)
        result[i, rows[fitting, column] if fitting.any() else slice(None)] = True
    return result


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), num_columns=st.integers(2, 5), num_rows=st.integers(1, 60))
def test_the_index_finds_what_the_definition_says_for_any_known_cells(seed, num_columns, num_rows):
    rng = np.random.default_rng(seed)
    rows = np.unique(rng.integers(0, 6, (num_rows, num_columns)), axis=0)
    cells = np.where(rng.random((25, num_columns)) < 0.5, rng.integers(0, 8, (25, num_columns)), -1)
    rule = CombinationRule(Relation(tuple(range(num_columns)), rows, ("x",)), [8] * num_columns)
    for column in range(num_columns):
        found = rule.allowed(Cells(cells), column, 8).numpy()
        assert np.array_equal(found, allowed_one_by_one(rows, cells, column, 8))
    fitting = [any(all(c in (-1, r) for c, r in zip(cell, row, strict=True)) for row in rows) for cell in cells]
    assert rule.has_room(Cells(cells)).tolist() == fitting


def test_twenty_thousand_combinations_are_found_as_one_is():
    rng = np.random.default_rng(0)
    rows = np.unique(rng.integers(0, 5000, (20_000, 3)), axis=0)
    cells = rows[rng.integers(0, len(rows), 500)]
    rule = CombinationRule(Relation((0, 1, 2), rows, ("x",)), [5000] * 3)
    found = rule.allowed(Cells(cells), 2, 5000).numpy()
    assert found[np.arange(500), cells[:, 2]].all()
    assert found.sum() == allowed_one_by_one(rows, cells, 2, 5000).sum()


def test_wide_rules_neither_overflow_nor_keep_an_index_of_every_pattern():
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 5000, (300, 40))  # 5000^40 combinations of tokens
    cells = np.where(rng.random((200, 40)) < 0.7, rows[rng.integers(0, 300, 200)], -1)
    rule = CombinationRule(Relation(tuple(range(40)), rows, ("x",)), [5000] * 40)
    found = rule.allowed(Cells(cells), 7, 5000).numpy()
    assert np.array_equal(found, allowed_one_by_one(rows, cells, 7, 5000))
    assert len(rule._indexes) <= MAX_INDEXES


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**31), order=st.permutations(NAMES), count=st.integers(2, 3), asked=st.integers(0, 3))
def test_every_sampled_row_keeps_rules_that_share_columns_in_any_order(fit, seed, order, count, asked):
    rng = np.random.default_rng(seed)
    people = rng.integers(0, 5, (12, 4))[rng.integers(0, 12, 600)].astype(str)
    table = pd.DataFrame(people, columns=NAMES)[order]
    rules = [fixed(*rng.choice(NAMES, rng.integers(2, 4), replace=False)) for _ in range(count)]
    synthesizer = fit(table, *rules)
    shared = table[~np.logical_or.reduce([known.broken(table) for known in synthesizer.combinations])]
    names = sorted(rng.choice(NAMES, asked, replace=False))
    conditions = shared[names].sample(200, replace=True, random_state=0).reset_index(drop=True) if names else None
    sampled = synthesizer.sample(200, seed=1, conditions=conditions)
    assert broken(synthesizer, sampled) == 0
    if conditions is not None:
        pd.testing.assert_frame_equal(sampled[names], conditions)


def test_a_shared_column_that_is_drawn_last_leaves_no_dead_end(fit):
    rng = np.random.default_rng(0)
    b = rng.integers(0, 8, 1500)
    table = pd.DataFrame({"a": b * 3 + rng.integers(0, 3, 1500), "c": b * 2 + rng.integers(0, 2, 1500), "b": b})
    synthesizer = fit(table.astype(str), fixed("a", "b"), fixed("b", "c"))
    sampled = synthesizer.sample(2000, seed=0)
    assert broken(synthesizer, sampled) == 0
    assert sampled["a"].nunique() > 12


def test_a_chain_of_dependencies_holds_given_its_end(fit):
    synthesizer = fit(places(), dependency("city", "state"), dependency("state", "country"))
    sampled = synthesizer.sample(1000, seed=0, conditions={"country": "1"})
    assert broken(synthesizer, sampled) == 0
    assert set(sampled["state"]) == {"1"}
    balanced = rebalance(synthesizer, "country", {"1": 0.5, "2": 0.5}, 400, seed=0)
    assert broken(synthesizer, balanced) == 0


def test_relations_beyond_the_limit_stay_apart(fit, monkeypatch):
    synthesizer = fit(places(), dependency("city", "state"), dependency("state", "country"))
    tokenizer = synthesizer._fitted()[0]
    whole = relations_of(tokenizer, synthesizer.combinations)
    assert [(relation.columns, len(relation.rows)) for relation in whole] == [((0, 1, 2), 24)]
    monkeypatch.setattr(relations, "MAX_JOINT_ROWS", 23)
    assert [relation.columns for relation in relations_of(tokenizer, synthesizer.combinations)] == [(0, 1), (1, 2)]


@pytest.mark.parametrize(
    ("conditions", "names"),
    [
        ({"city": "0", "state": "5"}, ["city", "state"]),  # of one constraint
        ({"city": "0", "country": "2"}, ["city", "country"]),  # only of both together
    ],
)
def test_conditions_that_never_go_together_are_refused_without_a_value(fit, conditions, names):
    table = places().rename(columns=str.upper).replace({"0": "Hanoi"})
    synthesizer = fit(table, dependency("CITY", "STATE"), dependency("STATE", "COUNTRY"))
    asked = {name.upper(): "Hanoi" if value == "0" else value for name, value in conditions.items()}
    with pytest.raises(SynthesizerError, match="must be part of a combination") as refusal:
        synthesizer.sample(10, seed=0, conditions=asked)
    assert str([name.upper() for name in names]) in str(refusal.value)
    assert "Hanoi" not in str(refusal.value)


def test_one_contradicting_row_of_many_is_counted(fit):
    synthesizer = fit(places(), dependency("city", "state"), dependency("state", "country"))
    conditions = places()[["city", "country"]].iloc[:50].reset_index(drop=True)
    synthesizer.sample(50, seed=0, conditions=conditions)
    conditions.loc[7, "country"] = "1" if conditions.loc[7, "country"] != "1" else "2"
    with pytest.raises(SynthesizerError, match="however 1 rows"):
        synthesizer.sample(50, seed=0, conditions=conditions)


def test_imputed_rows_that_contradict_one_constraint_keep_the_other(fit):
    synthesizer = fit(places(), dependency("city", "state"), dependency("state", "country"))
    holes = pd.DataFrame({"city": ["0"] * 100, "state": ["5"] * 100, "country": [None] * 100})
    filled = synthesizer.impute(holes, seed=0)
    assert set(filled["country"]) == {"3"}  # the state's
    assert filled[["city", "state"]].equals(canonical(holes, synthesizer.metadata)[["city", "state"]])


def shifted(num_rows: int = 3000) -> pd.DataFrame:
    """The most frequent values of `a` never occur with the most frequent ones of `b`."""
    rng = np.random.default_rng(0)
    a = rng.choice(20, num_rows, p=np.r_[[0.15] * 3, [0.55 / 17] * 17])
    b = np.where(a < 3, rng.integers(10, 30, num_rows), a % 4)
    return pd.DataFrame({"a": a, "b": b}).astype(str)


def test_the_categories_kept_go_together(fit):
    table = shifted()
    synthesizer = fit(table, fixed("a", "b"), max_categories=3)
    assert all(len(codec.categories) == 3 for codec in synthesizer._fitted()[0].codecs)
    sampled = synthesizer.sample(500, seed=0)
    assert broken(synthesizer, sampled) == 0
    assert len(sampled.drop_duplicates()) >= 3


def test_constraints_without_a_common_combination_are_refused_before_training(make_metadata, quick):
    half = np.arange(400) % 2 == 0
    lonely = [f"only{i}" for i in range(400)]
    table = pd.DataFrame({"a": np.where(half, "x", lonely), "b": np.where(half, "p", "q")})
    table["c"] = np.where(half, lonely, "z")
    metadata = make_metadata(dict.fromkeys("abc", ColumnType.string), fixed("a", "b"), fixed("b", "c"))
    losses = []
    with pytest.raises(TrainingError, match=r"fixed_combinations\(a, b\).*must leave a combination"):
        create_synthesizer(quick()).fit(canonical(table, metadata), metadata, on_loss=losses.append)
    assert not losses


def test_a_given_total_that_no_combination_sums_to_is_refused(make_metadata, quick):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"a": rng.integers(0, 3, 1000)})
    table["b"] = table["a"] * 10
    table["t"] = table["a"] + table["b"]
    constraints = [
        ConstraintSpec(kind=ConstraintKind.fixed_combinations, columns=["a", "b"]),
        ConstraintSpec(kind=ConstraintKind.sum, total="t", parts=["a", "b"]),
    ]
    model = create_synthesizer(quick(max_steps=10))
    model.fit(table, make_metadata(dict.fromkeys(table, ColumnType.integer), *constraints))
    assert (model.sample(5, seed=0, conditions={"t": 22})[["a", "b"]] == [2, 20]).all(axis=None)
    for conditions in ({"a": 1, "t": 12}, {"t": 15}):
        with pytest.raises(SynthesizerError, match=r"conditions on \['t'\] must be part of a combination"):
            model.sample(2, seed=0, conditions=conditions)
