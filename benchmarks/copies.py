"""Does the measure of copying tell a model from a copy? One Markdown row per table and kind of synthetic table.

    BENCH_DATA=<folder> python benchmarks/copies.py [--tables loans adult beijing] [--max-steps 800]

Three kinds of synthetic tables are held against the same training and holdout rows: what the TVAE samples, training
rows with noise (normal, 2 % of a column's standard deviation), and training rows as they are. Columns: the DCR share
closer to the training rows, the lower bound of its Wilson interval (the gate asks for at most
`evaluation.max_dcr_share_low`), and the ratio of identical rows (`evaluation.max_identical_ratio`). Tables come from
where `engine_quality.py` takes them; each row is its own entity.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np
import pandas as pd
from engine_quality import load_table

from tabveil.config import TVAEConfig
from tabveil.evaluation.encoding import fit_encoding
from tabveil.evaluation.frames import is_numeric, plain, sample_rows
from tabveil.evaluation.neighbours import Reference
from tabveil.evaluation.privacy import distances, identical_metrics
from tabveil.schema import Metadata
from tabveil.synthesizers import create_synthesizer

MAX_ROWS = 20_000  # as evaluation.max_rows
NOISE = 0.02


def candidates(train: pd.DataFrame, metadata: Metadata, config: TVAEConfig) -> Iterator[tuple[str, pd.DataFrame]]:
    """Kinds of synthetic tables, plain frames of as many rows as `train` (canonical)."""
    synthesizer = create_synthesizer(config)
    synthesizer.fit(train, metadata)
    yield "TVAE", plain(synthesizer.sample(len(train), seed=1), metadata)
    rows = plain(train, metadata)
    rng = np.random.default_rng(0)
    drawn = rows.sample(len(rows), replace=True, random_state=0).reset_index(drop=True)
    for name in [name for name in drawn if is_numeric(metadata, name)]:
        drawn[name] += rng.normal(0, NOISE * drawn[name].std(), len(drawn))
    yield "training rows with noise", drawn
    yield "training rows", rows


def row(name: str, kind: str, real: tuple[pd.DataFrame, pd.DataFrame], made: pd.DataFrame, metadata: Metadata) -> str:
    """One Markdown row; `real` are training and holdout rows, plain."""
    train, holdout = (sample_rows(part, MAX_ROWS, 0, label) for part, label in zip(real, ("a", "b"), strict=True))
    near = distances(Reference(train, None), Reference(holdout, None), made, fit_encoding(train, metadata), 0).metrics()
    same = identical_metrics(*real, made)
    return (
        f"| {name} | {kind} | {near['dcr_share_closer_to_train']:.3f} | {near['dcr_share_closer_to_train_low']:.3f} "
        f"| {same['identical_ratio']:.1f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", nargs="+", default=["loans"])
    parser.add_argument("--max-steps", type=int, default=TVAEConfig.max_steps)
    options = parser.parse_args()
    print("| table | synthetic rows | share | lower bound | identical ratio |\n|---|---|---|---|---|")
    for name in options.tables:
        train, holdout, metadata = load_table(name)
        real = plain(train, metadata), plain(holdout, metadata)
        for kind, made in candidates(train, metadata, TVAEConfig(max_steps=options.max_steps)):
            print(row(name, kind, real, made, metadata), flush=True)


if __name__ == "__main__":
    main()
