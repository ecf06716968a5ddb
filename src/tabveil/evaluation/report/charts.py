"""Vega-Lite charts of an evaluation, by Altair. Pure: aggregates in, chart out.

Two colours everywhere: real is blue, synthetic orange (told apart by colour-blind readers, in light and dark, and in
grey by the outline). Data are inline records with a declared type, so that Altair neither guesses nor limits rows.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from tabveil.evaluation.association import Associations
from tabveil.evaluation.frames import Float
from tabveil.evaluation.privacy import Distances

REAL, SYNTHETIC = "#4f7cac", "#e07a3f"
NEUTRAL = "#8a94a3"
SERIES = alt.Scale(domain=["real", "synthetic"], range=[REAL, SYNTHETIC])
MAX_HEATMAP_COLUMNS = 60
DISTANCE_BINS = 40

SHARED = "quality/shared_trends"
SCORES = (  # label, metric, floor, ceiling
    ("Quality (sdmetrics)", "quality/overall", "quality/floor", "quality/ceiling"),
    ("Column shapes (shared bins)", "quality/shared_shapes", None, "quality/shared_shapes_ceiling"),
    ("Pair trends (shared bins)", SHARED, f"{SHARED}_floor", f"{SHARED}_ceiling"),
    ("Usefulness, all columns", "utility/all_columns_tstr", None, "utility/all_columns_trtr"),
    ("Rare groups kept", "rare/recall", None, "rare/recall_ceiling"),
)  # fmt: skip


def inline(records: Sequence[Mapping[str, Any]]) -> alt.Data:
    """Records as CSV text: compact in the page, and nothing for Altair to copy or check value by value."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(records[0]) if records else ["empty"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return alt.Data(values=text.getvalue(), format=alt.CsvDataFormat(type="csv"))


def heatmap_columns(associations: Associations) -> list[int]:
    """Positions shown: all, or the `MAX_HEATMAP_COLUMNS` most associated ones, in table order."""
    if len(associations.names) <= MAX_HEATMAP_COLUMNS:
        return list(range(len(associations.names)))
    strength = np.abs(associations.real).sum(axis=1)
    return sorted(int(position) for position in np.argsort(-strength, kind="stable")[:MAX_HEATMAP_COLUMNS])


def heatmap_chart(associations: Associations, which: str, side: float = 330, names_shown: bool = False) -> alt.Chart:
    """Heat map of one matrix.

    Args:
        which: "real", "synthetic" or "difference" (synthetic minus real).
        side: width and height in pixels.
        names_shown: column names along the left edge, however many there are; the tooltips have them anyway.
    """
    shown = heatmap_columns(associations)
    matrices = {"real": associations.real, "synthetic": associations.synthetic}
    matrix = matrices.get(which, associations.synthetic - associations.real)[np.ix_(shown, shown)]
    names = [associations.names[position] for position in shown]
    records = [
        {"a": first, "b": second, "v": round(float(matrix[row, column]), 3)}
        for row, first in enumerate(names)
        for column, second in enumerate(names)
    ]
    size = max(min(0.8 * side / max(len(names), 1), 10.0), 4.0)
    axis = alt.Axis(labels=len(names) <= 16, ticks=False, domain=False, labelLimit=110, labelFontSize=size)
    side_axis = alt.Axis(
        labels=names_shown or len(names) <= 16,
        ticks=False,
        domain=False,
        labelLimit=150,
        labelFontSize=size,
        labelOverlap=False,
    )
    return (
        alt.Chart(inline(records), width=side, height=side)
        .mark_rect()
        .encode(
            x=alt.X("a:N", sort=None, title=None, axis=axis),
            y=alt.Y("b:N", sort=None, title=None, axis=side_axis),
            color=alt.Color(
                "v:Q",
                scale=alt.Scale(scheme="blueorange", domain=[-1, 1], clamp=True),
                legend=alt.Legend(title=None, orient="bottom", gradientLength=side * 0.6, gradientThickness=8),
            ),
            tooltip=[
                alt.Tooltip("a:N", title="column"),
                alt.Tooltip("b:N", title="column"),
                alt.Tooltip("v:Q", title=which, format=".3f"),
            ],
        )
    )


