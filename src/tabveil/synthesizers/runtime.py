"""Process-wide settings of torch, numpy and random, set for one block and put back."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

DETERMINISTIC: Any = torch.utils.deterministic  # its settings are missing from torch's type stubs


@contextmanager
def isolated(seed: int, num_threads: int, *, deterministic: bool = True) -> Iterator[None]:
    """Run a block with seeded global generators and a fixed thread count.

    The generators' states, the thread count, the deterministic mode and the flush-denormal mode are restored.

    Args:
        deterministic: refuse torch operations that have no deterministic implementation.
    """
    python_state, numpy_state = random.getstate(), np.random.get_state()
    threads, debug_mode = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    fill, flushed = _fill_memory(), _flushes_denormals()
    with torch.random.fork_rng(devices=[]):
        try:
            random.seed(seed)
            np.random.seed(seed)
            torch.manual_seed(seed)
            torch.set_num_threads(num_threads)
            torch.set_flush_denormal(True)
            # the same as torch.use_deterministic_algorithms, without the 3 s that its import of inductor takes
            torch.set_deterministic_debug_mode("error" if deterministic else "default")
            DETERMINISTIC.fill_uninitialized_memory = False
            yield
        finally:
            DETERMINISTIC.fill_uninitialized_memory = fill
            torch.set_deterministic_debug_mode(debug_mode)
            torch.set_flush_denormal(flushed)
            torch.set_num_threads(threads)
            np.random.set_state(numpy_state)
            random.setstate(python_state)


def _fill_memory() -> bool:
    return bool(DETERMINISTIC.fill_uninitialized_memory)


def _flushes_denormals() -> bool:
    """Whether this thread treats numbers below 1.2e-38 as zero (torch can set the mode but not tell it)."""
    return float(torch.tensor(1e-38) * 0.01) == 0.0
