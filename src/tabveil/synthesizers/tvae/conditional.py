"""Rows in which some cells are given: sequential importance resampling over z and the free cells before a given one.

The decoder runs through the columns once. A given cell is set, not drawn, and weighs its row's candidates (particles)
by how likely each finds it; where the weights become uneven the candidates are redrawn by them (Gordon et al. 1993;
effective sample size as in Kong et al. 1994). After the last given column one candidate per row is left. No row is
rejected. With finitely many candidates the free cells follow the model's conditional distribution approximately.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from tabveil.errors import SynthesizerError
from tabveil.synthesizers.tvae.kernel import Kernel, log_density_in_slice
from tabveil.synthesizers.tvae.numeric import NumericCodec
from tabveil.synthesizers.tvae.rules import Seen
from tabveil.synthesizers.tvae.sampling import BATCH_ROWS, Batch, Drawn, SamplingPlan, joined
from tabveil.synthesizers.tvae.tokenizer import MISSING, Tokenizer

NUM_PARTICLES = 16
FORBIDDEN = -1e4  # log weight


@dataclass(frozen=True)
class Known:
    """Which cells are given, and what they are.

    Attributes:
        mask: bool (num_rows, num_columns), the given cells, columns in generation order.
        tokens: int64 (num_rows, num_columns). places: float64 (num_rows, num_numeric). Anything where not given.
        complete: whether the free cells must not be missing.
    """

    mask: NDArray[np.bool_]
    tokens: NDArray[np.int64]
    places: NDArray[np.float64]
    complete: bool = False

    def __len__(self) -> int:
        return len(self.mask)

    def __getitem__(self, index: slice | NDArray[np.intp]) -> Known:
        return Known(self.mask[index], self.tokens[index], self.places[index], self.complete)


def known_cells(
    tokenizer: Tokenizer,
    table: pd.DataFrame,
    given: NDArray[np.bool_],
    rng: np.random.Generator,
    *,
    complete: bool = False,
) -> Known:
    """The given cells of a canonical frame as tokens.

    Args:
        table: some or all modelled columns.
        given: bool (num_rows, table's columns); other cells are free, as are the columns that are not in `table`.
    """
    shape = (len(table), len(tokenizer.codecs))
    known = Known(
        np.zeros(shape, bool), np.zeros(shape, np.int64), np.full((len(table), len(tokenizer.numeric)), 0.5), complete
    )
    for i, codec in enumerate(tokenizer.codecs):
        if codec.name not in table.columns:
            continue
        known.mask[:, i] = given[:, list(table.columns).index(codec.name)]
        if isinstance(codec, NumericCodec):
            known.tokens[:, i], known.places[:, tokenizer.numeric.index(i)] = codec.encode(table[codec.name], rng)
        else:
            known.tokens[:, i] = codec.encode(table[codec.name])
    return known


def require_learned(tokenizer: Tokenizer, known: Known) -> None:
    """Raise if a given cell is something that the model never samples: an unknown category, a missing value.

    Raises:
        SynthesizerError: names the columns, not the values.
    """
    for i, codec in enumerate(tokenizer.codecs):
        tokens = known.tokens[known.mask[:, i], i]
        refused = tokens[~codec.emitted[tokens]]
        if len(refused):
            what = "missing values" if (refused == MISSING).any() else "values"
            raise SynthesizerError(
                f"conditions on column '{codec.name}' must be {what} that the model has learned, however "
                f"{len(refused)} are not: fewer people than the rare threshold had them in the training table, or none"
            )


@torch.inference_mode()
def draw_given(
    plan: SamplingPlan, known: Known, generator: torch.Generator, *, num_particles: int = NUM_PARTICLES
) -> Drawn:
    """Rows with the given cells as given."""
    size = max(1, BATCH_ROWS // num_particles)
    return joined(
        [
            GivenBatch(plan, known[start : start + size], generator, num_particles=num_particles).run()
            for start in range(0, len(known), size)
        ]
    )


class GivenBatch(Batch):
    """`num_particles` candidates side by side for each row, until the last given column has chosen among them."""

    def __init__(self, plan: SamplingPlan, known: Known, generator: torch.Generator, *, num_particles: int) -> None:
        super().__init__(plan, len(known) * num_particles, generator)
        repeated, device = known[np.repeat(np.arange(len(known)), num_particles)], plan.device
        self.complete = known.complete
        self.mask, self.known_tokens, self.known_places = (
            torch.from_numpy(part).to(device) for part in (repeated.mask, repeated.tokens, repeated.places)
        )
        self.log_weights = torch.zeros(len(known), num_particles, device=device)
        given = np.flatnonzero(known.mask.any(axis=0))
        self.last_given = int(given[-1]) if len(given) else -1
        if self.last_given < 0:
            self._choose_particles()

    def _choose(self, column: int) -> None:
        logits, kernel = self._logits(column)
        drawn = self._draw(column, logits, complete=self.complete)
        mask, tokens = self.mask[:, column], self.known_tokens[:, column]
        self._record(column, torch.where(mask, tokens, drawn), kernel)
        if mask.any():
            weights = torch.where(mask, self._log_prob(column, tokens, logits, kernel), 0.0)
            self.log_weights = self.log_weights + weights.view_as(self.log_weights)
            self._resample()
        if column == self.last_given:
            self._choose_particles()

    def _place(self, column: int, chosen: Tensor, kernel: Kernel) -> Tensor:
        number = self.plan.columns[column].number
        drawn = super()._place(column, chosen, kernel)
        return torch.where(self.mask[:, column], self.known_places[:, number], drawn)

    def seen(self, column: int) -> Seen:
        """Cells that are given are known from the beginning."""
        drawn, mask, number = super().seen(column), self.mask[:, column], self.plan.columns[column].number
        tokens = torch.where(mask, self.known_tokens[:, column], drawn.tokens)
        if number is None or drawn.places is None:
            return Seen(tokens, None, drawn.known | mask)
        return Seen(tokens, torch.where(mask, self.known_places[:, number], drawn.places), drawn.known | mask)

    def _log_prob(self, column: int, tokens: Tensor, logits: Tensor, kernel: Kernel | None) -> Tensor:
        """Of the given cells, (num_rows * num_particles,): among the tokens that are sampled, else among all.

        Next to nothing where a rule forbids the cell, given the others of the row.
        """
        emitted, at = self._emitted(column), tokens[:, None]
        rare = ~emitted[tokens][:, None]
        pool = logits.masked_fill(~(self._open(column, emitted) | rare), -torch.inf)
        result = (pool.gather(1, at)[:, 0] - pool.logsumexp(1)).clamp(min=FORBIDDEN)
        number = self.plan.columns[column].number
        if kernel is None or number is None:
            return result
        network, flat = self.plan.network, tokens + self.plan.layout.offsets[column]
        places, flattened = self.known_places[:, number].float(), Kernel(kernel.middle[:, 0], kernel.sharpness[:, 0])
        inside = log_density_in_slice(network.low, network.high, flat, places, flattened)
        return result + torch.where(network.is_bin[flat], inside, 0.0)

    def _resample(self) -> None:
        """Redraw the candidates of the rows whose effective number has fallen below half."""
        weights = self.log_weights.softmax(1)
        count = weights.shape[1]
        uneven = 1 / weights.square().sum(1) < count / 2
        redrawn = self._multinomial(weights, count)
        chosen = torch.where(uneven[:, None], redrawn, torch.arange(count, device=redrawn.device))
        self.log_weights = torch.where(uneven[:, None], 0.0, self.log_weights)
        first = count * torch.arange(len(weights), device=redrawn.device)
        self._take((chosen + first[:, None]).flatten())

    def _choose_particles(self) -> None:
        """One candidate per row, by weight; what follows is drawn for it alone."""
        weights = self.log_weights.softmax(1)
        chosen = self._multinomial(weights, 1)[:, 0]
        self._take(chosen + weights.shape[1] * torch.arange(len(weights), device=chosen.device))
        self.log_weights = torch.zeros(len(weights), 1, device=chosen.device)

    def _multinomial(self, weights: Tensor, count: int) -> Tensor:
        device = self.generator.device
        return torch.multinomial(weights.to(device), count, replacement=True, generator=self.generator).to(
            weights.device
        )

    def _take(self, index: Tensor) -> None:
        self.inputs, self.tokens, self.places = self.inputs[index], self.tokens[index], self.places[index]
        self.states = [state[index] for state in self.states]
        self.mask, self.known_tokens = self.mask[index], self.known_tokens[index]
        self.known_places, self.num_rows = self.known_places[index], len(index)
