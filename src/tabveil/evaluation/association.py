"""How strongly columns hang together, for columns of any kind, as one matrix per table.

Number with number: Pearson's r, in [-1, 1], over rows where both are present. Level with level: Cramer's V, in
[0, 1] (H. Cramer, Mathematical Methods of Statistics, 1946), missing a level of its own. Number with level: the
correlation ratio eta, in [0, 1] (K. Pearson, 1905), over rows where the number is present.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from tabveil.evaluation.encoding import SharedEncoding
from tabveil.evaluation.frames import Float, Int, numbers
from tabveil.evaluation.shared import offsets


@dataclass(frozen=True)
class Associations:
    """Real and synthetic association matrices.

    Args:
        names: columns, in table order.
        real: float64 of shape (num_columns, num_columns); 0 where undefined (a constant column), diagonal 1.
        synthetic: the same.
    """

    names: tuple[str, ...]
    real: Float
    synthetic: Float

    @property
    def mean_difference(self) -> float:
        """Mean absolute difference over all pairs, in [0, 2]; NaN for a single column."""
        upper = np.abs(self.real - self.synthetic)[np.triu_indices(len(self.names), k=1)]
        return float(upper.mean()) if upper.size else float("nan")


def association_matrix(table: pd.DataFrame, counts: Float, encoding: SharedEncoding) -> Float:
    """Mixed association of all pairs.

    Args:
        table: plain frame.
        counts: `pair_counts` of the same table.
    """
    is_number = encoding.numeric
    matrix = np.eye(len(is_number))
    matrix[np.ix_(~is_number, ~is_number)] = _cramers_v(counts, encoding.num_codes)[np.ix_(~is_number, ~is_number)]
    if is_number.any():
        values = _standardised(np.column_stack([numbers(table[n]) for n in np.array(encoding.names)[is_number]]))
        matrix[np.ix_(is_number, is_number)] = _pearson(values)
        for position in np.flatnonzero(~is_number):
            column = encoding.columns[position]
            ratios = _correlation_ratio(values, column.codes(table[column.name]), column.num_codes)
            matrix[position, is_number] = matrix[is_number, position] = ratios
    np.fill_diagonal(matrix, 1.0)
    return matrix


def _standardised(values: Float) -> Float:
    """Columns centred and scaled (keeps sums of squares accurate); a column without spread becomes zeros."""
    present = ~np.isnan(values)
    count = np.maximum(present.sum(axis=0), 1)
    centred = np.where(present, values - np.where(present, values, 0.0).sum(axis=0) / count, np.nan)
    scale = np.sqrt(np.where(present, centred**2, 0.0).sum(axis=0) / count)
    return np.where(present, centred / np.where(scale > 0, scale, 1.0), np.nan)


def _pearson(values: Float) -> Float:
    present = (~np.isnan(values)).astype("float64")
    filled = np.where(np.isnan(values), 0.0, values)
    count = np.maximum(present.T @ present, 1.0)
    sums, squares = filled.T @ present, (filled**2).T @ present
    covariance = filled.T @ filled / count - (sums / count) * (sums.T / count)
    variance = squares / count - (sums / count) ** 2
    return np.clip(_ratio(covariance, np.sqrt(np.clip(variance * variance.T, 0.0, None))), -1.0, 1.0)


def _cramers_v(counts: Float, num_codes: Int) -> Float:
    starts = offsets(num_codes)
    margin = np.diagonal(counts)
    rows = margin.sum() / len(num_codes)
    terms = _ratio(counts**2, np.outer(margin, margin))
    blocks = np.add.reduceat(np.add.reduceat(terms, starts, axis=0), starts, axis=1)
    used = np.add.reduceat((margin > 0).astype("float64"), starts)
    freedom = np.minimum.outer(used, used) - 1.0
    phi_squared = np.clip(blocks - 1.0, 0.0, None) if rows > 0 else np.zeros_like(blocks)
    return np.clip(np.sqrt(_ratio(phi_squared, freedom)), 0.0, 1.0)


def _correlation_ratio(values: Float, codes: Int, num_codes: int) -> Float:
    one_hot = np.eye(num_codes)[codes]
    present = (~np.isnan(values)).astype("float64")
    filled = np.where(np.isnan(values), 0.0, values)
    group_sums, group_rows = one_hot.T @ filled, one_hot.T @ present
    total, rows = filled.sum(axis=0), present.sum(axis=0)
    correction = _ratio(total**2, rows)
    between = _ratio(group_sums**2, group_rows).sum(axis=0) - correction
    return np.sqrt(np.clip(_ratio(between, (filled**2).sum(axis=0) - correction), 0.0, 1.0))


def _ratio(numerator: Float, denominator: Float) -> Float:
    """Division in which nothing over nothing, and anything over nearly nothing, is 0."""
    safe = np.where(denominator > 1e-12, denominator, 1.0)
    return np.where(denominator > 1e-12, numerator / safe, 0.0)
