"""Can a model tell synthetic rows from real ones? The classifier two-sample test.

Boosted trees are trained to separate two tables, and judged on rows they have not seen: an AUC of 0.5 means that the
tables cannot be told apart, 1.0 that every row gives itself away. Trees see relations between columns; a logistic
regression on one-hot columns does not and calls independently shuffled columns perfect.
Source: D. Lopez-Paz and M. Oquab, Revisiting Classifier Two-Sample Tests, ICLR 2017, arXiv 1610.06545.
"""

from __future__ import annotations

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

from tabveil.evaluation.frames import Float, stream

MAX_ROWS = 2_500  # per table
NUM_FOLDS = 3
TREES = {"max_iter": 50, "learning_rate": 0.15, "max_leaf_nodes": 15, "early_stopping": False}


def c2st_auc(first: Float, second: Float, categorical: np.ndarray, seed: int, label: str) -> float:
    """Cross-validated AUC of telling two tables apart.

    Args:
        first, second: `SharedEncoding.features`, float64 of shape (num_rows, num_columns); both are cut to the
            same number of rows, at most `MAX_ROWS`, drawn without replacement.
        categorical: bool of shape (num_columns,).

    Returns:
        Mean AUC over the folds, in [0, 1]; around 0.5 (below it by chance) for equal distributions.
    """
    rng = stream(seed, label)
    size = min(len(first), len(second), MAX_ROWS)
    rows = np.vstack([table[rng.permutation(len(table))[:size]] for table in (first, second)])
    labels = np.repeat([0, 1], size)
    folds = StratifiedKFold(NUM_FOLDS, shuffle=True, random_state=int(rng.integers(2**31)))
    scores = []
    for train, test in folds.split(rows, labels):
        model = HistGradientBoostingClassifier(categorical_features=categorical, random_state=seed, **TREES)
        model.fit(rows[train], labels[train])
        scores.append(roc_auc_score(labels[test], model.predict_proba(rows[test])[:, 1]))
    return float(np.mean(scores))
