"""Typed configuration: the shape of everything below `conf/`, and the check that a composed config has it.

Plain dataclasses: OmegaConf checks types and unknown keys against them, `__post_init__` checks ranges. Defaults
live here; the files in `conf/` set what an option is about. This module knows OmegaConf but not Hydra: composing
files is the business of `tabveil.stages.app`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Optional, Union, cast, get_args, get_origin, get_type_hints

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from tabveil.custom_types import AllowSpec, IdentifierSpec, check_declared
from tabveil.errors import ConfigError
from tabveil.explain import did_you_mean, find_fault, keyed_line, unknown_setting
from tabveil.schema import NAME_PATTERN, Action, ColumnSpec, ColumnType, ConstraintSpec, PolicySpec, SDType


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


def _check(name: str, value: float, low: float, high: float, kind: str = "number") -> None:
    if not low <= value <= high:
        raise ConfigError(f"{name} must be a {kind} from {low:g} to {high:g}, however: {name}={value}")


def _check_positive(name: str, value: float) -> None:
    if value <= 0:
        raise ConfigError(f"{name} must be positive, however: {name}={value}")


def _check_locales(locales: list[str]) -> None:
    """Faker's locales are folders below its providers; looking is 100 times faster than importing Faker."""
    spec = find_spec("faker")
    if spec is None or spec.origin is None:
        raise ConfigError("dataset.locales are Faker's, however the package faker is not installed")
    providers = Path(spec.origin).parent / "providers"
    for locale in locales:
        plain = locale.replace("_", "").isalpha()
        if not plain or not any((folder / locale / "__init__.py").is_file() for folder in providers.iterdir()):
            known = {path.parent.name for path in providers.glob("*/*/__init__.py")}
            raise ConfigError(f"dataset.locales: Faker does not know the locale {locale}{did_you_mean(locale, known)}")


class FileFormat(str, Enum):
    """Format of a raw file."""

    csv = "csv"
    parquet = "parquet"


TRUE_TOKENS = "true yes y 1 t ja wahr oui vrai sí si có"
FALSE_TOKENS = "false no n 0 f nein falsch non faux không"


@dataclass
class SourceConfig:
    """The raw object in the landing bucket."""

    key: str = "???"
    format: FileFormat = FileFormat.csv
    version_id: Optional[str] = None  # None: the newest
    sha256: Optional[str] = None  # checked when given
    seed_file: Optional[str] = None  # local file that fills the embedded landing bucket; relative to the project

    def __post_init__(self) -> None:
        if self.key.startswith("/") or ".." in self.key.split("/"):
            raise ConfigError(f"source.key must be a plain object key, however: source.key={self.key}")


@dataclass
class CsvConfig:
    """Dialect of a CSV file."""

    delimiter: str = ","
    quote: str = '"'
    encoding: str = "utf-8"  # a byte order mark is recognised by itself
    decimal: str = "."
    thousands: Optional[str] = None

    def __post_init__(self) -> None:
        for name in ("delimiter", "quote", "decimal"):
            if len(getattr(self, name)) != 1:
                raise ConfigError(f"csv.{name} must be one character, however: csv.{name}={getattr(self, name)!r}")
        if self.thousands is not None and (len(self.thousands) != 1 or self.thousands == self.decimal):
            raise ConfigError(
                f"csv.thousands must be one character other than the decimal mark, however: {self.thousands!r}"
            )


_MODELLING = (Action.keep, Action.generalise, Action.redact)


