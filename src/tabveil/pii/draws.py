"""Random draws that depend only on (seed, stream, row number): any chunking of the rows gives the same table.

A counter-based generator: SplitMix64's finaliser (Steele, Lea & Flood 2014) over the row number, keyed per stream.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

Int64s = npt.NDArray[np.int64]
UInt64s = npt.NDArray[np.uint64]
SERIAL_BITS = 32
MAX_ROWS = 2**28  # rows of one run; `MAX_ATTEMPTS` serials per row never meet
MAX_ATTEMPTS = 2**SERIAL_BITS // MAX_ROWS


@dataclass(frozen=True)
class Draws:
    """Draws for some rows of a run.

    Args:
        rows: uint64 array of absolute row numbers.
        attempt: how often a value was drawn before for these rows; another attempt, other draws.
        subject: who is drawn for, where one row speaks of several; another subject, other draws.
    """

    seed: int
    rows: UInt64s
    attempt: int = 0
    subject: str = ""

    def __len__(self) -> int:
        return len(self.rows)

    def bits(self, stream: str) -> UInt64s:
        """64 independent random bits per row."""
        key = np.uint64(_word(f"{self._start}/{stream}/{self.attempt}"))
        with np.errstate(over="ignore"):
            mixed = (self.rows + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15) + key
            mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            return np.asarray(mixed ^ (mixed >> np.uint64(31)), dtype=np.uint64)

    def below(self, stream: str, high: int) -> Int64s:
        """Integers in [0, high)."""
        return (self.bits(stream) % np.uint64(high)).astype(np.int64)

    def uniform(self, stream: str) -> npt.NDArray[np.float64]:
        """Floats in [0, 1)."""
        return np.asarray((self.bits(stream) >> np.uint64(11)) * 2.0**-53, dtype=np.float64)

    def serial(self, stream: str) -> Int64s:
        """Integers in [0, 2**32), different for every row and attempt of a run.

        Keyed bijection: an affine map followed by MurmurHash3's 32-bit finaliser (Appleby), whose steps are
        invertible.
        """
        mask = np.uint64(2**SERIAL_BITS - 1)
        word = _word(f"{self._start}/serial/{stream}")
        odd, offset = np.uint64((word & 0x7FFFFFFF) | 1), np.uint64(word >> 32)
        counter = self.rows + np.uint64(self.attempt * MAX_ROWS)
        with np.errstate(over="ignore"):
            mixed = (counter * odd + offset) & mask
            for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
                mixed = ((mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)) & mask
            return np.asarray(mixed ^ (mixed >> np.uint64(16)), dtype=np.int64)

    def where(self, chosen: npt.NDArray[np.bool_]) -> Draws:
        """The draws of some of the rows."""
        return replace(self, rows=self.rows[chosen])

    @property
    def _start(self) -> str:
        return f"{self.seed}/{self.subject}" if self.subject else str(self.seed)


def _word(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
