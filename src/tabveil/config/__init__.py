"""Typed configuration: the shape of everything below `conf/`, and the check that a composed config has it.

Plain dataclasses: OmegaConf checks types and unknown keys against them, `__post_init__` checks ranges. Defaults
live here; the files in `conf/` set what an option is about. This module knows OmegaConf but not Hydra: composing
files is the business of `tabveil.stages.app`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Optional, Union, cast, get_args, get_origin, get_type_hints

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from tabveil.config.checks import check_positive, check_range
from tabveil.config.dataset import FALSE_TOKENS, TRUE_TOKENS, CsvConfig, DatasetConfig, FileFormat, SourceConfig
from tabveil.config.environment import (
    EnvironmentConfig,
    GlueConfig,
    MacieConfig,
    PricesConfig,
    Processing,
    SageMakerConfig,
    Scanning,
    Training,
)
from tabveil.config.synthesizer import SYNTHESIZER_CONFIGS, SDVConfig, SynthesizerConfig, TVAEConfig
from tabveil.custom_types import AllowSpec, IdentifierSpec, check_declared
from tabveil.errors import ConfigError
from tabveil.explain import find_fault, keyed_line, unknown_setting
from tabveil.schema import Action, PolicySpec

__all__ = [
    "FALSE_TOKENS",
    "SYNTHESIZER_CONFIGS",
    "TRUE_TOKENS",
    "BadValue",
    "Config",
    "CsvConfig",
    "DatasetConfig",
    "Engine",
    "EnvironmentConfig",
    "EvaluationConfig",
    "FileFormat",
    "GlueConfig",
    "MacieConfig",
    "PIIConfig",
    "PreprocessConfig",
    "PricesConfig",
    "Processing",
    "SDVConfig",
    "SageMakerConfig",
    "SamplingConfig",
    "Scanning",
    "SourceConfig",
    "SynthesizerConfig",
    "TVAEConfig",
    "TrackingConfig",
    "Training",
    "flatten",
    "known_settings",
    "load_config",
    "project_root",
]


def project_root() -> Path:
    """Folder that holds `conf/`, `artifacts/` and `mlruns/`.

    `TABVEIL_ROOT` if set, else the nearest folder upwards from the working directory that holds
    `conf/config.yaml` (DVC runs a stage, also a queued experiment's, in its own root).

    Raises:
        ConfigError: there is none.
    """
    named = os.environ.get("TABVEIL_ROOT")
    here = Path(named) if named else Path.cwd()
    candidates = [here] if named else [here, *here.parents]
    for folder in candidates:
        if (folder / "conf" / "config.yaml").is_file():
            return folder.resolve()
    raise ConfigError(f"no conf/config.yaml in {here} or above: change into a TabVeil project, or set TABVEIL_ROOT")


class Engine(str, Enum):
    """What runs the compiled SQL."""

    duckdb = "duckdb"  # in process
    spark = "spark"  # local PySpark


class BadValue(str, Enum):
    """What happens to a value that does not fit its column's type."""

    reject = "reject"  # the row goes to quarantine
    null = "null"  # the value becomes missing, and is counted


@dataclass
class PreprocessConfig:
    """Normalisation of a raw table."""

    engine: Engine = Engine.duckdb
    bad_values: BadValue = BadValue.reject
    max_rejected_fraction: float = 0.02
    clip_quantiles: list[float] = field(default_factory=lambda: [0.001, 0.999])

    def __post_init__(self) -> None:
        check_range("preprocess.max_rejected_fraction", self.max_rejected_fraction, 0, 1)
        if len(self.clip_quantiles) != 2 or not 0 <= self.clip_quantiles[0] < self.clip_quantiles[1] <= 1:
            raise ConfigError(
                f"preprocess.clip_quantiles must be [low, high] in [0, 1], however: {self.clip_quantiles}"
            )


@dataclass
class PIIConfig:
    """Finding personal data, deciding about it, and the split that follows. Types are those of docs/pii.md."""

    tolerated_types: list[str] = field(default_factory=list)  # finding types that never stop a run
    policies: dict[str, PolicySpec] = field(default_factory=dict)  # by type; a column's own policy wins
    identifiers: dict[str, IdentifierSpec] = field(default_factory=dict)  # types of your own
    allow: dict[str, AllowSpec] = field(default_factory=dict)  # by type: what looks like it and is not personal
    k: int = 5  # groups of fewer people are reported (k-anonymity of the quasi-identifiers)
    min_k: Optional[int] = None  # a smaller group stops the run; None: information only
    holdout_fraction: float = 0.2
    min_holdout_rows: int = 50
    key_env: str = "TABVEIL_PSEUDONYM_KEY"  # hex key; wins over the file
    key_file: str = ".tabveil/pseudonym.key"  # made at first use with mode 0600
    timeout_seconds: float = 600.0

    def __post_init__(self) -> None:
        check_range("pii.holdout_fraction", self.holdout_fraction, 0.01, 0.5)
        check_positive("pii.min_holdout_rows", self.min_holdout_rows)
        check_positive("pii.timeout_seconds", self.timeout_seconds)
        check_range("pii.k", self.k, 2, 10**6, "integer")
        if self.min_k is not None:
            check_range("pii.min_k", self.min_k, 2, 10**6, "integer")
        for name, policy in self.policies.items():
            if policy.action is Action.keep and not policy.reason:
                raise ConfigError(f"pii.policies.{name}: keeping personal data needs a reason, however: none")
        check_declared(self.identifiers, self.allow)


@dataclass
class SamplingConfig:
    """The synthetic table."""

    num_rows: Optional[int] = None  # None: as many as were trained on
    seed: int = 0
    chunk_rows: int = 20_000
    max_rejected_fraction: float = 0.9  # of drawn rows, by constraints; above it the stage stops

    def __post_init__(self) -> None:
        if self.num_rows is not None:
            check_range("sampling.num_rows", self.num_rows, 1, 10**10, "integer")
        check_range("sampling.seed", self.seed, 0, 2**31 - 1, "integer")
        check_range("sampling.chunk_rows", self.chunk_rows, 1, 10**7, "integer")
        check_range("sampling.max_rejected_fraction", self.max_rejected_fraction, 0, 0.999)


@dataclass
class EvaluationConfig:
    """Scores and the gate. A threshold of None is reported but not asked for."""

    seed: int = 0
    max_rows: int = 20_000  # larger tables are subsampled (seeded) before scoring
    num_plots: int = 12  # histograms as PNG; the report shows every column
    min_quality: float = 0.90  # sdmetrics' stock overall score
    min_diagnostic: Optional[float] = 0.99
    max_identical_ratio: Optional[float] = 5.0  # exact matches with training rows, relative to the holdout's
    max_dcr_share_low: Optional[float] = 0.6  # lower 95 % bound of the share of rows closer to training rows
    min_dcr_share_closer_to_holdout: Optional[float] = None

    def __post_init__(self) -> None:
        check_range("evaluation.min_quality", self.min_quality, 0, 1)
        check_positive("evaluation.max_rows", self.max_rows)
        check_range("evaluation.num_plots", self.num_plots, 0, 1000, "integer")
        if self.min_diagnostic is not None:
            check_range("evaluation.min_diagnostic", self.min_diagnostic, 0, 1)
        if self.max_identical_ratio is not None:
            check_range("evaluation.max_identical_ratio", self.max_identical_ratio, 0, 1e9)
        if self.max_dcr_share_low is not None:
            check_range("evaluation.max_dcr_share_low", self.max_dcr_share_low, 0, 1)
        if self.min_dcr_share_closer_to_holdout is not None:
            check_range("evaluation.min_dcr_share_closer_to_holdout", self.min_dcr_share_closer_to_holdout, 0, 1)


@dataclass
class TrackingConfig:
    """MLflow."""

    experiment: Optional[str] = None  # None: the dataset's name
    uri: Optional[str] = None  # None: MLFLOW_TRACKING_URI, else mlruns/mlflow.db in the project
    register_model: bool = True
    model_name: Optional[str] = None  # None: tabveil-<dataset>
    parent_run_id: Optional[str] = None  # set by a sweep


@dataclass
class Config:
    """Everything a stage may ask for."""

    dataset: DatasetConfig
    environment: EnvironmentConfig
    preprocess: PreprocessConfig
    pii: PIIConfig
    synthesizer: Any
    sampling: SamplingConfig
    evaluation: EvaluationConfig
    tracking: TrackingConfig
    seed: int = 0
    output_dir: str = "artifacts"  # the running job's own folder


def load_config(cfg: DictConfig, *, dataset_option: str | None = None) -> Config:
    """The composed configuration as typed objects.

    Args:
        cfg: what Hydra composed from `conf/` and the command line.
        dataset_option: the chosen option of the group `dataset`, which must bear the dataset's name.

    Raises:
        ConfigError: a wrong type, an unknown key, a missing or out-of-range value; one line that names the key.
    """
    name = OmegaConf.select(cfg, "synthesizer.name")
    if name not in SYNTHESIZER_CONFIGS:
        known = ", ".join(sorted(SYNTHESIZER_CONFIGS))
        raise ConfigError(f"synthesizer.name must be one of {known}, however: {name}")
    try:
        plain = OmegaConf.to_container(cfg, resolve=True)
    except OmegaConfBaseException as err:
        raise ConfigError(keyed_line(err)) from err
    config = _typed(cast(dict[str, Any], plain), SYNTHESIZER_CONFIGS[name])
    if dataset_option is not None and config.dataset.name != dataset_option:
        raise ConfigError(
            f"dataset.name must be the name of its file, {dataset_option} in conf/dataset/{dataset_option}.yaml, "
            f"however: dataset.name={config.dataset.name}"
        )
    return config


def _typed(plain: dict[str, Any], synthesizer: type[SynthesizerConfig]) -> Config:
    schema = OmegaConf.structured(Config)
    schema.synthesizer = OmegaConf.structured(synthesizer)
    try:
        merged = OmegaConf.merge(schema, plain)
        missing = sorted(OmegaConf.missing_keys(merged))
        if not missing:
            return cast(Config, OmegaConf.to_object(merged))
    except (ConfigError, OmegaConfBaseException) as err:
        raise ConfigError(_fault(plain, synthesizer) or keyed_line(err)) from err
    raise ConfigError(f"{', '.join(missing)} must be set, in conf/ or on the command line")


def _fault(plain: dict[str, Any], synthesizer: type[SynthesizerConfig]) -> str | None:
    """The first thing that is wrong, with its key path."""
    hints = {**get_type_hints(Config), "synthesizer": synthesizer}
    for key, value in plain.items():
        fault = find_fault(value, hints[key], key) if key in hints else unknown_setting(key, hints)
        if fault is not None:
            return fault
    return None


def known_settings(parent_key: str) -> list[str]:
    """Settings that a file of `conf/` may hold below a key path, e.g. ``dataset.columns.age``; "" for the top.

    Empty where names are free (columns), for plain values, and for `synthesizer`, whose kinds differ.
    """
    owner: Any = Config
    for part in filter(None, parent_key.split(".")):
        values = get_args(owner)[-1:] or (None,)
        hint = get_type_hints(owner).get(part) if is_dataclass(owner) else values[0]
        owner = get_args(hint)[0] if get_origin(hint) is Union else hint
    return [item.name for item in fields(owner)] if is_dataclass(owner) else []


def flatten(config: Any, prefix: str = "") -> dict[str, Any]:
    """Dataclasses as flat parameters, enums as their values: ``{'synthesizer.max_steps': 800, ...}``.

    Fields with the metadata ``logged: False`` are left out.
    """
    flat: dict[str, Any] = {}
    for item in fields(config):
        value, name = getattr(config, item.name), f"{prefix}{item.name}"
        if hasattr(value, "__dataclass_fields__"):
            flat.update(flatten(value, f"{name}."))
        elif isinstance(value, dict) and value and all(is_dataclass(entry) for entry in value.values()):
            for key, entry in value.items():
                flat.update(flatten(entry, f"{name}.{key}."))
        elif item.metadata.get("logged", True):
            flat[name] = value.value if isinstance(value, Enum) else value
    return flat
