"""Stage `train`: what did we learn, reproducibly?

Reads: `artifacts/verify/train.parquet`, `metadata.json` and `findings.json`: no model is fitted on an unscanned table.
Writes: `artifacts/train/model/` (safetensors and JSON), `loss.csv`, `run.json` (the MLflow run that later stages
resume, and who trained). Logs parameters, loss curve, table digests and the model to MLflow (SDV's pickles stay
here). While it trains, `.tabveil/training/` holds the training, so that a run that was killed goes on from there.
Fails when: the scan report is not of these very tables, a loss is not finite, there are fewer rows than
`synthesizer.min_rows`; with `environment.training=sagemaker` also when the job could cost more than
`environment.max_cost_usd`, or does not complete.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pandas as pd

from tabveil.artifacts import Artifacts, write_json, write_text
from tabveil.aws.charges import Charge, record, s3_charge, sagemaker_charge
from tabveil.config import Config, EnvironmentConfig, Training, project_root
from tabveil.container import METADATA, TRAIN_DATA
from tabveil.schema import Metadata
from tabveil.stages.app import stage_app
from tabveil.stages.inputs import load_metadata, require_scanned
from tabveil.synthesizers import is_shareable
from tabveil.synthesizers.model_folder import LOSSES
from tabveil.tracking import TRAINING_GROUPS, Tracker
from tabveil.training import fit_file

if TYPE_CHECKING:
    from tabveil.aws.sagemaker import TrainingRun


CHECKPOINT = ".tabveil/training"  # outside the stage's outputs, which DVC empties before it runs


def run(config: Config, artifacts: Artifacts) -> None:
    """Fit the configured synthesizer on the training rows and start the pipeline's MLflow run."""
    require_scanned(artifacts, config.environment.scanning)
    metadata = load_metadata(config, artifacts)
    remote = config.environment.training is Training.sagemaker

    if remote:
        require_job_settings(config)
    Tracker(config, project_root()).client()  # what cannot work is told before the work, not after
    training = train_in_job(config, artifacts) if remote else train_here(config, artifacts, metadata)

    write_text(artifacts.loss_curve, (artifacts.model / LOSSES).read_text(encoding="utf-8"))
    write_json(artifacts.run, {**track(config, artifacts, metadata, training), "training": training})


def train_here(config: Config, artifacts: Artifacts, metadata: Metadata) -> dict[str, Any]:
    """Train in this process, with a progress bar on a terminal. Returns who trained."""
    progress = sys.stderr.isatty()
    synthesizer = fit_file(
        config.synthesizer,
        artifacts.train_data,
        metadata,
        progress=progress,
        checkpoint=project_root() / CHECKPOINT,
    )
    synthesizer.save(artifacts.model)
    return {"by": Training.in_process.value}


def train_in_job(config: Config, artifacts: Artifacts) -> dict[str, Any]:
    """Train in a SageMaker job, its status told on a terminal. Returns who trained, how long and for how much."""
    from tabveil.aws.sagemaker import train_on_sagemaker  # boto3 is for those who need it
    from tabveil.aws.session import connect_aws

    files = {TRAIN_DATA: artifacts.train_data, METADATA: artifacts.metadata}
    with connect_aws(config.environment, project_root()) as aws:
        done = train_on_sagemaker(
            aws, config.synthesizer, config.dataset.name, files, artifacts.model, on_status=tell_status
        )
        record(project_root(), "train", config.environment, charges_of(done, config.environment, aws.store.requests))
    if done.cost_usd is not None:
        print(f"SageMaker: {done.billable_seconds} s on {done.instance_type}, about {done.cost_usd:.4f} USD")
    return {"by": Training.sagemaker.value, **asdict(done)}


def charges_of(done: TrainingRun, environment: EnvironmentConfig, requests: Mapping[str, int]) -> list[Charge]:
    """What the job was billed for, and its files in the object store."""
    job = sagemaker_charge(environment.prices, done.instance_type, done.billable_seconds or 0)
    return [job, s3_charge(environment.prices, requests)]


def require_job_settings(config: Config) -> None:
    """Refuse what a training job could only fail with, or cost too much (see `tabveil.aws.sagemaker.require_ready`)."""
    from tabveil.aws.sagemaker import require_ready

    require_ready(config.environment, config.synthesizer)


def tell_status(status: str) -> None:
    """A line per secondary status on a terminal; logs stay quiet."""
    if sys.stderr.isatty():
        print(f"SageMaker: {status}", file=sys.stderr, flush=True)


def run_name(config: Config) -> str:
    """What the run is called in the UI, e.g. ``tvae seed=0``."""
    return f"{config.synthesizer.name} seed={config.synthesizer.seed}"


def track(config: Config, artifacts: Artifacts, metadata: Metadata, training: dict[str, Any]) -> dict[str, str | None]:
    """Start the MLflow run, log what was learned, and return what later stages need to find it."""
    tracker = Tracker(config, project_root())
    run_id = tracker.start(run_name(config), parent_run_id=config.tracking.parent_run_id)
    with tracker.closing(run_id):
        tracker.log_params(run_id, TRAINING_GROUPS)
        tracker.log_losses(run_id, pd.read_csv(artifacts.loss_curve, float_precision="round_trip"))
        tracker.set_tag(run_id, "trained_by", training["by"])
        if training.get("billable_seconds") is not None:
            tracker.log_metrics(run_id, {"sagemaker/billable_seconds": training["billable_seconds"]})
        tracker.log_table(run_id, artifacts.train_data, "training")
        tracker.log_table(run_id, artifacts.holdout_data, "holdout")
        tracker.log_files(run_id, {artifacts.loss_curve: ""})
        model_uri = tracker.log_model(run_id, artifacts.model, metadata) if is_shareable(artifacts.model) else None
    return {"run_id": run_id, "model_uri": model_uri}


main = stage_app("train", run)

if __name__ == "__main__":
    main()
