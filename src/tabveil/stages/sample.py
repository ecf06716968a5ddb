"""Stage `sample`: rows on demand.

Reads: `artifacts/train/model/`, `artifacts/verify/metadata.json` and `identity_digests.parquet`.
Writes: `artifacts/sample/synthetic.parquet` (typed, snake_case names), `synthetic.csv` (original header names and
order), `sample.json` (rows drawn and rejected, by constraint). Chunk by chunk: memory does not grow with the rows.
Fails when: fewer rows than asked can be drawn, a constraint breaks, or an invented identity is a real one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.progress import Progress

from tabveil.artifacts import Artifacts, atomic, read_parquet, require, write_json
from tabveil.config import Config, project_root
from tabveil.errors import SynthesizerError
from tabveil.generation import TableGenerator
from tabveil.pii import IdentityDigests, load_key
from tabveil.schema import Metadata
from tabveil.stages.app import stage_app
from tabveil.synthesizers import load_synthesizer


def run(config: Config, artifacts: Artifacts) -> None:
    """Sample the configured number of rows to Parquet and CSV."""
    options = config.sampling
    metadata = Metadata.from_json(require(artifacts.metadata, "verify").read_text(encoding="utf-8"))
    key = load_key(config.pii.key_env, project_root() / config.pii.key_file)
    digests = IdentityDigests.from_frame(read_parquet(artifacts.identity_digests, "verify"), key)
    generator = TableGenerator(load_synthesizer(require(artifacts.model, "train")), metadata, digests)

    num_rows = options.num_rows or pq.read_metadata(require(artifacts.train_data, "verify")).num_rows
    chunks = generator.chunks(
        num_rows,
        options.seed,
        chunk_rows=options.chunk_rows,
        max_rejected_fraction=options.max_rejected_fraction,
    )
    written = write_chunks(
        with_progress(chunks, num_rows), metadata, artifacts.synthetic_parquet, artifacts.synthetic_csv
    )
    if written != num_rows:
        raise SynthesizerError(f"asked for {num_rows} rows, however {written} were sampled")
    write_json(artifacts.sample_info, {"num_rows": written, "seed": options.seed, **asdict(generator.counts)})


def write_chunks(chunks: Iterator[pd.DataFrame], metadata: Metadata, parquet: Path, csv: Path) -> int:
    """Write frames to both files, which appear together and only when the last chunk is in.

    Returns:
        Rows written.
    """
    headers = [metadata[name].original_name for name in metadata.output_columns]
    rows, schema = 0, None
    with atomic(parquet) as parquet_file, atomic(csv) as csv_file, ExitStack() as stack:
        text = stack.enter_context(csv_file.open("w", encoding="utf-8", newline=""))
        writer: pq.ParquetWriter | None = None
        for chunk in chunks:
            if writer is None:
                schema = arrow_schema(metadata)
                writer = stack.enter_context(pq.ParquetWriter(parquet_file, schema, compression="zstd"))
            writer.write_table(pa.Table.from_pandas(chunk, schema=schema, preserve_index=False))
            as_text(chunk, metadata).to_csv(
                text, index=False, header=headers if rows == 0 else False, lineterminator="\n"
            )
            rows += len(chunk)
    return rows


def arrow_schema(metadata: Metadata) -> pa.Schema:
    """Arrow types of the synthetic table (the same for every chunk, also for an all-null one)."""
    types = {
        "string": pa.string(),
        "integer": pa.int64(),
        "decimal": pa.float64(),
        "boolean": pa.bool_(),
        "date": pa.date32(),
        "datetime": pa.timestamp("us"),
    }
    return pa.schema([(name, types[metadata[name].type.value]) for name in metadata.output_columns])


def as_text(chunk: pd.DataFrame, metadata: Metadata) -> pd.DataFrame:
    """Values as a CSV shows them: dates without a time, booleans as true and false."""
    shown = chunk.copy()
    for name in chunk.columns:
        kind = metadata[name].type.value
        if kind == "date":
            shown[name] = chunk[name].dt.strftime("%Y-%m-%d")
        elif kind == "boolean":
            shown[name] = chunk[name].map({True: "true", False: "false"})
    return shown


def with_progress(chunks: Iterator[pd.DataFrame], num_rows: int) -> Iterator[pd.DataFrame]:
    """The chunks again, with a progress bar when stderr is a terminal."""
    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True) as progress:
        task = progress.add_task("sampling", total=num_rows)
        for chunk in chunks:
            yield chunk
            progress.advance(task, len(chunk))


main = stage_app("sample", run)

if __name__ == "__main__":
    main()
