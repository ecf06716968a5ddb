from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from tabveil.config import SynthesizerConfig
from tabveil.errors import NotFittedError, SynthesizerError
from tabveil.schema import ColumnType, ConstraintKind, ConstraintSpec
from tabveil.synthesizers import SampleCounts, Synthesizer, sample_chunks

ORDERED = ConstraintSpec(kind=ConstraintKind.inequality, low="a", high="b")
UNIQUE = ConstraintSpec(kind=ConstraintKind.unique, columns=["a"])


class Dice(Synthesizer):
    """Two independent dice with `sides` sides; remembers the largest draw."""

    name = "dice"

    def __init__(self, sides: int = 100) -> None:
        super().__init__(SynthesizerConfig(name="dice", min_rows=20))
        self.sides, self.largest_draw = sides, 0

    def _fit(self, table, metadata, entities, watch):
        """Nothing to learn."""

    def _sample(self, num_rows, seed):
        self.largest_draw = max(self.largest_draw, num_rows)
        rng = np.random.default_rng(seed)
        return pd.DataFrame({name: rng.integers(0, self.sides, num_rows) for name in "ab"})

    def _save(self, folder):
        """No files."""

    def _load(self, folder):
        """No files."""


@pytest.fixture
def dice(make_metadata):
    def build(*constraints, sides=100, frame=None):
        synthesizer = Dice(sides)
        frame = pd.DataFrame({"a": range(20), "b": range(20)}) if frame is None else frame
        synthesizer.fit(frame, make_metadata({"a": ColumnType.integer, "b": ColumnType.integer}, *constraints))
        return synthesizer

    return build


@pytest.mark.parametrize(("num_rows", "chunk_rows"), [(1, 1), (10, 3), (9, 3), (5, 100), (100, 7)])
def test_exactly_the_rows_asked_for_in_chunks(dice, num_rows, chunk_rows):
    synthesizer = dice(ORDERED)
    chunks = list(sample_chunks(synthesizer, num_rows, 0, chunk_rows))
    assert sum(len(c) for c in chunks) == num_rows
    assert all(len(c) == chunk_rows for c in chunks[:-1])
    assert all(c.index.equals(pd.RangeIndex(len(c))) for c in chunks)
    assert synthesizer.largest_draw <= chunk_rows


def test_every_row_holds_the_constraint_and_the_counts_add_up(dice):
    counts = SampleCounts()
    table = pd.concat(sample_chunks(dice(ORDERED), 3000, 1, 500, counts=counts))
    assert (table["a"] <= table["b"]).all()
    assert counts.rejected == counts.rejected_by[ORDERED.label]
    assert counts.drawn - counts.rejected >= 3000
    assert 0.45 < counts.rejected_fraction < 0.55


def test_exactly_one_column_of_a_one_hot_group_is_1(dice):
    spec = ConstraintSpec(kind=ConstraintKind.one_hot, columns=["a", "b"])
    real = pd.DataFrame({"a": [0, 1] * 10, "b": [1, 0] * 10})
    counts = SampleCounts()
    table = pd.concat(sample_chunks(dice(spec, sides=2, frame=real), 200, 1, 50, counts=counts))
    assert (table["a"] + table["b"] == 1).all()
    assert set(table["a"]) == {0, 1}
    assert counts.rejected_by == {spec.label: counts.rejected}
    assert 0.4 < counts.rejected_fraction < 0.6


@pytest.mark.parametrize(
    "spec",
    [
        ConstraintSpec(kind=ConstraintKind.fixed_combinations, columns=["a", "b"]),
        ConstraintSpec(kind=ConstraintKind.functional_dependency, columns=["a"], dependent="b"),
    ],
)
def test_only_combinations_that_8_rows_of_the_training_table_show_are_kept(dice, spec):
    shown = [(0, 2), (1, 0), (2, 1)]
    real = pd.DataFrame([pair for pair in shown for _ in range(8)] + [(3, 3)] * 7, columns=["a", "b"])
    model = dice(spec, sides=4, frame=real)
    table = pd.concat(sample_chunks(model, 200, 1, 50, max_rejected_fraction=0.99))
    assert set(zip(table["a"], table["b"], strict=True)) == set(shown)


