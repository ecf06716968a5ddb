"""The results as one table: mean and standard deviation over seeds, in Markdown, JSON and a plot."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from tabveil.artifacts import to_json

from .models import CEILING, FLOOR, PROTECTED, REAL

COLUMNS = {
    "quality": ("quality", 4),
    "shapes": ("shapes", 4),
    "trends": ("trends", 4),
    "shared_trends": ("shared trends", 4),
    "c2st": ("C2ST", 3),
    "tstr": ("TSTR", 3),
    "trtr": ("TRTR", 3),
    "gap": ("gap", 3),
    "dcr_share": ("DCR share", 3),
    "dcr_share_all": ("of all rows", 3),
    "membership": ("membership", 3),
    "fit_cpu_seconds": ("fit CPU s", 1),
    "fit_wall_seconds": ("fit wall s", 1),
    "fit_peak_mb": ("fit peak MB", 0),
    "sample_cpu_seconds": ("sample CPU s", 2),
    "sample_wall_seconds": ("sample wall s", 2),
    "steps": ("steps", 0),
}
PANELS_A_ROW = 3
NOTES = """\
Mean over seeds ± their standard deviation. `independent` (every column shuffled on its own) is the floor, `holdout`
(real rows that no model has seen) the ceiling; `holdout_protected` the same rows with their numbers read off our
engine's tokens: extremes cut, single values averaged. Quality, shapes, trends: sdmetrics' stock QualityReport against
the training rows. Shared trends: all pairs of columns on shared bins, at the holdout's size. C2ST: AUC of boosted trees
that tell holdout from synthetic rows (the ceiling: from training rows); 0.5 = cannot be told apart. TSTR, TRTR: boosted
trees fitted on synthetic or on real rows, scored on the holdout (AUC; R2 where the target is a number); gap: TRTR -
TSTR. DCR share: nearer to a training row than to one of as many holdout rows; 0.5 = no sign of copying. Of all rows:
the same among all training and holdout rows, set right for their numbers; it also sees copies of training rows that the
cut to the holdout's size leaves out. Membership: AUC of the model's own likelihood at telling training rows from
holdout rows; 0.5 = it cannot. CPU seconds are those of all threads and child processes. Peak: resident memory of the
main process up to the end of the fit, libraries and table included. Steps: epochs for SDV.
"""


def summarise(records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row per table and model, in the order of the records: mean, sd, min and max of every measure."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for record in records:
        groups.setdefault((record["table"], record["model"]), []).append(record)
    return [_row(table, model, group) for (table, model), group in groups.items()]


def _row(table: str, model: str, group: list[dict[str, Any]]) -> dict[str, Any]:
    done = [record for record in group if "measures" in record]
    names = sorted({name for record in done for name in record["measures"]})
    spread = {name: spread_of([r["measures"][name] for r in done if name in r["measures"]]) for name in names}
    return {
        "table": table,
        "model": model,
        "rows": done[0]["rows"] if done else None,
        "columns": done[0]["columns"] if done else None,
        "seeds": [record["seed"] for record in done],
        "failed": {str(record["seed"]): record["error"] for record in group if "error" in record},
        "measures": spread,
    }


def spread_of(values: list[float]) -> dict[str, float | int | None]:
    """`sd` is that of a sample; None for one value."""
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {"mean": float(np.mean(values)), "sd": sd, "min": min(values), "max": max(values), "count": len(values)}


def environment() -> dict[str, Any]:
    """What the figures depend on besides the code."""
    libraries = {name: version(name) for name in ("torch", "sdv", "sdmetrics", "scikit-learn", "numpy", "pandas")}
    return {
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "omp_num_threads": os.environ.get("OMP_NUM_THREADS"),
        "libraries": libraries,
    }


def markdown(rows: Sequence[dict[str, Any]], settings: Sequence[str]) -> str:
    """The table, and how to read it."""
    return "\n".join([origin(settings), "", *table_lines(rows, list(COLUMNS), "model"), *failures(rows), "", NOTES])


def origin(settings: Sequence[str]) -> str:
    """Where the figures come from, in one line."""
    facts = environment()
    threads = facts["omp_num_threads"] or "not set"
    return (
        f"{facts['machine']}, {facts['cpus']} CPUs, OMP_NUM_THREADS {threads}, Python {facts['python']}, "
        + ", ".join(f"{name} {number}" for name, number in facts["libraries"].items())
        + f"; settings: {' '.join(settings) or 'defaults'}"
    )


def table_lines(rows: Sequence[dict[str, Any]], columns: Sequence[str], label: str) -> list[str]:
    """Rows of `summarise` as a Markdown table, with those of the measures that any row has."""
    shown = [name for name in columns if any(name in row["measures"] for row in rows)]
    return [
        f"| table | {label} | seeds | {' | '.join(COLUMNS[name][0] for name in shown)} |",
        "|---|---|---|" + "---|" * len(shown),
        *(_line(row, shown) for row in rows),
    ]


def _line(row: dict[str, Any], shown: list[str]) -> str:
    size = f" ({row['rows']:,} x {row['columns']})" if row["rows"] else ""
    seeds = str(len(row["seeds"])) + (f" ({len(row['failed'])} failed)" if row["failed"] else "")
    cells = [_cell(row["measures"].get(name), COLUMNS[name][1]) for name in shown]
    return f"| {row['table']}{size} | {row['model']} | {seeds} | {' | '.join(cells)} |"


def _cell(spread: dict[str, Any] | None, digits: int) -> str:
    if spread is None:
        return ""
    around = f" ± {spread['sd']:.{digits}f}" if spread["sd"] is not None else ""
    return f"{spread['mean']:,.{digits}f}{around}"


def failures(rows: Sequence[dict[str, Any]]) -> list[str]:
    """What failed, and why, one line each."""
    found = [
        f"- {row['table']}, {row['model']}, seed {seed}: {error}"
        for row in rows
        for seed, error in row["failed"].items()
    ]
    return ["", "Failed:", "", *found] if found else []


def write_report(folder: Path, records: Sequence[dict[str, Any]], settings: Sequence[str]) -> str:
    """Write `results.md`, `results.json` and `quality.png`; return the Markdown."""
    rows = summarise(records)
    text = markdown(rows, settings)
    (folder / "results.md").write_text(text, encoding="utf-8")
    whole = {"environment": environment(), "settings": list(settings), "rows": rows, "runs": list(records)}
    (folder / "results.json").write_text(to_json(whole), encoding="utf-8")
    _plot(folder / "quality.png", rows)
    return text


def _plot(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Quality against CPU seconds of the fit, one panel per table; floor and ceiling are lines."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import LogFormatter

    tables = list(dict.fromkeys(row["table"] for row in rows))
    models = list(dict.fromkeys(row["model"] for row in rows if row["model"] not in (FLOOR, *REAL)))
    colours = {model: f"C{i}" for i, model in enumerate(models)} | {FLOOR: "0.6", CEILING: "0", PROTECTED: "0.3"}
    width, height = min(len(tables), PANELS_A_ROW), -(-len(tables) // PANELS_A_ROW)
    size = (4.2 * width + 1.6, 3.6 * height)
    figure, axes = plt.subplots(height, width, figsize=size, squeeze=False, layout="constrained")
    for panel in axes.flat[len(tables) :]:
        panel.set_visible(False)
    for panel, table in zip(axes.flat, tables, strict=False):
        for row in (row for row in rows if row["table"] == table and "quality" in row["measures"]):
            _draw(panel, row, colours[row["model"]])
        panel.set(title=table, xlabel="CPU seconds of the fit", xscale="log")
        panel.grid(alpha=0.3)
        panel.xaxis.set_major_formatter("{x:g}")
        panel.xaxis.set_minor_formatter(LogFormatter(minor_thresholds=(2, 0.5)))
    for row_of_panels in axes:
        row_of_panels[0].set_ylabel("stock QualityReport")
    marks = {label: mark for panel in axes.flat for mark, label in zip(*panel.get_legend_handles_labels(), strict=True)}
    figure.legend(marks.values(), marks.keys(), loc="outside right upper", fontsize="small")
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _draw(panel: Any, row: dict[str, Any], colour: str) -> None:
    quality, seconds = row["measures"]["quality"], row["measures"].get("fit_cpu_seconds")
    if seconds is None:
        panel.axhline(quality["mean"], color=colour, linestyle="--", linewidth=1, label=row["model"])
        return
    reach = [[quality["mean"] - quality["min"]], [quality["max"] - quality["mean"]]]
    panel.errorbar(seconds["mean"], quality["mean"], yerr=reach, color=colour, fmt="o", capsize=3, label=row["model"])
