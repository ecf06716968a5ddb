"""A fitted TVAE on disk: `weights.safetensors` and `tokenizer.json`; no pickle, no training row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from tabveil.artifacts import read_json, to_json
from tabveil.config import TVAEConfig
from tabveil.errors import ArtifactError, ModelFileError
from tabveil.schema import ColumnType
from tabveil.synthesizers.resolution import Resolution
from tabveil.synthesizers.tvae.network import TVAENetwork
from tabveil.synthesizers.tvae.numeric import NumericCodec
from tabveil.synthesizers.tvae.tokenizer import CategoryCodec, Codec, Tokenizer

WEIGHTS, TOKENIZER = "weights.safetensors", "tokenizer.json"


def save_model(folder: Path, tokenizer: Tokenizer, network: TVAENetwork) -> None:
    """Write both files; the same model gives the same bytes."""
    columns = [_codec_record(codec) for codec in tokenizer.codecs]
    (folder / TOKENIZER).write_text(to_json({"columns": columns}), encoding="utf-8")
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, folder / WEIGHTS)


def load_model(folder: Path, config: TVAEConfig) -> tuple[Tokenizer, TVAENetwork]:
    """Inverse of `save_model`.

    Raises:
        ModelFileError: a file is missing, damaged, or does not belong to the other.
    """
    try:
        records = read_json(folder / TOKENIZER, "train")["columns"]
        tokenizer = Tokenizer(tuple(_codec(record) for record in records))
        with torch.device("cpu"):
            network = TVAENetwork(tokenizer, config)
        network.load_state_dict(load_file(folder / WEIGHTS))
    except (ArtifactError, SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError) as err:
        raise ModelFileError(f"{folder} is not a complete TVAE ({type(err).__name__}): train again") from err
    return tokenizer, network.eval()


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


def _codec(record: dict[str, Any]) -> Codec:
    name, kind = str(record["name"]), ColumnType(record["type"])
    if record["kind"] == "category":
        return CategoryCodec(
            name, kind, tuple(record["categories"]), record["rare_label"], bool(record["emits_missing"])
        )
    return NumericCodec(
        name=name,
        type=kind,
        low=_floats(record["low"]),
        high=_floats(record["high"]),
        spike_values=_floats([np.nan if v is None else v for v in record["spike_values"]]),
        bin_index=np.array(record["bin_index"], dtype=np.int64),
        knots=_floats(record["knots"]),
        resolution=Resolution(record["decimals"], int(record["unit"])),
        center=float(record["center"]),
        scale=float(record["scale"]),
        emits_missing=bool(record["emits_missing"]),
    )


def _floats(values: list[Any]) -> NDArray[np.float64]:
    return np.array(values, dtype=np.float64)
