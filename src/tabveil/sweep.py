"""``python -m tabveil.sweep --multirun synthesizer=tvae,sdv_gaussian_copula synthesizer.seed=0,1``: compare settings.

Each job of a Hydra sweep runs train -> sample -> evaluate on the tables that `dvc repro` made, below its own folder
`multirun/<time>/<number>/`: no DVC output is touched. Jobs run one after another in this process and are children of
one parent run in MLflow; at the end a leaderboard is printed, and where MLflow shows the same. Promote the winner with
``python -m tabveil.use`` (or edit `conf/`), then `make run`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from tabveil.artifacts import Artifacts
from tabveil.cli import process_border
from tabveil.config import Config, load_config, project_root
from tabveil.errors import ConfigError, GateError, SynthesizerError, TabVeilError
from tabveil.stages import evaluate, sample, train
from tabveil.stages.app import compose_config, hydra_errors, run_hydra
from tabveil.tracking import Tracker
from tabveil.ui_view import SCORES, save_view, sweep_runs

PARENT_VARIABLE = "TABVEIL_PARENT_RUN_ID"
MULTIRUN_FLAGS = {"--multirun", "-m"}
INFORMATIVE_FLAGS = {"--help", "-h", "--hydra-help", "--cfg", "-c", "--info", "-i"}
PREPARED = {"dataset", "environment", "preprocess", "pii"}  # what the tables were made with
FAILED_TRIALS: list[str] = []  # numbers of the jobs of this process's sweep


def run_trial(config: Config, root: Path) -> None:
    """One job: train, sample and evaluate below `config.output_dir`; a failed gate is a result, not an error."""
    artifacts = Artifacts(root / "artifacts", trial=Path(config.output_dir))
    try:
        train.run(config, artifacts)
        sample.run(config, artifacts)
        evaluate.run(config, artifacts)
    except GateError:
        print(f"{config.output_dir}: gate failed (see its report.html)", file=sys.stderr)


def job(cfg: DictConfig) -> None:
    """What Hydra calls for every combination; a trial that fails is told and counted, and the sweep goes on."""
    try:
        config = load_config(cfg)
        config.tracking.parent_run_id = os.environ[PARENT_VARIABLE]
        config.tracking.register_model = False  # a sweep compares; the pipeline promotes
        run_trial(config, project_root())
    except TabVeilError as err:
        FAILED_TRIALS.append(str(HydraConfig.get().job.num))
        print(f"error: trial {FAILED_TRIALS[-1]}: {err}", file=sys.stderr)


def base_config(arguments: list[str]) -> Config:
    """The configuration without the swept values: it names the experiment that the parent run belongs to.

    Raises:
        ConfigError: an override is wrong, or asks for other tables than the ones `dvc repro` made.
    """
    texts = [text for text in arguments if not text.startswith("-")]
    with hydra_errors():
        overrides = OverridesParser.create().parse_overrides(texts)
    settled = [text for text, o in zip(texts, overrides, strict=True) if o.key_or_group.split(".")[0] in PREPARED]
    if settled:
        raise ConfigError(
            f"a sweep starts from the tables that dvc repro made, so it cannot change {', '.join(settled)}: "
            "change conf/ and run dvc repro"
        )
    kept = [text for text, o in zip(texts, overrides, strict=True) if not _swept(o)]
    return compose_config(kept)


def _swept(override: Override) -> bool:
    return bool(override.is_sweep_override()) or override.key_or_group.startswith("hydra")


def swept_parameters(runs: list[dict[str, Any]]) -> list[str]:
    """Parameters in which the children differ, the synthesizer's name and seed first."""
    names = sorted({name for run in runs for name in run["params"]})
    swept = [n for n in names if len({run["params"].get(n) for run in runs}) > 1]
    return [n for n in ("synthesizer.name", "synthesizer.seed") if n in swept] + [
        n for n in swept if n not in ("synthesizer.name", "synthesizer.seed") and not all_in_one_kind(runs, n)
    ]


def leaderboard(runs: list[dict[str, Any]]) -> Table:
    """The children, best quality first, with the parameters in which they differ."""
    keys = swept_parameters(runs)
    table = Table(title="Leaderboard (best quality first)")
    for heading in ("#", *(key.removeprefix("synthesizer.") for key in keys), *SCORES, "gate"):
        table.add_column(heading, justify="right" if heading in SCORES else "left")
    for rank, run in enumerate(runs, start=1):
        scores = (run["metrics"].get(metric) for metric in SCORES.values())
        shown = ("-" if score is None else f"{score:.3f}" for score in scores)
        parameters = (run["params"].get(key, "-") for key in keys)
        table.add_row(str(rank), *parameters, *shown, run["tags"].get("gate", "-"))
    return table


def all_in_one_kind(runs: list[dict[str, Any]], parameter: str) -> bool:
    """Whether the parameter differs only because the synthesizers differ (each kind has one value of it)."""
    kinds: dict[str, set[str | None]] = {}
    for run in runs:
        kinds.setdefault(run["params"].get("synthesizer.name", ""), set()).add(run["params"].get(parameter))
    return all(len(values) == 1 for values in kinds.values())


def failures(trials: list[str]) -> str:
    """How many trials failed, and which."""
    noun = "trial" if len(trials) == 1 else "trials"
    return f"{len(trials)} {noun} failed: {', '.join(trials)} (see above)"


def main() -> None:
    """Command line."""
    arguments = sys.argv[1:]
    if INFORMATIVE_FLAGS.intersection(arguments):
        run_hydra("sweep", job)
        return
    with process_border():
        if not MULTIRUN_FLAGS.intersection(arguments):
            raise ConfigError("a sweep needs --multirun, e.g. python -m tabveil.sweep --multirun synthesizer.seed=0,1")
        os.chdir(project_root())
        tracker = Tracker(base_config(arguments), project_root())
        name = "sweep: " + " ".join(a for a in arguments if not a.startswith("-"))
        parent = tracker.start(name)
        os.environ[PARENT_VARIABLE] = parent
        with tracker.closing(parent):
            run_hydra("sweep", job)
            runs = tracker.children(parent)
            Console().print(leaderboard(runs))
            address = save_view(tracker, sweep_runs(parent, name, swept_parameters(runs)))
            print(f"in MLflow (make ui, or your server): {address}")
            if FAILED_TRIALS:
                raise SynthesizerError(failures(FAILED_TRIALS))


if __name__ == "__main__":
    main()
