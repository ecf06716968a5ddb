"""The local scanner: every row of every column, read as distinct values.

Per column: cell rules decide what the column *is*; mention finders look for what is written *inside* its texts;
dates of birth are told by header and distribution. All or nothing: a column that cannot be read or a time-out
raises, there is no partial result.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import polars as pl

from tabveil.errors import ScanIncompleteError
from tabveil.pii import mentions
from tabveil.pii.columns import DistinctColumn, Kind, read_column
from tabveil.pii.findings import MAX_LOCATIONS, Finding, QuasiIdentifier, ScanResult
from tabveil.pii.identifiers import TYPES, fold_header, header_announces, header_names, quasi_type
from tabveil.pii.rules import CELL_RULES, CellRule

Hits = npt.NDArray[np.bool_]
_ISO_DATE = r"\d{4}-\d{2}-\d{2}(?:[ T]00:00:00)?"
_ANY_DATE = _ISO_DATE + r"|\d{1,2}[./-]\d{1,2}[./-](?:\d{4}|\d{2})|\d{1,2}[ -]\p{L}{3,9}[ -]\d{4}"
_EVENT_DATE = (
    "open", "opened", "start", "started", "issue", "issued", "credit", "account", "hire", "hired", "since", "create",
    "created", "update", "updated", "payment", "due", "end", "close", "closed", "maturity", "booking", "order",
    "transaction", "event", "founded", "release",
)  # fmt: skip
_NUMERIC = (Kind.integer, Kind.decimal)
_FEW_WHOLE = 10  # distinct whole numbers that comply, where they are not the column's greater part
_PROSE_SHARE = 0.2
_CARD_SHARE = 0.3  # of the long digit runs in a text column that must check out when nothing else vouches for them


@dataclass
class _Clock:
    """Deadline of a scan; the message counts what was done."""

    deadline: float
    timeout_seconds: float
    num_columns: int
    done: int = 0

    def check(self) -> None:
        if time.monotonic() > self.deadline:
            raise ScanIncompleteError(
                f"the PII scan must end within {self.timeout_seconds:g} s, however after that {self.done} of "
                f"{self.num_columns} columns were scanned: raise pii.timeout_seconds"
            )


def scan_table(table: pd.DataFrame, *, timeout_seconds: float, headers: Mapping[str, str] | None = None) -> ScanResult:
    """Find personal data in a whole table.

    Args:
        table: any frame; every row is read.
        timeout_seconds: a scan that takes longer raises.
        headers: descriptive (original) column names by table name; the header lexicon reads these.

    Returns:
        Findings in column order (then by type), quasi-identifiers, and what was covered. Always complete.

    Raises:
        ScanIncompleteError: a column cannot be read, or the time is up.
    """
    started = time.monotonic()
    names = [str(name) for name in table.columns]
    if len(set(names)) != len(names):
        raise ScanIncompleteError("the table cannot be scanned: column names are not unique; rename them")
    clock = _Clock(started + timeout_seconds, timeout_seconds, len(names))
    findings: list[Finding] = []
    quasi: list[QuasiIdentifier] = []
    for number, name in enumerate(names, start=1):
        clock.check()
        column = read_column(table.iloc[:, number - 1], name, (headers or {}).get(name, name))
        found = _scan_column(column, number, clock)
        findings += found
        if not found:
            quasi += _quasi(column)
        clock.done += 1
    return ScanResult(
        findings=tuple(findings),
        quasi_identifiers=tuple(quasi),
        num_rows=len(table),
        columns_scanned=tuple(names),
        cells_scanned=int(table.size),
        complete=True,
        seconds=time.monotonic() - started,
    )


def _scan_column(column: DistinctColumn, number: int, clock: _Clock) -> list[Finding]:
    if column.num_cells == 0 or column.kind is Kind.boolean:
        return []
    whole = _birth_hits(column)
    if not whole and column.kind is not Kind.date:
        whole = _coordinate_hits(column) or _cell_hits(column, clock)
    found = {type_: _finding(column, number, type_, hits, in_text=False) for type_, hits in whole.items()}
    if column.kind is Kind.text:
        for type_, hits in _mention_hits(column, whole, clock).items():
            if type_ not in found:
                found[type_] = _finding(column, number, type_, hits, in_text=True)
    return [found[type_] for type_ in sorted(found)]


def _finding(column: DistinctColumn, number: int, type_: str, hits: Hits, *, in_text: bool) -> Finding:
    kind, count = TYPES[type_], column.cells(hits)
    return Finding(
        type=type_,
        category=kind.category,
        severity=kind.severity(count),
        column=column.name,
        column_number=number,
        count=count,
        share=round(count / column.num_cells, 6),
        rows=column.rows(hits, MAX_LOCATIONS),
        in_text=in_text,
        by_header=header_announces(column.header, type_),
    )


def _matches(values: pl.Series, pattern: str) -> Hits:
    return values.str.contains(pattern).to_numpy().astype(bool)


def _cell_hits(column: DistinctColumn, clock: _Clock) -> dict[str, Hits]:
    """Per type, which distinct values are one of it; each value belongs to the first rule it satisfies.

    In a decimal column only the whole numbers are read.
    """
    hits: dict[str, Hits] = {}
    decimal = column.kind is Kind.decimal
    free = _matches(column.values, "^-?[0-9]+$") if decimal else np.ones(len(column.values), dtype=bool)
    num_cells = column.cells(free)
    for rule in CELL_RULES:
        clock.check()
        share, announced = _least_share(rule, column)
        if share is None or (column.kind in _NUMERIC and not rule.numeric) or not free.any():
            continue
        found = free & _matches(column.values, f"^(?:{rule.pattern})$")
        if found.any() and rule.validate is not None:
            found = _validated(column.values, found, rule.validate, clock)
        together = hits.get(rule.type, np.zeros_like(found)) | found
        enough = bool(found.any()) and column.cells(together) >= share * num_cells
        few = decimal and column.cells(together) < share * column.num_cells  # whole ones among many fractions
        if enough and (announced or int(found.sum()) >= max(rule.min_distinct, _FEW_WHOLE if few else 0)):
            hits[rule.type] = together
            free &= ~found
    return hits


def _least_share(rule: CellRule, column: DistinctColumn) -> tuple[float | None, bool]:
    if header_announces(column.header, rule.type):
        return rule.header_share, True
    return rule.share, False


def _validated(values: pl.Series, found: Hits, validate: Callable[[str], bool], clock: _Clock) -> Hits:
    valid = np.zeros_like(found)
    for step, position in enumerate(np.flatnonzero(found)):
        if step % 4096 == 0:
            clock.check()
        valid[position] = validate(values[int(position)])
    return valid


def _mention_hits(column: DistinctColumn, whole: Mapping[str, Hits], clock: _Clock) -> dict[str, Hits]:
    """Per type, which distinct texts mention it; values explained as whole cells are left out."""
    explained = np.zeros(len(column.values), dtype=bool)
    for cells in whole.values():
        explained |= cells
    textual = _textual(column)
    hits: dict[str, Hits] = {}
    for mention in mentions.MENTIONS:
        if mention.type == "NAME" and "ADDRESS" in whole:
            continue  # streets are named after people
        reach = ~explained if mention.anywhere else (textual & ~explained)
        candidates = np.flatnonzero(reach & _matches(column.values, mention.prefilter))
        unsure: list[tuple[int, str]] = []
        for step, position in enumerate(candidates):
            if step % 1024 == 0:
                clock.check()
            for span in mention.find(column.values[int(position)]):
                if span.certain:
                    hits.setdefault(span.type, np.zeros(len(column.values), dtype=bool))[position] = True
                else:
                    unsure.append((int(position), span.type))
        _accept_unsure(column, candidates, unsure, hits)
    return hits


def _textual(column: DistinctColumn) -> Hits:
    """Values to read as text: of three words or more; of two, where a fifth of the column is sentences."""
    sentences = _matches(column.values, r"\S+\s+\S+\s+\S+\s+\S+")
    is_prose = column.cells(sentences) >= _PROSE_SHARE * column.num_cells
    return _matches(column.values, r"\S\s+\S" if is_prose else r"\S\s+\S+\s+\S")


def _accept_unsure(
    column: DistinctColumn, candidates: npt.NDArray[np.intp], unsure: list[tuple[int, str]], hits: dict[str, Hits]
) -> None:
    """Numbers that only pass their check digit count if enough of the column's long numbers do (chance: 2 %)."""
    if not unsure:
        return
    total = sum(mentions.card_candidates(column.values[int(position)]) for position in candidates)
    if len(unsure) >= _CARD_SHARE * total:
        for position, type_ in unsure:
            hits.setdefault(type_, np.zeros(len(column.values), dtype=bool))[position] = True


