from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tabveil.config import TVAEConfig
from tabveil.schema import Column, ColumnType, SDType
from tabveil.synthesizers.resolution import Resolution, learn_resolution
from tabveil.synthesizers.tvae.features import NumberFeatures
from tabveil.synthesizers.tvae.numeric import NumericCodec, fit_numeric
from tabveil.synthesizers.tvae.tokenizer import MISSING, RARE, fit_categories, fit_tokenizer, log_shares

CONFIG = TVAEConfig(rare_threshold=5, min_spike_rows=10)


def number(kind: ColumnType = ColumnType.decimal) -> Column:
    return Column("x", "x", kind, SDType.numerical)


def category(kind: ColumnType = ColumnType.string) -> Column:
    return Column("x", "x", kind, SDType.categorical)


def fit(values: object, kind: ColumnType = ColumnType.decimal, config: TVAEConfig = CONFIG) -> NumericCodec:
    dtype = {"decimal": "float64", "integer": "Int64"}.get(kind.value, "datetime64[us]")
    return fit_numeric(pd.Series(values).astype(dtype), number(kind), config, np.random.default_rng(0))


def features_of(codec: NumericCodec, tokens: np.ndarray, places: np.ndarray) -> torch.Tensor:
    flat = torch.from_numpy(tokens)[:, None]
    return NumberFeatures([codec])(flat, flat > 0, torch.from_numpy(places)[:, None])


def test_the_value_feature_is_the_standardised_value():
    codec = fit(np.r_[np.zeros(100), np.random.default_rng(0).gamma(2, 10, 900), [np.nan] * 20])
    tokens, places = codec.encode(pd.Series([0.0, 3.0, 21.5, np.nan, 40.0]), np.random.default_rng(0))
    features = features_of(codec, tokens, places).numpy()
    expected = np.clip((codec.values(tokens, places) - codec.center) / codec.scale, -4, 4)
    assert np.allclose(features[:, -1], np.nan_to_num(expected), atol=1e-5)
    assert (features[3] == 0).all()
    assert np.allclose(features[0, 0], 2 * places[0] - 1)


def test_neighbouring_columns_have_the_features_of_each():
    rng = np.random.default_rng(0)
    codecs = [fit(rng.gamma(2, 10 * scale, num_rows)) for scale, num_rows in ((1, 900), (50, 4000), (0.1, 300))]
    encoded = [codec.encode(pd.Series(rng.gamma(2, 10, 50)), rng) for codec in codecs]
    apart = torch.cat([features_of(codec, *cells) for codec, cells in zip(codecs, encoded, strict=True)], dim=1)
    tokens, places = (torch.from_numpy(np.stack(parts, axis=1)) for parts in zip(*encoded, strict=True))
    flat = tokens + torch.tensor([0, codecs[0].num_tokens, codecs[0].num_tokens + codecs[1].num_tokens])
    together = NumberFeatures(codecs)
    assert torch.equal(together(flat, tokens > 0, places), apart)
    assert torch.equal(together(flat[:, 1:], tokens[:, 1:] > 0, places[:, 1:], first=1), apart[:, 6:])


@given(
    kind=st.sampled_from([ColumnType.decimal, ColumnType.integer]),
    seed=st.integers(0, 2**31),
    num_rows=st.integers(1, 400),
    spread=st.sampled_from([0.0, 1.0, 30.0, 1e6, 1e12]),
    null_fraction=st.sampled_from([0.0, 0.3, 1.0]),
)
@settings(max_examples=120, deadline=None)
def test_any_column_encodes_to_valid_tokens_and_decodes_inside_its_range(kind, seed, num_rows, spread, null_fraction):
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 1, num_rows) * spread
    values = np.round(values) if kind is ColumnType.integer else values
    values[rng.random(num_rows) < null_fraction] = np.nan
    codec = fit(values, kind)
    series = pd.Series(values).astype("Int64" if kind is ColumnType.integer else "float64")
    tokens, places = codec.encode(series, rng)
    assert tokens.min() >= 0
    assert tokens.max() < codec.num_tokens
    assert ((places >= 0) & (places <= 1)).all()
    assert torch.isfinite(features_of(codec, tokens, places)).all()
    decoded = codec.decode(tokens, places)
    assert len(decoded) == num_rows
    if codec.num_tokens > 1:
        assert (decoded.isna().to_numpy() == np.isnan(values)).all()
        present = decoded.dropna().astype("float64")
        if len(present):
            assert present.min() >= np.nanmin(values) - 1e-6 * spread
            assert present.max() <= np.nanmax(values) + 1e-6 * spread


def test_slices_tile_the_unit_interval_in_order_of_value():
    codec = fit(np.r_[np.zeros(100), np.random.default_rng(0).gamma(2, 10, 900)])
    assert codec.low[1] == 0
    assert codec.high[-1] == 1
    assert np.allclose(codec.low[2:], codec.high[1:-1])
    centres = codec.values(np.arange(1, codec.num_tokens), (codec.low + codec.high)[1:] / 2)
    assert (np.diff(centres) >= 0).all()


