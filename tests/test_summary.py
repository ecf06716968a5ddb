"""tabveil.summary: one screen, and a clear line when there is nothing to show."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from rich.console import Console

from tabveil.artifacts import Artifacts, write_json
from tabveil.errors import ArtifactError
from tabveil.stages.app import timings_dir
from tabveil.summary import render


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """A project whose pipeline left these results."""
    artifacts = Artifacts(tmp_path / "artifacts")
    scan = {"columns_with_findings": ["mail"], "complete": True}
    action = {"action": "regenerate", "semantic_type": "EMAIL_ADDRESS", "reason": None}
    write_json(artifacts.profile, {"counts": {"read": 1234, "duplicates": 30, "rejected": 4, "kept": 1200}})
    write_json(
        artifacts.findings,
        {"before": scan, "after": {**scan, "columns_with_findings": []}, "columns": {"mail": action}},
    )
    write_json(artifacts.sample_info, {"num_rows": 1000})
    scores = {"quality/overall": 0.951, "quality/floor": 0.8, "quality/ceiling": 0.97, "detection/c2st_auc": 0.58}
    write_json(artifacts.metrics, scores)
    write_json(artifacts.gate, {"passed": True, "checks": []})
    write_json(artifacts.published, {"uri": "s3://bucket/synthetic/x/1/"})
    write_json(timings_dir(tmp_path) / "pull.json", {"stage": "pull", "seconds": 3.2})
    return tmp_path


def screen(root: Path) -> str:
    console = Console(width=110)
    with console.capture() as captured:
        console.print(render(root))
    return captured.get()


def test_the_summary_shows_rows_pii_quality_between_its_bounds_times_and_places(finished: Path):
    text = screen(finished)
    for expected in (
        "gate passed", "1,234", "30 duplicates, 4 quarantined", "1,000", "1 column: mail", "0 columns", "0.951",
        "floor 0.800, ceiling 0.970", "0.580", "pull 3", "report.html", "s3://bucket/synthetic/x/1/", "make ui",
    ):  # fmt: skip
        assert expected in text


def test_without_counted_pairs_there_is_no_floor(finished: Path):
    write_json(Artifacts(finished / "artifacts").metrics, {"quality/overall": 0.98, "quality/ceiling": 0.97})
    text = screen(finished)
    assert "no floor (no pair of columns counts), ceiling 0.970" in text


def test_a_failed_gate_is_said_first(finished: Path):
    write_json(Artifacts(finished / "artifacts").gate, {"passed": False, "checks": []})
    assert "gate failed" in screen(finished).splitlines()[0]


def test_an_unfinished_pipeline_names_the_stage_to_run(finished: Path, repository: Path, run_in):
    Artifacts(finished / "artifacts").published.unlink()
    with pytest.raises(ArtifactError, match="run the stage 'publish' first"):
        render(finished)


def test_without_a_run_the_command_is_one_line(clone: Path, run_in):
    result = run_in(clone, sys.executable, "-m", "tabveil.summary", check=False)
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    assert "evaluate" in line
