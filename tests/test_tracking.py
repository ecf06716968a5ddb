"""tabveil.tracking, against a real SQLite store in a temporary project."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tabveil.config import Config
from tabveil.errors import TrackingError
from tabveil.stages.app import compose_config
from tabveil.tracking import TRAINING_GROUPS, Tracker, store_uri


@pytest.fixture(scope="module")
def config(repository: Path) -> Config:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(repository)
        return compose_config([])


@pytest.fixture(scope="module")
def tracker(config: Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracker]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLFLOW_TRACKING_URI", "DVC_ROOT"):
            patch.delenv(name, raising=False)
        yield Tracker(config, tmp_path_factory.mktemp("project"))


def test_the_store_is_a_database_in_mlruns_unless_a_server_is_named(config, tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    assert store_uri(config, tmp_path) == f"sqlite:///{tmp_path}/mlruns/mlflow.db"
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "queued"))
    assert store_uri(config, tmp_path) == f"sqlite:///{tmp_path}/queued/mlruns/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    assert store_uri(config, tmp_path) == "http://127.0.0.1:5000"


def test_a_run_holds_parameters_losses_scores_and_tables_but_no_row(tracker: Tracker):
    table = tracker.root / "artifacts" / "train.parquet"
    table.parent.mkdir()
    pq.write_table(pa.table({"secret_column": ["secret-value"] * 3}), table)
    run_id = tracker.start("tvae")
    losses = pd.DataFrame({"step": [50, 100], "train": [3.0, 2.0], "validation": [float("nan"), 2.5]})
    tracker.log_params(run_id, TRAINING_GROUPS)
    tracker.log_losses(run_id, losses)
    tracker.log_metrics(run_id, {"quality/overall": 0.97, "utility/tstr": float("nan")})
    tracker.log_table(run_id, table, "training")
    tracker.finish(run_id)

    run = tracker.client().get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["synthesizer.name"] == "tvae"
    assert run.data.params["dataset"] == "loans"
    assert run.data.metrics == {"quality/overall": 0.97, "loss/train": 2.0, "loss/validation": 2.5}
    history = tracker.client().get_metric_history(run_id, "loss/train")
    assert [(point.step, point.value) for point in history] == [(50, 3.0), (100, 2.0)]
    (entry,) = run.inputs.dataset_inputs
    assert json.loads(entry.dataset.profile) == {"num_columns": 1, "num_rows": 3}
    assert b"secret-value" not in (tracker.root / "mlruns" / "mlflow.db").read_bytes()


def test_a_run_goes_on_until_it_is_evaluated_and_then_has_a_successor(tracker: Tracker):
    run_id = tracker.start("tvae")
    assert tracker.resume(run_id) == run_id
    tracker.set_tag(run_id, "gate", "passed")
    successor = tracker.resume(run_id)
    assert successor != run_id
    assert tracker.client().get_run(successor).data.tags["source_run_id"] == run_id


def test_a_run_is_never_left_running(tracker: Tracker):
    def status(run_id: str) -> str:
        return tracker.client().get_run(run_id).info.status

    good, bad = tracker.start("good"), tracker.start("bad")
    assert status(bad) == "RUNNING"
    with tracker.closing(good):
        pass
    with pytest.raises(KeyboardInterrupt), tracker.closing(bad):
        raise KeyboardInterrupt
    assert (status(good), status(bad)) == ("FINISHED", "FAILED")


def test_a_run_of_another_store_has_a_successor_here(tracker: Tracker):
    foreign = "0" * 32
    successor = tracker.resume(foreign)
    assert tracker.client().get_run(successor).data.tags["source_run_id"] == foreign


def test_children_come_best_first(tracker: Tracker):
    parent = tracker.start("sweep")
    for name, quality in (("low", 0.8), ("high", 0.9)):
        child = tracker.start(name, parent_run_id=parent)
        tracker.log_metrics(child, {"quality/overall": quality})
    unscored = tracker.start("unscored", parent_run_id=parent)
    children = tracker.children(parent)
    assert [child["name"] for child in children] == ["high", "low", "unscored"]
    assert children[-1]["run_id"] == unscored


def test_a_server_that_does_not_answer_is_one_clear_error(config, tmp_path, monkeypatch):
    with socket.socket() as taken:  # bound, but nobody listens
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{taken.getsockname()[1]}")
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        with pytest.raises(TrackingError, match=r"the MLflow store at 127\.0\.0\.1 must answer"):
            Tracker(config, tmp_path).client()


def test_a_store_of_a_moved_project_says_so(tracker: Tracker, tmp_path: Path):
    tracker.client()
    moved = Path(shutil.copytree(tracker.root, tmp_path / "moved"))
    with pytest.raises(TrackingError, match="belongs to a project in another folder"):
        Tracker(tracker.config, moved).client()


def test_two_processes_may_meet_a_fresh_store_at_once(tmp_path: Path, repository: Path, clean_environment):
    code = (
        "import sys; from pathlib import Path; from tabveil.stages.app import compose_config;"
        "from tabveil.tracking import Tracker; print(Tracker(compose_config([]), Path(sys.argv[1])).start('x'))"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    pipe = subprocess.PIPE
    processes = [
        subprocess.Popen(command, cwd=repository, env=clean_environment, stdout=pipe, stderr=pipe, text=True)
        for _ in range(2)
    ]
    answers = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], answers
    assert len({out.strip() for out, _ in answers}) == 2