@dataclass
class DatasetConfig:
    """One dataset: where it is, what its columns are, what is personal, what must hold."""

    name: str = "???"
    source: SourceConfig = field(default_factory=SourceConfig)
    csv: CsvConfig = field(default_factory=CsvConfig)
    null_tokens: list[str] = field(default_factory=lambda: ["", "NA", "N/A", "null", "NULL", "None", "nan", "NaN", "-"])
    true_tokens: list[str] = field(default_factory=lambda: TRUE_TOKENS.split())  # compared in lower case
    false_tokens: list[str] = field(default_factory=lambda: FALSE_TOKENS.split())
    columns: dict[str, ColumnSpec] = field(default_factory=dict)
    target: Optional[str] = None  # column a user would predict; evaluated first
    entity_key: Optional[str] = None  # one person's rows never straddle train and holdout
    deduplicate: bool = True  # drop exact repetitions of a row
    locales: list[str] = field(default_factory=lambda: ["en_US"])  # Faker locales of regenerated columns
    constraints: list[ConstraintSpec] = field(default_factory=list)
    max_rejected_fraction: Optional[float] = None  # None: as in the preprocess group

    def __post_init__(self) -> None:
        if self.max_rejected_fraction is not None:
            _check("dataset.max_rejected_fraction", self.max_rejected_fraction, 0, 1)
        if not NAME_PATTERN.fullmatch(self.name):
            raise ConfigError(f"dataset.name must be snake_case, however: dataset.name={self.name!r}")
        if not self.columns:
            raise ConfigError("dataset.columns must declare at least one column, however: none")
        for column in self.columns:
            if not NAME_PATTERN.fullmatch(column):
                raise ConfigError(f"dataset.columns: names must be snake_case, however: {column!r}")
        _check_locales(self.locales)
        for role in ("target", "entity_key"):
            self._check_known(f"dataset.{role}", getattr(self, role))
        for constraint in self.constraints:
            for column in constraint.used_columns:
                self._check_known(f"dataset.constraints ({constraint.label})", column)
        self._check_policies()
        self._check_entity_key()

    def _check_known(self, where: str, column: str | None) -> None:
        if column is not None and column not in self.columns:
            raise ConfigError(f"{where} names an undeclared column: {column}{did_you_mean(column, self.columns)}")

    def _check_entity_key(self) -> None:
        """A modelled entity key would publish who is who; where a semantic type decides, `verify` asks again."""
        spec = None if self.entity_key is None else self.columns[self.entity_key]
        if spec is None or spec.resolved_sdtype in (SDType.id, SDType.text):
            return
        modelled = spec.policy.action in _MODELLING if spec.policy is not None else spec.semantic_type is None
        if modelled:
            raise ConfigError(
                f"dataset.entity_key must not be modelled, however dataset.columns.{self.entity_key} is: give it "
                "`sdtype: id` and `policy: {action: pseudonymise}`, or drop or regenerate it"
            )

    def _check_policies(self) -> None:
        for name, spec in self.columns.items():
            policy = spec.policy
            if policy is None:
                continue
            if spec.semantic_type is not None and policy.action is Action.keep and not policy.reason:
                raise ConfigError(f"dataset.columns.{name}: keeping a {spec.semantic_type} column needs a reason")
            if policy.action is Action.pseudonymise and spec.resolved_sdtype is not SDType.id:
                raise ConfigError(f"dataset.columns.{name}: pseudonymise is for columns with sdtype: id")
            if policy.action is Action.generalise and spec.resolved_sdtype is SDType.id:
                raise ConfigError(f"dataset.columns.{name}: generalise is for columns that are modelled, not ids")
            if policy.action is Action.redact and spec.type is not ColumnType.string:
                raise ConfigError(f"dataset.columns.{name}: redact is for string columns")


class Processing(str, Enum):
    """Who runs the compiled SQL of `preprocess`."""

    in_process = "in_process"
    glue = "glue"


class Scanning(str, Enum):
    """Who scans for personal data in `verify`; the local scanner always does, Macie comes on top."""

    in_process = "in_process"
    macie = "macie"


class Training(str, Enum):
    """Who fits the synthesizer in `train`."""

    in_process = "in_process"
    sagemaker = "sagemaker"


@dataclass
class GlueConfig:
    """A Glue job of ours. Omitting the version would mean Glue 6.0: another Spark and Python."""

    job_name: str = "tabveil-preprocess"
    version: str = "5.1"  # Spark 3.5.6, Python 3.11
    role_arn: Optional[str] = None  # needed where Glue runs
    worker_type: str = "G.1X"
    number_of_workers: int = 2
    execution_class: str = "STANDARD"  # or FLEX: cheaper, may wait
    timeout_minutes: int = 30
    poll_seconds: float = 10.0
    log_group: str = "/aws-glue/tabveil"  # the role may write there
    security_configuration: Optional[str] = None  # of Glue: encrypts what workers spill, and their logs

    def __post_init__(self) -> None:
        _check("environment.glue.number_of_workers", self.number_of_workers, 2, 299, "integer")
        _check("environment.glue.timeout_minutes", self.timeout_minutes, 1, 480, "integer")
        _check_positive("environment.glue.poll_seconds", self.poll_seconds)
        if self.execution_class not in ("STANDARD", "FLEX"):
            raise ConfigError(
                f"environment.glue.execution_class must be STANDARD or FLEX, however: {self.execution_class}"
            )


@dataclass
class MacieConfig:
    """A one-time Macie job over one prefix."""

    timeout_minutes: int = 120
    poll_seconds: float = 30.0
    findings_seconds: float = 300.0  # how long findings may take to appear after the job has ended

    def __post_init__(self) -> None:
        _check_positive("environment.macie.findings_seconds", self.findings_seconds)
        _check("environment.macie.timeout_minutes", self.timeout_minutes, 1, 2880, "integer")
        _check_positive("environment.macie.poll_seconds", self.poll_seconds)