def test_rows_beyond_a_declared_minimum_or_maximum_are_rejected_and_counted(make_metadata):
    described = make_metadata(dict.fromkeys("ab", ColumnType.integer))
    low, high = described.columns
    bounded = (dataclasses.replace(low, minimum=10.0), dataclasses.replace(high, maximum=49.0))
    model = Dice()
    model.fit(pd.DataFrame({"a": range(20), "b": range(20)}), dataclasses.replace(described, columns=bounded))
    counts = SampleCounts()
    table = pd.concat(sample_chunks(model, 1000, 1, 500, counts=counts))
    assert (table["a"].min(), table["b"].max()) == (10, 49)
    assert set(counts.rejected_by) == {"bounds(a)", "bounds(b)"}
    assert 0.05 < counts.rejected_by["bounds(a)"] / counts.drawn < 0.15
    assert 0.4 < counts.rejected_by["bounds(b)"] / counts.drawn < 0.6


def test_a_computed_total_beyond_its_declared_maximum_is_rejected(make_metadata):
    spec = ConstraintSpec(kind=ConstraintKind.sum, total="t", parts=["a", "b"])
    described = make_metadata(dict.fromkeys("abt", ColumnType.integer), spec)
    *parts, total = described.columns
    bounded = (*parts, dataclasses.replace(total, minimum=0.0, maximum=100.0))
    model, counts = Dice(), SampleCounts()
    frame = pd.DataFrame({"a": range(20), "b": range(20), "t": range(0, 40, 2)})
    model.fit(frame, dataclasses.replace(described, columns=bounded))
    table = pd.concat(sample_chunks(model, 500, 1, 500, counts=counts))
    assert (table["a"] + table["b"] == table["t"]).all()
    assert table["t"].max() <= 100
    assert counts.rejected_by["bounds(t)"] == counts.rejected > 0


def test_without_constraints_nothing_is_drawn_in_vain(dice):
    counts = SampleCounts()
    assert sum(len(c) for c in sample_chunks(dice(), 100, 1, 30, counts=counts)) == 100
    assert (counts.drawn, counts.rejected, counts.rejected_by) == (100, 0, {})


def test_a_key_is_unique_across_chunks(dice):
    counts = SampleCounts()
    table = pd.concat(sample_chunks(dice(UNIQUE), 90, 0, 10, max_rejected_fraction=0.99, counts=counts))
    assert table["a"].is_unique
    assert counts.rejected_by == {UNIQUE.label: counts.rejected}


def test_a_row_rejected_for_another_reason_does_not_use_up_its_key(dice):
    table = pd.concat(sample_chunks(dice(UNIQUE, ORDERED), 60, 0, 10, max_rejected_fraction=0.99))
    assert table["a"].is_unique
    assert (table["a"] <= table["b"]).all()


def test_the_same_arguments_give_the_same_rows_and_another_seed_others(dice):
    runs = [pd.concat(sample_chunks(dice(ORDERED), 200, seed, 50)) for seed in (3, 3, 4)]
    pd.testing.assert_frame_equal(runs[0], runs[1])
    assert not runs[0].equals(runs[2])


def test_chunks_differ_from_one_another(dice):
    first, second = sample_chunks(dice(), 60, 0, 30)
    assert not first.equals(second)


def test_impossible_constraints_end_with_an_error(dice):
    strict = ConstraintSpec(kind=ConstraintKind.inequality, low="a", high="b", strict=True)
    counts = SampleCounts()
    with pytest.raises(SynthesizerError, match=r"at most 90% .* 100.0% of \d+ did, most of them 'a < b'"):
        list(sample_chunks(dice(strict, sides=1), 10, 0, 100, counts=counts))
    assert 1000 <= counts.drawn <= 1100


def test_a_key_with_too_few_values_ends_with_an_error(dice):
    with pytest.raises(SynthesizerError, match="unique"):
        list(sample_chunks(dice(UNIQUE, sides=5), 10, 0, 100))


def test_the_limit_is_judged_at_the_end_of_a_small_sample_too(dice):
    with pytest.raises(SynthesizerError, match="at most 10%"):
        list(sample_chunks(dice(ORDERED), 20, 0, 20, max_rejected_fraction=0.1))


@pytest.mark.parametrize(("num_rows", "chunk_rows"), [(0, 1), (1, 0)])
def test_arguments_out_of_range_are_refused_at_once(dice, num_rows, chunk_rows):
    with pytest.raises(SynthesizerError, match="must be an integer from 1"):
        sample_chunks(dice(), num_rows, 0, chunk_rows)


def test_an_unfitted_synthesizer_is_refused_at_once():
    with pytest.raises(NotFittedError):
        sample_chunks(Dice(), 1, 0)
