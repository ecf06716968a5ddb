"""Stages trust bytes, not names: a report or verdict about other files counts for nothing."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from tabveil.artifacts import Artifacts, write_json, write_text
from tabveil.config import Config
from tabveil.errors import ArtifactError, GateError, PrivacyError
from tabveil.pii import IdentityDigests
from tabveil.provenance import sha256_of
from tabveil.schema import Action, Column, ColumnType, Metadata, SDType
from tabveil.stages.app import compose_config
from tabveil.stages.inputs import load_metadata, require_scanned
from tabveil.stages.publish import publishable, require_passed
from tabveil.stages.verify import everyone

CHECK = {"name": "quality/overall", "measured": 0.95, "operator": ">=", "asked": 0.9, "passed": True, "hint": ""}


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts:
    """What a pipeline that passed its gate leaves behind."""
    made = Artifacts(tmp_path / "artifacts")
    for path in (
        made.train_data,
        made.holdout_data,
        made.synthetic_csv,
        made.synthetic_parquet,
        made.report,
        made.metrics,
    ):
        write_text(path, path.name)
    write_text(made.model / "weights.safetensors", "weights")
    write_json(made.model / "synthesizer.json", manifest(shareable=True))
    scanned = {path.name: sha256_of(path) for path in (made.train_data, made.holdout_data)}
    write_json(made.findings, {"after": {"complete": True}, "scanned": scanned})
    judged = {path.name: sha256_of(path) for path in (made.synthetic_csv, made.synthetic_parquet, made.model)}
    write_json(made.gate, {"passed": True, "checks": [CHECK], "dataset": "loans", "judged": judged})
    return made


def manifest(*, shareable: bool) -> dict:
    return {"format": "tabveil-synthesizer", "version": 1, "kind": "tvae", "files": {}, "shareable": shareable}


def test_scanned_tables_and_judged_results_are_accepted(artifacts: Artifacts):
    require_scanned(artifacts)
    require_passed(artifacts, "loans")


@pytest.mark.parametrize("table", ["train_data", "holdout_data"])
def test_a_table_that_was_not_scanned_is_refused(artifacts: Artifacts, table: str):
    write_text(getattr(artifacts, table), "other rows")
    with pytest.raises(PrivacyError, match="run the stage 'verify' again"):
        require_scanned(artifacts)


@pytest.mark.parametrize(
    "report", [{}, [1], {"after": {"complete": False}, "scanned": {}}, {"after": {"complete": True}, "scanned": {}}]
)
def test_a_report_that_does_not_cover_the_tables_is_refused(artifacts: Artifacts, report: object):
    write_json(artifacts.findings, report)
    with pytest.raises((PrivacyError, ArtifactError), match="run the stage 'verify' again"):
        require_scanned(artifacts)


def test_without_a_report_nothing_is_trained(artifacts: Artifacts):
    artifacts.findings.unlink()
    with pytest.raises(ArtifactError, match="run the stage 'verify' first"):
        require_scanned(artifacts)


def test_without_a_verdict_nothing_is_published(artifacts: Artifacts):
    artifacts.gate.unlink()
    with pytest.raises(GateError, match="without a verdict"):
        require_passed(artifacts, "loans")


@pytest.mark.parametrize(
    ("verdict", "message"),
    [
        ({"passed": False, "checks": [{**CHECK, "measured": 0.5, "passed": False}]}, "did not pass"),
        ({"passed": True, "checks": [{**CHECK, "measured": 0.5}]}, "contradicts"),
        ({"passed": True, "checks": []}, "contradicts"),
        ({"passed": True, "checks": [CHECK], "dataset": "loans"}, "is not what"),
        ({"passed": True, "checks": [CHECK], "dataset": "others"}, "must judge dataset 'loans'"),
    ],
)
def test_a_verdict_that_is_no_pass_of_these_files_publishes_nothing(artifacts: Artifacts, verdict: dict, message: str):
    write_json(artifacts.gate, verdict)
    with pytest.raises(GateError, match=message):
        require_passed(artifacts, "loans")


@pytest.mark.parametrize("changed", ["synthetic_csv", "synthetic_parquet"])
def test_a_table_made_after_the_verdict_is_not_published(artifacts: Artifacts, changed: str):
    write_text(getattr(artifacts, changed), "made later")
    with pytest.raises(GateError, match="run the stage 'evaluate' again"):
        require_passed(artifacts, "loans")


def test_a_model_trained_after_the_verdict_is_not_published(artifacts: Artifacts):
    write_text(artifacts.model / "weights.safetensors", "other weights")
    with pytest.raises(GateError, match="model is not what"):
        require_passed(artifacts, "loans")


def test_a_pickled_model_stays_where_it_is(artifacts: Artifacts):
    assert "model/weights.safetensors" in publishable(artifacts)
    write_json(artifacts.model / "synthesizer.json", manifest(shareable=False))
    assert not [name for name in publishable(artifacts) if name.startswith("model/")]


def test_tables_of_another_dataset_are_refused(artifacts: Artifacts, repository: Path, monkeypatch):
    monkeypatch.chdir(repository)
    config: Config = compose_config(["dataset=loans"])
    columns = (Column("a", "A", ColumnType.integer, SDType.numerical),)
    write_text(artifacts.metadata, Metadata("accounts", columns).to_json())
    with pytest.raises(ArtifactError, match="describes dataset 'accounts', however the configuration says 'loans'"):
        load_metadata(config, artifacts)


def test_quarantined_people_are_among_everyone():
    table = pd.DataFrame({"phone": ["040 111111"], "age": pd.array([3], "Int64")})
    quarantine = pd.DataFrame(
        {"_row": [7], "_reason": ["age: not an integer"], "phone": ["414-555-0161"], "age": ["x"]}
    )
    people = everyone(table, quarantine)
    assert people["phone"].tolist() == ["040 111111", "414-555-0161"]
    column = Column("phone", "Phone", ColumnType.string, SDType.id, Action.regenerate, "PHONE_NUMBER")
    digests = IdentityDigests.build(people, [column], bytes(32))
    assert digests.contains("phone", ["+1-414-555-0161", "030 222222"]).tolist() == [True, False]
