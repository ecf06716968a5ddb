"""tabveil.schema: policies, constraints, metadata, canonical dtypes."""

from __future__ import annotations

import dataclasses

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


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        ("inequality", {"low": "a", "middle": "b", "high": "c"}, "takes low and high, however: middle"),
        ("range", {"low": "a", "high": "c"}, "needs low, middle and high"),
        ("unique", {"columns": ["a"], "dependent": "b"}, "takes columns, however: dependent"),
        ("one_hot", {"columns": ["a"]}, "needs at least two columns"),
        ("one_hot", {"columns": ["a", "b", "a"]}, "must name each column once, however: a"),
        ("fixed_combinations", {"columns": ["a"]}, "needs at least two columns"),
        ("fixed_combinations", {"columns": ["a", "b"], "low": "c"}, "takes at least two columns, however: low"),
        ("functional_dependency", {"columns": ["a"]}, "needs columns and dependent"),
        ("functional_dependency", {"dependent": "a"}, "needs columns and dependent"),
        ("functional_dependency", {"columns": ["a", "b"], "dependent": "b"}, "name each column once, however: b"),
    ],
)
def test_a_constraint_that_does_not_fit_its_kind_is_refused(kind, arguments, message):
    with pytest.raises(ConfigError, match=message):
        ConstraintSpec(kind=ConstraintKind(kind), **arguments)


@pytest.mark.parametrize(
    ("kind", "arguments", "label", "used"),
    [
        ("range", {"low": "a", "middle": "b", "high": "c"}, "a <= b <= c", ["a", "b", "c"]),
        ("range", {"low": "a", "middle": "b", "high": "c", "strict": True}, "a < b < c", ["a", "b", "c"]),
        ("one_hot", {"columns": ["a", "b"]}, "one_hot(a, b)", ["a", "b"]),
        ("fixed_combinations", {"columns": ["a", "b"]}, "fixed_combinations(a, b)", ["a", "b"]),
        ("functional_dependency", {"columns": ["a", "b"], "dependent": "c"}, "a, b -> c", ["a", "b", "c"]),
    ],
)
def test_a_constraint_has_a_label_and_its_columns(kind, arguments, label, used):
    spec = ConstraintSpec(kind=ConstraintKind(kind), **arguments)
    assert (spec.label, spec.used_columns) == (label, used)


def test_range_compares_what_is_there():
    spec = ConstraintSpec(kind=ConstraintKind.range, low="a", middle="b", high="c")
    table = pd.DataFrame({"a": [1, 2, 1, 2, None], "b": [2, 1, 9, None, 1], "c": [3, 3, 3, 1, None]}, dtype="Int64")
    assert spec.broken(table).tolist() == [False, True, True, True, False]


def test_one_hot_wants_one_one_and_else_zeros():
    spec = ConstraintSpec(kind=ConstraintKind.one_hot, columns=["a", "b", "c"])
    table = pd.DataFrame(
        {
            "a": pd.array([True, True, False, None, False, False], "boolean"),
            "b": pd.array([0, 1, 0, 1, 2, None], "Int64"),
            "c": [0.0, 0.0, 0.0, 0.0, -1.0, 1.0],
        }
    )
    assert spec.broken(table).tolist() == [False, True, True, True, True, True]


@pytest.mark.parametrize(
    ("values", "broken"),
    [
        (["b", "b", "a"], [False, False, True]),
        (["b", "a", None], [True, False, False]),  # of equals the smallest; a missing one holds
        ([True, False, False], [True, False, False]),
        ([10.0, 9.0, np.nan], [True, False, False]),  # numbers by value, not as text
        ([0.0, -0.0, 0.0], [False, False, False]),
    ],
)
def test_functional_dependency_marks_what_is_not_usual(values, broken):
    spec = ConstraintSpec(kind=ConstraintKind.functional_dependency, columns=["k"], dependent="v")
    table = pd.DataFrame({"k": ["x", "x", "x", None], "v": [*values, values[0]]}, index=[3, 1, 4, 9])
    assert spec.broken(table).tolist() == [*broken, False]
    assert spec.broken(table.iloc[:0]).tolist() == []


