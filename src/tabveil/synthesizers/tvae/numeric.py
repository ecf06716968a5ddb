"""Numbers and instants as tokens: a missing value, a *spike* (an exact frequent value) or a *quantile bin*.

Token 0 is the missing value. The others are ordered by value and tile the unit interval: each has a slice
``[low, high]`` as wide as its share of the training rows. A value in a bin also has a place inside its slice, so that
the pair (token, place) keeps the number up to the column's own resolution. The places are read off *knots*, each the
mean of at least `KNOT_ROWS` neighbouring training values; nothing beyond the k-th value from either end is represented.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tabveil.config import TVAEConfig
from tabveil.entities import Codes, entities_per_group, num_entities
from tabveil.schema import Column, ColumnType
from tabveil.synthesizers.resolution import Resolution, learn_resolution
from tabveil.synthesizers.tvae.knots import find_spikes, fit_knots, mean_of_entities
from tabveil.synthesizers.values import from_floats, to_floats

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class NumericCodec:
    """A fitted numerical, date or datetime column.

    Attributes:
        low, high: shape (num_tokens,), slice of each token in [0, 1]; token 0 (missing) has [0.5, 0.5].
        spike_values: shape (num_tokens,), the exact value of a spike, NaN elsewhere.
        bin_index: shape (num_tokens,), number of the quantile bin, -1 for token 0 and spikes.
        knots: shape (num_bins * knots_per_bin + 1,), ascending values at equal steps of rank; empty without bins.
        resolution: the grid to which a value from a bin is rounded.
        center, scale: the middle and spread of the knots and spikes, for the network's value feature.
        emits_missing: whether a missing value may be sampled.
    """

    name: str
    type: ColumnType
    low: Floats
    high: Floats
    spike_values: Floats
    bin_index: Ints
    knots: Floats
    resolution: Resolution
    center: float
    scale: float
    emits_missing: bool

    @property
    def num_tokens(self) -> int:
        """Tokens including the missing value."""
        return len(self.low)

    @property
    def num_bins(self) -> int:
        """Quantile bins."""
        return int((self.bin_index >= 0).sum())

    @property
    def emitted(self) -> NDArray[np.bool_]:
        """Shape (num_tokens,): which tokens sampling may choose."""
        allowed = np.ones(self.num_tokens, dtype=bool)
        allowed[0] = self.emits_missing
        return allowed

    def encode(self, series: pd.Series[Any], rng: np.random.Generator) -> tuple[Ints, Floats]:
        """Tokens and places.

        Args:
            series: canonical dtype.
            rng: spreads a rounded value evenly over its rounding interval.

        Returns:
            token int64 (num_rows,) and place float64 (num_rows,) in [0, 1]; the place is 0.5 when missing.
        """
        values = to_floats(series)
        tokens = np.zeros(len(values), dtype=np.int64)
        present = np.flatnonzero(~np.isnan(values))
        if self.num_tokens > 1:
            tokens[present] = self._nearest_spikes(values[present])
        places = (self.low[tokens] + self.high[tokens]) / 2
        loose = present[values[present] != self.spike_values[tokens[present]]] if self.num_bins else present[:0]
        if len(loose):
            rank = self._rank(values[loose] + self._dither(len(loose), rng))
            bins = np.minimum((rank * self.num_bins).astype(np.int64), self.num_bins - 1)
            tokens[loose] = np.flatnonzero(self.bin_index >= 0)[bins]
            within = rank * self.num_bins - bins
            places[loose] = self.low[tokens[loose]] + within * (self.high[tokens[loose]] - self.low[tokens[loose]])
        return tokens, places

    def values(self, tokens: Ints, places: Floats) -> Floats:
        """Numbers before rounding, shape (num_rows,); NaN when missing."""
        result = self.spike_values[tokens]
        rows = np.flatnonzero(self.bin_index[tokens] >= 0)
        chosen = tokens[rows]
        width = np.maximum(self.high[chosen] - self.low[chosen], 1e-12)
        within = np.clip((places[rows] - self.low[chosen]) / width, 0, 1)
        rank = (self.bin_index[chosen] + within) / max(self.num_bins, 1)
        if len(rows):
            result[rows] = np.interp(rank, np.linspace(0, 1, len(self.knots)), self.knots)
        return result

    def rounded(self, tokens: Ints, places: Floats) -> Floats:
        """Numbers, shape (num_rows,): spikes exact, the rest rounded to the learned grid; NaN when missing."""
        values = self.values(tokens, places)
        loose = self.bin_index[tokens] >= 0
        values[loose] = self.resolution.round(values[loose])
        return values

    def decode(self, tokens: Ints, places: Floats) -> pd.Series[Any]:
        """The column in its canonical dtype."""
        return from_floats(self.rounded(tokens, places), self.type)

    def place_in(self, tokens: Ints, values: Floats) -> Floats:
        """The place of each value in the slice of the given bin, its nearest end if the value lies beyond it."""
        within = np.clip(self._rank(values) * self.num_bins - self.bin_index[tokens], 0, 1)
        return self.low[tokens] + within * (self.high[tokens] - self.low[tokens])

    def _nearest_spikes(self, values: Floats) -> Ints:
        spikes = np.flatnonzero(~np.isnan(self.spike_values))
        if not len(spikes):
            return np.ones(len(values), dtype=np.int64)
        known = self.spike_values[spikes]
        middles = known[1:] / 2 + known[:-1] / 2
        return spikes[np.searchsorted(middles, values)]

    def _rank(self, values: Floats) -> Floats:
        if not self.num_bins:
            return np.zeros(len(values))
        exponent = int(np.frexp(np.abs(self.knots).max())[1])  # near 1, where slopes neither overflow nor vanish; exact
        scaled, knots = np.ldexp(values, -exponent), np.ldexp(self.knots, -exponent)
        return np.asarray(np.interp(scaled, knots, np.linspace(0, 1, len(knots))))

    def _dither(self, count: int, rng: np.random.Generator) -> Floats:
        return rng.uniform(-0.5, 0.5, count) * self.resolution.step


def fit_numeric(
    series: pd.Series[Any],
    column: Column,
    config: TVAEConfig,
    rng: np.random.Generator,
    entities: Codes | None = None,
) -> NumericCodec:
    """Learn a column's spikes, bins and resolution.

    Values of fewer than `rare_threshold` entities in all leave no trace: the column is then all missing. A remainder
    too small for a bin is moved to the nearest spike.

    Args:
        series: canonical dtype, no infinite value.
        entities: whose row each is, of shape (num_rows,); None: its own.
    """
    values = to_floats(series)
    missing, num_rows = np.isnan(values), len(values)
    absent, owners = (None, None) if entities is None else (entities[missing], entities[~missing])
    values = values[~missing]
    if num_entities(owners, len(values)) < config.rare_threshold:
        return _all_missing(column)
    resolution = learn_resolution(values, column.type, config.rare_threshold, owners)
    spikes = find_spikes(values, num_rows, config, owners)
    loose = ~np.isin(values, spikes)
    knots, num_bins = fit_knots(values[loose], config, rng, None if owners is None else owners[loose])
    if not num_bins:  # the common divisor of a few values could be one of them
        resolution = learn_resolution(spikes, column.type) if len(spikes) else Resolution(resolution.decimals)
    if not len(spikes) and not num_bins:  # few values, all different: one spike at their mean
        spikes = resolution.round(np.array([mean_of_entities(values, owners)]))
    order_by = np.concatenate([spikes, _bin_centers(knots, num_bins)])
    order = np.argsort(order_by, kind="stable")
    codec = NumericCodec(
        name=column.name,
        type=column.type,
        low=np.zeros(len(order) + 1),
        high=np.ones(len(order) + 1),
        spike_values=np.concatenate([[np.nan], np.concatenate([spikes, np.full(num_bins, np.nan)])[order]]),
        bin_index=np.concatenate([[-1], np.concatenate([np.full(len(spikes), -1), np.arange(num_bins)])[order]]),
        knots=knots,
        resolution=resolution,
        center=float(np.median(order_by)),
        scale=_spread(order_by) or 1.0,
        emits_missing=num_entities(absent, num_rows - len(values)) >= config.rare_threshold,
    )
    return _with_slices(codec, values, column.type, config, owners)


def _all_missing(column: Column) -> NumericCodec:
    half, nothing, grid = np.array([0.5]), np.array([]), Resolution(0)
    return NumericCodec(
        column.name, column.type, half, half, np.array([np.nan]), np.array([-1]), nothing, grid, 0.0, 1.0, True
    )


def _spread(values: Floats) -> float:
    """Standard deviation, without an overflow for numbers around 1e300."""
    largest = float(np.abs(values).max())
    return float(np.std(values / largest)) * largest if largest else 0.0


def _bin_centers(knots: Floats, num_bins: int) -> Floats:
    if not num_bins:
        return np.array([])
    return np.interp((np.arange(num_bins) + 0.5) / num_bins, np.linspace(0, 1, len(knots)), knots)


def _with_slices(
    codec: NumericCodec, values: Floats, kind: ColumnType, config: TVAEConfig, owners: Codes | None
) -> NumericCodec:
    """Slices of [0, 1] as wide as each token's share; that of few entities counts as `rare_threshold` rows."""
    tokens, _ = codec.encode(from_floats(values, kind), np.random.default_rng(0))
    counts = np.bincount(tokens, minlength=codec.num_tokens)[1:]
    holders = entities_per_group(tokens, codec.num_tokens, owners)[1:]
    shares = np.where(holders < config.rare_threshold, config.rare_threshold, counts).astype(np.float64)
    edges = np.concatenate([[0.0], np.cumsum(shares) / shares.sum()])
    edges[-1] = 1.0
    codec.low[:] = np.concatenate([[0.5], edges[:-1]])
    codec.high[:] = np.concatenate([[0.5], edges[1:]])
    return codec
