"""Rows from the decoder, column by column, each hidden unit computed once.

The inputs of the columns follow each other in generation order, the hidden units in that of their degrees: what a
column may see is always a beginning of both, and a slice instead of a copy. Both have the rows in their last dimension:
the thin products of one column are fastest so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from tabveil.synthesizers.tvae.features import NUM_FEATURES
from tabveil.synthesizers.tvae.kernel import Kernel, kernel_parameters, slice_masses, truncated_logistic
from tabveil.synthesizers.tvae.network import LAYERS, TVAENetwork
from tabveil.synthesizers.tvae.numeric import NumericCodec
from tabveil.synthesizers.tvae.order_rules import Limits, OrderRule
from tabveil.synthesizers.tvae.parallel import side_by_side, split_evenly
from tabveil.synthesizers.tvae.rows import Seen
from tabveil.synthesizers.tvae.rules import Rule
from tabveil.synthesizers.tvae.tokenizer import MISSING, Tokenizer

BATCH_ROWS = 5000  # most rows drawn at once
BATCH_LOGITS = 2**22  # most logits of a column at once: bounds memory where it has thousands of tokens
BATCH_INPUTS = 2**23  # most inputs at once: bounds memory where there are hundreds of columns
BLOCK_COLUMNS = 16  # what these add to all later units is summed once, so that a column costs the same in a wide table
BELOW_ONE = 1 - 1e-6  # a share drawn must be less than the whole, also after rounding


class Drawn(NamedTuple):
    """Tokens int64 (num_rows, num_columns) and places float64 (num_rows, num_numeric)."""

    tokens: NDArray[np.int64]
    places: NDArray[np.float64]


def draw(plan: SamplingPlan, num_rows: int, seed: int, num_threads: int = 1) -> Drawn:
    """Rows from z ~ N(0, I). They do not depend on `num_threads`; see `parallel.side_by_side`."""
    parts = split_evenly(num_rows, -(-num_rows // plan.batch_rows))

    def batch(generator: torch.Generator, i: int) -> Drawn:
        return Batch(plan, parts[i].stop - parts[i].start, generator).run()

    return joined(side_by_side(batch, len(parts), seed, num_threads))


def joined(parts: list[Drawn]) -> Drawn:
    """Batches one after the other."""
    return Drawn(np.concatenate([part.tokens for part in parts]), np.concatenate([part.places for part in parts]))


class _Column(NamedTuple):
    """Weights with which one column is computed and drawn; `units` are those of its degree, a slice.

    Attributes:
        known: inputs that the column may see and that are not summed yet; the first of all are z and 1.
        inputs: weights of those units in every layer, one after the other, on these inputs.
        hidden: per layer above the first, weights of those units on the layer below up to them.
        heads: weights of the column's tokens and, of a number, its kernel, on z, 1 and the units up to here.
        number: place among the numerical columns. edges, widths, low, high: of its slices; empty of a category.
        emitted: which tokens are ever drawn. closed: the others, int64.
        embeddings: of the column's tokens, (embedding_dim, num_tokens). offset: its first flat token.
    """

    units: slice
    known: slice
    inputs: Tensor
    hidden: list[Tensor]
    heads: Tensor
    number: int | None
    edges: Tensor
    widths: Tensor
    low: Tensor
    high: Tensor
    emitted: Tensor
    closed: Tensor
    embeddings: Tensor
    offset: int


class SamplingPlan:
    """The decoder's weights, put in order once, for any number of batches.

    Args:
        rules: what the rows must keep.
    """

    def __init__(self, network: TVAENetwork, tokenizer: Tokenizer, rules: Sequence[Rule] = ()) -> None:
        self.network, self.tokenizer, self.layout = network, tokenizer, network.layout
        self.device = network.device
        self.latent_dim = network.decoder.head_latent.in_features
        decoder, layout = network.decoder, network.layout
        owner = decoder.input_owner
        order = torch.argsort(owner, stable=True)
        starts = np.searchsorted(owner[order].numpy(), np.arange(layout.num_columns + 1))
        self.starts = [self.latent_dim + 1 + int(start) for start in starts]
        self.degrees = decoder.degrees
        self._inputs = [
            torch.cat([_with_bias(cast(nn.Linear, latent)), cast(Tensor, m.weight)[:, order]], dim=1)
            for latent, m in zip(decoder.latents, decoder.inputs, strict=True)
        ]
        self._hidden = [cast(Tensor, m.weight) for m in decoder.hidden]
        self._heads = torch.cat([_with_bias(decoder.head_latent), decoder.heads.weight], dim=1)
        self.columns = [self._column(i) for i in range(layout.num_columns)]
        self.rules = [[rule for rule in rules if i in rule.columns] for i in range(layout.num_columns)]

    @property
    def batch_rows(self) -> int:
        """Most rows to draw at once."""
        return max(1, min(BATCH_ROWS, BATCH_LOGITS // max(self.layout.sizes), BATCH_INPUTS // self.num_inputs))

    @property
    def width(self) -> int:
        """Hidden units per layer."""
        return len(self.degrees)

    @property
    def num_inputs(self) -> int:
        """Inputs of all columns, z and 1 before them."""
        return self.starts[-1]

    def _block_start(self, column: int) -> int:
        """First input of the column's block; z and 1 are in the first."""
        block = column - column % BLOCK_COLUMNS
        return self.starts[block] if block else 0

    def add_block(self, inputs: Tensor, column: int, sums: list[Tensor]) -> None:
        """Add to `sums`, (width, num_rows) per layer, what the block before `column` means to later units."""
        known, first = slice(self._block_start(column - 1), self.starts[column]), int((self.degrees < column).sum())
        for total, weight in zip(sums, self._inputs, strict=True):
            total[first:].addmm_(weight[first:, known], inputs[known])

    def _column(self, column: int) -> _Column:
        layout, known = self.layout, slice(self._block_start(column), self.starts[column])
        first, last = (int((self.degrees < column + step).sum()) for step in (0, 1))
        units, span = slice(first, last), layout.span(column)
        rows, number = list(range(span.start, span.stop)), None
        edges = widths = low = high = torch.empty(0, device=self.device)
        if column in layout.numeric:
            number = layout.numeric.index(column)
            first_kernel = layout.num_tokens + number
            rows += [first_kernel, first_kernel + len(layout.numeric)]
            edges, widths = (self.network.get_buffer(name)[span] for name in ("edges", "width"))
            codec = cast(NumericCodec, self.tokenizer.codecs[column])
            low, high = (torch.from_numpy(edge).to(self.device) for edge in (codec.low, codec.high))
        emitted = torch.from_numpy(self.tokenizer.codecs[column].emitted).to(self.device)
        return _Column(
            units=units,
            known=known,
            inputs=torch.cat([weight[units, known] for weight in self._inputs]),
            hidden=[weight[units, :last].contiguous() for weight in self._hidden],
            heads=self._heads[rows, : self.latent_dim + 1 + last].contiguous(),
            number=number,
            edges=edges,
            widths=widths,
            low=low,
            high=high,
            emitted=emitted,
            closed=torch.nonzero(~emitted)[:, 0],
            embeddings=self.network.decoder.tokens.weight[span].t().contiguous(),
            offset=span.start,
        )


