"""Size, digits and letters of every text, counted in one pass over its bytes: what a pattern needs before any regex."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Hits = npt.NDArray[np.bool_]
Counts = npt.NDArray[np.int64]
MOST = 1 << 40
_BLANK = 32
_BYTES = np.arange(256)
_DIGIT, _DOT, _PRINTABLE = (np.isin(_BYTES, np.arange(first, last + 1)) for first, last in (b"09", b"..", b" ~"))
_LETTER = np.isin(_BYTES | 32, np.arange(ord("a"), ord("z") + 1)) | (_BYTES > 127)
_ODD = ~_PRINTABLE


@dataclass(frozen=True)
class Bounds:
    """Least and most bytes, ASCII digits and letters (bytes beyond ASCII are letters) of a text."""

    size: tuple[int, int] = (0, MOST)
    digits: tuple[int, int] = (0, MOST)
    letters: tuple[int, int] = (0, MOST)


ANY_SHAPE = Bounds()


@dataclass(frozen=True)
class Shapes:
    """Counts per text, arrays of shape (num_texts,); `characters` are the printable ASCII ones that occur at all."""

    size: Counts
    digits: Counts
    letters: Counts
    characters: frozenset[str]
    odd: Hits  # a character beyond printable ASCII, or a blank at an end
    dotted_zero: Hits  # may end like a whole number written as a decimal

    @classmethod
    def of(cls, texts: pa.Array) -> Shapes:
        """Shapes of a `large_string` array without nulls."""
        _, offsets, data = texts.buffers()
        ends = np.frombuffer(offsets, dtype=np.int64)[texts.offset : texts.offset + len(texts) + 1]
        content = np.frombuffer(data if data is not None else b"", dtype=np.uint8)[: ends[-1] if len(ends) else 0]
        counts = np.bincount(content, minlength=256)
        size = np.diff(ends)
        first, last = (_byte_at(content, places, size) for places in (ends[:-1], ends[1:] - 1))
        count = partial(_count, content, ends, counts)
        return cls(
            size=size,
            digits=count(_DIGIT),
            letters=count(_LETTER),
            characters=frozenset(chr(code) for code in range(32, 127) if counts[code]),
            odd=(count(_ODD) > 0) | (first == _BLANK) | (last == _BLANK),
            dotted_zero=(last == ord("0")) & (count(_DOT) == 1),
        )

    def within(self, bounds: Bounds) -> Hits:
        """Which texts are inside the bounds."""
        hits = np.ones(len(self.size), dtype=bool)
        for counts, (least, most) in (
            (self.size, bounds.size), (self.digits, bounds.digits), (self.letters, bounds.letters),
        ):  # fmt: skip
            if least > 0:
                hits &= counts >= least
            if most < MOST:
                hits &= counts <= most
        return hits


def _byte_at(content: npt.NDArray[np.uint8], places: Counts, size: Counts) -> Counts:
    """The byte at each place, 0 where the text is empty."""
    if not len(content):
        return np.zeros(len(places), dtype=np.int64)
    return np.where(size > 0, content[np.clip(places, 0, len(content) - 1)], 0).astype(np.int64)


def _count(content: npt.NDArray[np.uint8], ends: Counts, counts: Counts, chosen: Hits) -> Counts:
    """Bytes per text that are among the `chosen` of 256; no pass over the content where none occurs."""
    if not counts[chosen].any():
        return np.zeros(len(ends) - 1, dtype=np.int64)
    dtype = np.int32 if ends[-1] < np.iinfo(np.int32).max else np.int64
    running = np.zeros(len(content) + 1, dtype=dtype)
    np.cumsum(chosen[content], dtype=dtype, out=running[1:])
    return np.diff(running[ends]).astype(np.int64)
