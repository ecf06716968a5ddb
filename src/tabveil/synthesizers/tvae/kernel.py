"""The logistic kernel of a number: how its mass falls on the column's slices, and where inside a slice a value lies.

A kernel with middle m and sharpness s gives a slice [a, b] of ranks the mass sigmoid(s (b - m)) - sigmoid(s (a - m)).
Its log is added to the free logits of the column's tokens before the softmax, so that neighbouring tokens share
strength. (Cumulative logits: McCullagh 1980; discretised logistics: Salimans et al. 2017, arXiv 1701.05517.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F  # noqa: N812

MIN_SHARPNESS, MAX_SHARPNESS = 0.05, 400.0  # kernel widths below 1/400 of the column's ranks are noise
START_LOG_SHARPNESS, SHARPNESS_GAIN = 0.7, 2.0
MIDDLE_REACH = 0.75
MIN_WIDTH = 1e-6
MAX_LOG_ODDS = 60.0  # against the token that is there: sums of e^60 and shares of e^-60 are within 32 bits


class Kernel(NamedTuple):
    """Middle and sharpness, of equal shape."""

    middle: Tensor
    sharpness: Tensor


class Slices(NamedTuple):
    """The number tokens as tensors, each (num_number_tokens,) but `rows`; see `layout.Layout`.

    `width`: of the slice, 1 for a missing token. `real`: 0 for a missing token, else 1. `row`: numerical column of each
    token. `rows`: the same as a 0/1 matrix, (num_number_tokens, num_numeric).
    """

    edges: Tensor
    width: Tensor
    real: Tensor
    row: Tensor
    rows: Tensor


class Columns(NamedTuple):
    """Tokens per column, and the position of each token's column, both in flat order."""

    sizes: Sequence[int]
    owner: Tensor


def kernel_parameters(raw_middle: Tensor, raw_sharpness: Tensor) -> Kernel:
    """Middle, in (-0.25, 1.25), and sharpness, in (`MIN_SHARPNESS`, `MAX_SHARPNESS`), of the logistic kernels."""
    middle = 0.5 + MIDDLE_REACH * torch.tanh(raw_middle / MIDDLE_REACH)
    bottom, top = math.log(MIN_SHARPNESS), math.log(MAX_SHARPNESS)
    capped = top - F.softplus(top - START_LOG_SHARPNESS - SHARPNESS_GAIN * raw_sharpness)
    return Kernel(middle, torch.exp(bottom + F.softplus(capped - bottom)))


def log_mass(low: Tensor, high: Tensor) -> Tensor:
    """log(sigmoid(high) - sigmoid(low)), stable for any low < high."""
    width = (high - low).clamp(min=MIN_WIDTH)
    return torch.log(-torch.expm1(-width)) - F.softplus(low) - F.softplus(-high)


def log_density_in_slice(low: Tensor, high: Tensor, flat: Tensor, places: Tensor, kernel: Kernel) -> Tensor:
    """Log density of places inside their slices, relative to an even spread over the slice.

    Args:
        low, high: of every number token. flat: of which token each place is, of the places' and the kernel's shape.
    """
    low, high, (middle, sharpness) = low[flat], high[flat], kernel
    x = (places - middle) * sharpness
    density = torch.log(sharpness) + x - 2 * F.softplus(x) + torch.log((high - low).clamp(min=MIN_WIDTH))
    return density - log_mass((low - middle) * sharpness, (high - middle) * sharpness)


def slice_masses(x: Tensor, shrink: Tensor) -> Tensor:
    """Log masses of all slices but the first position's, from edges that neighbours share.

    Args:
        x: standardised edges, (num_rows, num_edges). shrink: exp(-width * sharpness) - 1, of the same shape.

    Returns:
        (num_rows, num_edges - 1); between two columns the figure means nothing.
    """
    above = F.softplus(x)
    return (x[:, 1:] - above[:, 1:]).sub_(above[:, :-1]).add_((-shrink[:, 1:]).log_())


