"""tabveil.ui_view and tabveil.ui: the saved views of MLflow's runs page (a browser opens them in tests/pipeline)."""

from __future__ import annotations

import base64
import json
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from mlflow.utils.validation import MAX_EXPERIMENT_TAG_VAL_LENGTH

from tabveil.stages.app import compose_config
from tabveil.tracking import Tracker
from tabveil.ui_view import SCORES, RunsView, all_runs, save_view, server, sweep_runs


@pytest.fixture(scope="module")
def tracker(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracker]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(repository)
        for name in ("MLFLOW_TRACKING_URI", "DVC_ROOT"):
            patch.delenv(name, raising=False)
        yield Tracker(compose_config([]), tmp_path_factory.mktemp("project"))


def tags(tracker: Tracker) -> dict[str, str]:
    return dict(tracker.client().get_experiment_by_name(tracker.experiment).tags)


def unpacked(value: str) -> dict:
    packed = json.loads(value)["state"].removeprefix("deflate;")
    return json.loads(zlib.decompress(base64.b64decode(packed)))


def test_a_view_has_settings_then_scores_then_the_gate_and_the_best_run_on_top():
    state = RunsView("k", "name", parameters=("synthesizer.seed",)).state()
    columns = ["params.`synthesizer.seed`", *(f"metrics.`{name}`" for name in SCORES.values()), "tags.`gate`"]
    assert state["selectedColumns"] == state["columnOrder"] == list(state["columnWidths"]) == columns
    assert state["orderByKey"] == "metrics.`quality/overall`"
    assert state["orderByAsc"] is False
    assert state["searchFilter"] == ""


def test_a_saved_view_is_a_tag_of_the_experiment_and_its_address_names_it(tracker: Tracker):
    address = urlsplit(save_view(tracker, sweep_runs("f" * 32, "sweep: seed=0,1", ["synthesizer.seed"]), port=5099))
    saved = tags(tracker)[f"mlflow.sharedViewState.{'f' * 32}"]
    assert json.loads(saved)["name"] == "sweep: seed=0,1"
    assert json.loads(saved)["createdAt"] > 1_700_000_000_000
    assert unpacked(saved)["searchFilter"] == f"tags.mlflow.parentRunId = '{'f' * 32}'"
    experiment = tracker.client().get_experiment_by_name(tracker.experiment)
    assert address.netloc == "127.0.0.1:5099"
    page, _, query = address.fragment.partition("?")
    assert page == f"/experiments/{experiment.experiment_id}/runs"
    assert parse_qs(query)["viewStateShareKey"] == ["f" * 32]


def test_the_filter_of_a_sweep_finds_its_children_and_nothing_else(tracker: Tracker):
    parent, _other = tracker.start("sweep"), tracker.start("alone")
    child = tracker.start("child", parent_run_id=parent)
    experiment = tracker.client().get_experiment_by_name(tracker.experiment)
    found = tracker.client().search_runs([experiment.experiment_id], sweep_runs(parent, "sweep", []).search)
    assert [run.info.run_id for run in found] == [child]


def test_a_view_that_a_person_changed_stays_as_it_is(tracker: Tracker):
    address = save_view(tracker, all_runs())
    key = "mlflow.sharedViewState.tabveil-scores"
    assert unpacked(tags(tracker)[key])["searchFilter"] == ""
    experiment = tracker.client().get_experiment_by_name(tracker.experiment)
    tracker.client().set_experiment_tag(experiment.experiment_id, key, "changed")
    assert save_view(tracker, all_runs()) == address
    assert tags(tracker)[key] == "changed"


def test_a_view_of_many_settings_fits_in_a_tag():
    parameters = [f"synthesizer.a_setting_with_a_long_name.number_{i}" for i in range(60)]
    _, value = sweep_runs("f" * 32, "sweep: " + " ".join(parameters), parameters).tag(created=1.0)
    assert len(value) <= MAX_EXPERIMENT_TAG_VAL_LENGTH
    assert len(unpacked(value)["selectedColumns"]) == 60 + len(SCORES) + 1


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("sqlite:////somewhere/mlflow.db", "http://127.0.0.1:5001"),
        ("https://analyst:secret@mlflow.bank.test:8443/tracking/", "https://mlflow.bank.test:8443/tracking"),
    ],
)
def test_the_address_is_the_servers_without_its_password(uri, shown, tracker: Tracker, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert server(tracker, 5001) == shown


def test_the_command_says_where_all_runs_are(clone, run_in):
    result = run_in(clone, sys.executable, "-m", "tabveil.ui", "--port", "5099")
    assert result.stdout.startswith("scores of all runs: http://127.0.0.1:5099/#/experiments/1/runs?")
    assert result.stderr == ""
