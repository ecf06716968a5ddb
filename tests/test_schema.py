"""tabveil.schema: policies, constraints, metadata, canonical dtypes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabveil.errors import ConfigError, SchemaError
from tabveil.schema import (
    Action,
    Column,
    ColumnSpec,
    ColumnType,
    ConstraintKind,
    ConstraintSpec,
    Generalisation,
    Metadata,
    PolicySpec,
    SDType,
    canonical,
)

LESS = ConstraintSpec(kind=ConstraintKind.inequality, low="a", high="b")


def column(name: str, type_: ColumnType = ColumnType.integer, sdtype: SDType = SDType.numerical, **more) -> Column:
    return Column(name=name, original_name=name.upper(), type=type_, sdtype=sdtype, **more)


@pytest.mark.parametrize(
    ("arguments", "needed"),
    [
        ({}, "method"),
        ({"method": Generalisation.prefix}, "length"),
        ({"method": Generalisation.band, "width": -1.0}, "width"),
        ({"method": Generalisation.frequent, "min_count": 0}, "min_count"),
    ],
)
def test_generalise_without_its_parameter_is_refused(arguments, needed):
    with pytest.raises(ConfigError, match=needed):
        PolicySpec(action=Action.generalise, **arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        {"minimum": 2, "maximum": 1},
        {"formats": ["%Y"]},
        {"clip": True, "type": ColumnType.string},
    ],
)
def test_contradictory_column_specs_are_refused(arguments):
    with pytest.raises(ConfigError):
        ColumnSpec(**arguments)


@pytest.mark.parametrize("kind", list(ConstraintKind))
def test_constraint_without_its_columns_is_refused(kind):
    with pytest.raises(ConfigError, match="needs"):
        ConstraintSpec(kind=kind)


def test_inequality_marks_only_rows_with_both_sides():
    table = pd.DataFrame({"a": pd.array([1, 3, None, 2], "Int64"), "b": pd.array([2, 2, 1, 2], "Int64")})
    assert LESS.broken(table).tolist() == [False, True, False, False]
    strict = ConstraintSpec(kind=ConstraintKind.inequality, low="a", high="b", strict=True)
    assert strict.broken(table).tolist() == [False, True, False, True]


def test_sum_holds_within_its_tolerance():
    spec = ConstraintSpec(kind=ConstraintKind.sum, total="t", parts=["a", "b"], tolerance=0.01)
    table = pd.DataFrame({"t": [3.0, 3.01, 3.02, np.nan], "a": [1.0] * 4, "b": [2.0] * 4})
    assert spec.broken(table).tolist() == [False, False, True, False]


def test_unique_marks_repetitions():
    spec = ConstraintSpec(kind=ConstraintKind.unique, columns=["a"])
    assert spec.broken(pd.DataFrame({"a": [1, 2, 1]})).tolist() == [False, False, True]


@given(
    names=st.lists(st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True), min_size=1, max_size=6, unique=True),
    data=st.data(),
)
def test_metadata_survives_json(names, data):
    columns = tuple(
        Column(
            name=name,
            original_name=data.draw(st.text(max_size=12)),
            type=data.draw(st.sampled_from(ColumnType)),
            sdtype=data.draw(st.sampled_from(SDType)),
            action=data.draw(st.sampled_from(Action)),
            locales=tuple(data.draw(st.lists(st.sampled_from(["en_US", "vi_VN"]), max_size=2))),
            null_fraction=data.draw(st.floats(0, 1)),
        )
        for name in names
    )
    metadata = Metadata(dataset="d", columns=columns, target=names[0])
    assert Metadata.from_json(metadata.to_json()) == metadata


def test_metadata_says_who_is_modelled_and_who_is_invented():
    metadata = Metadata(
        dataset="d",
        columns=(
            column("a"),
            column("b", action=Action.drop),
            column("c", ColumnType.string, SDType.id, action=Action.pseudonymise),
            column("d", ColumnType.string, SDType.categorical, action=Action.regenerate),
            column("e", action=Action.generalise),
        ),
        constraints=(ConstraintSpec(low="a", high="e"), ConstraintSpec(low="a", high="d")),
    )
    assert metadata.modelled_columns == ["a", "e"]
    assert metadata.generated_columns == ["c", "d"]
    assert metadata.output_columns == ["a", "c", "d", "e"]
    assert [c.label for c in metadata.modelled_constraints] == ["a <= e"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("not json", "not JSON"),
        ("{}", "expected TabVeil metadata"),
        ('{"x-tabveil": {"version": 99}}', "newer"),
    ],
)
def test_foreign_metadata_is_refused(text, message):
    with pytest.raises(SchemaError, match=message):
        Metadata.from_json(text)


def test_duplicate_names_are_refused():
    with pytest.raises(SchemaError, match="unique"):
        Metadata(dataset="d", columns=(column("a"), column("a")))


def test_canonical_gives_one_dtype_per_type():
    types = {
        "i": ColumnType.integer,
        "f": ColumnType.decimal,
        "b": ColumnType.boolean,
        "s": ColumnType.string,
        "d": ColumnType.date,
    }
    metadata = Metadata(dataset="d", columns=tuple(column(name, type_) for name, type_ in types.items()))
    table = pd.DataFrame(
        {"i": [1.0, np.nan], "f": [1, 2], "b": [True, None], "s": ["x", np.nan], "d": ["2020-01-01", None]},
        index=[5, 9],
    )
    result = canonical(table, metadata)
    assert [str(dtype) for dtype in result.dtypes] == ["Int64", "float64", "boolean", "object", "datetime64[us]"]
    assert result["s"].tolist() == ["x", None]
    assert result.index.tolist() == [0, 1]


def test_canonical_names_the_column_but_never_the_value():
    metadata = Metadata(dataset="d", columns=(column("i"),))
    with pytest.raises(SchemaError, match="column 'i' must hold integer") as caught:
        canonical(pd.DataFrame({"i": ["secret-value"]}), metadata)
    assert "secret-value" not in str(caught.value)
