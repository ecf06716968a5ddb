"""The variational autoencoder: encoder q(z|x), masked decoder p(x|z) = prod_i p(x_i | z, x_<i), and its likelihood.

The decoder is a MADE (Germain et al. 2015) with z in every layer. Hidden units carry a degree: a unit of degree d sees
columns 0..d-1 and feeds columns d and later, so one forward pass trains all conditionals and an incremental pass
samples them.

Every column has a softmax over its tokens. The logit of a number's token is a free part plus the log mass that a
logistic kernel puts on the token's slice of [0, 1]; the kernel's middle and sharpness are outputs too. The free part
draws the marginal with its spikes, the kernel lets neighbouring tokens share strength, and the kernel's density inside
a bin places the value there. (Cumulative logits: McCullagh 1980; discretised logistics: Salimans et al. 2017.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from tabveil.config import TVAEConfig
from tabveil.synthesizers.tvae.numeric import NUM_FEATURES, NumericCodec
from tabveil.synthesizers.tvae.tokenizer import Tokenizer

EMBEDDING_DIM = 16
LAYERS = 2
MIN_SHARPNESS, MAX_SHARPNESS = 0.05, 400.0  # kernel widths below 1/400 of the column's ranks are noise
START_LOG_SHARPNESS, SHARPNESS_GAIN = 0.7, 2.0
MIDDLE_REACH = 0.75


@dataclass(frozen=True)
class Layout:
    """Where each column's tokens and numbers live in the flat tensors.

    Attributes:
        sizes: tokens per column. offsets: first flat token per column. numeric: positions of numerical columns.
        number_tokens: flat index of every numeric token except the missing ones, (num_number_tokens,).
        number_owner: row of `numeric` each of them belongs to. low, high: their slices.
        is_bin: whether a flat token is a quantile bin, (num_tokens,).
    """

    sizes: tuple[int, ...]
    offsets: tuple[int, ...]
    numeric: tuple[int, ...]
    number_tokens: Tensor
    number_owner: Tensor
    low: Tensor
    high: Tensor
    is_bin: Tensor

    @property
    def num_columns(self) -> int:
        """Modelled columns."""
        return len(self.sizes)

    @property
    def num_tokens(self) -> int:
        """Tokens of all columns."""
        return self.offsets[-1] + self.sizes[-1]


def layout_of(tokenizer: Tokenizer) -> Layout:
    """Flat layout of a fitted tokenizer."""
    sizes = tuple(codec.num_tokens for codec in tokenizer.codecs)
    offsets = tuple(int(o) for o in np.cumsum((0, *sizes[:-1])))
    low, high = np.zeros(sum(sizes)), np.zeros(sum(sizes))
    owner, is_bin = np.full(sum(sizes), -1), np.zeros(sum(sizes), dtype=bool)
    for row, column in enumerate(tokenizer.numeric):
        codec, span = tokenizer.codecs[column], slice(offsets[column], offsets[column] + sizes[column])
        assert isinstance(codec, NumericCodec)  # noqa: S101
        low[span], high[span], is_bin[span] = codec.low, codec.high, codec.bin_index >= 0
        owner[offsets[column] + 1 : offsets[column] + sizes[column]] = row
    number_tokens = np.flatnonzero(owner >= 0)
    return Layout(
        sizes,
        offsets,
        tuple(tokenizer.numeric),
        torch.from_numpy(number_tokens),
        torch.from_numpy(owner[number_tokens]),
        torch.from_numpy(low).float(),
        torch.from_numpy(high).float(),
        torch.from_numpy(is_bin),
    )


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
        self.dropout = config.dropout
        nn.init.normal_(self.tokens.weight, std=layout.num_columns**-0.5)
        nn.init.normal_(self.out.weight, std=0.01)

    def forward(self, flat: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """Args: flat int64 (batch, num_columns) of flat tokens; features (batch, num_numeric * NUM_FEATURES)."""
        h = self.tokens(flat)
        h = F.silu(h if self.features is None else h + self.features(features))
        h = F.dropout(h, self.dropout, self.training)
        h = h + F.dropout(F.silu(self.hidden(h)), self.dropout, self.training)
        mean, log_variance = self.out(h).chunk(2, dim=1)
        return mean, log_variance.clamp(-8, 8)


class MaskedLinear(nn.Module):
    """A linear map whose weight is multiplied by a fixed 0/1 mask of shape (out, in)."""

    mask: Tensor

    def __init__(self, mask: Tensor) -> None:
        super().__init__()
        fan_in = mask.sum(1, keepdim=True).clamp(min=1)
        self.weight = nn.Parameter(torch.randn(mask.shape) * mask * fan_in**-0.5)
        self.register_buffer("mask", mask, persistent=False)

    def masked(self) -> Tensor:
        """The weight as it acts, (out, in)."""
        return self.weight * self.mask

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in) -> (batch, out)."""
        return F.linear(x, self.masked())


