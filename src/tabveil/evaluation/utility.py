"""Is the synthetic table useful? Train on synthetic, test on real (TSTR), beside train on real (TRTR).

The target's score comes from boosted trees. Since a table is rarely used for one question, every column is also
predicted from all others, by a small decision tree; its scores are normalised to [0, 1].
Source of the protocol: C. Esteban, S. Hyland, G. Raetsch, arXiv 1706.02633 (TSTR).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import rankdata
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import r2_score
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from tabveil.evaluation.association import Associations
from tabveil.evaluation.encoding import SharedEncoding
from tabveil.evaluation.frames import Float, Int, stream

MAX_ROWS = 4_000  # training rows of the target's model, the same number for synthetic and real
MAX_TEST_ROWS = 4_000
SWEEP_ROWS = 2_000  # training and test rows when every column is a target
MAX_CLASSES = 20
MIN_CLASS_ROWS = 5  # of the holdout; rarer classes are not scored
PREDICTABLE = 0.05  # a column counts if real data predicts it at least this well (0 is chance)
TREES = {"max_iter": 60, "learning_rate": 0.15, "max_leaf_nodes": 15, "early_stopping": False}
SMALL_TREE = {"max_depth": 6, "min_samples_leaf": 10}


@dataclass(frozen=True)
class Tables:
    """Features and codes of one table, row for row."""

    features: Float
    codes: Int

    def take(self, rows: Int) -> Tables:
        """Some of the rows."""
        return Tables(self.features[rows], self.codes[rows])


@dataclass(frozen=True)
class Contest:
    """The three tables in one encoding: two to learn from, one to be judged on."""

    train: Tables
    holdout: Tables
    synthetic: Tables
    encoding: SharedEncoding
    seed: int


@dataclass(frozen=True)
class TargetScores:
    """Utility for one target. `tstr` and `trtr` are NaN where the holdout cannot judge."""

    target: str
    kind: str  # "auc" (macro one-versus-rest, [0, 1], 0.5 is chance) or "r2" ((-inf, 1], 0 is the mean)
    tstr: float
    trtr: float


def choose_target(encoding: SharedEncoding, associations: Associations, declared: str | None) -> str:
    """The declared target, else the column most associated with the others (columns of few classes first)."""
    if declared is not None and declared in encoding.names:
        return declared
    strength = np.abs(associations.real).sum(axis=1)
    few = np.array([not c.numeric and 2 <= len(c.levels) <= MAX_CLASSES for c in encoding.columns])
    eligible = few if few.any() else np.ones(len(few), dtype=bool)
    return encoding.names[int(np.argmax(np.where(eligible, strength, -1.0)))]


def target_utility(contest: Contest, target: str) -> TargetScores:
    """TSTR and TRTR of one target with boosted trees, both trained on the same number of rows."""
    encoding, seed = contest.encoding, contest.seed
    position = encoding.names.index(target)
    numeric, categorical = bool(encoding.numeric[position]), np.delete(~encoding.numeric, position)
    size = min(len(contest.train.codes), len(contest.synthetic.codes), MAX_ROWS)
    test = _draw(contest.holdout, MAX_TEST_ROWS, seed, "utility-test")
    scores = []
    for table, label in ((contest.synthetic, "utility-synthetic"), (contest.train, "utility-train")):
        model = _boosted(numeric, categorical, seed)
        scores.append(_score(model, _draw(table, size, seed, label), test, position, numeric))
    return TargetScores(target, "r2" if numeric else "auc", tstr=scores[0], trtr=scores[1])


def all_columns_utility(contest: Contest) -> tuple[Float, Float]:
    """Every column predicted from the others by a small tree.

    Returns:
        TSTR and TRTR, float64 of shape (num_columns,): R2 clipped to [0, 1], or 2 AUC - 1 clipped to [0, 1]; NaN
        where the holdout cannot judge (one class, constant).
    """
    size = min(len(contest.train.codes), len(contest.synthetic.codes), SWEEP_ROWS)
    test = _draw(contest.holdout, SWEEP_ROWS, contest.seed, "sweep-test")
    results = []
    for table, label in ((contest.synthetic, "sweep-synthetic"), (contest.train, "sweep-train")):
        rows = _draw(table, size, contest.seed, label)
        columns = enumerate(contest.encoding.numeric)
        results.append(np.array([_column_score(rows, test, c, bool(numeric), contest.seed) for c, numeric in columns]))
    return results[0], results[1]


def _column_score(train: Tables, test: Tables, position: int, numeric: bool, seed: int) -> float:
    tree = DecisionTreeRegressor if numeric else DecisionTreeClassifier
    score = _score(tree(random_state=seed, **SMALL_TREE), train, test, position, numeric)
    return float(np.clip(score if numeric else 2 * score - 1, 0.0, 1.0))


def predictable_mean(tstr: Float, trtr: Float) -> tuple[float, float]:
    """Means over the columns that real data can predict; (NaN, NaN) if there is none."""
    counted = (trtr >= PREDICTABLE) & ~np.isnan(tstr)
    if not counted.any():
        return float("nan"), float("nan")
    return float(tstr[counted].mean()), float(trtr[counted].mean())


def macro_auc(labels: Int, probabilities: Float, classes: Int) -> float:
    """Macro one-versus-rest AUC over the classes with at least `MIN_CLASS_ROWS` rows on either side.

    Args:
        labels: int64 of shape (num_rows,).
        probabilities: float64 of shape (num_rows, len(classes)).
        classes: the columns' classes. A class that the model never saw scores 0.5.

    Returns:
        In [0, 1]; NaN if no class qualifies.
    """
    scores = []
    for label in np.unique(labels):
        positive = labels == label
        num_positive, num_negative = int(positive.sum()), int((~positive).sum())
        if min(num_positive, num_negative) < MIN_CLASS_ROWS:
            continue
        known = np.flatnonzero(classes == label)
        if not known.size:
            scores.append(0.5)
            continue
        ranks = rankdata(probabilities[:, known[0]])
        surplus = ranks[positive].sum() - num_positive * (num_positive + 1) / 2
        scores.append(surplus / (num_positive * num_negative))
    return float(np.mean(scores)) if scores else float("nan")


def _boosted(numeric: bool, categorical: np.ndarray, seed: int) -> Any:
    kind = HistGradientBoostingRegressor if numeric else HistGradientBoostingClassifier
    return kind(categorical_features=categorical, random_state=seed, **TREES)


def _draw(table: Tables, size: int, seed: int, label: str) -> Tables:
    return table.take(stream(seed, label).permutation(len(table.codes))[:size])


def _score(model: Any, train: Tables, test: Tables, position: int, numeric: bool) -> float:
    """Fit on `train`, score on `test`; NaN when there is nothing to learn or to judge."""
    goal_train, rows_train = _goal(train, position, numeric)
    goal_test, rows_test = _goal(test, position, numeric)
    if min(len(np.unique(goal_train)), len(np.unique(goal_test))) < 2:
        return float("nan")
    model.fit(np.delete(train.features[rows_train], position, axis=1), goal_train)
    inputs = np.delete(test.features[rows_test], position, axis=1)
    if numeric:
        return float(r2_score(goal_test, model.predict(inputs)))
    return macro_auc(goal_test, model.predict_proba(inputs), model.classes_)


def _goal(table: Tables, position: int, numeric: bool) -> tuple[Any, Int]:
    """What is predicted, and the rows where it is known; rare classes are pooled with "other"."""
    codes = table.codes[:, position]
    rows = np.flatnonzero(codes > 0)
    if numeric:
        return table.features[rows, position], rows
    return np.minimum(codes[rows], MAX_CLASSES + 1), rows
