"""The local scanner: every row of every column, read as distinct values.

Per column: cell rules decide what the column *is*; mention finders look for what is written *inside* its texts;
dates of birth are told by header and distribution. All or nothing: a column that cannot be read or a time-out
raises, there is no partial result.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import polars as pl
import pyarrow as pa

from tabveil.errors import ScanIncompleteError
from tabveil.pii import alone, lexicon, mentions
from tabveil.pii.checks import Hits, matches
from tabveil.pii.columns import DistinctColumn, Kind, fold_series, read_column
from tabveil.pii.declared import NOTHING_DECLARED, DeclaredTypes
from tabveil.pii.findings import MAX_LOCATIONS, Finding, QuasiIdentifier, ScanResult
from tabveil.pii.identifiers import TYPES, fold_header, header_announces, header_names, header_names_other, quasi_type
from tabveil.pii.person_ids import id_owner
from tabveil.pii.rules import CELL_RULES, CellRule
from tabveil.pii.shapes import Bounds

_ISO_DATE = r"\d{4}-\d{2}-\d{2}(?:[ T]00:00:00)?"
_ANY_DATE = _ISO_DATE + r"|\d{1,2}[./-]\d{1,2}[./-](?:\d{4}|\d{2})|\d{1,2}[ -]\p{L}{3,9}[ -]\d{4}"
_DATE_BOUNDS = Bounds(size=(6, 44), digits=(4, 14))  # of `_ANY_DATE`; nine letters of four bytes at most
_EVENT_DATE = (
    "open", "opened", "start", "started", "issue", "issued", "credit", "account", "hire", "hired", "since", "create",
    "created", "update", "updated", "payment", "due", "end", "close", "closed", "maturity", "booking", "order",
    "transaction", "event", "founded", "release",
)  # fmt: skip
_Scanned = tuple[list[Finding], list[QuasiIdentifier]]
_MAX_THREADS = 4
_COST_CELLS = 50
_NUMERIC = (Kind.integer, Kind.decimal)
_FEW_WHOLE = 10  # distinct whole numbers that comply, where they are not the column's greater part
_SAMPLE_CELLS = 2000
_SAMPLED_SHARE = 0.1  # rules of a smaller least share read every value
_FIRM_SHARE = 0.1
_BIRTH_SHARE = 0.6  # under a header that says nothing; the other cells may say that none is known
_PROSE_SHARE = 0.2
_UNSURE_SHARE = 0.3  # of the long digit runs in a text column that must check out when nothing else vouches for them


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


def scan_table(
    table: pd.DataFrame,
    *,
    timeout_seconds: float,
    headers: Mapping[str, str] | None = None,
    declared: DeclaredTypes = NOTHING_DECLARED,
) -> ScanResult:
    """Find personal data in a whole table.

    Args:
        table: any frame; every row is read.
        timeout_seconds: a scan that takes longer raises.
        headers: descriptive (original) column names by table name; the header lexicon reads these.
        declared: the project's own types and allow lists (`conf/pii`).

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

    def scan(number: int) -> tuple[list[Finding], list[QuasiIdentifier]]:
        clock.check()
        name = names[number - 1]
        column = read_column(table.iloc[:, number - 1], name, (headers or {}).get(name, name))
        found = _scan_column(column, number, clock, declared)
        clock.done += 1
        return found, [] if found else _quasi(column)

    scanned = _in_threads(scan, [_cost(table.iloc[:, place]) for place in range(len(names))])
    return ScanResult(
        findings=tuple(finding for findings, _ in scanned for finding in findings),
        quasi_identifiers=tuple(item for _, quasi in scanned for item in quasi),
        num_rows=len(table),
        columns_scanned=tuple(names),
        cells_scanned=int(table.size),
        complete=True,
        seconds=time.monotonic() - started,
    )


