"""The models: ours in three presets, SDV's, a floor, two ceilings, and peers in interpreters of their own."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tabveil.config import SYNTHESIZER_CONFIGS, SynthesizerConfig
from tabveil.errors import ConfigError, TabVeilError
from tabveil.evaluation.baselines import floor_table
from tabveil.schema import ColumnType, canonical
from tabveil.synthesizers import create_synthesizer

from .peers import protocol
from .process import FailedError, how_it_ended
from .tables import Table

PEERS = Path(__file__).with_name("peers")
FLOOR, CEILING, PROTECTED = "independent", "holdout", "holdout_protected"
REAL = (CEILING, PROTECTED)  # nothing is fitted: real rows are scored
KINDS = {
    "fast": ("tvae", {"preset": "fast"}),
    "balanced": ("tvae", {"preset": "balanced"}),
    "best": ("tvae", {"preset": "best"}),
    "sdv_tvae": ("sdv_tvae", {}),
    "sdv_ctgan": ("sdv_ctgan", {}),
    "sdv_gaussian_copula": ("sdv_gaussian_copula", {}),
}
MODELS = (*KINDS, FLOOR, CEILING, PROTECTED)
FIXED = ("name", "preset", "seed")  # chosen by --models and --seeds

LogProb = Callable[[pd.DataFrame], np.ndarray]


@dataclass(frozen=True)
class Made:
    """A synthetic table (canonical), what it cost, and the model's likelihood if it has one."""

    synthetic: pd.DataFrame
    cost: dict[str, float] = field(default_factory=dict)
    log_prob: LogProb | None = None


def check_settings(models: Sequence[str], pairs: Sequence[str]) -> None:
    """Refuse what no chosen model would take.

    Raises:
        ConfigError: no NAME=VALUE, a name that no model has, or a value of the wrong type or range.
    """
    configs = [SYNTHESIZER_CONFIGS[KINDS[model][0]] for model in models if model in KINDS]
    for pair in pairs:
        name, separator, _ = pair.partition("=")
        if not separator:
            raise ConfigError(f"--set takes NAME=VALUE, however: {pair!r}")
        if name in FIXED:
            raise ConfigError(f"--set cannot change '{name}': choose it by --models or --seeds")
        if not any(name in _fields(config) for config in configs):
            known = sorted({n for config in configs for n in _fields(config)} - set(FIXED))
            raise ConfigError(f"--set takes a setting of a chosen model, however: {name!r}; there are: {known}")
    for model in models:
        if model in KINDS:
            model_config(model, pairs, 0)


def model_config(model: str, pairs: Sequence[str], seed: int) -> SynthesizerConfig:
    """The configuration of a model of `KINDS`, with those of the NAME=VALUE pairs that it has."""
    kind, chosen = KINDS[model]
    config = SYNTHESIZER_CONFIGS[kind]
    types = _fields(config)
    given = dict(pair.split("=", 1) for pair in pairs)
    values = {name: _value(name, text, types[name]) for name, text in given.items() if name in types}
    return config(**{**chosen, **values}, name=kind, seed=seed)


def _fields(config: type[SynthesizerConfig]) -> dict[str, type]:
    return {f.name: type(f.default) for f in dataclasses.fields(config)}


def _value(name: str, text: str, kind: type) -> Any:
    if kind is bool:
        if text not in ("true", "false"):
            raise ConfigError(f"--set {name} must be true or false, however: {text!r}")
        return text == "true"
    try:
        return kind(text)
    except ValueError as err:
        raise ConfigError(f"--set {name} must be a value of type {kind.__name__}, however: {text!r}") from err


def make(table: Table, model: str, seed: int, pairs: Sequence[str], peer_python: str | None) -> Made:
    """Fit and sample as many rows as there are training rows. A ceiling is the training table itself: real rows.

    Raises:
        TabVeilError: the model failed.
    """
    if peer_python is not None:
        return _peer(table, model, seed, peer_python)
    if model in REAL:
        return Made(table.train)
    if model == FLOOR:
        return Made(floor_table(table.train, seed))
    return _synthesizer(table, model_config(model, pairs, seed), seed)


def _synthesizer(table: Table, config: SynthesizerConfig, seed: int) -> Made:
    cost: dict[str, float] = {}
    synthesizer = create_synthesizer(config)
    with protocol.stopwatch("fit", cost):
        synthesizer.fit(table.train, table.metadata)
    with protocol.stopwatch("sample", cost):
        synthetic = synthesizer.sample(len(table.train), seed)
    curve = synthesizer.loss_curve
    if len(curve):
        cost["steps"] = float(curve["step"].max())
    return Made(synthetic, cost, synthesizer.log_prob if config.name == "tvae" else None)


def peer_script(name: str) -> Path:
    """The script of a peer.

    Raises:
        ConfigError: there is none.
    """
    script = PEERS / f"{name}.py"
    known = sorted(path.stem for path in PEERS.glob("*.py") if path.name not in ("protocol.py", "__init__.py"))
    if name not in known:
        raise ConfigError(
            f"--peer-python NAME=PYTHON needs a script peers/NAME.py, however: {name!r}; there are: {known}"
        )
    return script


def _peer(table: Table, name: str, seed: int, python: str) -> Made:
    with tempfile.TemporaryDirectory(prefix="tabveil-peer-") as temporary:
        folder = Path(temporary)
        table.train.to_parquet(folder / protocol.TRAIN, index=False)
        columns = {c.name: {"sdtype": c.sdtype.value, "type": c.type.value} for c in table.metadata.columns}
        job = {"seed": seed, "target": table.metadata.target, "columns": columns}
        (folder / protocol.JOB).write_text(json.dumps(job))
        ended = subprocess.run(
            [python, str(peer_script(name)), temporary],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=None if os.environ.get("TABVEIL_DEBUG") else subprocess.DEVNULL,
            check=False,
        )
        if ended.returncode:
            raise FailedError(f"peer '{name}': {how_it_ended(ended.returncode)}; TABVEIL_DEBUG=1 shows what it wrote")
        return _answer(folder, table, name)


def _answer(folder: Path, table: Table, name: str) -> Made:
    try:
        made, cost = pd.read_parquet(folder / protocol.SYNTHETIC), json.loads((folder / protocol.COST).read_text())
        whole = [
            c.name for c in table.metadata.columns if c.type is ColumnType.integer and made[c.name].dtype.kind == "f"
        ]
        made[whole] = made[whole].round()
        synthetic = canonical(made[list(table.train.columns)], table.metadata)
    except (OSError, ValueError, KeyError, TabVeilError) as err:
        raise FailedError(
            f"peer '{name}' must write {protocol.SYNTHETIC} with the training columns and {protocol.COST}, however: "
            f"{type(err).__name__}"
        ) from err
    return Made(synthetic, cost)
