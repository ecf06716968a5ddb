"""`python -m tabveil.sample_data`: compose the sample table, or leave it alone if it is there already."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import yaml

from tabveil.cli import process_border
from tabveil.config import project_root
from tabveil.sample_data.loans import SEED, Written, write


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line, compose, say what was done. Returns the exit code."""
    options = _parser().parse_args(arguments)
    with process_border():
        output = options.output or project_root() / "data" / "loans.csv"
        written = write(output, options.seed)
        print(_summary(written))
        if options.output is None:
            _compare_with_dvc(written)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tabveil.sample_data",
        description="Compose the sample table: 10,000 real loans (openintro) with invented customers, messy as a "
        "real drop. Same seed, same bytes. Nothing is written when the file is there with the same content.",
    )
    parser.add_argument("--output", type=Path, help="CSV file to write (default: data/loans.csv in the project)")
    parser.add_argument("--seed", type=int, default=SEED, help="seed of people and mess (default: %(default)s)")
    return parser


def _summary(written: Written) -> str:
    verb = "wrote" if written.changed else "left as it was:"
    return f"{verb} {written.path} ({written.size_bytes:,} bytes, md5 {written.md5})"


def _compare_with_dvc(written: Written) -> None:
    """Warn when the bytes are not the ones that `data.dvc` names (other package versions, another seed)."""
    pointer = written.path.parents[1] / "data.dvc"
    if not pointer.is_file():
        return
    expected = yaml.safe_load(pointer.read_text(encoding="utf-8"))["outs"][0]["md5"]
    if expected != written.md5:
        print(
            f"warning: {pointer.name} expects md5 {expected}: install the locked packages (requirements.lock), "
            f"or run `dvc commit {pointer.name}` if the change is meant",
            file=sys.stderr,
        )


if __name__ == "__main__":
    sys.exit(main())
