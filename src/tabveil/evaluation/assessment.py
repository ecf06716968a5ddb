"""All scores of one synthetic table: the entry point of this package.

`Evaluation` holds aggregates only, no row of any table, so that it can be drawn, logged and kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from tabveil.config import EvaluationConfig
from tabveil.entities import Codes, entity_codes
from tabveil.errors import DataError
from tabveil.evaluation import stock
from tabveil.evaluation.association import Associations, association_matrix
from tabveil.evaluation.baselines import bootstrap_table, floor_table
from tabveil.evaluation.detection import c2st_auc
from tabveil.evaluation.encoding import SharedEncoding, fit_encoding
from tabveil.evaluation.frames import Int, is_numeric, plain, require_rows, sample_rows, stream
from tabveil.evaluation.histograms import Histogram, histogram
from tabveil.evaluation.neighbours import Reference
from tabveil.evaluation.privacy import Distances, distances, identical_metrics
from tabveil.evaluation.rare import RareGroups, rare_groups
from tabveil.evaluation.shared import SharedScores, pair_counts, shared_scores, shuffled_codes
from tabveil.evaluation.utility import (
    Contest,
    Tables,
    TargetScores,
    all_columns_utility,
    choose_target,
    predictable_mean,
    target_utility,
)
from tabveil.schema import Metadata

MIN_ROWS = 20
NUM_WORST_PAIRS = 15


@dataclass(frozen=True)
class Evaluation:
    """What was measured.

    Args:
        metrics: flat, grouped names (`quality/overall`); a measure that could not be computed is absent.
        columns: per column: column, kind, metric, score, shared_shape, shared_shape_ceiling, real_missing,
            synthetic_missing, tstr, trtr.
        worst_pairs: pairs furthest below what a real holdout reaches: first, second, score, ceiling, gap.
        rare: rare levels and their recall.
        target: utility of the target column.
        histograms: one per modelled column.
        associations: mixed association matrices.
        distances: nearest-record distances.
        rows: rows given and rows scored.
        versions: libraries the scores depend on.
        notes: what was sampled or left out, in words.
    """

    metrics: dict[str, float]
    columns: pd.DataFrame
    worst_pairs: pd.DataFrame
    rare: RareGroups
    target: TargetScores
    histograms: tuple[Histogram, ...]
    associations: Associations
    distances: Distances
    rows: dict[str, int]
    versions: dict[str, str]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Inputs:
    """Plain frames, cut to `max_rows`, with their shared codes."""

    train: pd.DataFrame
    holdout: pd.DataFrame
    synthetic: pd.DataFrame
    metadata: Metadata
    encoding: SharedEncoding
    train_codes: Int
    holdout_codes: Int
    synthetic_codes: Int
    train_entities: Codes | None
    holdout_entities: Codes | None
    seed: int


def evaluate(
    train_data: pd.DataFrame,
    holdout_data: pd.DataFrame,
    synthetic_data: pd.DataFrame,
    metadata: Metadata,
    config: EvaluationConfig,
) -> Evaluation:
    """Score a synthetic table against the table it was learned from and real rows the model has not seen.

    Args:
        train_data, holdout_data, synthetic_data: frames with the canonical dtypes of `tabveil.schema`; only
            `metadata.modelled_columns` are scored. Where the metadata has an entity key, the two real ones also hold
            the column that says whose row each is (`entities.entity_codes`): people are counted, not their rows.

    Returns:
        Deterministic for a given seed.

    Raises:
        SchemaError: a modelled column is missing, or nothing says whose row each is.
        DataError: a table has fewer than `MIN_ROWS` rows, or there is no modelled column.
    """
    given = {"train": train_data, "holdout": holdout_data, "synthetic": synthetic_data}
    for name, table in given.items():
        require_rows(f"the {name} table", table, MIN_ROWS)
    if not metadata.modelled_columns:
        raise DataError(f"dataset '{metadata.dataset}' has no modelled column: there is nothing to score")
    people = {name: entity_codes(given[name], metadata) for name in ("train", "holdout")}
    with threadpool_limits(limits=1):  # same sums whatever the machine; the tables are too small for more
        return _evaluate({name: plain(table, metadata) for name, table in given.items()}, people, metadata, config)


def _evaluate(
    whole: dict[str, pd.DataFrame], people: dict[str, Codes | None], metadata: Metadata, config: EvaluationConfig
) -> Evaluation:
    inputs = _prepare(whole, people, metadata, config)
    stock_metrics, stock_scores = _stock(inputs)
    shared_metrics, shared, ceiling, associations = _shared(inputs)
    utility_metrics, target, tstr, trtr = _utility(inputs, associations)
    owners = inputs.train_entities
    rare = rare_groups(inputs.train_codes, inputs.holdout_codes, inputs.synthetic_codes, inputs.encoding, owners)
    dcr = distances(
        Reference(inputs.train, owners),
        Reference(inputs.holdout, inputs.holdout_entities),
        inputs.synthetic,
        inputs.encoding,
        config.seed,
    )
    metrics = {
        **stock_metrics,
        **shared_metrics,
        **_detection(inputs),
        **utility_metrics,
        **_grouped("privacy", dcr.metrics() | identical_metrics(**whole)),
        **_grouped("rare", rare.metrics()),
    }
    return Evaluation(
        metrics={name: float(value) for name, value in sorted(metrics.items()) if np.isfinite(value)},
        columns=_column_table(inputs, stock_scores.columns, shared, ceiling).assign(tstr=tstr, trtr=trtr),
        worst_pairs=_worst_pairs(inputs.encoding.names, shared, ceiling),
        rare=rare,
        target=target,
        histograms=tuple(histogram(inputs.train, inputs.synthetic, n, metadata, owners) for n in inputs.encoding.names),
        associations=associations,
        distances=dcr,
        rows=_row_counts(whole, inputs),
        versions={name: version(name) for name in ("sdmetrics", "scikit-learn", "numpy", "pandas")},
        notes=_notes(whole, inputs, metrics),
    )


def _prepare(
    whole: dict[str, pd.DataFrame], people: dict[str, Codes | None], metadata: Metadata, config: EvaluationConfig
) -> _Inputs:
    limit = min(config.max_rows, stock.MAX_ROWS)
    cut = {name: sample_rows(table, limit, config.seed, f"cut-{name}") for name, table in whole.items()}
    owners = {
        name: None
        if codes is None
        else sample_rows(pd.DataFrame({"entity": codes}), limit, config.seed, f"cut-{name}")["entity"].to_numpy()
        for name, codes in people.items()
    }
    encoding = fit_encoding(cut["train"], metadata)
    return _Inputs(
        train=cut["train"],
        holdout=cut["holdout"],
        synthetic=cut["synthetic"],
        metadata=metadata,
        encoding=encoding,
        train_codes=encoding.codes(cut["train"]),
        holdout_codes=encoding.codes(cut["holdout"]),
        synthetic_codes=encoding.codes(cut["synthetic"]),
        train_entities=owners["train"],
        holdout_entities=owners["holdout"],
        seed=config.seed,
    )


def _stock(inputs: _Inputs) -> tuple[dict[str, float], stock.StockScores]:
    """Stock scores of the synthetic table, the floor and the ceilings."""
    train, holdout, seed, metadata = inputs.train, inputs.holdout, inputs.seed, inputs.metadata
    scores = stock.quality(train, inputs.synthetic, metadata)
    size = min(len(train), len(holdout))
    real, fresh, made = (
        sample_rows(table, size, seed, f"ceiling-{label}")
        for label, table in (("train", train), ("holdout", holdout), ("synthetic", inputs.synthetic))
    )
    quality = {
        "overall": scores.overall,
        "column_shapes": scores.shapes,
        "column_pair_trends": scores.trends,
        "num_counted_pairs": float(len(scores.pairs)),
        "floor": _floor(train, seed, metadata, scores.pairs),
        "ceiling": stock.quality_of_pairs(real, fresh, metadata, scores.pairs).overall,
        "ceiling_bootstrap": stock.quality_of_pairs(
            train, bootstrap_table(train, seed), metadata, scores.pairs
        ).overall,
        "overall_at_holdout_size": stock.quality_of_pairs(real, made, metadata, scores.pairs).overall,
    }
    diagnostic = stock.diagnostic(train, inputs.synthetic, metadata)
    return _grouped("quality", quality) | _grouped("diagnostic", diagnostic), scores


def _floor(train: pd.DataFrame, seed: int, metadata: Metadata, pairs: pd.DataFrame) -> float:
    """NaN where no pair counts: shuffled columns keep their shapes, and shapes alone would score a perfect 1."""
    if pairs.empty:
        return float("nan")
    return stock.quality_of_pairs(train, floor_table(train, seed), metadata, pairs).overall


def _shared(inputs: _Inputs) -> tuple[dict[str, float], SharedScores, SharedScores, Associations]:
    """Shared-bin scores with floor and ceiling, all at the same number of rows, and the association matrices."""
    encoding, train, seed = inputs.encoding, inputs.train_codes, inputs.seed
    size = min(len(train), len(inputs.holdout_codes), len(inputs.synthetic_codes))
    real_counts = pair_counts(train, encoding.num_codes)
    scores, ceiling, floor = (
        shared_scores(real_counts, pair_counts(_cut(codes, size, seed), encoding.num_codes), encoding.num_codes)
        for codes in (inputs.synthetic_codes, inputs.holdout_codes, shuffled_codes(train, seed))
    )
    made_counts = pair_counts(inputs.synthetic_codes, encoding.num_codes)
    associations = Associations(
        tuple(encoding.names),
        association_matrix(inputs.train, real_counts, encoding),
        association_matrix(inputs.synthetic, made_counts, encoding),
    )
    metrics = {
        "shared_shapes": scores.mean_shape,
        "shared_shapes_ceiling": ceiling.mean_shape,
        "shared_trends": scores.mean_trend,
        "shared_trends_floor": floor.mean_trend,
        "shared_trends_ceiling": ceiling.mean_trend,
        "association_difference": associations.mean_difference,
    }
    return _grouped("quality", metrics), scores, ceiling, associations


def _cut(codes: Int, size: int, seed: int) -> Int:
    return codes[np.sort(stream(seed, "shared-rows").permutation(len(codes))[:size])]


def _detection(inputs: _Inputs) -> dict[str, float]:
    encoding = inputs.encoding
    train, holdout, made = (encoding.features(t) for t in (inputs.train, inputs.holdout, inputs.synthetic))
    categorical = ~encoding.numeric
    return {
        "detection/c2st_auc": c2st_auc(holdout, made, categorical, inputs.seed, "c2st"),
        "detection/c2st_auc_ceiling": c2st_auc(holdout, train, categorical, inputs.seed, "c2st-ceiling"),
    }


def _utility(
    inputs: _Inputs, associations: Associations
) -> tuple[dict[str, float], TargetScores, np.ndarray, np.ndarray]:
    encoding = inputs.encoding
    if len(encoding.columns) < 2:
        nothing = np.full(len(encoding.columns), np.nan)
        return {}, TargetScores(encoding.names[0], "none", np.nan, np.nan), nothing, nothing
    contest = Contest(
        train=Tables(encoding.features(inputs.train), inputs.train_codes),
        holdout=Tables(encoding.features(inputs.holdout), inputs.holdout_codes),
        synthetic=Tables(encoding.features(inputs.synthetic), inputs.synthetic_codes),
        encoding=encoding,
        seed=inputs.seed,
    )
    target = target_utility(contest, choose_target(encoding, associations, inputs.metadata.target))
    tstr, trtr = all_columns_utility(contest)
    mean_tstr, mean_trtr = predictable_mean(tstr, trtr)
    metrics = {"tstr": target.tstr, "trtr": target.trtr, "all_columns_tstr": mean_tstr, "all_columns_trtr": mean_trtr}
    return _grouped("utility", metrics), target, tstr, trtr


def _grouped(group: str, metrics: dict[str, float]) -> dict[str, float]:
    return {f"{group}/{name}": value for name, value in metrics.items()}


def _column_table(
    inputs: _Inputs, stock_columns: pd.DataFrame, shared: SharedScores, ceiling: SharedScores
) -> pd.DataFrame:
    names = inputs.encoding.names
    stock_scores = stock_columns.set_index("column").reindex(names)
    return pd.DataFrame(
        {
            "column": names,
            "kind": [inputs.metadata[name].sdtype.value for name in names],
            "metric": stock_scores["metric"].to_numpy(),
            "score": stock_scores["score"].to_numpy(dtype="float64"),
            "shared_shape": shared.shapes,
            "shared_shape_ceiling": ceiling.shapes,
            "real_missing": inputs.train[names].isna().mean().to_numpy(),
            "synthetic_missing": inputs.synthetic[names].isna().mean().to_numpy(),
        }
    )


def _worst_pairs(names: list[str], shared: SharedScores, ceiling: SharedScores) -> pd.DataFrame:
    first, second = np.triu_indices(len(names), k=1)
    pairs = pd.DataFrame(
        {
            "first": np.array(names, dtype=object)[first],
            "second": np.array(names, dtype=object)[second],
            "score": shared.trends[first, second],
            "ceiling": ceiling.trends[first, second],
        }
    )
    pairs["gap"] = pairs["ceiling"] - pairs["score"]
    return pairs.sort_values(["gap", "first", "second"], ascending=[False, True, True])[:NUM_WORST_PAIRS].reset_index(
        drop=True
    )


def _row_counts(whole: dict[str, pd.DataFrame], inputs: _Inputs) -> dict[str, int]:
    scored = {"train": inputs.train, "holdout": inputs.holdout, "synthetic": inputs.synthetic}
    return {name: len(table) for name, table in whole.items()} | {f"{n}_scored": len(t) for n, t in scored.items()}


def _notes(whole: dict[str, pd.DataFrame], inputs: _Inputs, metrics: dict[str, float]) -> tuple[str, ...]:
    """In words, what a reader must know to read the scores right."""
    notes = [
        f"Scored on {len(getattr(inputs, name)):,} of {len(table):,} {name} rows (seeded sample)."
        for name, table in whole.items()
        if len(table) > len(getattr(inputs, name))
    ]
    if not metrics["quality/num_counted_pairs"]:
        notes.append(
            "No pair is associated strongly enough to count for sdmetrics: its score is column shapes alone, which "
            "shuffling keeps, so that there is no floor."
        )
    absent = sorted(name for name, value in metrics.items() if not np.isfinite(value))
    if absent:
        notes.append(f"Could not be computed on this table: {', '.join(absent)}.")
    if not any(is_numeric(inputs.metadata, name) for name in inputs.encoding.names):
        notes.append("The table has no numeric column.")
    return tuple(notes)