def _coordinate_hits(column: DistinctColumn) -> dict[str, Hits]:
    """Decimal columns named latitude or longitude, in range, of street-level precision (three decimals)."""
    if column.kind is not Kind.decimal or not header_announces(column.header, "GEO_COORDINATES"):
        return {}
    numbers = column.values.cast(pl.Float64).abs().to_numpy()
    hits = _matches(column.values, r"\.\d{3,}$") & (numbers <= 180)
    return {"GEO_COORDINATES": hits} if column.cells(hits) >= 0.3 * column.num_cells else {}


def _birth_hits(column: DistinctColumn) -> dict[str, Hits]:
    """Dates that are dates of birth: the header says so, or years spread like those of adults' births."""
    if column.kind in _NUMERIC:
        return {}
    hits = _matches(column.values, f"^(?:{_ANY_DATE})$")
    if column.cells(hits) < 0.3 * column.num_cells:
        return {}
    if header_announces(column.header, "DATE_OF_BIRTH") or _spread_like_births(column, hits):
        return {"DATE_OF_BIRTH": hits}
    return {}


def _spread_like_births(column: DistinctColumn, hits: Hits) -> bool:
    if header_names(column.header, _EVENT_DATE) or column.cells(hits) < 0.95 * column.num_cells:
        return False
    years = column.values.filter(pl.Series(hits)).str.extract(r"(\d{4})").cast(pl.Int32, strict=False).drop_nulls()
    if len(years) < 30:
        return False
    low, high = np.quantile(years.to_numpy(), [0.02, 0.98])
    return bool(low >= 1900 and high <= 2012 and high - low >= 30)


def _quasi(column: DistinctColumn) -> list[QuasiIdentifier]:
    type_ = quasi_type(column.header) or _unique_identifier(column)
    if type_ is None or column.num_cells == 0:
        return []
    return [QuasiIdentifier(type_, column.name, len(column.values), int(column.counts.min()))]


def _unique_identifier(column: DistinctColumn) -> str | None:
    """An id: named like one, or text codes that hardly ever repeat."""
    distinct = len(column.values) / max(column.num_cells, 1)
    named = header_names(column.header, TYPES["UNIQUE_IDENTIFIER"].headers) or fold_header(column.header).endswith(
        "_id"
    )
    if named and distinct > 0.5:
        return "UNIQUE_IDENTIFIER"
    coded = column.kind is Kind.text and distinct > 0.98 and column.num_cells >= 50
    if coded and _matches(column.values, r"^[A-Za-z0-9._/-]*\d[A-Za-z0-9._/-]*$").mean() > 0.95:
        return "UNIQUE_IDENTIFIER"
    return None
