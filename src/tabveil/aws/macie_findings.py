"""Macie's findings as ours: which object, which type, how often, in which columns, and was all of it read.

Pure functions on what `get_findings` answers. Macie shows at most 15 places of a detection; what is not shown belongs
to no column here, and no policy of a column excuses it.
Source: Amazon Macie API reference, Findings, https://docs.aws.amazon.com/macie/latest/APIReference/findings-describe.html
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tabveil.custom_types import IdentifierSpec
from tabveil.errors import CloudError, ScanIncompleteError
from tabveil.pii.custom import TYPE_OF_MANAGED, custom_identifier, type_of_custom
from tabveil.pii.findings import MAX_LOCATIONS, Finding
from tabveil.pii.identifiers import Category, Severity

COMPLETE = "COMPLETE"
UNLOCATED = "(not located)"  # no column has this name
MARKER_TYPE = "END_OF_TABLE"
MARKER_TEXT = "TABVEIL-END-OF-TABLE-0001"
MARKER = custom_identifier(
    MARKER_TYPE,
    IdentifierSpec(regex=r"\bTABVEIL-END-OF-TABLE-\d{4}\b", severity={"LOW": 1}, description="end of a scanned table"),
)
"""The identifier that every scanned object must be found to hold, in its last line."""
_JSON_FIELD = re.compile(r"\$\.(\w+)|\$\[['\"]([^'\"]+)['\"]\]")


@dataclass(frozen=True)
class Detection:
    """One type in one object.

    Args:
        type: our name of it; Macie's own where we have none.
        count: occurrences in the object (of NAME and ADDRESS Macie counts up to 1,000 per file).
        places: (column name as in the file or "", row or 0) of at most 15 of them.
    """

    type: str
    category: Category
    count: int
    places: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class ObjectFinding:
    """What Macie says about one object."""

    key: str
    version_id: str | None
    status: str
    reason: str
    severity: Severity
    detections: tuple[Detection, ...]

    @property
    def read_to_its_end(self) -> bool:
        """Completely analysed, and the marker of the last line was seen."""
        return self.status == COMPLETE and any(d.type == MARKER_TYPE for d in self.detections)


def parse(finding: Mapping[str, Any]) -> ObjectFinding:
    """One element of `get_findings`.

    Raises:
        CloudError: not a sensitive-data finding as the service model has it.
    """
    try:
        result = finding["classificationDetails"]["result"]
        located = finding["resourcesAffected"]["s3Object"]
        return ObjectFinding(
            key=located["key"],
            version_id=located.get("versionId") or None,
            status=result["status"]["code"],
            reason=result["status"].get("reason") or "no reason given",
            severity=Severity(finding["severity"]["description"]),
            detections=tuple(_detections(result)),
        )
    except (KeyError, TypeError, ValueError) as err:
        raise CloudError(
            f"Macie must answer findings as its service model has them, however: {type(err).__name__} {err}; "
            "compare the pinned boto3 with AWS's current API"
        ) from err


def by_object(findings: Iterable[ObjectFinding]) -> dict[str, ObjectFinding]:
    """One finding per object; the worst status of several is the object's."""
    merged: dict[str, ObjectFinding] = {}
    for found in findings:
        known = merged.get(found.key)
        if known is None:
            merged[found.key] = found
        else:
            worse = known if known.status != COMPLETE else found
            merged[found.key] = replace(worse, detections=known.detections + found.detections)
    return merged


def _detections(result: Mapping[str, Any]) -> Iterator[Detection]:
    for item in result.get("sensitiveData") or ():
        for found in item["detections"]:
            type_ = TYPE_OF_MANAGED.get(found["type"], found["type"])
            yield Detection(type_, Category(item["category"]), found["count"], tuple(_places(found)))
    for found in (result.get("customDataIdentifiers") or {}).get("detections") or ():
        type_ = type_of_custom(found["name"]) or found["name"]
        yield Detection(type_, Category.CUSTOM, found["count"], tuple(_places(found)))


