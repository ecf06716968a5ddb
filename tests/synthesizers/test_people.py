"""Where a person has several rows, a value is rare when few people have it, however many rows do."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabveil.config import TVAEConfig
from tabveil.errors import SchemaError, TrainingError
from tabveil.schema import ENTITY_COLUMN, Column, ColumnType, SDType
from tabveil.synthesizers import create_synthesizer, load_synthesizer, tvae
from tabveil.synthesizers.tvae.knots import find_spikes, fit_knots, mean_of_entities
from tabveil.synthesizers.tvae.numeric import fit_numeric
from tabveil.synthesizers.tvae.schedule import split_rows
from tabveil.synthesizers.tvae.tokenizer import fit_categories, fit_tokenizer, log_shares

CONFIG = TVAEConfig()
K = CONFIG.rare_threshold
NUMBER = Column("x", "x", ColumnType.decimal, SDType.numerical)
WORD = Column("x", "x", ColumnType.string, SDType.categorical)
TYPES = {
    "salary": ColumnType.decimal,
    "firm": ColumnType.string,
    "branch": ColumnType.string,
    "note": ColumnType.string,
    "amount": ColumnType.decimal,
}


def accounts(num_people: int = 80, rows_each: int = 30) -> pd.DataFrame:
    """Transactions of people who each keep their salary and firm; one of them left all notes empty."""
    rng = np.random.default_rng(0)
    who = np.repeat(np.arange(num_people), rows_each)
    return pd.DataFrame(
        {
            "salary": rng.gamma(4, 1_000_000, num_people).round(2)[who],
            "firm": np.array([f"Kxtra{n:03d} Ltd" for n in range(num_people)], dtype=object)[who],
            "branch": rng.choice(["north", "south"], num_people).astype(object)[who],
            "note": np.where(who == 5, None, "none"),
            "amount": rng.gamma(2, 40, len(who)).round(2),
            ENTITY_COLUMN: who,
        }
    )


@pytest.fixture(scope="module")
def keyed(make_metadata):
    return dataclasses.replace(make_metadata(TYPES), entity_key="customer")


@pytest.fixture(scope="module")
def model(keyed, quick, tmp_path_factory):
    columns = tuple(dataclasses.replace(c, null_fraction=30 / 2400 if c.name == "note" else 0.0) for c in keyed.columns)
    synthesizer = create_synthesizer(quick(max_steps=150))
    synthesizer.fit(accounts(), dataclasses.replace(keyed, columns=columns))
    synthesizer.save(tmp_path_factory.mktemp("people") / "model")
    return synthesizer, tmp_path_factory.getbasetemp() / "people0" / "model"


def test_no_value_of_one_person_is_sampled_or_stored(model):
    synthesizer, folder = model
    real, sample = accounts(), synthesizer.sample(5_000, seed=0)
    assert set(sample["firm"]) == {"other"}
    assert set(sample["branch"]) == {"north", "south"}
    assert sample["note"].notna().all()
    grid = (sample["salary"].max() - sample["salary"].min()) * 100
    by_chance = len(sample) * real["salary"].nunique() / grid
    assert sample["salary"].isin(real["salary"]).sum() <= by_chance + 4 * np.sqrt(by_chance) + 1
    stored = b"".join(path.read_bytes() for path in sorted(folder.iterdir()))
    assert b"Kxtra" not in stored
    known = set(real["salary"])
    numbers = json.loads((folder / "tokenizer.json").read_text())["columns"][0]
    assert numbers["knots"]
    assert not known & set(numbers["knots"])
    assert not known & set(numbers["spike_values"])


def test_the_same_rows_without_a_key_would_show_them(make_metadata, quick):
    synthesizer = create_synthesizer(quick(max_steps=20))
    synthesizer.fit(accounts(), make_metadata(TYPES))
    sample = synthesizer.sample(2_000, seed=0)
    assert sample["salary"].isin(accounts()["salary"]).mean() > 0.9
    assert sample["firm"].str.startswith("Kxtra").all()


def test_the_stored_metadata_does_not_tell_of_one_persons_missing_values(model):
    synthesizer, folder = model
    assert synthesizer.metadata["note"].null_fraction == 0.0
    assert load_synthesizer(folder).metadata["note"].null_fraction == 0.0


def test_people_who_leave_a_cell_empty_are_counted_once():
    series = pd.Series(["a"] * 40 + [None] * 40, dtype=object)
    together, apart = np.repeat([*range(40), 99], [*[1] * 40, 40]), np.arange(80)
    assert not fit_categories(series, WORD, CONFIG, together).emits_missing
    assert fit_categories(series, WORD, CONFIG, apart).emits_missing
    numbers = pd.Series([1.0] * 40 + [np.nan] * 40)
    for people, emitted in ((together, False), (apart, True)):
        assert fit_numeric(numbers, NUMBER, CONFIG, np.random.default_rng(0), people).emits_missing is emitted


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 11)), min_size=1, max_size=300))
def test_exactly_the_categories_of_enough_people_are_kept(rows):
    codec = fit_categories(
        pd.Series([word for word, _ in rows], dtype=object), WORD, CONFIG, np.array([who for _, who in rows])
    )
    people = {word: len({who for other, who in rows if other == word}) for word, _ in rows}
    assert set(codec.categories) == {word for word, count in people.items() if count >= K}


def test_the_usual_amounts_of_a_mostly_zero_column_are_spikes():
    """Twenty of 10,000 rows are few, twenty of the five hundred that are not zero are many."""
    config, rng = TVAEConfig(), np.random.default_rng(0)
    usual = np.repeat([0.0, 3103.0, 5178.0], [9500, 20, 20])
    tail = rng.uniform(1, 9999, 460)
    assert find_spikes(np.concatenate([usual, tail]), 10_000, config, None).tolist() == [0.0, 3103.0, 5178.0]
    short = np.concatenate([usual, tail[: config.min_bin_rows - 41]])  # too few for a bin: all of it stays the tail
    assert find_spikes(short, 10_000, config, None).tolist() == [0.0]
    spread = np.concatenate([usual[-40:], rng.uniform(1, 9999, 9960)])
    assert find_spikes(spread, 10_000, config, None).tolist() == []
    few = np.repeat([0.0, 3103.0], [9500, config.min_spike_rows - 1])
    assert find_spikes(np.concatenate([few, tail]), 10_000, config, None).tolist() == [0.0]


def test_a_spike_is_what_many_people_have():
    values = np.array([7.0] * 100 + [9.0] * 100)
    people = np.concatenate([np.zeros(100, dtype=np.int64), np.arange(100)])
    assert find_spikes(values, 200, CONFIG, people).tolist() == [9.0]
    assert find_spikes(values, 200, CONFIG, None).tolist() == [7.0, 9.0]


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.integers(2, 120), st.integers(1, 40), st.booleans())
def test_nothing_a_codec_holds_is_one_persons(seed, num_people, rows_each, constant):
    rng = np.random.default_rng(seed)
    people = np.repeat(np.arange(num_people), rng.integers(1, rows_each + 1, num_people))
    own = rng.normal(0, 1e6, num_people)[people]
    values = (own if constant else own + rng.normal(0, 10, len(own))).round(2)
    codec = fit_numeric(pd.Series(values), NUMBER, CONFIG, np.random.default_rng(0), people)
    if num_people < K:
        assert codec.num_tokens == 1
        return
    held = {*codec.knots.tolist(), *codec.spike_values[~np.isnan(codec.spike_values)].tolist()}
    assert not held & set(values.tolist())
    if not codec.num_bins:
        return
    lowest, highest = (np.sort([pick(values[people == who]) for who in range(num_people)]) for pick in (min, max))
    assert min(held) >= lowest[K - 1]
    assert max(held) <= highest[-K]
    token, _ = codec.encode(pd.Series(values), np.random.default_rng(0))
    for used in np.unique(token):
        assert len(set(people[token == used])) >= K or codec.num_tokens == 2


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), st.integers(600, 1200))
def test_one_row_per_person_is_as_good_as_no_key(seed, num_rows):
    rng = np.random.default_rng(seed)
    values = pd.Series(np.where(rng.random(num_rows) < 0.2, 5.0, rng.normal(0, 100, num_rows).round(1)))
    values[rng.random(num_rows) < 0.1] = np.nan
    people = rng.permutation(num_rows)
    with_key, without = (
        fit_numeric(values, NUMBER, CONFIG, np.random.default_rng(1), owners) for owners in (people, None)
    )
    for field in dataclasses.fields(with_key):
        np.testing.assert_array_equal(getattr(with_key, field.name), getattr(without, field.name))


def test_a_person_with_many_rows_weighs_as_much_as_any_other():
    values, people = np.array([0.0] * 90 + [10.0] * 10), np.array([0] * 90 + [1] * 10)
    assert mean_of_entities(values, people) == pytest.approx(5.0)
    assert mean_of_entities(np.full(3, 1.5e308), np.array([0, 0, 1])) == pytest.approx(1.5e308)


def test_one_persons_stretch_of_values_has_no_knot_of_its_own():
    rng = np.random.default_rng(0)
    others, mine = rng.uniform(0, 100, 400), 1_000 + rng.uniform(0, 1, 500)
    above = rng.uniform(2_000, 2_100, 400)
    values = np.concatenate([others, mine, above])
    people = np.concatenate([np.arange(400), np.full(500, 999), 1_000 + np.arange(400)])
    knots, num_bins = fit_knots(values, CONFIG, np.random.default_rng(0), people)
    assert num_bins >= 1
    near = np.abs(knots - 1_000.5) < 5
    assert near.sum() <= 1  # a line between two means may pass there
    alone, _ = fit_knots(values, CONFIG, np.random.default_rng(0), None)
    assert (np.abs(alone - 1_000.5) < 5).sum() > 10


@given(st.integers(0, 1000), st.lists(st.integers(0, 9), min_size=2, max_size=80))
def test_the_validation_split_keeps_people_together(seed, people):
    if len(set(people)) < 2:
        return
    owners = np.unique(np.array(people), return_inverse=True)[1]
    train, validation = split_rows(len(owners), 0.1, np.random.default_rng(seed), owners)
    assert sorted([*train.tolist(), *validation.tolist()]) == list(range(len(owners)))
    assert min(len(train), len(validation)) >= 1
    assert not set(owners[train.numpy()]) & set(owners[validation.numpy()])


def test_the_validation_split_has_about_its_share_of_the_rows():
    owners = np.repeat(np.arange(100), 30)
    _, validation = split_rows(3_000, 0.1, np.random.default_rng(0), owners)
    assert len(validation) == 300


def test_shares_of_few_people_read_as_k_rows(keyed):
    table, rng = accounts(), np.random.default_rng(0)
    people = table[ENTITY_COLUMN].to_numpy()
    tokenizer = fit_tokenizer(table, keyed, ["note"], CONFIG, rng, entities=people)
    shares = np.exp(log_shares(tokenizer, tokenizer.encode(table, rng), K, people)[0])
    assert shares[0] == pytest.approx(K / len(table), rel=1e-4)
    assert shares[2] == pytest.approx(1 - 30 / len(table), rel=1e-4)


def test_a_table_that_does_not_say_whose_its_rows_are_is_refused(keyed, quick):
    with pytest.raises(SchemaError, match="whose row each is"):
        create_synthesizer(quick()).fit(accounts().drop(columns=ENTITY_COLUMN), keyed)


def test_one_person_is_no_table(keyed, quick):
    with pytest.raises(TrainingError, match="at least 2 entities, however it holds 1"):
        create_synthesizer(quick()).fit(accounts(1, 300), keyed)


def test_rows_of_one_person_that_a_memory_limit_leaves_are_refused(make_metadata, quick, monkeypatch):
    metadata = dataclasses.replace(make_metadata({"x": ColumnType.decimal}), entity_key="who")
    table = pd.DataFrame({"x": np.arange(300.0), "who": [0] * 299 + [1]})
    monkeypatch.setattr(tvae, "rows_within", lambda network, config, table: 30)
    monkeypatch.setattr(
        tvae, "_fitting", lambda table, entities, num_rows, rng: (table[:num_rows], entities[:num_rows])
    )
    with pytest.raises(TrainingError, match="at least 2 entities"):
        create_synthesizer(quick(max_steps=2, rare_threshold=2)).fit(table, metadata)
