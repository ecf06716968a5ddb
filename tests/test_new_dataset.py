import subprocess
import sys
from dataclasses import fields

import duckdb
import pyarrow as pa
import pytest
from omegaconf import OmegaConf

from tabveil.config import CsvConfig, DatasetConfig, SourceConfig
from tabveil.errors import ConfigError, UnreadableFileError
from tabveil.new_dataset import add_dataset, main
from tabveil.pii import check_types
from tabveil.schema import Action, ColumnSpec, ConstraintKind, ConstraintSpec, PolicySpec

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


def failed(capsys, path):
    with pytest.raises(SystemExit) as caught:
        main([str(path)])
    assert caught.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    return captured


def test_a_customer_with_many_rows_is_pseudonymised_and_the_entity(project, tmp_path, capsys):
    path = tmp_path / "bookings.csv"
    rows = "".join(f"CU{n % 50:05d},{n % 12},{n}.25\n" for n in range(1500))
    path.write_text("customer_id,product_id,amount\n" + rows)
    assert main([str(path)]) == 0
    said = capsys.readouterr().out
    assert "customer_id: id of a person or contract, never modelled; entity key" in said
    text = (project / "conf" / "dataset" / "bookings.yaml").read_text()
    dataset = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(DatasetConfig), OmegaConf.create(text)))
    assert dataset.entity_key == "customer_id"
    assert dataset.columns["customer_id"].policy.action is Action.pseudonymise
    assert dataset.columns["product_id"].policy is None


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
    captured = failed(capsys, tmp_path / "bad.csv")
    assert captured.err.startswith("error: bad.csv must")
    failed(capsys, tmp_path / "absent.csv")


HEADERLESS = [
    "C1,anna.schmidt@web.de,5\n" + "C2,jo@web.de,6\n" * 30,
    "C1,4111111111111111,5\nC2,5500000000000004,6\n",
    "7;1984-03-02;52000,50\n" + "8;1985-04-03;61000,25\n" * 30,
]


@pytest.mark.parametrize("content", HEADERLESS)
def test_file_without_a_header_is_refused_and_no_value_is_shown(project, tmp_path, capsys, content):
    path = tmp_path / "headless.csv"
    path.write_text(content)
    message = failed(capsys, path).err
    assert "the first line looks like a record, not a header: add a header line" in message
    assert not any(value in message for value in ("anna", "4111", "1984", "52000"))
    assert files(project) == ["conf/config.yaml"]


def test_open_end_is_no_trouble(project, tmp_path):
    path = tmp_path / "accounts.csv"
    path.write_text("branch,valid_to\n" + "".join(f"{n % 3},{2000 + n}-12-31\n{n % 3},9999-12-31\n" for n in range(40)))
    assert main([str(path)]) == 0


@pytest.mark.parametrize("error", [duckdb.ConversionException, pa.ArrowInvalid, UnicodeError, OverflowError, OSError])
def test_foreign_error_is_one_line_without_its_text(project, source, capsys, monkeypatch, error):
    def broken(*_args):
        raise error("Could not convert string 'anna@web.de'")

    monkeypatch.setattr("tabveil.ingest.draft.typed_sample", broken)
    message = failed(capsys, source).err
    assert error.__name__ in message
    assert "anna" not in message
    assert files(project) == ["conf/config.yaml"]


def test_directory_is_refused_in_one_line(project, tmp_path, capsys):
    failed(capsys, tmp_path)


@pytest.mark.parametrize("step", ["data", "conf/dataset"])
def test_nothing_is_left_when_a_write_fails(project, source, step):
    blocked = project / step
    blocked.parent.mkdir(exist_ok=True)
    blocked.write_text("a file where a folder is wanted")
    with pytest.raises(OSError, match="exists"):
        add_dataset(source, project)
    assert files(project) == sorted(["conf/config.yaml", step])


def test_copy_is_taken_back_when_the_configuration_cannot_take_its_place(project, source):
    (project / "conf" / "dataset" / "mine.yaml" / "x").mkdir(parents=True)
    with pytest.raises(OSError, match="directory"):
        add_dataset(source, project, name="mine", force=True)
    assert files(project) == ["conf/config.yaml"]


def test_drafts_declare_known_types_only(project, tmp_path):
    path, national = tmp_path / "people.csv", ("521-22-", "00116017")  # an SSN and a Vietnamese citizen id
    path.write_text(
        "client_id,city,zip,age,sex,job,national_id,note\n"
        + "".join(
            f"K{n:04d},Town {n % 4},{10_000 + n % 9},{20 + n % 50},{'mf'[n % 2]},job {n % 3},"
            f"{national[n % 2]}{1000 + n},spoke to Anna Schmidt {n}\n"
            for n in range(200)
        )
    )
    made = add_dataset(path, project)
    text = made.config_path.read_text()
    dataset = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(DatasetConfig), OmegaConf.create(text)))
    check_types(dataset, ())
    declared = {name: spec.semantic_type for name, spec in dataset.columns.items()}
    assert declared == {
        "client_id": "UNIQUE_IDENTIFIER", "city": "CITY", "zip": "POSTAL_CODE", "age": "AGE", "sex": "GENDER",
        "job": "JOB_TITLE", "national_id": "NATIONAL_ID", "note": "FREE_TEXT",
    }  # fmt: skip


def test_main_outside_a_project(source, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TABVEIL_ROOT", str(tmp_path))
    assert "no conf/config.yaml" in failed(capsys, source).err


def test_command_line_help():
    shown = subprocess.run(
        [sys.executable, "-m", "tabveil.new_dataset", "--help"], capture_output=True, text=True, check=True
    ).stdout
    for word in ("path", "--name", "--force", "make run DATASET="):
        assert word in shown


def loaded_constraints(text):
    shape = OmegaConf.structured(ConstraintSpec)
    return [OmegaConf.to_object(OmegaConf.merge(shape, item)) for item in OmegaConf.create(text).constraints]


def test_reference_shows_every_kind_of_constraint(repository):
    text = (repository / "docs" / "datasets.md").read_text(encoding="utf-8")
    section = text[text.index("### constraints") :]
    example = section.split("```yaml\n")[1].split("```")[0]
    assert [item.kind for item in loaded_constraints(example)] == list(ConstraintKind)
    assert all(f"| `{kind.value}`" in section or f", `{kind.value}` |" in section for kind in ConstraintKind)


def test_a_draft_shows_every_kind_of_constraint(project, source):
    add_dataset(source, project)
    text = (project / "conf" / "dataset" / "my_table_2024.yaml").read_text()
    example = text[text.index("# constraints:") : text.index("constraints: []")].replace("\n#", "\n").removeprefix("# ")
    assert [item.kind for item in loaded_constraints(example)] == list(ConstraintKind)


@pytest.mark.parametrize("shape", [DatasetConfig, SourceConfig, CsvConfig, ColumnSpec, PolicySpec, ConstraintSpec])
def test_reference_names_every_key(repository, shape):
    text = (repository / "docs" / "datasets.md").read_text(encoding="utf-8")
    missing = [item.name for item in fields(shape) if f"`{item.name}`" not in text]
    assert missing == []
