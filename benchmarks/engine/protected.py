"""What value protection alone costs: real rows whose numbers are read off the tokens of our engine.

No model that keeps its extremes and single values from being told can be nearer to the real table than this.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from tabveil.config import TVAEConfig
from tabveil.schema import SDType
from tabveil.synthesizers.tvae.numeric import NumericCodec, fit_numeric
from tabveil.synthesizers.values import learned_as

from .tables import Table


def protect(table: Table, seed: int) -> Table:
    """The same rows; numbers, dates and datetimes go through the tokens learned from the training rows and back.

    So they are cut at the outermost knots, and what is no frequent value is interpolated between means. Categories,
    rare ones too, stay as they are. The settings are the default ones.
    """
    rng = np.random.default_rng(seed)
    columns = [c for c in table.metadata.columns if learned_as(c) in (SDType.numerical, SDType.datetime)]
    codecs = [fit_numeric(table.train[column.name], column, TVAEConfig(), rng) for column in columns]
    return replace(table, train=_through(codecs, table.train, rng), holdout=_through(codecs, table.holdout, rng))


def _through(codecs: list[NumericCodec], rows: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    return rows.assign(**{codec.name: codec.decode(*codec.encode(rows[codec.name], rng)) for codec in codecs})
