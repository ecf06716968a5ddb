"""Synthesizers behind one interface: TabVeil's TVAE and SDV's as baselines.

Importing this package loads neither torch nor sdv; making or loading a synthesizer loads what that one needs.
"""

from __future__ import annotations

import importlib
from pathlib import Path

from tabveil.config import SynthesizerConfig
from tabveil.errors import ConfigError, ModelFileError
from tabveil.synthesizers.arguments import folder_path
from tabveil.synthesizers.base import LossRecord, Synthesizer
from tabveil.synthesizers.model_folder import MANIFEST, model_files, read_manifest
from tabveil.synthesizers.sampling import SampleCounts, rebalance, sample_chunks

__all__ = [
    "LossRecord",
    "SampleCounts",
    "Synthesizer",
    "create_synthesizer",
    "is_shareable",
    "load_synthesizer",
    "model_files",
    "rebalance",
    "sample_chunks",
    "synthesizer_class",
]

REGISTRY: dict[str, str] = {
    "tvae": "tabveil.synthesizers.tvae:TVAE",
    "sdv_tvae": "tabveil.synthesizers.sdv:SDVTVAE",
    "sdv_ctgan": "tabveil.synthesizers.sdv:SDVCTGAN",
    "sdv_gaussian_copula": "tabveil.synthesizers.sdv:SDVGaussianCopula",
}
SHAREABLE_KINDS = frozenset({"tvae"})  # SDV's are pickles that hold values of the real table
SHAREABLE_SUFFIXES = frozenset({".csv", ".json", ".safetensors"})


def synthesizer_class(name: str) -> type[Synthesizer]:
    """The class behind a name of `REGISTRY`; imports its module.

    Raises:
        ConfigError: no such name.
    """
    if name not in REGISTRY:
        raise ConfigError(f"synthesizer.name must be one of {sorted(REGISTRY)}, however: {name}")
    module, attribute = REGISTRY[name].split(":")
    found: type[Synthesizer] = getattr(importlib.import_module(module), attribute)
    return found


def create_synthesizer(config: SynthesizerConfig) -> Synthesizer:
    """An unfitted synthesizer of the kind `config.name`.

    Raises:
        ConfigError: no such kind, or no configuration.
    """
    if not isinstance(config, SynthesizerConfig):
        raise ConfigError(f"a synthesizer needs a SynthesizerConfig, however: a {type(config).__name__}")
    return synthesizer_class(config.name)(config)


def load_synthesizer(folder: Path) -> Synthesizer:
    """The fitted synthesizer that `Synthesizer.save` wrote to `folder`.

    Raises:
        ModelFileError: the folder is no model, is corrupt, of an unknown kind, or of a newer format.
    """
    folder = folder_path("folder", folder)
    kind = read_manifest(folder)["kind"]
    if kind not in REGISTRY:
        raise ModelFileError(
            f"{folder / MANIFEST} must describe a model of one of the kinds {sorted(REGISTRY)}, however: {kind!r}"
        )
    return synthesizer_class(kind).load(folder)


def is_shareable(folder: Path) -> bool:
    """Whether a model folder may leave the machine; no model is opened.

    Returns:
        True if its kind is one of `SHAREABLE_KINDS`, its manifest says so, and every file is of a kind that holds
        numbers and text only.

    Raises:
        ModelFileError: the folder is no model.
    """
    manifest = read_manifest(folder)
    plain = all(path.suffix in SHAREABLE_SUFFIXES for path in folder.iterdir())
    return plain and manifest["kind"] in SHAREABLE_KINDS and manifest.get("shareable") is True
