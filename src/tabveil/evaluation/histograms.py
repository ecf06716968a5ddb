"""Histograms of real beside synthetic that show no single person.

Numbers: bins at round values between the 0.5 and 99.5 percentile of the training data, the tails in the outermost
bins; a bin of fewer than `MIN_REAL` training people is merged with its neighbour. Levels: those of at least `MIN_REAL`
training people, at most `MAX_BARS`; the others are pooled, and a pool of fewer people is drawn as none. No edge is a
value of the table, and no bar stands for fewer than ten real people.

People are the entities of the dataset's entity key; without one each row is a person of its own. A person who has a
value in many rows counts once for the percentiles too, and the rows decide how high a bar is.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from tabveil.entities import Codes, entities_per_group
from tabveil.evaluation.encoding import as_text
from tabveil.evaluation.frames import INSTANTS, Float, Int, is_numeric, numbers
from tabveil.schema import ColumnType, Metadata

MIN_REAL = 10
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
        real, synthetic: share of the rows with a value, per bar; all zero when there are too few real people to show.
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
        """Whether there were enough real people for at least one bar."""
        return bool(self.labels)


def histogram(
    real_data: pd.DataFrame,
    synthetic_data: pd.DataFrame,
    name: str,
    metadata: Metadata,
    entities: Codes | None = None,
) -> Histogram:
    """The histogram of one modelled column (plain frames).

    Args:
        entities: whose each real row is, int64 of shape (num_rows,); None: its own.
    """
    real, synthetic = real_data[name], synthetic_data[name]
    owners = np.arange(len(real)) if entities is None else entities
    if is_numeric(metadata, name):
        dated = metadata[name].type in INSTANTS
        integer = metadata[name].type is ColumnType.integer
        edges, counts = _bin_counts(numbers(real), numbers(synthetic), owners, dated=dated, integer=integer)
        kind = "date" if dated else "integer" if integer and edges.size and edges[0] % 1 else "number"
        labels = _date_labels(edges) if dated else _number_labels(edges, kind)
    else:
        kind, edges = "level", np.empty(0)
        labels, counts = _level_counts(as_text(real), as_text(synthetic), owners)
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


def _level_counts(real: pd.Series, synthetic: pd.Series, owners: Codes) -> tuple[list[str], Float]:
    real_counts, synthetic_counts = real.value_counts(), synthetic.value_counts()
    codes, levels = pd.factorize(real)
    holders = entities_per_group(codes.astype("int64"), len(levels), owners)
    frequent = [str(level) for level, count in zip(levels, holders, strict=True) if count >= MIN_REAL]
    shown = sorted(frequent, key=lambda level: (-int(real_counts[level]), level))[:MAX_BARS]
    counts = np.array([[side.get(level, 0) for level in shown] for side in (real_counts, synthetic_counts)], "float64")
    rest = np.array([side.sum() for side in (real_counts, synthetic_counts)], "float64") - counts.sum(axis=1)
    pooled = (~real.isin(shown) & real.notna()).to_numpy()
    rest[0] = rest[0] if len(np.unique(owners[pooled])) >= MIN_REAL else 0.0
    if not shown or not rest.any():
        return shown, counts
    return [*shown, RARE if len(shown) == len(frequent) else OTHER], np.column_stack([counts, rest])


def _bin_counts(real: Float, synthetic: Float, owners: Codes, *, dated: bool, integer: bool) -> tuple[Float, Float]:
    """Edges, and counts of shape (2, num_bars)."""
    present = ~np.isnan(real)
    real, owners, synthetic = real[present], owners[present], synthetic[~np.isnan(synthetic)]
    if len(np.unique(owners)) < MIN_REAL:
        return np.empty(0), np.empty((2, 0))
    once = pd.DataFrame({"value": real, "owner": owners}).drop_duplicates()["value"].to_numpy()
    low, high = np.quantile(once, CLIP_QUANTILES)
    edges = _nice_edges(float(low), float(high), dated=dated, integer=integer)
    clipped = [np.clip(side, edges[0], edges[-1]) for side in (real, synthetic)]
    counts = np.array([np.histogram(side, edges)[0] for side in clipped])
    keep = _merged(np.clip(np.searchsorted(edges, clipped[0], side="right") - 1, 0, len(edges) - 2), owners)
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


def _merged(bins: Int, owners: Codes) -> Int:
    """Start positions of the bars left after merging every bin of too few real people into its neighbour.

    Args:
        bins: bin of each real row, int64 of shape (num_rows,), of which the last is not empty or ends the axis.
    """
    people = [np.unique(owners[bins == position]) for position in range(int(bins.max()) + 1)]
    starts: list[int] = []
    held, full = np.empty(0, dtype="int64"), True  # people of the bar being filled
    for position, found in enumerate(people):
        if full:
            starts.append(position)
            held = np.empty(0, dtype="int64")
        held = np.union1d(held, found)
        full = len(held) >= MIN_REAL
    if not full and len(starts) > 1:
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
