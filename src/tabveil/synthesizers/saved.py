"""What the files of a model folder say, read so strictly that what loads can be sampled from.

A wrong type, a missing entry, a name that another file does not know: `ValueError` and its like, of which
`model_folder.reading` makes one `ModelFileError` that names the file.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tabveil.config import SynthesizerConfig
from tabveil.constraints import ConstraintSpec
from tabveil.schema import METADATA_VERSION, Column, ColumnType, Metadata, constraint_misfit
from tabveil.synthesizers.arguments import MAX_ROWS
from tabveil.synthesizers.combinations import KnownCombinations, require_complete
from tabveil.synthesizers.values import NUMBERS

CURVE_DTYPES = {"step": "int64", "train": "float64", "validation": "float64"}


def require_whole(manifest: Mapping[str, Any], config: SynthesizerConfig) -> None:
    """Refuse a manifest without some of its entries: a default must not stand for what was trained.

    Args:
        config: made of the manifest's settings.

    Raises:
        ValueError, LookupError: a setting is missing or of another kind, or the rows are no positive number.
    """
    settings, num_rows = manifest["config"], manifest["num_train_rows"]
    if settings.keys() != {item.name for item in dataclasses.fields(config)} or config.name != manifest["kind"]:
        raise ValueError("the manifest must hold every setting of the kind")
    if not isinstance(manifest["shareable"], bool) or not is_whole(num_rows, 1, MAX_ROWS):
        raise ValueError("the manifest must say how many rows were trained on, and whether the model may be shared")
    if not isinstance(manifest["totals"], list) or not isinstance(manifest["combinations"], list):
        raise ValueError("totals and combinations must be lists")


def read_metadata(path: Path) -> Metadata:
    """`metadata.json`; one of this version must be as `Metadata.to_json` writes it.

    Raises:
        ValueError, LookupError, TypeError: damaged, or it names columns that it does not have.
    """
    data = json.loads(path.read_text(encoding="utf-8"))
    metadata = Metadata.from_dict(data)
    version = data["x-tabveil"]["version"]
    if not is_whole(version, 1, METADATA_VERSION) or (version == METADATA_VERSION and metadata.to_dict() != data):
        raise ValueError("the metadata must be whole")
    require_usable(metadata)
    return metadata


def require_usable(metadata: Metadata) -> None:
    """Refuse what no file of a model could say; the errors show no value of a table.

    Raises:
        ValueError, TypeError: a name, type, bound, constraint or target that cannot be.
    """
    types = {column.name: column.type for column in metadata.columns}
    for column in metadata.columns:
        _require_column(column)
    for constraint in metadata.constraints:
        _require_constraint(constraint, types)
    texts = (metadata.target, metadata.entity_key)
    if not isinstance(metadata.dataset, str) or not all(text is None or isinstance(text, str) for text in texts):
        raise ValueError("dataset, target and entity key must be text")
    if metadata.target is not None and metadata.target not in types:
        raise ValueError("the target must be one of the columns")
    try:
        metadata.to_json().encode()
    except UnicodeEncodeError:
        raise ValueError("names must be Unicode text without surrogates") from None


def read_combinations(records: list[Any], metadata: Metadata) -> tuple[KnownCombinations, ...]:
    """The combinations of the manifest: those of the metadata's constraints, in cells of their columns' types.

    Raises:
        ValueError, LookupError, TypeError: damaged, or some are missing.
    """
    for record in records:
        kinds = [metadata[name].type for name in record["columns"]]
        for row in record["allowed"]:
            if len(row) != len(kinds) or not all(is_cell(*pair) for pair in zip(row, kinds, strict=True)):
                raise ValueError("a combination must have a value of each column")
    combinations = tuple(KnownCombinations.from_record(record, metadata) for record in records)
    require_complete(combinations, metadata)
    return combinations


def read_losses(path: Path) -> pd.DataFrame:
    """`loss.csv` with the dtypes `CURVE_DTYPES`.

    Raises:
        ValueError, TypeError: other columns, or cells that are no numbers.
    """
    text = pd.read_csv(path, dtype="str")
    if list(text.columns) != list(CURVE_DTYPES) or not isinstance(text.index, pd.RangeIndex):
        raise ValueError("the loss curve must have its three columns")
    curve = text.astype(CURVE_DTYPES)
    if not np.isfinite(curve["train"]).all() or np.isinf(curve["validation"]).any():
        raise ValueError("losses must be finite")
    return curve


def is_whole(value: Any, low: int, high: int) -> bool:
    """Whether a value of a JSON file is an integer in a range; a bool is none."""
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def is_finite(value: Any) -> bool:
    """Whether a value of a JSON file is a finite number; a bool is none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and bool(np.isfinite(float(value)))


def is_cell(value: Any, kind: ColumnType) -> bool:
    """Whether a value of a JSON file can stand for a cell: None if missing, microseconds since 1970 of an instant."""
    if value is None:
        return True
    if kind is ColumnType.decimal:
        return is_finite(value)
    if kind in (ColumnType.string, ColumnType.boolean):
        return isinstance(value, str if kind is ColumnType.string else bool)
    smallest = -(2**63) if kind is ColumnType.integer else 1 - 2**63  # the smallest instant stands for none
    return is_whole(value, smallest, 2**63 - 1)


def _require_column(column: Column) -> None:
    texts, maybe = (column.name, column.original_name, *column.locales), (column.semantic_type, column.reason)
    if not all(isinstance(text, str) for text in texts) or not all(t is None or isinstance(t, str) for t in maybe):
        raise ValueError("names, types and reasons of columns must be text")
    if not is_finite(column.null_fraction) or not 0 <= column.null_fraction <= 1:
        raise ValueError("a null fraction must be in [0, 1]")
    bounds = [bound for bound in (column.minimum, column.maximum) if bound is not None]
    if bounds and (column.type not in NUMBERS or not all(map(is_finite, bounds)) or bounds != sorted(bounds)):
        raise ValueError("bounds must be finite, in order, and those of a number")


def _require_constraint(constraint: ConstraintSpec, types: Mapping[str, ColumnType]) -> None:
    lists = (constraint.parts, constraint.columns)
    if not all(isinstance(part, list) for part in lists) or not set(constraint.used_columns) <= types.keys():
        raise ValueError("a constraint must name columns of the table")
    if not isinstance(constraint.strict, bool) or not is_finite(constraint.tolerance):
        raise ValueError("a constraint must be strict or not, and have a finite tolerance")
    misfit = constraint_misfit(constraint, types)
    if misfit:
        raise ValueError(misfit)
