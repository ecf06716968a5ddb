"""What every stage's `main` shares: Hydra composes `conf/`, errors become one line, time is kept.

A stage module defines ``run(config, artifacts)`` and ends in ``main = stage_app("<name>", run)``.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import hydra
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, MissingConfigException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from tabveil.artifacts import Artifacts, write_json
from tabveil.aws.charges import forget
from tabveil.cli import process_border
from tabveil.config import Config, known_settings, load_config, project_root
from tabveil.errors import ConfigError
from tabveil.explain import did_you_mean, unknown_setting

HYDRA_VERSION_BASE = "1.3"
OVERRIDE = re.compile(r"Could not override '(?P<key>.+)'\.\s+To append to your config use (?P<add>.+)")
_STARTED = time.perf_counter()  # this module is the first of ours that a stage loads
StageRun = Callable[[Config, Artifacts], None]


def conf_dir() -> Path:
    """The project's `conf/` folder."""
    return project_root() / "conf"


def compose_config(
    overrides: Sequence[str] = (), *, output_dir: Path | None = None, conf: Path | None = None
) -> Config:
    """The typed configuration without a Hydra job: for tests, tools and the library's users.

    Args:
        overrides: as on the command line, e.g. ``["dataset=loans", "synthesizer.max_steps=10"]``.
        output_dir: stands in for Hydra's run folder.
        conf: the folder to compose from; by default the project's.

    Raises:
        ConfigError: a wrong override or a wrong setting; one line.
    """
    where = output_dir or project_root() / "artifacts"
    with initialize_config_dir(str(conf or conf_dir()), version_base=HYDRA_VERSION_BASE), hydra_errors():
        texts = [*overrides, f"output_dir='{where}'"]
        cfg = compose("config", overrides=texts, return_hydra_config=True)
        own = OmegaConf.masked_copy(cfg, [key for key in cfg if key != "hydra"])
        return load_config(own, dataset_option=cfg.hydra.runtime.choices.dataset)


def stage_app(name: str, run: StageRun) -> Callable[[], None]:
    """The `main` of a stage: compose, type-check, run, record the seconds in `.tabveil/timings/<name>.json`."""

    def job(cfg: DictConfig) -> None:
        if HydraConfig.get().mode is RunMode.MULTIRUN:
            raise ConfigError(
                "a stage writes DVC's outputs, which a sweep must not: python -m tabveil.sweep --multirun ..."
            )
        root = project_root()
        config = load_config(cfg, dataset_option=HydraConfig.get().runtime.choices["dataset"])
        forget(root, name)
        run(config, Artifacts(root / "artifacts"))
        write_json(timings_dir(root) / f"{name}.json", {"stage": name, "seconds": time.perf_counter() - _STARTED})

    def main() -> None:
        run_hydra(name, job)

    return main


def timings_dir(root: Path) -> Path:
    """Where stages leave their last run time; outside DVC's outputs, since a time is not reproducible."""
    return root / ".tabveil" / "timings"


def run_hydra(name: str, job: Callable[[DictConfig], None]) -> None:
    """Run `job` under Hydra with this process's command line, as the Hydra job `name`.

    Every error ends as one line: inside the job, since Hydra prints lines of its own about an exception it sees, and
    around Hydra, for what is wrong with the command line or the files of `conf/`.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"  # let exceptions through to the border

    def guarded(cfg: DictConfig) -> None:
        with process_border():
            job(cfg)

    with process_border(), hydra_errors():
        os.chdir(project_root())  # Hydra's relative output folders belong to the project
        sys.argv[1:] = [*sys.argv[1:], f"hydra.job.name={name}"]
        decorate = hydra.main(config_path=str(conf_dir()), config_name="config", version_base=HYDRA_VERSION_BASE)
        decorate(guarded)()


@contextmanager
def hydra_errors() -> Iterator[None]:
    """Turn errors of Hydra and OmegaConf into a `ConfigError` of one line."""
    try:
        yield
    except MissingConfigException as err:
        raise ConfigError(_no_file(err)) from err
    except (HydraException, OmegaConfBaseException) as err:
        raise ConfigError(_no_such_key(err) or one_line(err)) from err
    except yaml.MarkedYAMLError as err:
        mark = err.problem_mark
        where = f"{mark.name}, line {mark.line + 1}" if mark is not None else "a file of conf/"
        raise ConfigError(f"{where} must be valid YAML, however: {err.problem}") from err


def _no_file(err: MissingConfigException) -> str:
    """For an option that its group does not have: in a defaults list, or on the command line."""
    if err.missing_cfg_file is None:
        return one_line(err)
    return f"no conf/{err.missing_cfg_file}.yaml{did_you_mean(Path(err.missing_cfg_file).name, err.options or ())}"


def _no_such_key(err: Exception) -> str | None:
    """For an override of a key that the composed configuration does not have; None for any other error.

    Hydra advises to add the key with a `+`, which is right only for a setting that conf/ happens not to mention.
    """
    override, cause = OVERRIDE.match(str(err)), err.__cause__
    if override is None or not isinstance(cause, OmegaConfBaseException):
        return None
    parent, _, last = str(cause.full_key).rpartition(".")
    known = known_settings(parent)
    if last in known:
        return f"{override['key']} is not in conf/: write it there, or say {override['add']}"
    siblings = cause.parent_node if isinstance(cause.parent_node, DictConfig) else ()
    return unknown_setting(str(cause.full_key), known or (str(key) for key in siblings))


def one_line(err: Exception) -> str:
    """Hydra's and OmegaConf's messages of several lines, as one."""
    lines = [line.strip() for line in str(err).splitlines() if line.strip()]
    kept = [line for line in lines if not line.startswith(("full_key:", "object_type=", "Set the environment"))]
    return " ".join(kept) or type(err).__name__
