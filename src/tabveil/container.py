"""The container contract of a SageMaker training job: ``IMAGE train`` (`tabveil train`), everything below `/opt/ml`.

Reads: `input/config/hyperparameters.json` (settings of the synthesizer, every value a string), `resourceconfig.json`
and `inputdataconfig.json`; `input/data/training/train.parquet` and `metadata.json`.
Writes: `model/` (the model folder, loss curve included; complete or empty), `output/data/metrics.json` and `loss.csv`;
when it fails, the reason in one line in `output/failure`, and the exit code is not 0. SIGTERM (a stop, or a spot
instance that is taken back) is such a failure. Where there is a folder `checkpoints/`, the unfinished training is kept
in it: a container that finds one there goes on with it, to the same bytes.

It needs no network: nothing is fetched, and MLflow hears of the model from the stage that started the job.
Sources: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo.html and model-checkpoints.html
"""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_type_hints

from tabveil.artifacts import write_json
from tabveil.cli import foreign, process_border
from tabveil.config import SYNTHESIZER_CONFIGS, SynthesizerConfig
from tabveil.errors import ConfigError, DataError, TabVeilError
from tabveil.explain import did_you_mean
from tabveil.provenance import sha256_of
from tabveil.schema import Metadata
from tabveil.synthesizers import SHAREABLE_KINDS
from tabveil.synthesizers.base import LossRecord, Synthesizer
from tabveil.synthesizers.model_folder import LOSSES, MANIFEST
from tabveil.training import KeptTraining, fit_file

ROOT_VARIABLE = "TABVEIL_ML_ROOT"
ROOT = "/opt/ml"
CHANNEL = "training"
TRAIN_DATA, METADATA = "train.parquet", "metadata.json"
CHECKSUMS = {"train_sha256": TRAIN_DATA, "metadata_sha256": METADATA}  # hyperparameters beside the settings
LOSS_METRICS = {"loss/train": r"train=([0-9.eE+-]+)", "loss/validation": r"validation=([0-9.eE+-]+)"}  # of `print_loss`
FAILURE_CHARACTERS = 1024  # SageMaker shows no more
ENDED = "training was ended before the model was complete: the job was stopped, or its spot instance was taken back"


@dataclass(frozen=True)
class Folders:
    """SageMaker's layout below one root."""

    root: Path

    @property
    def config(self) -> Path:
        """What the job was started with, as JSON files."""
        return self.root / "input" / "config"

    @property
    def channel(self) -> Path:
        """The table and its metadata."""
        return self.root / "input" / "data" / CHANNEL

    @property
    def model(self) -> Path:
        """What becomes model.tar.gz."""
        return self.root / "model"

    @property
    def output_data(self) -> Path:
        """What becomes output.tar.gz."""
        return self.root / "output" / "data"

    @property
    def checkpoints(self) -> Path:
        """What SageMaker copies to S3 all the time, and back when the container starts anew; there if the job asks."""
        return self.root / "checkpoints"

    @property
    def unfinished(self) -> Path:
        """Where the training is while it runs; nobody copies it."""
        return self.root / "unfinished"

    @property
    def failure(self) -> Path:
        """What becomes the job's FailureReason."""
        return self.root / "output" / "failure"


def main() -> None:
    """Train below `/opt/ml`, or `TABVEIL_ML_ROOT`."""
    folders = Folders(Path(os.environ.get(ROOT_VARIABLE, ROOT)))
    with process_border(), failure_file(folders.failure):
        train(folders)


def train(folders: Folders) -> None:
    """Fit the synthesizer that the hyperparameters describe and write its model.

    Raises:
        ConfigError: the job's settings are missing, unknown or out of range.
        DataError: the table or its metadata is not the one that was promised, or not what the metadata says.
        ArtifactError: the table is missing or unreadable.
        SynthesizerError: training went wrong.
    """
    hyperparameters = read_config(folders.config / "hyperparameters.json")
    require_supported(folders)
    require_promised(folders.channel, hyperparameters)
    config = synthesizer_config(hyperparameters)
    metadata = _read_metadata(folders.channel / METADATA)
    started = time.perf_counter()
    synthesizer = fit(config, folders, metadata)
    write_model(synthesizer, folders.model)
    write_metrics(synthesizer, folders, time.perf_counter() - started)


def fit(config: SynthesizerConfig, folders: Folders, metadata: Metadata) -> Synthesizer:
    """Fit on the channel's table; where there is a folder for checkpoints, go on with what it holds."""
    table = folders.channel / TRAIN_DATA
    if not folders.checkpoints.is_dir():
        return fit_file(config, table, metadata, on_loss=print_loss)
    kept = KeptTraining(folders.checkpoints, folders.unfinished)
    kept.restore()

    def on_loss(record: LossRecord) -> None:
        print_loss(record)
        kept.keep()

    return fit_file(config, table, metadata, on_loss=on_loss, checkpoint=folders.unfinished)


def hyperparameters_of(config: SynthesizerConfig) -> dict[str, str]:
    """Settings as SageMaker passes them on: flat, every value a string. Inverse of `synthesizer_config`."""
    return {name: str(value) for name, value in asdict(config).items()}


