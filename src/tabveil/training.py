"""Fit a synthesizer on a table file: the same few lines in the stage `train` and in the training container."""

from __future__ import annotations

from pathlib import Path

from tabveil.artifacts import read_parquet
from tabveil.config import SynthesizerConfig
from tabveil.schema import Metadata, canonical
from tabveil.synthesizers import Synthesizer, create_synthesizer
from tabveil.synthesizers.base import OnLoss


def fit_file(
    config: SynthesizerConfig,
    train_data: Path,
    metadata: Metadata,
    *,
    progress: bool = False,
    on_loss: OnLoss | None = None,
    checkpoint: Path | None = None,
) -> Synthesizer:
    """A synthesizer fitted on the modelled columns of a Parquet file (and, where there is one, on whose row each is).

    The same file, metadata and settings (seed and thread count included) give the same model, byte for byte.

    Args:
        train_data: the clean rows that `verify` wrote.
        progress: show a progress bar on the terminal.
        on_loss: called with every loss record as it comes.
        checkpoint: folder of an unfinished training to go on from; see `Synthesizer.fit`.

    Raises:
        ArtifactError: the file is missing or unreadable.
        SchemaError: its columns or values are not what the metadata declares.
        TrainingError: too few rows, or the loss is not finite.
    """
    table = canonical(read_parquet(train_data, "verify"), metadata)
    synthesizer = create_synthesizer(config)
    synthesizer.fit(table, metadata, progress=progress, on_loss=on_loss, checkpoint=checkpoint)
    return synthesizer