@dataclass
class SageMakerConfig:
    """A SageMaker training job on our image."""

    role_arn: Optional[str] = None  # needed where SageMaker trains
    image_uri: Optional[str] = None  # of our image in ECR
    instance_type: str = "ml.c5.xlarge"
    volume_gb: int = 10
    use_spot: bool = True
    max_runtime_seconds: int = 3600
    max_wait_seconds: int = 7200  # for a spot instance, the run included
    poll_seconds: float = 15.0

    def __post_init__(self) -> None:
        _check("environment.sagemaker.volume_gb", self.volume_gb, 1, 16_384, "integer")
        _check("environment.sagemaker.max_runtime_seconds", self.max_runtime_seconds, 60, 432_000, "integer")
        _check_positive("environment.sagemaker.poll_seconds", self.poll_seconds)
        if self.use_spot and self.max_wait_seconds < self.max_runtime_seconds:
            raise ConfigError(
                "environment.sagemaker.max_wait_seconds must be at least max_runtime_seconds, however: "
                f"{self.max_wait_seconds} < {self.max_runtime_seconds}"
            )


@dataclass
class PricesConfig:
    """AWS list prices in USD, on-demand, of the environment's region, as they were looked up on `as_of`."""

    as_of: str = "2026-11-24"
    source: str = "second-hand: compare with aws.amazon.com/<service>/pricing"
    s3_gb_month: float = 0.0245
    s3_put_per_1000: float = 0.0054
    s3_get_per_1000: float = 0.00043
    glue_dpu_hour: float = 0.44
    macie_gb: float = 1.0
    sagemaker_hour: dict[str, float] = field(default_factory=lambda: {"ml.c5.xlarge": 0.233, "ml.m5.large": 0.138})


@dataclass
class EnvironmentConfig:
    """Where the pipeline runs, and who does the work.

    `embedded_s3` starts a loopback S3 server for the stages that need one, `embedded_aws` a loopback endpoint for
    every other AWS service.
    """

    name: str = "local"
    embedded_s3: bool = True
    embedded_aws: bool = False
    processing: Processing = Processing.in_process
    scanning: Scanning = Scanning.in_process
    training: Training = Training.in_process
    endpoint_url: Optional[str] = None  # of S3; None: AWS_ENDPOINT_URL_S3, else AWS; never set beside embedded_s3
    region: str = "eu-central-1"
    landing_bucket: str = "tabveil-landing"
    work_bucket: str = "tabveil-work"  # what Glue, Macie and SageMaker read and write
    output_bucket: str = "tabveil-output"
    output_prefix: str = "synthetic/"
    kms_key_id: Optional[str] = None  # encrypts what is uploaded, and the training volume
    tags: dict[str, str] = field(default_factory=lambda: {"project": "tabveil"})
    max_object_bytes: int = 2_000_000_000
    max_cost_usd: float = 1.0  # a job whose estimate is above is not started
    wait_seconds: float = 120.0  # for another stage to release the embedded server
    glue: GlueConfig = field(default_factory=GlueConfig)
    macie: MacieConfig = field(default_factory=MacieConfig)
    sagemaker: SageMakerConfig = field(default_factory=SageMakerConfig)
    prices: PricesConfig = field(default_factory=PricesConfig)

    def __post_init__(self) -> None:
        if self.embedded_s3 and self.endpoint_url:
            raise ConfigError("environment.endpoint_url and environment.embedded_s3 exclude each other: set one")
        if self.embedded_aws and not self.embedded_s3:
            raise ConfigError("environment.embedded_aws needs environment.embedded_s3=true: its jobs read from there")
        if not self.output_prefix.endswith("/"):
            raise ConfigError(f"environment.output_prefix must end in '/', however: {self.output_prefix!r}")
        _check_positive("environment.max_object_bytes", self.max_object_bytes)
        _check_positive("environment.max_cost_usd", self.max_cost_usd)
        _check_positive("environment.wait_seconds", self.wait_seconds)


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
        _check("preprocess.max_rejected_fraction", self.max_rejected_fraction, 0, 1)
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
        _check("pii.holdout_fraction", self.holdout_fraction, 0.01, 0.5)
        _check_positive("pii.min_holdout_rows", self.min_holdout_rows)
        _check_positive("pii.timeout_seconds", self.timeout_seconds)
        _check("pii.k", self.k, 2, 10**6, "integer")
        if self.min_k is not None:
            _check("pii.min_k", self.min_k, 2, 10**6, "integer")
        for name, policy in self.policies.items():
            if policy.action is Action.keep and not policy.reason:
                raise ConfigError(f"pii.policies.{name}: keeping personal data needs a reason, however: none")
        check_declared(self.identifiers, self.allow)


