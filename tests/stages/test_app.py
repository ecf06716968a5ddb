"""tabveil.stages.app: a stage's process border. Every known error is one line and exit code 2."""

from __future__ import annotations

import sys

import pytest


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("sampling.num_rowz=3", "num_rowz"),
        ("sampling.num_rows=many", "sampling.num_rows: Value 'many'"),
        ("sampling.num_rows=-1", "sampling.num_rows must be"),
        ("dataset=lones", "lones"),
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
