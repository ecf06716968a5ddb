import dataclasses
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tabveil.artifacts import to_json
from tabveil.config import BadValue, CsvConfig, DatasetConfig, FileFormat, PreprocessConfig, SourceConfig
from tabveil.errors import ConfigError, SchemaError, TooManyRejectedError
from tabveil.preprocess import preprocess
from tabveil.schema import PANDAS_DTYPE, ColumnSpec, ColumnType, ConstraintKind, ConstraintSpec, NullPolicy, SDType

INTEGER, DECIMAL = ColumnSpec(type=ColumnType.integer), ColumnSpec(type=ColumnType.decimal)
DATE, DATETIME = ColumnSpec(type=ColumnType.date), ColumnSpec(type=ColumnType.datetime)
TEXT, BOOLEAN = ColumnSpec(), ColumnSpec(type=ColumnType.boolean)
NULL_BAD = PreprocessConfig(bad_values=BadValue.null)


def one(run, values, spec, **kwargs):
    """The values of a single column `v` beside a row key, bad ones as missing."""
    rows = [["k", "v"], *([str(number), value] for number, value in enumerate(values))]
    kwargs.setdefault("options", NULL_BAD)
    return run(rows, {"k": TEXT, "v": spec}, **kwargs).table["v"]


def test_dtypes_names_and_order(run):
    rows = [["B Col", "aCol", "D", "T", "F", "S"], ["1", "2.5", "2020-01-02", "2020-01-02 03:04", "yes", "x"]]
    columns = {"s": TEXT, "f": BOOLEAN, "t": DATETIME, "d": DATE, "a_col": DECIMAL, "b_col": INTEGER}
    table = run(rows, columns).table
    assert list(table.columns) == ["b_col", "a_col", "d", "t", "f", "s"]
    expected = [PANDAS_DTYPE[columns[name].type] for name in table.columns]
    assert [str(dtype) for dtype in table.dtypes] == expected
    assert table.iloc[0].tolist() == [
        1, 2.5, pd.Timestamp("2020-01-02"), pd.Timestamp("2020-01-02 03:04"), True, "x",
    ]  # fmt: skip


def test_trims_and_null_tokens(run):
    values = [" a\u00a0", "\u200bb\ufeff", "N/A", " - ", "", "\u00a0", "in side", "\tNA\t", "na"]
    assert one(run, values, TEXT).tolist() == ["a", "b", None, None, None, None, "in side", None, "na"]


def test_byte_order_mark_and_crlf(run):
    table = run("\ufeffk,v\r\n1,x\r\n", {"k": INTEGER, "v": TEXT}).table
    assert table.to_dict("list") == {"k": [1], "v": ["x"]}


def test_integers(run):
    values = ["9007199254740993", "-9223372036854775808", "+7", "5.0", "5.", "5.5", "1e3", "1_000", "0x1A", "", "007"]
    found = one(run, values, INTEGER)
    assert found.dropna().tolist() == [9007199254740993, -(2**63), 7, 5, 5, 7]
    assert found.isna().tolist() == [False, False, False, False, False, True, True, True, True, True, False]


def test_integer_beyond_64_bits_is_bad(run):
    assert one(run, ["1", "9223372036854775808"], INTEGER).isna().tolist() == [False, True]


def test_decimals(run):
    values = ["1.5", ".5", "5.", "-1e3", "1E-2", "1d", "nan", "inf", "9" * 400, "1,000", "- 5"]
    found = one(run, values, DECIMAL)
    assert found[:5].tolist() == [1.5, 0.5, 5.0, -1000.0, 0.01]
    assert found[5:].isna().all()


