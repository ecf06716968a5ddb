"""Process-wide settings of torch, numpy and random, set for one block and put back."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from tabveil.errors import ConfigError

DETERMINISTIC: Any = torch.utils.deterministic  # its settings are missing from torch's type stubs


@contextmanager
def isolated(
    seed: int, num_threads: int, *, deterministic: bool = True, device: torch.device | None = None
) -> Iterator[None]:
    """Run a block with seeded global generators and a fixed thread count.

    The generators' states, the thread count, the deterministic mode and the flush-denormal mode are restored.

    Args:
        deterministic: refuse torch operations that have no deterministic implementation; on a GPU some have none, so
            there nothing is refused.
        device: whose generator is seeded and restored besides the processor's.
    """
    on_gpu = device is not None and device.type != "cpu"
    python_state, numpy_state = random.getstate(), np.random.get_state()
    threads, debug_mode = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    fill, flushed = _fill_memory(), _flushes_denormals()
    with torch.random.fork_rng(devices=[device] if on_gpu else []):
        try:
            random.seed(seed)
            np.random.seed(seed)
            torch.manual_seed(seed)
            torch.set_num_threads(num_threads)
            torch.set_flush_denormal(True)
            # the same as torch.use_deterministic_algorithms, without the 3 s that its import of inductor takes
            torch.set_deterministic_debug_mode("error" if deterministic and not on_gpu else "default")
            DETERMINISTIC.fill_uninitialized_memory = False
            yield
        finally:
            DETERMINISTIC.fill_uninitialized_memory = fill
            torch.set_deterministic_debug_mode(debug_mode)
            torch.set_flush_denormal(flushed)
            torch.set_num_threads(threads)
            np.random.set_state(numpy_state)
            random.setstate(python_state)


def resolve_device(name: str) -> torch.device:
    """The device of a setting: `auto` is a CUDA GPU where there is one, else the processor.

    Raises:
        ConfigError: the device is not there.
    """
    available = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        return torch.device("cuda" if available else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= available:
        raise ConfigError(
            f"synthesizer.device must be there, however: {name!r} of {available} GPUs that this torch "
            f"({torch.__version__}) finds: install a CUDA build of torch, or choose auto or cpu"
        )
    return device


def random_state(device: torch.device) -> torch.Tensor:
    """State of the device's global generator, uint8."""
    return torch.get_rng_state() if device.type == "cpu" else torch.cuda.get_rng_state(device)


def set_random_state(device: torch.device, state: torch.Tensor) -> None:
    """Inverse of `random_state`."""
    if device.type == "cpu":
        torch.set_rng_state(state)
    else:
        torch.cuda.set_rng_state(state, device)


def _fill_memory() -> bool:
    return bool(DETERMINISTIC.fill_uninitialized_memory)


def _flushes_denormals() -> bool:
    """Whether this thread treats numbers below 1.2e-38 as zero (torch can set the mode but not tell it)."""
    return float(torch.tensor(1e-38, device="cpu") * 0.01) == 0.0