class Decoder(nn.Module):
    """p(x|z) with masks; see the module's docstring. Heads: tokens, then middles, then sharpnesses of the kernels."""

    def __init__(self, layout: Layout, config: TVAEConfig, log_shares: Tensor) -> None:
        super().__init__()
        self.layout, self.dropout = layout, config.dropout
        self.degrees = unit_degrees(layout.num_columns, config.decoder_dim)
        self.input_owner = input_owner(layout)
        self.head_owner = head_owner(layout)
        self.tokens = nn.Embedding(layout.num_tokens, EMBEDDING_DIM)
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
            self.head_latent.bias[: layout.num_tokens] = log_shares

    def inputs_of(self, flat: Tensor, features: Tensor) -> Tensor:
        """(batch, num_columns * EMBEDDING_DIM + num_numeric * NUM_FEATURES)."""
        return torch.cat([self.tokens(flat).flatten(1), features], dim=1)

    def forward(self, flat: Tensor, features: Tensor, z: Tensor) -> Tensor:
        """All heads, (batch, num_tokens + 2 * num_numeric)."""
        x = self.inputs_of(flat, features)
        h = F.dropout(F.silu(self.inputs[0](x) + self.latents[0](z)), self.dropout, self.training)
        for layer in range(1, LAYERS):
            step = self.hidden[layer - 1](h) + self.inputs[layer](x) + self.latents[layer](z)
            h = h + F.dropout(F.silu(step), self.dropout, self.training)
        out: Tensor = self.heads(h) + self.head_latent(z)
        return out


def unit_degrees(num_columns: int, width: int) -> Tensor:
    """Degrees of the hidden units, ascending, int64 (width,): column d is fed by units of degree 0..d."""
    return (torch.arange(width) * num_columns) // width


def input_owner(layout: Layout) -> Tensor:
    """Column each decoder input belongs to."""
    columns = torch.arange(layout.num_columns).repeat_interleave(EMBEDDING_DIM)
    numbers = torch.tensor(layout.numeric, dtype=torch.int64).repeat_interleave(NUM_FEATURES)
    return torch.cat([columns, numbers])


def head_owner(layout: Layout) -> Tensor:
    """Column each head belongs to."""
    tokens = torch.arange(layout.num_columns).repeat_interleave(torch.tensor(layout.sizes))
    numbers = torch.tensor(layout.numeric, dtype=torch.int64)
    return torch.cat([tokens, numbers, numbers])


