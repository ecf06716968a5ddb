"""Findings in Amazon Macie's shape, and the result of a scan. No value of a table ever enters them.

A finding counts one kind of personal data in one column. `to_dict` writes the fields of Macie's
``SensitiveDataItem`` / ``DefaultDetection`` (``category``, ``detections[].type``, ``count``,
``occurrences.cells[]``), one column per item, with at most 15 cells as Macie does.
Source: Amazon Macie API reference, Findings, https://docs.aws.amazon.com/macie/latest/APIReference/findings-describe.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tabveil.errors import ScanIncompleteError
from tabveil.pii.identifiers import Category, Severity

MAX_LOCATIONS = 15
_SCORE = {Severity.LOW: 1, Severity.MEDIUM: 2, Severity.HIGH: 3}


@dataclass(frozen=True)
class Finding:
    """One kind of personal data in one column.

    Args:
        type: name of a `tabveil.pii.identifiers.PIIType`.
        column_number: 1-based position of the column in the scanned table.
        count: cells that hold it.
        share: `count` over the column's non-empty cells, in (0, 1], to six decimals.
        rows: 1-based numbers of the first rows that hold it, at most 15.
        in_text: found inside longer text rather than as the whole cell.
        by_header: the column's name announces the type.
    """

    type: str
    category: Category
    severity: Severity
    column: str
    column_number: int
    count: int
    share: float
    rows: tuple[int, ...]
    in_text: bool = False
    by_header: bool = False

    def to_dict(self) -> dict[str, Any]:
        """As Macie writes it."""
        cells = [{"column": self.column_number, "columnName": self.column, "row": row} for row in self.rows]
        return {
            "severity": {"description": self.severity.value, "score": _SCORE[self.severity]},
            "sensitiveData": {
                "category": self.category.value,
                "totalCount": self.count,
                "detections": [{"type": self.type, "count": self.count, "occurrences": {"cells": cells}}],
            },
            "x-tabveil": {
                "column": self.column, "column_number": self.column_number, "share": self.share,
                "in_text": self.in_text, "by_header": self.by_header,
            },
        }  # fmt: skip

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Finding:
        """Inverse of `to_dict`.

        Raises:
            ScanIncompleteError: not written by `to_dict`; a report that cannot be read proves nothing.
        """
        try:
            detection, own = data["sensitiveData"]["detections"][0], data["x-tabveil"]
            return cls(
                type=detection["type"],
                category=Category(data["sensitiveData"]["category"]),
                severity=Severity(data["severity"]["description"]),
                count=detection["count"],
                rows=tuple(cell["row"] for cell in detection["occurrences"]["cells"]),
                **own,
            )
        except (KeyError, IndexError, TypeError, ValueError) as err:
            raise ScanIncompleteError(
                f"expected a finding as TabVeil writes it, however: {type(err).__name__}; run verify again"
            ) from err


@dataclass(frozen=True)
class QuasiIdentifier:
    """A column that singles nobody out alone but may in combination. Information, not a finding."""

    type: str
    column: str
    num_distinct: int
    min_group_rows: int  # rows of its rarest value

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary."""
        return {
            "type": self.type, "column": self.column, "num_distinct": self.num_distinct,
            "min_group_rows": self.min_group_rows,
        }  # fmt: skip


@dataclass(frozen=True)
class ScanResult:
    """What one scan of a whole table found and covered."""

    findings: tuple[Finding, ...]
    quasi_identifiers: tuple[QuasiIdentifier, ...]
    num_rows: int
    columns_scanned: tuple[str, ...]
    cells_scanned: int
    complete: bool
    seconds: float

    @property
    def columns_with_findings(self) -> list[str]:
        """Names of the columns that hold personal data, in table order."""
        return list(dict.fromkeys(finding.column for finding in self.findings))

    def to_dict(self) -> dict[str, Any]:
        """For `findings.json`. `seconds` is left out: same table, same bytes."""
        return {
            "findings": [finding.to_dict() for finding in self.findings],
            "quasi_identifiers": [quasi.to_dict() for quasi in self.quasi_identifiers],
            "columns_with_findings": self.columns_with_findings,
            "num_rows": self.num_rows,
            "columns_scanned": list(self.columns_scanned),
            "cells_scanned": self.cells_scanned,
            "complete": self.complete,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ScanResult:
        """Inverse of `to_dict` (`seconds` comes back as 0).

        Raises:
            ScanIncompleteError: the report is damaged or says that the scan was not complete.
        """
        try:
            if data["complete"] is not True:
                raise ScanIncompleteError("the findings report says the scan was not complete: run verify again")
            return cls(
                findings=tuple(Finding.from_dict(item) for item in data["findings"]),
                quasi_identifiers=tuple(QuasiIdentifier(**item) for item in data["quasi_identifiers"]),
                num_rows=data["num_rows"],
                columns_scanned=tuple(data["columns_scanned"]),
                cells_scanned=data["cells_scanned"],
                complete=True,
                seconds=0.0,
            )
        except (KeyError, TypeError) as err:
            raise ScanIncompleteError(
                f"expected a findings report as TabVeil writes it, however: {type(err).__name__}; run verify again"
            ) from err
