"""A synthetic table on disk: canonical frames to Parquet and CSV, chunk by chunk."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tabveil.artifacts import atomic
from tabveil.errors import SynthesizerError
from tabveil.schema import ColumnType, Metadata, canonical

ARROW_TYPES: dict[ColumnType, pa.DataType] = {
    ColumnType.string: pa.string(),
    ColumnType.integer: pa.int64(),
    ColumnType.decimal: pa.float64(),
    ColumnType.boolean: pa.bool_(),
    ColumnType.date: pa.date32(),
    ColumnType.datetime: pa.timestamp("us"),
}
CSV_DATES = {ColumnType.date: "%Y-%m-%d", ColumnType.datetime: "%Y-%m-%d %H:%M:%S"}


def write_tables(
    chunks: Iterator[pd.DataFrame], num_rows: int, metadata: Metadata, *, parquet: Path, csv: Path
) -> None:
    """Write frames to both files; neither exists before the last row is in.

    Args:
        chunks: canonical frames with the columns `metadata.output_columns`.
        num_rows: how many rows they must hold in all.
        parquet: typed, snake_case names, zstd.
        csv: original header names and order, UTF-8, ISO dates, empty cells for missing values.

    Raises:
        SynthesizerError: there were fewer or more rows.
    """
    schema = arrow_schema(metadata)
    headers = [metadata[name].original_name for name in metadata.output_columns]
    rows = 0
    with atomic(parquet) as parquet_file, atomic(csv) as csv_file, ExitStack() as stack:
        text = stack.enter_context(csv_file.open("w", encoding="utf-8", newline=""))
        writer = stack.enter_context(pq.ParquetWriter(parquet_file, schema, compression="zstd"))
        pd.DataFrame(columns=headers).to_csv(text, index=False, lineterminator="\n")
        for chunk in chunks:
            writer.write_table(pa.Table.from_pandas(chunk, schema=schema, preserve_index=False))
            as_text(chunk, metadata).to_csv(text, index=False, header=False, lineterminator="\n")
            rows += len(chunk)
        if rows != num_rows:
            raise SynthesizerError(f"asked for {num_rows} rows, however {rows} were sampled")


def csv_sha256(parquet: Path, metadata: Metadata) -> str:
    """Hex SHA-256 of the CSV that `write_tables` writes beside this Parquet file; batch by batch."""
    total = hashlib.sha256()
    headers = [metadata[name].original_name for name in metadata.output_columns]
    total.update(pd.DataFrame(columns=headers).to_csv(index=False, lineterminator="\n").encode())
    with pq.ParquetFile(parquet) as file:
        for batch in file.iter_batches():
            chunk = canonical(batch.to_pandas(), metadata)
            total.update(as_text(chunk, metadata).to_csv(index=False, header=False, lineterminator="\n").encode())
    return total.hexdigest()


def arrow_schema(metadata: Metadata) -> pa.Schema:
    """Arrow types of the synthetic table: the same for every chunk, also for an all-null one."""
    return pa.schema([(name, ARROW_TYPES[metadata[name].type]) for name in metadata.output_columns])


def as_text(chunk: pd.DataFrame, metadata: Metadata) -> pd.DataFrame:
    """Values as the CSV shows them, in the same way in every chunk: ISO dates, true and false."""
    shown = chunk.copy()
    for name in chunk.columns:
        kind = metadata[name].type
        if kind in CSV_DATES:
            shown[name] = chunk[name].dt.strftime(CSV_DATES[kind])
        elif kind is ColumnType.boolean:
            shown[name] = chunk[name].map({True: "true", False: "false"})
    return shown
