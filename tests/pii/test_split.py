import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabveil.errors import DataError
from tabveil.pii import split_by_entity

keys = st.lists(st.one_of(st.none(), st.integers(0, 40).map(lambda n: f"c{n}")), min_size=2, max_size=120)


def table_of(num_rows: int) -> pd.DataFrame:
    return pd.DataFrame({"x": range(num_rows)})


@given(keys, st.floats(0.05, 0.5), st.integers(0, 10))
def test_split_partitions_rows_and_never_an_entity(entities, fraction, seed):
    entity = pd.Series(entities, dtype=object)
    if entity.nunique() + int(entity.isna().sum()) < 2:
        with pytest.raises(DataError):
            split_by_entity(table_of(len(entity)), entity, fraction, seed)
        return
    train, holdout = split_by_entity(table_of(len(entity)), entity, fraction, seed)
    assert sorted([*train, *holdout]) == list(range(len(entity)))
    assert len(train) > 0
    assert len(holdout) > 0
    assert not set(entity[train].dropna()) & set(entity[holdout].dropna())


@given(st.permutations(range(30)), st.integers(0, 5))
def test_side_of_an_entity_does_not_depend_on_row_order(order, seed):
    entity = pd.Series([f"c{n % 10}" for n in range(30)])
    _, holdout = split_by_entity(table_of(30), entity, 0.3, seed)
    shuffled = entity.iloc[list(order)].reset_index(drop=True)
    _, again = split_by_entity(table_of(30), shuffled, 0.3, seed)
    assert set(entity[holdout]) == set(shuffled[again])


def test_fraction_is_met_and_seed_decides():
    splits = [split_by_entity(table_of(1000), None, 0.2, seed) for seed in (0, 0, 1)]
    assert [len(holdout) for _, holdout in splits] == [200, 200, 200]
    assert np.array_equal(splits[0][1], splits[1][1])
    assert not np.array_equal(splits[0][1], splits[2][1])


def test_too_few_entities_are_refused():
    with pytest.raises(DataError, match="at least 2 entities, however the table has 1"):
        split_by_entity(table_of(5), pd.Series(["a"] * 5), 0.2, 0)
    with pytest.raises(DataError, match="has 0"):
        split_by_entity(table_of(0), None, 0.2, 0)


def test_holdout_below_the_minimum_is_refused():
    with pytest.raises(DataError, match=r"at least 50 rows .*, however it has 40"):
        split_by_entity(table_of(200), None, 0.2, 0, min_holdout_rows=50)


def test_wrong_arguments_are_refused():
    with pytest.raises(DataError, match="one entity key per row"):
        split_by_entity(table_of(5), pd.Series(["a"]), 0.2, 0)
    with pytest.raises(DataError, match="holdout_fraction"):
        split_by_entity(table_of(5), None, 1.0, 0)