def test_decimal_comma_and_thousands(run):
    csv = CsvConfig(delimiter=";", decimal=",", thousands=".")
    found = one(run, ["1.234,56", "12,5", "1.234.567", "12.34", "1234,5", "1,2,3"], DECIMAL, csv=csv)
    assert found.tolist()[:3] == [1234.56, 12.5, 1234567.0]
    assert found.isna().tolist() == [False, False, False, True, False, True]
    csv = CsvConfig(delimiter=";", decimal=",", thousands=" ")
    assert one(run, ["1 234", "1\u202f234\u00a0567", "12 34"], INTEGER, csv=csv).tolist()[:2] == [1234, 1234567]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["$5", "-$6.50", "$ 7", "8", "9 $"], [5, -6.5, 7, 8, 9]),
        (["5%", "12.5 %"], [5, 12.5]),
        (["5%", "0.05"], [None, 0.05]),  # two scales: a percent sign is not read
        (["$5", "5 €", "6"], [None, None, 6]),  # two currencies
        (["$5$", "$5", "5$%"], [None, 5, None]),
    ],
)
def test_signs(run, values, expected):
    assert one(run, values, DECIMAL).replace({np.nan: None}).tolist() == expected


def test_booleans(run):
    found = one(run, ["TRUE", "No", "y", "0", "ja", "", "maybe"], BOOLEAN)
    assert found[:5].tolist() == [True, False, True, False, True]
    assert found[5:].isna().all()
    found = one(run, ["ja", "nein"], BOOLEAN, true_tokens=["JA"], false_tokens=["nein"])
    assert found.tolist() == [True, False]


def test_dates_by_formats_in_order(run):
    spec = ColumnSpec(type=ColumnType.date, formats=["%d/%m/%Y", "%m/%d/%Y", "%d %b %y"])
    found = one(run, ["3/4/2020", "12/31/2020", "31/02/2020", "5 Mar 21", "5 Xyz 21", "2020-01-01"], spec)
    assert found.dt.strftime("%Y-%m-%d").replace({np.nan: None}).tolist() == [
        "2020-04-03", "2020-12-31", None, "2021-03-05", None, None,
    ]  # fmt: skip


def test_dates_default_to_iso(run):
    values = ["2020-02-29", "2020-02-30", "2020-01-01T00:00:00Z", "2020-01-01 10:00", "2020", "20200101"]
    assert one(run, values, DATE).isna().tolist() == [False, True, False, True, True, True]
    values = ["2020-01-01T10:00:01.5Z", "2020-01-01", "2020-01-01 24:00", "2020-01-01 10:00+02:00"]
    found = one(run, values, DATETIME)
    assert found[0] == pd.Timestamp("2020-01-01 10:00:01.5")
    assert found.isna().tolist() == [False, False, True, True]


def test_datetime_with_offset_and_afternoon(run):
    spec = ColumnSpec(type=ColumnType.datetime, formats=["%d.%m.%Y %H:%M%z", "%d.%m.%Y %I:%M %p"])
    found = one(run, ["01.01.2020 01:00+02:00", "01.01.2020 12:30 AM", "01.01.2020 01:00Z"], spec)
    assert found.astype(str).tolist() == ["2019-12-31 23:00:00", "2020-01-01 00:30:00", "2020-01-01 01:00:00"]


def test_two_digit_years_follow_posix(run):
    spec = ColumnSpec(type=ColumnType.date, formats=["%d.%m.%y"])
    assert one(run, ["01.01.69", "01.01.68"], spec).dt.year.tolist() == [1969, 2068]


REJECTED = [
    (INTEGER, "x", "v: not an integer"),
    (DECIMAL, "x", "v: not a number"),
    (BOOLEAN, "x", "v: not a boolean"),
    (DATE, "x", "v: not a date"),
    (DATETIME, "x", "v: not a date and time"),
    (ColumnSpec(type=ColumnType.integer, minimum=0), "-1", "v: below minimum"),
    (ColumnSpec(type=ColumnType.decimal, maximum=1.5), "1.6", "v: above maximum"),
    (ColumnSpec(nulls=NullPolicy.drop), "", "v: missing"),
]


