"""TabVeil's TVAE: quantile-mode tokens, an encoder, a masked decoder, sampled heads (docs/engine.md)."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from tabveil.config import SynthesizerConfig, TVAEConfig
from tabveil.entities import Codes
from tabveil.errors import ConfigError, NotFittedError, TrainingError
from tabveil.schema import Metadata
from tabveil.synthesizers.arguments import require_several
from tabveil.synthesizers.base import LossRecord, Synthesizer, Watch
from tabveil.synthesizers.combinations import require_allowed
from tabveil.synthesizers.progress import training_progress
from tabveil.synthesizers.runtime import isolated, resolve_device
from tabveil.synthesizers.tvae.combination_rules import CombinationRule, combination_rules, require_combined
from tabveil.synthesizers.tvae.conditional import draw_given
from tabveil.synthesizers.tvae.given_totals import require_reachable, settled, with_left
from tabveil.synthesizers.tvae.known import known_cells, require_learned
from tabveil.synthesizers.tvae.likelihood import log_likelihood
from tabveil.synthesizers.tvae.memory import rows_within
from tabveil.synthesizers.tvae.network import TVAENetwork
from tabveil.synthesizers.tvae.order_rules import order_rules, require_room
from tabveil.synthesizers.tvae.relations import relations_of, require_drawable, within_categories
from tabveil.synthesizers.tvae.rules import rules_of
from tabveil.synthesizers.tvae.sampling import SamplingPlan, draw
from tabveil.synthesizers.tvae.schedule import planned_steps
from tabveil.synthesizers.tvae.storage import load_model, save_model
from tabveil.synthesizers.tvae.tokenizer import Tokenizer, fit_tokenizer, log_shares
from tabveil.synthesizers.tvae.training import rows_of, train

LIKELIHOOD_DRAWS = 16  # of z per row, in `log_prob`


class TVAE(Synthesizer):
    """A variational autoencoder for tables (Xu et al. 2019) with a masked decoder (Germain et al. 2015).

    Args:
        config: a `TVAEConfig`.
    """

    name: ClassVar[str] = "tvae"
    config: TVAEConfig

    def __init__(self, config: SynthesizerConfig) -> None:
        if not isinstance(config, TVAEConfig):
            raise ConfigError(f"the TVAE needs a TVAEConfig, however: {type(config).__name__}")
        super().__init__(config)
        self._model: tuple[Tokenizer, TVAENetwork] | None = None
        self._sampling_plan: SamplingPlan | None = None  # of this model, from the first sample on
        self._combination_rules: tuple[CombinationRule, ...] = ()

    def _fit(self, table: pd.DataFrame, metadata: Metadata, entities: Codes | None, watch: Watch) -> None:
        if table.shape[1] == 0:
            raise TrainingError("there must be a column besides the computed totals, however there is none")
        config, rng = self.config, np.random.default_rng(self.config.seed)
        device = resolve_device(config.device)
        exact = {name for known in self.combinations for name in known.columns}
        order = _generation_order(list(table.columns), metadata.target)
        tokenizer = fit_tokenizer(table, metadata, order, config, rng, entities=entities, exact=exact)
        tokenizer = within_categories(tokenizer, table, self.combinations, config.max_categories, entities)
        require_drawable(relations_of(tokenizer, self.combinations))
        with isolated(config.seed, 1, device=device):
            with torch.device("cpu"):  # the same first weights on every device
                network = TVAENetwork(tokenizer, config)
            table, entities = _fitting(table, entities, rows_within(network, config, table), rng)
            require_several(entities, len(table))
            encoded = tokenizer.encode(table, rng)
            network.start_at(log_shares(tokenizer, encoded, config.rare_threshold, entities))
            with training_progress(planned_steps(len(table), config), watch.progress) as advance:

                def on_check(record: LossRecord) -> None:
                    watch.on_loss(record)
                    advance(record)

                rows = rows_of(encoded)
                train(network.to(device), rows, config, rng, on_check, entities=entities, checkpoint=watch.checkpoint)
        self._model, self._sampling_plan = (tokenizer, network), None
        self._combination_rules = combination_rules(tokenizer, self.combinations)

    def _sample(self, num_rows: int, seed: int) -> pd.DataFrame:
        with isolated(seed, 1, device=self._device):
            tokens, places = draw(self._plan(), num_rows, seed, self._sampling_threads)
        return self._fitted()[0].decode(tokens, places)

    def _sample_given(
        self, table: pd.DataFrame, given: NDArray[np.bool_], seed: int, *, complete: bool
    ) -> pd.DataFrame:
        tokenizer = self._fitted()[0]
        known = known_cells(tokenizer, table, given, np.random.default_rng(seed), self._totals, complete=complete)
        with isolated(seed, 1, device=self._device):
            (tokens, places), left = draw_given(self._plan(), known, seed, self._sampling_threads)
        drawn = with_left(tokenizer.decode(tokens, places), tokenizer, left)
        for position, name in enumerate(table.columns):  # exactly as given, also what tokens keep only nearly
            if name in drawn.columns:
                drawn[name] = table[name].where(pd.Series(given[:, position]), drawn[name])
        for rule in order_rules(tokenizer, self.metadata.modelled_constraints):
            rule.keep(drawn, ~known.mask & np.isnan(left))
        return settled(drawn, tokenizer, known.totals, ~known.mask)

    def _require_learned(self, asked: pd.DataFrame) -> None:
        tokenizer, given = self._fitted()[0], np.ones(asked.shape, dtype=bool)
        known = known_cells(tokenizer, asked, given, np.random.default_rng(0), self._totals)
        require_learned(tokenizer, asked, known)
        require_allowed(asked, self.combinations)
        require_combined(tokenizer, self._combination_rules, known)
        require_room(tokenizer, order_rules(tokenizer, self.metadata.modelled_constraints), known)
        require_reachable(tokenizer, known.totals, known)

    def _log_prob(self, table: pd.DataFrame, seed: int) -> NDArray[np.float64]:
        tokenizer, network = self._fitted()
        rows = rows_of(tokenizer.encode(table, np.random.default_rng(seed)))
        with isolated(seed, 1, device=self._device):
            found = log_likelihood(network, rows, LIKELIHOOD_DRAWS, seed, self._sampling_threads)
        return found.numpy().astype(np.float64)

    def _save(self, folder: Path) -> None:
        save_model(folder, *self._fitted())

    def _load(self, folder: Path) -> None:
        """A model trained on a GPU is loaded to the processor where there is none."""
        order = _generation_order(self._modelled(), self.metadata.target)
        tokenizer, network = load_model(folder, self.config, [self.metadata[name] for name in order])
        device = resolve_device("cpu" if self.config.device == "cpu" else "auto")
        self._model, self._sampling_plan = (tokenizer, network.to(device)), None
        self._combination_rules = combination_rules(tokenizer, self.combinations)

    @property
    def _min_count(self) -> int:
        return self.config.rare_threshold

    @torch.no_grad()
    def _plan(self) -> SamplingPlan:
        if self._sampling_plan is None:
            tokenizer, network = self._fitted()
            rules = rules_of(tokenizer, self.metadata.modelled_constraints, self._combination_rules)
            self._sampling_plan = SamplingPlan(network, tokenizer, rules)
        return self._sampling_plan

    @property
    def _sampling_threads(self) -> int:
        """Batches that a GPU would draw side by side wait for each other: there one thread is enough."""
        return self.config.sampling_threads if self._device.type == "cpu" else 1

    @property
    def _device(self) -> torch.device:
        return self._fitted()[1].device

    def _fitted(self) -> tuple[Tokenizer, TVAENetwork]:
        if self._model is None:
            raise NotFittedError("the TVAE must be fitted or loaded first: call fit()")
        return self._model


def _generation_order(columns: list[str], target: str | None) -> list[str]:
    """The table's order, but the target last: what predicts it is then learned as such, from every other column."""
    return sorted(columns, key=lambda name: name == target)


def _fitting(
    table: pd.DataFrame, entities: Codes | None, num_rows: int, rng: np.random.Generator
) -> tuple[pd.DataFrame, Codes | None]:
    """All rows, or as many as fit, drawn at random, with a warning."""
    if num_rows >= len(table):
        return table, entities
    warnings.warn(
        f"synthesizer.max_memory_mb lets the network see {num_rows:,} of {len(table):,} rows, drawn at random",
        stacklevel=2,
    )
    chosen = np.sort(rng.choice(len(table), num_rows, replace=False))
    return table.iloc[chosen], None if entities is None else np.unique(entities[chosen], return_inverse=True)[1]
