import subprocess
import sys
from dataclasses import fields

import pytest
from omegaconf import OmegaConf

from tabveil.config import CsvConfig, DatasetConfig, SourceConfig
from tabveil.errors import ConfigError, UnreadableFileError
from tabveil.new_dataset import add_dataset, main
from tabveil.schema import Action, ColumnSpec, ConstraintSpec, PolicySpec

ROWS = "Customer ID,E-Mail,Amount\n" + "".join(f"C{n:04d},person{n}@example.org,{n}.5\n" for n in range(60))


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "project" / "conf").mkdir(parents=True)
    (tmp_path / "project" / "conf" / "config.yaml").write_text("")
    monkeypatch.setenv("TABVEIL_ROOT", str(tmp_path / "project"))
    return tmp_path / "project"


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "My Table 2024.csv"
    path.write_text(ROWS)
    return path


def files(root):
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_main_writes_both_files_and_says_what_comes_next(project, source, capsys):
    assert main([str(source)]) == 0
    assert files(project) == ["conf/config.yaml", "conf/dataset/my_table_2024.yaml", "data/my_table_2024.csv"]
    assert (project / "data" / "my_table_2024.csv").read_text() == ROWS
    said = capsys.readouterr().out
    assert "make run DATASET=my_table_2024" in said
    assert "e_mail: looks like EMAIL_ADDRESS" in said
    assert "person1@" not in said
    text = (project / "conf" / "dataset" / "my_table_2024.yaml").read_text()
    assert "person1@" not in text
    dataset = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(DatasetConfig), OmegaConf.create(text)))
    assert dataset.columns["e_mail"].policy.action is Action.regenerate
    assert (dataset.source.key, dataset.source.seed_file) == ("raw/my_table_2024.csv", "data/my_table_2024.csv")


def test_add_dataset_never_overwrites_without_force(project, source):
    made = add_dataset(source, project, name="mine")
    made.config_path.write_text("# corrected by hand\n")
    with pytest.raises(ConfigError, match=r"conf/dataset/mine\.yaml, data/mine\.csv must not be overwritten"):
        add_dataset(source, project, name="mine")
    assert made.config_path.read_text() == "# corrected by hand\n"
    add_dataset(source, project, name="mine", force=True)
    assert made.config_path.read_text().startswith("# Drafted by")


def test_add_dataset_leaves_a_file_that_is_in_place(project):
    path = project / "data" / "here.csv"
    path.parent.mkdir()
    path.write_text(ROWS)
    before = path.stat().st_ino
    made = add_dataset(path, project)
    assert made.data_path == path
    assert path.stat().st_ino == before


def test_add_dataset_refuses_names(project, source):
    for name in ("My Table", "1x", "../x", ""):
        with pytest.raises(ConfigError, match="snake_case"):
            add_dataset(source, project, name=name)


def test_add_dataset_writes_nothing_when_it_fails(project, tmp_path):
    (tmp_path / "bad.csv").write_bytes(b"\x89PNG....")
    with pytest.raises(UnreadableFileError):
        add_dataset(tmp_path / "bad.csv", project)
    assert files(project) == ["conf/config.yaml"]


@pytest.mark.parametrize("content", [b"", b"a,b\n", b"PK\x03\x04zip"])
def test_main_reports_one_line(project, tmp_path, capsys, content):
    (tmp_path / "bad.csv").write_bytes(content)
    assert main([str(tmp_path / "bad.csv")]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: bad.csv must")
    assert captured.err.count("\n") == 1
    assert main([str(tmp_path / "absent.csv")]) == 2


def test_main_outside_a_project(source, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TABVEIL_ROOT", str(tmp_path))
    assert main([str(source)]) == 2
    assert "no conf/config.yaml" in capsys.readouterr().err


def test_command_line_help():
    shown = subprocess.run(
        [sys.executable, "-m", "tabveil.new_dataset", "--help"], capture_output=True, text=True, check=True
    ).stdout
    for word in ("path", "--name", "--force", "make run DATASET="):
        assert word in shown


@pytest.mark.parametrize("shape", [DatasetConfig, SourceConfig, CsvConfig, ColumnSpec, PolicySpec, ConstraintSpec])
def test_reference_names_every_key(repository, shape):
    text = (repository / "docs" / "datasets.md").read_text(encoding="utf-8")
    missing = [item.name for item in fields(shape) if f"`{item.name}`" not in text]
    assert missing == []