def _places(found: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Cells of CSV, records of Parquet; of other places (a line, a page) no column is known."""
    occurrences = found.get("occurrences") or {}
    for cell in occurrences.get("cells") or ():
        yield cell.get("columnName") or "", cell.get("row") or 0
    for record in occurrences.get("records") or ():
        field = _JSON_FIELD.match(record.get("jsonPath") or "")
        yield (field[1] or field[2]) if field else "", (record.get("recordIndex") or 0) + 1


def require_read(seen: Mapping[str, ObjectFinding], uploaded: Mapping[str, str | None]) -> None:
    """Let pass only what was read as a whole: no finding is no proof.

    Args:
        seen: key -> what `by_object` says.
        uploaded: key -> version id (None: not known) of every object that the job was to read.

    Raises:
        ScanIncompleteError: an object is not reported as COMPLETE with its end marker, or another object or version
            was read.
    """
    faults = []
    for key in sorted({*uploaded, *seen}):
        finding = seen.get(key)
        if finding is not None and finding.status != COMPLETE:
            faults.append(f"{_name(key)} is {finding.status} ({finding.reason})")
        elif finding is None or not finding.read_to_its_end:
            faults.append(f"{_name(key)} was not read to its end")
        elif key not in uploaded or not _same(finding.version_id, uploaded[key]):
            faults.append(f"{_name(key)} is not what was uploaded")
    if faults:
        raise ScanIncompleteError(
            f"Macie must read all of {len(uploaded)} objects, however: {'; '.join(faults)}; see the job's events in "
            "CloudWatch (log group /aws/macie/classificationjobs) and run verify again"
        )


def _same(seen: str | None, sent: str | None) -> bool:
    return seen is None or sent is None or seen == sent


def _name(key: str) -> str:
    return key.rsplit("/", 1)[-1]


def column_findings(found: ObjectFinding, columns: Mapping[str, str], cells: Mapping[str, int]) -> list[Finding]:
    """What one object holds, per column; of the marker there is no finding.

    Where Macie locates every occurrence, or the object has one column, counts are exact. Else each column has what was
    located there, and the rest is a finding of the column `UNLOCATED`: it is nobody's.

    Args:
        columns: column name in the file -> name in the table.
        cells: name in the table -> its non-empty cells, for every column of the table, in order.
    """
    counts: Counter[tuple[str, str]] = Counter()
    rows: dict[tuple[str, str], list[int]] = {}
    categories: dict[str, Category] = {}
    for detection in found.detections:
        if detection.type == MARKER_TYPE:
            continue
        categories.setdefault(detection.type, detection.category)
        for column, number, row_numbers in _shares(detection, columns):
            counts[column, detection.type] += number
            rows.setdefault((column, detection.type), []).extend(row_numbers)
    order = {name: number for number, name in enumerate(cells, start=1)}
    return [
        Finding(
            type=type_,
            category=categories[type_],
            severity=found.severity,
            column=column,
            column_number=order.get(column, 0),
            count=number,
            share=round(min(1.0, number / max(1, cells.get(column, max(cells.values(), default=1)))), 6),
            rows=tuple(sorted({row for row in rows[column, type_] if row}))[:MAX_LOCATIONS],
        )
        for (column, type_), number in sorted(counts.items())
    ]


def _shares(detection: Detection, columns: Mapping[str, str]) -> Iterator[tuple[str, int, list[int]]]:
    """(column of the table, occurrences, rows) of one detection; they add up to its count."""
    if len(columns) == 1:
        yield next(iter(columns.values())), detection.count, [row for _, row in detection.places]
        return
    located: dict[str, list[int]] = {}
    for header, row in detection.places:
        located.setdefault(columns.get(header, UNLOCATED), []).append(row)
    rest = detection.count - len(detection.places)
    if rest > 0:
        located.setdefault(UNLOCATED, [])
    for column, row_numbers in located.items():
        yield column, len(row_numbers) + (max(rest, 0) if column == UNLOCATED else 0), row_numbers