@pytest.mark.parametrize(("spec", "value", "reason"), REJECTED, ids=[reason for *_, reason in REJECTED])
def test_rejects_with_reason(run, spec, value, reason):
    good = {"boolean": "yes", "date": "2020-01-01", "datetime": "2020-01-01", "string": "a"}.get(spec.type.value, "1")
    result = run([["k", "v"], ["1", good], ["2", value]], {"k": TEXT, "v": spec})
    assert result.table["k"].tolist() == ["1"]
    assert result.quarantine.to_dict("records") == [{"_row": 2, "_reason": reason, "k": "2", "v": value, "_line": None}]
    assert result.profile["counts"] == {
        "read": 2, "kept": 1, "duplicates": 0, "malformed": 0, "rejected": 1, "rejected_by_reason": {reason: 1},
    }  # fmt: skip


def test_first_fault_is_the_reason(run):
    spec = ColumnSpec(type=ColumnType.integer, minimum=0)
    result = run([["a", "b"], ["-1", "x"], ["1", "1"]], {"b": spec, "a": spec})
    assert result.quarantine["_reason"].tolist() == ["a: below minimum"]


def test_bad_values_can_become_missing_and_are_counted(run):
    rows = [["k", "v"], ["1", "x"], ["2", ""], ["3", "4"]]
    result = run(rows, {"k": TEXT, "v": INTEGER}, options=NULL_BAD)
    assert result.table["v"].isna().tolist() == [True, True, False]
    assert result.profile["bad_values_made_null"] == {"v": 1}
    drop = ColumnSpec(type=ColumnType.integer, nulls=NullPolicy.drop)
    assert run(rows, {"k": TEXT, "v": drop}, options=NULL_BAD).profile["counts"]["rejected_by_reason"] == {
        "v: missing": 2
    }


def test_malformed_lines_go_to_quarantine(run):
    result = run('k,v\n1,a\n2\n3,"x"y\n4,b\n', {"k": INTEGER, "v": TEXT})
    assert result.table["k"].tolist() == [1, 4]
    assert result.quarantine[["_row", "_reason", "_line"]].values.tolist() == [
        [2, "malformed line", "2"],
        [3, "malformed line", '3,"x"y'],
    ]
    assert result.profile["counts"]["malformed"] == 2


def test_null_policies(run):
    rows = [["k", "n", "d", "s", "b"], ["1", "1", "2020-01-01", "x", "y"], ["2", "", "", "", ""]]
    rows += [["3", "3", "2020-01-03", "x", "y"], ["4", "8", "2020-01-05", "a", "n"]]
    types = {"n": ColumnType.decimal, "d": ColumnType.date, "s": ColumnType.string, "b": ColumnType.boolean}

    def columns(nulls):
        return {"k": TEXT, **{name: ColumnSpec(type=kind, nulls=nulls) for name, kind in types.items()}}

    kept = run(rows, columns(NullPolicy.keep))
    assert kept.table.iloc[1, 1:].isna().all()
    assert [column["nulls"] for column in kept.profile["columns"]] == [0, 1, 1, 1, 1]
    assert len(run(rows, columns(NullPolicy.drop)).table) == 3
    imputed = run(rows, columns(NullPolicy.impute))
    assert imputed.table.iloc[1].tolist() == ["2", 3.0, pd.Timestamp("2020-01-03"), "x", True]
    fitted = imputed.profile["fitted"]["columns"]
    assert fitted == {
        "n": {"median": 3.0}, "d": {"median": "2020-01-03"}, "s": {"mode": "(not shown)"}, "b": {"mode": True},
    }  # fmt: skip


def test_impute_without_any_value_fails(run):
    with pytest.raises(SchemaError, match="v must hold values to impute from"):
        run([["k", "v"], ["1", ""]], {"k": TEXT, "v": ColumnSpec(type=ColumnType.integer, nulls=NullPolicy.impute)})


def test_clip_to_fitted_quantiles(run):
    rows = [["k", "v"], *([str(number), str(number)] for number in range(1001)), ["x", "1000000"]]
    spec = ColumnSpec(type=ColumnType.integer, clip=True)
    result = run(rows, {"k": TEXT, "v": spec}, options=PreprocessConfig(clip_quantiles=[0.01, 0.99]))
    low, high = result.profile["fitted"]["columns"]["v"]["clip"]
    assert 9 <= low <= 11
    assert 989 <= high <= 1000
    assert (result.table["v"].min(), result.table["v"].max()) == (low, high)
    assert len(result.table) == 1002


