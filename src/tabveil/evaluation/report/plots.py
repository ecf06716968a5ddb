"""PNG pictures without a browser, with stable names, for DVC and MLflow."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import altair as alt
import pandas as pd
import vl_convert

from tabveil.evaluation.assessment import Evaluation
from tabveil.evaluation.histograms import Histogram
from tabveil.evaluation.report import charts
from tabveil.evaluation.report.histogram_charts import histogram_spec

SCALE = 2.0  # pixels per unit
INK, PAPER, GRID = "#1f2933", "#ffffff", "#e6e9ee"


def write_plots(
    evaluation: Evaluation, folder: Path, num_plots: int, loss_curve: pd.DataFrame | None = None
) -> list[Path]:
    """Write ``scores.png``, ``correlation.png``, ``histogram_<column>.png`` and, when given, ``loss.png``.

    Args:
        folder: exists already; files of the same name are replaced.
        num_plots: histograms; the columns with the lowest scores first.
        loss_curve: columns step, train, validation.

    Returns:
        The paths, in the order written.
    """
    scores = charts.scores_chart(evaluation.metrics).properties(width=460, title="Scores, floor to ceiling")
    pictures = {"scores": _spec(scores), "correlation": _spec(_correlation(evaluation))}
    if loss_curve is not None and len(loss_curve):
        pictures["loss"] = _spec(charts.loss_chart(loss_curve).properties(width=560, title="Loss"))
    by_name = {histogram.column: histogram for histogram in evaluation.histograms if histogram.shown}
    ordered = evaluation.columns.sort_values(["shared_shape", "column"])["column"]
    for name in [name for name in ordered if name in by_name][:num_plots]:
        pictures[f"histogram_{name}"] = _titled_histogram(by_name[name])
    return [_write(spec, folder / f"{_file_name(name)}.png") for name, spec in pictures.items()]


def _titled_histogram(histogram: Histogram) -> dict[str, Any]:
    missing = f"missing: real {histogram.real_missing:.1%}, synthetic {histogram.synthetic_missing:.1%}"
    title = {"text": histogram.column, "subtitle": f"real (blue) and synthetic (orange); {missing}"}
    return {**histogram_spec(histogram), "width": 460, "title": title}


def _correlation(evaluation: Evaluation) -> alt.HConcatChart:
    parts = [
        charts.heatmap_chart(evaluation.associations, which, side=460, names_shown=which == "real").properties(
            title=which
        )
        for which in ("real", "synthetic", "difference")
    ]
    return alt.hconcat(*parts)


def _spec(picture: alt.TopLevelMixin) -> dict[str, Any]:
    spec: dict[str, Any] = picture.to_dict(validate=False)
    return spec


def _file_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]", "_", name)


def _write(spec: dict[str, Any], path: Path) -> Path:
    path.write_bytes(vl_convert.vegalite_to_png({**spec, "config": chart_config()}, scale=SCALE))
    return path


def chart_config() -> dict[str, object]:
    """Quiet look: thin grid, no frame, one font."""
    label = {"labelColor": INK, "titleColor": INK, "labelFontSize": 10, "titleFontSize": 11, "titleFontWeight": 500}
    return {
        "background": PAPER,
        "padding": 14,
        "font": "DejaVu Sans, Liberation Sans, sans-serif",
        "view": {"stroke": None, "continuousWidth": 460},
        "axis": {**label, "gridColor": GRID, "domainColor": "#c3cad4", "tickColor": "#c3cad4"},
        "legend": {"labelColor": INK, "titleColor": INK},
        "title": {"anchor": "start", "color": INK, "subtitleColor": "#5b6673", "fontSize": 13, "offset": 10},
    }
