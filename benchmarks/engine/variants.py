"""Variants of our engine: settings, and patches for what no setting reaches. A patched job runs in its own process."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

from torch import Tensor

from tabveil.config import TVAEConfig
from tabveil.errors import ConfigError
from tabveil.synthesizers import tvae
from tabveil.synthesizers.tvae import kernel

from .worker import measure

NEVER = 10**9  # checks without improvement


@dataclass(frozen=True)
class Variant:
    """A name, NAME=VALUE pairs of `TVAEConfig`, and the name of a patch, if it has one."""

    name: str
    settings: tuple[str, ...] = ()
    patch: str | None = None


SHIPPED = Variant("shipped")
VARIANTS = {
    variant.name: variant
    for variant in (
        SHIPPED,
        Variant("no_kernel", patch="no_kernel"),
        Variant("no_weight_decay", ("weight_decay=0",)),
        Variant("weight_decay_quarter", (f"weight_decay={TVAEConfig.weight_decay / 4}",)),
        Variant("no_dropout", ("small_table_dropout=0",)),
        Variant("dropout_.1", ("dropout=0.1",)),
        Variant("no_z", ("latent_dim=1", "beta=50")),
        Variant("latent_32", ("latent_dim=32",)),
        Variant("embedding_16", ("embedding_dim=16",)),
        Variant("embedding_4", ("embedding_dim=4",)),
        Variant("slow", ("learning_rate=0.004", f"max_steps={2 * TVAEConfig().step_budget}")),
        Variant("small_bins", ("min_bin_rows=1",)),
        Variant("bins_16", ("max_bins=16",)),
        Variant("no_usual_amounts", ("spike_fraction_of_rest=1",)),
        Variant("wide", ("encoder_dim=256", "decoder_dim=384")),
        Variant("narrow", ("encoder_dim=64", "decoder_dim=128")),
        Variant("target_in_place", patch="target_in_place"),
        Variant("no_average", ("ema_decay=0",)),
        Variant("no_early_stopping", (f"patience={NEVER}",)),
    )
}


def flat_kernel(raw_middle: Tensor, raw_sharpness: Tensor) -> kernel.Kernel:
    """In place of `kernel_parameters`: each slice gets the mass of its width, whatever the heads say.

    Zero times the heads, so that they stay part of the graph, with a gradient of zero.
    """
    return kernel.Kernel(0 * raw_middle + 0.5, 0 * raw_sharpness + kernel.MIN_SHARPNESS)


def order_of_table(columns: list[str], _target: str | None) -> list[str]:
    """In place of `_generation_order`: the target stays where it is."""
    return columns


PATCHES: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "no_kernel": (kernel.kernel_parameters, flat_kernel),
    "target_in_place": (tvae._generation_order, order_of_table),
}


@contextmanager
def patched(name: str) -> Iterator[None]:
    """Replace a function of the engine in every one of its modules that looks it up."""
    original, replacement = PATCHES[name]
    modules = [module for path, module in sys.modules.items() if path.startswith(tvae.__name__)]
    with ExitStack() as stack:
        for module in modules:
            if getattr(module, original.__name__, None) is original:
                stack.enter_context(mock.patch.object(module, original.__name__, replacement))
        yield


def measure_patched(patch: str, **job: Any) -> dict[str, object]:
    """`worker.measure` with a patch around fit, sample and scores (one is the model's own likelihood)."""
    with patched(patch):
        return measure(**job)


def parse_variant(text: str) -> Variant:
    """A variant from NAME:KEY=VALUE,KEY=VALUE; a part without "=" names a patch.

    Raises:
        ConfigError: it has another form, a name that is taken, or more than one patch.
    """
    name, separator, rest = text.partition(":")
    parts = [part for part in rest.split(",") if part]
    if not (name and separator and parts):
        raise ConfigError(f"--variant takes NAME:KEY=VALUE,KEY=VALUE, however: {text!r}")
    if name in VARIANTS:
        raise ConfigError(f"--variant must have a name of its own, however '{name}' is one of --variants")
    patches = [part for part in parts if "=" not in part]
    if len(patches) > 1 or not set(patches) <= PATCHES.keys():
        raise ConfigError(f"--variant takes at most one patch, of {sorted(PATCHES)}, however: {patches}")
    return Variant(name, tuple(part for part in parts if "=" in part), patches[0] if patches else None)
