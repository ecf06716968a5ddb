"""A fitted TVAE on disk: `weights.safetensors` and `tokenizer.json`; no pickle, no training row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from tabveil.artifacts import read_json, to_json
from tabveil.config import TVAEConfig
from tabveil.schema import Column, ColumnType
from tabveil.synthesizers.model_folder import reading
from tabveil.synthesizers.resolution import MAX_DECIMALS, Resolution
from tabveil.synthesizers.saved import is_cell, is_finite, is_whole
from tabveil.synthesizers.tvae.network import TVAENetwork
from tabveil.synthesizers.tvae.numeric import NumericCodec
from tabveil.synthesizers.tvae.tokenizer import CategoryCodec, Codec, Tokenizer
from tabveil.synthesizers.values import INSTANTS, NUMBERS

WEIGHTS, TOKENIZER = "weights.safetensors", "tokenizer.json"
MAX_WEIGHT = 1e4  # a trained one is some tens at most


def save_model(folder: Path, tokenizer: Tokenizer, network: TVAENetwork) -> None:
    """Write both files; the same model gives the same bytes."""
    columns = [_codec_record(codec) for codec in tokenizer.codecs]
    (folder / TOKENIZER).write_text(to_json({"columns": columns}), encoding="utf-8")
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, folder / WEIGHTS)


def load_model(folder: Path, config: TVAEConfig, columns: Sequence[Column]) -> tuple[Tokenizer, TVAENetwork]:
    """Inverse of `save_model`.

    Args:
        columns: what the model must know, in generation order.

    Raises:
        ModelFileError: a file is missing, damaged, or does not belong to the others; it is named.
    """
    with reading(folder / TOKENIZER):
        records = read_json(folder / TOKENIZER, "train")["columns"]
        tokenizer = Tokenizer(tuple(_codec(*pair) for pair in zip(records, columns, strict=True)))
    with reading(folder / WEIGHTS):
        try:
            weights = load_file(folder / WEIGHTS)
        except SafetensorError as err:
            raise ValueError("the weights must be safetensors") from err
        _require_sizes(weights, config)
        with torch.device("cpu"):
            network = TVAENetwork(tokenizer, config)
        network.load_state_dict(weights)
        if not all(layer.is_masked for layer in network.decoder.masked_layers):
            raise ValueError("the weights must be zero where a column would see itself or a later one")
    return tokenizer, network.eval()


def _require_sizes(weights: Mapping[str, Tensor], config: TVAEConfig) -> None:
    """Refuse weights of other widths than the settings say, before a network of that size is made."""
    asked = {
        "encoder.out.weight": (2 * config.latent_dim, config.encoder_dim),
        "decoder.hidden.0.weight": (config.decoder_dim, config.decoder_dim),
        "decoder.tokens.weight": (len(weights["decoder.tokens.weight"]), config.embedding_dim),
    }
    if any(tuple(weights[name].shape) != widths for name, widths in asked.items()):
        raise ValueError("the weights must have the widths of the settings")
    if not all(value.dtype == torch.float32 and _is_moderate(value) for value in weights.values()):
        raise ValueError(f"the weights must be of 32 bits and at most {MAX_WEIGHT:.0e}")


def _is_moderate(weights: Tensor) -> bool:
    """Finite, and not so large that what is computed from them could overflow."""
    return bool((weights.abs() <= MAX_WEIGHT).all())


def _codec_record(codec: Codec) -> dict[str, Any]:
    shared = {"name": codec.name, "type": codec.type.value, "emits_missing": codec.emits_missing}
    if isinstance(codec, CategoryCodec):
        return {**shared, "kind": "category", "categories": list(codec.categories), "rare_label": codec.rare_label}
    return {
        **shared,
        "kind": "numeric",
        "low": codec.low.tolist(),
        "high": codec.high.tolist(),
        "spike_values": [None if np.isnan(v) else v for v in codec.spike_values.tolist()],
        "bin_index": codec.bin_index.tolist(),
        "knots": codec.knots.tolist(),
        "decimals": codec.resolution.decimals,
        "unit": codec.resolution.unit,
        "center": codec.center,
        "scale": codec.scale,
    }


def _codec(record: Mapping[str, Any], column: Column) -> Codec:
    if (record["name"], record["type"]) != (column.name, column.type.value) or not isinstance(
        record["emits_missing"], bool
    ):
        raise ValueError("a column must have the name and type of the metadata")
    codec = _category(record, column) if record["kind"] == "category" else _numeric(record, column)
    if not codec.emitted.any():
        raise ValueError("a column must have something to sample")
    return codec


def _category(record: Mapping[str, Any], column: Column) -> CategoryCodec:
    categories, label = record["categories"], record["rare_label"]
    if not isinstance(categories, list) or len(set(categories)) < len(categories) or None in categories:
        raise ValueError("categories must be there once each")
    if not all(is_cell(value, column.type) for value in categories):
        raise ValueError("categories must be of the column's type")
    if label is not None and (not isinstance(label, str) or column.type is not ColumnType.string):
        raise ValueError("only text has a label for rare categories")
    return CategoryCodec(column.name, column.type, tuple(categories), label, record["emits_missing"])


def _numeric(record: Mapping[str, Any], column: Column) -> NumericCodec:
    decimals, unit = record["decimals"], record["unit"]
    if decimals is not None and not is_whole(decimals, 0, MAX_DECIMALS):
        raise ValueError(f"numbers must have 0 to {MAX_DECIMALS} decimals")
    if record["kind"] != "numeric" or column.type not in (*NUMBERS, *INSTANTS) or not is_whole(unit, 1, 2**63):
        raise ValueError("a number must be one, of a positive unit")
    codec = NumericCodec(
        name=column.name,
        type=column.type,
        low=_floats(record["low"]),
        high=_floats(record["high"]),
        spike_values=_floats([np.nan if v is None else v for v in record["spike_values"]]),
        bin_index=_whole(record["bin_index"]),
        knots=_floats(record["knots"]),
        resolution=Resolution(decimals, unit),
        center=_number(record["center"]),
        scale=_number(record["scale"]),
        emits_missing=record["emits_missing"],
    )
    _require_slices(codec)
    _require_values(codec)
    return codec


def _require_slices(codec: NumericCodec) -> None:
    """The first token has no slice, the others tile [0, 1]."""
    low, high = codec.low, codec.high
    tiled = low[0] == high[0] == 0.5 and np.array_equal(low[2:], high[1:-1]) and bool((low <= high).all())
    if not tiled or (len(low) > 1 and (low[1], high[-1]) != (0.0, 1.0)):
        raise ValueError("the slices must tile [0, 1]")


def _require_values(codec: NumericCodec) -> None:
    """Each further token is a bin, numbered in order, or an exact value; the knots belong to the bins."""
    spikes, bins, knots, num_bins = codec.spike_values, codec.bin_index, codec.knots, codec.num_bins
    if not len(codec.low) == len(codec.high) == len(spikes) == len(bins):
        raise ValueError("every token must have a slice and a value")
    is_spike = (bins == -1) & (np.arange(len(bins)) > 0)
    if not np.array_equal(bins[bins != -1], np.arange(num_bins)) or not np.array_equal(~np.isnan(spikes), is_spike):
        raise ValueError("every token must be a bin or a value")
    exact = spikes[is_spike]
    if (exact[1:] <= exact[:-1]).any() or (knots[1:] < knots[:-1]).any() or codec.scale <= 0:
        raise ValueError("values must ascend")
    fitting = len(knots) > 1 and (len(knots) - 1) % num_bins == 0 if num_bins else len(knots) == 0
    if not fitting:
        raise ValueError("the knots must be those of the bins")


def _floats(values: list[Any]) -> NDArray[np.float64]:
    return np.array([v if v is np.nan else _number(v) for v in values], dtype=np.float64)


def _whole(values: list[Any]) -> NDArray[np.int64]:
    if not all(is_whole(value, -1, len(values)) for value in values):
        raise ValueError("bins must be numbered")
    return np.array(values, dtype=np.int64)


def _number(value: Any) -> float:
    if not is_finite(value):
        raise ValueError("numbers must be finite")
    return float(value)