def _in_threads(scan: Callable[[int], _Scanned], costs: Sequence[int]) -> list[_Scanned]:
    """Columns side by side: Arrow and Polars do most of the work and hold no lock. The first error ends the scan.

    Args:
        scan: takes a column's 1-based number.
        costs: of each column; the dearest are begun first, so that no thread is left alone with one at the end.
    """
    with ThreadPoolExecutor(max_workers=min(_MAX_THREADS, os.cpu_count() or 1)) as pool:
        order = sorted(range(len(costs)), key=lambda place: -costs[place])
        futures = {place: pool.submit(scan, place + 1) for place in order}
        try:
            return [futures[place].result() for place in range(len(costs))]
        except ScanIncompleteError:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _cost(series: pd.Series[Any]) -> int:
    """Characters of some cells: a column of long texts takes longest to scan."""
    return sum(len(str(cell)) for cell in series.iloc[:: max(1, len(series) // _COST_CELLS)])


def _scan_column(column: DistinctColumn, number: int, clock: _Clock, declared: DeclaredTypes) -> list[Finding]:
    if column.num_cells == 0 or column.kind is Kind.boolean:
        return []
    whole = _birth_hits(column)
    if not whole and column.kind is not Kind.date:
        whole = _coordinate_hits(column) or _cell_hits(column, clock)
    whole = declared.without_allowed(column, whole)
    mentioned: dict[str, Hits] = {}
    if column.kind is Kind.text:
        free = _unexplained(column, whole)
        sentences = free & _textual(column)
        mentioned = _mention_hits(column, whole, {True: free, False: sentences}, clock, declared)
        single = alone.hits(column, free & ~sentences, names="ADDRESS" not in whole)
        whole, mentioned = _joined(whole, mentioned, declared.without_allowed(column, single))
    found = {type_: _finding(column, number, type_, hits, in_text=True) for type_, hits in mentioned.items()}
    found |= {type_: _finding(column, number, type_, hits, in_text=False) for type_, hits in whole.items()}
    found |= {finding.type: finding for finding in declared.findings(column, number, clock.check)}
    return [found[type_] for type_ in sorted(found)]


def _unexplained(column: DistinctColumn, whole: Mapping[str, Hits]) -> Hits:
    """Distinct values that are nothing as a whole."""
    free = np.ones(len(column.values), dtype=bool)
    for cells in whole.values():
        free &= ~cells
    return free


def _joined(
    whole: Mapping[str, Hits], mentioned: Mapping[str, Hits], single: Mapping[str, Hits]
) -> tuple[dict[str, Hits], dict[str, Hits]]:
    """Single cells go with the column's whole cells of that type, else with its mentions, else stand alone."""
    cells, texts = dict(whole), dict(mentioned)
    for type_, hits in single.items():
        kept = texts if type_ in texts and type_ not in cells else cells
        kept[type_] = kept[type_] | hits if type_ in kept else hits
    return cells, texts


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


def _cell_hits(column: DistinctColumn, clock: _Clock) -> dict[str, Hits]:
    """Per type, which distinct values are one of it; each value belongs to the first rule it satisfies.

    In a decimal column only the whole numbers are read.
    """
    hits: dict[str, Hits] = {}
    whole = matches(column.texts, "^-?[0-9]+$") if column.kind is Kind.decimal else None
    free = np.ones(len(column.values), dtype=bool) if whole is None else whole
    if not free.any():
        return hits
    num_cells = column.cells(free)
    sample = _Sample.of(column, free)
    believed = _weak_is_believed(column, sample)
    for rule in CELL_RULES:
        clock.check()
        share, announced = _least_share(rule, column)
        if share is None or not _can_comply(rule, column) or not (believed or announced or not rule.weak):
            continue
        possible = free & column.shapes.within(rule.bounds)
        least = 0.0 if rule.alike else share * num_cells - column.cells(hits.get(rule.type, ~free & free))
        if not possible.any() or column.cells(possible) < least or not sample.may_reach(rule, share):
            continue
        alike = _matching(rule.pattern, column, possible, folded=rule.folded)
        found = _checked(rule, column.values, alike)
        together = hits.get(rule.type, np.zeros_like(found)) | found
        of = column.cells(alike) if rule.alike else num_cells
        enough = bool(found.any()) and column.cells(found if rule.alike else together) >= share * of
        few = not rule.alone and whole is not None and column.cells(together) < share * column.num_cells  # of fractions
        if enough and (announced or int(found.sum()) >= max(rule.min_distinct, _FEW_WHOLE if few else 0)):
            hits[rule.type] = together
            free = free & ~found
    return hits


def _matching(pattern: str, column: DistinctColumn, possible: Hits, *, folded: bool = False) -> Hits:
    """Those of the possible values that match a pattern as a whole."""
    if not possible.any():
        return possible
    texts = column.folded if folded else column.texts
    hits = possible.copy()
    hits[possible] = matches(texts if possible.all() else texts.filter(pa.array(possible)), f"^(?:{pattern})$")
    return hits


def _can_comply(rule: CellRule, column: DistinctColumn) -> bool:
    numeric = column.kind in _NUMERIC
    return (rule.numeric or not numeric) and column.shapes.characters.issuperset(rule.needs)


def _checked(rule: CellRule, values: pl.Series, found: Hits) -> Hits:
    """Those of the values found by pattern that pass the rule's check."""
    if rule.check is None or not found.any():
        return found
    valid = np.zeros_like(found)
    valid[found] = rule.check(values.filter(pl.Series(found)))
    return valid


def _least_share(rule: CellRule, column: DistinctColumn) -> tuple[float | None, bool]:
    if header_announces(column.header, rule.type) and (not rule.words or header_names(column.header, rule.words)):
        return rule.header_share, True
    return rule.share, False


def _weak_is_believed(column: DistinctColumn, sample: _Sample) -> bool:
    """Whether words may say that cells are people: not under another subject's header, not where cells are firms."""
    return not header_names_other(column.header) and lexicon.firms(sample.folded).mean() < _FIRM_SHARE


@dataclass(frozen=True)
class _Sample:
    """Values of some cells, evenly spaced: it tells which rules cannot reach their share, nothing else."""

    values: pl.Series
    whole: bool

    @cached_property
    def folded(self) -> pl.Series:
        """The values in lower-case ASCII."""
        return fold_series(self.values)

    @classmethod
    def of(cls, column: DistinctColumn, free: Hits) -> _Sample:
        """At most `_SAMPLE_CELLS` cells; all distinct values where they are fewer."""
        if len(column.values) <= _SAMPLE_CELLS:
            return cls(column.values.filter(pl.Series(free)), whole=True)
        codes = column.codes[column.codes >= 0]
        codes = codes[free[codes]]
        step = max(1, len(codes) // _SAMPLE_CELLS)
        return cls(column.values[codes[::step]], whole=False)

    def may_reach(self, rule: CellRule, share: float) -> bool:
        """False if so few of the sampled cells comply that the column cannot (odds below 1e-12)."""
        if self.whole or share < _SAMPLED_SHARE or rule.alike or rule.check is None:
            return True
        found = _checked(
            rule, self.values, matches(self.folded if rule.folded else self.values, f"^(?:{rule.pattern})$")
        )
        return bool(found.mean() >= share / 2)


def _mention_hits(
    column: DistinctColumn,
    whole: Mapping[str, Hits],
    reach: Mapping[bool, Hits],
    clock: _Clock,
    declared: DeclaredTypes,
) -> dict[str, Hits]:
    """Per type, which distinct texts mention it; values explained as whole cells and allowed texts are left out.

    Where mentions overlap, the earlier kind in `MENTIONS` wins.

    Args:
        reach: values to read for mentions found `anywhere`, and for those found in sentences only.
    """
    hits: dict[str, Hits] = {}
    taken: dict[int, list[mentions.Span]] = {}
    for mention in mentions.MENTIONS:
        clock.check()
        if mention.type == "NAME" and "ADDRESS" in whole:
            continue  # streets are named after people
        candidates = _candidates(column, mention, reach[mention.anywhere])
        unsure: list[int] = []
        for step, position in enumerate(candidates.tolist()):
            if step % 1024 == 0:
                clock.check()
            text = column.values[position]
            for span in mentions.free_spans(mention, text, taken.get(position, ())):
                if declared.allows(span.type, text[span.start : span.end]):
                    continue
                taken.setdefault(position, []).append(span)
                if span.certain:
                    hits.setdefault(span.type, np.zeros(len(column.values), dtype=bool))[position] = True
                else:
                    unsure.append(position)
        _accept_unsure(column, mention.type, unsure, hits)
    return hits


def _candidates(column: DistinctColumn, mention: mentions.Mention, reach: Hits) -> npt.NDArray[np.intp]:
    """Positions of values worth the exact finder."""
    reach = reach & column.shapes.within(mention.bounds)
    if not reach.any() or not any(column.shapes.characters.issuperset(needed) for needed in mention.needs):
        return np.empty(0, dtype=np.intp)
    positions = np.flatnonzero(reach)
    positions = positions[matches(column.texts.filter(pa.array(reach)), mention.prefilter)]
    if mention.sieve is None or not len(positions):
        return positions
    return positions[mention.sieve(column.values[positions])]


def _textual(column: DistinctColumn) -> Hits:
    """Values to read as text: of two words or more where a fifth of the column is sentences, else of four."""
    if " " not in column.shapes.characters and not column.shapes.odd.any():
        return np.zeros(len(column.values), dtype=bool)
    sentences = matches(column.texts, r"\S+\s+\S+\s+\S+\s+\S")
    is_prose = column.cells(sentences) >= _PROSE_SHARE * column.num_cells
    return matches(column.texts, r"\S\s+\S") if is_prose else sentences


def _accept_unsure(column: DistinctColumn, type_: str, unsure: list[int], hits: dict[str, Hits]) -> None:
    """Bare numbers that pass a check count if enough of the column's such numbers do (2-10 % do by chance)."""
    if not unsure:
        return
    numbered = np.flatnonzero(column.shapes.digits >= mentions.LEAST_UNSURE_DIGITS)
    total = sum(mentions.unchecked(type_, column.values[int(position)]) for position in numbered)
    if len(unsure) >= _UNSURE_SHARE * total:
        hits.setdefault(type_, np.zeros(len(column.values), dtype=bool))[unsure] = True


def _coordinate_hits(column: DistinctColumn) -> dict[str, Hits]:
    """Decimal columns named latitude or longitude, in range, of street-level precision (three decimals)."""
    if column.kind is not Kind.decimal or not header_announces(column.header, "GEO_COORDINATES"):
        return {}
    numbers = column.values.cast(pl.Float64).abs().to_numpy()
    hits = matches(column.texts, r"\.\d{3,}$") & (numbers <= 180)
    return {"GEO_COORDINATES": hits} if column.cells(hits) >= 0.3 * column.num_cells else {}


def _birth_hits(column: DistinctColumn) -> dict[str, Hits]:
    """Dates that are dates of birth: the header says so, or years spread like those of adults' births."""
    if column.kind in _NUMERIC:
        return {}
    hits = _matching(_ANY_DATE, column, column.shapes.within(_DATE_BOUNDS))
    if column.cells(hits) < 0.3 * column.num_cells:
        return {}
    if header_announces(column.header, "DATE_OF_BIRTH") or _spread_like_births(column, hits):
        return {"DATE_OF_BIRTH": hits}
    return {}


def _spread_like_births(column: DistinctColumn, hits: Hits) -> bool:
    if header_names(column.header, _EVENT_DATE) or column.cells(hits) < _BIRTH_SHARE * column.num_cells:
        return False
    years = column.values.filter(pl.Series(hits)).str.extract(r"(\d{4})").cast(pl.Int32, strict=False).drop_nulls()
    if len(years) < 30:
        return False
    low, high = np.quantile(years.to_numpy(), [0.02, 0.98])
    return bool(low >= 1900 and high <= 2012 and high - low >= 30)


def _quasi(column: DistinctColumn) -> list[QuasiIdentifier]:
    type_ = _unique_identifier(column) if id_owner(column.header) else quasi_type(column.header)
    type_ = type_ or _unique_identifier(column)
    if type_ is None or column.num_cells == 0:
        return []
    return [QuasiIdentifier(type_, column.name, len(column.values), int(column.counts.min()))]


def _unique_identifier(column: DistinctColumn) -> str | None:
    """An id: a person's by its header; named like one and mostly distinct; or text codes that hardly ever repeat."""
    if column.kind in (Kind.text, Kind.integer) and id_owner(column.header) is not None:
        return "UNIQUE_IDENTIFIER"
    distinct = len(column.values) / max(column.num_cells, 1)
    named = header_names(column.header, TYPES["UNIQUE_IDENTIFIER"].headers) or fold_header(column.header).endswith(
        "_id"
    )
    if named and distinct > 0.5:
        return "UNIQUE_IDENTIFIER"
    coded = column.kind is Kind.text and distinct > 0.98 and column.num_cells >= 50
    if coded and matches(column.texts, r"^[A-Za-z0-9._/-]*\d[A-Za-z0-9._/-]*$").mean() > 0.95:
        return "UNIQUE_IDENTIFIER"
    return None