@dataclass
class SynthesizerConfig:
    """What every synthesizer has. `name` picks the class."""

    name: str = "???"
    seed: int = 0
    num_threads: int = 2
    min_rows: int = 200  # fewer training rows than this are refused

    def __post_init__(self) -> None:
        _check("synthesizer.seed", self.seed, 0, 2**31 - 1, "integer")
        _check("synthesizer.num_threads", self.num_threads, 1, 256, "integer")
        _check("synthesizer.min_rows", self.min_rows, 20, 10**9, "integer")


@dataclass
class TVAEConfig(SynthesizerConfig):
    """TabVeil's TVAE (`tabveil.synthesizers.tvae`)."""

    name: str = "tvae"
    max_steps: int = 800
    full_budget_rows: int = 20_000  # smaller tables get max_steps * sqrt(rows / full_budget_rows) steps
    batch_size: int = 512
    learning_rate: float = 4e-3
    beta: float = 1.0  # weight of the KL term
    beta_warmup_fraction: float = 0.2
    latent_dim: int = 32
    encoder_dim: int = 256
    decoder_dim: int = 256
    dropout: float = 0.25
    weight_decay: float = 1.0  # on the autoregressive matrices
    ema_decay: float = 0.99
    validation_fraction: float = 0.1
    patience: int = 6  # validation checks without improvement before training stops
    validate_every: int = 50  # steps
    max_bins: int = 64
    min_bin_rows: int = 50
    spike_fraction: float = 0.004
    min_spike_rows: int = 10
    rare_threshold: int = 8  # k: a category of fewer entities never leaves the tokeniser; extremes cut at the k-th one
    max_categories: int = 1000

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("max_steps", "batch_size", "learning_rate", "latent_dim", "encoder_dim", "decoder_dim"):
            _check_positive(f"synthesizer.{name}", getattr(self, name))
        for name in ("patience", "validate_every", "max_bins", "min_bin_rows", "max_categories", "full_budget_rows"):
            _check_positive(f"synthesizer.{name}", getattr(self, name))
        for name in ("beta_warmup_fraction", "spike_fraction"):
            _check(f"synthesizer.{name}", getattr(self, name), 0, 1)
        _check("synthesizer.validation_fraction", self.validation_fraction, 0.01, 0.5)
        _check("synthesizer.dropout", self.dropout, 0, 0.9)
        _check("synthesizer.ema_decay", self.ema_decay, 0, 0.99999)
        _check("synthesizer.beta", self.beta, 0, 100)
        _check("synthesizer.weight_decay", self.weight_decay, 0, 10)
        for name in ("rare_threshold", "min_spike_rows"):
            _check(f"synthesizer.{name}", getattr(self, name), 2, 10**6, "integer")


@dataclass
class SDVConfig(SynthesizerConfig):
    """An SDV baseline; `epochs` is ignored by the Gaussian copula."""

    epochs: int = 300

    def __post_init__(self) -> None:
        super().__post_init__()
        _check("synthesizer.epochs", self.epochs, 1, 10**5, "integer")


SYNTHESIZER_CONFIGS: dict[str, type[SynthesizerConfig]] = {
    "tvae": TVAEConfig,
    "sdv_tvae": SDVConfig,
    "sdv_ctgan": SDVConfig,
    "sdv_gaussian_copula": SDVConfig,
}


@dataclass
class SamplingConfig:
    """The synthetic table."""

    num_rows: Optional[int] = None  # None: as many as were trained on
    seed: int = 0
    chunk_rows: int = 20_000
    max_rejected_fraction: float = 0.9  # of drawn rows, by constraints; above it the stage stops

    def __post_init__(self) -> None:
        if self.num_rows is not None:
            _check("sampling.num_rows", self.num_rows, 1, 10**10, "integer")
        _check("sampling.seed", self.seed, 0, 2**31 - 1, "integer")
        _check("sampling.chunk_rows", self.chunk_rows, 1, 10**7, "integer")
        _check("sampling.max_rejected_fraction", self.max_rejected_fraction, 0, 0.999)


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
        _check("evaluation.min_quality", self.min_quality, 0, 1)
        _check_positive("evaluation.max_rows", self.max_rows)
        _check("evaluation.num_plots", self.num_plots, 0, 1000, "integer")
        if self.min_diagnostic is not None:
            _check("evaluation.min_diagnostic", self.min_diagnostic, 0, 1)
        if self.max_identical_ratio is not None:
            _check("evaluation.max_identical_ratio", self.max_identical_ratio, 0, 1e9)
        if self.max_dcr_share_low is not None:
            _check("evaluation.max_dcr_share_low", self.max_dcr_share_low, 0, 1)
        if self.min_dcr_share_closer_to_holdout is not None:
            _check("evaluation.min_dcr_share_closer_to_holdout", self.min_dcr_share_closer_to_holdout, 0, 1)


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
