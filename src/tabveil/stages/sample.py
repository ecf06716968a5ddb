"""Stage `sample`: rows on demand.

Reads: `artifacts/train/model/`, `artifacts/verify/metadata.json` and `identity_digests.parquet`.
Writes: `artifacts/sample/synthetic.parquet` (typed, snake_case names), `synthetic.csv` (original header names and
order), `sample.json` (rows drawn and rejected, by constraint). Chunk by chunk: memory does not grow with the rows.
Fails when: fewer rows than asked can be drawn, a constraint breaks, or an invented identity is a real one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import asdict

import pandas as pd
import pyarrow.parquet as pq
from rich.console import Console
from rich.progress import Progress

from tabveil.artifacts import Artifacts, require, write_json
from tabveil.config import Config
from tabveil.generation import TableGenerator
from tabveil.stages.app import stage_app
from tabveil.stages.inputs import load_digests, load_metadata
from tabveil.synthesizers import load_synthesizer
from tabveil.tables import write_tables


def run(config: Config, artifacts: Artifacts) -> None:
    """Sample the configured number of rows to Parquet and CSV."""
    options = config.sampling
    metadata = load_metadata(config, artifacts)
    synthesizer = load_synthesizer(require(artifacts.model, "train"))
    generator = TableGenerator(synthesizer, metadata, load_digests(config, artifacts))
    num_rows = options.num_rows or pq.read_metadata(require(artifacts.train_data, "verify")).num_rows
    chunks = generator.chunks(
        num_rows,
        options.seed,
        chunk_rows=options.chunk_rows,
        max_rejected_fraction=options.max_rejected_fraction,
    )
    shown = with_progress(chunks, num_rows)
    write_tables(shown, num_rows, metadata, parquet=artifacts.synthetic_parquet, csv=artifacts.synthetic_csv)
    write_json(artifacts.sample_info, {"num_rows": num_rows, "seed": options.seed, **asdict(generator.counts)})


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
