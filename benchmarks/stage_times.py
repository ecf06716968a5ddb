"""Seconds of every stage's process, of one whole `dvc repro --force`, and of a `dvc repro` with nothing to do.

    python benchmarks/stage_times.py [--repeat 3]

Run it on a quiet machine: the numbers are wall-clock. A stage's seconds are those of ``python -m
tabveil.stages.<stage>``, from the start of the interpreter to its end. What DVC adds (hashing, its lock file, one
start of its own) is the difference to the whole command.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

STAGES = ("preflight", "pull", "preprocess", "verify", "train", "sample", "evaluate", "publish")
ROOT = Path(__file__).resolve().parents[1]
BUDGET_SECONDS = 60.0  # everything but training
NO_OP_SECONDS = 10.0


def seconds(*command: str) -> float:
    started = time.perf_counter()
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=1, help="runs of each; the median counts")
    repeat = parser.parse_args().repeat

    seconds("dvc", "repro")
    runs = [
        {stage: seconds(sys.executable, "-m", f"tabveil.stages.{stage}") for stage in STAGES} for _ in range(repeat)
    ]
    times = {stage: statistics.median(run[stage] for run in runs) for stage in STAGES}
    others = sum(value for stage, value in times.items() if stage != "train")
    total = statistics.median(seconds("dvc", "repro", "--force") for _ in range(repeat))
    no_op = statistics.median(seconds("dvc", "repro") for _ in range(repeat))

    print(f"{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}, median of {repeat}\n")
    print("| stage | seconds |\n|---|---:|")
    for stage, value in times.items():
        print(f"| {stage} | {value:.1f} |")
    print(f"| all but train | {others:.1f} (asked: < {BUDGET_SECONDS:.0f}) |")
    print(f"| the whole `dvc repro --force` | {total:.1f} |")
    print(f"| `dvc repro`, nothing to do | {no_op:.1f} (asked: < {NO_OP_SECONDS:.0f}) |")


if __name__ == "__main__":
    main()
