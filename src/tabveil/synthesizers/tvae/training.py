"""The training loop: minibatches by index from tensors in memory, one-cycle AdamW, averaged weights, early stopping.

The criterion is the negative ELBO per row of a validation split that the optimiser never sees, with averaged (EMA)
weights and the same noise every time. Because numbers are scored as a smooth density over their ranks, not as the
identity of a bin, the criterion does not turn up merely because neighbouring bins are confused. The best weights seen
are kept; `patience` checks without a better one end the training.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from tabveil.config import TVAEConfig
from tabveil.entities import Codes
from tabveil.errors import TrainingError
from tabveil.synthesizers.base import LossRecord
from tabveil.synthesizers.tvae.network import TVAENetwork
from tabveil.synthesizers.tvae.tokenizer import TokenTable

WARMUP_FRACTION = 0.15  # of the steps until the learning rate peaks
BETAS = (0.9, 0.99)
OTHER_WEIGHT_DECAY = 1e-3  # outside the autoregressive matrices
MAX_GRADIENT_NORM = 50.0  # in nats per row; only a guard against a runaway step
VALIDATION_BATCH = 4096
MIN_STEPS = 100

Validated = Callable[[LossRecord], None]


@dataclass(frozen=True)
class Rows:
    """Encoded rows as tensors: tokens int64, places float32, features float32 (flattened per row)."""

    tokens: Tensor
    places: Tensor
    features: Tensor

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, index: Tensor | slice) -> Rows:
        return Rows(self.tokens[index], self.places[index], self.features[index])


def rows_of(table: TokenTable) -> Rows:
    """An encoded table as tensors."""
    features = torch.from_numpy(table.features).flatten(1)
    return Rows(torch.from_numpy(table.tokens), torch.from_numpy(table.places), features)


def train(
    network: TVAENetwork,
    rows: Rows,
    config: TVAEConfig,
    rng: np.random.Generator,
    on_check: Validated,
    *,
    entities: Codes | None = None,
) -> None:
    """Fit the network in place; it ends with the best averaged weights, in evaluation mode.

    Call inside `runtime.isolated`: dropout and noise come from torch's global generator.

    Args:
        rng: draws the validation split and the order of the rows.
        on_check: called every `config.validate_every` steps.
        entities: whose row each is; an entity's rows are on one side of the validation split.

    Raises:
        TrainingError: the loss is not finite.
    """
    _Run(network, rows, config, rng, entities).loop(on_check)


def planned_steps(num_rows: int, config: TVAEConfig) -> int:
    """Length of the learning-rate schedule: `max_steps`, less (by the square root) for small tables.

    A small table over-fits before a long schedule has cooled down; a short one cools down in time.
    """
    share = min(1.0, math.sqrt(num_rows / config.full_budget_rows))
    return min(config.max_steps, max(MIN_STEPS, round(config.max_steps * share)))


def split_rows(
    num_rows: int, fraction: float, rng: np.random.Generator, entities: Codes | None = None
) -> tuple[Tensor, Tensor]:
    """Indices of the training and of the validation rows, at least one each, whole entities on one side.

    Rows of a known person would not show that people are being memorised.
    """
    order = torch.from_numpy(rng.permutation(num_rows))
    if entities is None:
        num_validation = min(max(round(num_rows * fraction), 1), num_rows - 1)
        return order[num_validation:], order[:num_validation]
    firsts = pd.unique(entities[order.numpy()])  # entities in the order of a random row of theirs
    ends = np.cumsum(np.bincount(entities)[firsts])
    taken = int(np.abs(ends[:-1] - num_rows * fraction).argmin()) + 1
    held = torch.from_numpy(np.isin(entities[order.numpy()], firsts[:taken]))
    return order[~held], order[held]


def batches(num_rows: int, size: int, rng: np.random.Generator) -> Iterator[Tensor]:
    """Endless shuffled index batches; each pass over the rows is a new order, its incomplete last batch left out."""
    size = min(size, num_rows)
    while True:
        order = torch.from_numpy(rng.permutation(num_rows))
        for start in range(0, num_rows - size + 1, size):
            yield order[start : start + size]


def parameter_groups(network: TVAENetwork, weight_decay: float) -> list[dict[str, object]]:
    """The autoregressive matrices with their own weight decay, and all other parameters."""
    decoder = network.decoder
    matrices = [layer.weight for layer in (*decoder.inputs, *decoder.hidden, decoder.heads)]
    known = {id(p) for p in matrices}
    others = [p for p in network.parameters() if id(p) not in known]
    return [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": others, "weight_decay": OTHER_WEIGHT_DECAY},
    ]


class _Run:
    """State of one training."""

    def __init__(
        self,
        network: TVAENetwork,
        rows: Rows,
        config: TVAEConfig,
        rng: np.random.Generator,
        entities: Codes | None,
    ) -> None:
        self.network, self.config, self.rng = network, config, rng
        self.num_steps = planned_steps(len(rows), config)
        train_index, validation_index = split_rows(len(rows), config.validation_fraction, rng, entities)
        self.train_rows, self.validation_rows = rows[train_index], rows[validation_index]
        self.averaged = copy.deepcopy(network).requires_grad_(False).eval()
        self.optimizer = torch.optim.AdamW(
            parameter_groups(network, config.weight_decay), lr=config.learning_rate, betas=BETAS, fused=True
        )
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer,
            max_lr=config.learning_rate,
            total_steps=self.num_steps + 1,
            pct_start=WARMUP_FRACTION,
            cycle_momentum=False,
        )
        self.best, self.best_state, self.checks_since_best = math.inf, network.state_dict(), 0
        self.validation_noise = torch.randn(len(self.validation_rows), config.latent_dim)

    def loop(self, on_check: Validated) -> None:
        """Steps until the plan or the patience is used up."""
        config = self.config
        index = batches(len(self.train_rows), config.batch_size, self.rng)
        losses: list[float] = []
        self.network.train()
        for step in range(1, self.num_steps + 1):
            losses.append(self._step(self.train_rows[next(index)], step))
            if step % config.validate_every == 0 or step == self.num_steps:
                record = LossRecord(step, float(np.mean(losses)), self._validation_loss())
                losses = []
                on_check(record)
                if self._finished(record):
                    break
        self.network.load_state_dict(self.best_state)
        self.network.eval()

    def _step(self, rows: Rows, step: int) -> float:
        config = self.config
        warmup = max(config.beta_warmup_fraction * self.num_steps, 1)
        noise = torch.randn(len(rows), config.latent_dim)
        cells, divergence = self.network.elbo(rows.tokens, rows.places, rows.features, noise)
        loss = cells.sum(1).mean() + config.beta * min(1.0, step / warmup) * divergence.mean()
        value = float(loss.detach())
        _require_finite(value, step)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), MAX_GRADIENT_NORM)
        self.optimizer.step()
        self.schedule.step()
        self._average(step)
        return value

    def _average(self, step: int) -> None:
        decay = min(self.config.ema_decay, (1 + step) / (10 + step))
        current = [p.detach() for p in self.network.parameters()]
        get_ema_multi_avg_fn(decay)(list(self.averaged.parameters()), current, step)  # type: ignore[no-untyped-call]

    @torch.no_grad()
    def _validation_loss(self) -> float:
        rows, total = self.validation_rows, 0.0
        for start in range(0, len(rows), VALIDATION_BATCH):
            part = rows[slice(start, start + VALIDATION_BATCH)]
            noise = self.validation_noise[start : start + VALIDATION_BATCH]
            cells, divergence = self.averaged.elbo(part.tokens, part.places, part.features, noise)
            total += float(cells.sum() + divergence.sum())
        return total / len(rows)

    def _finished(self, record: LossRecord) -> bool:
        validation = record.validation
        assert validation is not None  # noqa: S101
        _require_finite(validation, record.step)
        if validation < self.best:
            self.best, self.checks_since_best = validation, 0
            self.best_state = {name: value.clone() for name, value in self.averaged.state_dict().items()}
        else:
            self.checks_since_best += 1
        return self.checks_since_best >= self.config.patience


def _require_finite(loss: float, step: int) -> None:
    if not math.isfinite(loss):
        raise TrainingError(
            f"the loss must be finite, however: {loss} at step {step}: lower synthesizer.learning_rate and train again"
        )
