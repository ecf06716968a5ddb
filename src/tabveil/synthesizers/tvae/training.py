"""The training loop: minibatches by index from tensors in memory, one-cycle AdamW, averaged weights, early stopping.

The criterion is the negative ELBO per row of a validation split that the optimiser never sees, with averaged (EMA)
weights and the same noise every time. Because numbers are scored as a smooth density over their ranks, not as the
identity of a bin, the criterion does not turn up merely because neighbouring bins are confused. The best weights seen
are kept; `patience` checks without a better one end the training.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from tabveil.config import TVAEConfig
from tabveil.entities import Codes
from tabveil.errors import TrainingError
from tabveil.synthesizers.base import LossRecord
from tabveil.synthesizers.runtime import random_state, set_random_state
from tabveil.synthesizers.tvae.checkpoint import (
    Checkpoint,
    Tensors,
    load_checkpoint,
    remove_checkpoint,
    save_checkpoint,
    training_digest,
)
from tabveil.synthesizers.tvae.gradients import Batch, clip_gradients, differentiate, num_pieces
from tabveil.synthesizers.tvae.memory import rows_at_once
from tabveil.synthesizers.tvae.network import Noise, TVAENetwork
from tabveil.synthesizers.tvae.optimizer import AdamW, Group
from tabveil.synthesizers.tvae.parallel import Pieces, split_evenly, worker_threads
from tabveil.synthesizers.tvae.schedule import Batches, learning_rate, planned_steps, split_rows
from tabveil.synthesizers.tvae.tokenizer import TokenTable

OTHER_WEIGHT_DECAY = 1e-3  # outside the autoregressive matrices
MAX_GRADIENT_NORM = 50.0  # in nats per row; only a guard against a runaway step

Validated = Callable[[LossRecord], None]


@dataclass(frozen=True)
class Rows:
    """Encoded rows as tensors: tokens int32 (num_rows, num_columns), places float32 (num_rows, num_numeric)."""

    tokens: Tensor
    places: Tensor

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, index: Tensor | slice) -> Rows:
        return Rows(self.tokens[index], self.places[index])

    def batch(self, index: Tensor | slice, device: torch.device) -> tuple[Tensor, Tensor]:
        """Tokens, int64, and places of some rows, on a device."""
        return self.tokens[index].to(device, torch.int64), self.places[index].to(device)


def rows_of(table: TokenTable) -> Rows:
    """An encoded table as tensors."""
    return Rows(torch.from_numpy(table.tokens), torch.from_numpy(table.places))


def train(
    network: TVAENetwork,
    rows: Rows,
    config: TVAEConfig,
    rng: np.random.Generator,
    on_check: Validated,
    *,
    entities: Codes | None = None,
    checkpoint: Path | None = None,
) -> None:
    """Fit the network in place; it ends with the best averaged weights.

    Call inside `runtime.isolated`: dropout and noise come from torch's global generator.

    Args:
        rng: draws the validation split and the order of the rows.
        on_check: called every `config.validate_every` steps.
        entities: whose row each is; an entity's rows are on one side of the validation split.
        checkpoint: folder in which the training is kept while it runs. One of the same rows and settings is gone on
            with, to the same bytes as without the interruption (unless `config.max_seconds` ends it); any other is
            replaced.

    Raises:
        TrainingError: the loss is not finite.
    """
    _Run(network, rows, config, rng, entities).loop(on_check, checkpoint)


def parameter_groups(network: TVAENetwork, weight_decay: float) -> tuple[Group, Group]:
    """The autoregressive matrices with their own weight decay, and all other parameters."""
    matrices = [layer.weight for layer in network.decoder.masked_layers]
    known = {id(p) for p in matrices}
    others = [p for p in network.parameters() if id(p) not in known]
    return Group(matrices, weight_decay), Group(others, OTHER_WEIGHT_DECAY)


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
        self.device = network.device
        self.dropout = config.dropout_at(len(rows))
        self.num_steps = planned_steps(len(rows), config)
        train_index, validation_index = split_rows(len(rows), config.validation_fraction, rng, entities)
        self.train_rows, self.validation_rows = rows[train_index], rows[validation_index]
        self.averaged = copy.deepcopy(network).requires_grad_(False)
        self.optimizer = AdamW(parameter_groups(network, config.weight_decay_at(len(rows))))
        self.batches = Batches(len(self.train_rows), config.batch_size, rng)
        self.records: list[LossRecord] = []
        self.elapsed_before, self.started = 0.0, time.monotonic()
        self.best, self.best_state, self.checks_since_best = math.inf, network.state_dict(), 0
        self.validation_noise = torch.randn(len(self.validation_rows), config.latent_dim, device="cpu")

    def loop(self, on_check: Validated, checkpoint: Path | None) -> None:
        """Steps until the plan, the time or the patience is used up."""
        digest = self._digest() if checkpoint else ""
        found = load_checkpoint(checkpoint, digest) if checkpoint else None
        if found is not None:
            self._restore(found)
            for record in self.records:
                on_check(record)
        with worker_threads(self.config.num_threads, num_pieces(self.device)) as pieces:
            for record in self._checks(pieces):
                self._judge(record)
                if checkpoint is not None:
                    save_checkpoint(checkpoint, digest, self._state())
                on_check(record)
        self.network.load_state_dict(self.best_state)
        if checkpoint is not None:
            remove_checkpoint(checkpoint)

    def _checks(self, pieces: Pieces) -> Iterator[LossRecord]:
        """The steps that are left, a record at each validation check."""
        losses: list[float] = []
        for step in range(self._last_step() + 1, self.num_steps + 1):
            if self.checks_since_best >= self.config.patience or (self.records and not losses and self._is_over(step)):
                return
            losses.append(self._step(next(self.batches), step, pieces))
            last = self._is_over(step + 1)  # asked once: no step may follow that no check would judge
            if last or step % self.config.validate_every == 0:
                self.records.append(LossRecord(step, float(np.mean(losses)), self._validation_loss(pieces)))
                losses = []
                yield self.records[-1]
            if last:
                return

    def _last_step(self) -> int:
        return self.records[-1].step if self.records else 0

    def _elapsed_seconds(self) -> float:
        return self.elapsed_before + time.monotonic() - self.started

    def _progress(self, step: int) -> float:
        """Share of the training before a step that is done, in steps or, if that is more, in time."""
        done = (step - 1) / self.num_steps
        return max(done, self._elapsed_seconds() / self.config.max_seconds) if self.config.max_seconds else done

    def _is_over(self, step: int) -> bool:
        """Whether nothing is left for a step, of the plan or of the time."""
        return self._progress(step) >= 1

    def _step(self, index: Tensor, step: int, pieces: Pieces) -> float:
        config, progress = self.config, min(self._progress(step), 1.0)
        warmup = min(1.0, (progress + 1 / self.num_steps) / max(config.beta_warmup_fraction, 1 / self.num_steps))
        noise = self.network.noise(len(index), self.dropout)
        batch = Batch(*self.train_rows.batch(index, self.device), noise)
        value = differentiate(self.network, batch, config.beta * warmup, pieces)
        _require_finite(value, step)
        clip_gradients(self.network.parameters(), MAX_GRADIENT_NORM)
        self.optimizer.step(learning_rate(progress, config.learning_rate))
        self._average(step)
        return value

    def _average(self, step: int) -> None:
        decay = min(self.config.ema_decay, (1 + step) / (10 + step))
        current = [p.detach() for p in self.network.parameters()]
        get_ema_multi_avg_fn(decay)(list(self.averaged.parameters()), current, step)  # type: ignore[no-untyped-call]

    def _validation_loss(self, pieces: Pieces) -> float:
        rows, side_by_side = self.validation_rows, num_pieces(self.device)
        most = rows_at_once(self.network.layout.num_tokens) // side_by_side
        parts = split_evenly(len(rows), max(side_by_side, -(-len(rows) // most)))

        @torch.no_grad()
        def total(i: int) -> float:
            noise = Noise(self.validation_noise[parts[i]].to(self.device))
            cells, divergence = self.averaged.elbo(*rows.batch(parts[i], self.device), noise)
            return float(cells.sum() + divergence.sum())

        return float(sum(pieces(total, len(parts)))) / len(rows)

    def _judge(self, record: LossRecord) -> None:
        """Keep the averaged weights if they are the best so far."""
        validation = record.validation
        assert validation is not None  # noqa: S101
        _require_finite(validation, record.step)
        self.checks_since_best += 1
        if validation < self.best:
            self.best, self.checks_since_best = validation, 0
            self.best_state = {name: value.clone() for name, value in self.averaged.state_dict().items()}

    def _digest(self) -> str:
        rows = (self.train_rows, self.validation_rows)
        return training_digest(self.config, [t for part in rows for t in (part.tokens, part.places)])

    def _state(self) -> Checkpoint:
        tensors = {"random": random_state(self.device), "validation_noise": self.validation_noise}
        for room, state in self._weights().items():
            tensors |= {f"{room}.{name}": value for name, value in state.items()}
        tensors |= {f"moment.{name}": value for name, value in self.optimizer.state().items()}
        return Checkpoint(
            tensors=tensors,
            numpy_state=self.batches.pass_state,
            position=self.batches.position,
            records=tuple(self.records),
            best=self.best,
            checks_since_best=self.checks_since_best,
            elapsed_seconds=self._elapsed_seconds(),
        )

    def _weights(self) -> dict[str, dict[str, Tensor]]:
        averaged = self.averaged.state_dict()
        return {"network": self.network.state_dict(), "averaged": averaged, "best": self.best_state}

    def _restore(self, checkpoint: Checkpoint) -> None:
        tensors = checkpoint.tensors
        self.network.load_state_dict(_room(tensors, "network"))
        self.averaged.load_state_dict(_room(tensors, "averaged"))
        self.best_state, self.validation_noise = _room(tensors, "best"), tensors["validation_noise"]
        self.optimizer.restore(_room(tensors, "moment"))
        self.batches.go_to(checkpoint.numpy_state, checkpoint.position)
        self.records, self.elapsed_before = list(checkpoint.records), checkpoint.elapsed_seconds
        self.best, self.checks_since_best = checkpoint.best, checkpoint.checks_since_best
        set_random_state(self.device, tensors["random"])


def _room(tensors: Tensors, room: str) -> Tensors:
    return {name.removeprefix(f"{room}."): value for name, value in tensors.items() if name.startswith(f"{room}.")}


def _require_finite(loss: float, step: int) -> None:
    if not math.isfinite(loss):
        raise TrainingError(
            f"the loss must be finite, however: {loss} at step {step}: lower synthesizer.learning_rate and train again"
        )