def _with_bias(layer: nn.Linear) -> Tensor:
    """Weights on (z, 1), shape (out_features, latent_dim + 1)."""
    return torch.cat([layer.weight, layer.bias[:, None]], dim=1)


class Batch:
    """Incremental pass: before column i, the units of degree i are computed from what is already chosen."""

    def __init__(self, plan: SamplingPlan, num_rows: int, generator: torch.Generator) -> None:
        self.plan, self.generator, self.num_rows = plan, generator, num_rows
        device, layout, first = plan.device, plan.layout, plan.latent_dim + 1
        self.inputs = torch.empty(plan.num_inputs, num_rows, device=device)
        self.inputs[: first - 1], self.inputs[first - 1] = self._normal(num_rows, first - 1).t(), 1.0
        # z and 1, then the units: a column's heads see a beginning of the last layer's
        self.states = [torch.empty(first + plan.width, num_rows, device=device) for _ in range(LAYERS)]
        self.states[-1][:first] = self.inputs[:first]
        blocks = LAYERS if layout.num_columns > BLOCK_COLUMNS else 0
        self.sums = [torch.zeros(plan.width, num_rows, device=device) for _ in range(blocks)]  # of the blocks before
        self.tokens = torch.zeros(num_rows, layout.num_columns, dtype=torch.int64, device=device)
        self.places = torch.full((num_rows, len(layout.numeric)), 0.5, dtype=torch.float64, device=device)
        self.num_drawn = 0

    def run(self) -> Drawn:
        """Choose every column in turn."""
        for column in range(self.plan.layout.num_columns):
            self._compute_units(column)
            self._choose(column)
            self.num_drawn = column + 1
        return Drawn(self.tokens.cpu().numpy(), self.places.cpu().numpy())

    def _compute_units(self, column: int) -> None:
        weights, first = self.plan.columns[column], self.plan.latent_dim + 1
        units = weights.units
        if weights.known.start and weights.known.start == weights.known.stop:
            self.plan.add_block(self.inputs, column, self.sums)
        if units.stop == units.start:
            return
        own = slice(first + units.start, first + units.stop)
        steps = list((weights.inputs @ self.inputs[weights.known]).chunk(LAYERS))
        if weights.known.start:
            steps = [step + total[units] for step, total in zip(steps, self.sums, strict=True)]
        self.states[0][own] = F.silu(steps[0])
        for layer in range(1, LAYERS):
            below = self.states[layer - 1]
            step = torch.addmm(steps[layer], weights.hidden[layer - 1], below[first : first + units.stop])
            torch.add(below[own], F.silu(step, inplace=True), out=self.states[layer][own])

    def _choose(self, column: int) -> None:
        """Draw the column's tokens and make them inputs of the later ones."""
        logits, kernel = self._logits(column)
        self._record(column, self._draw(column, logits), kernel)

    def _logits(self, column: int) -> tuple[Tensor, Kernel | None]:
        """Of every token, (num_rows, num_tokens), and the kernel of a number, each part (num_rows, 1)."""
        weights = self.plan.columns[column]
        heads = weights.heads @ self.states[-1][: weights.heads.shape[1]]
        if weights.number is None:
            return heads.t(), None
        logits, (middle, sharpness) = heads[:-2], kernel_parameters(heads[-2], heads[-1])
        if len(logits) > 1:
            x = (weights.edges[:, None] - middle).mul_(sharpness)
            shrink = (weights.widths[:, None] * -sharpness).expm1_()
            logits[1:] += slice_masses(x.t(), shrink.t()).t()
        return logits.t(), Kernel(middle[:, None], sharpness[:, None])

    def seen(self, column: int) -> Seen:
        """What is known of a column's cells."""
        number = self.plan.columns[column].number
        known = torch.full((self.num_rows,), column < self.num_drawn, device=self.plan.device)
        return Seen(self.tokens[:, column], None if number is None else self.places[:, number], known)

    def _emitted(self, column: int, *, complete: bool = False) -> Tensor:
        """Tokens that are ever drawn, bool (num_tokens,).

        Args:
            complete: missing values are not, if the column has any other.
        """
        emitted = self.plan.columns[column].emitted
        if complete and emitted[1:].any():
            emitted = emitted.clone()
            emitted[MISSING] = False
        return emitted

    def _has_rules(self, column: int) -> bool:
        """Whether rows differ in the tokens that `_open` leaves open."""
        return bool(self.plan.rules[column])

    def _open(self, column: int, emitted: Tensor) -> Tensor:
        """Tokens that the rules leave open, of `emitted`; all of these where none is left. Broadcasts to the logits."""
        allowed = emitted[None, :]
        for rule in self.plan.rules[column]:
            allowed = allowed & rule.allowed(self, column, len(emitted))
        return torch.where(allowed.any(dim=1, keepdim=True), allowed, emitted)

    def _draw(self, column: int, logits: Tensor, *, complete: bool = False) -> Tensor:
        """Tokens by their probability, from one uniform number per row, int64 (num_rows,).

        Args:
            logits: (num_rows, num_tokens); they are overwritten.
            complete: see `_emitted`.
        """
        if complete or self._has_rules(column):
            emitted = self._emitted(column, complete=complete)
            logits.masked_fill_(~self._open(column, emitted), -torch.inf)
        else:
            logits.index_fill_(1, self.plan.columns[column].closed, -torch.inf)
        shares = logits.sub_(logits.amax(dim=1, keepdim=True)).exp_().contiguous().cumsum_(dim=1)
        level = self._uniform(len(logits), 1).mul_(BELOW_ONE) * shares[:, -1:]
        return torch.searchsorted(shares, level.float(), right=True)[:, 0].clamp_(max=shares.shape[1] - 1)

    def _record(self, column: int, chosen: Tensor, kernel: Kernel | None) -> None:
        weights = self.plan.columns[column]
        self.tokens[:, column] = chosen
        start = weights.known.stop
        at = start + len(weights.embeddings)
        torch.index_select(weights.embeddings, 1, chosen, out=self.inputs[start:at])
        if weights.number is not None and kernel is not None:
            place = self._place(column, chosen, kernel)
            self.places[:, weights.number] = place
            self.inputs[at : at + NUM_FEATURES] = self.plan.network.features(
                chosen[:, None] + weights.offset,
                chosen[:, None] != MISSING,
                place[:, None],
                first=weights.number,
            ).t()

    def _place(self, column: int, chosen: Tensor, kernel: Kernel) -> Tensor:
        """Position inside the token's slice, from the kernel cut to it; the middle for spikes and missing values."""
        weights, is_bin = self.plan.columns[column], self.plan.network.is_bin[self.plan.layout.span(column)]
        low, high = weights.low[chosen], weights.high[chosen]
        for limits in self._limits(column, chosen):
            low, high = torch.maximum(low, limits.low), torch.minimum(high, limits.high)
        high = torch.maximum(low, high)
        kernel = Kernel(kernel.middle[:, 0].double(), kernel.sharpness[:, 0].double())
        inside = truncated_logistic(low, high, kernel, self._uniform(len(chosen)))
        return torch.where(is_bin[chosen], inside, (weights.low + weights.high)[chosen] / 2)

    def _limits(self, column: int, chosen: Tensor) -> list[Limits]:
        """Where in the slices of the chosen tokens the rules let a number lie."""
        return [rule.limits(self, column, chosen) for rule in self.plan.rules[column] if isinstance(rule, OrderRule)]

    def _normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self.generator, device=self.generator.device).to(self.plan.device)

    def _uniform(self, *shape: int) -> Tensor:
        drawn = torch.rand(shape, generator=self.generator, device=self.generator.device, dtype=torch.float64)
        return drawn.to(self.plan.device)
