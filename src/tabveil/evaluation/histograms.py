"""Histograms of real beside synthetic that show no single person.

Numbers: bins at round values between the 0.5 and 99.5 percentile of the training data, the tails in the outermost
bins; a bin with fewer than `MIN_REAL_ROWS` training rows is merged with its neighbour. Levels: those with at least
`MIN_REAL_ROWS` training rows, at most `MAX_BARS`; the others are pooled, and fewer than `MIN_REAL_ROWS` pooled training
rows are drawn as none. No edge is a value of the table, and no bar stands for fewer than ten real people.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from tabveil.evaluation.encoding import as_text
from tabveil.evaluation.frames import INSTANTS, Float, Int, is_numeric, numbers
from tabveil.schema import ColumnType, Metadata

MIN_REAL_ROWS = 10
MAX_BARS = 10
TARGET_BINS = 20
CLIP_QUANTILES = (0.005, 0.995)
OTHER, RARE = "all others", "other (rare)"
NARROW, TINY = 1e-9, 1e-100  # a relative or absolute spread below which all values are as good as one
DAY = 86_400.0
NICE_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
YEAR = 365.25
NICE_DAYS = (1.0, 7.0, YEAR / 12, YEAR / 4, YEAR / 2, *(YEAR * n for n in (1, 2, 5, 10, 25, 50, 100, 250, 500)))
FIRST_DAY, LAST_DAY = (float(np.datetime64(day, "D").astype(int)) for day in ("0001-01-01", "9999-12-31"))


@dataclass(frozen=True)
class Histogram:
    """Shares of rows in [0, 1], of one column.

    Args:
        kind: "number", "integer" (one bar per whole number), "date" or "level".
        labels: text of each bar.
        edges: num_bars + 1 ascending edges (dates: seconds since 1970); empty for levels.
        real, synthetic: share of the rows with a value, per bar; all zero when there are too few real rows to show.
        real_missing, synthetic_missing: share of the rows without a value.
    """

    column: str
    kind: str
    labels: tuple[str, ...]
    edges: tuple[float, ...]
    real: tuple[float, ...]
    synthetic: tuple[float, ...]
    real_missing: float
    synthetic_missing: float

    @property
    def shown(self) -> bool:
        """Whether there were enough real rows for at least one bar."""
        return bool(self.labels)


def histogram(real_data: pd.DataFrame, synthetic_data: pd.DataFrame, name: str, metadata: Metadata) -> Histogram:
    """The histogram of one modelled column (plain frames)."""
    real, synthetic = real_data[name], synthetic_data[name]
    if is_numeric(metadata, name):
        dated = metadata[name].type in INSTANTS
        integer = metadata[name].type is ColumnType.integer
        edges, counts = _bin_counts(numbers(real), numbers(synthetic), dated=dated, integer=integer)
        kind = "date" if dated else "integer" if integer and edges.size and edges[0] % 1 else "number"
        labels = _date_labels(edges) if dated else _number_labels(edges, kind)
    else:
        kind, edges = "level", np.empty(0)
        labels, counts = _level_counts(as_text(real), as_text(synthetic))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0)
    return Histogram(
        column=name,
        kind=kind,
        labels=tuple(labels),
        edges=tuple(float(edge) for edge in edges),
        real=tuple(float(share) for share in shares[0]),
        synthetic=tuple(float(share) for share in shares[1]),
        real_missing=float(real.isna().mean()),
        synthetic_missing=float(synthetic.isna().mean()),
    )


def _level_counts(real: pd.Series, synthetic: pd.Series) -> tuple[list[str], Float]:
    real_counts, synthetic_counts = real.value_counts(), synthetic.value_counts()
    frequent = [str(level) for level, count in real_counts.items() if count >= MIN_REAL_ROWS]
    shown = sorted(frequent, key=lambda level: (-int(real_counts[level]), level))[:MAX_BARS]
    counts = np.array([[side.get(level, 0) for level in shown] for side in (real_counts, synthetic_counts)], "float64")
    rest = np.array([side.sum() for side in (real_counts, synthetic_counts)], "float64") - counts.sum(axis=1)
    rest[0] = rest[0] if rest[0] >= MIN_REAL_ROWS else 0.0
    if not shown or not rest.any():
        return shown, counts
    return [*shown, RARE if len(shown) == len(frequent) else OTHER], np.column_stack([counts, rest])


def _bin_counts(real: Float, synthetic: Float, *, dated: bool, integer: bool) -> tuple[Float, Float]:
    """Edges, and counts of shape (2, num_bars)."""
    real, synthetic = real[~np.isnan(real)], synthetic[~np.isnan(synthetic)]
    if len(real) < MIN_REAL_ROWS:
        return np.empty(0), np.empty((2, 0))
    low, high = np.quantile(real, CLIP_QUANTILES)
    edges = _nice_edges(float(low), float(high), dated=dated, integer=integer)
    counts = np.array([np.histogram(np.clip(side, edges[0], edges[-1]), edges)[0] for side in (real, synthetic)])
    keep = _merged(counts[0])
    return edges[np.append(keep, len(edges) - 1)], np.add.reduceat(counts, keep, axis=1).astype("float64")


def _nice_edges(low: float, high: float, *, dated: bool, integer: bool) -> Float:
    """Equidistant round edges that cover [low, high]; for integers halfway between them."""
    magnitude = max(abs(low), abs(high))
    narrow = high - low <= max(NARROW * magnitude, TINY)
    step = _nice_step(0.0 if narrow else high - low, magnitude, dated=dated, integer=integer)
    first = np.floor(low / step)
    shift = 0.5 if integer and step == 1.0 else 0.0
    edges = (np.arange(first, np.floor(high / step) + 2.0) - shift) * step
    return np.asarray(edges, dtype="float64")


def _nice_step(span: float, magnitude: float, *, dated: bool, integer: bool) -> float:
    if dated:
        return next((days * DAY for days in NICE_DAYS if span / (days * DAY) <= TARGET_BINS), NICE_DAYS[-1] * DAY)
    if span <= 0:  # one bar, wide enough that its edges differ
        return float(10.0 ** max(np.floor(np.log10(max(magnitude, 1.0))) - 8.0, 0.0))
    power = 10.0 ** np.floor(np.log10(span / TARGET_BINS))
    step = next(nice * power for nice in NICE_STEPS if nice * power * TARGET_BINS >= span * (1 - 1e-9))
    return float(max(np.ceil(step), 1.0) if integer else step)


def _merged(counts: Int) -> Int:
    """Start positions of the bars left after merging every bin with too few real rows into its neighbour."""
    starts: list[int] = []
    held = MIN_REAL_ROWS  # rows of the bar being filled
    for position, count in enumerate(counts):
        if held >= MIN_REAL_ROWS:
            starts.append(position)
            held = 0
        held += int(count)
    if held < MIN_REAL_ROWS and len(starts) > 1:
        starts.pop()
    return np.array(starts, dtype="int64")


def _number_labels(edges: Float, kind: str) -> list[str]:
    if kind == "integer":
        spans = [(left + 0.5, right - 0.5) for left, right in pairwise(edges)]
        return [f"{low:,.0f}" if low == high else f"{low:,.0f} to {high:,.0f}" for low, high in spans]
    return [f"{left:,.6g} to {right:,.6g}" for left, right in pairwise(edges)]


def _date_labels(edges: Float) -> list[str]:
    whole = np.clip(np.floor(edges / DAY), FIRST_DAY, LAST_DAY)  # a round edge may lie beyond the calendar
    days = np.datetime_as_string(whole.astype("int64").astype("datetime64[D]"))
    return [f"{left} to {right}" for left, right in pairwise(days)]
