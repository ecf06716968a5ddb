"""How long a training is, which rows it reads when, and how fast it learns."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from tabveil.config import TVAEConfig
from tabveil.entities import Codes

WARMUP_FRACTION = 0.15  # of the training until the learning rate peaks
START_DIVISOR, END_DIVISOR = 25.0, 250_000.0  # of the peak, where the learning rate starts and ends
MIN_STEPS = 100
LARGE_TABLE_ROWS, MAX_GROWTH = 50_000, 3.0
MAX_VALIDATION_ROWS = 10_000  # enough to compare losses by; more would take longer than the training


def planned_steps(num_rows: int, config: TVAEConfig) -> int:
    """Length of the learning-rate schedule: the step budget, less for small tables, more for large ones.

    A small table (it falls with rows to the power .2 below `config.full_budget_rows`) over-fits before a long schedule
    has cooled down; a short one cools down in time. Above `LARGE_TABLE_ROWS` rows, a preset's budget grows up to
    `MAX_GROWTH` times: there is more to learn, and it is not seen often enough to be memorised. A budget of one's own
    (`max_steps`) is never exceeded.
    """
    budget, share = float(config.step_budget), min(1.0, math.pow(num_rows / config.full_budget_rows, 0.2))
    if not config.max_steps:
        budget *= min(max(1.0, math.sqrt(num_rows / LARGE_TABLE_ROWS)), MAX_GROWTH)
    return round(min(budget, max(MIN_STEPS, budget * share)))


def split_rows(
    num_rows: int, fraction: float, rng: np.random.Generator, entities: Codes | None = None
) -> tuple[Tensor, Tensor]:
    """Indices of the training and of the validation rows, at least one each, whole entities on one side.

    Rows of a known person would not show that people are being memorised. At most `MAX_VALIDATION_ROWS` validate.
    """
    fraction = min(fraction, MAX_VALIDATION_ROWS / num_rows)
    order = torch.from_numpy(rng.permutation(num_rows))
    if entities is None:
        num_validation = min(max(round(num_rows * fraction), 1), num_rows - 1)
        return order[num_validation:], order[:num_validation]
    firsts = pd.unique(entities[order.numpy()])  # entities in the order of a random row of theirs
    ends = np.cumsum(np.bincount(entities)[firsts])
    taken = int(np.abs(ends[:-1] - num_rows * fraction).argmin()) + 1
    held = torch.from_numpy(np.isin(entities[order.numpy()], firsts[:taken]))
    return order[~held], order[held]


class Batches:
    """Endless shuffled index batches; each pass over the rows is a new order, its incomplete last batch left out.

    Attributes:
        pass_state: state of the generator before it ordered the current pass. position: batches used of that pass.
    """

    def __init__(self, num_rows: int, size: int, rng: np.random.Generator) -> None:
        self.num_rows, self.size, self.rng = num_rows, min(size, num_rows), rng
        self._shuffle()

    def go_to(self, pass_state: dict[str, Any], position: int) -> None:
        """Continue where another instance stood."""
        self.rng.bit_generator.state = pass_state
        self._shuffle()
        self.position = position

    def __next__(self) -> Tensor:
        if (self.position + 1) * self.size > self.num_rows:
            self._shuffle()
        start = self.position * self.size
        self.position += 1
        return self.order[start : start + self.size]

    def _shuffle(self) -> None:
        self.pass_state, self.position = dict(self.rng.bit_generator.state), 0
        self.order = torch.from_numpy(self.rng.permutation(self.num_rows))


def learning_rate(progress: float, peak: float) -> float:
    """One cycle (Smith & Topin 2018, arXiv 1708.07120): cosine from peak/25 up to the peak, and down to nothing.

    Args:
        progress: share of the training that is done, in [0, 1]; the peak is at `WARMUP_FRACTION`.
    """
    if progress < WARMUP_FRACTION:
        return _cosine(peak / START_DIVISOR, peak, progress / WARMUP_FRACTION)
    return _cosine(peak, peak / END_DIVISOR, (progress - WARMUP_FRACTION) / (1 - WARMUP_FRACTION))


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) / 2 * (1 + math.cos(math.pi * min(share, 1.0)))
