"""`verify` hands on whose row each is, whatever happens to the entity key."""

from __future__ import annotations

import pandas as pd
import pytest

from tabveil.schema import ENTITY_COLUMN, Action, Column, ColumnType, Metadata, SDType
from tabveil.stages.verify import with_entities

KEYS = pd.Series(["a", "b", "a", None, None], dtype=object)
CLEAN = pd.DataFrame({"amount": [1.0, 2.0, 3.0, 4.0, 5.0]})


def described(action: Action, entity_key: str | None = "customer") -> Metadata:
    customer = Column("customer", "Customer", ColumnType.string, SDType.id, action)
    amount = Column("amount", "Amount", ColumnType.decimal, SDType.numerical)
    return Metadata("small", (customer, amount), entity_key=entity_key)


@pytest.mark.parametrize("action", [Action.drop, Action.regenerate])
def test_a_key_that_is_gone_leaves_numbers(action):
    table = with_entities(CLEAN, KEYS, described(action))
    assert table[ENTITY_COLUMN].tolist() == [0, 1, 0, 2, 3]
    assert ENTITY_COLUMN not in CLEAN
    assert ENTITY_COLUMN not in described(action).modelled_columns


def test_pseudonyms_and_no_key_need_no_numbers():
    assert with_entities(CLEAN, KEYS, described(Action.pseudonymise)) is CLEAN
    assert with_entities(CLEAN, None, described(Action.drop, None)) is CLEAN
