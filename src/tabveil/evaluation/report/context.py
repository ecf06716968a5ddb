"""What the report says beside the scores: where the data came from, and what was done about personal data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd


@dataclass(frozen=True)
class ReportContext:
    """Facts of the run, as plain dictionaries that other stages wrote.

    Args:
        dataset: its name.
        synthesizer: name of the model, e.g. ``tvae``.
        seed: the run's seed.
        findings: ``{"before": scan, "after": scan, "columns": {name: {action, semantic_type, reason}}}``, scans in
            Macie's shape, and if they were made ``k_anonymity`` and ``allowed`` (`findings.json`). Without it the
            report says that no scan was given.
        synthetic_pii: verdict on the synthetic table: ``unexplained``, ``explained``,
            ``real_identity_values_by_column``.
        source: where the raw file came from: uri, version_id, sha256, size_bytes (`source.json`).
        counts: rows read, kept, rejected, duplicates.
        loss_curve: columns step, train, validation.
    """

    dataset: str
    synthesizer: str
    seed: int
    findings: Mapping[str, Any] | None = None
    synthetic_pii: Mapping[str, Any] | None = None
    source: Mapping[str, Any] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    loss_curve: pd.DataFrame | None = None


@dataclass(frozen=True)
class PIIColumn:
    """One column of the PII table: cells found in the raw, the cleaned and the synthetic table."""

    column: str
    types: str
    before: int
    action: str
    after: int
    real_values: int | None
    reason: str


MAX_COMBINATIONS = 12  # rows of the table of combinations, beside all columns together


@dataclass(frozen=True)
class SharedValues:
    """How many people share their values of some quasi-identifiers (rows, where there is no entity key)."""

    columns: str
    num_groups: int
    min_group_rows: int
    rows_below_k: int
    share_below_k: float


def shared_values(context: ReportContext) -> list[SharedValues]:
    """All quasi-identifiers together, then the single ones and pairs that put most rows into small groups."""
    report = (context.findings or {}).get("k_anonymity") or {}
    if not report.get("full"):
        return []
    worst = sorted(
        (*report["singles"], *report["pairs"]),
        key=lambda item: (-item["rows_below_k"], item["min_group_rows"], item["columns"]),
    )
    shown = [report["full"], *(item for item in worst if item["columns"] != report["columns"])]
    return [
        SharedValues(
            ", ".join(item["columns"]),
            *(item[name] for name in ("num_groups", "min_group_rows", "rows_below_k", "share_below_k")),
        )
        for item in shown[: MAX_COMBINATIONS + 1]
    ]


def pii_columns(context: ReportContext) -> list[PIIColumn]:
    """Every column with a finding, an action other than keep or a reason, by name; no value, no row number."""
    if context.findings is None:
        return []
    before, after = (_cells_by_column(context.findings.get(scan, {})) for scan in ("before", "after"))
    actions: Mapping[str, Mapping[str, Any]] = context.findings.get("columns", {})
    acted = {name for name, column in actions.items() if column.get("action", "keep") != "keep" or column.get("reason")}
    real = (context.synthetic_pii or {}).get("real_identity_values_by_column", {})
    return [
        PIIColumn(
            column=name,
            types=", ".join(sorted({*before.get(name, {}), *after.get(name, {})}))
            or str(actions.get(name, {}).get("semantic_type") or ""),
            before=sum(before.get(name, {}).values()),
            action=str(actions.get(name, {}).get("action", "keep")),
            after=sum(after.get(name, {}).values()),
            real_values=real.get(name),
            reason=str(actions.get(name, {}).get("reason") or ""),
        )
        for name in sorted({*before, *after, *acted})
    ]


def _cells_by_column(scan: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """Cells found per column and type."""
    cells: dict[str, dict[str, int]] = {}
    for finding in scan.get("findings", []):
        column = cells.setdefault(str(finding["x-tabveil"]["column"]), {})
        for detection in finding["sensitiveData"]["detections"]:
            column[str(detection["type"])] = column.get(str(detection["type"]), 0) + int(detection["count"])
    return cells
