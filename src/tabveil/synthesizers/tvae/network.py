"""The variational autoencoder: encoder q(z|x), masked decoder p(x|z) = prod_i p(x_i | z, x_<i), and its likelihood.

The decoder is a MADE (Germain et al. 2015) with z in every layer. Hidden units carry a degree: a unit of degree d sees
columns 0..d-1 and feeds columns d and later, so one forward pass trains all conditionals and an incremental pass
samples them.

Every column has a softmax over its tokens. The logit of a number's token is a free part plus the log mass that a
logistic kernel puts on the token's slice of [0, 1] (see `kernel`). The free part draws the marginal with its spikes,
the kernel lets neighbouring tokens share strength, and its density inside a bin places the value there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from tabveil.config import TVAEConfig
from tabveil.synthesizers.tvae.features import NUM_FEATURES, NumberFeatures
from tabveil.synthesizers.tvae.kernel import (
    MIN_WIDTH,
    Columns,
    Slices,
    kernel_cross_entropy,
    kernel_parameters,
    log_density_in_slice,
)
from tabveil.synthesizers.tvae.layout import Layout, layout_of
from tabveil.synthesizers.tvae.numeric import NumericCodec
from tabveil.synthesizers.tvae.tokenizer import Tokenizer

LAYERS = 2
ENCODER_LAYERS = 2
BYTE = 256


class Noise(NamedTuple):
    """What is random in the likelihood of rows.

    Attributes:
        latent: standard normal, (num_rows, latent_dim).
        dropout: uint8 (num_rows, num_units), the encoder's units before the decoder's; a hidden unit is dropped where
            it is less than `dropped`. None: no unit is.
        dropped: the share of the hidden units to drop, in 1/256.
    """

    latent: Tensor
    dropout: Tensor | None = None
    dropped: int = 0

    def rows(self, part: slice) -> Noise:
        """That of some rows."""
        return Noise(self.latent[part], None if self.dropout is None else self.dropout[part], self.dropped)

    @property
    def kept(self) -> Tensor | None:
        """By what hidden units are multiplied, float32 (num_rows, num_units): 0, or 1 over the share that is kept."""
        if self.dropout is None:
            return None
        return self.dropout.float().ge_(self.dropped).mul_(BYTE / (BYTE - self.dropped))


def draw_noise(num_rows: int, latent_dim: int, num_units: int, dropout: float, device: torch.device) -> Noise:
    """Noise of a training step, from torch's global generator.

    Args:
        dropout: the share of the hidden units to drop; a multiple of 1/256 is taken, so that one 64-bit random number
            decides for eight of them.
    """
    latent, dropped = torch.randn(num_rows, latent_dim, device=device), round(dropout * BYTE)
    if not dropped:
        return Noise(latent)
    count = num_rows * num_units
    words = torch.randint(-(2**63), 2**63 - 1, (count // 8 + 1,), device=device)
    return Noise(latent, words.view(torch.uint8)[:count].view(num_rows, num_units), dropped)


def _thinned(units: Tensor, kept: Tensor | None, layer: int) -> Tensor:
    """Units of a layer after dropout; the layers are of equal width."""
    if kept is None:
        return units
    width = units.shape[1]
    return units * kept[:, layer * width : (layer + 1) * width]


class Encoder(nn.Module):
    """q(z|x): a residual network on the summed token embeddings; returns mean and log variance, (batch, latent_dim)."""

    def __init__(self, layout: Layout, config: TVAEConfig) -> None:
        super().__init__()
        width = config.encoder_dim
        self.tokens = nn.EmbeddingBag(layout.num_tokens, width, mode="sum")
        count = len(layout.numeric) * NUM_FEATURES
        self.features = nn.Linear(count, width) if count else None
        self.hidden = nn.Linear(width, width)
        self.out = nn.Linear(width, 2 * config.latent_dim)
        nn.init.normal_(self.tokens.weight, std=layout.num_columns**-0.5)
        nn.init.normal_(self.out.weight, std=0.01)

    def forward(self, flat: Tensor, features: Tensor, kept: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Mean and log variance.

        Args:
            flat: int64 (batch, num_columns), flat tokens. features: (batch, num_numeric * NUM_FEATURES).
            kept: factors of the hidden units, (batch, ENCODER_LAYERS * width), or None.
        """
        h = self.tokens(flat)
        h = F.silu(h if self.features is None else h + self.features(features))
        h = _thinned(h, kept, 0)
        h = h + _thinned(F.silu(self.hidden(h)), kept, 1)
        mean, log_variance = self.out(h).chunk(2, dim=1)
        return mean, log_variance.clamp(-8, 8)


