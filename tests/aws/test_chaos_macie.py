"""What goes wrong on the way to a verdict ends in success after retries or in one clear line; nothing stays behind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import aws_shapes
import pandas as pd
import pytest

from tabveil.artifacts import Artifacts, write_json, write_parquet
from tabveil.aws.macie import Macie
from tabveil.aws.macie_scan import scan_with_macie
from tabveil.aws.session import AWS, connect_aws
from tabveil.config import Config, DatasetConfig, EnvironmentConfig, MacieConfig, PIIConfig, Scanning
from tabveil.errors import CloudError, CostError, PolicyViolationError, PrivacyError, ScanIncompleteError
from tabveil.schema import Column, ColumnSpec, ColumnType, Metadata, SDType
from tabveil.stages import verify
from tabveil.stages.app import compose_config
from tabveil.stages.inputs import require_scanned
from tabveil.stages.second_scan import second_scan

TABLES = {
    "train": pd.DataFrame({"amount": range(200), "purpose": ["car", "house"] * 100}),
    "holdout": pd.DataFrame({"amount": range(60), "purpose": ["car", "house"] * 30}),
}
METADATA = Metadata(
    "loans",
    (
        Column("amount", "amount", ColumnType.integer, SDType.numerical),
        Column("purpose", "purpose", ColumnType.string, SDType.categorical),
    ),
)
HEADERS = {"amount": "Amount", "purpose": "Purpose"}


class WatchedAWS(AWS):
    """Requests and answers are judged by the service's model."""

    def client(self, service: str):
        return aws_shapes.watch(super().client(service))


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("project")


@pytest.fixture(scope="module")
def aws(root) -> Iterator[AWS]:
    macie = MacieConfig(poll_seconds=0.1, findings_seconds=0.5)
    environment = EnvironmentConfig(name="embedded", embedded_aws=True, scanning=Scanning.macie, macie=macie)
    with connect_aws(environment, root) as connected:
        yield WatchedAWS(connected.environment, connected.store, connected.session, connected.endpoint_url)


@pytest.fixture
def faults(root) -> Iterator[Path]:
    path = root / ".tabveil" / "aws" / "macie_faults.json"
    yield path
    path.unlink(missing_ok=True)


def scan(aws: AWS, **settings):
    environment = replace(aws.environment, **settings)
    return scan_with_macie(replace(aws, environment=environment), TABLES, METADATA, HEADERS, PIIConfig())


def left_behind(aws: AWS) -> list:
    return aws.store.list(aws.environment.work_bucket, "verify/")


def states(aws: AWS) -> list[str]:
    return [job["jobStatus"] for job in aws.client("macie2").list_classification_jobs()["items"]]


@pytest.mark.parametrize(
    ("fault", "error", "message"),
    [
        ({"job": "pause"}, CloudError, "it is PAUSED: the account's monthly quota"),
        ({"job": "user_pause"}, CloudError, "it is USER_PAUSED: someone paused it"),
        ({"job": "cancel"}, CloudError, "it is CANCELLED: someone cancelled it"),
        ({"job": "run_error"}, ScanIncompleteError, "lastRunErrorStatus is ERROR"),
        ({"skip": ["holdout.csv"]}, ScanIncompleteError, "all of 2 objects, however: holdout.csv was not read"),
        ({"skip": ["holdout.csv", "train.csv"]}, ScanIncompleteError, "holdout.csv was not.*train.csv was not"),
        ({"partial": ["train.csv"]}, ScanIncompleteError, r"train.csv is PARTIAL \(TIME_CUT_OFF_REACHED\)"),
        (
            {"calls": {"DescribeClassificationJob": ["ExpiredTokenException"]}},
            CloudError,
            "credentials have expired .*: log in again",
        ),
        ({"calls": {"CreateClassificationJob": ["ExpiredTokenException"] * 9}}, CloudError, "log in again"),
        ({"calls": {"GetFindings": ["ValidationException"]}}, CloudError, "it answered ValidationException"),
    ],
)
def test_a_job_that_does_not_go_well_ends_in_one_line_and_leaves_nothing(aws, faults, fault, error, message):
    faults.write_text(json.dumps(fault))
    with pytest.raises(error, match=message) as caught:
        scan(aws)
    assert "\n" not in str(caught.value)
    assert left_behind(aws) == []
    assert "RUNNING" not in states(aws)


@pytest.mark.parametrize("code", ["ThrottlingException", "InternalServerException"])
@pytest.mark.parametrize("operation", ["CreateClassificationJob", "ListFindings"])
def test_throttling_and_server_errors_are_retried(aws, faults, code, operation):
    faults.write_text(json.dumps({"calls": {operation: [code]}}))
    assert scan(aws).num_objects == 2
    assert left_behind(aws) == []


def test_a_job_that_never_ends_is_cancelled(aws, faults):
    faults.write_text(json.dumps({"job": "hang"}))
    settings = MacieConfig(poll_seconds=0.1)
    settings.timeout_minutes = 0  # below what a configuration may say, or the test would take a minute
    with pytest.raises(CloudError, match="must end within 0 s"):
        scan(aws, macie=settings)
    assert states(aws)[-1] == "CANCELLED"
    assert left_behind(aws) == []


