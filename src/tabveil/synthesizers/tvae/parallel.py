"""Work side by side in threads; torch lets go of the interpreter while it computes.

Threads of our own instead of torch's: the pieces are larger, and a thread that waits does not spin, so that a busy
neighbour costs no more than the time it takes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import torch

SWITCH_SECONDS = 2e-4  # after which a waiting thread gets the interpreter; in Python's 5 ms many operations would wait
MAX_AUTO_THREADS = 8  # a machine may have more cores than this process may use

T = TypeVar("T")
Pieces = Callable[[Callable[[int], Any], int], "list[Any]"]


@contextmanager
def worker_threads(num_threads: int, most: int) -> Iterator[Pieces]:
    """`pieces(work, count)`, which gives `work(i)` for i in range(count), in order of i.

    Call inside `runtime.isolated` with one thread: each piece of work computes in one. Python's switch interval is
    shorter meanwhile.

    Args:
        num_threads: pieces at once; 0: one per core, at most `MAX_AUTO_THREADS`.
        most: threads that would find work.
    """
    workers = min(most, num_threads or min(_num_cores(), MAX_AUTO_THREADS))
    if workers < 2:
        yield lambda work, count: [work(i) for i in range(count)]
        return
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        with ThreadPoolExecutor(workers, initializer=_prepare_thread) as pool:
            yield lambda work, count: list(pool.map(work, range(count)))
    finally:
        sys.setswitchinterval(before)


def side_by_side(work: Callable[[torch.Generator, int], T], count: int, seed: int, num_threads: int) -> list[T]:
    """`work(generator, i)` for i in range(count) without gradients, in order of i, whatever the number of threads.

    Args:
        work: is given a generator of its own, on the processor, which follows from `seed` and i.
        num_threads: see `worker_threads`.
    """

    def piece(i: int) -> T:
        with torch.inference_mode():
            return work(_generator(seed, i), i)

    with worker_threads(num_threads, count) as pieces:
        return pieces(piece, count)


def split_evenly(count: int, most: int) -> list[slice]:
    """Slices of so many rows, as long as each other but the last, at most `most` of them."""
    size = -(-count // most)
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


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
