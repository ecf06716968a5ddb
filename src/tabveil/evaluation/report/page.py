"""The report: an evaluation, its verdict and the run's facts as one HTML page that loads nothing from anywhere."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import altair as alt
import jinja2
import numpy as np
import pandas as pd
import vl_convert

from tabveil.evaluation.assessment import Evaluation
from tabveil.evaluation.gate import Verdict
from tabveil.evaluation.report import charts
from tabveil.evaluation.report.catalogue import CATALOGUE, GROUPS, formatted
from tabveil.evaluation.report.context import ReportContext, pii_columns, shared_values
from tabveil.evaluation.report.histogram_charts import histogram_spec

TEMPLATES = Path(__file__).parent / "templates"
WORST_GROUPS = 20


def render_report(evaluation: Evaluation, verdict: Verdict, context: ReportContext) -> str:
    """The page as text.

    It holds its styles, scripts and charts itself, forbids any network access by a content security policy, and
    shows aggregates only (see `tabveil.evaluation.histograms`). Same input, same bytes.
    """
    specs = chart_specs(evaluation, context.loss_curve)
    return (
        _environment()
        .get_template("page.html")
        .render(
            evaluation=evaluation,
            verdict=verdict,
            context=context,
            metrics=evaluation.metrics,
            scale=quality_scale(evaluation.metrics, verdict),
            tiles=tiles(evaluation, verdict),
            groups=metric_groups(evaluation.metrics),
            figures=histogram_figures(evaluation),
            columns=records(evaluation.columns),
            worst_pairs=records(evaluation.worst_pairs),
            rare=records(evaluation.rare.groups[:WORST_GROUPS]),
            heatmap_shown=len(charts.heatmap_columns(evaluation.associations)),
            pii=pii_columns(context),
            shared=shared_values(context),
            specs=embedded_json(specs),
            charts=set(specs),
            vega=_vega_bundle(),
        )
    )


def chart_specs(evaluation: Evaluation, loss_curve: pd.DataFrame | None) -> dict[str, Any]:
    """Vega-Lite specifications by the id of the element they are drawn in."""
    specs = {
        "chart-scores": _wide(_spec(charts.scores_chart(evaluation.metrics))),
        "chart-distances": _wide(_spec(charts.distances_chart(evaluation.distances))),
    }
    for which in ("real", "synthetic", "difference"):
        specs[f"chart-association-{which}"] = _spec(charts.heatmap_chart(evaluation.associations, which))
    if loss_curve is not None and len(loss_curve):
        specs["chart-loss"] = _wide(_spec(charts.loss_chart(loss_curve)))
    for position, histogram in enumerate(evaluation.histograms):
        if histogram.shown:
            specs[f"chart-column-{position}"] = _wide(histogram_spec(histogram))
    return specs


def _wide(spec: dict[str, Any]) -> dict[str, Any]:
    return {**spec, "width": "container"}


def _spec(picture: alt.TopLevelMixin) -> dict[str, Any]:
    spec: dict[str, Any] = picture.to_dict(validate=False)
    return {key: value for key, value in spec.items() if key not in ("$schema", "config")}


def quality_scale(metrics: dict[str, float], verdict: Verdict) -> dict[str, Any]:
    """Positions in per cent of the quality scale, from just below the lowest mark to 1."""
    asked = next((check.asked for check in verdict.checks if check.name == "quality/overall"), None)
    marks = {
        "value": metrics.get("quality/overall"),
        "floor": metrics.get("quality/floor"),
        "ceiling": metrics.get("quality/ceiling"),
        "bootstrap": metrics.get("quality/ceiling_bootstrap"),
        "gate": asked,
    }
    known = {name: value for name, value in marks.items() if value is not None}
    lowest = max(min(known.values(), default=0.0) - 0.02, 0.0)
    step = 0.05 if lowest >= 0.7 else 0.1 if lowest >= 0.4 else 0.25
    start = float(np.floor(lowest / step) * step)
    place = {name: round(100 * (value - start) / (1.0 - start), 2) for name, value in known.items()}
    ticks = [round(float(tick), 2) for tick in np.arange(start, 1.0 + step / 2, step)]
    return {"marks": known, "place": place, "ticks": ticks}


def tiles(evaluation: Evaluation, verdict: Verdict) -> list[dict[str, str]]:
    """The summary's tiles: label, value, note, and a state that colours them (good, bad, plain)."""
    metrics, checked = evaluation.metrics, {check.name: check for check in verdict.checks}
    counted = [
        _count_tile("Unexplained PII findings", "in the synthetic table", checked, "privacy/unexplained_pii_findings"),
        _count_tile("Real identity values", "in the synthetic table", checked, "privacy/real_identity_values"),
    ]
    share = formatted(metrics.get("privacy/dcr_share_closer_to_train"), "share")
    low, high = (
        formatted(metrics.get(f"privacy/dcr_share_closer_to_train_{side}"), "share") for side in ("low", "high")
    )
    identical, unseen = (formatted(metrics.get(f"privacy/identical_share{end}"), "share") for end in ("", "_holdout"))
    told, best = (formatted(metrics.get(f"detection/c2st_auc{end}")) for end in ("", "_ceiling"))
    useful, real = (formatted(metrics.get(f"utility/{name}")) for name in ("tstr", "trtr"))
    kind = {"auc": "AUC", "r2": "R²"}.get(evaluation.target.kind, "")
    return [
        *counted,
        {"label": "Closer to training rows", "value": share, "note": f"50 % shows no copying; {low} to {high}"},
        {"label": "Exact copies", "value": identical, "note": f"unseen real rows: {unseen}"},
        {"label": "Told apart by a model", "value": told, "note": f"AUC; 0.5 is undetectable; real rows: {best}"},
        {"label": f"Predicts {evaluation.target.target}", "value": useful, "note": f"{kind}; real data: {real}"},
    ]  # fmt: skip


