"""Rows in which some cells are given: sequential importance resampling over z and the free cells before a given one.

The decoder runs through the columns once. A given cell is set, not drawn, and weighs its row's candidates (particles)
by how likely each finds it; where the weights become uneven the candidates are redrawn by them (Gordon et al. 1993;
effective sample size as in Kong et al. 1994). After the last given column one candidate per row is left. No row is
rejected. With finitely many candidates the free cells follow the model's conditional distribution approximately.
Of a given total, the part that is known last becomes a given cell of each candidate (`given_totals`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tabveil.constraints import SUM_SLACK
from tabveil.synthesizers.tvae.cell_numbers import encoded, grain, num_decimals, rounded, weighed_step
from tabveil.synthesizers.tvae.given_totals import GivenSum
from tabveil.synthesizers.tvae.kernel import Kernel, log_density_in_slice, log_mass
from tabveil.synthesizers.tvae.known import Known
from tabveil.synthesizers.tvae.numeric import NumericCodec
from tabveil.synthesizers.tvae.order_rules import Limits, OrderRule
from tabveil.synthesizers.tvae.parallel import side_by_side
from tabveil.synthesizers.tvae.rows import Seen
from tabveil.synthesizers.tvae.sampling import Batch, Drawn, SamplingPlan, joined
from tabveil.synthesizers.tvae.tokenizer import MISSING

NUM_PARTICLES = 16
FORBIDDEN = -1e4  # log weight


class GivenDrawn(NamedTuple):
    """Rows, and float64 (num_rows, num_columns): the numbers that given totals leave to a cell, NaN elsewhere."""

    drawn: Drawn
    left: NDArray[np.float64]


def draw_given(
    plan: SamplingPlan, known: Known, seed: int, num_threads: int = 1, *, num_particles: int = NUM_PARTICLES
) -> GivenDrawn:
    """Rows with the given cells as given. They do not depend on `num_threads`; see `parallel.side_by_side`."""
    size = max(1, plan.batch_rows // num_particles)

    def batch(generator: torch.Generator, i: int) -> GivenDrawn:
        part = GivenBatch(plan, known[i * size : (i + 1) * size], generator, num_particles=num_particles)
        return GivenDrawn(part.run(), part.left())

    parts = side_by_side(batch, -(-len(known) // size), seed, num_threads)
    return GivenDrawn(joined([part.drawn for part in parts]), np.concatenate([part.left for part in parts]))


class GivenBatch(Batch):
    """`num_particles` candidates side by side for each row, until the last given column has chosen among them."""

    def __init__(self, plan: SamplingPlan, known: Known, generator: torch.Generator, *, num_particles: int) -> None:
        super().__init__(plan, len(known) * num_particles, generator)
        repeated, device = known[np.repeat(np.arange(len(known)), num_particles)], plan.device
        self.complete, self.totals, self.total_columns = known.complete, repeated.totals, repeated.totals.columns
        self.mask, self.known_tokens, self.known_places, self.known_values = (
            torch.from_numpy(part).to(device)
            for part in (repeated.mask, repeated.tokens, repeated.places, repeated.values)
        )
        self.is_left, self.may_miss = torch.zeros_like(self.mask), torch.zeros_like(self.mask)
        self.log_carried = torch.zeros(self.mask.shape, device=device)
        self.log_weights = torch.zeros(len(known), num_particles, device=device)
        self.last_given = max([-1, *np.flatnonzero(known.mask.any(axis=0)), *self.total_columns])
        if self.total_columns:
            self.rng = np.random.default_rng(int(self._uniform(1) * 2**53))
            self._settle()
        if self.last_given < 0:
            self._choose_particles(0)

    def left(self) -> NDArray[np.float64]:
        """What given totals left to each cell, float64 (num_rows, num_columns), NaN elsewhere."""
        return torch.where(self.is_left, self.known_values, torch.nan).cpu().numpy()

    def _choose(self, column: int) -> None:
        logits, kernel = self._logits(column)
        drawn = self._draw(column, logits.clone(), complete=self.complete)
        weights = self._weights(column, drawn, logits, kernel)
        mask = self.mask[:, column]
        self._record(column, torch.where(mask, self.known_tokens[:, column], drawn), kernel)
        if weights is not None:
            self.log_weights = self.log_weights + weights.view_as(self.log_weights)
            self._resample(column)
        if column == self.last_given:
            self._choose_particles(column + 1)
        self.num_drawn = column + 1
        if column in self.total_columns:
            self._settle()

    def _weights(self, column: int, drawn: Tensor, logits: Tensor, kernel: Kernel | None) -> Tensor | None:
        """Log weights that a column gives the candidates, (num_rows * num_particles,); None where it gives none."""
        mask, tokens = self.mask[:, column], self.known_tokens[:, column]
        if column not in self.total_columns:
            return torch.where(mask, self._log_prob(column, tokens, logits, kernel), 0.0) if mask.any() else None
        share, beyond = self._grain(column)
        given = self._log_prob(column, tokens, logits, kernel) + share
        given = torch.where(self._follows(column), self._log_present(column, logits), given) + FORBIDDEN * beyond
        if self.may_miss[:, column].any():
            given = self._maybe_missing(column, logits, kernel, given)
        return torch.where(mask, given, self._log_open(column, logits) + self._log_cut(column, drawn, kernel))

    def _grain(self, column: int) -> tuple[Tensor, Tensor]:
        """`cell_numbers.grain` of the given cells: candidates may be left different numbers, in wide or narrow bins."""
        values, device = self.known_values[:, column].cpu().numpy(), self.mask.device
        share, beyond = grain(self.plan.tokenizer.codecs[column], self.known_tokens[:, column].cpu().numpy(), values)
        for rule in self.plan.rules[column]:
            if isinstance(rule, OrderRule):
                beyond = beyond + rule.crossed(self, column, values)
        log_share, distance = (torch.from_numpy(np.nan_to_num(part)).float().to(device) for part in (share, beyond))
        log_share = log_share + self.log_carried[:, column]
        return log_share, torch.where(self.is_left[:, column], distance, 0.0)

    def _follows(self, column: int) -> Tensor:
        """Where a cell is certain, if it is not missing, since a modelled total and its parts keep their sum."""
        follows = torch.zeros_like(self.mask[:, column])
        for asked in self.totals.sums:
            if asked.position == column:
                follows |= torch.from_numpy(asked.complete(self, self.plan.tokenizer)).to(follows.device)
            elif asked.position is not None and column in asked.columns and asked.position < column:
                follows |= self.is_left[:, column]
        return follows

    def _log_present(self, column: int, logits: Tensor) -> Tensor:
        """How likely a cell is not missing."""
        pool = logits.masked_fill(~self._emitted(column, complete=self.complete), -torch.inf)
        return (pool[:, MISSING + 1 :].logsumexp(1) - pool.logsumexp(1)).clamp(min=FORBIDDEN)

    def _maybe_missing(self, column: int, logits: Tensor, kernel: Kernel | None, given: Tensor) -> Tensor:
        """A number that is left may be missing instead where the training table shows such rows."""
        none = torch.zeros_like(self.known_tokens[:, column])
        missing = self._log_prob(column, none, logits, kernel)
        can_miss = self.may_miss[:, column] & self.plan.columns[column].emitted[MISSING] & (not self.complete)
        chosen = can_miss & (self._uniform(len(given)) < torch.sigmoid((missing - given).double()))
        self.mask[:, column] |= chosen
        self.known_tokens[:, column].masked_fill_(chosen, MISSING)
        self.known_values[:, column].masked_fill_(chosen, torch.nan)
        self.is_left[:, column] &= ~chosen
        return torch.where(can_miss, torch.logaddexp(missing, given), given)

    def _log_open(self, column: int, logits: Tensor) -> Tensor:
        """How likely the model finds the tokens that given totals leave open, among all those that are drawn."""
        emitted = self._emitted(column, complete=self.complete)
        pools = (super()._open(column, emitted), self._open(column, emitted))
        every, some = (logits.masked_fill(~pool, -torch.inf).logsumexp(1) for pool in pools)
        return some - every

    def _has_rules(self, column: int) -> bool:
        return super()._has_rules(column) or column in self.total_columns

    def _open(self, column: int, emitted: Tensor) -> Tensor:
        allowed = super()._open(column, emitted)
        if column not in self.total_columns:
            return allowed
        fits = torch.from_numpy(self.totals.open_tokens(self, self.plan.tokenizer, column)).to(allowed.device)
        fits = allowed & (fits | self.mask[:, column, None])
        return torch.where(fits.any(dim=1, keepdim=True), fits, allowed)

    def _limits(self, column: int, chosen: Tensor) -> list[Limits]:
        limits = super()._limits(column, chosen)
        return [*limits, self._cut(column, chosen)] if column in self.total_columns else limits

    def _cut(self, column: int, chosen: Tensor, widened: float = 0.0) -> Limits:
        """Where in the slices of the chosen tokens a number leaves every given total in reach."""
        codec, tokens = self.plan.tokenizer.codecs[column], chosen.cpu().numpy()
        assert isinstance(codec, NumericCodec)  # noqa: S101  others have no slices
        low, high = self.totals.interval(self, self.plan.tokenizer, column)
        ends = (codec.place_in(tokens, end) for end in (low - widened, high + widened))
        return Limits(*(torch.from_numpy(end).to(chosen.device) for end in ends))

    def _log_cut(self, column: int, drawn: Tensor, kernel: Kernel | None) -> Tensor:
        """How likely the model finds that part of the drawn bin, among what the other rules leave of it."""
        codec, weights = self.plan.tokenizer.codecs[column], self.plan.columns[column]
        if kernel is None or not isinstance(codec, NumericCodec):
            return torch.zeros(len(drawn), device=drawn.device)
        low, high = weights.low[drawn], weights.high[drawn]
        for limits in super()._limits(column, drawn):
            low, high = torch.maximum(low, limits.low), torch.minimum(high, limits.high)
        cut = self._cut(column, drawn, codec.resolution.step / 2)
        middle, sharpness = kernel.middle[:, 0].double(), kernel.sharpness[:, 0].double()
        every, some = (
            log_mass((start - middle) * sharpness, (end - middle) * sharpness)
            for start, end in ((low, high), (torch.maximum(low, cut.low), torch.minimum(high, cut.high)))
        )
        is_bin = self.plan.network.is_bin[self.plan.layout.span(column)][drawn]
        return torch.where(is_bin, (some - every).clamp(max=0.0), 0.0).float()

    def _settle(self) -> None:
        """Make every cell a given one that is all that is left of a total."""
        found = True
        while found:
            found = False
            for asked in self.totals.sums:
                left, _ = asked.left(self, self.plan.tokenizer)
                for position, column in enumerate(asked.columns):
                    rows = np.flatnonzero(~np.isnan(left[:, position]))
                    if len(rows):
                        self._give(column, rows, left[rows, position], asked)
                        found = True

    def _give(self, column: int, rows: NDArray[np.intp], values: NDArray[np.float64], asked: GivenSum) -> None:
        codec, at = self.plan.tokenizer.codecs[column], torch.from_numpy(rows).to(self.mask.device)
        near, carried = rounded(codec, values), self._carried(column, asked, at)
        values = np.where((np.abs(near - values) <= asked.tolerance + SUM_SLACK) | (carried < 0), near, values)
        self.log_carried[at, column] = torch.from_numpy(carried).float().to(at.device)
        tokens, places = (torch.from_numpy(part).to(at.device) for part in encoded(codec, values, self.rng))
        self.mask[at, column], self.is_left[at, column], self.may_miss[at, column] = True, True, not asked.needed
        self.known_tokens[at, column], self.known_values[at, column] = tokens, torch.from_numpy(values).to(at.device)
        number = self.plan.columns[column].number
        if number is not None:
            self.known_places[at, number] = places

    def _carried(self, column: int, asked: GivenSum, at: Tensor) -> NDArray[np.float64]:
        """Where a drawn part has more decimals, so that it can take what rounding leaves (`given_totals.settled`).

        Returns:
            Log of how many of its steps one of the column is, negative; 0 where there is none.
        """
        codecs, carried = self.plan.tokenizer.codecs, np.zeros(len(at))
        for other, count in zip(asked.columns, asked.counts, strict=True):
            finer = num_decimals(codecs[other]) > num_decimals(codecs[column]) and count == 1
            if finer and other != column and other < self.num_drawn:
                drawn = (~self.mask[at, other] & (self.tokens[at, other] != MISSING)).cpu().numpy()
                ratio = np.log(weighed_step(codecs[other]) / weighed_step(codecs[column]))
                carried = np.where(drawn, np.minimum(carried, min(ratio, -1e-9)), carried)
        return carried

    def _place(self, column: int, chosen: Tensor, kernel: Kernel) -> Tensor:
        number = self.plan.columns[column].number
        drawn = super()._place(column, chosen, kernel)
        return torch.where(self.mask[:, column], self.known_places[:, number], drawn)

    def seen(self, column: int) -> Seen:
        """Cells that are given are known from the beginning."""
        drawn, mask, number = super().seen(column), self.mask[:, column], self.plan.columns[column].number
        tokens, places = torch.where(mask, self.known_tokens[:, column], drawn.tokens), drawn.places
        if number is not None and places is not None:
            places = torch.where(mask, self.known_places[:, number], places)
        return Seen(tokens, places, drawn.known | mask, self.known_values[:, column])

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

    def _resample(self, column: int) -> None:
        """Redraw the candidates of the rows whose effective number has fallen below half."""
        weights = self.log_weights.softmax(1)
        count = weights.shape[1]
        uneven = 1 / weights.square().sum(1) < count / 2
        redrawn = self._multinomial(weights, count)
        chosen = torch.where(uneven[:, None], redrawn, torch.arange(count, device=redrawn.device))
        self.log_weights = torch.where(uneven[:, None], 0.0, self.log_weights)
        first = count * torch.arange(len(weights), device=redrawn.device)
        if bool(uneven.any()):
            self._take((chosen + first[:, None]).flatten(), column + 1)

    def _choose_particles(self, num_chosen: int) -> None:
        """One candidate per row, by weight; what follows `num_chosen` columns is drawn for it alone."""
        weights = self.log_weights.softmax(1)
        chosen = self._multinomial(weights, 1)[:, 0]
        self._take(chosen + weights.shape[1] * torch.arange(len(weights), device=chosen.device), num_chosen)
        self.log_weights = torch.zeros(len(weights), 1, device=chosen.device)

    def _multinomial(self, weights: Tensor, count: int) -> Tensor:
        device = self.generator.device
        return torch.multinomial(weights.to(device), count, replacement=True, generator=self.generator).to(
            weights.device
        )

    def _take(self, index: Tensor, num_chosen: int) -> None:
        """Go on with these candidates; inputs and units of `num_chosen` columns are there, others yet to come."""
        units = self.plan.columns[num_chosen - 1].units.stop if num_chosen else 0
        self.inputs = _columns_of(self.inputs, index, self.plan.starts[num_chosen])
        self.states = [_columns_of(part, index, self.plan.latent_dim + 1 + units) for part in self.states]
        self.sums = [part.index_select(1, index) for part in self.sums]
        self.tokens, self.places = self.tokens[index], self.places[index]
        self.mask, self.known_tokens = self.mask[index], self.known_tokens[index]
        self.known_places, self.known_values = self.known_places[index], self.known_values[index]
        self.is_left, self.may_miss = self.is_left[index], self.may_miss[index]
        self.log_carried = self.log_carried[index]
        self.totals, self.num_rows = self.totals[index.cpu().numpy()], len(index)


def _columns_of(values: Tensor, index: Tensor, num_rows: int) -> Tensor:
    """These columns of a matrix in its first `num_rows` rows; the others are left to be written."""
    result = values.new_empty(len(values), len(index))
    torch.index_select(values[:num_rows], 1, index, out=result[:num_rows])
    return result
