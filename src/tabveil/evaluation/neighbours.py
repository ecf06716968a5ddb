"""Which real rows are near, and whose they are: distances to whole tables, in chunks.

A row's distance to another is the mean over columns of: the difference of their ranks in the training data (numbers),
0 or 1 (levels), and at least 1 where only one of the two is missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.spatial.distance import cdist

from tabveil.entities import Codes, num_entities
from tabveil.evaluation.encoding import SharedEncoding, as_text
from tabveil.evaluation.frames import Float, numbers

CHUNK_ROWS = 200
TIE = 1e-9  # distances closer than this are equal


@dataclass(frozen=True)
class Reference:
    """Real rows, and whose they are (None: each its own)."""

    rows: pd.DataFrame
    entities: Codes | None = None

    @property
    def owners(self) -> Codes:
        """Entity of each row, int64 of shape (num_rows,)."""
        return np.arange(len(self.rows)) if self.entities is None else self.entities

    @property
    def num_entities(self) -> int:
        """How many entities there are."""
        return num_entities(self.entities, len(self.rows))


@dataclass(frozen=True)
class Points:
    """Rows as coordinates: ranks of numbers (missing: -1), float64 (num_rows, num_numbers), and codes of levels."""

    ranks: Float
    codes: Float

    def __len__(self) -> int:
        return len(self.ranks)

    @property
    def num_columns(self) -> int:
        """Numbers and levels."""
        return int(self.ranks.shape[1] + self.codes.shape[1])


@dataclass(frozen=True)
class Space:
    """Where distances are measured: each number on the scale of its ranks in the training table."""

    encoding: SharedEncoding
    scales: dict[str, tuple[Float, Float]]

    def points(self, table: pd.DataFrame) -> Points:
        """Coordinates of every row."""
        numeric = [self._rank(table[c.name]) for c in self.encoding.columns if c.numeric]
        levels = [_level_codes(table[c.name]) for c in self.encoding.columns if not c.numeric]
        empty = np.empty((len(table), 0))
        return Points(np.column_stack(numeric) if numeric else empty, np.column_stack(levels) if levels else empty)

    def _rank(self, series: pd.Series) -> Float:
        values, (knots, ranks) = numbers(series), self.scales[str(series.name)]
        if not knots.size:
            return np.where(np.isnan(values), -1.0, 0.0)
        return np.where(np.isnan(values), -1.0, np.interp(values, knots, ranks))


def _level_codes(series: pd.Series) -> Float:
    """A number per level, the same in every table.

    No level is pooled with another: if levels that the training table lacks were all "other", a synthetic "other" would
    be near the holdout only.
    """
    hashes: Float = pd.util.hash_array(as_text(series).fillna("\0").to_numpy(dtype=object)).astype("float64")
    return hashes


def fit_space(train: pd.DataFrame, encoding: SharedEncoding) -> Space:
    """Ranks of the training table's numbers."""
    return Space(encoding, {c.name: _scale(numbers(train[c.name])) for c in encoding.columns if c.numeric})


def _scale(values: Float) -> tuple[Float, Float]:
    """Knots of the empirical distribution: percentiles, and the mean rank of each."""
    present = values[~np.isnan(values)]
    if not present.size:
        return np.empty(0), np.empty(0)
    levels = np.linspace(0, 1, 201)
    knots, inverse = np.unique(np.quantile(present, levels), return_inverse=True)
    return knots, np.bincount(inverse, weights=levels) / np.bincount(inverse)


@dataclass(frozen=True)
class Nearest:
    """Per row: distance to the nearest real row, and to the nearest one of somebody else; float64 (num_rows,)."""

    first: Float
    second: Float


@dataclass(frozen=True)
class Sides:
    """Per synthetic row, what is near on either side.

    Args:
        train: distances to training rows. holdout: distance to the nearest holdout row.
        from_train: share of training rows among the nearest real rows of both tables, in [0, 1].
        weights: share of the synthetic rows that each entity of both tables is nearest to, ties divided; sums to 1.
    """

    train: Nearest
    holdout: Float
    from_train: Float
    weights: Float


def nearest(rows: Points, reference: Reference, space: Space) -> Nearest:
    """Distances of rows to a real table."""
    points, owners = space.points(reference.rows), reference.owners
    parts = [_two_nearest(distance, owners) for distance in _chunks(rows, points)]
    first, second = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Nearest(first, second)


def nearest_sides(rows: Points, train: Reference, holdout: Reference, space: Space) -> Sides:
    """Which of two real tables the nearest rows are in.

    Equally near rows share: counting a tie for either table as a whole would favour the larger one.
    """
    known, new = space.points(train.rows), space.points(holdout.rows)
    in_train, in_holdout = np.zeros(len(known)), np.zeros(len(new))
    parts: list[tuple[Float, Float, Float, Float]] = []
    for to_train, to_holdout in zip(_chunks(rows, known), _chunks(rows, new), strict=True):
        least = np.minimum(to_train.min(axis=1), to_holdout.min(axis=1))[:, None] + TIE
        near_train, near_holdout = to_train <= least, to_holdout <= least
        num_train, num_near = near_train.sum(axis=1), near_train.sum(axis=1) + near_holdout.sum(axis=1)
        in_train += (1.0 / num_near) @ near_train
        in_holdout += (1.0 / num_near) @ near_holdout
        parts.append((to_holdout.min(axis=1), num_train / num_near, *_two_nearest(to_train, train.owners)))
    away, from_train, first, second = (np.concatenate(part) for part in zip(*parts, strict=True))
    people = [np.bincount(r.owners, weights=w) for r, w in ((train, in_train), (holdout, in_holdout))]
    return Sides(Nearest(first, second), away, from_train, np.concatenate(people) / len(rows))


def _chunks(rows: Points, reference: Points) -> Iterator[Float]:
    """Distances, float64 of shape (at most CHUNK_ROWS, len(reference))."""
    for first in range(0, len(rows), CHUNK_ROWS):
        part = slice(first, first + CHUNK_ROWS)
        total = np.zeros((len(rows.ranks[part]), len(reference)))
        if rows.ranks.shape[1]:
            total += cdist(rows.ranks[part], reference.ranks, "cityblock")
        if rows.codes.shape[1]:
            total += rows.codes.shape[1] * cdist(rows.codes[part], reference.codes, "hamming")
        yield total / rows.num_columns


def _two_nearest(distance: Float, owners: Codes) -> tuple[Float, Float]:
    position = distance.argmin(axis=1)
    others = owners[None, :] != owners[position][:, None]
    return distance.min(axis=1), np.where(others, distance, np.inf).min(axis=1)
