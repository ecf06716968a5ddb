"""tabveil.stages.app: a stage's process border. Every known error is one line and exit code 2."""

from __future__ import annotations

import sys

import pytest

from tabveil.config import DatasetConfig
from tabveil.schema import Action, ColumnSpec, ColumnType, PolicySpec
from tabveil.stages.preprocess import rounding_notes


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("sampling.num_rowz=3", "unknown setting sampling.num_rowz (did you mean num_rows?)"),
        ("synthesizer.lerning_rate=1", "unknown setting synthesizer.lerning_rate (did you mean learning_rate?)"),
        ("+synthesizer.lerning_rate=1", "unknown setting synthesizer.lerning_rate (did you mean learning_rate?)"),
        ("synthesiser.seed=1", "unknown setting synthesiser (did you mean synthesizer?)"),
        ("dataset.columns.anual_income.type=integer", "dataset.columns.anual_income (did you mean annual_income?)"),
        ("dataset.columns.annual_income.maxmum=1", "annual_income.maxmum (did you mean maximum?)"),
        (
            "dataset.max_rejected_fraction=0.5",
            "not in conf/: write it there, or say +dataset.max_rejected_fraction=0.5",
        ),
        ("synthesizer=tvea", "no conf/synthesizer/tvea.yaml (did you mean tvae?)"),
        ("dataset.name=other", "dataset.name must be the name of its file, loans"),
        ("sampling.num_rows=many", "sampling.num_rows: Value 'many'"),
        ("sampling.num_rows=-1", "sampling.num_rows must be"),
        ("dataset=lones", "no conf/dataset/lones.yaml (did you mean loans?)"),
        ("preprocess=duckdb=", "duckdb="),
    ],
)
def test_a_wrong_override_is_one_line(override, message, repository, run_in):
    result = run_in(
        repository, sys.executable, "-m", "tabveil.stages.pull", override, "hydra.run.dir=/tmp/x", check=False
    )
    assert result.returncode != 0
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert message in lines[0]


def test_a_missing_input_names_the_stage_to_run(clone, run_in):
    result = run_in(clone, sys.executable, "-m", "tabveil.stages.preprocess", check=False)
    assert result.returncode == 2
    assert "run the stage 'pull' first" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_outside_a_project_the_error_says_where_to_go(tmp_path, repository, run_in):
    environment_src = repository / "src"
    (tmp_path / "src").symlink_to(environment_src)
    result = run_in(tmp_path, sys.executable, "-m", "tabveil.stages.pull", check=False)
    assert result.returncode == 2
    assert result.stderr.startswith("error: no conf/config.yaml")


def test_a_yaml_error_names_the_file_and_the_line(clone, run_in):
    conf = clone / "conf" / "pii" / "default.yaml"
    conf.write_text(conf.read_text().replace("min_holdout_rows: 50", "min_holdout_rows 50\n  x: [1"))
    result = run_in(clone, sys.executable, "-m", "tabveil.stages.pull", check=False)
    assert result.returncode == 2
    (line,) = result.stderr.strip().splitlines()
    assert "conf/pii/default.yaml, line " in line
    assert "valid YAML" in line


def test_preprocess_notes_integers_that_a_model_rounds():
    profile = {"columns": [{"name": "a", "beyond_exact": 3}, {"name": "b", "beyond_exact": 1}, {"name": "c"}]}
    whole = ColumnSpec(type=ColumnType.integer)
    dropped = ColumnSpec(type=ColumnType.integer, policy=PolicySpec(action=Action.drop))
    dataset = DatasetConfig(name="x", columns={"a": whole, "b": dropped, "c": whole})
    (note,) = rounding_notes(profile, dataset)
    assert note.startswith("dataset.columns.a holds 3 integers beyond 2^53")
