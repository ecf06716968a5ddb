"""The gate: the whole table is scanned, and whatever keeps that from happening stops the run with nothing written."""

from __future__ import annotations

import logging
import subprocess
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import yaml
from omegaconf import OmegaConf

from tabveil.artifacts import Artifacts, read_json, read_parquet, write_json, write_parquet
from tabveil.config import Config, flatten, load_config
from tabveil.errors import ConfigError, PolicyViolationError, ScanIncompleteError
from tabveil.pii import scan_table
from tabveil.stages import verify

KEY = "5ec7e7" + "ab" * 29
NUM_ROWS = 2_000
MANY_ROWS = 10_000
PLANTED_ROW = 9_731
COLUMNS: dict[str, dict[str, object]] = {
    "customer_id": {"sdtype": "id", "semantic_type": "UNIQUE_IDENTIFIER", "policy": {"action": "pseudonymise"}},
    "comment": {},
    "state": {"semantic_type": "STATE"},
    "birth_year": {"type": "integer", "semantic_type": "BIRTH_YEAR"},
    "amount": {"type": "decimal"},
}
PHRASES = ("paid on time", "asked for a later date", "no remark", "statement sent twice")


def table_of(num_rows: int = NUM_ROWS) -> pd.DataFrame:
    rows = range(num_rows)
    return pd.DataFrame(
        {
            "customer_id": [f"K{100_000 + n}" for n in rows],
            "comment": [f"{PHRASES[n % 4]}, case {n % 977}" for n in rows],
            "state": [("TX", "CA", "NY")[n % 3] for n in rows],
            "birth_year": pd.array([1950 + n % 50 for n in rows], dtype="Int64"),
            "amount": [n % 313 + 0.25 for n in rows],
        }
    )


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "config.yaml").write_text("{}")
    monkeypatch.setenv("TABVEIL_ROOT", str(tmp_path))
    monkeypatch.setenv("TABVEIL_PSEUDONYM_KEY", KEY)


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts:
    return prepared(Artifacts(tmp_path / "artifacts"), table_of())


def prepared(artifacts: Artifacts, table: pd.DataFrame) -> Artifacts:
    """What the stage `preprocess` leaves behind."""
    write_parquet(artifacts.table, table)
    write_parquet(artifacts.quarantine, table.head(0).assign(reason=pd.Series(dtype=object)))
    names = [{"name": name, "original_name": name.replace("_", " ").title()} for name in table.columns]
    write_json(artifacts.profile, {"columns": names, "counts": {}})
    return artifacts


def config(columns: dict[str, dict[str, object]] = COLUMNS, **pii: object) -> Config:
    groups = {group: {} for group in ("environment", "preprocess", "sampling", "evaluation", "tracking")}
    dataset = {"name": "x", "source": {"key": "raw/x.csv"}, "columns": columns}
    return load_config(OmegaConf.create({"dataset": dataset, "synthesizer": {"name": "tvae"}, "pii": pii, **groups}))


def nothing_written(artifacts: Artifacts) -> bool:
    return not artifacts.stage("verify").exists()


def with_mail(table: pd.DataFrame) -> pd.DataFrame:
    """The table with one e-mail address in its row 9,731."""
    planted = table.copy()
    planted.loc[PLANTED_ROW - 1, "comment"] = "statement sent to jo.doe@mail.example.org, case 12"
    return planted


def test_one_address_in_row_9731_of_10000_is_found():
    table = with_mail(table_of(MANY_ROWS))
    (finding,) = scan_table(table, timeout_seconds=60).findings
    assert (finding.type, finding.column, finding.count, finding.rows) == (
        "EMAIL_ADDRESS",
        "comment",
        1,
        (PLANTED_ROW,),
    )
    assert finding.in_text
    assert scan_table(table_of(MANY_ROWS), timeout_seconds=60).findings == ()


def test_one_address_in_row_9731_stops_the_stage_and_is_not_shown(artifacts: Artifacts):
    prepared(artifacts, with_mail(table_of(MANY_ROWS)))
    with pytest.raises(PolicyViolationError, match=r"comment \(EMAIL_ADDRESS in 1 cells\)") as caught:
        verify.run(config(), artifacts)
    assert "jo.doe" not in str(caught.value)
    assert nothing_written(artifacts)


def test_a_clean_table_passes_and_the_report_says_how_many_share_their_values(artifacts: Artifacts):
    verify.run(config(), artifacts)
    report = read_json(artifacts.findings, "verify")
    assert report["before"]["complete"] is report["after"]["complete"] is True
    assert report["before"]["num_rows"] == report["after"]["num_rows"] == NUM_ROWS
    groups = report["k_anonymity"]
    assert groups["columns"] == ["state", "birth_year"]
    assert (groups["k"], groups["min_k"], groups["full"]["num_groups"]) == (5, None, 150)
    assert groups["full"]["min_group_rows"] == 13
    assert report["allowed"] == {}


def test_small_groups_stop_the_stage_if_min_k_says_so(artifacts: Artifacts):
    with pytest.raises(PolicyViolationError, match=r"state, birth_year must be shared by at least 14 people"):
        verify.run(config(min_k=14), artifacts)
    assert nothing_written(artifacts)
    verify.run(config(min_k=13), artifacts)


