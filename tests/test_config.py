"""tabveil.config: every way to get a setting wrong ends in one clear line."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf

from tabveil.config import (
    SYNTHESIZER_CONFIGS,
    EnvironmentConfig,
    EvaluationConfig,
    PIIConfig,
    PreprocessConfig,
    SDVConfig,
    TrackingConfig,
    TVAEConfig,
    flatten,
    load_config,
    project_root,
)
from tabveil.errors import ConfigError
from tabveil.stages.app import compose_config

BASE = {
    "dataset": {"name": "x", "source": {"key": "raw/x.csv"}, "columns": {"a": {"type": "integer"}, "b": {}}},
    "synthesizer": {"name": "tvae"},
    **{group: {} for group in ("environment", "preprocess", "pii", "sampling", "evaluation", "tracking")},
}


def merged(change: dict) -> object:
    return load_config(OmegaConf.merge(OmegaConf.create(BASE), OmegaConf.create(change)))


def column(**spec: object) -> dict:
    return {"dataset": {"columns": {"a": spec}}}


def constraints(second: object) -> dict:
    return {"dataset": {"constraints": [{"kind": "inequality", "low": "a", "high": "b"}, second]}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"synthesizer": {"max_stepz": 3}}, r"unknown setting synthesizer\.max_stepz \(did you mean max_steps\?\)"),
        ({"sed": 1}, r"unknown setting sed \(did you mean seed\?\)"),
        ({"evaluation": {"min_qualiti": 1}}, r"did you mean min_quality\?"),
        (column(typ="integer"), r"unknown setting dataset\.columns\.a\.typ \(did you mean type\?\)"),
        (column(policy={"acton": "drop"}), r"dataset\.columns\.a\.policy\.acton \(did you mean action\?\)"),
        ({"synthesizer": {"preset": "bst"}}, r"synthesizer\.preset must be one of .*'fast'.*: 'bst'"),
        ({"synthesizer": {"max_steps": -1}}, r"synthesizer\.max_steps must be an integer from 0"),
        ({"synthesizer": {"max_steps": "many"}}, r"synthesizer\.max_steps: Value 'many' .* Integer"),
        (
            column(type="intege"),
            r"dataset\.columns\.a\.type must be one of .*: intege \(did you mean integer\?",
        ),
        (column(sdtype="catgorical"), r"columns\.a\.sdtype must be one of .*\(did you mean categorical\?\)"),
        (column(policy={"action": "regenrate"}), r"columns\.a\.policy\.action must be one of .* mean regenerate\?"),
        (column(policy="drop"), r"dataset\.columns\.a\.policy must hold settings \(action, .*however: 'drop'"),
        (column(policy={"action": "generalise"}), r"dataset\.columns\.a\.policy: .* needs a method"),
        (column(minimum=2, maximum=1), r"dataset\.columns\.a: minimum must not exceed maximum"),
        (column(minimum="low"), r"dataset\.columns\.a\.minimum: Value 'low'"),
        (column(formats="%Y"), r"dataset\.columns\.a\.formats must be a list \(\[\.\.\.\]\), however: '%Y'"),
        ({"dataset": {"columns": {"c": None}}}, r"dataset\.columns\.c must hold settings \(type, .*however: nothing"),
        (
            constraints({"kind": "sumo"}),
            r"dataset\.constraints\[1\]\.kind must be .*: sumo \(did you mean sum\?\)",
        ),
        (constraints({"kin": "sum"}), r"unknown setting dataset\.constraints\[1\]\.kin \(did you mean kind\?\)"),
        (constraints({"kind": "sum"}), r"dataset\.constraints\[1\]: a constraint of kind 'sum' needs total"),
        (
            constraints({"kind": "range", "low": "a", "high": "b"}),
            r"constraints\[1\]: .*'range' needs low, middle and high",
        ),
        (
            constraints({"kind": "functional_dependency", "columns": ["a"], "dependant": "b"}),
            r"unknown setting dataset\.constraints\[1\]\.dependant \(did you mean dependent\?\)",
        ),
        (constraints({"kind": "unique", "columns": "a"}), r"dataset\.constraints\[1\]\.columns must be a list"),
        (constraints({"low": "a", "high": "b", "tolerance": "x"}), r"constraints\[1\]\.tolerance: Value 'x'"),
        (constraints("a < b"), r"dataset\.constraints\[1\] must hold settings \(kind, .*however: 'a < b'"),
        ({"dataset": {"constraints": {"kind": "sum"}}}, r"dataset\.constraints must be a list"),
        ({"dataset": {"locales": ["de_DE", "en_UX"]}}, r"does not know the locale en_UX \(did you mean en_"),
        ({"dataset": {"locales": ["../person"]}}, r"dataset\.locales: Faker does not know"),
        ({"seed": "x"}, r"seed: Value 'x'"),
        ({"synthesizer": {"dropout": 3}}, r"from 0 to 0\.9, however: synthesizer\.dropout=3"),
        ({"pii": {"holdout_fraction": 0}}, r"pii\.holdout_fraction=0"),
        ({"evaluation": {"min_quality": 1.2}}, r"evaluation\.min_quality=1\.2"),
        ({"sampling": {"num_rows": 0}}, r"sampling\.num_rows=0"),
        ({"preprocess": {"clip_quantiles": [0.9, 0.1]}}, r"clip_quantiles must be \[low, high\]"),
        ({"preprocess": {"engine": "flink"}}, r"preprocess\.engine must be one of duckdb, spark, however: flink"),
        ({"environment": {"output_prefix": "x"}}, r"must end in '/'"),
        ({"environment": {"endpoint_url": "http://127.0.0.1:1"}}, r"exclude each other"),
        ({"dataset": {"target": "aa"}}, r"dataset\.target names an undeclared column: aa"),
        ({"dataset": {"name": "No Good"}}, r"snake_case"),
        ({"dataset": {"csv": {"delimiter": ";;"}}}, r"csv\.delimiter must be one character"),
        ({"dataset": {"constraints": [{"kind": "inequality", "low": "a", "high": "z"}]}}, r"undeclared column: z"),
        (
            {"dataset": {"constraints": [{"kind": "functional_dependency", "columns": ["a"], "dependent": "z"}]}},
            r"dataset\.constraints \(a -> z\) names an undeclared column: z",
        ),
        (column(type="string", sdtype="numerical"), r"sdtype numerical is for types integer, decimal"),
        ({"dataset": {"max_rejected_fraction": 7}}, r"dataset\.max_rejected_fraction=7"),
        ({"evaluation": {"max_identical_ratio": -3}}, r"max_identical_ratio=-3"),
        (column(semantic_type="NAME", policy={"action": "keep"}), r"needs a reason"),
        (column(policy={"action": "pseudonymise"}), r"sdtype: id"),
        ({"synthesizer": {"name": "gan"}}, r"synthesizer\.name must be one of"),
        ({"synthesizer": {"name": ["tvae"]}}, r"synthesizer\.name must be one of"),
        ({"synthesizer": {"batch_size": 1.5}}, r"synthesizer\.batch_size: Value '1\.5' of type 'float'"),
        ({"synthesizer": {"batch_size": 2.0}}, r"synthesizer\.batch_size: Value '2\.0' of type 'float'"),
        ({"synthesizer": {"max_steps": True}}, r"synthesizer\.max_steps: Value 'True' of type 'bool'"),
        ({"synthesizer": {"learning_rate": True}}, r"synthesizer\.learning_rate: Value 'True' of type 'bool'"),
        ({"synthesizer": {"learning_rate": float("nan")}}, r"synthesizer\.learning_rate must be a finite number"),
        ({"synthesizer": {"max_seconds": float("inf")}}, r"synthesizer\.max_seconds must be a finite number"),
        ({"synthesizer": {"device": None}}, r"synthesizer\.device: Incompatible value 'None'"),
        ({"synthesizer": {"preset": ["fast"]}}, r"synthesizer\.preset: Cannot convert"),
        ({"synthesizer": {"name": "sdv_ctgan", "epochs": 1.5}}, r"synthesizer\.epochs: Value '1\.5'"),
    ],
)
def test_a_wrong_setting_gives_one_clear_line(change, message):
    with pytest.raises(ConfigError, match=message) as caught:
        merged(change)
    assert "\n" not in str(caught.value)


NEITHER = (None, [1], {}, object())
WRONG = {
    "int": (*NEITHER, True, 1.5, 2.0, "3", float("nan"), float("inf"), -1, 10**30),
    "float": (*NEITHER, True, "0.5", 1j, float("nan"), float("inf"), -float("inf"), 10**400, -1.0),
    "str": (*NEITHER, True, 3, b"cpu"),
}


@pytest.mark.parametrize(
    ("shape", "name", "value"),
    [
        (shape, item.name, value)
        for shape in (TVAEConfig, SDVConfig)
        for item in dataclasses.fields(shape)
        for value in WRONG[str(item.type)]
    ],
)
def test_every_setting_of_a_synthesizer_has_its_type_and_range(shape, name, value):
    with pytest.raises(ConfigError, match=rf"^synthesizer\.{name} must be ") as caught:
        shape(**{name: value})
    assert "\n" not in str(caught.value)


def test_numbers_of_a_synthesizer_become_plain_ones():
    config = TVAEConfig(seed=np.int64(3), max_seconds=np.float32(0.5), beta=1, batch_size=np.int32(64))
    found = [(type(value), value) for value in (config.seed, config.max_seconds, config.beta, config.batch_size)]
    assert found == [(int, 3), (float, 0.5), (float, 1.0), (int, 64)]


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:1234", "cuda:٣", "cpu\n"])
def test_a_device_is_one_that_torch_could_have(device):
    with pytest.raises(ConfigError, match=r"synthesizer\.device must be auto, cpu, cuda or cuda:<n>"):
        TVAEConfig(device=device)


def test_every_locale_that_faker_has_is_accepted_and_faker_is_not_imported_for_it():
    code = (
        "import sys; from tabveil.config import DatasetConfig; from tabveil.schema import ColumnSpec\n"
        "made = lambda locales: DatasetConfig(name='x', columns={'a': ColumnSpec()}, locales=locales)\n"
        "made(['en_US', 'vi_VN']); assert 'faker' not in sys.modules\n"
        "from faker.config import AVAILABLE_LOCALES; made(AVAILABLE_LOCALES)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_dataset_bears_the_name_of_its_file():
    config = OmegaConf.create(BASE)
    assert load_config(config, dataset_option="x").dataset.name == "x"
    with pytest.raises(ConfigError, match=r"name of its file, y in conf/dataset/y\.yaml, however: dataset\.name=x"):
        load_config(config, dataset_option="y")


def test_a_missing_value_is_named():
    config = OmegaConf.create({**BASE, "dataset": {"name": "x", "columns": {"a": {}}, "source": {}}})
    with pytest.raises(ConfigError, match=r"dataset\.source\.key must be set"):
        load_config(config)


def test_a_correct_config_becomes_typed_objects():
    config = merged({"synthesizer": {"max_steps": 7}})
    assert config.synthesizer.max_steps == 7
    assert type(config.synthesizer).__name__ == "TVAEConfig"
    assert flatten(config.synthesizer, "synthesizer.")["synthesizer.max_steps"] == 7


def test_project_root_is_found_from_below(repository, monkeypatch):
    monkeypatch.delenv("TABVEIL_ROOT", raising=False)
    monkeypatch.chdir(repository / "tests" / "stages")
    assert project_root() == repository


def test_a_folder_without_conf_is_refused(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("TABVEIL_ROOT", str(tmp_path))
    with pytest.raises(ConfigError, match="TABVEIL_ROOT"):
        project_root()


def options(group: str) -> list[str]:
    folder = Path(__file__).resolve().parents[1] / "conf" / group
    return sorted(path.stem for path in folder.glob("*.yaml"))


@pytest.mark.parametrize(
    "choice",
    [
        f"{group}={option}"
        for group in ("dataset", "environment", "preprocess", "pii", "synthesizer", "evaluation", "tracking")
        for option in options(group)
    ],
)
def test_every_option_of_every_group_composes(choice, repository, monkeypatch):
    monkeypatch.chdir(repository)
    config = compose_config([choice])
    group, option = choice.split("=")
    if hasattr(getattr(config, group), "name"):
        assert getattr(config, group).name == option


GROUPS = {
    "environment": EnvironmentConfig,
    "preprocess": PreprocessConfig,
    "pii": PIIConfig,
    "evaluation": EvaluationConfig,
    "tracking": TrackingConfig,
}


def settings(config: object) -> set[str]:
    return {item.name for item in dataclasses.fields(config)}


@pytest.mark.parametrize("group", ["environment", "preprocess", "pii", "synthesizer", "evaluation", "tracking"])
def test_every_setting_is_in_its_option_file_so_that_the_command_line_can_change_it(group, repository):
    for option in options(group):
        written = OmegaConf.load(repository / "conf" / group / f"{option}.yaml")
        schema = SYNTHESIZER_CONFIGS[option] if group == "synthesizer" else GROUPS[group]
        assert set(written) == settings(schema), option
