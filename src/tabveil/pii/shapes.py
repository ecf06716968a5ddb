"""Size, digits and letters of every text, counted in one pass over its bytes: what a pattern needs before any regex."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Hits = npt.NDArray[np.bool_]
Counts = npt.NDArray[np.int64]
MOST = 1 << 40
_BLANK = 32


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
        counts = np.bincount(content, minlength=128)
        size = np.diff(ends)
        first, last = (_byte_at(content, places, size) for places in (ends[:-1], ends[1:] - 1))
        return cls(
            size=size,
            digits=_per_text(content - np.uint8(48) < 10, ends),
            letters=_per_text(((content | np.uint8(32)) - np.uint8(97) < 26) | (content > 127), ends),
            characters=frozenset(chr(code) for code in range(32, 127) if counts[code]),
            odd=(_per_text((content < 0x20) | (content > 0x7E), ends) > 0) | (first == _BLANK) | (last == _BLANK),
            dotted_zero=(last == ord("0")) & (_per_text(content == ord("."), ends) == 1),
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


def _per_text(marked: Hits, ends: Counts) -> Counts:
    running = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(marked, dtype=np.int64)])
    return np.asarray(running[ends[1:]] - running[ends[:-1]])