def _count_tile(label: str, note: str, checked: dict[str, Any], name: str) -> dict[str, str]:
    check = checked.get(name)
    value = formatted(check.measured if check else None, "count")
    return {"label": label, "value": value, "note": note, "state": "good" if check and check.passed else "bad"}


def metric_groups(metrics: dict[str, float]) -> list[dict[str, Any]]:
    """All metrics by group, as the report lists them."""
    return [
        {
            "title": title,
            "question": question,
            "rows": [
                {"label": m.label, "key": m.key, "value": formatted(metrics.get(m.key), m.style), "reading": m.reading}
                for m in CATALOGUE
                if m.group == group
            ],
        }
        for group, (title, question) in GROUPS.items()
    ]


def histogram_figures(evaluation: Evaluation) -> list[dict[str, Any]]:
    """One figure per modelled column, with a sentence for those who do not see it."""
    scores = dict(zip(evaluation.columns["column"], evaluation.columns["shared_shape"], strict=True))
    return [
        {
            "id": f"chart-column-{position}" if histogram.shown else None,
            "column": histogram.column,
            "score": formatted(scores[histogram.column]),
            "missing": (histogram.real_missing, histogram.synthetic_missing),
            "text": f"Histogram of {histogram.column}, real beside synthetic; "
            f"shape score {formatted(scores[histogram.column])}.",
        }
        for position, histogram in enumerate(evaluation.histograms)
    ]


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of a small table."""
    return [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]


def embedded_json(data: Any) -> str:
    """JSON that cannot end the script element it stands in."""
    return json.dumps(data, ensure_ascii=False, sort_keys=True, separators=(",", ":")).replace("<", "\\u003c")


@cache
def _vega_bundle() -> str:
    """Vega, Vega-Lite and vega-embed as one script, from vl_convert (BSD-3-Clause)."""
    return str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")).replace("</script", "<\\/script")


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["score"] = formatted
    environment.filters["share"] = lambda value: formatted(value, "share")
    environment.filters["count"] = lambda value: formatted(value, "count")
    return environment