class SegmentLogSumExp(torch.autograd.Function):
    """log sum exp of each column's logits: (batch, num_tokens) -> (batch, num_columns)."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, sizes: Sequence[int], owner: Tensor) -> Tensor:
        """`sizes`: tokens per column; `owner`: column of each token."""
        result = torch.stack([part.logsumexp(1) for part in torch.split(logits, list(sizes), dim=1)], dim=1)
        ctx.save_for_backward(logits, result, owner)
        return result

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        """The softmax of each column, weighted by its gradient."""
        logits, result, owner = ctx.saved_tensors
        weight = grad.index_select(1, owner)
        return (logits - result.index_select(1, owner)).exp_().mul_(weight), None, None


def segment_log_sum_exp(logits: Tensor, sizes: Sequence[int], owner: Tensor) -> Tensor:
    """`SegmentLogSumExp` as a function."""
    return cast(Tensor, SegmentLogSumExp.apply(logits, sizes, owner))  # type: ignore[no-untyped-call]


def kernel_parameters(raw_middle: Tensor, raw_sharpness: Tensor) -> tuple[Tensor, Tensor]:
    """Middle, in (-0.25, 1.25), and sharpness, in (`MIN_SHARPNESS`, `MAX_SHARPNESS`), of the logistic kernels."""
    middle = 0.5 + MIDDLE_REACH * torch.tanh(raw_middle / MIDDLE_REACH)
    bottom, top = math.log(MIN_SHARPNESS), math.log(MAX_SHARPNESS)
    capped = top - F.softplus(top - START_LOG_SHARPNESS - SHARPNESS_GAIN * raw_sharpness)
    return middle, torch.exp(bottom + F.softplus(capped - bottom))


def log_mass(low: Tensor, high: Tensor) -> Tensor:
    """log(sigmoid(high) - sigmoid(low)), stable for any low < high."""
    width = (high - low).clamp(min=1e-6)
    return (
        low
        - F.softplus(low)
        - F.softplus(high)
        + torch.log(torch.expm1(width.clamp(max=60.0)))
        + (width - 60.0).clamp(min=0)
    )


class TVAENetwork(nn.Module):
    """Encoder and decoder with their likelihood."""

    def __init__(self, layout: Layout, config: TVAEConfig, log_shares: Tensor) -> None:
        super().__init__()
        self.layout = layout
        self.encoder = Encoder(layout, config)
        self.decoder = Decoder(layout, config, log_shares)
        self.offsets = torch.tensor(layout.offsets)
        self.owner = torch.arange(layout.num_columns).repeat_interleave(torch.tensor(layout.sizes))
        self.numeric = torch.tensor(layout.numeric, dtype=torch.int64)

    def logits(self, heads: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Token logits (batch, num_tokens), kernel log masses on number tokens, middles, sharpnesses."""
        layout, count = self.layout, len(self.layout.numeric)
        free = heads[:, : layout.num_tokens]
        middle, sharpness = kernel_parameters(
            heads[:, layout.num_tokens : layout.num_tokens + count], heads[:, layout.num_tokens + count :]
        )
        per_middle = middle.index_select(1, layout.number_owner)
        per_sharpness = sharpness.index_select(1, layout.number_owner)
        low = (layout.low[layout.number_tokens] - per_middle) * per_sharpness
        high = (layout.high[layout.number_tokens] - per_middle) * per_sharpness
        mass = log_mass(low, high)
        return free.index_add(1, layout.number_tokens, mass), mass, middle, sharpness

    def column_loss(self, heads: Tensor, tokens: Tensor, places: Tensor) -> Tensor:
        """Negative log likelihood of each cell in nats, (batch, num_columns); numbers as a density over their slice."""
        logits, _, middle, sharpness = self.logits(heads)
        flat = tokens + self.offsets
        loss = segment_log_sum_exp(logits, self.layout.sizes, self.owner) - logits.gather(1, flat)
        if not len(self.numeric):
            return loss
        own = flat[:, self.numeric]
        low, high = self.layout.low[own], self.layout.high[own]
        x = (places - middle) * sharpness
        density = torch.log(sharpness) + x - 2 * F.softplus(x) + torch.log((high - low).clamp(min=1e-6))
        mass = log_mass((low - middle) * sharpness, (high - middle) * sharpness)
        inside = torch.where(self.layout.is_bin[own], mass - density, 0.0)
        return loss.index_add(1, self.numeric, inside)

    def elbo(self, tokens: Tensor, places: Tensor, features: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Reconstruction loss per cell (batch, num_columns) and KL to N(0, I) per row (batch,), in nats."""
        flat = tokens + self.offsets
        mean, log_variance = self.encoder(flat, features)
        z = mean + noise * torch.exp(0.5 * log_variance)
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)
        return self.column_loss(self.decoder(flat, features, z), tokens, places), divergence
