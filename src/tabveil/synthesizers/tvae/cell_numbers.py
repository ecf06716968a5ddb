"""The numbers of a column's tokens, whether these are spikes and bins or, where a constraint asks for it, categories.

All of them as `values.to_floats` has them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tabveil.constraints import SUM_SLACK
from tabveil.schema import ColumnType
from tabveil.synthesizers.resolution import Resolution
from tabveil.synthesizers.tvae.numeric import NumericCodec
from tabveil.synthesizers.tvae.order_rules import reaching, value_ranges
from tabveil.synthesizers.tvae.rows import Rows
from tabveil.synthesizers.tvae.tokenizer import FIRST_KEPT, Codec, Tokenizer
from tabveil.synthesizers.values import NUMBERS, from_floats

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
NO_GRID = 1e-6  # of a column's spread: the grid on which numbers without one are weighed


def numbers(rows: Rows, tokenizer: Tokenizer, column: int) -> Floats:
    """The numbers in a column, (num_rows,): exact where given; NaN when missing. Of unknown cells anything."""
    codec, seen = tokenizer.codecs[column], rows.seen(column)
    tokens = seen.tokens.cpu().numpy()
    if isinstance(codec, NumericCodec):
        assert seen.places is not None  # noqa: S101
        values = codec.rounded(tokens, seen.places.cpu().numpy())
    else:
        values = np.array([np.nan] * FIRST_KEPT + [float(value) for value in codec.categories])[tokens]
    if seen.values is None:
        return values
    exact = seen.values.cpu().numpy()
    return np.where(np.isnan(exact), values, exact)


def number_range(codec: Codec) -> tuple[float, float]:
    """The smallest and the largest number that is drawn, NaN without any."""
    if isinstance(codec, NumericCodec):
        smallest, largest = value_ranges(codec)
        return float(np.fmin.reduce(smallest)), float(np.fmax.reduce(largest))
    if codec.type not in NUMBERS or not codec.categories:
        return np.nan, np.nan
    return float(min(codec.categories)), float(max(codec.categories))


def rounded(codec: Codec, values: Floats) -> Floats:
    """Numbers as a column can hold them: with its decimals, not on its grid; of categories the nearest if equal."""
    if isinstance(codec, NumericCodec):
        return Resolution(codec.resolution.decimals).round(values)
    if codec.type is ColumnType.integer:
        return np.round(values)
    kept = np.sort(np.array([float(value) for value in codec.categories] or [np.inf]))
    nearest = kept[np.abs(values[:, None] - kept).argmin(axis=1)]
    return np.where(np.abs(nearest - values) <= SUM_SLACK * np.maximum(np.abs(values), 1), nearest, values)


def encoded(codec: Codec, values: Floats, rng: np.random.Generator) -> tuple[Ints, Floats]:
    """Tokens and places of numbers; the places of categories are 0.5."""
    series = from_floats(values, codec.type)
    if isinstance(codec, NumericCodec):
        return codec.encode(series, rng)
    return codec.encode(series), np.full(len(values), 0.5)


def grain(codec: Codec, tokens: Ints, values: Floats) -> tuple[Floats, Floats]:
    """How the probability of a number follows from that of its token and place.

    Returns:
        Log share of the bin that the number's step on the grid is, 0 for spikes and categories; and how far it lies
        from what the model draws: 0 where it is drawn, else 1 plus the distance in spreads of the column.
    """
    if not isinstance(codec, NumericCodec):
        return np.zeros(len(values)), np.where(codec.emitted[tokens], 0.0, 1.0)
    in_bin = codec.bin_index[tokens] >= 0
    step = weighed_step(codec)
    beyond = np.abs(codec.spike_values[tokens] - values)
    share = np.zeros(len(values))
    if in_bin.any():
        knots, intervals = codec.knots, len(codec.knots) - 1
        at = np.clip(np.searchsorted(knots, values, side="right") - 1, 0, intervals - 1)
        width = (knots[at + 1] - knots[at]) * intervals / codec.num_bins
        share = np.where(in_bin, np.log(step / np.maximum(width, step)), 0.0)
        outside = np.maximum(knots[0] - values, values - knots[-1])
        off_grid = np.abs(codec.resolution.round(values) - values)
        beyond = np.where(in_bin, np.maximum(np.maximum(outside, 0.0), off_grid), beyond)
    return share, np.where(beyond > SUM_SLACK * np.maximum(np.abs(values), 1), 1 + beyond / codec.scale, 0.0)


def tokens_within(codec: Codec, low: Floats, high: Floats) -> Bools:
    """Tokens of a column that mean some number in [low, high], or none, bool (num_rows, num_tokens)."""
    slack = SUM_SLACK * np.maximum(np.nan_to_num(np.maximum(np.abs(low), np.abs(high)), posinf=1.0), 1.0)
    low, high = low - slack, high + slack
    if isinstance(codec, NumericCodec):
        return reaching(codec, low, high)
    values = np.array([np.nan] * FIRST_KEPT + [float(value) for value in codec.categories])
    fits = (values >= low[:, None]) & (values <= high[:, None])
    return np.asarray(fits | ~codec.emitted)


def num_decimals(codec: Codec) -> float:
    """Decimals of a column; infinite without a grid, -1 of categories."""
    if not isinstance(codec, NumericCodec):
        return -1.0
    return np.inf if codec.resolution.decimals is None else float(codec.resolution.decimals)


def weighed_step(codec: Codec) -> float:
    """The step of a column's grid; without one a small part of its spread, of categories 1."""
    if not isinstance(codec, NumericCodec):
        return 1.0
    return codec.resolution.step or codec.scale * NO_GRID
