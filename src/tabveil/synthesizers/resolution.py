"""The resolution of a numeric column: on which grid its values lie.

It is a statement about all rows, so that no few people may decide it: values of fewer than k of them may lie elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tabveil.entities import Codes, num_entities
from tabveil.schema import ColumnType
from tabveil.synthesizers.values import MAX_WHOLE

MAX_DECIMALS = 6
MAX_STEPS = 2.0**53  # beyond it a float64 does not tell neighbouring whole numbers apart
RESOLVED_FRACTION = 0.999  # of the values are nearly all of them
PRIMES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97)
PROBED_ROWS = 20_000  # of longer columns, where each row is its own entity, a part is looked at first
PROBED_FRACTION = 0.9


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


def learn_resolution(
    values: NDArray[np.float64], kind: ColumnType, rare_threshold: int = 1, entities: Codes | None = None
) -> Resolution:
    """Decimals and common divisor of nearly all values: cents, amounts in steps of 25, instants in whole days.

    Nearly all are `RESOLVED_FRACTION` of them, or all but those of fewer than `rare_threshold` entities.

    Args:
        values: finite, not empty; whole numbers unless `kind` is decimal. Decimals too large to have cents count as
            values off the grid.
        entities: whose value each is, int64 of the same shape; None: its own.
    """
    if kind is not ColumnType.decimal:
        return Resolution(0, _common_divisor(values, np.abs(values) <= MAX_WHOLE, rare_threshold, entities))
    for decimals in range(MAX_DECIMALS + 1):
        near = np.abs(values) < MAX_STEPS / 10.0**decimals
        scaled = np.where(near, values, 0.0) * 10.0**decimals
        fits = near & (np.abs(scaled - np.round(scaled)) <= _noise(scaled))
        if _nearly_all(fits, rare_threshold, entities):
            return Resolution(decimals, _common_divisor(scaled, fits, rare_threshold, entities))
    return Resolution(None)


def _noise(scaled: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far from a whole number a value of the grid may lie, since a double does not hold it exactly.

    Relative to the usual size, which no few values decide: tiny numbers are no noise around zero.
    """
    sizes = np.abs(scaled)
    usual = min(1.0, float(np.median(sizes[sizes > 0]))) if sizes.any() else 1.0
    relative, most = 1e-6 * np.maximum(usual, sizes * 1e-6), np.maximum(0.02, 2 * np.spacing(sizes))
    return np.asarray(np.minimum(relative, most))


def _nearly_all(fits: NDArray[np.bool_], rare_threshold: int, entities: Codes | None) -> bool:
    count = int(fits.sum())
    if count >= RESOLVED_FRACTION * len(fits):
        return True
    off, on = (None, None) if entities is None else (entities[~fits], entities[fits])
    return num_entities(off, len(fits) - count) < rare_threshold <= num_entities(on, count)


def _common_divisor(
    values: NDArray[np.float64], chosen: NDArray[np.bool_], rare_threshold: int, entities: Codes | None
) -> int:
    """A product of `PRIMES`, the small ones first, that divides nearly all of the chosen values; zeros say nothing."""
    chosen = chosen & (np.round(values) != 0)
    whole = np.round(values[chosen]).astype(np.int64)
    owners = None if entities is None else entities[chosen]
    if not len(whole) or num_entities(owners, len(whole)) < rare_threshold:
        return 1
    largest, probe = int(np.abs(whole).max()), whole[:: max(len(whole) // PROBED_ROWS, 1)]

    def divides(divisor: int) -> bool:
        if divisor > largest:
            return False
        if owners is None and (probe % divisor == 0).mean() < PROBED_FRACTION and len(probe) < len(whole):
            return False
        return _nearly_all(whole % divisor == 0, rare_threshold, owners)

    result = 1
    for prime in PRIMES:
        while divides(result * prime):
            result *= prime
    return result
