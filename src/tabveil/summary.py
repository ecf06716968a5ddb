"""``python -m tabveil.summary``: what the last pipeline run made, on one screen.

Reads only what the stages left in `artifacts/` and `.tabveil/timings/`; prints counts, column names and scores, never
a value of the table.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from tabveil.artifacts import STAGES, Artifacts, read_json
from tabveil.aws.charges import by_service, recorded
from tabveil.cli import process_border
from tabveil.config import project_root
from tabveil.stages.app import timings_dir

QUALITY = ("quality/overall", "quality/ceiling")
# label, metric, what to compare it with (text, or another metric's name behind it)
SCORES = (
    ("detection (C2ST)", "detection/c2st_auc", "AUC; 0.5: cannot be told apart", None),
    ("usefulness (TSTR)", "utility/tstr", "trained on real rows:", "utility/trtr"),
    (
        "privacy (DCR share)",
        "privacy/dcr_share_closer_to_train",
        "0.5: as close to rows it never saw",
        None,
    ),
    ("privacy (copies)", "privacy/identical_share", "share of rows; real holdout:", "privacy/identical_share_holdout"),
)


def rows_section(artifacts: Artifacts) -> list[tuple[str, str]]:
    """How many rows went in, were set aside, and came out."""
    counts = read_json(artifacts.profile, "preprocess", "counts")["counts"]
    sampled = read_json(artifacts.sample_info, "sample")
    return [
        ("rows read", f"{counts['read']:,}"),
        ("rows kept", f"{counts['kept']:,}  ({counts['duplicates']:,} duplicates, {counts['rejected']:,} quarantined)"),
        ("rows synthesised", f"[bold]{sampled['num_rows']:,}[/]"),
    ]


def pii_section(artifacts: Artifacts) -> list[tuple[str, str]]:
    """Columns in which PII was found, and what was done to them."""
    report = read_json(artifacts.findings, "verify", "before", "after", "columns")
    by_action: dict[str, list[str]] = {}
    for name, column in report["columns"].items():
        if column["action"] != "keep":
            by_action.setdefault(column["action"], []).append(name)
    found = sorted(report["before"]["columns_with_findings"])
    rows = [("PII found", f"[bold]{columns(len(found))}[/]: {', '.join(found)}" if found else columns(0))]
    rows += [(action, ", ".join(names)) for action, names in sorted(by_action.items())]
    return [*rows, ("PII left to learn from", columns(len(report["after"]["columns_with_findings"])))]


def columns(number: int) -> str:
    """``1 column``, ``2 columns``."""
    return f"{number} column" if number == 1 else f"{number} columns"


def scores_section(metrics: dict[str, float]) -> list[tuple[str, str]]:
    """Quality between its floor and its ceiling, usefulness, privacy."""
    quality = f"{metrics['quality/overall']:.3f}"
    floor = metrics.get("quality/floor")
    shown = "no floor (no pair of columns counts)" if floor is None else f"floor {floor:.3f}"
    scale = f"{shown}, ceiling {metrics['quality/ceiling']:.3f}"
    rows = [("quality (sdmetrics)", f"[bold]{quality}[/]  {scale}")]
    for label, name, text, other in SCORES:
        if name in metrics:
            beside = f" {metrics[other]:.3f}" if other else ""
            rows.append((label, f"[bold]{metrics[name]:.3f}[/]  {text}{beside}"))
    return rows


def seconds_section(root: Path) -> list[tuple[str, str]]:
    """Seconds of each stage's last run."""
    seconds = {path.stem: read_json(path, path.stem)["seconds"] for path in timings_dir(root).glob("*.json")}
    shown = [f"{stage} {seconds[stage]:.0f}" for stage in STAGES if stage in seconds]
    return [("seconds (last run)", ", ".join(shown))]


def cost_section(root: Path) -> list[tuple[str, str]]:
    """What each service is estimated to have cost in the stages' last runs."""
    records = recorded(root)
    if not records:
        return []
    services = by_service(records)
    total = sum(usd for usd, _ in services.values())
    free = sorted({str(record["environment"]) for record in records if not record["charged"]})
    note = f"; nothing is charged, environment={', '.join(free)} runs on this machine" if free else ""
    rows = [("cost (estimated)", f"[bold]{total:.4f} USD[/]  list prices of {records[-1]['as_of']}{note}")]
    shown = services.items() if total else ()
    return rows + [(f"  {service}", f"{usd:.4f} USD  {'; '.join(used)}") for service, (usd, used) in shown]


def places_section(artifacts: Artifacts, root: Path) -> list[tuple[str, str]]:
    """Where to look next."""
    published = read_json(artifacts.published, "publish", "uri")
    places = {
        "synthetic table": artifacts.synthetic_csv,
        "report": artifacts.report,
        "metrics": artifacts.metrics,
    }
    shown = [(label, str(path.relative_to(root))) for label, path in places.items()]
    return [*shown, ("published", published["uri"]), ("all runs", "make ui   (MLflow)")]


def render(root: Path) -> Panel:
    """The whole summary.

    Raises:
        ArtifactError: the pipeline has not run to its end.
    """
    artifacts = Artifacts(root / "artifacts")
    gate: dict[str, Any] = read_json(artifacts.gate, "evaluate", "passed")
    metrics: dict[str, float] = read_json(artifacts.metrics, "evaluate", *QUALITY)
    table = Table(box=box.SIMPLE, show_header=False, pad_edge=False)
    table.add_column(style="cyan", no_wrap=True)
    table.add_column(overflow="fold")
    for section in (
        rows_section(artifacts),
        pii_section(artifacts),
        scores_section(metrics),
        seconds_section(root),
        cost_section(root),
        places_section(artifacts, root),
    ):
        for label, value in section:
            table.add_row(label, value)
        table.add_section()
    passed = bool(gate["passed"])
    verdict = "[green]gate passed[/]" if passed else "[red]gate failed[/]"
    return Panel(table, title=f"TabVeil: {verdict}", border_style="green" if passed else "red", padding=(0, 1))


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    argparse.ArgumentParser(prog="python -m tabveil.summary", description=__doc__).parse_args(arguments)
    with process_border():
        Console().print(render(project_root()))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
