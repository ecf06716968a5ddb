"""A training on disk, so that one that was killed goes on where it stood: two safetensors files and JSON, no pickle.

A checkpoint belongs to one training: it carries a digest of the encoded rows and of the settings, and one of another
training is not used. It holds weights that no early stopping has judged; it stays on the machine and is removed when
the training ends.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from tabveil.artifacts import atomic_folder, to_json
from tabveil.config import TVAEConfig
from tabveil.provenance import sha256_of
from tabveil.synthesizers.base import CHECKPOINT_STATE, LossRecord

FORMAT_VERSION = 3
TENSORS, STATE = "tensors.safetensors", CHECKPOINT_STATE
Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Checkpoint:
    """State of a training after a validation check.

    Attributes:
        tensors: everything that torch keeps, by name (network, averaged and best weights, moments, random state).
        numpy_state: of the generator that orders the rows, as it was before the current pass over them.
        position: batches of the current pass that are used up.
        records: the loss curve so far.
        best, checks_since_best, elapsed_seconds: what early stopping and the time limit go by.
    """

    tensors: Tensors
    numpy_state: dict[str, Any]
    position: int
    records: tuple[LossRecord, ...]
    best: float
    checks_since_best: int
    elapsed_seconds: float


def training_digest(config: TVAEConfig, tensors: Iterable[Tensor]) -> str:
    """sha256 of the settings that change a byte, and of the rows a training reads."""
    settings = {name: value for name, value in dataclasses.asdict(config).items() if not name.endswith("_threads")}
    digest = hashlib.sha256(to_json(settings).encode())
    for tensor in tensors:
        digest.update(str((tuple(tensor.shape), tensor.dtype)).encode())
        digest.update(tensor.contiguous().numpy().data)
    return digest.hexdigest()


def save_checkpoint(folder: Path, digest: str, checkpoint: Checkpoint) -> None:
    """Write or replace the folder as a whole.

    A kill in between leaves the earlier one; in the moment of replacing it none, and the training begins anew.
    """
    state = {
        "version": FORMAT_VERSION,
        "training": digest,
        "torch": torch.__version__,
        "numpy_state": checkpoint.numpy_state,
        "position": checkpoint.position,
        "records": [dataclasses.asdict(record) for record in checkpoint.records],
        "best": checkpoint.best,
        "checks_since_best": checkpoint.checks_since_best,
        "elapsed_seconds": checkpoint.elapsed_seconds,
    }
    with atomic_folder(folder) as target:
        save_file({name: value.contiguous() for name, value in checkpoint.tensors.items()}, target / TENSORS)
        state["sha256"] = _digest_of(state, target / TENSORS)
        (target / STATE).write_text(json.dumps(state), encoding="utf-8")


def load_checkpoint(folder: Path, digest: str) -> Checkpoint | None:
    """The checkpoint of this very training; None if there is none, or it is damaged or of another training."""
    try:
        state = json.loads((folder / STATE).read_text(encoding="utf-8"))
        expected = (FORMAT_VERSION, digest, torch.__version__)
        if (state["version"], state["training"], state["torch"]) != expected:
            return None
        if state.pop("sha256") != _digest_of(state, folder / TENSORS):
            return None
        return Checkpoint(
            tensors=load_file(folder / TENSORS),
            numpy_state=state["numpy_state"],
            position=state["position"],
            records=tuple(LossRecord(**record) for record in state["records"]),
            best=state["best"],
            checks_since_best=state["checks_since_best"],
            elapsed_seconds=state["elapsed_seconds"],
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError):
        return None


def _digest_of(state: dict[str, Any], tensors: Path) -> str:
    """sha256 of both files: a damaged checkpoint is not gone on with."""
    return hashlib.sha256((sha256_of(tensors) + json.dumps(state, sort_keys=True)).encode()).hexdigest()


def remove_checkpoint(folder: Path) -> None:
    """Delete the folder, if it is there."""
    shutil.rmtree(folder, ignore_errors=True)
