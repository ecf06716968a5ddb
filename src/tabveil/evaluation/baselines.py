"""Tables that any score must be read against: a floor and two ceilings.

The *floor* keeps every column's distribution and destroys every relation. The *holdout ceiling* is fresh real data:
what a perfect synthesizer could hope for. The *bootstrap ceiling* is the training table drawn again with
replacement: the best fidelity that copying buys, and no privacy at all.
"""

from __future__ import annotations

import pandas as pd

from tabveil.evaluation.frames import stream


def floor_table(train_data: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Every column shuffled on its own: same columns, same dtypes, no association.

    Args:
        train_data: plain frame of shape (num_rows, num_columns).

    Returns:
        A new frame of the same shape.
    """
    rng = stream(seed, "floor")
    columns = {name: train_data[name].to_numpy()[rng.permutation(len(train_data))] for name in train_data.columns}
    return pd.DataFrame(columns).astype(dict(train_data.dtypes))


def bootstrap_table(train_data: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The training rows drawn with replacement, as many as there are."""
    chosen = stream(seed, "bootstrap").integers(0, len(train_data), len(train_data))
    return train_data.iloc[chosen].reset_index(drop=True)