def test_duplicates_after_normalisation_keep_the_first(run):
    rows = [["k", "v"], ["1", "1.0"], ["2", "x"], [" 1", "1"], ["1", "2"], ["1\u00a0", "+1"]]
    result = run(rows, {"k": TEXT, "v": DECIMAL})
    assert result.table.values.tolist() == [["1", 1.0], ["1", 2.0]]
    assert result.profile["counts"]["duplicates"] == 2
    assert run(rows, {"k": TEXT, "v": DECIMAL}, deduplicate=False).profile["counts"]["duplicates"] == 0


def test_constraints_reject_with_their_label(run):
    rows = [["low", "high", "total", "key"], ["1", "2", "3", "a"], ["3", "2", "5", "b"], ["1", "1", "3", "c"]]
    rows += [["", "1", "", "d"], ["2", "2", "4", "a"]]
    constraints = [
        ConstraintSpec(low="low", high="high"),
        ConstraintSpec(kind=ConstraintKind.sum, total="total", parts=["low", "high"]),
        ConstraintSpec(kind=ConstraintKind.unique, columns=["key"]),
    ]
    result = run(rows, {"low": INTEGER, "high": INTEGER, "total": DECIMAL, "key": TEXT}, constraints=constraints)
    assert result.table["key"].tolist() == ["a", "d"]
    assert result.quarantine[["_row", "_reason"]].values.tolist() == [
        [2, "low <= high"], [3, "total = low + high"], [5, "unique(key)"],
    ]  # fmt: skip
    for constraint in constraints:
        assert not constraint.broken(result.table).any()


def test_a_range_is_judged_by_what_is_there(run):
    rows = [
        ["low", "middle", "high"],
        ["1", "2", "3"],
        ["3", "2", "4"],
        ["1", "5", "4"],
        ["2", "", "1"],
        ["1", "", "2"],
    ]
    rows += [["", "2", "1"], ["", "", "1"], ["2", "2", "2"]]
    columns = {"low": INTEGER, "middle": INTEGER, "high": DECIMAL}
    spec = ConstraintSpec(kind=ConstraintKind.range, low="low", middle="middle", high="high")
    result = run(rows, columns, constraints=[spec])
    assert result.quarantine["_row"].tolist() == [2, 3, 4, 6]
    assert set(result.quarantine["_reason"]) == {"low <= middle <= high"}
    strict = dataclasses.replace(spec, strict=True)
    assert run(rows, columns, constraints=[strict]).quarantine["_row"].tolist() == [2, 3, 4, 6, 8]


def test_one_hot_rejects_all_but_exactly_one(run):
    rows = [["a", "b", "c"], ["yes", "0", "0"], ["no", "1", "0"], ["no", "0", "1.0"], ["yes", "1", "0"]]
    rows += [["no", "0", "0"], ["", "1", "0"], ["no", "2", "-1"], ["yes", "0", "0.5"], ["no", "", "1"]]
    spec = ConstraintSpec(kind=ConstraintKind.one_hot, columns=["a", "b", "c"])
    result = run(rows, {"a": BOOLEAN, "b": INTEGER, "c": DECIMAL}, constraints=[spec])
    assert result.quarantine[["_row", "_reason"]].values.tolist() == [
        [row, "one_hot(a, b, c)"] for row in (4, 5, 6, 7, 8, 9)
    ]
    assert len(result.table) == 3


def test_a_dependent_that_is_not_the_usual_one_is_rejected(run):
    rows = [["city", "code", "country"], ["Bonn", "1", "de"], ["Bonn", "1", "fr"], ["Bonn", "1", "de"]]
    rows += [["Bonn", "2", "fr"], ["Rome", "1", "it"], ["Rome", "1", "Italy"], ["", "1", "x"], ["", "1", "y"]]
    rows += [["Bonn", "1", ""]]
    spec = ConstraintSpec(kind=ConstraintKind.functional_dependency, columns=["city", "code"], dependent="country")
    columns = {"city": TEXT, "code": INTEGER, "country": TEXT}
    result = run(rows, columns, constraints=[spec], deduplicate=False)
    assert result.quarantine[["_row", "_reason"]].values.tolist() == [
        [2, "city, code -> country"], [5, "city, code -> country"],
    ]  # fmt: skip