def test_inner_values_come_back_close_to_what_they_were():
    values = np.random.default_rng(1).normal(1000, 200, 5000)
    codec = fit(values)
    inner = pd.Series(np.sort(values)[50:-50])
    back = codec.decode(*codec.encode(inner, np.random.default_rng(0)))
    assert np.abs(back - inner).max() < 10


def test_frequent_values_are_exact():
    values = np.r_[np.full(200, 0.0), np.full(100, 39.99), np.random.default_rng(0).uniform(1, 100, 700)]
    codec = fit(values)
    tokens, places = codec.encode(pd.Series([0.0, 39.99]), np.random.default_rng(0))
    assert codec.decode(tokens, places).tolist() == [0.0, 39.99]
    assert (codec.bin_index[tokens] == -1).all()


@pytest.mark.parametrize(("step", "decimals", "unit"), [(25.0, 0, 25), (0.01, 2, 1), (0.5, 1, 5)])
def test_the_grid_of_the_values_is_learned(step, decimals, unit):
    values = np.round(np.random.default_rng(0).integers(1, 10_000, 2000) * step, 2)
    codec = fit(values)
    assert (codec.resolution.decimals, codec.resolution.unit) == (decimals, unit)
    tokens = np.random.default_rng(1).integers(1, codec.num_tokens, 500)
    places = np.random.default_rng(2).random(500)
    drawn = codec.decode(tokens, places).to_numpy() / step
    assert np.allclose(drawn, np.round(drawn), atol=1e-6)


def grid(values, threshold=5, entities=None, kind=ColumnType.integer):
    return learn_resolution(np.asarray(values, dtype=np.float64), kind, threshold, entities)


