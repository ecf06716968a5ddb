"""Does the synthetic table copy? Nearest records, and exact repetitions, always beside the same figure for real rows.

*DCR share*: for each synthetic row, is the nearest real row in the training table or in an equally large sample the
model has not seen? 0.5 means no sign of copying (ties count half). *NNDR*: distance to the nearest training row over
the distance to the second nearest; small values single one person out. *Identical share*: rows that repeat a training
row in every modelled column, beside the share among fresh real rows.

These measures support an anonymity assessment; they do not prove anonymity. Distances to the closest record are weak
alone: two models with DCR shares of .528 and .520 had membership attacks of AUC .563 and .605 (The DCR Delusion,
arXiv 2505.01524).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.spatial.distance import cdist

from tabveil.evaluation.encoding import SharedEncoding, as_text
from tabveil.evaluation.frames import Float, Int, numbers, sample_rows

MAX_ROWS = 2_000  # per table, for distances
CHUNK_ROWS = 500
CONFIDENCE_Z = 1.959964  # 95 %


@dataclass(frozen=True)
class Distances:
    """Distances to the nearest real rows, each float64 of shape (num_rows,), in [0, 2].

    Args:
        synthetic_train: synthetic rows to the training sample; `synthetic_second` to the second nearest.
        synthetic_holdout: synthetic rows to the holdout sample, of the same size.
        holdout_train: holdout rows to the training sample; `holdout_second` to the second nearest.
    """

    synthetic_train: Float
    synthetic_second: Float
    synthetic_holdout: Float
    holdout_train: Float
    holdout_second: Float

    def metrics(self) -> dict[str, float]:
        """DCR and NNDR as flat metrics."""
        share = dcr_share(self.synthetic_train, self.synthetic_holdout)
        low, high = wilson_interval(share * len(self.synthetic_train), len(self.synthetic_train))
        return {
            "dcr_share_closer_to_train": share,
            "dcr_share_closer_to_train_low": low,
            "dcr_share_closer_to_train_high": high,
            "dcr_share_closer_to_holdout": 1.0 - share,
            "dcr_median": float(np.median(self.synthetic_train)),
            "dcr_median_holdout": float(np.median(self.holdout_train)),
            "nndr": float(np.median(distance_ratio(self.synthetic_train, self.synthetic_second))),
            "nndr_holdout": float(np.median(distance_ratio(self.holdout_train, self.holdout_second))),
        }


def distances(
    train: pd.DataFrame, holdout: pd.DataFrame, synthetic: pd.DataFrame, encoding: SharedEncoding, seed: int
) -> Distances:
    """Nearest-record distances on equal-sized samples of at most `MAX_ROWS` rows.

    A row's distance to another is the mean over columns of: the difference of their ranks in the training data
    (numbers, in [0, 1]), 0 or 1 (levels), and at least 1 where only one of the two is missing.
    """
    space = _fit_space(train, encoding)
    size = min(len(train), len(holdout), MAX_ROWS)
    reference = space.points(sample_rows(train, size, seed, "dcr-train"))
    fresh = space.points(sample_rows(holdout, size, seed, "dcr-holdout"))
    made = space.points(sample_rows(synthetic, MAX_ROWS, seed, "dcr-synthetic"))
    made_train, made_holdout, fresh_train = (
        _two_nearest(made, reference),
        _two_nearest(made, fresh),
        _two_nearest(fresh, reference),
    )
    return Distances(made_train[:, 0], made_train[:, 1], made_holdout[:, 0], fresh_train[:, 0], fresh_train[:, 1])


def dcr_share(to_train: Float, to_holdout: Float) -> float:
    """Share of rows whose nearest real row is a training row, ties counting half; in [0, 1], 0.5 is no copying."""
    tie = np.isclose(to_train, to_holdout, rtol=0.0, atol=1e-9)
    return float(np.where(tie, 0.5, to_train < to_holdout).mean())


def distance_ratio(nearest: Float, second: Float) -> Float:
    """NNDR per row, in [0, 1]; 1 where the two nearest are equally far (also both at distance 0)."""
    return np.where(second > 0, nearest / np.where(second > 0, second, 1.0), 1.0)


def wilson_interval(successes: float, trials: int) -> tuple[float, float]:
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
    codes: Int

    def __len__(self) -> int:
        return len(self.ranks)


@dataclass(frozen=True)
class _Space:
    """Where distances are measured: each number on the scale of its ranks in the training table."""

    encoding: SharedEncoding
    scales: dict[str, tuple[Float, Float]]

    def points(self, table: pd.DataFrame) -> _Points:
        numeric = [self._rank(table[c.name]) for c in self.encoding.columns if c.numeric]
        levels = [c.codes(table[c.name]) for c in self.encoding.columns if not c.numeric]
        empty = np.empty((len(table), 0))
        return _Points(
            np.column_stack(numeric) if numeric else empty,
            np.column_stack(levels) if levels else empty.astype("int64"),
        )

    def _rank(self, series: pd.Series) -> Float:
        values, (knots, ranks) = numbers(series), self.scales[str(series.name)]
        if not knots.size:
            return np.where(np.isnan(values), -1.0, 0.0)
        return np.where(np.isnan(values), -1.0, np.interp(values, knots, ranks))


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


def _two_nearest(rows: _Points, reference: _Points) -> Float:
    """Distances to the nearest and second nearest reference row, float64 of shape (len(rows), 2)."""
    num_ranks, num_codes = rows.ranks.shape[1], rows.codes.shape[1]
    nearest: Float = np.empty((len(rows), 2))
    for first in range(0, len(rows), CHUNK_ROWS):
        part = slice(first, first + CHUNK_ROWS)
        total = np.zeros((len(rows.ranks[part]), len(reference)))
        if num_ranks:
            total += cdist(rows.ranks[part], reference.ranks, "cityblock")
        if num_codes:
            total += num_codes * cdist(rows.codes[part], reference.codes, "hamming")
        nearest[part] = np.partition(total, 1, axis=1)[:, :2]
    nearest /= num_ranks + num_codes
    return nearest
