"""The repository keeps its own promises: DVC lists what stages read, docs match code, nothing personal is in git."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import grimp
import pytest
import yaml

import tabveil
from tabveil.artifacts import STAGES, Artifacts

PACKAGE = "tabveil"


@pytest.fixture(scope="module")
def pipeline(repository: Path) -> dict:
    return yaml.safe_load((repository / "dvc.yaml").read_text())["stages"]


@pytest.fixture(scope="module")
def imports() -> grimp.ImportGraph:
    return grimp.build_graph(PACKAGE)


LISTED = [stage for stage in STAGES if stage != "preflight"]  # that one always runs


def listed_files(repository: Path, dependencies: list[str]) -> set[Path]:
    files: set[Path] = set()
    for name in dependencies:
        path = repository / name
        files |= set(path.rglob("*.py")) if path.is_dir() else {path}
    return files


def file_of(repository: Path, module: str) -> Path:
    path = repository / "src" / Path(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def test_the_stage_without_dependencies_always_runs(pipeline):
    assert pipeline["preflight"]["always_changed"] is True
    assert all("artifacts/preflight/place.json" in pipeline[stage]["deps"] for stage in ("pull", "publish"))


def test_what_a_bucket_decides_is_never_taken_from_the_run_cache(pipeline):
    for stage in ("pull", "publish"):
        assert all(options["persist"] for out in pipeline[stage]["outs"] for options in out.values())


@pytest.mark.parametrize("stage", LISTED)
def test_every_module_a_stage_imports_is_a_dvc_dependency(stage, repository, pipeline, imports):
    module = f"{PACKAGE}.stages.{stage}"
    wanted = {module} | imports.find_upstream_modules(module)
    package_inits = {f"{PACKAGE}", f"{PACKAGE}.stages"}
    files = {file_of(repository, name) for name in wanted if name not in package_inits}
    missing = files - listed_files(repository, pipeline[stage]["deps"])
    assert sorted(str(path.relative_to(repository)) for path in missing) == []


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_has_no_override_on_its_command_line(stage, pipeline):
    assert pipeline[stage]["cmd"] == f"python -m {PACKAGE}.stages.{stage}"


CONFIG_USE = re.compile(r"config\.(dataset|environment|preprocess|pii|synthesizer|evaluation|tracking|sampling|seed)\b")


def listed_groups(stage: dict) -> set[str]:
    groups: set[str] = set()
    for entry in stage["params"]:
        path, keys = (entry, None) if isinstance(entry, str) else next(iter(entry.items()))
        groups |= set(keys) if path == "conf/config.yaml" else {path.split("/")[1]}
    return groups


@pytest.mark.parametrize("stage", LISTED)
def test_every_config_group_a_stage_reads_is_a_dvc_parameter(stage, repository, pipeline):
    read = set(CONFIG_USE.findall((repository / "src" / PACKAGE / "stages" / f"{stage}.py").read_text()))
    assert read - {"dataset", "synthesizer"} <= listed_groups(pipeline[stage]) | {"tracking"}
    if stage in ("pull", "preprocess", "verify"):
        assert "dataset" in listed_groups(pipeline[stage])
    if stage == "train":
        assert {"synthesizer", "tracking", "seed"} <= listed_groups(pipeline[stage])


def test_every_option_file_is_reachable_by_the_pipeline(repository, pipeline):
    defaults = yaml.safe_load((repository / "conf" / "config.yaml").read_text())["defaults"]
    watched = {group for stage in map(pipeline.get, LISTED) for group in listed_groups(stage)}
    for position, entry in enumerate(defaults):
        if entry == "_self_":
            continue
        (group, option), *_ = entry.items()
        assert (repository / "conf" / group / f"{option}.yaml").is_file()
        assert group in watched
        text = (repository / "dvc.yaml").read_text()
        assert f"conf/{group}/${{defaults[{position}].{group}}}.yaml" in text
    groups = {folder.name for folder in (repository / "conf").iterdir() if folder.is_dir()}
    assert groups == {next(iter(e)) for e in defaults if e != "_self_"}


def test_outputs_are_artifact_paths_and_every_artifact_is_an_output(repository, pipeline):
    outs = set()
    for stage in pipeline.values():
        for entry in [*stage.get("outs", []), *stage.get("metrics", [])]:
            outs.add(entry if isinstance(entry, str) else next(iter(entry)))
    artifacts = Artifacts(Path("artifacts"))
    paths = {str(getattr(artifacts, n)) for n, value in vars(Artifacts).items() if isinstance(value, property)}
    assert outs == paths


def test_version_is_the_same_everywhere(repository):
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    newest = re.search(r"## \[(\d+\.\d+\.\d+)\]", (repository / "CHANGELOG.md").read_text())
    assert newest is not None
    assert tabveil.__version__ == project["version"] == newest[1]


def test_the_lock_file_pins_what_pyproject_asks_for(repository):
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *(d for name, extra in extras.items() if name != "presidio" for d in extra)]
    locked = {line.split("==")[0].lower() for line in (repository / "requirements.lock").read_text().splitlines()}
    normal = {re.sub(r"[-_.]+", "-", re.split(r"[\[<>=]", name)[0]).lower() for name in wanted}
    assert normal <= {re.sub(r"[-_.]+", "-", name) for name in locked}


def test_every_room_is_in_the_architecture(repository):
    text = (repository / "ARCHITECTURE.md").read_text()
    rooms = {
        p.stem for p in (repository / "src" / PACKAGE).iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()
    }
    assert sorted(room for room in rooms - {"__init__"} if f"`{room}" not in text) == []


def test_make_help_lists_every_public_target(repository):
    text = (repository / "Makefile").read_text()
    shown = set(re.findall(r"(?m)^([a-z-]+):.*## ", text))
    assert {"run", "test", "check", "data", "repro", "sweep", "ui", "bench", "lock", "clean"} <= shown
    helped = subprocess.run(["make", "help"], cwd=repository, check=True, capture_output=True, text=True).stdout
    assert all(f"make {target} " in helped for target in shown)


def test_no_raw_data_and_no_machine_path_is_tracked(repository):
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=repository, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    assert not [name for name in tracked if name.endswith((".csv", ".parquet", ".db", ".key"))]
    home = re.compile(r"(?<![\w.:/])/(?:home|root|Users)/\w")
    texts = [name for name in tracked if name.endswith((".py", ".md", ".yaml", ".toml", "Makefile", "Dockerfile"))]
    assert [n for n in texts if (repository / n).exists() and home.search((repository / n).read_text())] == []
