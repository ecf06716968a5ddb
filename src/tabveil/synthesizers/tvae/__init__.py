"""TabVeil's TVAE: quantile-mode tokens, an encoder, a masked decoder, sampled heads (docs/engine.md)."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import torch

from tabveil.config import SynthesizerConfig, TVAEConfig
from tabveil.entities import Codes
from tabveil.errors import ConfigError, NotFittedError, TrainingError
from tabveil.schema import Metadata
from tabveil.synthesizers.base import LossRecord, OnLoss, Synthesizer
from tabveil.synthesizers.progress import training_progress
from tabveil.synthesizers.runtime import isolated
from tabveil.synthesizers.tvae.network import TVAENetwork, layout_of
from tabveil.synthesizers.tvae.sampling import draw
from tabveil.synthesizers.tvae.storage import load_model, save_model
from tabveil.synthesizers.tvae.tokenizer import Tokenizer, fit_tokenizer, log_shares
from tabveil.synthesizers.tvae.training import planned_steps, rows_of, train


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

    def _fit(
        self, table: pd.DataFrame, metadata: Metadata, entities: Codes | None, progress: bool, on_loss: OnLoss
    ) -> None:
        if table.shape[1] == 0:
            raise TrainingError("there must be a column besides the computed totals, however there is none")
        config, rng = self.config, np.random.default_rng(self.config.seed)
        tokenizer = fit_tokenizer(table, metadata, list(table.columns), config, rng, entities=entities)
        encoded = tokenizer.encode(table, rng)
        with isolated(config.seed, config.num_threads):
            shares = torch.from_numpy(log_shares(tokenizer, encoded, config.rare_threshold, entities))
            network = TVAENetwork(layout_of(tokenizer), config, shares)
            with training_progress(planned_steps(len(table), config), progress) as advance:

                def on_check(record: LossRecord) -> None:
                    on_loss(record)
                    advance(record)

                train(network, rows_of(encoded), config, rng, on_check, entities=entities)
        self._model = (tokenizer, network)

    def _sample(self, num_rows: int, seed: int) -> pd.DataFrame:
        tokenizer, network = self._fitted()
        generator = torch.Generator().manual_seed(seed)
        with isolated(seed, self.config.num_threads):
            tokens, places = draw(network, tokenizer, num_rows, self.config.latent_dim, generator)
        return tokenizer.decode(tokens, places)

    def _save(self, folder: Path) -> None:
        save_model(folder, *self._fitted())

    def _load(self, folder: Path) -> None:
        self._model = load_model(folder, self.config)

    @property
    def _min_count(self) -> int:
        return self.config.rare_threshold

    def _fitted(self) -> tuple[Tokenizer, TVAENetwork]:
        if self._model is None:
            raise NotFittedError("the TVAE must be fitted or loaded first: call fit()")
        return self._model
