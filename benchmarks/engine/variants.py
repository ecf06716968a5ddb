"""Variants of our engine: settings, and patches for what no setting reaches. A patched job runs in its own process."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.metrics import mutual_info_score
from torch import Tensor

from tabveil.config import TVAEConfig
from tabveil.errors import ConfigError
from tabveil.schema import Metadata
from tabveil.synthesizers import LossRecord, tvae
from tabveil.synthesizers.tvae import kernel, tokenizer
from tabveil.synthesizers.tvae.features import NumberFeatures
from tabveil.synthesizers.tvae.network import TVAENetwork
from tabveil.synthesizers.tvae.training import _Run

from .worker import measure

SMOOTHED_SHARE = 0.2  # of a bin's weight as a target, given to each of its neighbours
INFORMATION_ROWS, INFORMATION_GROUPS = 10_000, 20  # from which the information between two columns is estimated


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
        Variant("smoothed_targets", patch="smoothed_targets"),
        Variant("even_places", patch="even_places"),
        Variant("no_number_features", patch="no_number_features"),
        Variant("no_z", ("latent_dim=1", "beta=50")),
        Variant("latent_32", ("latent_dim=32",)),
        Variant("embedding_64", ("embedding_dim=64",)),
        Variant("embedding_16", ("embedding_dim=16",)),
        Variant("embedding_4", ("embedding_dim=4",)),
        Variant("slow", ("learning_rate=0.004", f"max_steps={2 * TVAEConfig().step_budget}")),
        Variant("small_bins", ("min_bin_rows=1",)),
        Variant("bins_16", ("max_bins=16",)),
        Variant("no_usual_amounts", ("spike_fraction_of_rest=1",)),
        Variant("wide", ("encoder_dim=256", "decoder_dim=384")),
        Variant("narrow", ("encoder_dim=64", "decoder_dim=128")),
        Variant("target_in_place", patch="target_in_place"),
        Variant("order_by_information", patch="order_by_information"),
        Variant("no_average", ("ema_decay=0",)),
        Variant("last_weights", patch="last_weights"),
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


def order_by_information(
    table: pd.DataFrame, metadata: Metadata, columns: list[str], *rest: Any, **named: Any
) -> tokenizer.Tokenizer:
    """In place of `fit_tokenizer`: each column comes after those that tell most of it; the target stays last."""
    return _fit_tokenizer(table, metadata, informed_order(table, columns, metadata.target), *rest, **named)


def informed_order(table: pd.DataFrame, columns: list[str], target: str | None) -> list[str]:
    """The column with the most mutual information in all first, then always that with the most on those before it."""
    rows = table[columns].sample(min(len(table), INFORMATION_ROWS), random_state=0)
    groups = [_groups(rows[name]) for name in columns]
    information = np.array([[mutual_info_score(a, b) for a in groups] for b in groups])
    np.fill_diagonal(information, 0.0)
    left, chosen = [i for i, name in enumerate(columns) if name != target], list[int]()
    while left:
        chosen.append(max(left, key=lambda i: information[i, chosen or left].sum()))
        left.remove(chosen[-1])
    return [columns[i] for i in chosen] + [name for name in columns if name == target]


def _groups(series: pd.Series[Any]) -> NDArray[np.int64]:
    """Codes int64 (num_rows,): categories, or groups of as many numbers; a missing value is one of its own."""
    if pd.api.types.is_numeric_dtype(series) and series.nunique() > INFORMATION_GROUPS:
        ranks = series.astype("float64").rank(method="min", pct=True)
        return np.asarray(np.ceil(ranks.fillna(0.0) * INFORMATION_GROUPS), dtype=np.int64)
    return np.asarray(pd.factorize(series)[0], dtype=np.int64)


def smoothed_loss(self: TVAENetwork, heads: Tensor, tokens: Tensor, places: Tensor) -> Tensor:
    """In place of `TVAENetwork.column_loss` while training: a bin's neighbours are in part the target, too."""
    exact = _column_loss(self, heads, tokens, places)
    if not torch.is_grad_enabled():
        return exact
    sides = [_column_loss(self, heads, _neighbours(self, tokens, step), places) for step in (-1, 1)]
    return exact * (1 - 2 * SMOOTHED_SHARE) + (sides[0] + sides[1]) * SMOOTHED_SHARE


def _neighbours(network: TVAENetwork, tokens: Tensor, step: int) -> Tensor:
    """The token next to each bin; a token stays that is no bin, or has none on that side."""
    columns = network.numeric
    flat, last = tokens[:, columns] + network.offsets[columns], len(network.is_bin) - 1
    beside = (flat + step).clamp(0, last)  # of another column only where this is a missing value, which is no bin
    both = network.is_bin[flat] & network.is_bin[beside] & (beside != flat)
    return tokens.index_add(1, columns, both.to(tokens.dtype) * step)


def spread_evenly(low: Tensor, high: Tensor, _kernel: kernel.Kernel, uniform: Tensor) -> Tensor:
    """In place of `truncated_logistic`: any place in the slice is as likely."""
    return low + uniform * (high - low)


def even_density(_low: Tensor, _high: Tensor, _flat: Tensor, places: Tensor, _kernel: kernel.Kernel) -> Tensor:
    """In place of `log_density_in_slice`: the log density of an even spread, relative to itself."""
    return torch.zeros_like(places)


def no_features(self: NumberFeatures, flat: Tensor, present: Tensor, places: Tensor, first: int = 0) -> Tensor:
    """In place of `NumberFeatures.forward`: a number is known by its token's embedding only."""
    return torch.zeros_like(_features(self, flat, present, places, first))


def keep_last(self: _Run, record: LossRecord) -> None:
    """In place of `_Run._judge`: whatever validation says, the training goes on, and its last weights are kept."""
    _judge(self, record)
    self.checks_since_best = 0
    self.best_state = {name: value.clone() for name, value in self.averaged.state_dict().items()}


_fit_tokenizer, _column_loss, _features = tokenizer.fit_tokenizer, TVAENetwork.column_loss, NumberFeatures.forward
_judge = _Run._judge
Replacement = tuple[Callable[..., Any], Callable[..., Any]]
FLAT: Replacement = (kernel.kernel_parameters, flat_kernel)
PATCHES: dict[str, tuple[Replacement, ...]] = {
    "no_kernel": (FLAT,),
    "smoothed_targets": (FLAT, (_column_loss, smoothed_loss)),
    "even_places": ((kernel.truncated_logistic, spread_evenly), (kernel.log_density_in_slice, even_density)),
    "no_number_features": ((_features, no_features),),
    "target_in_place": ((tvae._generation_order, order_of_table),),
    "order_by_information": ((_fit_tokenizer, order_by_information),),
    "last_weights": ((_judge, keep_last),),
}


@contextmanager
def patched(name: str) -> Iterator[None]:
    """Replace functions of the engine in every one of its modules that looks them up, and methods in their class."""
    with ExitStack() as stack:
        for original, replacement in PATCHES[name]:
            for owner in _owners(original):
                stack.enter_context(mock.patch.object(owner, original.__name__, replacement))
        yield


def _owners(original: Callable[..., Any]) -> list[Any]:
    """The class of a method, or the modules that know a function."""
    class_name = original.__qualname__.rpartition(".")[0]
    if class_name:
        return [getattr(sys.modules[original.__module__], class_name)]
    modules = [module for path, module in sys.modules.items() if path.startswith(tvae.__name__)]
    return [module for module in modules if getattr(module, original.__name__, None) is original]


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
