"""Is a synthetic table true, useful and private? Scores between a floor and a ceiling, a gate, and a report.

``evaluate`` measures, ``judge`` holds the measures against the thresholds of `conf/evaluation/`, ``render_report``
and ``write_plots`` draw. Names are loaded on first use: the gate alone needs neither sdmetrics nor scikit-learn.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tabveil.evaluation.assessment import Evaluation, evaluate
    from tabveil.evaluation.gate import Check, Verdict, judge
    from tabveil.evaluation.report.context import ReportContext
    from tabveil.evaluation.report.page import render_report
    from tabveil.evaluation.report.plots import write_plots

__all__ = ["Check", "Evaluation", "ReportContext", "Verdict", "evaluate", "judge", "render_report", "write_plots"]

_HOME = {
    "Check": "gate",
    "Evaluation": "assessment",
    "ReportContext": "report.context",
    "Verdict": "gate",
    "evaluate": "assessment",
    "judge": "gate",
    "render_report": "report.page",
    "write_plots": "report.plots",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
