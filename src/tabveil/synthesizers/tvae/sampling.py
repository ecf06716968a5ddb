"""Rows from the decoder, column by column, each hidden unit computed once."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from tabveil.synthesizers.tvae.network import (
    EMBEDDING_DIM,
    LAYERS,
    Decoder,
    MaskedLinear,
    TVAENetwork,
    kernel_parameters,
    log_mass,
)
from tabveil.synthesizers.tvae.numeric import NUM_FEATURES, NumericCodec
from tabveil.synthesizers.tvae.tokenizer import MISSING, Tokenizer

BATCH_ROWS = 8192  # rows drawn at once: bounds memory
Kernel = tuple[Tensor, Tensor]  # middle and sharpness, each (num_rows, 1)


@torch.inference_mode()
def draw(
    network: TVAENetwork, tokenizer: Tokenizer, num_rows: int, latent_dim: int, generator: torch.Generator
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Tokens int64 (num_rows, num_columns) and places float64 (num_rows, num_numeric) of rows from z ~ N(0, I)."""
    parts = [
        Batch(network, tokenizer, min(BATCH_ROWS, num_rows - start), latent_dim, generator).run()
        for start in range(0, num_rows, BATCH_ROWS)
    ]
    return np.concatenate([tokens for tokens, _ in parts]), np.concatenate([places for _, places in parts])


