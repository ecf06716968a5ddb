"""The stage `train` with `environment=embedded`: the model comes back from a training job, MLflow hears of it here."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tabveil.artifacts import Artifacts, write_json, write_parquet, write_text
from tabveil.config import Config
from tabveil.errors import ConfigError, CostError
from tabveil.provenance import sha256_of
from tabveil.schema import DEFAULT_SDTYPE, Column, ColumnType, Metadata, canonical
from tabveil.stages import train
from tabveil.stages.app import compose_config
from tabveil.tracking import Tracker
from tabveil.training import fit_file

TYPES = {"amount": ColumnType.decimal, "grade": ColumnType.string}
METADATA = Metadata("loans", tuple(Column(n, n, kind, DEFAULT_SDTYPE[kind]) for n, kind in TYPES.items()))
EMBEDDED = ["environment=embedded", "environment.scanning=in_process"]  # Macie is another test's
SMALL = ["max_steps=30", "encoder_dim=16", "decoder_dim=16", "latent_dim=2", "batch_size=64", "min_rows=50"]


@pytest.fixture
def project(tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(repository / "conf", tmp_path / "conf")
    monkeypatch.setenv("TABVEIL_ROOT", str(tmp_path))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


@pytest.fixture
def artifacts(project: Path) -> Artifacts:
    """What `verify` leaves of 300 rows, and a model of an earlier run."""
    made = Artifacts(project / "artifacts")
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"amount": rng.gamma(2, 500, 300).round(2), "grade": rng.choice(["A", "B"], 300)})
    write_parquet(made.train_data, canonical(table[:200], METADATA))
    write_parquet(made.holdout_data, canonical(table[200:], METADATA))
    write_parquet(made.identity_digests, pd.DataFrame({"column": [], "digest": []}))
    write_text(made.metadata, METADATA.to_json())
    scanned = {path.name: sha256_of(path) for path in made.scanned_files()}
    write_json(made.findings, {"after": {"complete": True}, "scanned": scanned})
    write_text(made.model / "old.json", "{}")
    return made


def embedded(*overrides: str) -> Config:
    settings = [f"synthesizer.{setting}" for setting in SMALL]
    return compose_config(["dataset=loans", *EMBEDDED, *settings, *overrides])


def test_the_stage_brings_back_the_model_of_its_own_process(project, artifacts, capsys):
    config = embedded()
    train.run(config, artifacts)
    fit_file(config.synthesizer, artifacts.train_data, METADATA).save(project / "here")
    assert sha256_of(artifacts.model) == sha256_of(project / "here")
    assert artifacts.loss_curve.read_bytes() == (artifacts.model / "loss.csv").read_bytes()

    run = json.loads(artifacts.run.read_text())
    assert run["training"]["by"] == "sagemaker"
    assert run["training"]["job_name"].startswith("tabveil-loans-")
    assert run["training"]["billable_seconds"] >= 1
    said = capsys.readouterr()
    assert f"SageMaker: {run['training']['billable_seconds']} s on ml.c5.xlarge, about 0.00" in said.out
    assert said.err == ""  # no terminal: statuses stay quiet

    tracked = Tracker(config, project).client().get_run(run["run_id"])
    assert tracked.data.metrics["sagemaker/billable_seconds"] == run["training"]["billable_seconds"]
    assert tracked.data.tags["trained_by"] == "sagemaker"
    assert {"loss/train", "loss/validation"} <= set(tracked.data.metrics)


@pytest.mark.parametrize(
    ("overrides", "error", "message"),
    [
        (["environment.max_cost_usd=0.01"], CostError, "environment.max_cost_usd=0.01 USD"),
        (["environment.sagemaker.role_arn=null"], ConfigError, "role_arn must be set"),
    ],
)
def test_a_job_that_is_refused_leaves_the_outputs_as_they_were(artifacts, overrides, error, message):
    with pytest.raises(error, match=message):
        train.run(embedded(*overrides), artifacts)
    assert [path.name for path in artifacts.model.iterdir()] == ["old.json"]
    assert [path.name for path in artifacts.stage("train").iterdir()] == ["model"]


def test_sdv_models_do_not_train_in_a_job(artifacts):
    config = compose_config(["dataset=loans", *EMBEDDED, "synthesizer=sdv_gaussian_copula"])
    with pytest.raises(ConfigError, match="saves a pickle"):
        train.run(config, artifacts)


@pytest.mark.parametrize(("terminal", "said"), [(True, "SageMaker: Training\n"), (False, "")])
def test_statuses_are_told_on_a_terminal_only(monkeypatch, capsys, terminal: bool, said: str):
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    train.tell_status("Training")
    assert capsys.readouterr().err == said
