"""One set of bins and levels, fitted on the training table and shared by every table that is compared with it.

sdmetrics bins each table at its *own* edges, so that one extreme row moves all bins and a table that leaks its
extremes scores better. Here the edges are deciles of the training data: robust, and the same for everybody.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from tabveil.evaluation.frames import Float, Int, is_numeric, numbers
from tabveil.schema import Metadata

NUM_BINS = 10
MAX_VALUES = 20  # a number with no more distinct values than this has one bin for each
MAX_LEVELS = 100  # more levels are pooled: the cells of a pair table would be mostly empty
MISSING = 0  # code of a missing value


@dataclass(frozen=True)
class SharedColumn:
    """How one column becomes codes.

    Args:
        edges: upper edges of all bins but the last (numeric), ascending.
        absent: number that stands for a missing one where a model needs a number; below all training values.
        levels: training levels, most frequent first (others); all else is coded as "other".
    """

    name: str
    numeric: bool
    edges: tuple[float, ...] = ()
    absent: float = 0.0
    levels: tuple[str, ...] = ()

    @property
    def num_codes(self) -> int:
        """Number of codes: missing, then the bins, or the levels and "other"."""
        return 2 + len(self.edges) if self.numeric else 2 + len(self.levels)

    def codes(self, series: pd.Series) -> Int:
        """Codes of shape (num_rows,), int64 in [0, num_codes); 0 is missing."""
        if self.numeric:
            values = numbers(series)
            return np.where(np.isnan(values), MISSING, 1 + np.searchsorted(np.asarray(self.edges), values))
        index = {level: position for position, level in enumerate(self.levels, start=1)}
        other = 1 + len(self.levels)
        coded = np.array([index.get(level, other) for level in as_text(series)], dtype="int64")
        return np.where(series.isna().to_numpy(), MISSING, coded)


@dataclass(frozen=True)
class SharedEncoding:
    """Codes for whole tables."""

    columns: tuple[SharedColumn, ...]

    @property
    def names(self) -> list[str]:
        """Column names, in table order."""
        return [column.name for column in self.columns]

    @property
    def numeric(self) -> np.ndarray:
        """Whether each column is compared as numbers: bool of shape (num_columns,)."""
        return np.array([column.numeric for column in self.columns], dtype=bool)

    @property
    def num_codes(self) -> Int:
        """Codes per column, int64 of shape (num_columns,)."""
        return np.array([column.num_codes for column in self.columns], dtype="int64")

    def codes(self, table: pd.DataFrame) -> Int:
        """int64 of shape (num_rows, num_columns)."""
        return np.column_stack([column.codes(table[column.name]) for column in self.columns])

    def features(self, table: pd.DataFrame) -> Float:
        """What a tree learns from: numbers as they are (`absent` when missing), levels as codes; float64, no NaN."""
        parts = [_present(table[c.name], c.absent) if c.numeric else c.codes(table[c.name]) for c in self.columns]
        return np.column_stack(parts).astype("float64")


def fit_encoding(train_data: pd.DataFrame, metadata: Metadata) -> SharedEncoding:
    """Bins and levels of the training table (plain dtypes)."""
    return SharedEncoding(tuple(_fit_column(train_data[n], is_numeric(metadata, n)) for n in train_data.columns))


def _present(series: pd.Series, absent: float) -> Float:
    values = numbers(series)
    return np.where(np.isnan(values), absent, values)


def as_text(series: pd.Series) -> pd.Series:
    """Levels as text, missing kept missing; a whole float reads as an integer."""
    if series.dtype.kind == "f":
        return series.map(lambda value: repr(value).removesuffix(".0"), na_action="ignore").astype("object")
    return series.map(str, na_action="ignore").astype("object")


def _fit_column(series: pd.Series, numeric: bool) -> SharedColumn:
    name = str(series.name)
    if not numeric:
        counts = as_text(series).value_counts()
        ordered = sorted(counts.index, key=lambda level: (-int(counts[level]), level))
        return SharedColumn(name, numeric=False, levels=tuple(ordered[:MAX_LEVELS]))
    values = numbers(series)
    present = values[~np.isnan(values)]
    if not present.size:
        return SharedColumn(name, numeric=True)
    edges = np.unique(present)
    if len(edges) > MAX_VALUES:
        edges = np.unique(np.quantile(present, np.linspace(0, 1, NUM_BINS + 1)[1:-1], method="inverted_cdf"))
    low, high = float(present.min()), float(present.max())
    inner = tuple(float(edge) for edge in edges[edges < high])
    return SharedColumn(name, numeric=True, edges=inner, absent=low - (high - low) - 1.0)
