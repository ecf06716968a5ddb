"""The notebook for SageMaker Studio runs from top to bottom, and environment.yml brings what it needs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

NOTEBOOK = Path("notebooks") / "tabveil.ipynb"


@pytest.fixture(scope="module")
def notebook(repository: Path) -> dict:
    return json.loads((repository / NOTEBOOK).read_text())


@pytest.mark.pipeline
def test_the_notebook_runs_in_a_fresh_clone(clone: Path, run_in: Callable, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("IPYTHONDIR", str(clone / ".ipython"))
    run_in(clone, "jupyter", "execute", "--inplace", str(NOTEBOOK), timeout=300)
    done = json.loads((clone / NOTEBOOK).read_text())
    outputs = "".join("".join(output.get("text", "")) for cell in done["cells"] for output in cell.get("outputs", []))
    assert "real identities in the synthetic table: {'Customer Name': 0, 'E-Mail': 0}" in outputs
    assert re.search(r"published: s3://tabveil-output/synthetic/notebook_accounts/\w+/", outputs)
    assert float(re.search(r"quality (\d\.\d+)", outputs)[1]) > 0.8
    assert not (clone / "artifacts").exists()  # DVC's outputs are left alone


def test_the_notebook_is_stored_without_outputs(notebook: dict):
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert code
    assert [cell["id"] for cell in code if cell["outputs"] or cell["execution_count"] is not None] == []


def test_the_notebook_says_what_studio_lab_is_not_for(notebook: dict):
    text = " ".join("".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "markdown")
    plain = " ".join(text.replace("*", "").split())
    assert "closed to new customers since 2026-07-30" in plain
    assert "no bank data belongs there" in plain


def test_the_conda_environment_installs_the_locked_packages(repository: Path):
    made = yaml.safe_load((repository / "environment.yml").read_text())
    assert "python=3.11" in made["dependencies"]
    pip = next(entry["pip"] for entry in made["dependencies"] if isinstance(entry, dict))
    assert {"-r requirements.lock", "-e ."} <= set(pip)
    locked = (repository / "requirements.lock").read_text()
    assert re.search(r"(?m)^ipykernel==", locked), "the notebook's kernel must be in requirements.lock: make lock"
