"""What few people have is looked for in 100,000 sampled rows and in every file of the model folder.

Two tables: one row per person, and people of many rows each, where what is frequent by rows is rare by people.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file, save

from tabveil.config import TVAEConfig
from tabveil.schema import ENTITY_COLUMN, ColumnType, Metadata, canonical
from tabveil.synthesizers import create_synthesizer, sample_chunks

K = TVAEConfig().rare_threshold
NUM_SAMPLED = 100_000
TYPES = {
    "balance": ColumnType.decimal,
    "units": ColumnType.integer,
    "job": ColumnType.string,
    "opened": ColumnType.date,
    "seen": ColumnType.datetime,
    "income": ColumnType.decimal,
    "bonus": ColumnType.decimal,
    "firm": ColumnType.string,
    "town": ColumnType.string,
}
ALONE = {  # what one person has
    "balance": 98_765_432_109.87,
    "units": 987_654_321_012,
    "job": "Zqastronaut",
    "opened": pd.Timestamp("1899-12-31"),
    "seen": pd.Timestamp("2121-12-11 10:09:08"),
}
FEW = {  # what one person fewer than k has; the numbers and the instant lie among those of many others
    "balance": 1_234_567.89,
    "units": 7_654_321,
    "job": "Zqlighthouse keeper",
    "opened": pd.Timestamp("1931-02-03"),
    "seen": pd.Timestamp("2019-07-07 07:07:07"),
}
ENOUGH = {  # the positive control: what just enough people have
    "balance": 2_222_222.22,
    "units": 3_141_592,
    "job": "Zqnurse",
    "opened": pd.Timestamp("2024-02-29"),
    "seen": pd.Timestamp("2018-03-04 05:06:07"),
}
EMPTY = {"income": K - 1, "firm": K - 1, "bonus": K, "town": K}  # column -> people whose cells are missing


def people_of(table: str) -> np.ndarray:
    """Whose row each is, shape (num_rows,); the first people, who have the planted values, have many rows."""
    if table == "rows":
        return np.arange(2400)
    return np.repeat(np.arange(400), np.where(np.arange(400) < 80, 20, 5))


def spike_people(num_rows: int) -> int:
    """How many people, of one row each, make a value a spike."""
    config = TVAEConfig()
    return max(K, config.min_spike_rows, int(np.ceil(config.spike_fraction * num_rows)))


def planted_table(people: np.ndarray) -> pd.DataFrame:
    """Accounts of a bank, with the values above in all rows of their holders."""
    rng, num_rows = np.random.default_rng(0), len(people)
    start = np.datetime64("2015-01-01", "us")
    table = pd.DataFrame(
        {
            "balance": rng.normal(1_500_000, 900_000, num_rows).round(2),
            "units": rng.integers(0, 10**9, num_rows),
            "job": rng.choice(["clerk", "teacher", "driver"], num_rows).astype(object),
            "opened": start + rng.integers(0, 3000, num_rows).astype("timedelta64[D]"),
            "seen": start + rng.integers(0, 3 * 10**8, num_rows).astype("timedelta64[s]"),
            "income": rng.gamma(4, 800_000, num_rows).round(2),
            "bonus": rng.gamma(2, 900_000, num_rows).round(2),
            "firm": rng.choice(["Arlo", "Bexter"], num_rows).astype(object),
            "town": rng.choice(["Ulm", "Hof"], num_rows).astype(object),
        }
    )
    for place, column in enumerate(ALONE):
        enough = K if column == "job" else spike_people(num_rows)
        first = 1 + place  # people hold values of several columns, but no two of one
        for values, count in ((ALONE, 1), (FEW, K - 1), (ENOUGH, enough)):
            table.loc[(people >= first) & (people < first + count), column] = values[column]
            first += count
    for column, count in EMPTY.items():
        table.loc[people < count, column] = None
    return table


@dataclasses.dataclass(frozen=True)
class Made:
    """A fitted model: its training rows, what it sampled, where it is saved."""

    table: pd.DataFrame
    people: np.ndarray
    sample: pd.DataFrame
    folder: Path


@pytest.fixture(scope="session", params=["rows", "people"])
def made(request, make_metadata, quick, tmp_path_factory) -> Made:
    people = people_of(request.param)
    table = planted_table(people)
    metadata = make_metadata(TYPES)
    columns = tuple(dataclasses.replace(c, null_fraction=float(table[c.name].isna().mean())) for c in metadata.columns)
    metadata = dataclasses.replace(metadata, columns=columns)
    training = table
    if request.param == "people":
        metadata, training = (
            dataclasses.replace(metadata, entity_key="customer"),
            table.assign(**{ENTITY_COLUMN: people}),
        )
    synthesizer = create_synthesizer(quick(full_budget_rows=2000))
    synthesizer.fit(training, metadata)
    folder = tmp_path_factory.mktemp("planted") / "model"
    synthesizer.save(folder)
    sample = pd.concat(sample_chunks(synthesizer, NUM_SAMPLED, seed=0), ignore_index=True)
    return Made(canonical(table, metadata), people, sample, folder)


# what a folder holds


@dataclasses.dataclass(frozen=True)
class Content:
    """Everything in the files of a folder: bytes, texts, and numbers (sorted), those of tensors included."""

    data: bytes
    texts: set[str]
    numbers: np.ndarray

    def holds(self, value: Any, relative: float = 1e-6) -> bool:
        """Whether a text is part of any file, or a number or instant lies close to one that is there."""
        if isinstance(value, str):
            return value.encode() in self.data or any(value in text for text in self.texts)
        if isinstance(value, pd.Timestamp):
            micro = value.value // 1000
            day = value.date().isoformat()
            return self.holds(day) or any(self.near(micro / unit, relative) for unit in (1, 10**6, 86_400 * 10**6))
        return f"{value}".encode() in self.data or self.near(float(value), relative)

    def near(self, value: float, relative: float) -> bool:
        """Whether a number that is there differs from `value` by at most `relative` of it."""
        at = int(np.searchsorted(self.numbers, value))
        return any(abs(n - value) <= relative * abs(value) for n in self.numbers[max(at - 1, 0) : at + 1])


def content_of(folder: Path) -> Content:
    data, texts, numbers = b"", set(), [np.array([])]
    for path in sorted(folder.iterdir()):
        data += path.read_bytes() + b"\n"
        if path.suffix == ".json":
            walk(json.loads(path.read_text(encoding="utf-8")), texts, numbers)
        elif path.suffix == ".safetensors":
            numbers += [tensor.astype(np.float64).reshape(-1) for tensor in load_file(path).values()]
        else:
            assert path.suffix == ".csv", path.name
            numbers.append(pd.read_csv(path).to_numpy(dtype=np.float64).reshape(-1))
    flat = np.concatenate(numbers)
    return Content(data, texts, np.sort(flat[~np.isnan(flat)]))


def walk(node: Any, texts: set[str], numbers: list[np.ndarray]) -> None:
    if isinstance(node, dict):
        texts |= set(node)
        node = list(node.values())
    if isinstance(node, list):
        for item in node:
            walk(item, texts, numbers)
    elif isinstance(node, str):
        texts.add(node)
    elif isinstance(node, int | float) and not isinstance(node, bool):
        numbers.append(np.array([float(node)]))


def codecs_of(folder: Path) -> list[dict[str, Any]]:
    """One record per column that is modelled."""
    columns: list[dict[str, Any]] = json.loads((folder / "tokenizer.json").read_text())["columns"]
    return columns


def metadata_of(folder: Path) -> Metadata:
    return Metadata.from_json((folder / "metadata.json").read_text())


@pytest.fixture(scope="session")
def content(made) -> Content:
    return content_of(made.folder)


def written(kind: str, value: float | str) -> str | bytes:
    """A file that holds a value, deep inside."""
    if kind == "json":
        return json.dumps({"columns": [{"deep": [None, True, value]}]})
    if kind == "csv":
        return f"step,train\n1,{value + 0.001}\n"
    return save({"w": np.array([[0.5, value]], dtype=np.float32)})


NUMBERS = [ALONE["balance"], FEW["balance"], FEW["units"], *(FEW[column] for column in ("opened", "seen"))]


@pytest.mark.parametrize(
    ("kind", "value"), [("json", FEW["job"])] + [(k, v) for k in ("json", "csv", "safetensors") for v in NUMBERS]
)
def test_the_search_finds_what_is_in_a_file_of_any_kind(tmp_path, kind, value):
    plain = value.value // 1000 if isinstance(value, pd.Timestamp) else value
    assert not content_of(tmp_path).holds(value)
    made = written(kind, plain)
    (tmp_path / f"x.{kind}").write_bytes(made if isinstance(made, bytes) else made.encode())
    assert content_of(tmp_path).holds(value)


# the model


@pytest.mark.parametrize("column", ALONE)
def test_the_planted_values_are_as_rare_as_they_shall_be(made, column):
    holders = [len(set(made.people[(made.table[column] == v[column]).to_numpy()])) for v in (ALONE, FEW, ENOUGH)]
    assert holders == [1, K - 1, K if column == "job" else spike_people(len(made.table))]
    assert len(made.sample) == NUM_SAMPLED


@pytest.mark.parametrize("values", [ALONE, FEW], ids=["of one person", "of fewer than k people"])
@pytest.mark.parametrize("column", ALONE)
def test_a_rare_value_is_neither_sampled_nor_stored(made, content, column, values):
    assert not (made.sample[column] == values[column]).any()
    assert not content.holds(values[column])


@pytest.mark.parametrize("column", ALONE)
def test_a_value_of_just_enough_people_is_both(made, content, column):
    """The positive control: the search finds what is there."""
    assert (made.sample[column] == ENOUGH[column]).sum() > 20
    assert content.holds(ENOUGH[column])


@pytest.mark.parametrize("column", ["balance", "units", "opened", "seen", "income", "bonus"])
def test_nothing_beyond_the_kth_person_from_either_end_is_sampled(made, column):
    by_person = made.table[column].groupby(made.people)
    lowest, highest = by_person.min().dropna().sort_values(), by_person.max().dropna().sort_values()
    assert made.sample[column].min() >= lowest.iloc[K - 1]
    assert made.sample[column].max() <= highest.iloc[-K]


def test_the_grid_of_a_column_does_not_tell_of_fewer_than_k_people(make_metadata, quick):
    rng, num_rows = np.random.default_rng(0), 1000
    types = {"salary": ColumnType.integer, "fee": ColumnType.decimal, "seen": ColumnType.datetime}
    start = np.datetime64("2015-01-01", "us")
    table = pd.DataFrame(
        {
            "salary": rng.integers(20, 200, num_rows) * 1000,
            "fee": rng.integers(100, 90_000, num_rows) / 100,
            "seen": start + rng.integers(0, 3000, num_rows).astype("timedelta64[D]"),
        }
    )
    few = np.arange(num_rows) < K - 1
    table.loc[few, "salary"] += 417
    table.loc[few, "fee"] += 0.0037
    table.loc[few, "seen"] += pd.Timedelta("11:22:33.444555")
    metadata = make_metadata(types)
    synthesizer = create_synthesizer(quick(max_steps=20))
    synthesizer.fit(canonical(table, metadata), metadata)
    sample = synthesizer.sample(NUM_SAMPLED // 10, seed=0)
    assert (sample["salary"] % 1000 == 0).all()
    assert np.allclose(sample["fee"], sample["fee"].round(2), atol=1e-9)
    assert (sample["seen"] == sample["seen"].dt.normalize()).all()


@pytest.mark.parametrize("column", EMPTY)
def test_only_missing_values_of_k_people_are_sampled_and_told(made, column):
    assert len(set(made.people[made.table[column].isna().to_numpy()])) == EMPTY[column]
    codecs = {codec["name"]: codec for codec in codecs_of(made.folder)}
    frequent = EMPTY[column] >= K
    num_missing = int(made.sample[column].isna().sum())
    assert num_missing > 20 if frequent else num_missing == 0
    assert codecs[column]["emits_missing"] is frequent
    assert (metadata_of(made.folder)[column].null_fraction > 0) is frequent


def test_no_exact_value_of_the_training_table_is_stored_but_the_frequent_ones(made, content):
    """So no row is, either. Means of values that lie close together may come near one of them, but not exactly."""
    for column in ("balance", "income", "bonus", "units", "seen"):
        own = made.table[column].dropna()
        plain = own.astype("int64") if column == "seen" else own.astype("float64")
        people = made.people[own.index]
        holders = pd.Series(people).groupby(plain.to_numpy()).nunique()
        rare = holders.index[holders < K].to_numpy(dtype=np.float64)
        assert len(rare) > 1000
        found = [value for value in rare if abs(value) > 1000 and content.near(value, 1e-12)]
        assert found == []


def test_every_share_that_is_stored_is_of_k_rows_or_more(made):
    num_rows = len(made.table)
    for codec in codecs_of(made.folder):
        if codec["kind"] == "numeric":
            widths = np.array(codec["high"][1:]) - np.array(codec["low"][1:])
            assert len(widths) > 3
            assert widths.min() * num_rows >= K * (1 - 1e-9)
    fractions = [column.null_fraction for column in metadata_of(made.folder).columns]
    assert all(fraction == 0 or fraction * num_rows >= K * (1 - 1e-9) for fraction in fractions)


def test_no_file_is_a_pickle_or_an_archive(made):
    for path in made.folder.iterdir():
        assert path.read_bytes()[:2] not in (b"PK", b"\x1f\x8b")
        assert path.read_bytes()[:1] != b"\x80"


@pytest.mark.parametrize("num_people", [1, 2, K - 1])
def test_the_grid_of_a_column_does_not_tell_the_values_of_few_people(make_metadata, quick, tmp_path, num_people):
    """All others have 0, or the first of January 1970: the divisor of all values would be that of the few."""
    num_rows = 600
    few = {
        "bonus": 123_457,
        "fine": 4321.89,
        "died": pd.Timestamp("2011-03-17"),
        "late": pd.Timestamp("2013-05-06 07:08:09"),
    }
    usual = {"bonus": 0, "fine": 0.0, "died": pd.Timestamp("1970-01-01"), "late": pd.Timestamp("1970-01-01")}
    table = pd.DataFrame({n: [usual[n]] * (num_rows - num_people) + [few[n]] * num_people for n in few})
    types = dict(zip(few, (ColumnType.integer, ColumnType.decimal, ColumnType.date, ColumnType.datetime), strict=True))
    synthesizer = create_synthesizer(quick(max_steps=4))
    synthesizer.fit(table, make_metadata(types))
    synthesizer.save(tmp_path / "model")
    codecs = json.loads((tmp_path / "model" / "tokenizer.json").read_text())["columns"]
    assert [codec["unit"] for codec in codecs] == [1] * len(few)
    assert synthesizer.sample(500, seed=0).isin(list(few.values())).sum().sum() == 0
