"""The resolution of a numeric column: on which grid its values lie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tabveil.schema import ColumnType

MAX_DECIMALS = 6
RESOLVED_FRACTION = 0.999  # of the values must lie on the learned grid


@dataclass(frozen=True)
class Resolution:
    """Values are multiples of ``unit * 10**-decimals``; `decimals` None: no grid (continuous)."""

    decimals: int | None
    unit: int = 1

    @property
    def step(self) -> float:
        """Distance of neighbouring values; 0 without a grid."""
        return 0.0 if self.decimals is None else self.unit / 10.0**self.decimals

    def round(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The nearest values of the grid."""
        if self.decimals is None:
            return values
        return np.asarray(np.round(np.round(values / self.step) * self.step, self.decimals), dtype=np.float64)


def learn_resolution(values: NDArray[np.float64], kind: ColumnType) -> Resolution:
    """Decimals and common divisor of nearly all values: cents, amounts in steps of 25, instants in whole days.

    Args:
        values: finite, not empty; whole numbers unless `kind` is decimal.
    """
    for decimals in range(MAX_DECIMALS + 1) if kind is ColumnType.decimal else (0,):
        scaled = values * 10.0**decimals
        if np.abs(scaled).max() >= 2**53:
            break
        fits = np.abs(scaled - np.round(scaled)) < 1e-6 * np.maximum(1, np.abs(scaled) * 1e-6)
        if fits.mean() >= RESOLVED_FRACTION:
            return Resolution(decimals, max(int(np.gcd.reduce(np.round(scaled[fits]).astype(np.int64))), 1))
    return Resolution(None if kind is ColumnType.decimal else 0)
