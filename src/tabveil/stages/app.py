"""What every stage's `main` shares: Hydra composes `conf/`, errors become one line, time is kept.

A stage module defines ``run(config, artifacts)`` and ends in ``main = stage_app("<name>", run)``.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

import hydra
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from tabveil.artifacts import Artifacts, write_json
from tabveil.config import Config, load_config, project_root
from tabveil.errors import ConfigError, TabVeilError

HYDRA_VERSION_BASE = "1.3"
_STARTED = time.perf_counter()  # this module is the first that a stage loads
EXIT_ERROR = 2
StageRun = Callable[[Config, Artifacts], None]


def conf_dir() -> Path:
    """The project's `conf/` folder."""
    return project_root() / "conf"


def compose_config(overrides: Sequence[str] = (), *, output_dir: Path | None = None) -> Config:
    """The typed configuration without a Hydra job: for tests, tools and the library's users.

    Args:
        overrides: as on the command line, e.g. ``["dataset=loans", "synthesizer.max_steps=10"]``.
        output_dir: stands in for Hydra's run folder.
    """
    where = output_dir or project_root() / "artifacts"
    with initialize_config_dir(str(conf_dir()), version_base=HYDRA_VERSION_BASE):
        try:
            return load_config(compose("config", overrides=[*overrides, f"output_dir='{where}'"]))
        except (HydraException, OmegaConfBaseException) as err:
            raise ConfigError(one_line(err)) from err


def stage_app(name: str, run: StageRun) -> Callable[[], None]:
    """The `main` of a stage: compose, type-check, run, record the seconds in `.tabveil/timings/<name>.json`."""

    def main() -> None:
        def job(cfg: DictConfig) -> None:
            root = project_root()
            run(load_config(cfg), Artifacts(root / "artifacts"))
            write_json(timings_dir(root) / f"{name}.json", {"stage": name, "seconds": time.perf_counter() - _STARTED})

        run_hydra(job)

    return main


def timings_dir(root: Path) -> Path:
    """Where stages leave their last run time; outside DVC's outputs, since a time is not reproducible."""
    return root / ".tabveil" / "timings"


def run_hydra(job: Callable[[DictConfig], object]) -> None:
    """Run `job` under Hydra with this process's command line; every known error ends as one line and exit code 2."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # let exceptions through to the border below

    def guarded(cfg: DictConfig) -> object:
        try:
            return job(cfg)
        except TabVeilError as err:  # here already, since Hydra prints lines of its own about what it sees
            fail(str(err))

    try:
        os.chdir(project_root())  # Hydra's relative output folders belong to the project
        decorate = hydra.main(config_path=str(conf_dir()), config_name="config", version_base=HYDRA_VERSION_BASE)
        decorate(guarded)()
    except (HydraException, OmegaConfBaseException) as err:
        fail(one_line(err))
    except TabVeilError as err:
        fail(str(err))


def fail(message: str) -> NoReturn:
    """Print ``error: <message>`` and leave with exit code 2."""
    print(f"error: {message}", file=sys.stderr)
    raise SystemExit(EXIT_ERROR)


def one_line(err: Exception) -> str:
    """Hydra's and OmegaConf's messages of several lines, as one."""
    lines = [line.strip() for line in str(err).splitlines() if line.strip()]
    kept = [line for line in lines if not line.startswith(("full_key:", "object_type=", "Set the environment"))]
    return " ".join(kept) or type(err).__name__
