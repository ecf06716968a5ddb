"""Group sizes of quasi-identifiers, against a slow count by pandas."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabveil.errors import PolicyViolationError, SchemaError
from tabveil.pii import check_k, k_anonymity, quasi_columns, scan_table
from tabveil.pii.kanonymity import MAX_PAIRED
from tabveil.schema import Action, Column, ColumnType, SDType


def column(name: str, semantic_type: str | None = None, **changes: object) -> Column:
    return Column(name, name, ColumnType.string, SDType.categorical, semantic_type=semantic_type, **changes)


PEOPLE = pd.DataFrame(
    {
        "postcode": ["10"] * 6 + ["20"] * 4,
        "gender": ["f", "m"] * 5,
        "born": pd.array([1970, 1970, 1970, 1970, 1980, 1980, 1980, 1980, 1980, None], dtype="Int64"),
    }
)


def test_singles_pairs_and_all_together_are_counted():
    report = k_anonymity(PEOPLE, ["postcode", "gender", "born"], k=3)
    singles = {item.columns: item for item in report.singles}
    assert (singles["postcode",].num_groups, singles["postcode",].min_group_rows) == (2, 4)
    assert singles["born",].min_group_rows == 1  # a missing value is a value of its own
    assert (singles["born",].rows_below_k, singles["born",].share_below_k) == (1, 0.1)
    assert [item.columns for item in report.pairs] == [
        ("postcode", "gender"), ("postcode", "born"), ("gender", "born"),
    ]  # fmt: skip
    assert report.full is not None
    assert report.full.columns == ("postcode", "gender", "born")
    assert (report.full.num_groups, report.full.min_group_rows, report.full.rows_below_k) == (7, 1, 10)


def slow(table: pd.DataFrame, columns: list[str], k: int) -> tuple[int, int, int]:
    sizes = table.groupby(columns, dropna=False).size()
    return len(sizes), int(sizes.min()), int(sizes[sizes < k].sum())


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b", None]), st.integers(0, 3), st.sampled_from([0.5, 1.5, None])),
        min_size=1, max_size=40,
    ),
    st.integers(2, 6),
)  # fmt: skip
def test_counts_equal_those_of_pandas(rows, k):
    table = pd.DataFrame(rows, columns=["x", "y", "z"])
    report = k_anonymity(table, ["x", "y", "z"], k)
    for item in (*report.singles, *report.pairs, report.full):
        assert (item.num_groups, item.min_group_rows, item.rows_below_k) == slow(table, list(item.columns), k)
        assert report.full.min_group_rows <= item.min_group_rows


def test_many_values_are_counted_by_sorting_with_the_same_result():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({name: rng.integers(0, 4000, 6000) for name in "abc"})
    report = k_anonymity(table, ["a", "b", "c"], 5)
    assert report.full is not None
    assert (report.full.num_groups, report.full.min_group_rows, report.full.rows_below_k) == slow(table, list("abc"), 5)


def test_pairs_are_bounded_and_all_columns_together_are_not():
    rng = np.random.default_rng(0)
    names = [f"c{n}" for n in range(MAX_PAIRED + 3)]
    table = pd.DataFrame({name: rng.integers(0, 2 + number, 300) for number, name in enumerate(names)})
    report = k_anonymity(table, names, 5)
    assert len(report.pairs) == MAX_PAIRED * (MAX_PAIRED - 1) // 2
    assert report.num_unpaired == 3
    assert "c0" not in {name for item in report.pairs for name in item.columns}  # the narrowest ones are left out
    assert report.full is not None
    assert report.full.columns == tuple(names)


def test_without_quasi_identifiers_or_rows_there_is_nothing_to_say():
    assert k_anonymity(PEOPLE, [], 5).full is None
    assert k_anonymity(PEOPLE.head(0), ["gender"], 5).full is None
    check_k(k_anonymity(PEOPLE, [], 5), 5)
    with pytest.raises(SchemaError, match="town"):
        k_anonymity(PEOPLE, ["town"], 5)


def test_small_groups_stop_only_where_min_k_asks_for_more():
    report = k_anonymity(PEOPLE, ["postcode", "gender"], k=5)
    assert report.full is not None
    assert report.full.min_group_rows == 2
    check_k(report, None)
    check_k(report, 2)
    with pytest.raises(
        PolicyViolationError, match=r"postcode, gender must be shared by at least 3 people \(pii\.min_k; .* group has 2"
    ) as caught:
        check_k(report, 3)
    assert "\n" not in str(caught.value)


def test_people_count_not_rows_where_they_are_told_apart():
    table = pd.DataFrame({"city": ["Ulm"] * 6 + ["Bonn"] * 4})
    entities = np.array([0, 0, 0, 0, 0, 1, 2, 3, 4, 5])
    report = k_anonymity(table, ["city"], 3, entities=entities)
    assert report.full is not None
    assert (report.full.min_group_rows, report.full.rows_below_k) == (2, 6)
    with pytest.raises(PolicyViolationError, match="smallest group has 2"):
        check_k(report, 3)


def test_report_holds_counts_and_names_only():
    data = k_anonymity(PEOPLE, ["postcode", "gender"], k=5).to_dict()
    assert data["columns"] == ["postcode", "gender"]
    assert data["full"]["min_group_rows"] == 2
    assert data["full"]["columns"] == ["postcode", "gender"]
    assert "10" not in {str(value) for item in data["singles"] for value in item.values()} - {"10"}


def test_quasi_columns_are_modelled_and_declared_or_told_by_their_header():
    table = pd.DataFrame({name: ["x", "y"] * 30 for name in ("plz", "grade", "job_title", "customer_id")})
    scanned = scan_table(table, timeout_seconds=60)
    columns = (
        column("plz"),
        column("grade"),
        column("job_title", "UNIQUE_IDENTIFIER"),  # declared to be something else
        column("customer_id"),
        column("born", "DATE_OF_BIRTH", action=Action.generalise),
        column("home", "CITY", action=Action.regenerate),
        column("sex", "GENDER", action=Action.drop),
        column("state", "STATE"),
    )
    assert quasi_columns(columns, scanned) == ["plz", "born", "state"]
