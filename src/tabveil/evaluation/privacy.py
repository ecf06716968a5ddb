"""Does the synthetic table copy? Nearest records, and exact repetitions, always beside the same figure for real rows.

*DCR share*: for each synthetic row, is the nearest real row in the training table or among those the model has not
seen? Were a row nothing to do with either, the nearest would be one of n training and m unseen entities by chance, with
odds n : m; the odds found are divided by these, so that 0.5 means no sign of copying however the table was split. Its
interval knows that rows which have the same person as their nearest are one observation, not many. *NNDR*: distance to
the nearest training row over the distance to the nearest one of somebody else; small values single one person out.
*Identical share*: rows that repeat a training row in every modelled column, beside the share among fresh real rows.

These measures support an anonymity assessment; they do not prove anonymity. Distances to the closest record are weak
alone: two models with DCR shares of .528 and .520 had membership attacks of AUC .563 and .605 (The DCR Delusion,
arXiv 2505.01524).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.spatial.distance import cdist

from tabveil.entities import Codes, num_entities
from tabveil.evaluation.encoding import SharedEncoding, as_text
from tabveil.evaluation.frames import Float, Int, numbers, sample_rows

MAX_ROWS = 2_000  # whose nearest real rows are looked up
CHUNK_ROWS = 200
TIE = 1e-9  # distances closer than this are equal
CONFIDENCE_Z = 1.959964  # 95 %


@dataclass(frozen=True)
class Distances:
    """Distances to the nearest real rows, each float64 of shape (num_rows,), in [0, 2].

    Args:
        synthetic_train: synthetic rows to the training table; `synthetic_second` to the nearest one of another entity.
        synthetic_holdout: synthetic rows to the holdout.
        holdout_train: holdout rows to the training table; `holdout_second` to the nearest one of another entity.
        from_train: per synthetic row, the share of training rows among its nearest real rows (one, unless some are
            equally near), in [0, 1].
        weights: per entity, how many synthetic rows have it as their nearest, ties divided, over all of them; sums to 1.
        chance: share of training entities among all entities, in (0, 1).
    """

    synthetic_train: Float
    synthetic_second: Float
    synthetic_holdout: Float
    holdout_train: Float
    holdout_second: Float
    from_train: Float
    weights: Float
    chance: float

    def metrics(self) -> dict[str, float]:
        """DCR and NNDR as flat metrics."""
        found = float(self.from_train.mean())
        observations = min(effective_rows(self.weights), float(len(self.from_train)))
        bounds = wilson_interval(found * observations, observations)
        share, low, high = (balanced(value, self.chance) for value in (found, *bounds))
        return {
            "dcr_share_closer_to_train": share,
            "dcr_share_closer_to_train_low": low,
            "dcr_share_closer_to_train_high": high,
            "dcr_share_closer_to_holdout": 1.0 - share,
            "dcr_effective_rows": observations,
            "dcr_median": float(np.median(self.synthetic_train)),
            "dcr_median_holdout": float(np.median(self.holdout_train)),
            "nndr": float(np.median(distance_ratio(self.synthetic_train, self.synthetic_second))),
            "nndr_holdout": float(np.median(distance_ratio(self.holdout_train, self.holdout_second))),
        }


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


def distances(
    train: Reference, holdout: Reference, synthetic: pd.DataFrame, encoding: SharedEncoding, seed: int
) -> Distances:
    """Nearest-record distances of at most `MAX_ROWS` synthetic and holdout rows to all real rows given.

    A row's distance to another is the mean over columns of: the difference of their ranks in the training data
    (numbers, in [0, 1]), 0 or 1 (levels), and at least 1 where only one of the two is missing.
    """
    space = _fit_space(train.rows, encoding)
    reference, unseen = space.points(train.rows), space.points(holdout.rows)
    made = space.points(sample_rows(synthetic, MAX_ROWS, seed, "dcr-synthetic"))
    fresh = space.points(sample_rows(holdout.rows, MAX_ROWS, seed, "dcr-holdout"))
    known, new = _nearest(made, reference, train.owners), _nearest(made, unseen, holdout.owners)
    between = _nearest(fresh, reference, train.owners)
    near = _Ties(known, new, made)
    return Distances()


def balanced(share: float, chance: float) -> float:
    """The share as if there were as many unseen as training entities: its odds divided by those of chance.

    Args:
        share: in [0, 1].
        chance: the share to expect where there is no copying, in (0, 1); it becomes 0.5.
    """
    copied, fresh = share * (1 - chance), (1 - share) * chance
    return copied / (copied + fresh)


def effective_rows(nearest: Int, num_rows: int) -> float:
    """How many independent rows `num_rows` are worth, at most that many: one over the sum of squared shares.

    Many synthetic rows may have one person's row as their nearest; which table that person was put in decides them all.
    (L. Kish, Survey Sampling, 1965: the effective size of a weighted sample.)

    Args:
        nearest: whose the nearest real row is, of the rows without a tie, int64.
    """
    shares = np.unique(nearest, return_counts=True)[1] / num_rows
    return min(1.0 / float((shares**2).sum()), float(num_rows)) if len(shares) else float(num_rows)


def _tied(to_train: Float, to_holdout: Float) -> np.ndarray:
    return np.isclose(to_train, to_holdout, rtol=0.0, atol=1e-9)


def distance_ratio(nearest: Float, second: Float) -> Float:
    """NNDR per row, in [0, 1]; 1 where the two nearest are equally far (also both at distance 0)."""
    return np.where(second > 0, nearest / np.where(second > 0, second, 1.0), 1.0)


def wilson_interval(successes: float, trials: float) -> tuple[float, float]:
    """95 % Wilson score interval of a share (E. Wilson, 1927)."""
    share, z2 = successes / trials, CONFIDENCE_Z**2
    centre = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = CONFIDENCE_Z * np.sqrt(share * (1 - share) / trials + z2 / (4 * trials**2)) / (1 + z2 / trials)
    return float(max(centre - half, 0.0)), float(min(centre + half, 1.0))


def identical_metrics(train: pd.DataFrame, holdout: pd.DataFrame, synthetic: pd.DataFrame) -> dict[str, float]:
    """Exact repetitions of training rows over all modelled columns, on the whole tables.

    `identical_ratio` compares expected repetitions at the holdout's size, plus one on both sides: 1 when neither
    repeats anything, finite when only the synthetic table does.
    """
    known = set(_row_hashes(train))
    share = float(np.mean([value in known for value in _row_hashes(synthetic)]))
    share_holdout = float(np.mean([value in known for value in _row_hashes(holdout)]))
    ratio = (share * len(holdout) + 1) / (share_holdout * len(holdout) + 1)
    return {"identical_share": share, "identical_share_holdout": share_holdout, "identical_ratio": ratio}


def _row_hashes(table: pd.DataFrame) -> list[int]:
    """64-bit hash of each row; floats are compared at 9 decimals, so that a detour through text changes nothing."""
    rounded = table.copy()
    for name in rounded.columns:
        if rounded[name].dtype.kind == "f":
            rounded[name] = rounded[name].round(9) + 0.0  # -0.0 and 0.0 are one value
        elif rounded[name].dtype.kind == "O":
            rounded[name] = as_text(rounded[name]).fillna("\0")  # one hash for missing, whatever else is there
    return [int(value) for value in pd.util.hash_pandas_object(rounded, index=False)]


@dataclass(frozen=True)
class _Points:
    """Rows as coordinates: ranks of numbers (missing: -1), codes of levels."""

    ranks: Float
    codes: Float

    def __len__(self) -> int:
        return len(self.ranks)


@dataclass(frozen=True)
class _Space:
    """Where distances are measured: each number on the scale of its ranks in the training table."""

    encoding: SharedEncoding
    scales: dict[str, tuple[Float, Float]]

    def points(self, table: pd.DataFrame) -> _Points:
        numeric = [self._rank(table[c.name]) for c in self.encoding.columns if c.numeric]
        levels = [_level_codes(table[c.name]) for c in self.encoding.columns if not c.numeric]
        empty = np.empty((len(table), 0))
        return _Points(np.column_stack(numeric) if numeric else empty, np.column_stack(levels) if levels else empty)

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


def _fit_space(train: pd.DataFrame, encoding: SharedEncoding) -> _Space:
    return _Space(encoding, {c.name: _scale(numbers(train[c.name])) for c in encoding.columns if c.numeric})


def _scale(values: Float) -> tuple[Float, Float]:
    """Knots of the empirical distribution: percentiles, and the mean rank of each."""
    present = values[~np.isnan(values)]
    if not present.size:
        return np.empty(0), np.empty(0)
    levels = np.linspace(0, 1, 201)
    knots, inverse = np.unique(np.quantile(present, levels), return_inverse=True)
    return knots, np.bincount(inverse, weights=levels) / np.bincount(inverse)


@dataclass(frozen=True)
class _Nearest:
    """Per row: distance to the nearest real row, whose it is, distance to the nearest one of somebody else."""

    first: Float
    owner: Int
    second: Float


def _nearest(rows: _Points, reference: _Points, owners: Codes) -> _Nearest:
    num_ranks, num_codes = rows.ranks.shape[1], rows.codes.shape[1]
    found: list[tuple[Float, Int, Float]] = []
    for first in range(0, len(rows), CHUNK_ROWS):
        part = slice(first, first + CHUNK_ROWS)
        total = np.zeros((len(rows.ranks[part]), len(reference)))
        if num_ranks:
            total += cdist(rows.ranks[part], reference.ranks, "cityblock")
        if num_codes:
            total += num_codes * cdist(rows.codes[part], reference.codes, "hamming")
        position = total.argmin(axis=1)
        nearest, owner = total[np.arange(len(total)), position], owners[position]
        total[owners[None, :] == owner[:, None]] = np.inf
        found.append((nearest, owner, total.min(axis=1)))
    distance, owner, second = (np.concatenate(part) for part in zip(*found, strict=True))
    return _Nearest(distance / (num_ranks + num_codes), owner, second / (num_ranks + num_codes))
