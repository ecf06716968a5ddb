"""Does the measure of copying tell a model from a copy, and does it stay quiet where nobody copied? Markdown tables.

    BENCH_DATA=<folder> python benchmarks/copies.py [--tables loans transactions adult beijing] [--max-steps 800]
    python benchmarks/copies.py --chance [--draws 40]

By default, three kinds of synthetic tables are held against the same training and holdout rows: what the TVAE samples,
training rows with noise (normal, 2 % of a column's standard deviation), and training rows as they are. Columns: the DCR
share closer to the training rows, the lower bound of its Wilson interval (the gate asks for at most
`evaluation.max_dcr_share_low`), and the ratio of identical rows (`evaluation.max_identical_ratio`). The table
`transactions` is made here: 100 customers, 30 rows each, every customer with one salary and one firm, 80 customers to
train on; it is fitted once as if each row were its own entity, once with its customers known. The other tables come
from `engine/tables.py`.

With `--chance`, training, holdout and synthetic rows are drawn from one distribution, over and over: whatever the
measures then show is chance.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from engine.tables import describe, load_table

from tabveil.config import TVAEConfig
from tabveil.entities import entity_codes
from tabveil.evaluation.encoding import fit_encoding
from tabveil.evaluation.frames import is_numeric, plain, sample_rows
from tabveil.evaluation.neighbours import Reference
from tabveil.evaluation.privacy import distances, identical_metrics
from tabveil.schema import Action, Column, ColumnType, Metadata, SDType, canonical
from tabveil.synthesizers import create_synthesizer

MAX_ROWS = 20_000  # as evaluation.max_rows
NOISE = 0.02


@dataclass(frozen=True)
class Real:
    """Training and holdout rows (canonical), and how they are described."""

    train: pd.DataFrame
    holdout: pd.DataFrame
    metadata: Metadata

    def reference(self, part: pd.DataFrame, label: str) -> Reference:
        """Plain rows, at most `MAX_ROWS`, and whose they are."""
        people = entity_codes(part, self.metadata)
        rows = plain(part, self.metadata)
        return Reference(rows, people) if people is not None else Reference(sample_rows(rows, MAX_ROWS, 0, label))


def transactions(*, customers_known: bool) -> Real:
    """100 customers, 30 rows each; whole customers are held out."""
    rng = np.random.default_rng(0)
    customer = np.repeat(np.arange(100), 30)
    table = pd.DataFrame(
        {
            "customer_id": [f"p{c:03d}" for c in customer],
            "salary": rng.gamma(4, 1000, 100).round(2)[customer],
            "firm": [f"firm {c:03d}" for c in customer],
            "amount": rng.gamma(2, 40, len(customer)).round(2),
            "kind": rng.choice(["card", "cash", "wire"], len(customer)),
        }
    )
    described = describe(table.drop(columns="customer_id"), set())
    if customers_known:
        key = Column("customer_id", "customer_id", ColumnType.string, SDType.id, Action.pseudonymise)
        described = replace(described, columns=(key, *described.columns), entity_key="customer_id")
    kept = table[[column.name for column in described.columns]]
    return Real(canonical(kept[customer < 80], described), canonical(kept[customer >= 80], described), described)


def load(name: str) -> Iterator[tuple[str, Real]]:
    """The tables of one name."""
    if name == "transactions":
        yield "transactions, rows counted", transactions(customers_known=False)
        yield "transactions, customers counted", transactions(customers_known=True)
    else:
        table = load_table(name)
        yield name, Real(table.train, table.holdout, table.metadata)


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


def measures(real: Real, made: pd.DataFrame) -> tuple[float, float, float]:
    """Share, lower bound, ratio of identical rows."""
    train, holdout = real.reference(real.train, "train"), real.reference(real.holdout, "holdout")
    near = distances(train, holdout, made, fit_encoding(train.rows, real.metadata), 0).metrics()
    same = identical_metrics(plain(real.train, real.metadata), plain(real.holdout, real.metadata), made)
    return near["dcr_share_closer_to_train"], near["dcr_share_closer_to_train_low"], same["identical_ratio"]


def draw(kind: str, num_rows: int, rng: np.random.Generator) -> pd.DataFrame:
    """Rows without any relation to other draws: numbers, categories of few or many levels, or both."""
    columns: dict[str, object] = {}
    for name in "abc":
        if kind == "numbers" or (kind == "both" and name == "a"):
            columns[name] = rng.gamma(2, 40, num_rows).round(2)
        else:
            levels = {"few levels": 2, "both": 5, "many levels": 30}[kind]
            columns[name] = [f"{name}{level}" for level in rng.integers(levels, size=num_rows)]
    return pd.DataFrame(columns)


def chance(draws: int) -> Iterator[str]:
    """One Markdown row per kind and size: the largest values that chance alone gave."""
    rng = np.random.default_rng(0)
    for kind in ("numbers", "few levels", "many levels", "both"):
        for train_rows, holdout_rows in ((200, 50), (2000, 500)):
            shown = []
            for _ in range(draws):
                parts = [draw(kind, size, rng) for size in (train_rows, holdout_rows, train_rows)]
                described = describe(parts[0], set())
                train, holdout, made = (canonical(part, described) for part in parts)
                shown.append(measures(Real(train, holdout, described), plain(made, described)))
            _, low, ratio = np.max(shown, axis=0)
            yield f"| {kind} | {train_rows} + {holdout_rows} | {draws} | {low:.3f} | {ratio:.1f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", nargs="+", default=["loans", "transactions"])
    parser.add_argument("--max-steps", type=int, default=TVAEConfig().step_budget)
    parser.add_argument("--chance", action="store_true", help="what chance alone gives")
    parser.add_argument("--draws", type=int, default=40, help="tables of each kind and size")
    options = parser.parse_args()
    if options.chance:
        print("| columns | rows | draws | largest lower bound | largest ratio |\n|---|---|---|---|---|")
        for line in chance(options.draws):
            print(line, flush=True)
        return
    print("| table | synthetic rows | share | lower bound | identical ratio |\n|---|---|---|---|---|")
    for name, real in (found for asked in options.tables for found in load(asked)):
        for kind, made in candidates(real.train, real.metadata, TVAEConfig(max_steps=options.max_steps)):
            share, low, ratio = measures(real, made)
            print(f"| {name} | {kind} | {share:.3f} | {low:.3f} | {ratio:.1f} |", flush=True)


if __name__ == "__main__":
    main()
