from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import vl_convert

from tabveil.config import EvaluationConfig
from tabveil.evaluation import Evaluation, ReportContext, judge, render_report, write_plots
from tabveil.evaluation.association import Associations
from tabveil.evaluation.gate import Check, Verdict
from tabveil.evaluation.report.catalogue import CATALOGUE, formatted
from tabveil.evaluation.report.charts import MAX_HEATMAP_COLUMNS, heatmap_columns
from tabveil.evaluation.report.context import pii_columns, shared_values
from tabveil.evaluation.report.page import chart_specs, embedded_json, quality_scale


def failed_checks(result: Verdict) -> list[Check]:
    return [check for check in result.checks if not check.passed]


def verdict(evaluation: Evaluation, findings: int = 0) -> Verdict:
    return judge(evaluation.metrics, EvaluationConfig(), unexplained_pii_findings=findings, real_identity_values=0)


@pytest.fixture(scope="module")
def page(good: Evaluation, context: ReportContext) -> str:
    return render_report(good, verdict(good), context)


def own_markup(page: str) -> str:
    """The page without the bundled Vega scripts."""
    return re.sub(r'<script type="module">.*?</script>', "", page, flags=re.DOTALL)


def test_render_report_loads_nothing(page: str) -> None:
    markup = own_markup(page)
    assert re.findall(r"https?://\S+", markup) == []
    assert not re.search(r"<(link|img|iframe|object|embed)\b|\bsrc=|@import|url\(", markup)
    assert "default-src 'none'" in markup
    assert len(page.encode()) < 6_000_000


def test_render_report_shows_scores_checks_and_facts(page: str, good: Evaluation) -> None:
    markup = own_markup(page)
    assert "Gate passed" in markup
    for text in ("supports an anonymity assessment", "s3://landing/toy.csv", "regenerate", "email address"):
        assert text.replace("supports", "support") in markup
    for name in ("quality/overall", "quality/floor", "quality/ceiling"):
        assert f"{good.metrics[name]:.3f}" in markup
    assert "is anonymous" not in markup
    assert good.versions["sdmetrics"] in markup
    assert "<td>Bytes</td><td>12,345</td>" in markup


def test_render_report_escapes_names(page: str) -> None:
    assert "toy &lt;b&gt;" in page
    assert "toy <b>" not in page


def test_render_report_repeats_itself(page: str, good: Evaluation, context: ReportContext) -> None:
    assert render_report(good, verdict(good), context) == page


def test_render_report_tells_a_failed_gate(shuffled: Evaluation, context: ReportContext) -> None:
    failed = verdict(shuffled, findings=3)
    markup = own_markup(render_report(shuffled, failed, context))
    assert "Gate failed" in markup
    assert failed_checks(failed)
    assert all(check.hint.split(":")[0] in markup.replace("&#39;", "'") for check in failed_checks(failed))


def test_render_report_says_when_no_scan_was_given(good: Evaluation) -> None:
    markup = own_markup(render_report(good, verdict(good), ReportContext("toy", "tvae", 0)))
    assert "No scan of the real table" in markup
    assert 'id="training"' not in markup


def test_render_report_survives_missing_metrics(good: Evaluation, context: ReportContext) -> None:
    bare = replace(good, metrics={})
    markup = own_markup(render_report(bare, verdict(bare), context))
    assert "Gate failed" in markup
    assert "not computed" in markup


def test_render_report_holds_no_value_of_a_real_person(page: str, train: pd.DataFrame) -> None:
    markup = own_markup(page)
    for name in ("amount", "income"):
        extreme = train[name].max()
        assert f"{extreme:.2f}" not in markup
    assert not any(customer in markup for customer in train["customer_id"])


def test_chart_specs_cover_every_column_and_compile(good: Evaluation, context: ReportContext) -> None:
    specs = chart_specs(good, context.loss_curve)
    assert sum(name.startswith("chart-column-") for name in specs) == len(good.histograms)
    assert {"chart-scores", "chart-distances", "chart-loss", "chart-association-difference"} <= set(specs)
    for spec in specs.values():
        marks = json.dumps(vl_convert.vegalite_to_vega(spec)["marks"])
        assert "symbol" in marks or "rect" in marks or "line" in marks or "area" in marks


def test_embedded_json_cannot_end_its_script() -> None:
    text = embedded_json({"a": "</script><script>"})
    assert "<" not in text
    assert json.loads(text) == {"a": "</script><script>"}


def test_quality_scale_places_marks_in_order(good: Evaluation) -> None:
    place = quality_scale(good.metrics, verdict(good))["place"]
    assert 0 <= place["floor"] < place["ceiling"] <= 100
    assert set(place) == {"value", "floor", "ceiling", "bootstrap", "gate"}


