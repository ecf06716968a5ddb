"""tabveil.use: choosing an option edits one line of conf/config.yaml and nothing else."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tabveil.errors import ConfigError
from tabveil.use import main, select


@pytest.fixture
def conf(tmp_path: Path, repository: Path) -> Path:
    return Path(shutil.copytree(repository / "conf", tmp_path / "conf"))


def test_only_the_chosen_line_changes(conf: Path):
    before = (conf / "config.yaml").read_text().splitlines()
    assert select(conf, {"synthesizer": "sdv_tvae"}) == {"synthesizer": "tvae"}
    after = (conf / "config.yaml").read_text().splitlines()
    assert [new for old, new in zip(before, after, strict=True) if old != new] == ["  - synthesizer: sdv_tvae"]
    assert select(conf, {"synthesizer": "sdv_tvae"}) == {}


def test_unknown_group_and_option_are_refused(conf: Path):
    with pytest.raises(ConfigError, match=r"unknown group datset \(did you mean dataset\?\)"):
        select(conf, {"datset": "loans"})
    with pytest.raises(ConfigError, match=r"no conf/dataset/loan.yaml \(did you mean loans\?\)"):
        select(conf, {"dataset": "loan"})


def test_one_wrong_choice_changes_nothing(conf: Path):
    before = (conf / "config.yaml").read_text()
    with pytest.raises(ConfigError):
        select(conf, {"synthesizer": "sdv_tvae", "dataset": "loan"})
    assert (conf / "config.yaml").read_text() == before


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("type: integer", "type: intege", r"\.type must be one of .*however: intege \(did you mean integer\?\)"),
        ("name: mine", "name: other", r"dataset\.name must be the name of its file, mine .*: dataset\.name=other"),
        ("name: mine", "name: [", r"mine\.yaml, line \d+ must be valid YAML"),
    ],
)
def test_a_choice_that_cannot_run_is_not_written(conf: Path, old: str, new: str, message: str):
    before = (conf / "config.yaml").read_text()
    text = (conf / "dataset" / "loans.yaml").read_text().replace("name: loans", "name: mine", 1)
    mine = conf / "dataset" / "mine.yaml"
    mine.write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigError, match=message):
        select(conf, {"dataset": "mine"})
    assert (conf / "config.yaml").read_text() == before
    mine.write_text(text)
    assert select(conf, {"dataset": "mine"}) == {"dataset": "loans"}


def test_another_choice_leads_out_of_an_option_that_broke(conf: Path):
    select(conf, {"synthesizer": "sdv_tvae"})
    (conf / "synthesizer" / "sdv_tvae.yaml").write_text("name: sdv_tvae\nepochz: 1\n")
    with pytest.raises(ConfigError, match=r"synthesizer\.epochz \(did you mean epochs\?\)"):
        select(conf, {"dataset": "loans"})
    assert select(conf, {"synthesizer": "tvae"}) == {"synthesizer": "sdv_tvae"}


@pytest.mark.parametrize("choice", ["", "DATASET=loans"])
def test_make_says_that_a_failed_run_keeps_the_choice(repository: Path, choice: str):
    command = ["make", "--dry-run", "run", *filter(None, [choice])]
    shown = subprocess.run(command, cwd=repository, check=True, capture_output=True, text=True).stdout
    assert ("conf/config.yaml keeps dataset=loans" in shown) is bool(choice)


def test_command_line(conf: Path, monkeypatch, capsys):
    monkeypatch.setenv("TABVEIL_ROOT", str(conf.parent))
    assert main(["synthesizer=sdv_ctgan"]) == 0
    said = "conf/config.yaml: synthesizer is now sdv_ctgan (was tvae), for this run and the next ones\n"
    assert capsys.readouterr().out == said
    with pytest.raises(SystemExit) as caught:
        main(["synthesizer:sdv_ctgan"])
    assert caught.value.code == 2
    assert capsys.readouterr().err == "error: expected group=option, however: synthesizer:sdv_ctgan\n"