def scores_chart(metrics: dict[str, float]) -> alt.LayerChart:
    """Each score as a point between its floor and its ceiling."""
    records = [
        {"score": label, "value": metrics[name], "floor": metrics.get(floor or ""), "ceiling": metrics.get(ceiling)}
        for label, name, floor, ceiling in SCORES
        if name in metrics
    ]
    base = alt.Chart(inline(records), height=alt.Step(30)).encode(
        y=alt.Y(
            "score:N",
            sort=[record["score"] for record in records],
            title=None,
            axis=alt.Axis(labelLimit=190, ticks=False, domain=False),
        )
    )
    scale = alt.Scale(domain=[0, 1])
    floored = inline([record for record in records if record["floor"] is not None])
    span = (
        base.properties(data=floored)
        .mark_rule(strokeWidth=8, strokeCap="round", color=NEUTRAL, opacity=0.45)
        .encode(x=alt.X("floor:Q", scale=scale, title=None, axis=alt.Axis(format=".1f", tickCount=5)), x2="ceiling:Q")
    )
    limit = base.mark_tick(thickness=3, size=16, color=REAL).encode(x=alt.X("ceiling:Q", scale=scale))
    point = base.mark_point(filled=True, size=110, color=SYNTHETIC, opacity=1).encode(
        x=alt.X("value:Q", scale=scale),
        tooltip=[
            alt.Tooltip("score:N"),
            *(alt.Tooltip(f"{n}:Q", format=".4f") for n in ("value", "floor", "ceiling")),
        ],
    )
    return alt.layer(span, limit, point)


def loss_chart(loss_curve: pd.DataFrame) -> alt.Chart:
    """Training and validation loss by step."""
    long = loss_curve.melt("step", ["train", "validation"], "series", "loss").dropna()
    records = [
        {"step": int(step), "series": str(series), "loss": float(loss)}
        for step, series, loss in zip(long["step"], long["series"], long["loss"], strict=True)
    ]
    scale = alt.Scale(domain=["train", "validation"], range=[REAL, SYNTHETIC])
    return (
        alt.Chart(inline(records), height=220)
        .mark_line(strokeWidth=2)
        .encode(
            x=alt.X("step:Q", title="training step", axis=alt.Axis(grid=False, tickCount=6)),
            y=alt.Y("loss:Q", title="loss", scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=5)),
            color=alt.Color("series:N", scale=scale, legend=alt.Legend(title=None, orient="top")),
            tooltip=[
                alt.Tooltip("step:Q"),
                alt.Tooltip("series:N", title="rows"),
                alt.Tooltip("loss:Q", format=".4f"),
            ],
        )
    )


def distances_chart(distances: Distances) -> alt.Chart:
    """Distance to the nearest training row: synthetic rows beside real rows the model has not seen."""
    both = np.concatenate([distances.synthetic_train, distances.holdout_train])
    edges = np.linspace(0.0, max(float(np.quantile(both, 0.995)), 1e-6), DISTANCE_BINS + 1)
    labels = (("unseen real rows", distances.holdout_train), ("synthetic rows", distances.synthetic_train))
    records = [
        {"series": label, "distance": round(float(left), 5), "share": round(float(share), 5)}
        for label, values in labels
        for left, share in zip(edges, _with_end(np.histogram(np.clip(values, 0, edges[-1]), edges)[0]), strict=True)
    ]
    scale = alt.Scale(domain=[label for label, _ in labels], range=[REAL, SYNTHETIC])
    return (
        alt.Chart(inline(records), height=220)
        .mark_area(interpolate="step-after", line=True, fillOpacity=0.25)
        .encode(
            x=alt.X(
                "distance:Q",
                title="distance to the nearest training row",
                axis=alt.Axis(grid=False, tickCount=6),
                scale=alt.Scale(nice=False),
            ),
            y=alt.Y("share:Q", title="share of rows", stack=None, axis=alt.Axis(format="~%", tickCount=4)),
            color=alt.Color("series:N", scale=scale, legend=alt.Legend(title=None, orient="top")),
        )
    )


def _with_end(counts: np.ndarray) -> Float:
    """Shares, the last one twice: a step needs an end."""
    shares = counts / max(int(counts.sum()), 1)
    return np.append(shares, shares[-1])