def test_what_another_constraint_rejected_is_no_vote_for_the_usual_dependent(run):
    rows = [["key", "low", "high", "value"], ["k", "9", "5", "b"], ["k", "9", "5", "b"], ["k", "1", "5", "a"]]
    rows += [["k", "1", "5", "b"], ["k", "1", "5", "a"]]
    constraints = [
        ConstraintSpec(kind=ConstraintKind.functional_dependency, columns=["key"], dependent="value"),
        ConstraintSpec(low="low", high="high"),
    ]
    columns = {"key": TEXT, "low": INTEGER, "high": INTEGER, "value": TEXT}
    result = run(rows, columns, constraints=constraints, deduplicate=False)
    assert result.table["value"].tolist() == ["a", "a"]
    assert result.profile["counts"]["rejected_by_reason"] == {"key -> value": 1, "low <= high": 2}


def test_the_fill_of_an_imputed_column_is_judged_too(run):
    rows = [["city", "country"], ["Bonn", "de"], ["Bonn", "de"], ["Rome", "it"], ["Rome", ""]]
    columns = {"city": TEXT, "country": ColumnSpec(nulls=NullPolicy.impute)}
    spec = ConstraintSpec(kind=ConstraintKind.functional_dependency, columns=["city"], dependent="country")
    result = run(rows, columns, constraints=[spec], deduplicate=False)
    assert result.table["country"].tolist() == ["de", "de", "de"]  # "de" was filled in, and is smaller than "it"
    assert result.quarantine["_row"].tolist() == [3]


def test_fixed_combinations_reject_nothing_of_the_table_they_come_from(run):
    spec = ConstraintSpec(kind=ConstraintKind.fixed_combinations, columns=["a", "b"])
    result = run([["a", "b"], ["1", "x"], ["", "y"]], {"a": INTEGER, "b": TEXT}, constraints=[spec])
    assert len(result.table) == 2
    assert result.quarantine.empty


CELLS = {
    "text": st.sampled_from(["", "a", "B", "é", "\U0001f600", "\ufb01"]),
    "number": st.sampled_from(["", "0", "-0.0", "1", "0.5", "10"]),
    "flag": st.sampled_from(["", "yes", "no"]),
    "day": st.sampled_from(["", "2020-01-02", "1999-12-31"]),
}
KINDS = {"text": TEXT, "number": DECIMAL, "flag": BOOLEAN, "day": DATE}


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(*CELLS.values()), min_size=1, max_size=15), data=st.data())
def test_the_sql_rejects_what_broken_marks(run, rows, data):
    names = data.draw(st.permutations(list(CELLS)))
    size = data.draw(st.integers(1, 3))
    spec = data.draw(
        st.sampled_from(
            [
                ConstraintSpec(kind=ConstraintKind.functional_dependency, columns=names[:size], dependent=names[size]),
                ConstraintSpec(kind=ConstraintKind.unique, columns=names[:size]),
                ConstraintSpec(kind=ConstraintKind.one_hot, columns=["number", "flag"]),
            ]
        )
    )
    lines = [list(CELLS), *map(list, rows)]
    whole = run(lines, KINDS, deduplicate=False).table
    expected = np.flatnonzero(spec.broken(whole)) + 1
    if len(expected) == len(whole):
        with pytest.raises(SchemaError, match="no row is left"):
            run(lines, KINDS, deduplicate=False, constraints=[spec])
        return
    found = run(lines, KINDS, deduplicate=False, constraints=[spec])
    assert found.quarantine["_row"].tolist() == expected.tolist()
    assert not spec.broken(found.table).any()


