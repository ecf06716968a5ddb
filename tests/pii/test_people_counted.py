"""Where a person has several rows, thresholds count people."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tabveil.config import DatasetConfig
from tabveil.pii import ScanResult, apply_policies, k_anonymity, resolve_policies
from tabveil.schema import Action, ColumnSpec, Generalisation, PolicySpec, SDType

KEY = bytes(32)
NOTHING = ScanResult((), (), 0, (), 0, True, 0.0)
TITLES = PolicySpec(action=Action.generalise, method=Generalisation.frequent, min_count=20)


def titles_of(entity_key: str | None) -> pd.Series:
    """`nurse`: 20 people; `queen`: one person's 50 rows; `smith`: 19 people and a row without a key."""
    people = [*[f"n{i}" for i in range(20)], *["q"] * 50, *[f"s{i}" for i in range(19)], None]
    table = pd.DataFrame({"who": people, "title": ["nurse"] * 20 + ["queen"] * 50 + ["smith"] * 20}, dtype=object)
    columns = {"who": ColumnSpec(sdtype=SDType.id), "title": ColumnSpec(policy=TITLES)}
    dataset = DatasetConfig(name="small", columns=columns, entity_key=entity_key)
    clean, _ = apply_policies(table, dataset, resolve_policies(dataset, NOTHING), {}, KEY)
    return clean["title"]


@pytest.mark.parametrize(
    ("entity_key", "kept"), [("who", {"nurse", "smith", "other"}), (None, {"nurse", "queen", "smith"})]
)
def test_frequent_levels_are_those_of_many_people(entity_key, kept):
    assert set(titles_of(entity_key)) == kept


def test_k_anonymity_counts_people_where_they_are_known():
    table = pd.DataFrame({"postcode": ["1"] * 6 + ["2"] * 4})
    people = np.array([0, 0, 0, 0, 0, 1, 2, 3, 4, 5])
    rows, known = k_anonymity(table, ["postcode"], 3).full, k_anonymity(table, ["postcode"], 3, entities=people).full
    assert (rows.min_group_rows, rows.rows_below_k) == (4, 0)
    assert (known.min_group_rows, known.rows_below_k) == (2, 6)
