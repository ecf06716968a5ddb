"""MLflow: one run per pipeline run, comparable in the UI. Only this module and `serving` import it.

The store is `mlruns/mlflow.db` (SQLite) with artifacts below `mlruns/artifacts/`, unless `tracking.uri` or
MLFLOW_TRACKING_URI names a server. `train` starts the run and writes its id; `evaluate` resumes it. A run that is
not in this store (a fresh clone, DVC's run cache) or was evaluated before is succeeded by a new one, tagged with
`source_run_id`. MLflow is imported inside functions: it costs seconds that the early stages need not pay.

What is logged: flat parameters, loss curves, grouped scores, table digests and shapes, report, plots, and the
synthesizer as a pyfunc model. Never a row of the real table.
"""

from __future__ import annotations

import math
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pandas as pd
from filelock import FileLock

import tabveil
from tabveil.config import Config, flatten
from tabveil.errors import TrackingError
from tabveil.provenance import md5_of, provenance_tags
from tabveil.schema import ColumnType, Metadata

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

MODEL_ARTIFACT = "synthesizer"
CHAMPION = "champion"
MODEL_CODE = Path(__file__).parent / "serving.py"
MODEL_REQUIREMENTS = ("torch", "numpy", "pandas", "safetensors", "omegaconf", "rich", "pyarrow")
TRAINING_GROUPS = ("environment", "preprocess", "pii", "synthesizer")  # logged when a run starts
EVALUATION_GROUPS = ("sampling", "evaluation")  # logged when it is evaluated

_SCHEMA_TYPE = {
    ColumnType.string: "string",
    ColumnType.integer: "long",
    ColumnType.decimal: "double",
    ColumnType.boolean: "boolean",
    ColumnType.date: "datetime",
    ColumnType.datetime: "datetime",
}