def test_constraints_hold_after_clipping(run):
    rows = [["a", "b"], *([str(number), str(number)] for number in range(200)), ["900", "900"]]
    columns = {"a": INTEGER, "b": ColumnSpec(type=ColumnType.integer, clip=True)}
    constraint = ConstraintSpec(low="a", high="b")
    result = run(rows, columns, constraints=[constraint], options=PreprocessConfig(clip_quantiles=[0.0, 0.98]))
    assert not constraint.broken(result.table).any()
    assert result.profile["counts"]["rejected_by_reason"].keys() == {"a <= b"}


def test_constraint_types_must_agree(run):
    rows, columns = [["a", "b"], ["1", "x"]], {"a": INTEGER, "b": TEXT}
    with pytest.raises(ConfigError, match="compares like with like"):
        run(rows, columns, constraints=[ConstraintSpec(low="a", high="b")])
    with pytest.raises(ConfigError, match="adds numbers"):
        run(rows, columns, constraints=[ConstraintSpec(kind=ConstraintKind.sum, total="a", parts=["b", "a"])])
    with pytest.raises(ConfigError, match="compares like with like"):
        run(rows, columns, constraints=[ConstraintSpec(kind=ConstraintKind.range, low="a", middle="b", high="a")])
    with pytest.raises(ConfigError, match=r"one_hot\(a, b\)' counts booleans or 0 and 1, however: .*b is string"):
        run(rows, columns, constraints=[ConstraintSpec(kind=ConstraintKind.one_hot, columns=["a", "b"])])


def test_missing_and_undeclared_columns(run):
    with pytest.raises(SchemaError, match=r"2 declared columns are missing.*amount \(did you mean amounts\?\), zzz"):
        run([["amounts", "k"], ["1", "2"]], {"amount": INTEGER, "zzz": TEXT, "k": TEXT})
    with pytest.raises(SchemaError, match=r"not declared.*extra: \{type: string, policy: \{action: drop\}\}"):
        run([["k", "Extra"], ["1", "2"]], {"k": TEXT})


@pytest.mark.parametrize("value", ["anna.schmidt@web.de", "4111 1111 1111 1111", "0912345678"])
def test_undeclared_header_that_may_be_a_value_is_not_shown(run, value):
    with pytest.raises(SchemaError, match=r"1 columns of the file .* column 2: \{type: string") as caught:
        run([["k", value], ["1", "2"]], {"k": TEXT})
    assert not any(part in str(caught.value) for part in ("anna", "4111", "0912"))
    with pytest.raises(SchemaError, match="declared columns are missing") as caught:
        run([["k", value], ["1", "2"]], {"k": TEXT, "anna_schmidt_web_d": TEXT, "n_0912345679": TEXT})
    assert "did you mean" not in str(caught.value)


def test_duplicated_and_blank_headers_are_numbered(run):
    rows = [["A", "", "a"], ["1", "2", "3"]]
    result = run(rows, {"a": TEXT, "column_2": TEXT, "a_2": TEXT})
    assert result.table.iloc[0].tolist() == ["1", "2", "3"]
    assert result.profile["name_collisions"] == {"a": 2}
    assert [column["original_name"] for column in result.profile["columns"]] == ["A", "", "a"]


def test_too_many_rejected_says_why_without_values(run):
    rows = [["k", "v"], *([str(n), "secret" if n % 2 else "1"] for n in range(10))]
    with pytest.raises(TooManyRejectedError, match=r"5 of 10 \(50.00%\): v: not an integer \(5\)") as caught:
        run(rows, {"k": TEXT, "v": INTEGER}, max_rejected_fraction=0.4)
    assert "secret" not in str(caught.value)
    with pytest.raises(TooManyRejectedError, match=r"at most 2\.00%"):
        run(rows, {"k": TEXT, "v": INTEGER}, max_rejected_fraction=None)
    assert len(run(rows, {"k": TEXT, "v": INTEGER}, max_rejected_fraction=0.5).table) == 5


def test_no_row_left(run):
    with pytest.raises(SchemaError, match="no row is left of 2 read"):
        run([["k", "v"], ["1", "x"], ["2", "y"]], {"k": TEXT, "v": INTEGER})


