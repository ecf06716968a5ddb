"""Vega-Lite specifications of the histograms.

A table may have hundreds of columns: Altair builds and checks one template per kind of column, and each histogram
fills it with its own data.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import altair as alt
import numpy as np

from tabveil.evaluation.histograms import Histogram
from tabveil.evaluation.report.charts import REAL, SERIES, SYNTHETIC, inline

Records = list[dict[str, Any]]
SHORT_NUMBER = "(abs(datum.value) >= 10000 ? format(datum.value, '~s') : format(datum.value, '~r'))"


def histogram_spec(histogram: Histogram) -> dict[str, Any]:
    """Real beside synthetic: filled bars and an outline for numbers and dates, paired bars for levels."""
    if histogram.kind == "level":
        return _filled(_template("level"), {"bars": _records(histogram)})
    bars = _spans(histogram)
    real, synthetic = ([bar for bar in bars if bar["series"] == series] for series in ("real", "synthetic"))
    return _filled(_template(histogram.kind), {"bars": real, "outline": _outline(synthetic)})


def _records(histogram: Histogram) -> Records:
    return [
        {"label": label, "series": series, "share": round(share, 5)}
        for series, shares in (("real", histogram.real), ("synthetic", histogram.synthetic))
        for label, share in zip(histogram.labels, shares, strict=True)
    ]


def _spans(histogram: Histogram) -> Records:
    """Bars with start and end; heights are shares per narrowest bar, so that a merged one has the area of its rows."""
    edges = np.asarray(histogram.edges) * (1000.0 if histogram.kind == "date" else 1.0)  # Vega counts milliseconds
    widths = np.diff(edges)
    spans = zip(edges[:-1], edges[1:], widths.min() / widths, strict=True)
    places = [(float(start), float(end), float(scale)) for start, end, scale in spans] * 2
    return [
        {**record, "start": start, "end": end, "height": round(record["share"] * scale, 6)}
        for record, (start, end, scale) in zip(_records(histogram), places, strict=True)
    ]


def _outline(bars: Records) -> Records:
    """Steps from the ground and back to it."""
    steps = [{"start": bar["start"], "height": bar["height"]} for bar in bars]
    end = bars[-1]["end"]
    return [{"start": bars[0]["start"], "height": 0.0}, *steps,
            {"start": end, "height": bars[-1]["height"]}, {"start": end, "height": 0.0}]  # fmt: skip


def _filled(template: dict[str, Any], data: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """A copy of the template with its named data in place."""
    spec = copy.deepcopy(template)
    for part in [spec, *spec.get("layer", [])]:
        if "data" in part:
            part["data"] = inline(data[part["data"]["name"]]).to_dict()
    return spec


@cache
def _template(kind: str) -> dict[str, Any]:
    picture = _level_bars() if kind == "level" else _number_bars(kind)
    spec: dict[str, Any] = picture.to_dict()
    return {key: value for key, value in spec.items() if key not in ("$schema", "config")}


def _level_bars() -> alt.Chart:
    return (
        alt.Chart(alt.NamedData("bars"), height=alt.Step(8))
        .mark_bar(cornerRadiusEnd=1.5)
        .encode(
            y=alt.Y("label:N", sort=None, title=None, axis=alt.Axis(labelLimit=150, ticks=False, domain=False)),
            yOffset=alt.YOffset("series:N"),
            x=alt.X("share:Q", title=None, axis=alt.Axis(format="~%", tickCount=4)),
            color=alt.Color("series:N", scale=SERIES, legend=None),
            tooltip=_tooltips("level"),
        )
    )


def _number_bars(kind: str) -> alt.LayerChart:
    quiet: dict[str, Any] = {"tickCount": 5, "grid": False}
    if kind != "date":
        quiet["labelExpr"] = SHORT_NUMBER
    if kind == "integer":
        quiet |= {"ticks": False, "labelExpr": f"datum.value % 1 ? '' : {SHORT_NUMBER}"}
    place = f"start:{'T' if kind == 'date' else 'Q'}"
    x = alt.X(place, title=None, axis=alt.Axis(**quiet), scale=alt.Scale(zero=False, nice=False))
    y = alt.Y("height:Q", title=None, axis=alt.Axis(format="~%", tickCount=4))
    bars = (
        alt.Chart(alt.NamedData("bars"))
        .mark_rect(color=REAL, opacity=0.7)
        .encode(x=x, x2="end", y=y, y2=alt.datum(0), tooltip=_tooltips("range"))
    )
    line = (
        alt.Chart(alt.NamedData("outline"))
        .mark_line(color=SYNTHETIC, interpolate="step-after", strokeWidth=2)
        .encode(x=x, y=y)
    )
    return alt.layer(bars, line).properties(height=150)


def _tooltips(what: str) -> list[alt.Tooltip]:
    return [
        alt.Tooltip("label:N", title=what),
        alt.Tooltip("share:Q", title="share of rows", format=".2%"),
    ]
