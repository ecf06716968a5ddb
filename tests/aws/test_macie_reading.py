"""The embedded Macie reads from CSV what the local scanner reads from the table itself."""

from __future__ import annotations

import math

import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabveil.aws.embedded.macie_reading import managed_detections, read_csv, typed, without_allowed
from tabveil.pii import scan_table
from tabveil.pii.custom import MANAGED_IDENTIFIERS, TYPE_OF_MANAGED, managed_identifiers

PEOPLE = pd.DataFrame(
    {
        "Full name": ["Anna Schmidt", "Peter Johnson", "Maria Müller", "James Brown"] * 10,
        "Date of birth": pd.to_datetime(["1961-03-01", "1975-04-12", "1988-05-23", "1990-11-30"] * 10),
        "IBAN": ["DE89370400440532013000", "GB29NWBK60161331926819"] * 20,
        "Phone": ["+49 30 901820", None, "+44 20 7946 0018", "+1 212 555 0147"] * 10,
        "Amount": pd.array([1000, None, 2500, 40] * 10, dtype="Int64"),
        "Rate": [0.0725, 0.1, float("nan"), 1.25] * 10,
        "Active": [True, False] * 20,
        "Purpose": ["car", "debt consolidation", "house, with garden", 'the "big" one'] * 10,
    }
)


def csv(table: pd.DataFrame) -> bytes:
    return table.to_csv(index=False).encode()


def test_the_same_is_found_as_in_the_table_itself():
    found = scan_table(PEOPLE, timeout_seconds=60).findings
    local = {f.type: f.count for f in found if f.type in MANAGED_IDENTIFIERS}
    detected = managed_detections(typed(read_csv(csv(PEOPLE))), managed_identifiers())
    assert {TYPE_OF_MANAGED[d.name]: d.count for d in detected} == local
    assert {"NAME", "DATE_OF_BIRTH", "BANK_ACCOUNT_NUMBER", "PHONE_NUMBER"} <= set(local)


def test_columns_get_the_types_that_their_texts_show():
    kinds = typed(read_csv(csv(PEOPLE))).dtypes.astype(str).to_dict()
    assert {name: kind.split("[")[0].lower() for name, kind in kinds.items()} == {
        **dict.fromkeys(("Full name", "IBAN", "Phone", "Purpose"), kinds["Purpose"].lower()),
        "Date of birth": "datetime64",
        "Amount": "int64",
        "Rate": "float64",
        "Active": "bool",
    }


def test_numbers_with_leading_zeros_stay_texts():
    assert typed(read_csv(b"id,n\n0123,7\n0456,8\n"))["id"].tolist() == ["0123", "0456"]


@given(st.lists(st.one_of(st.none(), st.integers(-(10**17), 10**17)), min_size=1, max_size=20))
def test_whole_numbers_survive(numbers):
    read = typed(read_csv(csv(pd.DataFrame({"n": pd.array(numbers, dtype="Int64"), "x": "x"}))))["n"]
    assert [None if pd.isna(v) else int(v) for v in read] == numbers


@given(st.lists(st.floats(-1e12, 1e12, allow_nan=False), min_size=1, max_size=20))
def test_numbers_survive(numbers):
    read = typed(read_csv(csv(pd.DataFrame({"n": numbers, "x": "x"}))))["n"]
    assert all(math.isclose(float(a), b) for a, b in zip(read, numbers, strict=True))


@pytest.mark.parametrize("content", [b"", b"a\n1,2,3\n", "é,b\n1,2\n".encode("latin-1")])
def test_what_is_no_table_in_utf8_is_an_error(content):
    with pytest.raises(ValueError, match=r"CSV|utf-8"):
        read_csv(content)


def test_allowed_texts_are_taken_out():
    table = pl.DataFrame({"a": ["Info@bank.example", "mail info@bank.example now", "xinfo@bank.example", "T-1", None]})
    left = without_allowed(table, ["info@bank.example"], [r"T-\d"])["a"].to_list()
    assert left == ["", "mail  now", "xinfo@bank.example", "", None]
    assert without_allowed(table, [], []).equals(table)
