"""The resolution of a numeric column: on which grid its values lie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tabveil.schema import ColumnType
from tabveil.synthesizers.values import MAX_WHOLE

MAX_DECIMALS = 6
MAX_STEPS = 2.0**53  # beyond it a float64 does not tell neighbouring whole numbers apart
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
        """The nearest values of the grid; NaN, and numbers too large for a double to tell its steps apart, stay."""
        if self.decimals is None:
            return values
        near = np.abs(values) < self.step * MAX_STEPS
        steps = np.round(np.where(near, values, 0.0) / self.step)
        return np.where(near, np.round(steps * self.step, self.decimals), values)


def learn_resolution(values: NDArray[np.float64], kind: ColumnType) -> Resolution:
    """Decimals and common divisor of nearly all values: cents, amounts in steps of 25, instants in whole days.

    Args:
        values: finite, not empty; whole numbers unless `kind` is decimal. Decimals too large to have cents count as
            values off the grid.
    """
    if kind is not ColumnType.decimal:
        return Resolution(0, _common_divisor(values[np.abs(values) <= MAX_WHOLE]))
    for decimals in range(MAX_DECIMALS + 1):
        scaled = values[np.abs(values) < MAX_STEPS / 10.0**decimals] * 10.0**decimals
        usual = min(1.0, float((np.abs(scaled) / max(len(scaled), 1)).sum()))  # tiny numbers are no noise around zero
        fits = np.abs(scaled - np.round(scaled)) <= 1e-6 * np.maximum(usual, np.abs(scaled) * 1e-6)
        if fits.sum() >= RESOLVED_FRACTION * len(values):
            return Resolution(decimals, _common_divisor(scaled[fits]))
    return Resolution(None)


def _common_divisor(whole: NDArray[np.float64]) -> int:
    return max(int(np.gcd.reduce(np.round(whole).astype(np.int64), initial=0)), 1)
