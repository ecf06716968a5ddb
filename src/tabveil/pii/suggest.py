"""What to declare for a column in which a scan found something: one semantic type for each column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tabveil.pii.findings import Finding, ScanResult
from tabveil.pii.identifiers import NATIONAL_TYPES

_ONE_COUNTRY_SHARE = 0.9  # of the national ids; below it the column mixes countries


@dataclass(frozen=True)
class Suggestion:
    """The semantic type that fits one column.

    Args:
        type: a type of `tabveil.pii.identifiers`; that of the strongest finding, also where it stands in text.
        in_text: it is mentioned inside longer text, so that the column is `FREE_TEXT`.
        quasi: a quasi-identifier or an id, no finding.
    """

    column: str
    type: str
    in_text: bool = False
    quasi: bool = False

    @property
    def semantic_type(self) -> str:
        """What to declare."""
        return "FREE_TEXT" if self.in_text else self.type


def suggest_types(result: ScanResult) -> list[Suggestion]:
    """One suggestion for every column with a finding, then for every column with a quasi-identifier."""
    found: dict[str, list[Finding]] = {}
    for finding in result.findings:
        found.setdefault(finding.column, []).append(finding)
    quasi = [Suggestion(item.column, item.type, quasi=True) for item in result.quasi_identifiers]
    return [*(suggest_type(findings) for findings in found.values()), *quasi]


def suggest_type(findings: Sequence[Finding]) -> Suggestion:
    """What fits the findings of one column best: whole cells before mentions, then the most frequent type.

    A column of national ids of which no country has nine tenths is a `NATIONAL_ID`.

    Args:
        findings: at least one, all of the same column.
    """
    strongest = max(findings, key=lambda finding: (not finding.in_text, finding.count, finding.type))
    type_ = strongest.type
    if type_ in NATIONAL_TYPES and not strongest.in_text:
        national = sum(f.count for f in findings if f.type in NATIONAL_TYPES and not f.in_text)
        type_ = type_ if strongest.count >= _ONE_COUNTRY_SHARE * national else "NATIONAL_ID"
    return Suggestion(strongest.column, type_, in_text=strongest.in_text)