def synthesizer_config(hyperparameters: Mapping[str, str]) -> SynthesizerConfig:
    """The synthesizer's settings from strings; what is not named keeps its default.

    Raises:
        ConfigError: an unknown setting or synthesizer, or one whose model may not leave a machine; a value that is no
            number, or out of range.
    """
    settings = {name: text for name, text in hyperparameters.items() if name not in CHECKSUMS}
    kind = settings.get("name", "")
    if kind not in SHAREABLE_KINDS:
        raise ConfigError(f"hyperparameter name must be one of {sorted(SHAREABLE_KINDS)}, however: {kind!r}")
    shape = SYNTHESIZER_CONFIGS[kind]
    hints = get_type_hints(shape)
    return shape(**{name: _parsed(name, text, hints) for name, text in settings.items()})


def _parsed(name: str, text: str, hints: Mapping[str, type]) -> Any:
    if name not in hints:
        raise ConfigError(f"hyperparameter {name} is not a setting of this synthesizer{did_you_mean(name, hints)}")
    try:
        return hints[name](text)
    except (TypeError, ValueError) as err:
        raise ConfigError(f"hyperparameter {name} must be of type {hints[name].__name__}, however: {text!r}") from err


def read_config(path: Path) -> dict[str, Any]:
    """One JSON object of `input/config`.

    Raises:
        ConfigError: missing, or not a JSON object.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as err:
        raise ConfigError(f"a training job must bring {path}, however it cannot be read: {err.strerror}") from err
    except ValueError as err:
        raise ConfigError(f"{path} must be JSON, however it is damaged") from err
    if not isinstance(data, dict):
        raise ConfigError(f"{path} must hold a JSON object, however: {type(data).__name__}")
    return data


def require_supported(folders: Folders) -> None:
    """Refuse a cluster, and a channel that is not laid out as files.

    Raises:
        ConfigError: more than one host, no channel 'training', or one that is piped.
    """
    hosts = read_config(folders.config / "resourceconfig.json").get("hosts", [])
    if len(hosts) != 1:
        raise ConfigError(f"training runs on one instance, however the job has {len(hosts)}: set InstanceCount to 1")
    channels = read_config(folders.config / "inputdataconfig.json")
    if CHANNEL not in channels:
        raise ConfigError(f"the job must have the channel '{CHANNEL}', however it has: {sorted(channels)}")
    if channels[CHANNEL].get("TrainingInputMode") not in ("File", "FastFile"):
        raise ConfigError(f"the channel '{CHANNEL}' must have the input mode File or FastFile, however it has another")


def require_promised(channel: Path, hyperparameters: Mapping[str, str]) -> None:
    """Hold the channel's files against the checksums that the job was started with.

    Raises:
        DataError: a file is missing or differs.
    """
    for name, file in CHECKSUMS.items():
        path, promised = channel / file, hyperparameters.get(name)
        if not path.is_file():
            raise DataError(f"the channel '{CHANNEL}' must hold {file}, however it is missing")
        if promised is not None and promised != sha256_of(path):
            raise DataError(f"{file} must have the checksum in hyperparameter {name}, however it differs: start again")


def print_loss(record: LossRecord) -> None:
    """One line of the job's log, of which SageMaker makes metrics (`LOSS_METRICS`)."""
    validation = "" if record.validation is None else f" validation={record.validation:.6f}"
    print(f"step={record.step} train={record.train:.6f}{validation}", flush=True)


def write_model(synthesizer: Synthesizer, folder: Path) -> None:
    """Save the model into `folder`, which may be a mount point; the manifest comes last, so that half is no model."""
    with tempfile.TemporaryDirectory() as scratch:
        saved = Path(scratch) / "model"
        synthesizer.save(saved)
        folder.mkdir(parents=True, exist_ok=True)
        for path in sorted(saved.iterdir(), key=lambda path: (path.name == MANIFEST, path.name)):
            shutil.copyfile(path, folder / path.name)


def write_metrics(synthesizer: Synthesizer, folders: Folders, seconds: float) -> None:
    """The loss curve, and its end in numbers: no value of the table."""
    curve = synthesizer.loss_curve
    last = None if curve.empty else curve.iloc[-1]
    folders.output_data.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(folders.model / LOSSES, folders.output_data / LOSSES)
    metrics = {
        "synthesizer": synthesizer.name,
        "steps": 0 if last is None else int(last["step"]),
        "train_loss": None if last is None else _number(last["train"]),
        "validation_loss": None if last is None else _number(last["validation"]),
        "seconds": round(seconds, 3),
    }
    write_json(folders.output_data / "metrics.json", metrics)


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None  # JSON knows no NaN


@contextmanager
def failure_file(path: Path) -> Iterator[None]:
    """Write why the block ended early to `path`, one line without a value of the table, and let the error pass."""
    try:
        yield
    except BaseException as reason:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the end is near already
        line = " ".join(failure_reason(reason).split())[:FAILURE_CHARACTERS]
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(line + "\n", encoding="utf-8")
        except OSError as err:
            print(f"error: {path} cannot be written: {err.strerror}", file=sys.stderr)
        raise


def failure_reason(reason: BaseException) -> str:
    """What SageMaker may show of an error."""
    if isinstance(reason, TabVeilError):
        return str(reason)
    return foreign(reason) if isinstance(reason, Exception) else ENDED


def _read_metadata(path: Path) -> Metadata:
    return Metadata.from_json(path.read_text(encoding="utf-8"))
