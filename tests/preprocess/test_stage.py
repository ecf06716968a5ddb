"""Who runs the compiled SQL, by the configuration."""

from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace

import pytest

import tabveil.aws.glue
import tabveil.aws.session
from tabveil.artifacts import Artifacts, read_json
from tabveil.aws.glue import GlueRun
from tabveil.config import Config, EnvironmentConfig, GlueConfig, Processing
from tabveil.errors import ConfigError, CostError
from tabveil.stages import preprocess as stage
from tabveil.stages.app import compose_config

ROLE = "arn:aws:iam::123456789012:role/tabveil-glue"


def config_of(environment: EnvironmentConfig) -> Config:
    config = compose_config()
    config.environment = environment
    return config


def test_every_kind_of_processing_has_a_runner():
    assert set(stage.PROCESSING) == set(Processing)
    assert stage.PROCESSING[Processing.in_process](config_of(EnvironmentConfig())) is None


@pytest.mark.parametrize(
    ("glue", "error"),
    [(GlueConfig(), ConfigError), (GlueConfig(role_arn=ROLE, timeout_minutes=480), CostError)],
)
def test_what_can_only_fail_is_refused_before_the_file_is_read(tmp_path, glue, error):
    with pytest.raises(error):
        stage.run(config_of(EnvironmentConfig(processing=Processing.glue, glue=glue)), Artifacts(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_glue_run_leaves_its_cost(tmp_path, monkeypatch, capsys):
    @contextmanager
    def connected(environment, root):
        yield SimpleNamespace(store=SimpleNamespace(requests={"PutObject": 3}))

    def done(aws, source, target, *, on_status):
        on_status("RUNNING")
        return GlueRun("tabveil-preprocess", "jr_1", 83, 166.0)

    monkeypatch.setattr(stage, "project_root", lambda: tmp_path)
    monkeypatch.setattr(tabveil.aws.session, "connect_aws", connected)
    monkeypatch.setattr(tabveil.aws.glue, "run_on_glue", done)
    environment = EnvironmentConfig(
        name="embedded", embedded_aws=True, processing=Processing.glue, glue=GlueConfig(role_arn=ROLE)
    )
    job = stage.PROCESSING[Processing.glue](config_of(environment))
    assert job is not None
    job(tmp_path / "input", tmp_path / "output")
    recorded = read_json(tmp_path / ".tabveil" / "costs" / "preprocess.json", "preprocess")
    assert [charge["usage"] for charge in recorded["charges"]] == ["166 DPU-seconds", "3 writes and lists, 0 reads"]
    assert "Glue: 83 s, 166 DPU-seconds, about 0.0203 USD" in capsys.readouterr().out
