"""The README's commands, as written, in a fresh clone."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tabveil.artifacts import Artifacts
from tabveil.ingest.names import snake_case

pytestmark = pytest.mark.pipeline
ROWS = 2000

ELSEWHERE = {
    "make test": "is what runs this",
    "make ui": "runs until it is ended; test_end_to_end.py opens it in a browser",
}


def blocks(repository: Path, language: str) -> list[str]:
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```", (repository / "README.md").read_text())


def commands(repository: Path) -> list[str]:
    lines = [line.split("#")[0].strip() for block in blocks(repository, "bash") for line in block.splitlines()]
    return [line for line in lines if line]


def write_table(path: Path) -> None:
    """A CSV it has never seen: semicolons, decimal commas, an id, an e-mail, a date, a category."""
    rng = np.random.default_rng(5)
    income = rng.uniform(20_000, 100_000, ROWS).round(2)
    table = pd.DataFrame(
        {
            "Client Id": np.arange(ROWS) + 5_000,
            "Mail": [f"client{i}@bank.test" for i in range(ROWS)],
            "Joined": pd.Timestamp("2015-01-01") + pd.to_timedelta(rng.integers(0, 3000, ROWS), unit="D"),
            "Income": income,
            "Spending": (income * rng.uniform(0.2, 0.6, ROWS)).round(2),
            "Tier": np.where(income > 65_000, "gold", np.where(income > 50_000, "silver", "bronze")),
        }
    )
    table.to_csv(path, index=False, sep=";", decimal=",")


@pytest.fixture(scope="module")
def readme_run(tmp_path_factory: pytest.TempPathFactory, repository, make_clone, clean_environment):
    """Every command once, in order; returns the clone and what each command said."""
    folder = make_clone(tmp_path_factory.mktemp("readme") / "tabveil")
    write_table(folder / "my_table.csv")
    environment = {
        **clean_environment,
        "PYTHONPATH": f"{folder / 'src'}:{clean_environment['PYTHONPATH']}",
        "COLUMNS": "120",
    }
    outputs: dict[str, str] = {}
    for command in commands(repository):
        if command in ELSEWHERE:
            continue
        result = subprocess.run(
            command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, timeout=1200, check=False
        )
        assert result.returncode == 0, f"{command}\n{result.stdout[-3000:]}\n{result.stderr[-3000:]}"
        outputs[command] = result.stdout
        if command == "make run":
            outputs["identities"] = os.linesep.join(found_identities(folder))
            outputs["header"] = str(same_header(folder))
            for code in blocks(repository, "python"):
                ran = subprocess.run(
                    [sys.executable, "-W", "ignore", "-c", code + "\nprint(rows.shape)"],
                    cwd=folder, env=environment, capture_output=True, text=True, check=False,
                )  # fmt: skip
                assert ran.returncode == 0, ran.stderr[-3000:]
                outputs["python"] = ran.stdout
    return folder, outputs


NULLS = ["", "N/A", "-"]
IDENTITY_COLUMNS = (
    "customer_id", "full_name", "e_mail", "phone_number", "national_id", "date_of_birth", "street_address", "city",
    "account_number", "card_number", "note",
)  # fmt: skip
WORD = re.compile(r"\w+")


def found_identities(folder: Path) -> list[str]:
    """Real identity values of the loans, quarantined rows included, that stand anywhere in the synthetic CSV.

    A value is found where it stands between word boundaries, also inside another value; a phone number in another
    spelling, too. Dates of birth keep their year by policy: the day must not come back.
    """
    artifacts = Artifacts(folder / "artifacts")
    raw = pd.read_csv(folder / "data" / "loans.csv", dtype=str, keep_default_na=False)
    real = raw.set_axis([snake_case(name) for name in raw.columns], axis=1)[list(IDENTITY_COLUMNS)]
    real = real.apply(lambda column: column.str.replace("\xa0", " ").str.strip().mask(lambda v: v.isin(NULLS)))
    text = artifacts.synthetic_csv.read_text(encoding="utf-8")
    found = [f"{name} in the file" for name in IDENTITY_COLUMNS for _ in inside(set(real[name].dropna()), text)]
    synthetic = pd.read_parquet(artifacts.synthetic_parquet, columns=["phone_number"])
    digits = [{re.sub(r"\D", "", phone)[-9:] for phone in t["phone_number"].dropna()} for t in (real, synthetic)]
    return found + ["phone_number in another spelling" for _ in digits[0] & digits[1]]


def inside(values: set[str], text: str) -> set[str]:
    """Values that stand in a text between word boundaries: every run of as many words is looked up."""
    by_length: dict[int, set[str]] = {}
    for value in values:
        words = [match.span() for match in WORD.finditer(value)]
        by_length.setdefault(len(words), set()).add(value[words[0][0] : words[-1][1]])
    words = [match.span() for match in WORD.finditer(text)]
    found: set[str] = set()
    for length, wanted in by_length.items():
        runs = zip(words, words[length - 1 :], strict=False)
        found |= wanted.intersection(text[first[0] : last[1]] for first, last in runs)
    return found


def test_a_real_value_inside_another_is_found():
    text = 'a,"Vũ-Nguyễn Thị Linh-Thảo",12 Hill Road Apt. 4\n'
    reals = {"Nguyễn Thị Linh", "Hill Road", "a", "Nguyễn Thị", "Linh Thảo", "ill Road", "4"}
    assert inside(reals, text) == {"Nguyễn Thị Linh", "Hill Road", "a", "Nguyễn Thị", "4"}


def same_header(folder: Path) -> bool:
    raw = (folder / "data" / "loans.csv").read_text(encoding="utf-8-sig").splitlines()[0]
    return Artifacts(folder / "artifacts").synthetic_csv.read_text(encoding="utf-8").splitlines()[0] == raw


def test_the_commands_of_the_readme_run(readme_run):
    _, outputs = readme_run
    assert "gate passed" in outputs["make run"]
    assert "DATASET=my_table" in outputs["python -m tabveil.new_dataset my_table.csv"]
    assert re.findall(r"Running stage '(\w+)'", outputs["dvc repro"]) == ["preflight"]
    assert any("Leaderboard" in said for said in outputs.values())


def test_the_model_of_the_readme_gives_rows(readme_run):
    assert re.fullmatch(r"\(1000, 5\d\)\n", readme_run[1]["python"])


def test_the_loans_pass_the_gate_with_the_original_header_and_no_real_identity(readme_run):
    _, outputs = readme_run
    assert outputs["identities"] == ""
    assert outputs["header"] == "True"
    quality = re.search(r"quality \(sdmetrics\)\s+([\d.]+)", outputs["make run"])
    assert quality is not None
    assert float(quality[1]) >= 0.90


def test_files_the_readme_names_exist(readme_run, repository):
    folder, _ = readme_run
    text = (repository / "README.md").read_text()
    linked = re.findall(r"\]\((?!http)([^)#]+)\)", text)
    assert [name for name in linked if not (repository / name).exists()] == []
    named = re.findall(r"`(artifacts/[\w./]+)`", text)
    assert [name for name in named if not (folder / name).exists()] == []
