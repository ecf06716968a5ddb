"""The scores of one synthetic table: `tabveil.evaluation`'s, and two that use every row.

`tabveil.evaluation` cuts its tests by trees to a few thousand rows, so that a run takes seconds. Here the C2ST and TSTR
use all rows and larger trees: the more rows, the better the trees tell two tables apart, so that these are stricter.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.model_selection import cross_val_predict
from threadpoolctl import threadpool_limits

from tabveil.evaluation import stock
from tabveil.evaluation.encoding import SharedEncoding, fit_encoding
from tabveil.evaluation.frames import is_numeric, plain, sample_rows, stream
from tabveil.evaluation.neighbours import Reference
from tabveil.evaluation.privacy import distances
from tabveil.evaluation.shared import pair_counts, shared_scores
from tabveil.schema import Metadata

from .models import LogProb
from .tables import Table

DCR_ROWS = 20_000  # of either real table, as evaluation.max_rows
MEMBERSHIP_ROWS = 20_000
NUM_FOLDS = 3


def score(table: Table, synthetic: pd.DataFrame, seed: int) -> dict[str, float]:
    """Every score of a synthetic table (canonical); one that cannot be computed is NaN."""
    metadata = table.metadata
    train, holdout, made = (plain(part, metadata) for part in (table.train, table.holdout, synthetic))
    encoding = fit_encoding(train, metadata)
    with threadpool_limits(limits=1):
        real = usefulness(train, holdout, metadata)
        return {
            **quality(train, made, metadata, seed),
            "shared_trends": shared_trends(train, made, len(holdout), encoding, seed),
            "c2st": c2st(holdout, made, metadata, seed),
            **tstr(usefulness(made, holdout, metadata), real),
            **dcr_shares(train, holdout, made, encoding, seed),
        }


def score_ceiling(table: Table, seed: int, shown: Table) -> dict[str, float]:
    """What fresh real rows score: the holdout against the training table, and for C2ST training rows against it.

    For the DCR share half of the holdout stands for the synthetic rows, the other half for those that the model has not
    seen.

    Args:
        shown: the same rows as they may be shown: themselves, or protected ones.
    """
    metadata = table.metadata
    train, holdout, train_shown, fresh = (
        plain(part, metadata) for part in (table.train, table.holdout, shown.train, shown.holdout)
    )
    encoding = fit_encoding(train, metadata)
    order = stream(seed, "ceiling-halves").permutation(len(holdout))
    first, second = np.array_split(order, 2)
    made, unseen = fresh.iloc[first].reset_index(drop=True), holdout.iloc[second].reset_index(drop=True)
    with threadpool_limits(limits=1):
        return {
            **quality(train, fresh, metadata, seed),
            "shared_trends": shared_trends(train, fresh, len(holdout), encoding, seed),
            "c2st": c2st(holdout, train_shown, metadata, seed),
            **tstr(usefulness(train_shown, holdout, metadata), usefulness(train, holdout, metadata)),
            **dcr_shares(train, unseen, made, encoding, seed),
        }


def quality(train: pd.DataFrame, made: pd.DataFrame, metadata: Metadata, seed: int) -> dict[str, float]:
    """sdmetrics' stock QualityReport against the training rows."""
    real, other = (sample_rows(part, stock.MAX_ROWS, seed, f"stock-{i}") for i, part in enumerate((train, made)))
    found = stock.quality(real, other, metadata)
    return {"quality": found.overall, "shapes": found.shapes, "trends": found.trends}


def shared_trends(train: pd.DataFrame, made: pd.DataFrame, num_rows: int, encoding: SharedEncoding, seed: int) -> float:
    """All pairs on shared bins, with as many rows as the ceiling has: few rows score lower by chance alone."""
    cut = sample_rows(made, num_rows, seed, "shared-trends")
    counts = [pair_counts(encoding.codes(part), encoding.num_codes) for part in (train, cut)]
    return shared_scores(*counts, encoding.num_codes).mean_trend