class KernelCrossEntropy(torch.autograd.Function):
    """Negative log probability of one token per column, kernel masses included; the gradient is written out.

    With q = sigmoid(x) at the edges of slice i, its log mass changes by -s (1 - q_i - q_(i-1)) per unit of the middle
    and by [x_i (1 - q_i) - x_(i-1) q_(i-1)] / s + width / (exp(s width) - 1) per unit of the sharpness.
    """

    @staticmethod
    def forward(
        ctx: Any, free: Tensor, middle: Tensor, sharpness: Tensor, target: tuple[Tensor, Slices, Columns]
    ) -> Tensor:
        """(num_rows, num_columns), columns in flat order; a token is at least e^-60 times as likely as any other.

        Args:
            free: logits, (num_rows, num_tokens). middle, sharpness: (num_rows, num_numeric).
            target: the tokens, int64 (num_rows, num_columns) in flat order, and where they lie.
        """
        flat, slices, columns = target
        logits, count = free.clone(), len(slices.edges)
        x = shrink = sharp = free.new_empty(0)
        if count:
            sharp = sharpness.index_select(1, slices.row)
            x = (slices.edges - middle.index_select(1, slices.row)).mul_(sharp)
            shrink = torch.expm1(-slices.width * sharp)
            logits[:, 1:count] += slice_masses(x, shrink).mul_(slices.real[1:])
        chosen = logits.gather(1, flat)
        odds = logits.sub_(chosen.index_select(1, columns.owner)).clamp_(max=MAX_LOG_ODDS).exp_()
        sums = torch.stack([part.sum(1) for part in torch.split(odds, list(columns.sizes), dim=1)], dim=1)
        ctx.slices, ctx.owner = slices, columns.owner
        ctx.save_for_backward(odds, sums, x, shrink, sharp, flat)
        return sums.log()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None, None]:
        """Softmax less the token, weighted by the column's gradient, and through the masses to the kernels."""
        odds, sums, x, shrink, sharp, flat = ctx.saved_tensors
        slices: Slices = ctx.slices
        free = odds * (grad / sums).index_select(1, ctx.owner)
        free.scatter_add_(1, flat, -grad)
        count = len(slices.edges)
        if not count:
            return free, None, None, None
        weight = (free[:, :count] * slices.real)[:, 1:]
        below = torch.sigmoid(x)
        up, down = (1 - below)[:, 1:], below[:, :-1]
        sharp, shrink = sharp[:, 1:], shrink[:, 1:]
        middle = ((down - up).mul_(weight).mul_(sharp)) @ slices.rows[1:]
        spread = (up.mul_(x[:, 1:])).sub_(x[:, :-1] * down).div_(sharp)
        spread -= (1 + 1 / shrink).mul_(slices.width[1:])
        return free, middle, spread.mul_(weight) @ slices.rows[1:], None


def kernel_cross_entropy(free: Tensor, kernel: Kernel, flat: Tensor, slices: Slices, columns: Columns) -> Tensor:
    """`KernelCrossEntropy` as a function."""
    loss = KernelCrossEntropy.apply(free, kernel.middle, kernel.sharpness, (flat, slices, columns))  # type: ignore[no-untyped-call]
    return cast(Tensor, loss)


def truncated_logistic(low: Tensor, high: Tensor, kernel: Kernel, uniform: Tensor) -> Tensor:
    """A draw from a logistic kernel restricted to [low, high], from a uniform number; all float64 (num_rows,).

    A slice right of the middle is mirrored to the left, where the sigmoid keeps its precision.
    """
    middle, sharpness = kernel
    mirrored = (low + high) / 2 > middle
    left = torch.where(mirrored, middle - high, low - middle) * sharpness
    right = torch.where(mirrored, middle - low, high - middle) * sharpness
    below = torch.sigmoid(left)
    share = (below + uniform * (torch.sigmoid(right) - below)).clamp(1e-300, 1 - 1e-15)
    x = torch.minimum(torch.maximum(torch.log(share) - torch.log1p(-share), left), right) / sharpness
    return torch.where(mirrored, middle - x, middle + x)
