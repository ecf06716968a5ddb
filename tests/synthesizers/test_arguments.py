"""What is asked wrongly ends in a clear error of our own before anything is drawn; what is accepted is canonical."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import traceback

import numpy as np
import pandas as pd
import pytest

from tabveil.constraints import ConstraintKind, ConstraintSpec
from tabveil.errors import ConfigError, NotFittedError, SchemaError, SynthesizerError, TabVeilError, TrainingError
from tabveil.schema import PANDAS_DTYPE, ColumnType
from tabveil.synthesizers import create_synthesizer, load_synthesizer, rebalance, sample_chunks

KINDS = {
    "code": ColumnType.string,
    "count": ColumnType.integer,
    "amount": ColumnType.decimal,
    "flag": ColumnType.boolean,
    "day": ColumnType.date,
    "moment": ColumnType.datetime,
    "nothing": ColumnType.decimal,
}
MISSING = (None, np.nan, pd.NA, pd.NaT, np.datetime64("NaT"))


def cells(num_rows: int = 300) -> pd.DataFrame:
    """A column of each type, a tenth of each missing, and one without any value."""
    rng = np.random.default_rng(0)
    start = np.datetime64("2020-01-01", "us")
    table = pd.DataFrame(
        {
            "code": rng.choice(["1", "2", "3"], num_rows).astype("object"),
            "count": pd.array(rng.integers(0, 50, num_rows), dtype="Int64"),
            "amount": rng.gamma(2.0, 50.0, num_rows).round(2),
            "flag": pd.array(rng.random(num_rows) < 0.4, dtype="boolean"),
            "day": start + rng.integers(0, 300, num_rows).astype("timedelta64[D]"),
            "moment": start + rng.integers(0, 10**7, num_rows).astype("timedelta64[s]"),
        }
    )
    for name in table.columns:
        table.loc[rng.random(num_rows) < 0.1, name] = None
    return table.assign(nothing=np.nan)


@pytest.fixture(scope="module")
def model(make_metadata, quick):
    synthesizer = create_synthesizer(quick(max_steps=5))
    synthesizer.fit(cells(), make_metadata(KINDS))
    return synthesizer


@pytest.fixture
def drawn_nothing(model, monkeypatch):
    """The test fails if a row is drawn."""

    def drawn(*args, **kwargs):
        pytest.fail("rows were drawn")

    monkeypatch.setattr(model, "_sample", drawn)
    monkeypatch.setattr(model, "_sample_given", drawn)


@pytest.mark.parametrize("whole", [int, np.int64, np.int32, np.uint8])
def test_integers_may_be_those_of_numpy(model, whole):
    expected = model.sample(3, 3)
    pd.testing.assert_frame_equal(model.sample(whole(3), whole(3)), expected)
    assert len(next(sample_chunks(model, whole(3), whole(3), whole(2)))) == 2
    assert len(rebalance(model, "flag", {True: 0.5, False: np.float32(0.5)}, whole(4), whole(0))) == 4
    assert model.impute(cells(5), whole(1)).equals(model.impute(cells(5), 1))
    np.testing.assert_array_equal(model.log_prob(cells(5), seed=whole(1)), model.log_prob(cells(5), seed=1))


NO_COUNTS = (0, -1, 1.0, 1.5, np.float64(2), "3", True, np.True_, None, float("nan"), [3], 10**30)
NO_SEEDS = (-1, 2**31, 1.0, "1", None, True, float("nan"), [0])


@pytest.mark.usefixtures("drawn_nothing")
@pytest.mark.parametrize("wrong", NO_COUNTS)
def test_a_number_of_rows_is_a_positive_integer(model, wrong):
    for ask in (
        lambda: model.sample(wrong, 0),
        lambda: sample_chunks(model, wrong, 0),
        lambda: rebalance(model, "flag", {True: 1.0}, wrong, 0),
    ):
        with pytest.raises(SynthesizerError, match="num_rows must be an integer"):
            ask()
    with pytest.raises(SynthesizerError, match="chunk_rows must be an integer"):
        sample_chunks(model, 5, 0, wrong)


@pytest.mark.usefixtures("drawn_nothing")
@pytest.mark.parametrize("wrong", NO_SEEDS)
def test_a_seed_is_an_integer_in_its_range(model, wrong):
    for ask in (
        lambda: model.sample(5, wrong),
        lambda: sample_chunks(model, 5, wrong),
        lambda: rebalance(model, "flag", {True: 1.0}, 5, wrong),
        lambda: model.impute(cells(5), wrong),
        lambda: model.log_prob(cells(5), seed=wrong),
    ):
        with pytest.raises(SynthesizerError, match="seed must be an integer"):
            ask()


@pytest.mark.usefixtures("drawn_nothing")
@pytest.mark.parametrize("wrong", [-0.1, 1, 1.5, float("nan"), float("inf"), 10**400, "0.5", None, True])
def test_a_limit_of_rejection_is_a_fraction_below_one(model, wrong):
    with pytest.raises(SynthesizerError, match=r"max_rejected_fraction must be a number in \[0, 1\)"):
        sample_chunks(model, 5, 0, max_rejected_fraction=wrong)
    with pytest.raises(SynthesizerError, match=r"max_rejected_fraction must be a number in \[0, 1\)"):
        rebalance(model, "flag", {True: 1.0}, 5, 0, max_rejected_fraction=wrong)


@pytest.mark.usefixtures("drawn_nothing")
def test_counts_are_an_object_that_can_be_filled(model):
    with pytest.raises(SynthesizerError, match="counts must be SampleCounts, however it is a int"):
        sample_chunks(model, 5, 0, counts=5)


def test_what_hears_the_losses_can_be_called(make_metadata, quick):
    with pytest.raises(SynthesizerError, match="on_loss must be a function, however it is a int"):
        create_synthesizer(quick()).fit(cells(50), make_metadata(KINDS), on_loss=5)


WRONG_CONDITIONS = [
    (["code"], SynthesizerError, "must be a mapping .* or a DataFrame of num_rows rows, however: a list"),
    ("code", SynthesizerError, "must be a mapping .*: a str"),
    (pd.Series({"code": "1"}), SynthesizerError, "must be a mapping .*: a Series"),
    ({"cod": "1"}, SchemaError, r"modelled columns, however: \['cod'\]"),
    ({3: "1"}, SchemaError, r"modelled columns, however: \[3\]"),
    ({None: "1"}, SchemaError, "modelled columns"),
    ({"code": ["1", "2"]}, SynthesizerError, r"one value a column, however these have another object: \['code'\]"),
    ({"count": {}}, SynthesizerError, "one value a column"),
    ({"code": "unheard of"}, SynthesizerError, "column 'code' must be values that the model has learned"),
    ({"nothing": 1.0}, SynthesizerError, "column 'nothing' must be values that the model has learned"),
    ({"amount": float("inf")}, SynthesizerError, r"must be finite, however infinite ones were found in: \['amount'\]"),
    ({"amount": "-inf"}, SynthesizerError, "must be finite"),
    ({"amount": "much"}, SchemaError, "'amount' must hold decimal values"),
    ({"amount": 1 + 2j}, SchemaError, "'amount' must hold decimal values, however they are of type complex"),
    ({"amount": np.datetime64("2020-01-01")}, SchemaError, "'amount' must hold decimal values"),
    ({"count": 1.5}, SchemaError, "'count' must hold integer values"),
    ({"count": 2**63}, SchemaError, "'count' must hold integer values"),
    ({"amount": "nan"}, SchemaError, r"text must be a value of its column .* \['amount'\]"),
    ({"day": ""}, SchemaError, r"text must be a value of its column .* \['day'\]"),
    ({"flag": "perhaps"}, SchemaError, "'flag' must hold boolean values"),
    ({"day": 20200101}, SchemaError, "'day' must hold date values, however they are of type integer"),
    ({"moment": 1.0}, SchemaError, "'moment' must hold datetime values, however they are of type floating"),
    ({"day": "2020-13-45"}, SchemaError, "'day' must hold date values"),
    ({"moment": pd.Timestamp("2020-01-01", tz="UTC")}, SchemaError, "'moment' must hold datetime values"),
]


@pytest.mark.usefixtures("drawn_nothing")
@pytest.mark.parametrize(("conditions", "error", "message"), WRONG_CONDITIONS)
def test_wrong_conditions_are_refused_before_anything_is_drawn(model, conditions, error, message):
    for ask in (
        lambda: model.sample(5, 0, conditions=conditions),
        lambda: sample_chunks(model, 5, 0, conditions=conditions),
    ):
        with pytest.raises(error, match=message) as refusal:
            ask()
        assert not any(value in str(refusal.value) for value in ("much", "unheard", "20200101", "perhaps"))


@pytest.mark.usefixtures("drawn_nothing")
@pytest.mark.parametrize(
    ("frame", "error", "message"),
    [
        (pd.DataFrame({"code": ["1"]}), SynthesizerError, "a frame of num_rows=2 rows .* it has 1 rows"),
        (pd.DataFrame({"code": []}), SynthesizerError, "it has 0 rows"),
        (pd.DataFrame([["1", "2"]] * 2, columns=["code", "code"]), SynthesizerError, "with unique columns"),
        (pd.DataFrame([["1", "2"]] * 2), SchemaError, r"modelled columns, however: \[0, 1\]"),
        (pd.DataFrame({"amount": [1.0, np.inf]}), SynthesizerError, "must be finite"),
        (pd.DataFrame({"day": [1, 2]}), SchemaError, "they are of type integer"),
        (pd.DataFrame({"amount": np.array([1j, 2j])}), SchemaError, "they are of type complex"),
    ],
)
def test_wrong_frames_of_conditions_are_refused(model, frame, error, message):
    with pytest.raises(error, match=message):
        model.sample(2, 0, conditions=frame)


@pytest.mark.usefixtures("drawn_nothing")
def test_chunks_take_no_frame_and_say_what_does(model):
    with pytest.raises(SynthesizerError, match=r"one value a column.*use sample\(len\(frame\), seed, conditions=frame"):
        sample_chunks(model, 2, 0, conditions=pd.DataFrame({"code": ["1", "2"]}))


@pytest.mark.parametrize("nothing", [None, {}, pd.DataFrame(), pd.DataFrame(index=range(7))])
def test_no_conditions_are_no_conditions_in_whatever_form(model, nothing):
    pd.testing.assert_frame_equal(model.sample(7, 1, conditions=nothing), model.sample(7, 1))
    found, free = (next(sample_chunks(model, 7, 1, conditions=asked)) for asked in (nothing, None))
    pd.testing.assert_frame_equal(found, free)


@pytest.mark.parametrize("missing", MISSING)
@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_missing_value_asks_for_a_missing_value(model, name, missing):
    rows = model.sample(4, 0, conditions={name: missing})
    assert rows[name].isna().all()
    assert rows[name].dtype == PANDAS_DTYPE[KINDS[name]]
    frame = pd.DataFrame({name: pd.Series([missing] * 4, dtype="object")})
    pd.testing.assert_frame_equal(model.sample(4, 0, conditions=frame), rows)


@pytest.mark.parametrize(
    ("name", "asked", "found"),
    [
        ("code", 1, "1"),
        ("code", np.int64(2), "2"),
        ("code", np.str_("3"), "3"),
        ("count", 7.0, 7),
        ("count", np.int8(7), 7),
        ("count", "7", 7),
        ("amount", 12, 12.0),
        ("amount", decimal.Decimal("12.5"), 12.5),
        ("amount", 10.0**9, 10.0**9),
        ("amount", -(10.0**300), -(10.0**300)),
        ("count", -(2**62), -(2**62)),
        ("flag", np.True_, True),
        ("flag", 0, False),
        ("day", datetime.date(2020, 5, 4), pd.Timestamp("2020-05-04")),
        ("day", pd.Timestamp("2020-05-04 23:59:59"), pd.Timestamp("2020-05-04")),
        ("day", "2020-05-04T13:00", pd.Timestamp("2020-05-04")),
        ("day", "9999-12-31", pd.Timestamp(np.datetime64("9999-12-31", "us"))),
        ("moment", datetime.date(2020, 5, 4), pd.Timestamp("2020-05-04")),
        ("moment", np.datetime64("2020-05-04T13:00:01"), pd.Timestamp("2020-05-04 13:00:01")),
    ],
)
def test_a_condition_is_returned_as_a_value_of_its_column(model, name, asked, found):
    rows = model.sample(6, 0, conditions={name: asked})
    assert rows[name].dtype == PANDAS_DTYPE[KINDS[name]]
    assert (rows[name] == found).all()
    assert {type(value) for value in rows[name]} == {type(next(iter(pd.Series([found], dtype=rows[name].dtype))))}
    for dtype in ("object", "category"):
        frame = pd.DataFrame({name: pd.Series([asked] * 6, dtype=dtype)}, index=[0, 0, 1, 1, 2, 2])
        pd.testing.assert_frame_equal(model.sample(6, 0, conditions=frame), rows)


def test_a_number_beyond_what_was_learned_is_set_and_counts_as_the_nearest(model):
    far, farther = (model.sample(50, 0, conditions={"amount": value}) for value in (10.0**6, 10.0**9))
    pd.testing.assert_frame_equal(far.drop(columns="amount"), farther.drop(columns="amount"))
    assert set(farther["amount"]) == {10.0**9}


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(
    "value",
    [0, 1.5, "x", "", b"x", True, 2**70, 1j, (), {1}, object(), pd.Timedelta(1), pd.Period("2020"), pd.Interval(0, 1),
     datetime.time(1), np.array(1), np.array([1, 2]), "now", float("-inf"), "9" * 400, "\x00", pd.Timestamp.max]
)  # fmt: skip
def test_any_value_is_canonical_or_refused_by_our_own_error(model, name, value):
    try:
        rows = model.sample(2, 0, conditions={name: value})
    except TabVeilError:
        return
    assert rows[name].dtype == PANDAS_DTYPE[KINDS[name]]
    assert rows[name].nunique() == 1
    assert KINDS[name] is not ColumnType.string or all(isinstance(cell, str) for cell in rows[name])


@pytest.mark.usefixtures("drawn_nothing")
@pytest.mark.parametrize(
    ("column", "shares", "error", "message"),
    [
        ("flag", [0.5, 0.5], SynthesizerError, "must be a mapping .* however: a list"),
        ("flag", None, SynthesizerError, "must be a mapping"),
        ("flag", {}, SynthesizerError, "positive and sum to 1, however: 0 shares"),
        ("flag", {True: float("nan")}, SynthesizerError, "positive and sum to 1"),
        ("flag", {True: 0.5, False: float("nan")}, SynthesizerError, "positive and sum to 1"),
        ("flag", {True: float("inf")}, SynthesizerError, "positive and sum to 1"),
        ("flag", {True: 10**400}, SynthesizerError, "positive and sum to 1"),
        ("flag", {True: "all"}, SynthesizerError, "positive and sum to 1"),
        ("flag", {True: True}, SynthesizerError, "positive and sum to 1"),
        ("flag", {True: 1.5, False: -0.5}, SynthesizerError, "positive and sum to 1"),
        ("code", {"1": 0.5, "unheard of": 0.5}, SynthesizerError, "column 'code' must be values that the model"),
        ("code", {"1": 0.5, 1: 0.5}, SynthesizerError, "must name each value once"),
        ("code", {None: 0.5, float("nan"): 0.5}, SynthesizerError, "must name each value once"),
        ("count", {"many": 1.0}, SchemaError, "'count' must hold integer values"),
        ("cod", {"1": 1.0}, SchemaError, r"modelled columns, however: \['cod'\]"),
        (["code"], {"1": 1.0}, SchemaError, "the column to rebalance must be a name, however it is a list"),
    ],
)
def test_wrong_shares_are_refused_before_anything_is_drawn(model, column, shares, error, message):
    with pytest.raises(error, match=message):
        rebalance(model, column, shares, 10, 0)


def test_shares_may_name_the_missing_value(model):
    rows = rebalance(model, "code", {None: 0.5, 1: 0.5}, 10, 0)
    assert sorted(rows["code"].fillna("none")) == ["1"] * 5 + ["none"] * 5


@pytest.mark.usefixtures("drawn_nothing")
@pytest.mark.parametrize(
    ("table", "error", "message"),
    [
        ([1, 2], SchemaError, "the table must be a DataFrame, however it is a list"),
        (None, SchemaError, "must be a DataFrame"),
        (cells().head(0), SynthesizerError, "must hold a row, however it is empty"),
        (cells().drop(columns="code"), SchemaError, r"these miss: \['code'\]"),
        (cells().assign(amount=np.inf), SynthesizerError, "must be finite"),
        (cells().assign(day=3), SchemaError, "'day' must hold date values"),
        (pd.concat([cells(), cells()[["code"]]], axis=1), SchemaError, "each modelled column once"),
    ],
)
def test_tables_to_impute_or_to_judge_are_held_against_the_model(model, table, error, message):
    for ask in (lambda: model.impute(table, 0), lambda: model.log_prob(table)):
        with pytest.raises(error, match=message):
            ask()


def test_imputed_rows_are_canonical_also_where_they_were_given(model):
    asked = cells(20).assign(code=pd.Series([1, 2.5] * 10, dtype="object"), day=pd.Timestamp("2020-01-02 03:04"))
    filled = model.impute(asked, 0)
    assert list(filled["code"]) == ["1", "2.5"] * 10
    assert set(filled["day"]) == {pd.Timestamp("2020-01-02")}


@pytest.mark.parametrize("table", [None, [1], {"code": ["1"]}])
def test_a_table_to_learn_is_a_frame(make_metadata, quick, table):
    with pytest.raises(TrainingError, match="the training table must be a DataFrame, however"):
        create_synthesizer(quick()).fit(table, make_metadata(KINDS))


def test_an_unfitted_model_says_so_first(quick):
    with pytest.raises(NotFittedError):
        create_synthesizer(quick()).sample(5, 0, conditions={"code": "1"})


def misfits():
    types = {"a": ColumnType.string, "b": ColumnType.string, "day": ColumnType.date, "x": ColumnType.decimal}
    kind = ConstraintKind
    return {
        "counts booleans or 0 and 1": (types, [ConstraintSpec(kind=kind.one_hot, columns=["a", "b"])]),
        "adds numbers": (types, [ConstraintSpec(kind=kind.sum, total="x", parts=["a", "b"])]),
        "compares like with like": (types, [ConstraintSpec(kind=kind.inequality, low="x", high="day")]),
        "must name columns": (types, [ConstraintSpec(kind=kind.inequality, low="x", high="nowhere")]),
        "finite tolerance": (types, [ConstraintSpec(kind=kind.sum, total="x", parts=["x", "x"], tolerance=np.inf)]),
    }


@pytest.mark.parametrize("said", misfits())
def test_constraints_that_do_not_fit_their_columns_are_refused_before_training(make_metadata, quick, said):
    types, constraints = misfits()[said]
    table = pd.DataFrame({"a": ["Erika Mustermann"] * 30, "b": "Max", "day": pd.Timestamp("2020-01-01"), "x": 1.0})
    with pytest.raises(SchemaError, match=said) as refusal:
        create_synthesizer(quick(max_steps=2)).fit(table, make_metadata(types, *constraints))
    assert "Erika" not in str(refusal.value)


@pytest.mark.parametrize("change", [{"target": "nowhere"}, {"minimum": np.nan}, {"name": "\udcff"}])
def test_metadata_that_no_model_folder_could_hold_is_refused_before_training(make_metadata, quick, change):
    metadata = make_metadata({"x": ColumnType.decimal, "y": ColumnType.decimal})
    if "target" in change:
        metadata = dataclasses.replace(metadata, **change)
    else:
        first, second = metadata.columns
        metadata = dataclasses.replace(metadata, columns=(first, dataclasses.replace(second, **change)))
    table = pd.DataFrame({name: np.arange(40.0) for name in metadata.modelled_columns})
    with pytest.raises(SchemaError, match="the metadata must be usable"):
        create_synthesizer(quick(max_steps=2)).fit(table, metadata)


def test_what_is_no_metadata_and_no_configuration_is_refused(table, quick):
    with pytest.raises(SchemaError, match=r"must be a tabveil\.schema\.Metadata, however: a NoneType"):
        create_synthesizer(quick()).fit(table, None)
    with pytest.raises(ConfigError, match="needs a SynthesizerConfig, however: a dict"):
        create_synthesizer({"name": "tvae"})


def test_text_that_no_file_can_hold_is_refused_before_training(make_metadata, quick):
    table = pd.DataFrame({"a": ["x", "y\udcff"] * 20})
    with pytest.raises(TrainingError, match=r"Unicode without surrogates.*\['a'\]"):
        create_synthesizer(quick(max_steps=2)).fit(table, make_metadata({"a": ColumnType.string}))


def test_dates_beyond_the_calendar_are_refused(make_metadata, quick):
    metadata = make_metadata({"day": ColumnType.date})
    table = pd.DataFrame({"day": np.array(["2020-01-01", "2021-01-01"] * 20, dtype="datetime64[us]")})
    model = create_synthesizer(quick(max_steps=2))
    model.fit(table, metadata)
    late = table.assign(day=np.array(["12020-01-01"] * 40, dtype="datetime64[us]"))
    with pytest.raises(TrainingError, match="years 1 to 9999"):
        create_synthesizer(quick(max_steps=2)).fit(late, metadata)
    with pytest.raises(SynthesizerError, match="years 1 to 9999"):
        model.sample(1, seed=0, conditions={"day": np.datetime64("-5000-01-01")})


def test_cells_are_not_in_the_chain_of_an_error(make_metadata, quick):
    table = pd.DataFrame({"x": ["Erika Mustermann", *map(str, range(40))]}, dtype="object")
    with pytest.raises(SchemaError, match="must hold decimal values") as refusal:
        create_synthesizer(quick(max_steps=2)).fit(table, make_metadata({"x": ColumnType.decimal}))
    assert "Erika" not in "".join(traceback.format_exception(refusal.value))


def test_a_refused_second_fit_leaves_nothing_fitted(table, metadata, quick, make_metadata):
    model = create_synthesizer(quick(max_steps=2))
    model.fit(table, metadata)
    with pytest.raises(TrainingError):
        model.fit(table[:3], metadata)
    with pytest.raises(NotFittedError):
        model.sample(1, seed=0)


def test_an_entity_column_of_lists_is_refused(make_metadata, quick):
    metadata = dataclasses.replace(make_metadata({"x": ColumnType.decimal}), entity_key="who")
    table = pd.DataFrame({"x": np.arange(40.0), "who": [[1]] * 40})
    with pytest.raises(SchemaError, match="'who' must say by one value whose row each is"):
        create_synthesizer(quick(max_steps=2)).fit(table, metadata)


def test_a_model_may_be_saved_to_text_paths_but_not_over_something_else(fitted, tmp_path):
    fitted.save(str(tmp_path / "model"))
    fitted.save(str(tmp_path / "model"))
    assert len(load_synthesizer(str(tmp_path / "model")).sample(3, seed=0)) == 3
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").write_text("x")
    for folder, said in (
        ("home", "holds something else"),
        ("home/thesis.txt", "is a file"),
        ("home/thesis.txt/model", "is a file"),
    ):
        with pytest.raises(SynthesizerError, match=said):
            fitted.save(tmp_path / folder)
    for wrong in (None, 5):
        with pytest.raises(SynthesizerError, match="folder must be a path"):
            fitted.save(wrong)
        with pytest.raises(SynthesizerError, match="folder must be a path"):
            load_synthesizer(wrong)
    assert (tmp_path / "home" / "thesis.txt").exists()
