"""The group `synthesizer`: one dataclass per kind of model."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from tabveil.config.checks import check_positive, check_range, check_types
from tabveil.errors import ConfigError


@dataclass
class SynthesizerConfig:
    """What every synthesizer has. `name` picks the class."""

    name: str = "???"
    seed: int = 0
    min_rows: int = 200  # fewer training rows than this are refused

    def __post_init__(self) -> None:
        check_types(self, "synthesizer")
        check_range("synthesizer.seed", self.seed, 0, 2**31 - 1, "integer")
        check_range("synthesizer.min_rows", self.min_rows, 20, 10**9, "integer")

    @property
    def step_budget(self) -> int:
        """Training steps of a table of ordinary size; 0 for kinds that count otherwise."""
        return 0


PRESET_STEPS = {"fast": 250, "balanced": 660, "best": 2000}
MAX_WEIGHT_DECAY = 15.0  # of small tables
SMALL_TABLE = 0.4  # of full_budget_rows: tables up to here get all of small_table_dropout


@dataclass
class TVAEConfig(SynthesizerConfig):
    """TabVeil's TVAE (`tabveil.synthesizers.tvae`)."""

    name: str = "tvae"
    num_threads: int = 0  # of training, which changes no byte; 0: one per core, at most 2
    sampling_threads: int = 0  # batches drawn side by side, which changes no byte; 0: one per core, at most 8
    device: str = "auto"  # auto (a CUDA GPU where there is one), cpu, cuda or cuda:<n>
    preset: str = "balanced"  # a step budget, see PRESET_STEPS
    max_steps: int = 0  # instead of the preset's; 0: as the preset says
    max_seconds: float = 0.0  # of training; the schedule cools down in this time. 0: no limit
    max_memory_mb: int = 0  # of training, beyond the table and the libraries: fewer rows are read. 0: no limit
    full_budget_rows: int = 20_000  # smaller tables get fewer steps of the budget, see schedule.planned_steps
    batch_size: int = 512
    learning_rate: float = 0.012
    beta: float = 1.0  # weight of the KL term
    beta_warmup_fraction: float = 0.2
    latent_dim: int = 8
    embedding_dim: int = 8
    encoder_dim: int = 128
    decoder_dim: int = 256
    dropout: float = 0.0  # at least so much, in tables of any size
    small_table_dropout: float = 0.5  # of tables far below full_budget_rows, if that is more; see dropout_at
    weight_decay: float = 2.1  # on the autoregressive matrices, of a table of full_budget_rows; see weight_decay_at
    ema_decay: float = 0.99
    validation_fraction: float = 0.1
    patience: int = 6  # validation checks without improvement before training stops
    validate_every: int = 50  # steps
    max_bins: int = 64
    min_bin_rows: int = 400
    spike_fraction: float = 0.004  # of the rows: an exact value that is as frequent is kept
    spike_fraction_of_rest: float = 0.02  # or of the rows that have a value and no more frequent one
    min_spike_rows: int = 10
    rare_threshold: int = 8  # k: a category of fewer entities never leaves the tokeniser; extremes cut at the k-th one
    max_categories: int = 5000

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.preset not in PRESET_STEPS:
            raise ConfigError(f"synthesizer.preset must be one of {sorted(PRESET_STEPS)}, however: {self.preset!r}")
        check_range("synthesizer.max_steps", self.max_steps, 0, 10**9, "integer")
        check_positive("synthesizer.learning_rate", self.learning_rate)
        for name in ("num_threads", "sampling_threads"):
            check_range(f"synthesizer.{name}", getattr(self, name), 0, 256, "integer")
        for name in ("batch_size", "latent_dim", "embedding_dim", "encoder_dim", "decoder_dim"):
            check_range(f"synthesizer.{name}", getattr(self, name), 1, 10**6, "integer")
        for name in ("patience", "validate_every", "max_bins", "min_bin_rows", "max_categories", "full_budget_rows"):
            check_range(f"synthesizer.{name}", getattr(self, name), 1, 10**9, "integer")
        for name in ("beta_warmup_fraction", "spike_fraction", "spike_fraction_of_rest"):
            check_range(f"synthesizer.{name}", getattr(self, name), 0, 1)
        check_range("synthesizer.max_seconds", self.max_seconds, 0, 10**7)
        check_range("synthesizer.max_memory_mb", self.max_memory_mb, 0, 10**9, "integer")
        if not re.fullmatch(r"auto|cpu|cuda(:[0-9]{1,3})?", self.device):
            raise ConfigError(f"synthesizer.device must be auto, cpu, cuda or cuda:<n>, however: {self.device!r}")
        check_range("synthesizer.validation_fraction", self.validation_fraction, 0.01, 0.5)
        for name in ("dropout", "small_table_dropout"):
            check_range(f"synthesizer.{name}", getattr(self, name), 0, 0.9)
        check_range("synthesizer.ema_decay", self.ema_decay, 0, 0.99999)
        check_range("synthesizer.beta", self.beta, 0, 100)
        check_range("synthesizer.weight_decay", self.weight_decay, 0, 10)
        for name in ("rare_threshold", "min_spike_rows"):
            check_range(f"synthesizer.{name}", getattr(self, name), 2, 10**6, "integer")

    @property
    def step_budget(self) -> int:
        """`max_steps`, or the preset's; what a table gets of it, `schedule.planned_steps` says."""
        return self.max_steps or PRESET_STEPS[self.preset]

    def weight_decay_at(self, num_rows: int) -> float:
        """Weight decay for a table of so many rows: the fewer rows, the more, at most `MAX_WEIGHT_DECAY`.

        It acts as a prior does, whose weight beside the mean loss of a row falls with their number.
        """
        scaled = self.weight_decay * math.pow(self.full_budget_rows / num_rows, 0.8)
        return min(scaled, MAX_WEIGHT_DECAY)

    def dropout_at(self, num_rows: int) -> float:
        """Share of the hidden units that a training step drops.

        `dropout`, or, if that is more, `small_table_dropout` up to `SMALL_TABLE` times `full_budget_rows`, falling from
        there linearly to zero at `full_budget_rows`.
        """
        missing = max(0.0, 1 - num_rows / self.full_budget_rows)
        return max(self.dropout, self.small_table_dropout * min(1.0, missing / (1 - SMALL_TABLE)))


@dataclass
class SDVConfig(SynthesizerConfig):
    """An SDV baseline; `epochs` is ignored by the Gaussian copula."""

    num_threads: int = 2
    epochs: int = 300

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("synthesizer.num_threads", self.num_threads, 1, 256, "integer")
        check_range("synthesizer.epochs", self.epochs, 1, 10**5, "integer")


SYNTHESIZER_CONFIGS: dict[str, type[SynthesizerConfig]] = {
    "tvae": TVAEConfig,
    "sdv_tvae": SDVConfig,
    "sdv_ctgan": SDVConfig,
    "sdv_gaussian_copula": SDVConfig,
}
