from __future__ import annotations

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from tabveil.errors import SynthesizerError
from tabveil.schema import ColumnType, ConstraintKind, ConstraintSpec, canonical
from tabveil.synthesizers.constraints import (
    DerivedTotal,
    add_totals,
    addends,
    derive_totals,
    require_order,
    require_ordered,
    total_from_record,
    with_asked_totals,
)

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


def test_fewer_than_k_people_do_not_decide_the_decimals_of_a_total(frame, make_metadata):
    exact = pd.concat([frame] * 4, ignore_index=True)
    exact.loc[:3, "a"] += 0.0049
    exact["c"] = exact["a"] + exact["b"]
    metadata = make_metadata(DECIMALS, total("c", "a", "b"))
    assert [derive_totals(exact, metadata, k)[0].decimals for k in (4, 5)] == [4, 2]
    twins = np.arange(len(exact)) // 2
    assert [derive_totals(exact, metadata, k, twins)[0].decimals for k in (2, 3)] == [4, 2]


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


@pytest.mark.parametrize("spoil", ["broken", "total_missing", "part_missing"])
def test_a_total_with_exceptions_is_modelled_and_then_computed_where_it_and_its_parts_are_there(
    frame, make_metadata, spoil
):
    match spoil:
        case "broken":
            frame.loc[3, "c"] += 1
        case "total_missing":
            frame.loc[3, "c"] = np.nan
        case "part_missing":
            frame.loc[3, "a"] = np.nan
    derived = derive_totals(frame, make_metadata(DECIMALS, total("c", "a", "b")))
    assert [one.modelled for one in derived] == [True]
    drawn = frame.assign(c=frame["c"] + 7)
    kept = add_totals(drawn, derived)["c"]
    assert kept.isna().equals(frame["c"].isna())
    whole = frame[["a", "b", "c"]].notna().all(axis=1)
    assert np.allclose(kept[whole], (frame["a"] + frame["b"])[whole])
    assert (kept[~whole].dropna() == drawn["c"][~whole].dropna()).all()


def test_a_total_that_few_people_have_tells_nothing_of_theirs(frame, make_metadata):
    frame.loc[3:, "c"] = np.nan
    metadata = make_metadata(DECIMALS, total("c", "a", "b"))
    assert [derive_totals(frame, metadata, k)[0].decimals for k in (3, 4)] == [2, 6]


def test_exceptions_of_fewer_than_k_people_do_not_make_a_total_modelled(frame, make_metadata):
    frame.loc[:2, "c"] += 1
    frame.loc[3, "c"] = np.nan
    metadata, pairs = make_metadata(DECIMALS, total("c", "a", "b")), np.arange(len(frame)) // 2
    assert [derive_totals(frame, metadata, k)[0].modelled for k in (4, 5)] == [True, False]
    assert [derive_totals(frame, metadata, k, pairs)[0].modelled for k in (2, 3)] == [True, False]


def test_a_total_that_is_never_there_is_left_alone(frame, make_metadata):
    frame["c"] = np.nan
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


def test_rounding_a_total_never_takes_it_beyond_the_tolerance():
    table = pd.DataFrame({"a": [0.25, 1.0, 1e9 + 0.01], "b": [0.5, 2.0, 0.02]})
    spec = ConstraintSpec(kind=ConstraintKind.sum, total="c", parts=["a", "b"], tolerance=0.0)
    derived = DerivedTotal("c", ("a", "b"), ColumnType.decimal, 0, 0.0, modelled=False)
    assert not spec.broken(add_totals(table, [derived])).any()
    assert add_totals(table, [dataclasses.replace(derived, tolerance=0.5)])["c"].tolist()[:2] == [1.0, 3.0]


def test_addends_are_the_columns_that_are_drawn_or_known():
    of = {
        "d": DerivedTotal("d", ("c", "a"), ColumnType.decimal, 2, 0.005, modelled=False),
        "c": DerivedTotal("c", ("a", "b"), ColumnType.decimal, 2, 0.005, modelled=False),
    }
    assert addends(of["d"], of, ()) == {"a": 2, "b": 1}
    assert addends(of["d"], of, {"c"}) == {"c": 1, "a": 1}


def test_asked_totals_stand_as_asked_or_are_refused(frame, make_metadata):
    derived = derive_totals(frame, make_metadata(DECIMALS, total("c", "a", "b")))
    asked = frame[["c"]] + 0.004
    assert with_asked_totals(frame, derived, asked)["c"].equals(asked["c"])
    assert with_asked_totals(frame, derived, frame[["a"]])["c"].equals(frame["c"])
    asked.loc[[3, 4], "c"] = [1e6, np.nan]
    with pytest.raises(SynthesizerError, match=r"'c' must be met by its parts \['a', 'b'\], however 2 rows cannot"):
        with_asked_totals(frame, derived, asked)


def test_conditions_that_cross_a_declared_order_are_refused(make_metadata):
    metadata = make_metadata(DECIMALS, ConstraintSpec(kind=ConstraintKind.range, low="a", middle="b", high="c"))
    require_order(pd.DataFrame({"a": [1.0, np.nan], "c": [1.0, 0.0]}), metadata)
    with pytest.raises(SynthesizerError, match="conditions must keep a <= c, however 1 rows do not"):
        require_order(pd.DataFrame({"a": [1.0, 2.0], "c": [1.0, 1.5]}), metadata)


@pytest.fixture
def records(frame, make_metadata):
    metadata = make_metadata(DECIMALS, total("d", "c", "a"), total("c", "a", "b"))
    derived = derive_totals(frame, metadata)
    plain = [{**dataclasses.asdict(one), "type": one.type.value, "parts": list(one.parts)} for one in derived]
    return derived, json.loads(json.dumps(plain)), metadata


def test_totals_come_back_from_a_manifest(records):
    derived, plain, metadata = records
    back = tuple(total_from_record(record, metadata) for record in plain)
    assert back == derived
    require_ordered(back)


@pytest.mark.parametrize(
    "change",
    [
        {"total": "a"},
        {"parts": ["a"]},
        {"parts": None},
        {"type": "integer"},
        {"type": "money"},
        {"decimals": -1},
        {"decimals": 2.0},
        {"decimals": True},
        {"tolerance": 1e9},
        {"tolerance": None},
        {"modelled": "yes"},
        {"modelled": None},
        {"more": 1},
    ],
)
def test_a_damaged_total_is_refused(records, change):
    _, plain, metadata = records
    with pytest.raises((ValueError, TypeError, LookupError)):
        total_from_record({**plain[0], **change}, metadata)
    with pytest.raises((ValueError, TypeError, LookupError)):
        total_from_record({k: v for k, v in plain[0].items() if k not in change} | {"other": 1}, metadata)


def test_totals_in_an_impossible_order_are_refused(records):
    derived = records[0]
    with pytest.raises(ValueError, match="after its parts"):
        require_ordered(derived[::-1])
    with pytest.raises(ValueError, match="once"):
        require_ordered((*derived, derived[0]))