class MaskedLinear(nn.Module):
    """A linear map whose weight is zero where a fixed 0/1 mask of shape (out, in) is.

    It stays so if every gradient is masked before the weight moves.
    """

    mask: Tensor

    def __init__(self, mask: Tensor) -> None:
        super().__init__()
        fan_in = mask.sum(1, keepdim=True).clamp(min=1)
        self.weight = nn.Parameter(torch.randn(mask.shape) * mask * fan_in**-0.5)
        self.register_buffer("mask", mask, persistent=False)

    def mask_gradient(self) -> None:
        """Set the weight's gradient, which it must have, to zero where the mask is."""
        cast(Tensor, self.weight.grad).mul_(self.mask)

    @property
    def is_masked(self) -> bool:
        """Whether the weight is zero where the mask is."""
        return not bool(self.weight[self.mask == 0].any())

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in) -> (batch, out)."""
        return F.linear(x, self.weight)


class Decoder(nn.Module):
    """p(x|z) with masks; see the module's docstring. Heads: tokens, then middles, then sharpnesses of the kernels."""

    def __init__(self, layout: Layout, config: TVAEConfig) -> None:
        super().__init__()
        self.layout = layout
        self.degrees = unit_degrees(layout.num_columns, config.decoder_dim)
        self.input_owner = input_owner(layout, config.embedding_dim)
        self.head_owner = head_owner(layout)
        self.tokens = nn.Embedding(layout.num_tokens, config.embedding_dim)
        see = self.degrees[:, None] > self.input_owner[None, :]
        deeper = self.degrees[:, None] >= self.degrees[None, :]
        self.inputs = nn.ModuleList(MaskedLinear(see.float()) for _ in range(LAYERS))
        self.hidden = nn.ModuleList(MaskedLinear(deeper.float()) for _ in range(LAYERS - 1))
        self.latents = nn.ModuleList(nn.Linear(config.latent_dim, len(self.degrees)) for _ in range(LAYERS))
        self.heads = MaskedLinear((self.head_owner[:, None] >= self.degrees[None, :]).float())
        self.head_latent = nn.Linear(config.latent_dim, len(self.head_owner))
        with torch.no_grad():
            self.heads.weight.mul_(0.1)
            self.head_latent.weight.mul_(0.1)
            self.head_latent.bias.zero_()

    @property
    def masked_layers(self) -> list[MaskedLinear]:
        """The autoregressive matrices."""
        return [cast(MaskedLinear, layer) for layer in (*self.inputs, *self.hidden, self.heads)]

    def inputs_of(self, flat: Tensor, features: Tensor) -> Tensor:
        """(batch, num_columns * embedding_dim + num_numeric * NUM_FEATURES)."""
        return torch.cat([self.tokens(flat).flatten(1), features], dim=1)

    def forward(self, flat: Tensor, features: Tensor, z: Tensor, kept: Tensor | None = None) -> Tensor:
        """All heads, (batch, num_tokens + 2 * num_numeric).

        Args:
            kept: factors of the hidden units, (batch, LAYERS * width), or None.
        """
        x = self.inputs_of(flat, features)
        h = _thinned(F.silu(self.inputs[0](x) + self.latents[0](z)), kept, 0)
        for layer in range(1, LAYERS):
            step = self.hidden[layer - 1](h) + self.inputs[layer](x) + self.latents[layer](z)
            h = h + _thinned(F.silu(step), kept, layer)
        out: Tensor = self.heads(h) + self.head_latent(z)
        return out


def unit_degrees(num_columns: int, width: int) -> Tensor:
    """Degrees of the hidden units, ascending, int64 (width,): column d is fed by units of degree 0..d."""
    return (torch.arange(width) * num_columns) // width


def input_owner(layout: Layout, embedding_dim: int) -> Tensor:
    """Column each decoder input belongs to."""
    columns = torch.arange(layout.num_columns).repeat_interleave(embedding_dim)
    numbers = torch.tensor(layout.numeric, dtype=torch.int64).repeat_interleave(NUM_FEATURES)
    return torch.cat([columns, numbers])


def head_owner(layout: Layout) -> Tensor:
    """Column each head belongs to."""
    numbers = torch.tensor(layout.numeric, dtype=torch.int64)
    return torch.cat([torch.from_numpy(layout.token_owners()), numbers, numbers])