def test_what_cannot_be_scanned_stops_the_stage(artifacts: Artifacts):
    table = table_of(400)
    table["comment"] = pd.Series([b"\x00\xff"] * 400, dtype=object)
    prepared(artifacts, table)
    with pytest.raises(ScanIncompleteError, match=r"column 'comment' cannot be scanned: .*bytes"):
        verify.run(config(), artifacts)
    assert nothing_written(artifacts)


def test_running_out_of_time_stops_the_stage(artifacts: Artifacts):
    with pytest.raises(ScanIncompleteError, match=r"must end within 1e-06 s, .* of 5 columns were scanned"):
        verify.run(config(timeout_seconds=1e-6), artifacts)
    assert nothing_written(artifacts)


@pytest.mark.parametrize(
    "part",
    [
        lambda result: replace(result, num_rows=result.num_rows - 1),
        lambda result: replace(result, columns_scanned=result.columns_scanned[1:]),
        lambda result: replace(result, cells_scanned=result.cells_scanned - 1),
        lambda result: replace(result, complete=False),
    ],
)
@pytest.mark.parametrize("which", [1, 2])
def test_a_scan_of_a_part_stops_the_stage(artifacts: Artifacts, monkeypatch: pytest.MonkeyPatch, part, which):
    calls = []

    def partial_scan(table, **options):
        calls.append(table)
        result = scan_table(table, **options)
        return part(result) if len(calls) == which else result

    monkeypatch.setattr(verify, "scan_table", partial_scan)
    what = "table" if which == 1 else "clean table"
    with pytest.raises(ScanIncompleteError, match=rf"must cover the whole {what} \(2000 rows\)"):
        verify.run(config(), artifacts)
    assert nothing_written(artifacts)


def test_a_crash_of_the_scan_stops_the_stage(artifacts: Artifacts, monkeypatch: pytest.MonkeyPatch):
    def crash(*_arguments, **_options):
        raise MemoryError

    monkeypatch.setattr(verify, "scan_table", crash)
    with pytest.raises(MemoryError):
        verify.run(config(), artifacts)
    assert nothing_written(artifacts)


def test_declarations_are_checked_before_the_table_is_read(tmp_path: Path):
    nowhere = Artifacts(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match=r"pii\.policies\.EMIAL_ADDRESS"):
        verify.run(config(policies={"EMIAL_ADDRESS": {"action": "drop"}}), nowhere)
    with pytest.raises(ConfigError, match=r"pii\.identifiers\.name must have a name of its own"):
        verify.run(config(identifiers={"name": {"regex": "xyz"}}), nowhere)


def test_declared_types_and_allow_lists_decide_in_the_stage(artifacts: Artifacts):
    case = {"case_number": {"regex": r"\bcase \d{3}\b"}}
    with pytest.raises(
        PolicyViolationError, match=r"comment \(CASE_NUMBER in \d+ cells\): add `semantic_type: FREE_TEXT`"
    ):
        verify.run(config(identifiers=case), artifacts)
    allow = {"CASE_NUMBER": {"regexes": ["case [1-9][0-9]{2}"], "reason": "public docket numbers"}}
    verify.run(config(identifiers=case, allow=allow), artifacts)
    report = read_json(artifacts.findings, "verify")
    assert report["allowed"] == {"CASE_NUMBER": {"num_values": 0, "num_regexes": 1, "reason": "public docket numbers"}}


def test_policies_by_type_are_applied_in_the_stage(artifacts: Artifacts):
    keep = {"BIRTH_YEAR": {"action": "generalise", "method": "band", "width": 10}, "STATE": {"action": "drop"}}
    verify.run(config(policies=keep), artifacts)
    train = read_parquet(artifacts.train_data, "verify")
    assert "state" not in train
    assert set(train["birth_year"]) == {1950, 1960, 1970, 1980, 1990}
    columns = read_json(artifacts.findings, "verify")["columns"]
    assert columns["birth_year"]["action"] == "generalise"


def test_the_key_is_in_no_file_no_log_and_no_parameter(artifacts: Artifacts, tmp_path: Path, caplog, capfd):
    with caplog.at_level(logging.DEBUG):
        verify.run(config(), artifacts)
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert artifacts.identity_digests in written
    secrets = (KEY.encode(), bytes.fromhex(KEY), KEY.upper().encode())
    assert [path for path in written if any(secret in path.read_bytes() for secret in secrets)] == []
    printed = "".join(capfd.readouterr())
    assert KEY not in caplog.text + printed + str(flatten(config().pii))


def test_the_key_file_is_unknown_to_dvc_and_git(repository: Path):
    options = config().pii
    assert options.key_file not in (repository / "dvc.yaml").read_text()
    pipeline = yaml.safe_load((repository / "dvc.yaml").read_text())
    named = str([(s.get("deps"), s.get("outs"), s.get("params")) for s in pipeline["stages"].values()])
    assert ".tabveil" not in named
    command = ["git", "check-ignore", "--quiet", options.key_file]
    assert subprocess.run(command, cwd=repository, check=False).returncode == 0
