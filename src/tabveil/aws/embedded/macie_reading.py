"""What Macie would see in one object: the project's own scanner for managed identifiers, regexes for custom ones.

An object is CSV with a header line, in UTF-8. Rows are numbered from 1 below the header.
"""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import polars as pl

from tabveil.pii import scan_table
from tabveil.pii.custom import MANAGED_IDENTIFIERS
from tabveil.pii.identifiers import TYPES, Category, Severity

SCAN_SECONDS = 600.0
_WHOLE = r"^-?(?:0|[1-9][0-9]{0,17})$"
_NUMBER = r"^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$"
_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}(?: [0-9]{2}:[0-9]{2}:[0-9]{2})?$"
_LOGICAL = r"^(?:True|False|true|false)$"


@dataclass
class Detected:
    """One identifier's hits in one object.

    Args:
        name: a managed identifier's id, or a custom one's name.
        arn: of a custom identifier.
        cells: (row, column number, column name) of its hits, as many as were kept.
    """

    name: str
    category: Category
    severity: Severity
    count: int = 0
    arn: str | None = None
    cells: list[tuple[int, int, str]] = field(default_factory=list)


def read_csv(content: bytes) -> pl.DataFrame:
    """Every cell as text, empty ones missing.

    Raises:
        ValueError: not UTF-8, or not a table.
    """
    try:
        content.decode("utf-8")
        return pl.read_csv(io.BytesIO(content), infer_schema=False, quote_char='"')
    except pl.exceptions.PolarsError as err:
        raise ValueError(f"not a CSV table ({type(err).__name__})") from err


def without_allowed(table: pl.DataFrame, words: Iterable[str], regexes: Iterable[str]) -> pl.DataFrame:
    """The table without allowed texts: words as they are (in either case), and what a regex matches."""
    patterns = [rf"(?i:(?:^|\b)(?:{re.escape(word)})(?:\b|$))" for word in words] + [
        f"(?:{regex})" for regex in regexes
    ]
    return table.with_columns(pl.all().str.replace_all("|".join(patterns), "")) if patterns else table


def typed(table: pl.DataFrame) -> pd.DataFrame:
    """The table with the column types that the texts show: whole numbers, numbers, dates, logical values, texts."""
    return pd.DataFrame({name: _typed(table[name]) for name in table.columns})


def _typed(column: pl.Series) -> Any:
    present = column.drop_nulls()

    def all_are(pattern: str) -> bool:
        return len(present) > 0 and bool(present.str.contains(pattern).all())

    if all_are(_WHOLE):
        return pd.array(column.cast(pl.Int64).to_list(), dtype="Int64")
    if all_are(_NUMBER):
        return column.cast(pl.Float64).to_pandas()
    if all_are(_DATE):
        return pd.to_datetime(column.to_pandas(), format="ISO8601")
    if all_are(_LOGICAL):
        return column.str.to_lowercase().replace_strict({"true": True, "false": False}).to_pandas()
    return column.to_pandas()


def managed_detections(table: pd.DataFrame, managed_ids: Iterable[str]) -> list[Detected]:
    """What the project's scanner finds of the types behind these managed identifiers."""
    wanted = set(managed_ids)
    detected: dict[str, Detected] = {}
    for finding in scan_table(table, timeout_seconds=SCAN_SECONDS).findings:
        id_ = next((id_ for id_ in MANAGED_IDENTIFIERS.get(finding.type, ()) if id_ in wanted), None)
        if id_ is None:
            continue
        hits = detected.setdefault(id_, Detected(id_, finding.category, Severity.LOW))
        hits.count += finding.count
        hits.severity = TYPES[finding.type].severity(hits.count)
        hits.cells += [(row, finding.column_number, finding.column) for row in finding.rows]
    return list(detected.values())


def custom_detection(table: pl.DataFrame, identifier: Mapping[str, Any], arn: str) -> Detected | None:
    """What one custom data identifier finds; None below its lowest severity threshold."""
    detected = Detected(identifier["name"], Category.CUSTOM, Severity.MEDIUM, arn=arn)
    for number, header in enumerate(table.columns, start=1):
        column = table[header]
        distinct = column.drop_nulls().unique(maintain_order=True)
        texts = distinct.filter(distinct.str.contains(identifier["regex"]))
        hits = Counter({text: count for text in texts if (count := sum(1 for _ in _matches(text, header, identifier)))})
        if hits:
            rows = [(row, text) for row, text in enumerate(column.to_list(), start=1) if text in hits]
            detected.count += sum(hits[text] for _, text in rows)
            detected.cells += [(row, number, header) for row, text in rows for _ in range(hits[text])]
    severity = _severity(identifier.get("severityLevels") or [], detected.count)
    if severity is None or not detected.count:
        return None
    detected.severity = severity
    return detected


def _matches(text: str, header: str, identifier: Mapping[str, Any]) -> Iterator[re.Match[str]]:
    """Matches that a keyword vouches for (before it in the cell, or in the column's name) and no ignore word denies."""
    keywords = [keyword.lower() for keyword in identifier.get("keywords") or []]
    named = any(_spaced(keyword) in _spaced(header.lower()) for keyword in keywords)
    distance = identifier.get("maximumMatchDistance") or 50
    for match in re.finditer(identifier["regex"], text):
        if any(word in match[0] for word in identifier.get("ignoreWords") or []):
            continue
        before = text[: match.start()].lower()
        near = (before.rfind(keyword) + len(keyword) for keyword in keywords if keyword in before)
        if not keywords or named or any(match.end() - end <= distance for end in near):
            yield match


def _spaced(name: str) -> str:
    return name.replace("_", " ").replace("-", " ")


def _severity(levels: Iterable[Mapping[str, Any]], count: int) -> Severity | None:
    reached = [level["severity"] for level in levels if count >= level["occurrencesThreshold"]]
    if not levels:
        return Severity.MEDIUM
    return max((Severity[name] for name in reached), key=list(Severity).index, default=None)
