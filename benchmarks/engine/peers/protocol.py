"""What both sides of a peer's process agree on: files of a folder, and how cost is measured.

A peer reads `train.parquet` and `job.json` and writes `synthetic.parquet` (as many rows, the same column names) and
`cost.json`. This module needs the standard library and a pandas that reads Parquet, so that it runs in any environment.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

TRAIN, JOB, SYNTHETIC, COST = "train.parquet", "job.json", "synthetic.parquet", "cost.json"


@contextmanager
def stopwatch(name: str, cost: dict[str, float]) -> Iterator[None]:
    """Put `<name>_cpu_seconds`, `<name>_wall_seconds` and `<name>_peak_mb` of the block into `cost`.

    CPU seconds are those of every thread of this process and of its children; of children that are still there only
    with `psutil` (SDV's GANs prepare their table in such). The peak is the resident memory of this process alone since
    its start, table and libraries included.
    """
    cpu, wall = _cpu_seconds(), time.perf_counter()
    yield
    cost[f"{name}_cpu_seconds"] = _cpu_seconds() - cpu
    cost[f"{name}_wall_seconds"] = time.perf_counter() - wall
    cost[f"{name}_peak_mb"] = peak_mb()


def peak_mb() -> float:
    """Largest resident memory of this process so far, in 2**20 bytes.

    Linux's `ru_maxrss` also counts the memory of the process that started this one; `VmHWM` does not.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / 2**20 if sys.platform == "darwin" else most / 1024


def _cpu_seconds() -> float:
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime + sum(_living_children())


def _living_children() -> Iterator[float]:
    try:
        import psutil
    except ImportError:
        return
    for child in psutil.Process().children(recursive=True):
        try:
            times = child.cpu_times()
        except psutil.Error:  # it has just ended
            continue
        yield times.user + times.system


def serve(fit: Callable[[Any, dict[str, Any]], Any], sample: Callable[[Any, int], Any]) -> None:
    """The whole of a peer's script: fit, sample, measure both, write.

    Args:
        fit: from the training frame and the job (`seed`, `target`, `columns`: sdtype and type by name) to a model.
        sample: from the model and a number of rows to a frame.
    """
    import pandas as pd

    folder = Path(sys.argv[1])
    job, train = json.loads((folder / JOB).read_text()), pd.read_parquet(folder / TRAIN)
    cost: dict[str, float] = {}
    with stopwatch("fit", cost):
        model = fit(train, job)
    with stopwatch("sample", cost):
        synthetic = sample(model, len(train))
    synthetic.to_parquet(folder / SYNTHETIC, index=False)
    (folder / COST).write_text(json.dumps(cost))
