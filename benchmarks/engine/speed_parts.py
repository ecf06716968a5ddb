"""What `speed` times, each function in a process of its own: a fit, the tokeniser, sampling to Parquet."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tabveil.schema import Metadata, canonical
from tabveil.synthesizers import LossRecord, create_synthesizer, load_synthesizer, sample_chunks
from tabveil.tables import arrow_schema

from .models import model_config
from .peers.protocol import peak_mb, stopwatch

TRAIN, METADATA = "train.parquet", "metadata.json"


def grow(table: pd.DataFrame, num_rows: int) -> pd.DataFrame:
    """Rows drawn with replacement; with as many or fewer rows than there are, without."""
    return table.sample(num_rows, replace=num_rows > len(table), random_state=0).reset_index(drop=True)


def widen(table: pd.DataFrame, metadata: Metadata, num_columns: int) -> tuple[pd.DataFrame, Metadata]:
    """So many columns: the first ones, or further copies of all, each copy's rows in an order of its own."""
    rng, columns, described = np.random.default_rng(0), {}, []
    for position in range(num_columns):
        column, copy = metadata.columns[position % len(metadata.columns)], position // len(metadata.columns)
        name = f"{column.name}_{copy}" if copy else column.name
        order = rng.permutation(len(table)) if copy else np.arange(len(table))
        columns[name] = table[column.name].take(order).reset_index(drop=True)
        described.append(replace(column, name=name, original_name=name))
    return pd.DataFrame(columns), Metadata("bench", tuple(described))


def write_table(folder: Path, table: pd.DataFrame, metadata: Metadata) -> None:
    """Where `fit` and `tokenise` read it."""
    folder.mkdir(parents=True, exist_ok=True)
    table.to_parquet(folder / TRAIN, index=False)
    (folder / METADATA).write_text(metadata.to_json(), encoding="utf-8")


def _read_table(folder: Path) -> tuple[pd.DataFrame, Metadata]:
    metadata = Metadata.from_json((folder / METADATA).read_text(encoding="utf-8"))
    return canonical(pd.read_parquet(folder / TRAIN), metadata), metadata


def fit(table: str, model: str, settings: Sequence[str], save_to: str | None) -> dict[str, Any]:
    """Seconds and peak memory of a fit, and where it has a loss curve the steps and the seconds of one.

    The seconds per step are those between the first and the last loss record, so that they hold the validation checks
    and neither the tokeniser nor the making of the network.
    """
    rows, metadata = _read_table(Path(table))
    synthesizer = create_synthesizer(model_config(model, settings, 0))
    checks: list[tuple[int, float]] = []

    def note(record: LossRecord) -> None:
        checks.append((record.step, time.perf_counter()))

    cost: dict[str, float] = {"before_mb": peak_mb()}
    started = time.perf_counter()
    with stopwatch("fit", cost):
        synthesizer.fit(rows, metadata, on_loss=note)
    if checks:
        cost |= _per_step(checks, started)
    if save_to is not None:
        synthesizer.save(Path(save_to))
    return {**cost, "rows": len(rows), "columns": rows.shape[1]}


def _per_step(checks: list[tuple[int, float]], started: float) -> dict[str, float]:
    (first, early), (last, late) = checks[0], checks[-1]
    if last > first and late > early:
        return {"steps": last, "step_seconds": (late - early) / (last - first)}
    return {"steps": last, "step_seconds": (late - started) / last}


def tokenise(table: str, settings: Sequence[str]) -> dict[str, float]:
    """Seconds to learn the tokens of a table and to encode it, as the first thing that a fit of ours does."""
    from tabveil.synthesizers.tvae.tokenizer import fit_tokenizer

    rows, metadata = _read_table(Path(table))
    config, rng, cost = model_config("balanced", settings, 0), np.random.default_rng(0), {}
    with stopwatch("tokenise", cost):
        tokenizer = fit_tokenizer(rows, metadata, list(rows.columns), config, rng)
        tokenizer.encode(rows, rng)
    return cost


def sample(model: str, num_rows: int, chunk_rows: int, parquet: str) -> dict[str, float]:
    """Seconds to draw rows in chunks and to write them to Parquet, apart; the model is loaded before."""
    synthesizer = load_synthesizer(Path(model))
    schema, drawn, cost = arrow_schema(synthesizer.metadata), 0.0, {}
    cost["before_mb"] = peak_mb()
    chunks = sample_chunks(synthesizer, num_rows, seed=1, chunk_rows=chunk_rows)
    with stopwatch("all", cost), pq.ParquetWriter(parquet, schema, compression="zstd") as writer:
        started = time.perf_counter()
        for chunk in chunks:
            drawn += time.perf_counter() - started
            writer.write_table(pa.Table.from_pandas(chunk, schema=schema, preserve_index=False))
            started = time.perf_counter()
    return cost | {"draw_seconds": drawn, "write_seconds": cost["all_wall_seconds"] - drawn, "rows": num_rows}
