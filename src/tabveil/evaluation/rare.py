"""Do small groups survive? Recall of each rare level of each categorical column.

Recall of a level is its synthetic share over its real share, at most 1. A level is rare when it holds at most 5 % of
the training rows, and counted when at least `MIN_GROUP` people have it (rows, where each is its own): smaller groups
are too small to be shown, and a synthesizer that protects people must not learn them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from tabveil.entities import Codes, entities_per_group
from tabveil.evaluation.encoding import SharedEncoding
from tabveil.evaluation.frames import Float, Int

MIN_GROUP = 10
MAX_GROUP_FRACTION = 0.05


@dataclass(frozen=True)
class RareGroups:
    """One row per rare level: column, level, real_rows, real_share, synthetic_share, recall, holdout_recall."""

    groups: pd.DataFrame

    def metrics(self) -> dict[str, float]:
        """Flat metrics in [0, 1]; empty when the table has no rare level."""
        if self.groups.empty:
            return {}
        recall = self.groups["recall"]
        return {
            "recall": float(recall.mean()),
            "recall_ceiling": float(self.groups["holdout_recall"].mean()),
            "recall_worst": float(recall.min()),
            "coverage": float((recall > 0).mean()),
            "num_groups": float(len(recall)),
        }


def rare_groups(
    train: Int, holdout: Int, synthetic: Int, encoding: SharedEncoding, entities: Codes | None = None
) -> RareGroups:
    """Recall of the rare levels.

    Args:
        train, holdout, synthetic: codes, int64 of shape (num_rows, num_columns).
        entities: whose each training row is, int64 of shape (num_rows,); None: its own.
    """
    records: list[dict[str, object]] = []
    for position, column in enumerate(encoding.columns):
        if column.numeric:
            continue
        sizes = [_shares(table[:, position], column.num_codes) for table in (train, holdout, synthetic)]
        holders = entities_per_group(train[:, position], column.num_codes, entities)
        for code, level in enumerate(column.levels, start=1):
            shares = tuple(float(size[code]) for size in sizes)
            if holders[code] >= MIN_GROUP:
                records.append({"column": column.name, "level": level, **_recall(len(train), shares)})
    columns = ["column", "level", "real_rows", "real_share", "synthetic_share", "recall", "holdout_recall"]
    groups = pd.DataFrame.from_records(records, columns=columns)
    kept = groups[groups["real_share"] <= MAX_GROUP_FRACTION]
    return RareGroups(kept.sort_values(["recall", "column", "level"]).reset_index(drop=True))


def _shares(codes: Int, num_codes: int) -> Float:
    return np.bincount(codes, minlength=num_codes) / max(len(codes), 1)


def _recall(num_rows: int, shares: tuple[float, ...]) -> dict[str, object]:
    real, holdout, synthetic = shares
    return {
        "real_rows": round(real * num_rows),
        "real_share": real,
        "synthetic_share": synthetic,
        "recall": min(1.0, synthetic / real) if real else 1.0,
        "holdout_recall": min(1.0, holdout / real) if real else 1.0,
    }
