from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabveil.entities import codes_of, entities_per_group, entity_codes, num_entities
from tabveil.errors import SchemaError
from tabveil.schema import ENTITY_COLUMN, NAME_PATTERN, Action, Column, ColumnType, Metadata, SDType, canonical

CUSTOMER = Column("customer", "Customer", ColumnType.string, SDType.id, Action.pseudonymise)
AMOUNT = Column("amount", "Amount", ColumnType.decimal, SDType.numerical)
KEYED = Metadata("small", (CUSTOMER, AMOUNT), entity_key="customer")


@given(st.lists(st.one_of(st.none(), st.sampled_from("abc")), max_size=30))
def test_rows_of_a_key_share_a_code_and_a_row_without_a_key_is_alone(keys):
    codes = codes_of(pd.Series(keys, dtype=object))
    named = [key for key in keys if key is not None]
    assert len(set(codes.tolist())) == len(set(named)) + keys.count(None)
    for first, code in zip(keys, codes, strict=True):
        same = [other for other, its in zip(keys, codes, strict=True) if its == code]
        assert same == [first] * (named.count(first) if first is not None else 1)


@given(st.lists(st.tuples(st.integers(-1, 4), st.integers(0, 6)), max_size=60))
def test_entities_per_group_counts_each_entity_once(rows):
    groups, entities = (np.array([row[i] for row in rows], dtype=np.int64) for i in (0, 1))
    counts = entities_per_group(groups, 5, entities)
    assert counts.tolist() == [len({who for group, who in rows if group == wanted}) for wanted in range(5)]
    assert entities_per_group(groups, 5, np.arange(len(rows))).tolist() == entities_per_group(groups, 5, None).tolist()


def test_a_clean_table_says_whose_row_each_is():
    table = pd.DataFrame({"customer": ["x", "y", "x"], "amount": [1.0, 2.0, 3.0]})
    assert entity_codes(table, KEYED).tolist() == [0, 1, 0]
    numbered = table[["amount"]].assign(**{ENTITY_COLUMN: [7, 7, 9]})
    assert entity_codes(canonical(numbered, KEYED), KEYED).tolist() == [0, 0, 1]
    assert entity_codes(table, Metadata("small", KEYED.columns)) is None
    assert (num_entities(None, 3), num_entities(np.array([0, 0, 1]), 3)) == (3, 2)
    with pytest.raises(SchemaError, match="customer or _entity, however it has neither"):
        entity_codes(table[["amount"]], KEYED)


def test_the_entity_column_is_whole_numbers_and_no_declared_name():
    assert not NAME_PATTERN.fullmatch(ENTITY_COLUMN)
    assert canonical(pd.DataFrame({ENTITY_COLUMN: [1, 2]}), KEYED)[ENTITY_COLUMN].dtype == "Int64"
    with pytest.raises(SchemaError, match="must hold integer values"):
        canonical(pd.DataFrame({ENTITY_COLUMN: ["a person"]}), KEYED)