class TVAENetwork(nn.Module):
    """Encoder and decoder with their likelihood."""

    offsets: Tensor
    numeric: Tensor
    flat_owner: Tensor
    flat_order: Tensor
    place_in_flat: Tensor
    low: Tensor
    high: Tensor
    is_bin: Tensor

    def __init__(self, tokenizer: Tokenizer, config: TVAEConfig) -> None:
        super().__init__()
        self.layout = layout = layout_of(tokenizer)
        self.features = NumberFeatures([c for c in tokenizer.codecs if isinstance(c, NumericCodec)])
        self.encoder = Encoder(layout, config)
        self.decoder = Decoder(layout, config)
        order = np.array(layout.flat_order)
        buffers = {
            "offsets": np.array(layout.offsets),
            "numeric": np.array(layout.numeric, dtype=np.int64),
            "flat_owner": np.argsort(order)[layout.token_owners()],
            "flat_order": order,
            "place_in_flat": np.argsort(order),
            "low": layout.low,
            "high": layout.high,
            "is_bin": layout.is_bin,
            "edges": layout.edges,
            "width": np.where(layout.is_missing, 1.0, np.maximum(layout.high - layout.low, MIN_WIDTH)).astype("f4"),
            "real": (~layout.is_missing).astype("f4"),
            "row": np.maximum(np.cumsum(layout.is_missing) - 1, 0),
        }
        for name, values in buffers.items():
            self.register_buffer(name, torch.from_numpy(values), persistent=False)
        rows = F.one_hot(self.get_buffer("row"), max(len(layout.numeric), 1)).float()
        self.register_buffer("rows", rows, persistent=False)
        self.flat_sizes = tuple(layout.sizes[column] for column in layout.flat_order)

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return self.offsets.device

    def noise(self, num_rows: int, dropout: float) -> Noise:
        """See `draw_noise`."""
        latent_dim = self.decoder.head_latent.in_features
        return draw_noise(num_rows, latent_dim, sum(self._num_units), dropout, self.device)

    @property
    def _num_units(self) -> tuple[int, int]:
        """Hidden units of the encoder and of the decoder."""
        return ENCODER_LAYERS * self.encoder.hidden.in_features, LAYERS * len(self.decoder.degrees)

    @torch.no_grad()
    def start_at(self, log_shares: Sequence[NDArray[np.float32]]) -> None:
        """Let the free logits of each column begin at these, (num_tokens,) each; see `tokenizer.log_shares`."""
        for column, shares in enumerate(log_shares):
            self.decoder.head_latent.bias[self.layout.span(column)] = torch.from_numpy(shares)

    @property
    def slices(self) -> Slices:
        """The number tokens, on the network's device."""
        return Slices(*(self.get_buffer(name) for name in Slices._fields))

    def column_loss(self, heads: Tensor, tokens: Tensor, places: Tensor) -> Tensor:
        """Negative log likelihood of each cell in nats, (batch, num_columns); numbers as a density over their slice."""
        layout, flat = self.layout, tokens + self.offsets
        free, *raw = torch.split(heads, [layout.num_tokens, len(layout.numeric), len(layout.numeric)], dim=1)
        kernel, columns = kernel_parameters(*raw), Columns(self.flat_sizes, self.flat_owner)
        loss = kernel_cross_entropy(free, kernel, flat.index_select(1, self.flat_order), self.slices, columns)
        loss = loss.index_select(1, self.place_in_flat)
        if not layout.numeric:
            return loss
        inside = log_density_in_slice(self.low, self.high, flat[:, self.numeric], places, kernel)
        return loss.index_add(1, self.numeric, -torch.where(self.is_bin[flat[:, self.numeric]], inside, 0.0))

    def inputs(self, tokens: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """Flat tokens, int64 (batch, num_columns), and features of the numbers."""
        flat, present = tokens + self.offsets, tokens[:, self.numeric] > 0
        return flat, self.features(flat[:, self.numeric], present, places)

    def elbo(self, tokens: Tensor, places: Tensor, noise: Noise) -> tuple[Tensor, Tensor]:
        """Reconstruction loss per cell (batch, num_columns) and KL to N(0, I) per row (batch,), in nats.

        Args:
            tokens: int64 (batch, num_columns). places: (batch, num_numeric).
        """
        flat, features = self.inputs(tokens, places)
        kept = noise.kept
        of_encoder, of_decoder = (None, None) if kept is None else torch.split(kept, list(self._num_units), dim=1)
        mean, log_variance = self.encoder(flat, features, of_encoder)
        z = mean + noise.latent * torch.exp(0.5 * log_variance)
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)
        return self.column_loss(self.decoder(flat, features, z, of_decoder), tokens, places), divergence
