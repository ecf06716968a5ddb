"""tabveil.use: choosing an option edits one line of conf/config.yaml and nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tabveil.errors import ConfigError
from tabveil.use import main, select


@pytest.fixture
def conf(tmp_path: Path, repository: Path) -> Path:
    return Path(shutil.copytree(repository / "conf", tmp_path / "conf"))


def test_only_the_chosen_line_changes(conf: Path):
    before = (conf / "config.yaml").read_text().splitlines()
    assert select(conf, {"synthesizer": "sdv_tvae"}) == ["synthesizer"]
    after = (conf / "config.yaml").read_text().splitlines()
    assert [new for old, new in zip(before, after, strict=True) if old != new] == ["  - synthesizer: sdv_tvae"]
    assert select(conf, {"synthesizer": "sdv_tvae"}) == []


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


def test_command_line(conf: Path, monkeypatch, capsys):
    monkeypatch.setenv("TABVEIL_ROOT", str(conf.parent))
    assert main(["synthesizer=sdv_ctgan"]) == 0
    assert capsys.readouterr().out == "conf/config.yaml: synthesizer is now sdv_ctgan\n"
    with pytest.raises(SystemExit) as caught:
        main(["synthesizer:sdv_ctgan"])
    assert caught.value.code == 2
    assert capsys.readouterr().err == "error: expected group=option, however: synthesizer:sdv_ctgan\n"
