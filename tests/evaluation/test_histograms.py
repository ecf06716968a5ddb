from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from evaluation_tables import metadata, real_table
from hypothesis import given, settings
from hypothesis import strategies as st

from tabveil.evaluation.frames import plain
from tabveil.evaluation.histograms import MIN_REAL, OTHER, RARE, Histogram, histogram
from tabveil.schema import DEFAULT_SDTYPE, Column, ColumnType, Metadata


def of(kind: ColumnType, real: list[object], synthetic: list[object]) -> Histogram:
    column = Column(name="x", original_name="x", type=kind, sdtype=DEFAULT_SDTYPE[kind])
    meta = Metadata("one", (column,))
    dtype = "datetime64[us]" if kind is ColumnType.date else "object" if kind is ColumnType.string else "float64"
    tables = [plain(pd.DataFrame({"x": pd.Series(values, dtype=dtype)}), meta) for values in (real, synthetic)]
    return histogram(*tables, "x", meta)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.floats(-1e6, 1e6), min_size=MIN_REAL, max_size=200),
    st.sampled_from([ColumnType.decimal, ColumnType.integer]),
)
def test_no_bar_of_a_number_stands_for_fewer_than_ten_rows(values: list[float], kind: ColumnType) -> None:
    values = [round(value) for value in values] if kind is ColumnType.integer else values
    result = of(kind, list(values), list(values))
    rows = np.round(np.array(result.real) * len(values))
    assert (rows >= MIN_REAL).all()
    assert rows.sum() == len(values)
    assert result.real == pytest.approx(result.synthetic)
    assert (np.diff(result.edges) > 0).all()


def test_extremes_do_not_show() -> None:
    values = [float(value) for value in range(1000)]
    result = of(ColumnType.decimal, [*values, 987_654_321.0], [1e12] * 5)
    assert max(result.edges) < 1100
    assert result.synthetic[-1] == 1.0


def test_few_whole_numbers_get_a_bar_each() -> None:
    result = of(ColumnType.integer, [0] * 50 + [1] * 30 + [2] * 20, [2] * 10)
    assert (result.kind, result.labels) == ("integer", ("0", "1", "2"))
    assert result.real == (0.5, 0.3, 0.2)
    assert result.synthetic == (0.0, 0.0, 1.0)


def test_rare_levels_are_pooled_and_tiny_pools_hidden() -> None:
    result = of(ColumnType.string, ["a"] * 60 + ["b"] * 30 + list("cdefghijkl"), ["a"] * 5 + ["z"] * 5)
    assert result.labels == ("a", "b", RARE)
    assert result.real == (0.6, 0.3, 0.1)
    assert result.synthetic == (0.5, 0.0, 0.5)
    hidden = of(ColumnType.string, ["a"] * 60 + ["b"] * 40 + ["lonely"], ["a"] * 9 + ["new"])
    assert hidden.labels == ("a", "b", RARE)
    assert hidden.real == (0.6, 0.4, 0.0)


def test_many_frequent_levels_are_pooled_as_others() -> None:
    result = of(ColumnType.string, [f"level {n:02}" for n in range(30)] * 10, ["level 00"])
    assert len(result.labels) == 11
    assert result.labels[-1] == OTHER
    assert sum(result.real) == pytest.approx(1.0)


def test_dates_are_binned_at_whole_days() -> None:
    days = list(pd.date_range("2020-01-01", periods=500, freq="D"))
    result = of(ColumnType.date, list(days), list(days))
    assert result.kind == "date"
    assert 8 <= len(result.labels) <= 22
    assert result.labels[0].startswith("20")


def test_open_end_dates_have_bars_and_labels_inside_the_calendar() -> None:
    days = np.array(["2015-06-01"] * 50 + ["9999-12-31"] * 50, dtype="datetime64[us]")
    result = of(ColumnType.date, list(days), list(days))
    assert result.real == (0.5, 0.5)
    assert result.labels[-1].endswith("to 9999-12-31")
    first = of(ColumnType.date, list(np.array(["0001-01-01"] * 50, dtype="datetime64[us]")), [])
    assert first.labels == ("0001-01-01 to 0001-01-02",)


@pytest.mark.parametrize("value", [0.0, 7.0, 1e12, -1e17, 1e30, 1e-310])
def test_a_constant_has_one_bar(value: float) -> None:
    result = of(ColumnType.decimal, [value] * 20, [value] * 20)
    assert result.real == result.synthetic == (1.0,)
    assert result.edges[0] <= value < result.edges[-1]


def shown(kind: ColumnType, values: list[object], entities: list[int]) -> Histogram:
    column = Column(name="x", original_name="x", type=kind, sdtype=DEFAULT_SDTYPE[kind])
    meta = Metadata("one", (column,))
    table = plain(pd.DataFrame({"x": values}), meta)
    return histogram(table, table, "x", meta, np.array(entities))


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.floats(-1e3, 1e3), st.integers(0, 30)), min_size=1, max_size=200))
def test_no_bar_of_a_number_stands_for_fewer_than_ten_people(cells: list[tuple[float, int]]) -> None:
    values, people = np.array([value for value, _ in cells]), np.array([who for _, who in cells])
    result = shown(ColumnType.decimal, list(values), list(people))
    assert result.shown == (len(set(people)) >= MIN_REAL)
    if result.shown:
        bars = np.digitize(np.clip(values, result.edges[0], result.edges[-1]), result.edges[1:-1])
        assert min(len(set(people[bars == bar])) for bar in range(len(result.real))) >= MIN_REAL


def test_one_persons_many_rows_neither_make_a_level_frequent_nor_an_edge() -> None:
    people = [*range(100), *[0] * 400]
    levels = shown(ColumnType.string, ["a"] * 60 + ["b"] * 40 + ["Kxtra Ltd"] * 400, people)
    assert levels.labels == ("a", "b", RARE)
    assert levels.real == (0.6, 0.4, 0.0)
    numbers = shown(ColumnType.decimal, [*map(float, range(100)), *[98_765.0] * 400], people)
    assert max(numbers.edges) < 98_765.0


def test_as_many_people_as_rows_is_no_entity_key() -> None:
    table = plain(real_table(200, 1), metadata())
    for name in table.columns:
        alone = histogram(table, table, name, metadata(), np.arange(200)[::-1].copy())
        assert alone == histogram(table, table, name, metadata())


@pytest.mark.parametrize("kind", [ColumnType.decimal, ColumnType.string])
def test_too_few_rows_are_not_shown(kind: ColumnType) -> None:
    values: list[object] = [1.0] * 5 if kind is ColumnType.decimal else ["a"] * 5
    result = of(kind, [*values, None], list(values))
    assert not result.shown
    assert result.real_missing == pytest.approx(1 / 6)


def test_every_type_of_column_has_a_histogram() -> None:
    meta = metadata()
    table = plain(real_table(300, 1), meta)
    results = [histogram(table, table, name, meta) for name in meta.modelled_columns]
    assert [result.kind for result in results] == ["number", "number", "integer", "level", "level", "level", "date"]
    assert all(sum(result.real) == pytest.approx(1.0) for result in results)
