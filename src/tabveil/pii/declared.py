"""The kinds of personal data that `conf/pii` declares, as the local scanner reads them, and its allow lists.

Matching follows Amazon Macie's rules for custom data identifiers and allow lists (`tabveil.custom_types`), so that one
declaration finds the same in both. All regular expressions run in the Rust engine of Polars, in time linear in the
text: no declaration can make a scan hang.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl
from stdnum import damm, luhn, verhoeff
from stdnum.iso7064 import mod_97_10

from tabveil.config import PIIConfig
from tabveil.custom_types import AllowSpec, CheckDigit, IdentifierSpec
from tabveil.errors import ConfigError
from tabveil.explain import did_you_mean
from tabveil.pii.columns import DistinctColumn, clean_text
from tabveil.pii.findings import MAX_LOCATIONS, Finding
from tabveil.pii.identifiers import QUASI_TYPES, TYPES, Category, Severity
from tabveil.pii.mentions import Span

Hits = npt.NDArray[np.bool_]
_OPEN, _CLOSE = "\ue000", "\ue001"  # private use: set around matches
_NOT_ALNUM = re.compile(r"[\W_]+")
_VALID: dict[CheckDigit, Callable[[str], bool]] = {
    CheckDigit.luhn: luhn.is_valid,
    CheckDigit.mod_97_10: mod_97_10.is_valid,
    CheckDigit.verhoeff: verhoeff.is_valid,
    CheckDigit.damm: damm.is_valid,
}


@dataclass(frozen=True)
class _Allowed:
    """Texts of one type that are not personal."""

    values: frozenset[str]
    pattern: str | None

    def hits(self, values: pl.Series) -> Hits:
        """Which of the texts are allowed."""
        lowered = values.str.to_lowercase()
        found: Hits = lowered.is_in(sorted(self.values)).to_numpy().astype(bool)
        return found if self.pattern is None else found | values.str.contains(self.pattern).to_numpy().astype(bool)


@dataclass(frozen=True)
class DeclaredTypes:
    """Compiled `pii.identifiers` and `pii.allow`. Make one with `of`.

    Args:
        identifiers: by type name (capitals).
        allowed: by type name, built in or declared.
    """

    identifiers: Mapping[str, IdentifierSpec] = field(default_factory=dict)
    allowed: Mapping[str, _Allowed] = field(default_factory=dict)

    @classmethod
    def of(cls, options: PIIConfig) -> DeclaredTypes:
        """Compile.

        Raises:
            ConfigError: a declared type is built in; an allow list is for an unknown type; a regex that the Rust
                engine does not read.
        """
        identifiers = {type_of_name(name): spec for name, spec in options.identifiers.items()}
        for type_, spec in identifiers.items():
            if type_ in TYPES or type_ in QUASI_TYPES:
                raise ConfigError(f"pii.identifiers.{type_.lower()} must have a name of its own: {type_} is built in")
            _check_rust(f"pii.identifiers.{type_.lower()}.regex", spec.regex)
        _check_rust("all regexes of pii.identifiers together", _alternatives(s.regex for s in identifiers.values()))
        known = (*TYPES, *identifiers)
        for type_, allow in options.allow.items():
            if type_ not in known:
                raise ConfigError(f"pii.allow.{type_} must be a type of docs/pii.md{did_you_mean(type_, known)}")
            for regex in allow.regexes:
                _check_rust(f"pii.allow.{type_}.regexes", regex)
            _check_rust(f"all regexes of pii.allow.{type_} together", _alternatives(allow.regexes))
        return cls(identifiers, {type_: _compiled(allow) for type_, allow in options.allow.items()})

    @property
    def types(self) -> tuple[str, ...]:
        """Every type a finding may have: built in and declared."""
        return (*TYPES, *self.identifiers)

    def allows(self, type_: str, text: str) -> bool:
        """Whether a text of that type is declared not to be personal."""
        allowed = self.allowed.get(type_)
        if allowed is None:
            return False
        cleaned = clean_text(text)
        return cleaned.lower() in allowed.values or (
            allowed.pattern is not None and bool(allowed.hits(pl.Series([cleaned]))[0])
        )

    def without_allowed(self, column: DistinctColumn, found: Mapping[str, Hits]) -> dict[str, Hits]:
        """What is left of the hits per type when allowed values are taken out."""
        left = {t: h & ~self.allowed[t].hits(column.values) if t in self.allowed else h for t, h in found.items()}
        return {type_: hits for type_, hits in left.items() if hits.any()}

    def findings(self, column: DistinctColumn, number: int, check: Callable[[], None]) -> list[Finding]:
        """What the declared identifiers find in a column.

        Args:
            number: 1-based position of the column.
            check: called between pieces of work; raises when the time is up.
        """
        if not self._may_find(column):
            return []
        found = []
        for type_, spec in sorted(self.identifiers.items()):
            check()
            hits = self._hits(column, type_, spec, check)
            if hits.any():
                found.append(_finding(column, number, type_, spec, hits))
        return found

    def _may_find(self, column: DistinctColumn) -> bool:
        """Whether any identifier matches anywhere: one pass for all of them, most columns need no more."""
        together = _alternatives(spec.regex for spec in self.identifiers.values())
        return bool(together) and bool(column.values.str.contains(together).any())

    def _hits(self, column: DistinctColumn, type_: str, spec: IdentifierSpec, check: Callable[[], None]) -> Hits:
        """Which distinct values hold an accepted match."""
        hits: Hits = column.values.str.contains(spec.regex).to_numpy().astype(bool)
        announced = _announced(spec, column.header, column.name)
        exact = announced and not spec.ignore_words and spec.validate is None and type_ not in self.allowed
        if exact or not hits.any():
            return hits
        candidates = np.flatnonzero(hits)
        for step, spans in enumerate(self._spans(column.values.filter(pl.Series(hits)), type_, spec, announced)):
            if step % 4096 == 0:
                check()
            hits[candidates[step]] = bool(spans)
        return hits

    def spans(self, texts: list[str], header: str, name: str) -> list[list[Span]]:
        """Per text, what the declared identifiers find in it, in order of the text."""
        values = pl.Series(texts, dtype=pl.String)
        found: list[list[Span]] = [[] for _ in texts]
        for type_, spec in sorted(self.identifiers.items()):
            announced = _announced(spec, header, name)
            for spans, more in zip(found, self._spans(values, type_, spec, announced), strict=True):
                spans += more
        return [sorted(spans, key=lambda span: (span.start, span.end)) for spans in found]

    def _spans(self, values: pl.Series, type_: str, spec: IdentifierSpec, announced: bool) -> Iterator[list[Span]]:
        plain = values.str.replace_all(f"[{_OPEN}{_CLOSE}]", " ")
        marked = plain.str.replace_all(f"(?:{spec.regex})", f"{_OPEN}${{0}}{_CLOSE}")
        for text, marks in zip(plain, marked, strict=True):
            yield [
                Span(type_, start, end)
                for start, end in _marked(marks)
                if _accepted(spec, text, start, end, announced) and not self.allows(type_, text[start:end])
            ]


NOTHING_DECLARED = DeclaredTypes()


def type_of_name(name: str) -> str:
    """The finding type of a declared identifier: ``employee_number -> EMPLOYEE_NUMBER``."""
    return name.upper()


def _alternatives(regexes: Iterable[str]) -> str:
    """One regex that matches where any of them does; empty for none."""
    return "|".join(f"(?:{regex})" for regex in regexes)


def _check_rust(where: str, regex: str) -> None:
    try:
        pl.Series(["x"]).str.contains(regex)
    except pl.exceptions.ComputeError as err:
        raise ConfigError(
            f"{where} must be a regular expression of the Rust engine too (and not too large), however: {regex[:200]}"
        ) from err


def _compiled(allow: AllowSpec) -> _Allowed:
    values = [clean_text(value).lower() for value in allow.values]
    pattern = _alternatives(allow.regexes)
    return _Allowed(frozenset(values), f"^(?:{pattern})$" if pattern else None)


def _marked(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of every marked match, in the text without marks."""
    before, *parts = text.split(_OPEN)
    position = len(before)
    for part in parts:
        inside, _, after = part.partition(_CLOSE)
        yield position, position + len(inside)
        position += len(inside) + len(after)