@pytest.mark.parametrize("num_rows", [200, 3000, 50_000])
def test_fewer_than_k_people_do_not_decide_the_grid(num_rows):
    salaries = np.random.default_rng(0).integers(20, 200, num_rows) * 1000.0
    assert grid(salaries).unit == 1000
    for strays, unit in ((1, 1000), (4, 1000), (max(5, num_rows // 1000 + 1), 1)):
        values = salaries.copy()
        values[:strays] += 417
        assert grid(values).unit == unit
    one = np.where(np.arange(num_rows) < 1, 52_417, salaries)
    assert grid(one, threshold=1).unit == (1 if num_rows < 1000 else 1000)  # nearly all of the values decide, too


def test_the_people_off_the_grid_count_not_their_rows():
    people, rows = np.repeat(np.arange(100), 10), np.arange(1000)
    values = np.random.default_rng(0).integers(1, 90, 1000) * 100.0
    for strays, unit in ((4, 100), (5, 1)):
        assert grid(np.where(people < strays, values + 7, values), entities=people).unit == unit
    assert grid(np.where(rows < 40, values + 7, values)).unit == 1  # as people of one row each


def test_a_grid_is_one_of_enough_people():
    assert grid([10, 20, 30, 40, 51, 53, 57, 59]).unit == 1  # four are few, but so are the other four
    assert grid([10, 20, 30, 40, 50, 51, 52]).unit == 10
    assert grid([0] * 100 + [7, 14]).unit == 1
    assert grid([0] * 100 + [7, 14, 21, 28, 35]).unit == 7
    assert grid([0] * 1000 + [52_417]).unit == 1
    assert grid([0] * 100).unit == 1
    assert grid(np.arange(1, 900) * 97 * 89).unit == 97 * 89


@pytest.mark.parametrize("size", [2.0**53, 1e17, 1e18, 2.0**62])
def test_numbers_near_the_end_of_64_bits_have_a_grid(size):
    unit = grid(np.resize([0, size, 2 * size if size < 2**62 else -size], 90)).unit
    assert 1 < unit <= size
    assert size % unit == 0


def test_one_person_of_very_many_rows_does_not_decide_the_grid():
    people, values = np.arange(100_000), np.random.default_rng(0).integers(1, 20_000, 100_000) * 100.0
    people[:20_000] = 0
    values[:20_000] += 7
    assert grid(values, entities=people).unit == 100
    assert grid(values).unit == 1


def test_one_large_number_does_not_turn_tiny_ones_into_noise():
    tiny = np.random.default_rng(0).random(1000) * 1e-7
    assert grid(tiny, kind=ColumnType.decimal) == Resolution(None)
    assert grid(np.r_[tiny, 1e4], kind=ColumnType.decimal) == Resolution(None)


@pytest.mark.parametrize("size", [0, 1e9, 6e11, 2e13])
def test_cents_of_large_amounts_are_kept(size):
    values = np.random.default_rng(0).integers(10**6, 9 * 10**6, 500) / 100 + size
    assert grid(values, kind=ColumnType.decimal).decimals == 2


def test_a_few_decimals_or_times_of_day_do_not_decide_the_resolution():
    rng = np.random.default_rng(0)
    cents = rng.integers(100, 99_999, 3000) / 100
    assert grid(np.where(np.arange(3000) < 4, cents + 0.0037, cents), kind=ColumnType.decimal) == Resolution(2)
    assert grid(np.where(np.arange(3000) < 5, cents + 0.0037, cents), kind=ColumnType.decimal).decimals == 4
    assert grid(rng.random(9), kind=ColumnType.decimal).decimals is None
    day = 86_400 * 10.0**6
    days = rng.integers(1, 20_000, 500) * day
    assert grid(np.where(np.arange(500) < 1, days + 40_953_444_555, days), kind=ColumnType.datetime).unit == day


def test_dates_keep_their_resolution():
    days = np.datetime64("2019-01-01", "us") + np.random.default_rng(0).integers(0, 2000, 1000).astype("timedelta64[D]")
    codec = fit(days, ColumnType.date)
    tokens = np.full(300, codec.num_tokens - 1)
    drawn = codec.decode(tokens, np.random.default_rng(0).random(300))
    assert drawn.dtype == "datetime64[us]"
    assert (drawn == drawn.dt.normalize()).all()


def test_no_knot_equals_a_training_value_and_the_ends_are_cut():
    values = np.random.default_rng(3).lognormal(8, 1, 2000)
    codec = fit(values)
    ordered = np.sort(values)
    assert codec.num_bins > 1
    assert not np.isin(codec.knots, values).any()
    assert codec.knots.max() <= ordered[-CONFIG.rare_threshold]
    assert codec.knots.min() >= ordered[CONFIG.rare_threshold - 1]


def test_few_scattered_values_become_one_mean_and_fewer_than_the_threshold_nothing():
    assert fit([1.0, 2.0, 3.0, 4.0] + [np.nan] * 50).num_tokens == 1
    one = fit([1.0, 2.0, 3.0, 4.0, 5.0] + [np.nan] * 50)
    assert one.spike_values[1:].tolist() == [3.0]


def test_shares_hide_counts_below_the_threshold():
    values = np.r_[np.zeros(95), np.full(5, 9.0)]
    codec = fit(values, config=TVAEConfig(rare_threshold=8, min_spike_rows=10))
    assert (np.isnan(codec.spike_values[1:]) | (codec.spike_values[1:] == 0)).all()


@given(
    levels=st.lists(st.text(max_size=5), min_size=1, max_size=12, unique=True),
    counts=st.lists(st.integers(1, 12), min_size=12, max_size=12),
    num_missing=st.integers(0, 10),
)
@settings(max_examples=80, deadline=None)
def test_categories_round_trip_and_rare_ones_vanish(levels, counts, num_missing):
    values = [level for level, count in zip(levels, counts, strict=False) for _ in range(count)] + [None] * num_missing
    series = pd.Series(values, dtype="object")
    codec = fit_categories(series, category(), CONFIG)
    decoded = codec.decode(codec.encode(series))
    rare = {level for level, count in zip(levels, counts, strict=False) if count < 5}
    assert not rare & set(codec.categories)
    assert not rare & set(decoded.dropna())
    common = series.isin(set(levels) - rare)
    assert decoded[common].tolist() == series[common].tolist()
    assert codec.emitted[MISSING] == (num_missing >= 5 or num_missing == len(series))


def test_the_rare_label_never_equals_a_rare_value():
    series = pd.Series(["other", "other_", "a", "b"], dtype="object")
    codec = fit_categories(series, category(), CONFIG)
    assert codec.emitted[RARE]
    assert codec.decode(np.array([RARE])).tolist() == ["other__"]


def test_the_number_of_categories_is_limited():
    series = pd.Series([f"c{i}" for i in range(50) for _ in range(10)], dtype="object")
    assert len(fit_categories(series, category(), TVAEConfig(max_categories=7)).categories) == 7


def test_codes_and_booleans_are_categories_of_their_own_type():
    codes = pd.Series([1, 2, None] * 20, dtype="Int64")
    codec = fit_categories(codes, category(ColumnType.integer), CONFIG)
    assert codec.decode(codec.encode(codes)).equals(codes)
    flags = pd.Series([True, False, None] * 20, dtype="boolean")
    codec = fit_categories(flags, category(ColumnType.boolean), CONFIG)
    assert codec.decode(codec.encode(flags)).equals(flags)


def test_a_table_round_trips(table, metadata):
    rng = np.random.default_rng(0)
    tokenizer = fit_tokenizer(table, metadata, metadata.modelled_columns, CONFIG, rng)
    encoded = tokenizer.encode(table, rng)
    assert encoded.tokens.shape == (len(table), len(metadata.modelled_columns))
    back = tokenizer.decode(encoded.tokens, encoded.places)
    assert back.dtypes.equals(table.dtypes)
    for name in ("grade", "joint", "constant", "empty", "empty_number"):
        assert back[name].equals(table[name])
    shares = log_shares(tokenizer, encoded, 5)
    assert [len(part) for part in shares] == [codec.num_tokens for codec in tokenizer.codecs]
