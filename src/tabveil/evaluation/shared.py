"""TabVeil's own fidelity scores: total variation on shared bins, all columns and all pairs.

For one column ``1 - TV(real, synthetic)``, for a pair the same on its two-way table, missing values a level of their
own. Every pair counts, associated or not. All pair tables of a data set come from one matrix product of its one-hot
codes, so that 54 columns (1,431 pairs) take well under a second.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tabveil.evaluation.frames import Float, Int, stream

CHUNK_ROWS = 4096


@dataclass(frozen=True)
class SharedScores:
    """Scores in [0, 1], 1 is identical.

    Args:
        shapes: float64 of shape (num_columns,).
        trends: float64 of shape (num_columns, num_columns), symmetric; the diagonal is NaN.
    """

    shapes: Float
    trends: Float

    @property
    def mean_shape(self) -> float:
        """Mean over columns."""
        return float(self.shapes.mean())

    @property
    def mean_trend(self) -> float:
        """Mean over all pairs; NaN for a single column."""
        upper = self.trends[np.triu_indices(len(self.shapes), k=1)]
        return float(upper.mean()) if upper.size else float("nan")


def offsets(num_codes: Int) -> Int:
    """First one-hot position of each column, int64 of shape (num_columns,)."""
    return np.concatenate([[0], np.cumsum(num_codes)[:-1]]).astype("int64")


def pair_counts(codes: Int, num_codes: Int) -> Float:
    """All two-way tables at once.

    Args:
        codes: int64 of shape (num_rows, num_columns).
        num_codes: int64 of shape (num_columns,).

    Returns:
        float64 of shape (K, K) with K the sum of `num_codes`: block (i, j) is the table of columns i and j, the
        diagonal of block (i, i) holds the counts of column i.
    """
    starts, width = offsets(num_codes), int(num_codes.sum())
    counts = np.zeros((width, width))
    for first in range(0, len(codes), CHUNK_ROWS):
        chunk = codes[first : first + CHUNK_ROWS] + starts
        one_hot = np.zeros((len(chunk), width), dtype="float32")
        one_hot[np.arange(len(chunk))[:, None], chunk] = 1.0
        counts += one_hot.T @ one_hot
    return counts


def shared_scores(real_counts: Float, synthetic_counts: Float, num_codes: Int) -> SharedScores:
    """Compare two tables by their `pair_counts`; they may have different numbers of rows."""
    starts = offsets(num_codes)
    real = real_counts / _rows(real_counts, num_codes)
    synthetic = synthetic_counts / _rows(synthetic_counts, num_codes)
    distance = np.abs(real - synthetic)
    blocks = np.add.reduceat(np.add.reduceat(distance, starts, axis=0), starts, axis=1)
    trends = np.clip(1.0 - 0.5 * blocks, 0.0, 1.0)
    shapes = np.diagonal(trends).copy()
    np.fill_diagonal(trends, np.nan)
    return SharedScores(shapes, trends)


def shuffled_codes(codes: Int, seed: int) -> Int:
    """Each column's codes shuffled on its own: the floor, without building a frame."""
    return stream(seed, "floor-codes").permuted(codes, axis=0)


def _rows(counts: Float, num_codes: Int) -> float:
    return float(np.trace(counts)) / len(num_codes)