def c2st(holdout: pd.DataFrame, made: pd.DataFrame, metadata: Metadata, seed: int) -> float:
    """AUC of boosted trees that tell holdout rows from as many others; 0.5 = cannot be told apart."""
    count = min(len(holdout), len(made))
    parts = [
        part.iloc[stream(seed, f"c2st-{i}").permutation(len(part))[:count]] for i, part in enumerate((holdout, made))
    ]
    rows, labels = pd.concat(parts, ignore_index=True), np.repeat([0, 1], count)
    model = HistGradientBoostingClassifier(random_state=seed)
    scores = cross_val_predict(model, _as_numbers(rows, metadata), labels, cv=NUM_FOLDS, method="predict_proba")
    return float(roc_auc_score(labels, scores[:, 1]))


def usefulness(fitted_on: pd.DataFrame, holdout: pd.DataFrame, metadata: Metadata) -> float:
    """How well boosted trees, fitted on a table, predict the target in the holdout.

    Returns:
        R2 for a number; for levels the AUC of the holdout's most frequent one against the others. NaN where one of the
        tables has no target or only one value of it.
    """
    target = metadata.target
    assert target is not None
    fitted_on, holdout = (part[part[target].notna()] for part in (fitted_on, holdout))
    both, count = pd.concat([fitted_on, holdout], ignore_index=True), len(fitted_on)
    features = _as_numbers(both, metadata, without=target)
    numeric = is_numeric(metadata, target)
    labels = both[target].to_numpy() if numeric else (both[target] == holdout[target].mode()[0]).to_numpy()
    if min(len(np.unique(labels[:count])), len(np.unique(labels[count:]))) < 2:
        return float("nan")
    if numeric:
        regressor = HistGradientBoostingRegressor(random_state=0).fit(features[:count], labels[:count])
        return float(r2_score(labels[count:], regressor.predict(features[count:])))
    model = HistGradientBoostingClassifier(random_state=0).fit(features[:count], labels[:count])
    return float(roc_auc_score(labels[count:], model.predict_proba(features[count:])[:, 1]))


def tstr(synthetic: float, real: float) -> dict[str, float]:
    """Trained on synthetic rows, on real ones, and the distance."""
    return {"tstr": synthetic, "trtr": real, "gap": real - synthetic}


def dcr_shares(
    train: pd.DataFrame, holdout: pd.DataFrame, made: pd.DataFrame, encoding: SharedEncoding, seed: int
) -> dict[str, float]:
    """Share of synthetic rows nearer to a training row than to an unseen one; 0.5 = no sign of copying.

    `dcr_share`: among as many training as unseen rows. Copies of the training rows that are left out do not show in it.
    `dcr_share_all`: among all of them (at most `DCR_ROWS` each), the odds divided by those of chance.
    """
    equal = min(len(train), len(holdout), DCR_ROWS)
    shares = {}
    for name, size in (("dcr_share", equal), ("dcr_share_all", DCR_ROWS)):
        known, unseen = (Reference(sample_rows(p, size, seed, f"dcr-{i}")) for i, p in enumerate((train, holdout)))
        shares[name] = distances(known, unseen, made, encoding, seed).metrics()["dcr_share_closer_to_train"]
    return shares


def membership(log_prob: LogProb, table: Table, seed: int) -> float:
    """AUC of the model's own likelihood at telling training rows from as many holdout rows; 0.5 = it cannot."""
    count = min(len(table.train), len(table.holdout), MEMBERSHIP_ROWS)
    parts = [sample_rows(p, count, seed, f"membership-{i}") for i, p in enumerate((table.train, table.holdout))]
    return float(roc_auc_score(np.repeat([1, 0], count), np.concatenate([log_prob(part) for part in parts])))


def _as_numbers(rows: pd.DataFrame, metadata: Metadata, without: str | None = None) -> np.ndarray:
    """Every column but one as float64, levels by code; missing numbers are NaN."""
    columns = [
        rows[name].to_numpy(dtype="float64")
        if is_numeric(metadata, name)
        else rows[name].astype("str").astype("category").cat.codes.to_numpy(dtype="float64")
        for name in rows.columns
        if name != without
    ]
    return np.stack(columns, axis=1)