@pytest.mark.parametrize(
    ("columns", "dataset", "match"),
    [
        ({"v": ColumnSpec(type=ColumnType.date, formats=["%Q"])}, {}, "dataset.columns.v.formats"),
        ({"v": BOOLEAN}, {"true_tokens": ["x"], "false_tokens": ["X"]}, "share"),
    ],
)
def test_bad_declarations(run, columns, dataset, match):
    with pytest.raises(ConfigError, match=match):
        run([["v"], ["x"]], columns, **dataset)


def test_other_encoding_and_delimiter(run):
    csv = CsvConfig(delimiter="\t", encoding="utf-16")
    table = run("k\tstraße\n1\tü\n", {"k": TEXT, "strasse": TEXT}, csv=csv, encoding="utf-16").table
    assert table["strasse"].tolist() == ["ü"]


def test_parquet(tmp_path):
    table = pa.table(
        {
            "Id": pa.array([2**53 + 1, 2, 2, None], pa.int64()),
            "When": pa.array(["2020-01-02", None, None, None]).cast(pa.date32()),
            "Ok": [True, False, False, None],
            "X": [0.1, 1e300, 1e300, float("nan")],
        }
    )
    pq.write_table(table, tmp_path / "raw")
    dates = ColumnSpec(type=ColumnType.date, formats=["%d/%m/%Y"])
    columns = {"id": INTEGER, "when": dates, "ok": BOOLEAN, "x": DECIMAL}
    source = SourceConfig(key="k", format=FileFormat.parquet)
    dataset = DatasetConfig(name="p", source=source, columns=columns, true_tokens=["ja"], false_tokens=["nein"])
    result = preprocess(tmp_path / "raw", dataset, PreprocessConfig())
    assert result.profile["counts"]["duplicates"] == 1
    assert result.table["id"].tolist() == [2**53 + 1, 2, pd.NA]
    assert result.table["when"][0] == pd.Timestamp("2020-01-02")
    assert result.table["ok"].tolist() == [True, False, pd.NA]
    assert result.table["x"].tolist()[:2] == [0.1, 1e300]
    assert result.table["x"].isna().tolist() == [False, False, True]


def test_profile_and_sql_hold_no_category(run):
    rows = [["k", "City"], *([str(n), "Atlantis" if n % 3 else ""] for n in range(30))]
    result = run(rows, {"k": TEXT, "city": TEXT})
    assert "Atlantis" not in to_json(result.profile)
    assert "Atlantis" not in result.sql
    json.dumps(result.profile, allow_nan=False)


def test_same_input_same_output(run):
    rows = [["k", "v"], *([str(n % 50), str(n % 7)] for n in range(500))]
    columns = {"k": TEXT, "v": ColumnSpec(type=ColumnType.integer, clip=True)}
    first, second = run(rows, columns), run(rows, columns)
    assert first.sql == second.sql
    assert to_json(first.profile) == to_json(second.profile)
    pd.testing.assert_frame_equal(first.table, second.table)


def test_a_column_may_be_called_reason(run):
    result = run([["reason", "k"], ["broke", "1"], ["late", "x"]], {"reason": TEXT, "k": INTEGER})
    assert result.quarantine[["_reason", "reason"]].values.tolist() == [["k: not an integer", "late"]]


def test_integers_that_a_model_will_round_are_exact_here_and_counted(run):
    large = [2**53 + 1, -(2**53) - 1, 2**53]
    code = ColumnSpec(type=ColumnType.integer, sdtype=SDType.categorical)
    rows = [["n", "code"], *([str(value), str(value)] for value in large)]
    result = run(rows, {"n": INTEGER, "code": code})
    assert result.table["n"].tolist() == result.table["code"].tolist() == large
    assert [column.get("beyond_exact") for column in result.profile["columns"]] == [2, None]


def test_a_median_in_the_year_zero_is_the_first_day_of_the_year_one(run):
    spec = ColumnSpec(type=ColumnType.date, nulls=NullPolicy.impute)
    result = run([["k", "v"], ["1", "0000-01-01"], ["2", ""]], {"k": TEXT, "v": spec})
    assert result.profile["fitted"]["columns"]["v"] == {"median": "0001-01-01"}