def test_fixed_combinations_are_what_the_table_shows():
    spec = ConstraintSpec(kind=ConstraintKind.fixed_combinations, columns=["a", "b"])
    assert spec.broken(pd.DataFrame({"a": [1, 1], "b": [2, 3]})).tolist() == [False, False]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), max_size=20))
def test_without_the_broken_rows_a_dependency_holds(rows):
    spec = ConstraintSpec(kind=ConstraintKind.functional_dependency, columns=["k"], dependent="v")
    table = pd.DataFrame(rows, columns=["k", "v"], dtype="Int64")
    kept = table[~spec.broken(table)]
    assert not spec.broken(kept).any()
    assert (kept.groupby("k")["v"].nunique() == 1).all()
    assert set(kept["k"]) == set(table["k"])


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


EVERY_KIND = (
    LESS,
    ConstraintSpec(kind=ConstraintKind.range, low="a", middle="b", high="c", strict=True),
    ConstraintSpec(kind=ConstraintKind.sum, total="a", parts=["b", "c"], tolerance=0.5),
    ConstraintSpec(kind=ConstraintKind.unique, columns=["a"]),
    ConstraintSpec(kind=ConstraintKind.one_hot, columns=["a", "b"]),
    ConstraintSpec(kind=ConstraintKind.fixed_combinations, columns=["a", "b"]),
    ConstraintSpec(kind=ConstraintKind.functional_dependency, columns=["a", "b"], dependent="c"),
)


def test_every_kind_of_constraint_survives_json():
    assert {spec.kind for spec in EVERY_KIND} == set(ConstraintKind)
    metadata = Metadata(dataset="d", columns=tuple(map(column, "abc")), constraints=EVERY_KIND)
    assert Metadata.from_json(metadata.to_json()) == metadata
    assert metadata.modelled_constraints == EVERY_KIND


def test_metadata_of_version_1_is_read():
    now = Metadata(dataset="d", columns=tuple(map(column, "abc")), constraints=(LESS,)).to_dict()
    now["x-tabveil"]["version"] = 1
    now["x-tabveil"]["constraints"] = [
        {
            "kind": "inequality", "low": "a", "high": "b", "strict": False, "total": None, "parts": [],
            "tolerance": 0.005, "columns": [],
        }
    ]  # fmt: skip
    assert Metadata.from_dict(now).constraints == (LESS,)


def test_declared_bounds_are_kept_and_metadata_of_version_2_has_none():
    bounded = dataclasses.replace(column("a"), minimum=0.5, maximum=100.0)
    metadata = Metadata(dataset="d", columns=(bounded,))
    assert Metadata.from_json(metadata.to_json()) == metadata
    now = metadata.to_dict()
    now["x-tabveil"]["version"] = 2
    for name in ("minimum", "maximum"):
        del now["x-tabveil"]["columns"][0][name]
    assert Metadata.from_dict(now)["a"] == column("a")


def test_constraints_on_a_column_that_is_not_modelled_bind_no_synthesizer():
    hidden = column("c", action=Action.regenerate)
    metadata = Metadata(dataset="d", columns=(column("a"), column("b"), hidden), constraints=EVERY_KIND)
    kinds = {"inequality", "unique", "one_hot", "fixed_combinations"}
    assert {spec.kind.value for spec in metadata.modelled_constraints} == kinds


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


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA, pd.NaT])
@pytest.mark.parametrize("dtype", ["object", "string", "category"])
def test_missing_text_is_none_whatever_it_was(missing, dtype):
    metadata = Metadata(dataset="d", columns=(column("s", ColumnType.string, SDType.categorical),))
    for cells in (["a", missing], [missing, missing], ["a", "b"], []):
        result = canonical(pd.DataFrame({"s": pd.Series(cells, dtype=dtype)}), metadata)["s"]
        assert result.dtype == object
        assert [cell if isinstance(cell, str) else (cell is None) for cell in result] == [
            cell if isinstance(cell, str) else True for cell in cells
        ]


def test_canonical_names_the_column_but_never_the_value():
    metadata = Metadata(dataset="d", columns=(column("i"),))
    with pytest.raises(SchemaError, match="column 'i' must hold integer") as caught:
        canonical(pd.DataFrame({"i": ["secret-value"]}), metadata)
    assert "secret-value" not in str(caught.value)
