"""The measurements of `speed` as Markdown."""

from __future__ import annotations

from statistics import median
from typing import Any


def markdown(results: dict[str, Any]) -> str:
    """One section per part that was measured, each with its own table, settings and machine."""
    sections = [
        f"## {title}\n\n{_about(results[part]['about'])}\n\n{render(results[part]['found'])}\n"
        for part, (title, render) in SECTIONS.items()
        if part in results
    ]
    return "\n".join(sections)


def _about(about: dict[str, Any]) -> str:
    facts = about["environment"]
    threads = facts["omp_num_threads"] or "not set"
    libraries = ", ".join(f"{name} {facts['libraries'][name]}" for name in ("torch", "sdv"))
    return (
        f"{about['table']}, {about['rows']:,} x {about['columns']}; {' '.join(about['settings']) or 'defaults'}; "
        f"{facts['machine']}, {facts['cpus']} CPUs, OMP_NUM_THREADS {threads}, Python {facts['python']}, {libraries}"
    )


def _fit(found: dict[str, Any]) -> str:
    costs = {f"ours, {preset}": (cost, found["ratio"][preset]) for preset, cost in found["ours"].items()}
    costs[f"SDV's TVAE, {found['sdv_is']}"] = (found["sdv"], None)
    lines = ["| engine | wall s | CPU s | peak MB | SDV's / ours, wall | CPU |", "|---|---|---|---|---|---|"]
    for label, (cost, ratio) in costs.items():
        ratios = ratio or dict.fromkeys(("fit_wall_seconds", "fit_cpu_seconds"), 1.0)
        spent = f"{cost['fit_wall_seconds']:,.1f} | {cost['fit_cpu_seconds']:,.1f} | {cost['fit_peak_mb']:,.0f}"
        lines.append(f"| {label} | {spent} | {ratios['fit_wall_seconds']:.1f} | {ratios['fit_cpu_seconds']:.1f} |")
    return "\n".join(lines)


def _sample(found: dict[str, Any]) -> str:
    lines = [
        f"In chunks of {found['chunk_rows']:,} rows, written to Parquet; SDV's model was fitted for "
        f"{found['sdv_epochs']} epoch(s), which does not change what a row costs. {len(found['ratio'])} times in turn: "
        "median (smallest to largest).",
        "",
        "| engine | rows | draw us per row | write us per row | CPU us per row | peak MB | SDV's / ours, draw |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, label, ratio in (("ours", "ours, balanced", _spread(found["ratio"], 2)), ("sdv", "SDV's TVAE", "1")):
        runs = found[name]
        times = ("draw_seconds", "write_seconds", "all_cpu_seconds")
        cells = [_spread([1e6 * run[key] / run["rows"] for run in runs], 1) for key in times]
        peak = max(run["all_peak_mb"] for run in runs)
        lines.append(f"| {label} | {runs[0]['rows']:,} | {' | '.join(cells)} | {peak:,.0f} | {ratio} |")
    return "\n".join(lines)


def _spread(values: list[float], digits: int) -> str:
    return f"{median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def _memory(found: dict[str, Any]) -> str:
    return (
        f"A fit on {found['rows']:,} x {found['columns']} rows, drawn with replacement: peak "
        f"{found['fit_peak_mb']:,.0f} MB (2^20 bytes; {found['before_mb']:,.0f} MB of libraries and table before), "
        f"{found['steps']:.0f} steps, {found['fit_wall_seconds']:,.1f} s wall, {found['fit_cpu_seconds']:,.1f} s CPU."
    )


def _scaling(found: list[dict[str, Any]]) -> str:
    lines = [
        "Rows are drawn with replacement; further columns are copies, each in an order of its own. A step is one "
        "batch, its share of the validation checks included.",
        "",
        "| rows x columns | tokenise s | ms per step | steps | fit wall s | fit CPU s | peak MB | draw us per row |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['rows']:,} x {row['columns']} | {row['tokenise_wall_seconds']:.2f} "
        f"| {1e3 * row['step_seconds']:.1f} | {row['steps']:.0f} | {row['fit_wall_seconds']:,.1f} "
        f"| {row['fit_cpu_seconds']:,.1f} | {row['fit_peak_mb']:,.0f} | {row['sample_microseconds']:.1f} |"
        for row in found
    ]
    return "\n".join(lines)


def _shares(found: dict[str, float]) -> str:
    total = sum(found.values())
    rows = (f"| {part} | {seconds:.2f} | {seconds / total:.0%} |" for part, seconds in found.items())
    return "\n".join(["| part | wall s | share |", "|---|---|---|", *rows, f"| all | {total:.2f} | 100% |"])


SECTIONS = {
    "fit": ("Fit", _fit),
    "sample": ("Sampling", _sample),
    "memory": ("Memory", _memory),
    "scaling": ("Cost against size", _scaling),
    "shares": ("Where a fit and a sample spend their time", _shares),
}
