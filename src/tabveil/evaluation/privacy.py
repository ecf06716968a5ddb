"""Does the synthetic table copy? Nearest records, and exact repetitions, always beside the same figure for real rows.

*DCR share*: for each synthetic row, is the nearest real row in the training table or among those the model has not
seen? Were a row nothing to do with either, the nearest would be one of n training and m unseen entities by chance, with
odds n : m; the odds found are divided by these, so that 0.5 means no sign of copying however the table was split. Its
interval knows that rows which have the same person as their nearest are one observation, not many. *NNDR*: distance to
the nearest training row over the distance to the nearest one of somebody else; small values single one person out.
*Identical share*: rows that repeat a training row in every modelled column, beside the share among fresh real rows.

These measures support an anonymity assessment; they do not prove anonymity. Distances to the closest record are weak
alone: two models with DCR shares of .528 and .520 had membership attacks of AUC .563 and .605 (The DCR Delusion,
arXiv 2505.01524).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from tabveil.evaluation.encoding import SharedEncoding, as_text
from tabveil.evaluation.frames import Float, sample_rows
from tabveil.evaluation.neighbours import Reference, fit_space, nearest, nearest_sides

MAX_ROWS = 2_000  # whose nearest real rows are looked up
CONFIDENCE_Z = 1.959964  # 95 %


@dataclass(frozen=True)
class Distances:
    """Distances to the nearest real rows, each float64 of shape (num_rows,), in [0, 2].

    Args:
        synthetic_train: synthetic rows to the training table; `synthetic_second` to the nearest one of another entity.
        synthetic_holdout: synthetic rows to the holdout.
        holdout_train: holdout rows to the training table; `holdout_second` to the nearest one of another entity.
        from_train: per synthetic row, the share of training rows among its nearest real rows (one, unless some are
            equally near), in [0, 1].
        weights: share of the synthetic rows that each entity is nearest to, ties divided; sums to 1.
        chance: share of training entities among all entities, in (0, 1).
    """

    synthetic_train: Float
    synthetic_second: Float
    synthetic_holdout: Float
    holdout_train: Float
    holdout_second: Float
    from_train: Float
    weights: Float
    chance: float

    def metrics(self) -> dict[str, float]:
        """DCR and NNDR as flat metrics."""
        found = float(self.from_train.mean())
        observations = min(effective_rows(self.weights), float(len(self.from_train)))
        bounds = wilson_interval(found * observations, observations)
        share, low, high = (balanced(value, self.chance) for value in (found, *bounds))
        return {
            "dcr_share_closer_to_train": share,
            "dcr_share_closer_to_train_low": low,
            "dcr_share_closer_to_train_high": high,
            "dcr_share_closer_to_holdout": 1.0 - share,
            "dcr_effective_rows": observations,
            "dcr_median": float(np.median(self.synthetic_train)),
            "dcr_median_holdout": float(np.median(self.holdout_train)),
            "nndr": float(np.median(distance_ratio(self.synthetic_train, self.synthetic_second))),
            "nndr_holdout": float(np.median(distance_ratio(self.holdout_train, self.holdout_second))),
        }


def distances(
    train: Reference, holdout: Reference, synthetic: pd.DataFrame, encoding: SharedEncoding, seed: int
) -> Distances:
    """Nearest-record distances of at most `MAX_ROWS` synthetic and holdout rows to all real rows given.

    A row's distance to another is the mean over columns of: the difference of their ranks in the training data
    (numbers, in [0, 1]), 0 or 1 (levels), and at least 1 where only one of the two is missing.
    """
    space = fit_space(train.rows, encoding)
    made = space.points(sample_rows(synthetic, MAX_ROWS, seed, "dcr-synthetic"))
    fresh = space.points(sample_rows(holdout.rows, MAX_ROWS, seed, "dcr-holdout"))
    sides = nearest_sides(made, train, holdout, space)
    between = nearest(fresh, train, space)
    return Distances(
        synthetic_train=sides.train.first,
        synthetic_second=sides.train.second,
        synthetic_holdout=sides.holdout,
        holdout_train=between.first,
        holdout_second=between.second,
        from_train=sides.from_train,
        weights=sides.weights,
        chance=train.num_entities / (train.num_entities + holdout.num_entities),
    )


def balanced(share: float, chance: float) -> float:
    """The share as if there were as many unseen as training entities: its odds divided by those of chance.

    Args:
        share: in [0, 1].
        chance: the share to expect where there is no copying, in (0, 1); it becomes 0.5.
    """
    copied, fresh = share * (1 - chance), (1 - share) * chance
    return copied / (copied + fresh)


def effective_rows(weights: Float) -> float:
    """How many independent rows a share is worth that rests on these weights: one over the sum of their squares.

    Many synthetic rows may have one person's row as their nearest; which table that person was put in decides them all.
    (L. Kish, Survey Sampling, 1965: the effective size of a weighted sample.)

    Args:
        weights: share of the synthetic rows that each entity is nearest to; sums to 1.
    """
    return 1.0 / float((weights**2).sum())


def distance_ratio(nearest: Float, second: Float) -> Float:
    """NNDR per row, in [0, 1]; 1 where the two nearest are equally far (also both at distance 0)."""
    return np.where(second > 0, nearest / np.where(second > 0, second, 1.0), 1.0)


def wilson_interval(successes: float, trials: float) -> tuple[float, float]:
    """95 % Wilson score interval of a share (E. Wilson, 1927)."""
    share, z2 = successes / trials, CONFIDENCE_Z**2
    centre = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = CONFIDENCE_Z * np.sqrt(share * (1 - share) / trials + z2 / (4 * trials**2)) / (1 + z2 / trials)
    return float(max(centre - half, 0.0)), float(min(centre + half, 1.0))


def identical_metrics(train: pd.DataFrame, holdout: pd.DataFrame, synthetic: pd.DataFrame) -> dict[str, float]:
    """Exact repetitions of training rows over all modelled columns, on the whole tables.

    `identical_ratio` compares expected repetitions at the holdout's size, plus one on both sides: 1 when neither
    repeats anything, finite when only the synthetic table does.
    """
    known = set(_row_hashes(train))
    share = float(np.mean([value in known for value in _row_hashes(synthetic)]))
    share_holdout = float(np.mean([value in known for value in _row_hashes(holdout)]))
    ratio = (share * len(holdout) + 1) / (share_holdout * len(holdout) + 1)
    return {"identical_share": share, "identical_share_holdout": share_holdout, "identical_ratio": ratio}


def _row_hashes(table: pd.DataFrame) -> list[int]:
    """64-bit hash of each row; floats are compared at 9 decimals, so that a detour through text changes nothing."""
    rounded = table.copy()
    for name in rounded.columns:
        if rounded[name].dtype.kind == "f":
            rounded[name] = rounded[name].round(9) + 0.0  # -0.0 and 0.0 are one value
        elif rounded[name].dtype.kind == "O":
            rounded[name] = as_text(rounded[name]).fillna("\0")  # one hash for missing, whatever else is there
    return [int(value) for value in pd.util.hash_pandas_object(rounded, index=False)]
