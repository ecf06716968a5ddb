"""Any table either fits and samples with the same schema, or is refused clearly before training starts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tabveil.errors import TabVeilError
from tabveil.schema import ALLOWED_TYPES, Column, ColumnType, Metadata, SDType
from tabveil.synthesizers import create_synthesizer

MOMENTS = st.integers(-60_000_000_000, 250_000_000_000).map(lambda s: np.datetime64(s, "s").astype("datetime64[us]"))
MIXED = st.one_of(st.text(max_size=4), st.integers(-9, 9), st.floats(allow_nan=True), st.booleans())
VALUES = {
    ColumnType.string: st.one_of(st.text(max_size=6), st.sampled_from(["a", "b", "ü", "数", "\U0001f600", "", " "])),
    ColumnType.integer: st.one_of(st.integers(-3, 3), st.integers(-(2**63), 2**63 - 1)),
    ColumnType.decimal: st.one_of(st.floats(width=64), st.sampled_from([0.0, -0.0, 0.1, 1e300, -1e-300])),
    ColumnType.boolean: st.booleans(),
    ColumnType.date: MOMENTS,
    ColumnType.datetime: MOMENTS,
}


@st.composite
def columns(draw, num_rows):
    """A column's values, of the declared type or, now and then, of none."""
    kind = draw(st.sampled_from(ColumnType))
    allowed = [s for s in (SDType.categorical, *ALLOWED_TYPES) if kind in ALLOWED_TYPES.get(s, tuple(ColumnType))]
    sdtype = draw(st.sampled_from([s for s in allowed if s not in (SDType.id, SDType.text)]))
    shape = draw(st.sampled_from(["plain", "constant", "empty", "few", "mixed"]))
    if shape == "empty":
        return kind, sdtype, [None] * num_rows
    values = MIXED if shape == "mixed" else VALUES[kind]
    pool = draw(st.lists(values, min_size=1, max_size={"constant": 1, "few": 3}.get(shape, 30)))
    missing = draw(st.booleans())
    chosen = draw(st.lists(st.integers(0, len(pool)), min_size=num_rows, max_size=num_rows))
    return kind, sdtype, [None if missing and i == len(pool) else pool[i % len(pool)] for i in chosen]


@st.composite
def tables(draw):
    num_rows = draw(st.sampled_from([1, 2, 20, 45]))
    made = draw(st.lists(columns(num_rows), min_size=1, max_size=5))
    names = draw(st.lists(st.text(min_size=1, max_size=5), min_size=len(made), max_size=len(made)))
    return made, names


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(table=tables())
def test_any_table_fits_with_its_schema_or_is_refused_before_training(quick, table):
    made, names = table
    losses: list[object] = []
    synthesizer = create_synthesizer(quick(max_steps=4, validate_every=2))
    frame = pd.concat([pd.Series(values, dtype="object") for _, _, values in made], axis=1)
    frame.columns = pd.Index(names)
    try:
        described = [Column(name, name, kind, sdtype) for name, (kind, sdtype, _) in zip(names, made, strict=True)]
        synthesizer.fit(frame, Metadata("any", tuple(described)), on_loss=losses.append)
    except TabVeilError:
        assert not losses
        return
    sampled = synthesizer.sample(7, seed=0)
    assert list(sampled.columns) == names
    assert len(sampled) == 7
    for name, (_, _, values) in zip(names, made, strict=True):
        if all(value is None for value in values):
            assert sampled[name].isna().all()


def test_three_hundred_columns(quick):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({f"c{i}": rng.normal(i, 1 + i, 60).round(i % 4) for i in range(300)})
    metadata = Metadata("wide", tuple(Column(n, n, ColumnType.decimal, SDType.numerical) for n in frame))
    synthesizer = create_synthesizer(quick(max_steps=20))
    synthesizer.fit(frame, metadata)
    sampled = synthesizer.sample(40, seed=0)
    assert sampled.shape == (40, 300)
    assert (sampled.min() >= frame.min() - 1).all()
    assert (sampled.max() <= frame.max() + 1).all()


@pytest.mark.parametrize("num_levels", [900, 5000])
def test_thousands_of_levels_are_all_learned(quick, num_levels):
    """Eight people each; the level's group is learned with it."""
    rng = np.random.default_rng(0)
    level = rng.permutation(np.repeat(np.arange(num_levels), 8))
    frame = pd.DataFrame({"branch": [f"branch {n:04d}" for n in level], "even": np.where(level % 2, "odd", "even")})
    metadata = Metadata("levels", tuple(Column(n, n, ColumnType.string, SDType.categorical) for n in frame))
    synthesizer = create_synthesizer(quick(max_steps=60, batch_size=256))
    synthesizer.fit(frame, metadata)
    sampled = synthesizer.sample(20 * num_levels, seed=0)
    assert set(sampled["branch"]) <= set(frame["branch"])
    assert sampled["branch"].nunique() > 0.99 * num_levels


def test_more_levels_than_the_limit_keep_the_most_frequent(quick):
    rng = np.random.default_rng(0)
    counts = np.r_[np.full(30, 20), np.full(30, 9), np.full(50, 3)]
    names = rng.permutation(np.repeat([f"level {n}" for n in range(len(counts))], counts))
    metadata = Metadata("levels", (Column("x", "x", ColumnType.string, SDType.categorical),))
    synthesizer = create_synthesizer(quick(max_categories=30))
    synthesizer.fit(pd.DataFrame({"x": names}), metadata)
    assert set(synthesizer.sample(3000, seed=0)["x"]) == {f"level {n}" for n in range(30)}