def test_pii_columns_list_findings_and_actions(context: ReportContext) -> None:
    rows = {row.column: row for row in pii_columns(context)}
    assert set(rows) == {"e_mail", "note"}
    assert (rows["e_mail"].before, rows["e_mail"].after, rows["e_mail"].real_values) == (480, 0, 0)
    assert (rows["note"].action, rows["note"].reason, rows["note"].real_values) == ("drop", "free text", None)


def combination(*columns: str, smallest: int, small_rows: int) -> dict[str, object]:
    return {
        "columns": list(columns), "num_groups": 40, "min_group_rows": smallest, "rows_below_k": small_rows,
        "share_below_k": small_rows / 800,
    }  # fmt: skip


def with_quasi_identifiers(context: ReportContext) -> ReportContext:
    """The context with k-anonymity, an allow list, and a column that is kept for a reason."""
    findings = context.findings or {}
    groups = {
        "k": 5,
        "min_k": 3,
        "columns": ["postcode", "born", "job"],
        "singles": [combination(name, smallest=9, small_rows=0) for name in ("postcode", "born", "job")],
        "pairs": [
            combination("postcode", "born", smallest=2, small_rows=40),
            combination("born", "job", smallest=1, small_rows=64),
        ],
        "full": combination("postcode", "born", "job", smallest=1, small_rows=400),
    }
    kept = {"action": "keep", "semantic_type": "GENDER", "reason": "asked by the regulator"}
    allowed = {"EMAIL_ADDRESS": {"num_values": 2, "num_regexes": 1, "reason": "addresses of the bank"}}
    columns = {**findings["columns"], "sex": kept}
    return replace(context, findings={**findings, "k_anonymity": groups, "allowed": allowed, "columns": columns})


def test_shared_values_begin_with_all_columns_and_go_on_with_the_smallest_groups(context: ReportContext) -> None:
    rows = shared_values(with_quasi_identifiers(context))
    assert [row.columns for row in rows[:3]] == ["postcode, born, job", "born, job", "postcode, born"]
    assert (rows[0].min_group_rows, rows[0].rows_below_k, rows[0].share_below_k) == (1, 400, 0.5)
    assert len(rows) == 6
    assert shared_values(context) == []


def test_report_shows_quasi_identifiers_reasons_and_what_is_allowed(good: Evaluation, context: ReportContext) -> None:
    markup = own_markup(render_report(good, verdict(good), with_quasi_identifiers(context)))
    assert "<td>postcode, born, job</td>" in markup
    assert "a group of fewer than 3 stops the run" in markup
    assert "email address (2 texts, 1 patterns: addresses of the bank)" in markup
    assert "asked by the regulator" in markup


def test_a_column_kept_for_a_reason_is_listed_with_it(context: ReportContext) -> None:
    rows = {row.column: row for row in pii_columns(with_quasi_identifiers(context))}
    assert set(rows) == {"e_mail", "note", "sex"}
    assert (rows["sex"].action, rows["sex"].reason) == ("keep", "asked by the regulator")


def test_heatmap_shows_the_most_associated_of_many_columns() -> None:
    size = MAX_HEATMAP_COLUMNS + 5
    matrix = np.eye(size)
    matrix[-1, -2] = matrix[-2, -1] = 0.9
    shown = heatmap_columns(Associations(tuple(f"c{n}" for n in range(size)), matrix, matrix))
    assert len(shown) == MAX_HEATMAP_COLUMNS
    assert {size - 1, size - 2} <= set(shown)


def test_formatted_shows_a_dash_for_what_is_missing() -> None:
    assert [formatted(None), formatted(float("nan")), formatted(0.12345), formatted(0.5, "share")] == [
        "–", "–", "0.123", "50.0%",
    ]  # fmt: skip


def test_catalogue_and_docs_know_every_metric(good: Evaluation, repository: Path) -> None:
    known = {metric.key for metric in CATALOGUE}
    assert set(good.metrics) <= known
    docs = (repository / "docs" / "evaluation.md").read_text(encoding="utf-8")
    assert [key for key in sorted(known) if f"`{key}`" not in docs] == []


def test_write_plots_draws_pngs_with_stable_names(good: Evaluation, context: ReportContext, tmp_path: Path) -> None:
    paths = write_plots(good, tmp_path, 2, loss_curve=context.loss_curve)
    weakest = good.columns.sort_values(["shared_shape", "column"])["column"][:2]
    expected = ["scores.png", "correlation.png", "loss.png", *(f"histogram_{name}.png" for name in weakest)]
    assert [path.name for path in paths] == expected
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)
    first = [path.read_bytes() for path in paths]
    assert [path.read_bytes() for path in write_plots(good, tmp_path, 2, loss_curve=context.loss_curve)] == first


def test_write_plots_without_histograms_or_loss(good: Evaluation, tmp_path: Path) -> None:
    assert [path.name for path in write_plots(good, tmp_path, 0)] == ["scores.png", "correlation.png"]
