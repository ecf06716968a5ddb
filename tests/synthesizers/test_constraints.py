from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tabveil.schema import ColumnType, ConstraintKind, ConstraintSpec, canonical
from tabveil.synthesizers.constraints import add_totals, derive_totals

DECIMALS = dict.fromkeys(("a", "b", "c", "d"), ColumnType.decimal)


def total(name: str, *parts: str) -> ConstraintSpec:
    return ConstraintSpec(kind=ConstraintKind.sum, total=name, parts=list(parts))


@pytest.fixture
def frame():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"a": rng.integers(0, 999, 50) / 100, "b": rng.integers(0, 999, 50) / 100})
    table["c"] = (table["a"] + table["b"]).round(2)
    table["d"] = (table["c"] + table["a"]).round(2)
    return table


def test_a_total_is_computed_and_rounded(frame, make_metadata):
    derived = derive_totals(frame, make_metadata(DECIMALS, total("c", "a", "b")))
    assert [(d.total, d.parts, d.decimals) for d in derived] == [("c", ("a", "b"), 2)]
    assert (add_totals(frame.drop(columns="c"), derived)["c"] == frame["c"]).all()


def test_totals_of_totals_are_computed_in_order(frame, make_metadata):
    derived = derive_totals(frame, make_metadata(DECIMALS, total("d", "c", "a"), total("c", "a", "b")))
    assert [d.total for d in derived] == ["c", "d"]
    back = add_totals(frame[["a", "b"]], derived)
    assert np.allclose(back[["c", "d"]], frame[["c", "d"]])


def test_a_circle_is_broken(make_metadata):
    frame = pd.DataFrame({"a": [0.0] * 5, "b": [1.0] * 5, "c": [1.0] * 5, "d": [0.0] * 5})
    derived = derive_totals(frame, make_metadata(DECIMALS, total("c", "a", "b"), total("b", "c", "d")))
    assert [d.total for d in derived] == ["c"]


def test_a_second_constraint_on_the_same_total_is_left_to_rejection(make_metadata):
    frame = pd.DataFrame(dict.fromkeys("abcd", [0.0] * 5))
    derived = derive_totals(frame, make_metadata(DECIMALS, total("c", "a", "b"), total("c", "a", "d")))
    assert [d.parts for d in derived] == [("a", "b")]


@pytest.mark.parametrize("spoil", ["broken", "total_missing", "part_missing", "all_missing"])
def test_a_total_that_does_not_follow_from_its_parts_is_modelled(frame, make_metadata, spoil):
    match spoil:
        case "broken":
            frame.loc[3, "c"] += 1
        case "total_missing":
            frame.loc[3, "c"] = np.nan
        case "part_missing":
            frame.loc[3, "a"] = np.nan
        case "all_missing":
            frame[["a", "c"]] = np.nan
    assert derive_totals(frame, make_metadata(DECIMALS, total("c", "a", "b"))) == ()


def test_a_total_missing_with_its_parts_is_computed_so(frame, make_metadata):
    frame.loc[::3, ["a", "c"]] = np.nan
    derived = derive_totals(frame, make_metadata(DECIMALS, total("c", "a", "b")))
    assert add_totals(frame.drop(columns="c"), derived)["c"].isna().equals(frame["c"].isna())


def test_integers_stay_integers(make_metadata):
    kinds = dict.fromkeys("abc", ColumnType.integer)
    described = make_metadata(kinds, total("c", "a", "b"))
    frame = canonical(pd.DataFrame({"a": [1, None], "b": [2, 3], "c": [3, None]}), described)
    back = add_totals(frame[["a", "b"]], derive_totals(frame, described))
    assert back["c"].equals(frame["c"])


def test_text_is_never_a_part(make_metadata):
    frame = pd.DataFrame({"a": ["1"], "b": [1.0], "c": [2.0]})
    kinds = {"a": ColumnType.string, "b": ColumnType.decimal, "c": ColumnType.decimal}
    assert derive_totals(frame, make_metadata(kinds, total("c", "a", "b"))) == ()