class Batch:
    """Incremental pass: before column i, the units of degree i are computed from what is already chosen."""

    def __init__(
        self, network: TVAENetwork, tokenizer: Tokenizer, num_rows: int, latent_dim: int, generator: torch.Generator
    ) -> None:
        self.network, self.decoder, self.layout = network, network.decoder, network.layout
        self.tokenizer, self.generator, self.num_rows = tokenizer, generator, num_rows
        self.z = torch.randn(num_rows, latent_dim, generator=generator)
        self.weights = _Weights(self.decoder)
        num_inputs = len(self.decoder.input_owner)
        self.inputs = torch.zeros(num_rows, num_inputs)
        width = len(self.decoder.degrees)
        self.states = [torch.zeros(num_rows, width) for _ in range(LAYERS)]
        self.tokens = np.zeros((num_rows, self.layout.num_columns), dtype=np.int64)
        self.places = np.full((num_rows, len(self.layout.numeric)), 0.5)

    def run(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Choose every column in turn."""
        for column in range(self.layout.num_columns):
            self._compute_units(column)
            self._choose(column)
        return self.tokens, self.places

    def _compute_units(self, degree: int) -> None:
        rows = torch.nonzero(self.decoder.degrees == degree).flatten()
        if not len(rows):
            return
        span, known = slice(int(rows[0]), int(rows[-1]) + 1), self._known(degree)
        inputs = self.inputs[:, known]
        for layer in range(LAYERS):
            latent = self.weights.latents[layer]
            step = F.linear(inputs, self.weights.inputs[layer][span][:, known])
            step += F.linear(self.z, latent.weight[span], latent.bias[span])
            if layer:
                below = self.states[layer - 1][:, : span.stop]
                step += F.linear(below, self.weights.hidden[layer - 1][span, : span.stop])
                self.states[layer][:, span] = self.states[layer - 1][:, span] + F.silu(step)
            else:
                self.states[layer][:, span] = F.silu(step)

    def _known(self, column: int) -> Tensor:
        return torch.nonzero(self.decoder.input_owner < column).flatten()

    def _heads(self, rows: slice | list[int], column: int) -> Tensor:
        units = int((self.decoder.degrees <= column).sum())
        latent = self.decoder.head_latent
        out = F.linear(self.states[-1][:, :units], self.weights.heads[rows, :units])
        return out + F.linear(self.z, latent.weight[rows], latent.bias[rows])

    def _choose(self, column: int) -> None:
        """Draw the column's tokens and make them inputs of the later ones."""
        logits, kernel = self._logits(column)
        self._record(column, self._draw(column, logits), kernel)

    def _logits(self, column: int) -> tuple[Tensor, Kernel | None]:
        """Of every token, (num_rows, num_tokens), and the kernel of a number."""
        layout = self.layout
        span = slice(layout.offsets[column], layout.offsets[column] + layout.sizes[column])
        logits, kernel = self._heads(span, column), None
        if isinstance(self.tokenizer.codecs[column], NumericCodec):
            kernel = self._kernel(column)
            low, high = (layout.low[span] - kernel[0]) * kernel[1], (layout.high[span] - kernel[0]) * kernel[1]
            logits[:, 1:] += log_mass(low[:, 1:], high[:, 1:])
        return logits, kernel

    def _draw(self, column: int, logits: Tensor, *, complete: bool = False) -> Tensor:
        """Tokens by their probability (Gumbel-max, in its exponential form), int64 (num_rows,).

        Args:
            complete: missing values are not drawn, if the column has any other.
        """
        emitted = self.tokenizer.codecs[column].emitted
        if complete and emitted[1:].any():
            emitted[MISSING] = False
        noise = torch.empty_like(logits).exponential_(generator=self.generator).log_()
        return logits.masked_fill(torch.from_numpy(~emitted), -torch.inf).sub_(noise).argmax(1)

    def _record(self, column: int, chosen: Tensor, kernel: Kernel | None) -> None:
        codec = self.tokenizer.codecs[column]
        self.tokens[:, column] = chosen.numpy()
        at = column * EMBEDDING_DIM
        self.inputs[:, at : at + EMBEDDING_DIM] = self.decoder.tokens.weight[chosen + self.layout.offsets[column]]
        if isinstance(codec, NumericCodec) and kernel is not None:
            self._place(column, codec, chosen, kernel)

    def _kernel(self, column: int) -> Kernel:
        """Middle and sharpness, each (num_rows, 1)."""
        first = self.layout.num_tokens + self.layout.numeric.index(column)
        raw = self._heads([first, first + len(self.layout.numeric)], column)
        return kernel_parameters(raw[:, :1], raw[:, 1:])

    def _place(self, column: int, codec: NumericCodec, chosen: Tensor, kernel: Kernel) -> None:
        """Position inside the token's slice, from the kernel cut to it; the middle for spikes and missing values."""
        row = self.layout.numeric.index(column)
        low, high = torch.from_numpy(codec.low)[chosen], torch.from_numpy(codec.high)[chosen]
        uniform = torch.rand(len(chosen), generator=self.generator, dtype=torch.float64)
        middle, sharpness = (part[:, 0].double() for part in kernel)
        inside = truncated_logistic(low, high, middle, sharpness, uniform)
        is_bin = torch.from_numpy(codec.bin_index >= 0)[chosen]
        self.places[:, row] = self._places_of(column, torch.where(is_bin, inside, (low + high) / 2)).numpy()
        at = self.layout.num_columns * EMBEDDING_DIM + row * NUM_FEATURES
        features = codec.features(self.tokens[:, column], self.places[:, row])
        self.inputs[:, at : at + NUM_FEATURES] = torch.from_numpy(features)

    def _places_of(self, column: int, inside: Tensor) -> Tensor:
        """The places of the column, from those that were drawn."""
        return inside


class _Weights:
    """The masked weights, multiplied once, and the latent layers."""

    def __init__(self, decoder: Decoder) -> None:
        self.inputs = [cast(MaskedLinear, layer).masked() for layer in decoder.inputs]
        self.hidden = [cast(MaskedLinear, layer).masked() for layer in decoder.hidden]
        self.latents = [cast(nn.Linear, layer) for layer in decoder.latents]
        self.heads = decoder.heads.masked()


def log_density_in_slice(codec: NumericCodec, tokens: Tensor, places: Tensor, kernel: Kernel) -> Tensor:
    """Log density of places inside their bins, relative to an even spread over the bin, (num_rows,); 0 elsewhere."""
    low, high = (torch.from_numpy(edge)[tokens].float() for edge in (codec.low, codec.high))
    middle, sharpness = kernel[0][:, 0], kernel[1][:, 0]
    x = (places.float() - middle) * sharpness
    density = torch.log(sharpness) + x - 2 * F.softplus(x) + torch.log((high - low).clamp(min=1e-6))
    mass = log_mass((low - middle) * sharpness, (high - middle) * sharpness)
    return torch.where(torch.from_numpy(codec.bin_index >= 0)[tokens], density - mass, 0.0)


def truncated_logistic(low: Tensor, high: Tensor, middle: Tensor, sharpness: Tensor, uniform: Tensor) -> Tensor:
    """A draw from a logistic kernel restricted to [low, high], from a uniform number; all float64 (num_rows,).

    A slice right of the middle is mirrored to the left, where the sigmoid keeps its precision.
    """
    mirrored = (low + high) / 2 > middle
    left = torch.where(mirrored, middle - high, low - middle) * sharpness
    right = torch.where(mirrored, middle - low, high - middle) * sharpness
    below = torch.sigmoid(left)
    share = (below + uniform * (torch.sigmoid(right) - below)).clamp(1e-300, 1 - 1e-15)
    x = torch.minimum(torch.maximum(torch.log(share) - torch.log1p(-share), left), right) / sharpness
    return torch.where(mirrored, middle - x, middle + x)
