"""Batches of rows drawn side by side in threads; torch lets go of the interpreter while it computes."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import torch

MAX_AUTO_THREADS = 8  # a machine may have more cores than this process may use

T = TypeVar("T")


def side_by_side(work: Callable[[torch.Generator, int], T], count: int, seed: int, num_threads: int) -> list[T]:
    """`work(generator, i)` for i in range(count), in order of i, whatever the number of threads.

    Call inside `runtime.isolated` with one thread: each piece of work computes in one.

    Args:
        work: is given a generator of its own, on the processor, which follows from `seed` and i.
        num_threads: 0 for one per core, at most `MAX_AUTO_THREADS`.
    """

    def piece(i: int) -> T:
        with torch.inference_mode():
            return work(_generator(seed, i), i)

    workers = min(count, num_threads or min(_num_cores(), MAX_AUTO_THREADS))
    if workers < 2:
        return [piece(i) for i in range(count)]
    with ThreadPoolExecutor(workers, initializer=_prepare_thread) as pool:
        return list(pool.map(piece, range(count)))


def _generator(seed: int, i: int) -> torch.Generator:
    state = int(np.random.SeedSequence([seed, i]).generate_state(1, np.uint64)[0])
    return torch.Generator("cpu").manual_seed(state >> 1)


def _prepare_thread() -> None:
    """What `runtime.isolated` sets and torch keeps per thread."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)


def _num_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