@cache
def _mlflow() -> Any:
    """The mlflow package, imported once, quiet and without telemetry or network dry runs."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_SKIP_PIP_REQUIREMENTS_CHECK", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of MLflow's own modules while they load
        import mlflow
        import mlflow.pyfunc
    import logging

    for name in ("mlflow", "alembic", "urllib3"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return mlflow


def store_uri(config: Config, root: Path) -> str:
    """Address of the tracking store (see the module's docstring); `DVC_ROOT` wins over `root` in queued experiments."""
    named = config.tracking.uri or os.environ.get("MLFLOW_TRACKING_URI")
    return named or f"sqlite:///{_home(root) / 'mlruns' / 'mlflow.db'}"


def _home(root: Path) -> Path:
    return Path(os.environ.get("DVC_ROOT", root)).resolve()


@dataclass(frozen=True)
class Tracker:
    """One experiment of one store.

    Args:
        config: the composed configuration; its flat form becomes the run's parameters.
        root: the project's folder.
    """

    config: Config
    root: Path

    @property
    def experiment(self) -> str:
        """Name of the MLflow experiment."""
        return self.config.tracking.experiment or self.config.dataset.name

    @property
    def model_name(self) -> str:
        """Name in the model registry."""
        return self.config.tracking.model_name or f"tabveil-{self.config.dataset.name}"

    def client(self) -> MlflowClient:
        """A client of the store, which is created at first contact (one process at a time).

        Raises:
            TrackingError: the store cannot be reached, or keeps its artifacts in another folder than this project's.
        """
        mlflow, uri = _mlflow(), store_uri(self.config, self.root)
        from mlflow.exceptions import MlflowException

        home = _home(self.root) / "mlruns"
        home.mkdir(exist_ok=True)
        location = (home / "artifacts").as_uri() if uri.startswith("sqlite:") else None
        with FileLock(home / ".store.lock"):
            mlflow.set_tracking_uri(uri)
            mlflow.set_registry_uri(uri)
            client = mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
            try:
                experiment = client.get_experiment_by_name(self.experiment)
                if experiment is None:
                    client.create_experiment(self.experiment, artifact_location=location)
            except MlflowException as err:
                raise TrackingError(
                    f"the MLflow store at {urlsplit(uri).hostname or 'mlruns/mlflow.db'} must answer, however it does "
                    "not: start it, or correct tracking.uri and MLFLOW_TRACKING_URI"
                ) from err
        if location and experiment is not None and experiment.artifact_location != location:
            raise TrackingError(
                f"experiment '{self.experiment}' in mlruns/ belongs to a project in another folder (MLflow keeps "
                "absolute paths): set tracking.experiment to a new name, or move the project back"
            )
        return client

    def start(self, name: str, *, parent_run_id: str | None = None, source_run_id: str | None = None) -> str:
        """Start a run with the tags that lead back to code and data.

        Returns:
            The run id. The run stays open (status RUNNING) until `finish` or the end of `closing`.
        """
        client = self.client()
        experiment = client.get_experiment_by_name(self.experiment)
        tags = {**provenance_tags(self.root), "mlflow.runName": name}
        if parent_run_id:
            tags["mlflow.parentRunId"] = parent_run_id
        if source_run_id:
            tags["source_run_id"] = source_run_id
        run = client.create_run(experiment.experiment_id, run_name=name, tags=tags)
        run_id: str = run.info.run_id
        return run_id

    @contextmanager
    def closing(self, run_id: str, *, failed: bool = False) -> Iterator[None]:
        """Leave the run FINISHED or FAILED, never RUNNING, whatever happens in the block."""
        try:
            yield
        except BaseException:
            self.finish(run_id, failed=True)
            raise
        self.finish(run_id, failed=failed)

    def log_params(self, run_id: str, groups: Iterable[str]) -> None:
        """The settings of some configuration groups, flat: ``synthesizer.max_steps``."""
        from mlflow.entities import Param

        flat: dict[str, Any] = {"seed": self.config.seed, "dataset": self.config.dataset.name}
        for group in groups:
            flat.update(flatten(getattr(self.config, group), f"{group}."))
        params = [Param(key, str(value)[:500]) for key, value in flat.items()]
        self.client().log_batch(run_id, params=params)

    def resume(self, run_id: str) -> str:
        """The run to go on with: `run_id` if it is in this store and not evaluated yet, else a successor of it."""
        run = _found(lambda: self.client().get_run(run_id))
        if run is not None and run.data.tags.get("gate") is None:
            return run_id
        name = run.info.run_name if run is not None else self.config.synthesizer.name
        successor = self.start(name, parent_run_id=self.config.tracking.parent_run_id, source_run_id=run_id)
        self.log_params(successor, TRAINING_GROUPS)
        return successor

    def log_losses(self, run_id: str, losses: pd.DataFrame) -> None:
        """Loss curves as metrics loss/train and loss/validation; NaN is left out.

        Args:
            losses: columns step, train, validation.
        """
        from mlflow.entities import Metric

        metrics = [
            Metric(f"loss/{part}", float(record[part]), 0, int(record["step"]))
            for record in losses.to_dict("records")
            for part in ("train", "validation")
            if math.isfinite(record[part])
        ]
        client = self.client()
        for start in range(0, len(metrics), 1000):
            client.log_batch(run_id, metrics=metrics[start : start + 1000])

    def log_metrics(self, run_id: str, metrics: Mapping[str, float]) -> None:
        """Grouped scores, e.g. quality/overall; values that are not finite are left out."""
        from mlflow.entities import Metric

        finite = [Metric(name, float(value), 0, 0) for name, value in metrics.items() if math.isfinite(value)]
        self.client().log_batch(run_id, metrics=finite)

    def log_table(self, run_id: str, path: Path, context: str) -> None:
        """A table as an input of the run: name, digest (DVC's md5 of the file) and row count; never a row."""
        import pyarrow.parquet as pq
        from mlflow.entities import Dataset, DatasetInput, InputTag

        rows = pq.read_metadata(path)
        digest = md5_of(path)
        dataset = Dataset(
            name=f"{self.config.dataset.name}-{context}",
            digest=digest,
            source_type="local",
            source=f'{{"uri": "{path.relative_to(self.root).as_posix()}"}}',
            profile=f'{{"num_rows": {rows.num_rows}, "num_columns": {rows.num_columns}}}',
        )
        entry = DatasetInput(dataset, [InputTag("mlflow.data.context", context)])
        self.client().log_inputs(run_id, [entry])

    def log_files(self, run_id: str, files: Mapping[Path, str]) -> None:
        """Copy files or folders into the run's artifacts: ``{path: artifact folder ('' for the top)}``."""
        client = self.client()
        for path, folder in files.items():
            if path.is_dir():
                client.log_artifacts(run_id, str(path), folder or None)
            else:
                client.log_artifact(run_id, str(path), folder or None)

    def log_json(self, run_id: str, content: Mapping[str, Any], name: str) -> None:
        """A dictionary as the JSON artifact `name`."""
        self.client().log_dict(run_id, dict(content), name)

    def log_model(self, run_id: str, model: Path, metadata: Metadata) -> str:
        """Log the model folder as a pyfunc model with signature and the parameters `num_rows` and `seed`.

        Returns:
            Its model uri.
        """
        mlflow = _mlflow()
        from mlflow.models import ModelSignature
        from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema

        self.client()
        columns = [ColSpec(_SCHEMA_TYPE[metadata[n].type], n, required=False) for n in metadata.modelled_columns]
        params = ParamSchema([ParamSpec("num_rows", "long", 1000), ParamSpec("seed", "long", 0)])
        with _open_run(mlflow, run_id), _package_copy() as package, warnings.catch_warnings():
            # there is no input, and an example of the output would have to be a row
            warnings.filterwarnings("ignore", ".*input example was not provided.*")
            info = mlflow.pyfunc.log_model(
                name=MODEL_ARTIFACT,
                python_model=str(MODEL_CODE),
                artifacts={"model": str(model)},
                code_paths=[str(package)],
                signature=ModelSignature(inputs=None, outputs=Schema(columns), params=params),
                pip_requirements=_requirements(),
            )
        uri: str = info.model_uri
        return uri

    def promote(self, run_id: str, model_uri: str) -> str:
        """Register the model and point the alias `champion` to it.

        Returns:
            The new version's number.
        """
        client = self.client()
        if _found(lambda: client.get_registered_model(self.model_name)) is None:
            client.create_registered_model(self.model_name)
        version = client.create_model_version(self.model_name, model_uri, run_id=run_id)
        client.set_registered_model_alias(self.model_name, CHAMPION, version.version)
        client.set_tag(run_id, "registered_version", version.version)
        return str(version.version)

    def set_tag(self, run_id: str, key: str, value: str) -> None:
        """Set one tag."""
        self.client().set_tag(run_id, key, value)

    def finish(self, run_id: str, *, failed: bool = False) -> None:
        """Close the run as FINISHED or FAILED."""
        self.client().set_terminated(run_id, "FAILED" if failed else "FINISHED")

    def children(self, parent_run_id: str) -> list[dict[str, Any]]:
        """Runs of one sweep: run id, name, parameters, metrics and tags, best quality first."""
        client = self.client()
        experiment = client.get_experiment_by_name(self.experiment)
        runs = client.search_runs([experiment.experiment_id], f"tags.mlflow.parentRunId = '{parent_run_id}'")
        found = [
            {
                "run_id": run.info.run_id,
                "name": run.info.run_name,
                "params": dict(run.data.params),
                "metrics": dict(run.data.metrics),
                "tags": dict(run.data.tags),
            }
            for run in runs
        ]
        return sorted(found, key=lambda run: (-run["metrics"].get("quality/overall", -1.0), run["name"]))


@contextmanager
def _open_run(mlflow: Any, run_id: str) -> Iterator[None]:
    """Make `run_id` the fluent API's active run."""
    with mlflow.start_run(run_id=run_id):
        yield


def _found(look_up: Callable[[], Any]) -> Any:
    """The entity, or None if the store does not have it; any other failure of the store is raised."""
    from mlflow.exceptions import MlflowException

    try:
        return look_up()
    except MlflowException as err:
        if err.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None


@contextmanager
def _package_copy() -> Iterator[Path]:
    """The package's own source without caches, so that a logged model loads where TabVeil is not installed."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "tabveil"
        shutil.copytree(Path(tabveil.__file__).parent, target, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        yield target


def _requirements() -> list[str]:
    from importlib.metadata import version

    return [f"{name}=={version(name).partition('+')[0]}" for name in MODEL_REQUIREMENTS]
