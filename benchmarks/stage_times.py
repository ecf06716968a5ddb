"""Seconds of every stage, each run by itself under DVC, and of a `dvc repro` with nothing to do.

    make bench            or: python benchmarks/stage_times.py [--repeat 3]

Run it on a quiet machine: the numbers are wall-clock and include the start of DVC and of Python.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import time
from pathlib import Path

STAGES = ("pull", "preprocess", "verify", "train", "sample", "evaluate", "publish")
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
    times = {}
    for stage in STAGES:
        command = ("dvc", "repro", "--force", "--single-item", stage)
        times[stage] = statistics.median(seconds(*command) for _ in range(repeat))
    seconds("dvc", "repro")
    no_op = statistics.median(seconds("dvc", "repro") for _ in range(repeat))

    others = sum(value for stage, value in times.items() if stage != "train")
    print(f"{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}, median of {repeat}\n")
    print("| stage | seconds |\n|---|---:|")
    for stage, value in times.items():
        print(f"| {stage} | {value:.1f} |")
    print(f"| all but train | {others:.1f} (asked: < {BUDGET_SECONDS:.0f}) |")
    print(f"| `dvc repro`, nothing to do | {no_op:.1f} (asked: < {NO_OP_SECONDS:.0f}) |")


if __name__ == "__main__":
    main()
