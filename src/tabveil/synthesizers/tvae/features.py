"""What the network sees of a number besides its token: its place among the ranks, and its value."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tabveil.synthesizers.tvae.numeric import NumericCodec

NUM_FEATURES = 6
MAX_VALUE = 4.0  # standard deviations from the middle


class NumberFeatures(nn.Module):
    """Six features per number: its place, sine and cosine of one and two turns, and its standardised value.

    Args:
        codecs: the numerical columns in generation order.
    """

    tokens: Tensor
    knots: Tensor
    last_knot: Tensor
    first_knot: Tensor

    def __init__(self, codecs: list[NumericCodec]) -> None:
        super().__init__()
        num_knots = max([2, *(len(codec.knots) for codec in codecs)])
        knots = [_padded(_standardised(codec, codec.knots), num_knots) for codec in codecs]
        facts = [  # of every token
            _joined([codec.low for codec in codecs]),
            _joined([np.maximum(codec.high - codec.low, 1e-12) for codec in codecs]),
            _joined([_standardised(codec, np.nan_to_num(codec.spike_values)) for codec in codecs]),
            _joined([codec.bin_index / max(codec.num_bins, 1) for codec in codecs]),
            _joined([np.full(codec.num_tokens, 1 / max(codec.num_bins, 1)) for codec in codecs]),
            _joined([codec.bin_index >= 0 for codec in codecs]),
        ]
        tables = {
            "tokens": np.stack(facts, axis=1),
            "knots": np.array(knots, dtype=np.float32).reshape(len(codecs), num_knots),
            "last_knot": np.array([max(len(codec.knots) - 1, 1) for codec in codecs], dtype=np.float32),
            "first_knot": np.arange(len(codecs)) * num_knots,
        }
        for name, values in tables.items():
            self.register_buffer(name, torch.from_numpy(values), persistent=False)

    def forward(self, flat: Tensor, present: Tensor, places: Tensor, first: int = 0) -> Tensor:
        """Features of `count` neighbouring numerical columns.

        Args:
            flat: their flat tokens, int64 (num_rows, count). present: whether the value is not missing, alike.
            places: (num_rows, count). first: number of the first of these columns among the numerical ones.

        Returns:
            float32 (num_rows, count * NUM_FEATURES), zeros where missing.
        """
        columns, knots, places = slice(first, first + flat.shape[1]), self.knots.flatten(), places.float()
        low, width, exact, rank, rank_width, is_bin = self.tokens[flat].unbind(2)
        within = ((places - low) / width).clamp(0, 1)
        last = self.last_knot[columns]
        position = (rank + within * rank_width).clamp(0, 1) * last
        lower = torch.minimum(position.floor(), last - 1)
        at = lower.long() + self.first_knot[columns]
        value = torch.where(is_bin > 0, torch.lerp(knots[at], knots[at + 1], position - lower), exact)
        turn = 2 * math.pi * places
        parts = (2 * places - 1, turn.sin(), turn.cos(), (2 * turn).sin(), (2 * turn).cos(), value)
        return (torch.stack(parts, dim=2) * present[:, :, None]).flatten(1)


def _standardised(codec: NumericCodec, values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.clip((values - codec.center) / codec.scale, -MAX_VALUE, MAX_VALUE)


def _padded(values: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    return np.pad(values, (0, length - len(values)))


def _joined(parts: list[NDArray[Any]]) -> NDArray[np.float32]:
    return np.concatenate([np.empty(0), *parts]).astype(np.float32)
