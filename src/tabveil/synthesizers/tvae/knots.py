"""What is kept of a numeric column's values: exact ones that many entities share, and means of neighbouring ones.

Where several rows belong to one entity, an entity counts once: a value is frequent if many *entities* have it, the
values beyond the k-th *entity* from either end are cut, and every mean is taken over at least k entities, each with
the same weight, no value in two of them.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tabveil.config import TVAEConfig
from tabveil.entities import Codes, entities_per_group, num_entities

KNOT_ROWS = 5  # entities averaged in one knot, or `rare_threshold` if that is more
ROWS_PER_KNOT = 10  # training values between two knots
MAX_KNOTS_PER_BIN = 16

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def find_spikes(values: Floats, num_rows: int, config: TVAEConfig, entities: Codes | None) -> Floats:
    """Exact values that are frequent and of enough entities, ascending.

    Frequent: in at least `spike_fraction` of the rows, or `spike_fraction_of_rest` of those that have a value and no
    more frequent one, while these are enough for a bin. The second finds the usual amounts of a column that is mostly
    zero, and leaves its tail.

    Args:
        values: without NaN, shape (num_values,); `entities` alike.
        num_rows: rows of the table.
    """
    distinct, groups, counts = np.unique(values, return_inverse=True, return_counts=True)
    holders = counts if entities is None else entities_per_group(groups.reshape(-1), len(distinct), entities)
    enough = max(config.min_spike_rows, config.rare_threshold)
    order = np.argsort(-counts, kind="stable")
    rest = len(values) - np.concatenate([[0], np.cumsum(counts[order])])[:-1]
    of_rest = np.where(rest >= config.min_bin_rows, config.spike_fraction_of_rest * rest, np.inf)
    wanted = np.minimum(config.spike_fraction * num_rows, of_rest)
    frequent = np.empty(len(distinct), dtype=bool)
    frequent[order] = np.logical_and.accumulate(counts[order] >= wanted)
    return distinct[frequent & (holders >= enough)]


def fit_knots(
    loose: Floats, config: TVAEConfig, rng: np.random.Generator, entities: Codes | None
) -> tuple[Floats, int]:
    """Means of neighbouring values at equal steps of rank, between a randomised k-th entity at either end.

    Returns:
        num_bins * knots_per_bin + 1 ascending values, and num_bins; nothing and 0 if there are too few entities.
    """
    window = max(KNOT_ROWS, config.rare_threshold)
    if num_entities(entities, len(loose)) < 4 * config.rare_threshold + window:
        return np.array([]), 0
    below, above = (int(rng.integers(config.rare_threshold, 2 * config.rare_threshold)) for _ in range(2))
    if entities is None:
        return _row_knots(np.sort(loose), below, above, window, config)
    values, owners = _sorted_pairs(loose, entities)
    first, end = _reach(owners, below) or 0, _reach(owners[::-1], above) or 0
    inner = slice(first, len(owners) - end)
    return _entity_knots(values[inner], owners[inner], (first, len(owners)), window, config)


def mean_of_entities(values: Floats, entities: Codes | None) -> float:
    """Mean over entities of their mean values, without an overflow for numbers around 1e300."""
    if entities is None:
        return float((values / len(values)).sum())
    _, owner, counts = np.unique(entities, return_inverse=True, return_counts=True)
    return float((values / (counts[owner.reshape(-1)] * len(counts))).sum())


def _row_knots(values: Floats, below: int, above: int, window: int, config: TVAEConfig) -> tuple[Floats, int]:
    last = len(values) - 1 - above
    num_bins = int(np.clip(len(values) // config.min_bin_rows, 1, config.max_bins))
    starts = _starts(below, last - window + 1, num_bins * _per_bin(len(values), num_bins))
    windows = np.lib.stride_tricks.sliding_window_view(values, window)[starts]
    return np.maximum.accumulate((windows / window).sum(axis=1)), num_bins


def _entity_knots(
    values: Floats, owners: Codes, origin: tuple[int, int], window: int, config: TVAEConfig
) -> tuple[Floats, int]:
    """Of sorted (value, entity) pairs without the extreme ones; as few bins as it takes for k entities in each.

    Args:
        origin: position of the first of these pairs among all, and how many there are in all.
    """
    first, num_values = origin
    end = _reach(owners[::-1], window)
    if end is None or _reach(owners[: len(owners) - end], window) is None:
        return np.array([]), 0
    num_bins = int(np.clip(num_values // config.min_bin_rows, 1, config.max_bins))
    while True:
        per_bin = _per_bin(num_values, num_bins)
        starts = _starts(first, first + len(values) - end, num_bins * per_bin) - first
        knots = _disjoint_means(values, owners, starts, window)
        inside = np.clip(np.searchsorted(knots[::per_bin], values, side="right") - 1, 0, num_bins - 1)
        holders = entities_per_group(inside.astype(np.int64), num_bins, owners)
        if num_bins == 1 or holders.min() >= config.rare_threshold:
            return knots, num_bins
        num_bins //= 2


def _disjoint_means(values: Floats, owners: Codes, starts: Ints, window: int) -> Floats:
    """A knot per start: the mean of the following `window` entities, interpolated where windows would overlap."""
    places, means, free, tail = [], [], 0, int(starts[-1])
    for start in starts[:-1]:
        size = _reach(owners[start:tail], window)
        if size is None:
            break
        if start >= free:
            free = int(start) + size
            places.append(int(start))
            means.append(mean_of_entities(values[start:free], owners[start:free]))
    places.append(tail)
    means.append(mean_of_entities(values[tail:], owners[tail:]))
    return np.maximum.accumulate(np.interp(starts, places, means))


def _sorted_pairs(values: Floats, entities: Codes) -> tuple[Floats, Codes]:
    """The distinct (value, entity) pairs in order of value."""
    pairs = pd.DataFrame({"value": values, "entity": entities}).drop_duplicates().sort_values(["value", "entity"])
    return pairs["value"].to_numpy(), pairs["entity"].to_numpy()


def _reach(owners: Codes, count: int) -> int | None:
    """Length of the shortest beginning of `owners` with `count` different ones; None if there are fewer."""
    size = count
    while True:
        firsts = np.unique(owners[:size], return_index=True)[1]
        if len(firsts) >= count:
            return int(np.sort(firsts)[count - 1]) + 1
        if size >= len(owners):
            return None
        size *= 2


def _starts(first: int, last: int, num_steps: int) -> Ints:
    return np.round(np.linspace(first, last, num_steps + 1)).astype(np.int64)


def _per_bin(num_values: int, num_bins: int) -> int:
    return int(np.clip(num_values // num_bins // ROWS_PER_KNOT, 1, MAX_KNOTS_PER_BIN))
