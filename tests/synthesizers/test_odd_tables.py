"""Tables that banks do have: columns without spread or values, open-end dates, sentinels, account numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tabveil.errors import TrainingError
from tabveil.schema import Column, ColumnType, Metadata, SDType, canonical
from tabveil.synthesizers import create_synthesizer, load_synthesizer

NUM_ROWS = 60
RNG = np.random.default_rng(0)
AMOUNTS = RNG.gamma(2.0, 500.0, NUM_ROWS).round(2)
DAYS = np.datetime64("2015-01-01", "us") + RNG.integers(0, 3000, NUM_ROWS).astype("timedelta64[D]")


def patched(values: np.ndarray, *patches: object) -> np.ndarray:
    """The values, the first ones replaced."""
    changed = values.copy()
    changed[: len(patches)] = patches
    return changed


def odd(kind: ColumnType, values: object, sdtype: SDType | None = None) -> tuple[Metadata, pd.DataFrame]:
    natural = {
        ColumnType.string: SDType.categorical,
        ColumnType.boolean: SDType.boolean,
        ColumnType.integer: SDType.numerical,
        ColumnType.decimal: SDType.numerical,
    }
    metadata = Metadata("odd", (Column("x", "x", kind, sdtype or natural.get(kind, SDType.datetime)),))
    return metadata, canonical(pd.DataFrame({"x": pd.Series(values)}), metadata)


FLAGS = pd.Series([True, False, None] * 20, dtype="boolean")
OPEN_END = patched(DAYS, *[np.datetime64("9999-12-31", "us")] * 20, np.datetime64("0001-01-01", "us"))
TABLES = {
    "constant_number": odd(ColumnType.decimal, [1.5] * NUM_ROWS),
    "constant_whole": odd(ColumnType.integer, [0] * NUM_ROWS),
    "constant_text": odd(ColumnType.string, ["a"] * NUM_ROWS),
    "constant_flag": odd(ColumnType.boolean, [True] * NUM_ROWS),
    "constant_date": odd(ColumnType.date, [np.datetime64("9999-12-31", "us")] * NUM_ROWS),
    "empty_number": odd(ColumnType.decimal, [np.nan] * NUM_ROWS),
    "empty_whole": odd(ColumnType.integer, pd.array([pd.NA] * NUM_ROWS, dtype="Int64")),
    "empty_text": odd(ColumnType.string, [None] * NUM_ROWS),
    "empty_flag": odd(ColumnType.boolean, pd.array([pd.NA] * NUM_ROWS, dtype="boolean")),
    "empty_date": odd(ColumnType.date, np.full(NUM_ROWS, np.datetime64("NaT", "us"))),
    "distinct_text": odd(ColumnType.string, [f"level {n}" for n in range(NUM_ROWS)]),
    "distinct_codes": odd(ColumnType.integer, range(NUM_ROWS), SDType.categorical),
    "distinct_decimal_codes": odd(ColumnType.decimal, AMOUNTS, SDType.categorical),
    "flags_with_nulls": odd(ColumnType.boolean, FLAGS),
    "flags_called_numbers": odd(ColumnType.boolean, FLAGS, SDType.numerical),
    "text_called_number": odd(ColumnType.string, list("abc") * 20, SDType.numerical),
    "number_called_datetime": odd(ColumnType.decimal, AMOUNTS, SDType.datetime),
    "date_called_number": odd(ColumnType.date, DAYS, SDType.numerical),
    "dates_as_categories": odd(ColumnType.date, np.resize(OPEN_END[18:23], NUM_ROWS), SDType.categorical),
    "large_whole": odd(ColumnType.integer, 2**53 + RNG.integers(0, 2**60, NUM_ROWS)),
    "largest_whole": odd(ColumnType.integer, patched(np.arange(NUM_ROWS), *[2**63 - 1] * 25, *[-(2**63)] * 15)),
    "large_codes": odd(ColumnType.integer, [2**53 + 1, 2**53 + 2] * 30, SDType.categorical),
    "outliers": odd(ColumnType.decimal, patched(AMOUNTS, 1e300, -1e300)),
    "many_outliers": odd(ColumnType.decimal, patched(AMOUNTS, *[1.7e308] * 20, *[-1.7e308] * 20)),
    "scattered_outliers": odd(ColumnType.decimal, AMOUNTS * 1e303 * np.resize([1, -1], NUM_ROWS)),
    "tiny": odd(ColumnType.decimal, AMOUNTS * 1e-310),
    "open_end_dates": odd(ColumnType.date, OPEN_END),
    "open_end_instants": odd(ColumnType.datetime, OPEN_END),
}


@pytest.fixture(params=TABLES, ids=str)
def table(request: pytest.FixtureRequest) -> tuple[Metadata, pd.DataFrame]:
    return TABLES[request.param]


def assert_plausible(sample: pd.DataFrame, real: pd.DataFrame, kind: ColumnType) -> None:
    """Same dtype, no number or instant outside the real range, no missing value where none was."""
    assert sample.dtypes.equals(real.dtypes)
    made, known = sample["x"].dropna(), real["x"].dropna()
    if real["x"].isna().all():
        assert made.empty
    elif made.dtype.kind in "fMi":
        assert made.between(known.min(), known.max()).all()
    if kind is ColumnType.date:
        assert (made == made.dt.normalize()).all()


def test_the_engine_learns_samples_and_comes_back(table, quick, tmp_path):
    metadata, real = table
    synthesizer = create_synthesizer(quick(max_steps=5))
    synthesizer.fit(real, metadata)
    synthesizer.save(tmp_path / "model")
    sample = synthesizer.sample(300, seed=0)
    assert_plausible(sample, real, metadata["x"].type)
    pd.testing.assert_frame_equal(load_synthesizer(tmp_path / "model").sample(300, seed=0), sample)


def test_all_of_them_in_one_table(quick):
    metadata = Metadata("odd", tuple(Column(n, n, m["x"].type, m["x"].sdtype) for n, (m, _) in TABLES.items()))
    real = pd.DataFrame({name: frame["x"] for name, (_, frame) in TABLES.items()})
    synthesizer = create_synthesizer(quick(max_steps=5))
    synthesizer.fit(real, metadata)
    sample = synthesizer.sample(200, seed=0)
    assert sample.dtypes.equals(real.dtypes)
    assert np.isfinite(synthesizer.loss_curve["validation"]).all()


def test_a_baseline_takes_them_or_says_that_there_is_nothing(table, quick_sdv):
    metadata, real = table
    config = quick_sdv("sdv_gaussian_copula")
    config.min_rows = NUM_ROWS
    synthesizer = create_synthesizer(config)
    try:
        synthesizer.fit(real, metadata)
    except TrainingError as err:
        assert real["x"].isna().all() or "SDV must accept" in str(err)  # noqa: PT017
    else:
        assert_plausible(synthesizer.sample(50, seed=0), real, metadata["x"].type)


@pytest.mark.parametrize("name", ["open_end_dates", "open_end_instants"])
def test_a_baseline_takes_open_end_dates(quick_sdv, name, tmp_path):
    metadata, real = TABLES[name]
    config = quick_sdv("sdv_gaussian_copula")
    config.min_rows = NUM_ROWS
    synthesizer = create_synthesizer(config)
    synthesizer.fit(real, metadata)
    synthesizer.save(tmp_path / "model")
    sample = load_synthesizer(tmp_path / "model").sample(50, seed=0)
    assert sample["x"].between("0001-01-01", "9999-12-31").all()


@pytest.mark.parametrize("sdtype", [SDType.numerical, SDType.categorical])
@pytest.mark.parametrize("kind", ["tvae", "sdv_gaussian_copula"])
@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinite_numbers_are_refused_by_name(quick, quick_sdv, kind, value, sdtype):
    metadata, real = odd(ColumnType.decimal, np.resize([*AMOUNTS, value], 300), sdtype)
    config = quick() if kind == "tvae" else quick_sdv(kind)
    with pytest.raises(TrainingError, match=r"must hold finite numbers, however infinite ones .*\['x'\]"):
        create_synthesizer(config).fit(real, metadata)


def test_one_outlier_hides_neither_the_cents_nor_the_other_values(quick):
    metadata, real = odd(ColumnType.decimal, patched(np.resize(AMOUNTS, 3000) + np.arange(3000), -1e300, 1e300))
    synthesizer = create_synthesizer(quick(max_steps=5))
    synthesizer.fit(real, metadata)
    made = synthesizer.sample(500, seed=0)["x"]
    assert np.allclose(made * 100, np.round(made * 100), atol=1e-6)
    assert made.nunique() > 400
    assert made.between(0, 10_000).all()


def test_dates_stay_whole_days_beside_an_open_end(quick):
    metadata, real = odd(ColumnType.date, patched(np.resize(DAYS, 400), np.datetime64("9999-12-31", "us")))
    synthesizer = create_synthesizer(quick(max_steps=5))
    synthesizer.fit(real, metadata)
    made = synthesizer.sample(300, seed=0)["x"]
    assert (made == made.dt.normalize()).all()
    assert made.between("2015-01-01", "2023-12-31").all()


def test_codes_above_two_to_the_53_are_exact(quick):
    metadata, real = TABLES["large_codes"]
    synthesizer = create_synthesizer(quick(max_steps=5))
    synthesizer.fit(real, metadata)
    assert set(synthesizer.sample(200, seed=0)["x"]) == {2**53 + 1, 2**53 + 2}