def test_an_interrupt_cancels_the_job_and_deletes_the_copies(aws, faults, monkeypatch):
    faults.write_text(json.dumps({"job": "hang"}))

    def interrupted(self: Macie, job_id: str) -> dict:
        raise KeyboardInterrupt

    monkeypatch.setattr(Macie, "_describe", interrupted)
    with pytest.raises(KeyboardInterrupt):
        scan(aws)
    assert states(aws)[-1] == "CANCELLED"
    assert left_behind(aws) == []


def test_an_interrupt_before_the_answer_cancels_the_job_that_began(aws, faults, monkeypatch):
    faults.write_text(json.dumps({"job": "hang"}))
    create, before = Macie._create_job, states(aws)

    def interrupted(self: Macie, *arguments: object) -> str:
        create(self, *arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(Macie, "_create_job", interrupted)
    with pytest.raises(KeyboardInterrupt) as caught:
        scan(aws)
    assert not hasattr(caught.value, "__notes__")
    assert states(aws) == [*before, "CANCELLED"]
    assert left_behind(aws) == []


def test_what_costs_too_much_is_never_uploaded(aws):
    jobs = len(states(aws))
    with pytest.raises(CostError, match="must cost at most 1e-09 USD"):
        scan(aws, max_cost_usd=1e-9)
    assert len(states(aws)) == jobs


# the stage


def prepared(folder: Path) -> Artifacts:
    """What `preprocess` leaves for a small dataset without personal data."""
    artifacts = Artifacts(folder / "artifacts")
    table = pd.concat(TABLES.values(), ignore_index=True)
    write_parquet(artifacts.table, table)
    write_parquet(artifacts.quarantine, table.head(0).astype("object"))
    names = [{"name": name, "original_name": header} for name, header in HEADERS.items()]
    write_json(artifacts.profile, {"columns": names})
    return artifacts


@pytest.fixture
def project(aws, tmp_path, monkeypatch) -> Path:
    """A project's root; its endpoint is the one that runs already."""
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "config.yaml").touch()
    monkeypatch.setenv("TABVEIL_ROOT", str(tmp_path))
    monkeypatch.setattr("tabveil.aws.session.connect_aws", lambda environment, root: nullcontext(aws))
    return tmp_path


@pytest.fixture
def config(repository: Path, project: Path) -> Config:
    columns = {
        "amount": ColumnSpec(type=ColumnType.integer),
        "purpose": ColumnSpec(type=ColumnType.string, sdtype=SDType.categorical),
    }
    macie = MacieConfig(poll_seconds=0.1, findings_seconds=0.5)
    environment = EnvironmentConfig(name="embedded", embedded_aws=True, scanning=Scanning.macie, macie=macie)
    composed = compose_config(["dataset=loans"], output_dir=project / "artifacts", conf=repository / "conf")
    return replace(composed, dataset=DatasetConfig(name="loans", columns=columns), environment=environment)


def written(artifacts: Artifacts) -> set[str]:
    return {path.name for path in artifacts.findings.parent.rglob("*")} if artifacts.findings.parent.exists() else set()


def test_verify_writes_both_scanners_findings_and_the_same_bytes_again(project, config, capsys):
    artifacts = prepared(project)
    verify.run(config, artifacts)
    report = json.loads(artifacts.findings.read_text())
    assert report["after"]["complete"] is True
    assert {n: t["complete"] for n, t in report["macie"]["tables"].items()} == {"train": True, "holdout": True}
    assert report["macie"]["num_objects"] == 2
    assert "about 0.0000 USD" in capsys.readouterr().err
    first = artifacts.findings.read_bytes()
    verify.run(config, artifacts)
    assert artifacts.findings.read_bytes() == first
    require_scanned(artifacts, Scanning.macie)


def test_verify_writes_nothing_when_macie_does_not_read_it_all(project, config, faults):
    artifacts = prepared(project)
    faults.write_text(json.dumps({"skip": ["holdout.csv"]}))
    with pytest.raises(ScanIncompleteError, match=r"holdout.csv was not read to its end"):
        verify.run(config, artifacts)
    assert written(artifacts) == set()


def test_what_macie_finds_and_no_policy_tolerates_stops_the_stage(project, config):
    planted = {**TABLES, "holdout": TABLES["holdout"].assign(purpose="write to jane.doe@firstbank.example")}
    with pytest.raises(PolicyViolationError) as caught:
        second_scan(config, planted, METADATA, HEADERS)
    told = str(caught.value)
    assert "in the holdout table" in told
    assert "purpose: EMAIL_ADDRESS in 15 cells; (not located): EMAIL_ADDRESS in 45 cells" in told
    assert "jane" not in told


def test_training_wants_both_scanners_findings_where_the_environment_does(project, config):
    artifacts = prepared(project)
    config.environment.scanning = Scanning.in_process
    verify.run(config, artifacts)
    require_scanned(artifacts, Scanning.in_process)
    with pytest.raises(PrivacyError, match="must hold Macie's findings of both tables"):
        require_scanned(artifacts, Scanning.macie)


def test_in_process_scanning_asks_no_macie(config):
    config.environment.scanning = Scanning.in_process
    assert second_scan(config, TABLES, METADATA, HEADERS) == {}
