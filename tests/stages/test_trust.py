"""Stages trust bytes, not names: a report or verdict about other files counts for nothing."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pandas as pd
import pytest

from tabveil.artifacts import Artifacts, write_json, write_parquet, write_text
from tabveil.config import Config
from tabveil.errors import ArtifactError, GateError, ModelFileError, PrivacyError
from tabveil.evaluation.gate import judge
from tabveil.pii import IdentityDigests
from tabveil.provenance import sha256_of
from tabveil.schema import Action, Column, ColumnType, Metadata, SDType
from tabveil.stages.app import compose_config
from tabveil.stages.evaluate import judged
from tabveil.stages.inputs import load_digests, load_metadata, require_scanned
from tabveil.stages.publish import publishable, require_passed
from tabveil.synthesizers.model_folder import FORMAT, FORMAT_VERSION

CHECK = {"name": "quality/overall", "measured": 0.95, "operator": ">=", "asked": 0.9, "passed": True, "hint": ""}
MEASURES = {
    "quality/overall": 0.95,
    "diagnostic/overall": 1.0,
    "privacy/identical_ratio": 0.0,
    "privacy/dcr_share_closer_to_holdout": 0.5,
    "privacy/dcr_share_closer_to_train_low": 0.48,
}


@pytest.fixture
def config(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """The loans' configuration as it ships."""
    monkeypatch.chdir(repository)
    return compose_config(["dataset=loans"])


def passed_gate(config: Config) -> dict:
    """A verdict of this version's gate on a table without a fault."""
    verdict = judge(MEASURES, config.evaluation, unexplained_pii_findings=0, real_identity_values=0)
    return {**verdict.to_dict(), "dataset": "loans"}


@pytest.fixture
def artifacts(tmp_path: Path, config: Config) -> Artifacts:
    """What a pipeline that passed its gate leaves behind."""
    made = Artifacts(tmp_path / "artifacts")
    for path in (
        made.train_data,
        made.holdout_data,
        made.metadata,
        made.identity_digests,
        made.synthetic_csv,
        made.synthetic_parquet,
        made.report,
        made.metrics,
    ):
        write_text(path, path.name)
    write_text(made.model / "weights.safetensors", "weights")
    write_json(made.model / "synthesizer.json", manifest(made, shareable=True))
    scanned = {path.name: sha256_of(path) for path in made.scanned_files()}
    write_json(made.findings, {"after": {"complete": True}, "scanned": scanned})
    write_json(made.gate, {**passed_gate(config), "judged": judged(made)})
    return made


def manifest(artifacts: Artifacts, *, shareable: bool, kind: str = "tvae") -> dict:
    weights = artifacts.model / "weights.safetensors"
    files = {weights.name: sha256_of(weights)}
    return {"format": FORMAT, "version": FORMAT_VERSION, "kind": kind, "files": files, "shareable": shareable}


def test_scanned_tables_and_judged_results_are_accepted(artifacts: Artifacts, config: Config):
    require_scanned(artifacts)
    require_passed(artifacts, config)


@pytest.mark.parametrize("table", ["train_data", "holdout_data", "metadata", "identity_digests"])
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


def test_without_a_verdict_nothing_is_published(artifacts: Artifacts, config: Config):
    artifacts.gate.unlink()
    with pytest.raises(GateError, match="without a verdict"):
        require_passed(artifacts, config)


@pytest.mark.parametrize(
    ("verdict", "message"),
    [
        ({"passed": False, "checks": [{**CHECK, "measured": 0.5, "passed": False}]}, "did not pass"),
        ({"passed": True, "checks": [{**CHECK, "measured": 0.5}]}, "contradicts"),
        ({"passed": True, "checks": []}, "contradicts"),
        ({"passed": True, "checks": [CHECK], "dataset": "loans"}, "asked less for: diagnostic/overall"),
        ({"passed": True, "checks": [{**CHECK, "asked": 0.0}]}, "asked less for: quality/overall"),
        (
            {"passed": True, "checks": [{**CHECK, "name": "x", "measured": 1, "operator": "==", "asked": 1}]},
            "asked less",
        ),
    ],
)
def test_a_verdict_that_is_no_pass_of_these_files_publishes_nothing(
    artifacts: Artifacts, config: Config, verdict: dict, message: str
):
    write_json(artifacts.gate, verdict)
    with pytest.raises(GateError, match=message):
        require_passed(artifacts, config)


def test_a_verdict_about_nothing_or_about_another_dataset_publishes_nothing(artifacts: Artifacts, config: Config):
    write_json(artifacts.gate, passed_gate(config))
    with pytest.raises(GateError, match="is not what"):
        require_passed(artifacts, config)
    write_json(artifacts.gate, {**passed_gate(config), "dataset": "others", "judged": judged(artifacts)})
    with pytest.raises(GateError, match="must judge dataset 'loans'"):
        require_passed(artifacts, config)


@pytest.mark.parametrize("changed", ["synthetic_csv", "synthetic_parquet", "report", "metrics"])
def test_a_file_made_after_the_verdict_is_not_published(artifacts: Artifacts, config: Config, changed: str):
    write_text(getattr(artifacts, changed), "made later")
    with pytest.raises(GateError, match="run the stage 'evaluate' again"):
        require_passed(artifacts, config)


def test_a_model_trained_after_the_verdict_is_not_published(artifacts: Artifacts, config: Config):
    write_text(artifacts.model / "weights.safetensors", "other weights")
    with pytest.raises(GateError, match="model is not what"):
        require_passed(artifacts, config)


def test_a_pickled_model_stays_where_it_is(artifacts: Artifacts):
    assert "model/weights.safetensors" in publishable(artifacts)
    for made in (manifest(artifacts, shareable=False), manifest(artifacts, shareable=True, kind="sdv_tvae")):
        write_json(artifacts.model / "synthesizer.json", made)
        assert not [name for name in publishable(artifacts) if name.startswith("model/")]


@pytest.mark.parametrize("name", ["rows.parquet", "rows.csv"])
def test_a_file_that_the_model_does_not_list_is_not_published(artifacts: Artifacts, name: str):
    write_text(artifacts.model / name, "rows")
    with pytest.raises(ModelFileError, match="1 more") if name.endswith("csv") else nullcontext():
        assert not [name for name in publishable(artifacts) if name.startswith("model/")]


def test_digests_that_leave_an_identity_column_unguarded_are_refused(
    artifacts: Artifacts, config: Config, tmp_path: Path, monkeypatch
):
    names = Column("full_name", "Full Name", ColumnType.string, SDType.id, Action.regenerate, "NAME")
    write_text(artifacts.metadata, Metadata("loans", (names,)).to_json())
    monkeypatch.setenv(config.pii.key_env, "ab" * 32)
    people = pd.DataFrame({"full_name": ["Ada Byron"]})
    for columns, refused in (([names], False), ([], True)):
        made = IdentityDigests.build(people, columns, bytes.fromhex("ab" * 32))
        write_parquet(artifacts.identity_digests, made.to_frame())
        with pytest.raises(PrivacyError, match="guard every identity column") if refused else nullcontext():
            load_digests(config, artifacts)


def test_tables_of_another_dataset_are_refused(artifacts: Artifacts, config: Config):
    columns = (Column("a", "A", ColumnType.integer, SDType.numerical),)
    write_text(artifacts.metadata, Metadata("accounts", columns).to_json())
    with pytest.raises(ArtifactError, match="describes dataset 'accounts', however the configuration says 'loans'"):
        load_metadata(config, artifacts)