def _accepted(spec: IdentifierSpec, text: str, start: int, end: int, announced: bool) -> bool:
    match = text[start:end]
    if any(word in match for word in spec.ignore_words):
        return False
    if spec.validate is not None and not _VALID[spec.validate](_NOT_ALNUM.sub("", match)):
        return False
    return announced or _keyword_before(spec, text, start, end)


def _announced(spec: IdentifierSpec, header: str, name: str) -> bool:
    """Whether a column's header holds a keyword, or none is asked for."""
    return not spec.keywords or any(
        _spaced(word) in text for word in spec.keywords for text in (_spaced(header), _spaced(name))
    )


def _spaced(words: str) -> str:
    return words.lower().replace("_", " ").replace("-", " ")


def _keyword_before(spec: IdentifierSpec, text: str, start: int, end: int) -> bool:
    """Whether a keyword ends before the match, at most `maximum_match_distance` characters from the match's end."""
    return any(
        found.end() >= end - spec.maximum_match_distance
        for word in spec.keywords
        for found in re.finditer(re.escape(word), text[:start], re.IGNORECASE)
    )


def _severity(spec: IdentifierSpec, count: int) -> Severity:
    reached = {name: least for name, least in spec.levels.items() if count >= least}
    return Severity[max(reached, key=lambda name: reached[name])]


def _finding(column: DistinctColumn, number: int, type_: str, spec: IdentifierSpec, hits: Hits) -> Finding:
    count = column.cells(hits)
    whole = column.cells(hits & column.values.str.contains(f"^(?:{spec.regex})$").to_numpy().astype(bool))
    return Finding(
        type=type_,
        category=Category.CUSTOM,
        severity=_severity(spec, count),
        column=column.name,
        column_number=number,
        count=count,
        share=round(count / column.num_cells, 6),
        rows=column.rows(hits, MAX_LOCATIONS),
        in_text=2 * whole < count,
        by_header=bool(spec.keywords) and _announced(spec, column.header, column.name),
    )
