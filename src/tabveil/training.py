"""Fit a synthesizer on a table file: the same few lines in the stage `train` and in the training container.

In the container the unfinished training is also kept where it survives the machine (`KeptTraining`).
"""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

from tabveil.artifacts import read_parquet
from tabveil.config import SynthesizerConfig
from tabveil.schema import Metadata, canonical
from tabveil.synthesizers import Synthesizer, create_synthesizer
from tabveil.synthesizers.base import OnLoss

SLOTS = ("training-0.zip", "training-1.zip")  # of a kept training


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

    The same file, metadata and settings (seed included) give the same model, byte for byte.

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


class KeptTraining:
    """An unfinished training in a folder that is copied file by file, at any moment.

    It is one file, a zip with checksums, in two slots by turns: when one was copied in the middle of a write, the other
    is whole. Nothing is deleted: SageMaker would delete it in S3 too, which takes a permission more.

    Args:
        slots: the folder that is copied.
        working: the checkpoint of `Synthesizer.fit`.
    """

    def __init__(self, slots: Path, working: Path) -> None:
        self._slots = [slots / name for name in SLOTS]  # the next one to write comes first
        self._working = working
        self._number = 0  # of the last packing
        self._packed = self._state()

    def restore(self) -> None:
        """Unpack the newest whole slot; without one, the training begins anew."""
        numbers = {path: number for path in self._slots if (number := _number_of(path)) is not None}
        shutil.rmtree(self._working, ignore_errors=True)
        if numbers:
            newest = max(numbers, key=lambda path: numbers[path])
            self._number = numbers[newest]
            self._slots.sort(key=lambda path: path == newest)
            with zipfile.ZipFile(newest) as archive:
                archive.extractall(self._working)
        self._packed = self._state()

    def keep(self) -> None:
        """Pack the training as it is, if it has changed since it was packed or unpacked."""
        state = self._state()
        if not state or state == self._packed:
            return
        with zipfile.ZipFile(self._slots[0], "w") as archive:
            archive.comment = str(self._number + 1).encode()
            for name in state:
                archive.write(self._working / name, name)
        self._number, self._packed = self._number + 1, state
        self._slots.reverse()

    def _state(self) -> dict[str, tuple[int, int]]:
        """Inode and time of each file; a checkpoint is replaced as a whole."""
        if not self._working.is_dir():
            return {}
        return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in sorted(self._working.iterdir())}


def _number_of(slot: Path) -> int | None:
    """Which packing a slot holds; None if it is not whole."""
    try:
        with zipfile.ZipFile(slot) as archive:
            return None if archive.testzip() else int(archive.comment)
    except (OSError, ValueError, zipfile.BadZipFile):
        return None
