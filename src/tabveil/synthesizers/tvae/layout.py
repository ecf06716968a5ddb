"""Where each column's tokens and numbers live in the flat tensors.

Flat tokens are ordered by column, the numerical columns first. A number's tokens tile [0, 1] (see `numeric`), so the
position of its missing token holds the lower edge of the first slice, and every other position the upper edge of its
own: one array of edges serves all slices.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tabveil.synthesizers.tvae.numeric import NumericCodec
from tabveil.synthesizers.tvae.tokenizer import Tokenizer

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Layout:
    """Shapes of the flat tensors of one table.

    Attributes:
        sizes: tokens per column. offsets: first flat token per column. Both in generation order.
        numeric: positions of the numerical columns.
        low, high: slice of each number token, float32 (num_number_tokens,); of a missing one [0.5, 0.5].
        edges: see the module's docstring. is_bin, is_missing: kind of each number token.
    """

    sizes: tuple[int, ...]
    offsets: tuple[int, ...]
    numeric: tuple[int, ...]
    low: Floats
    high: Floats
    edges: Floats
    is_bin: Flags
    is_missing: Flags

    @property
    def num_columns(self) -> int:
        """Modelled columns."""
        return len(self.sizes)

    @property
    def num_tokens(self) -> int:
        """Tokens of all columns."""
        return sum(self.sizes)

    @property
    def num_number_tokens(self) -> int:
        """Tokens of the numerical columns: the first ones."""
        return len(self.low)

    @property
    def flat_order(self) -> tuple[int, ...]:
        """Columns in the order of their flat tokens."""
        return tuple(sorted(range(self.num_columns), key=lambda column: self.offsets[column]))

    def span(self, column: int) -> slice:
        """Flat tokens of a column."""
        return slice(self.offsets[column], self.offsets[column] + self.sizes[column])

    def token_owners(self) -> NDArray[np.int64]:
        """Column of each flat token, (num_tokens,)."""
        order = self.flat_order
        return np.repeat(np.array(order, dtype=np.int64), [self.sizes[column] for column in order])


def layout_of(tokenizer: Tokenizer) -> Layout:
    """Flat layout of a fitted tokenizer."""
    numeric = tokenizer.numeric
    others = [i for i in range(len(tokenizer.codecs)) if i not in set(numeric)]
    offsets, used = [0] * len(tokenizer.codecs), 0
    for column in (*numeric, *others):
        offsets[column] = used
        used += tokenizer.codecs[column].num_tokens
    codecs = [codec for codec in tokenizer.codecs if isinstance(codec, NumericCodec)]
    return Layout(
        sizes=tuple(codec.num_tokens for codec in tokenizer.codecs),
        offsets=tuple(offsets),
        numeric=tuple(numeric),
        low=_joined([codec.low for codec in codecs]),
        high=_joined([codec.high for codec in codecs]),
        edges=_joined([np.concatenate([[0.0], codec.high[1:]]) for codec in codecs]),
        is_bin=_joined([codec.bin_index >= 0 for codec in codecs]) > 0,
        is_missing=_joined([np.arange(codec.num_tokens) == 0 for codec in codecs]) > 0,
    )


def _joined(parts: list[NDArray[np.float64]] | list[NDArray[np.bool_]]) -> Floats:
    return np.concatenate([np.empty(0), *parts]).astype(np.float32)
