"""Kinds of personal data that a bank declares itself, and values that it declares not to be personal.

One declaration serves two readers, the local scanner and Amazon Macie, so it must satisfy both: Macie's limits and its
subset of regular expressions are checked when the configuration is loaded, whichever of the two will run.
Sources: Amazon Macie user guide, "Configuration options for custom data identifiers" and "Configuration options for
allow lists"; botocore's service model `macie2` (CreateCustomDataIdentifier, CreateAllowList).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Optional

from tabveil.errors import ConfigError

MAX_REGEX = 512  # characters
MAX_KEYWORDS, KEYWORD_LENGTHS = 50, (3, 90)
MAX_IGNORE_WORDS, IGNORE_WORD_LENGTHS = 10, (4, 90)
MATCH_DISTANCES = (1, 300)  # characters between a keyword and the end of the match
MAX_IDENTIFIERS_PER_JOB = 30
BUILT_IN_IDENTIFIERS = 14  # of the 30: 13 for types without a managed identifier, 1 that marks a file's end
MAX_ALLOW_REGEX_LISTS = 5  # per account and Region; regexes are joined while they fit
MAX_ALLOWED_VALUES = 100_000
MAX_ALLOWED_LENGTH = 90  # characters of one entry of an allow list
SEVERITIES = ("LOW", "MEDIUM", "HIGH")
IDENTIFIER_NAME = re.compile(r"[a-z][a-z0-9_]{1,63}")

_TOKEN = re.compile(r"(?s)\\.?|\[\^?\]?(?:\\.|[^\]\\])*\]|\[|\(\?[^\s)]?|\(|\{,|[*+?}]\+")
_PORTABLE_ESCAPES = "dDwWsStnrf"
_GROUPS = {
    "(": "capturing groups (write (?:...))", "(?P": "named groups (write (?:...))", "(?<": "look-behind, named groups",
    "(?=": "look-ahead", "(?!": "look-ahead", "(?(": "conditions", "(?R": "recursion", "(?>": "atomic groups",
    "(?#": "comments",
}  # fmt: skip
_SET_OPERATORS = ("[", "&&", "--", "~~", "||")
_PROBES = ("", "a", "a 1-b", "-")  # a regex that finds nothing in one of these finds it everywhere
_UNLIKE = ("qxz", "70315", "q7@xz.example", "Xq, Zq 7")  # texts that nothing narrow can match together


class CheckDigit(str, Enum):
    """Check-digit schemes of `python-stdnum`; the local scanner applies them, Macie cannot."""

    luhn = "luhn"
    mod_97_10 = "mod_97_10"
    verhoeff = "verhoeff"
    damm = "damm"


@dataclass
class IdentifierSpec:
    """One kind of personal data: `pii.identifiers.<name>`; its type is the name in capitals.

    Found wherever `regex` matches, unless the match holds one of `ignore_words` (as written). Where there are
    `keywords`, one of them must be in the column's header, or stand before the match in the same cell, so that no more
    than `maximum_match_distance` characters lie between its end and the end of the match (upper or lower case).
    """

    regex: str = "???"
    keywords: list[str] = field(default_factory=list)
    ignore_words: list[str] = field(default_factory=list)
    maximum_match_distance: int = 50
    severity: dict[str, int] = field(default_factory=dict)  # severity -> occurrences it begins at; none: MEDIUM at 1
    validate: Optional[CheckDigit] = None
    description: str = ""

    def __post_init__(self) -> None:
        check_regex("regex", self.regex)
        _check_words("keywords", self.keywords, MAX_KEYWORDS, KEYWORD_LENGTHS)
        _check_words("ignore_words", self.ignore_words, MAX_IGNORE_WORDS, IGNORE_WORD_LENGTHS)
        low, high = MATCH_DISTANCES
        if not low <= self.maximum_match_distance <= high:
            raise ConfigError(
                f"maximum_match_distance must be from {low} to {high} characters (Macie's limit), however: "
                f"{self.maximum_match_distance}"
            )
        _check_severity(self.levels)
        if len(self.description) > MAX_REGEX:
            raise ConfigError(f"description must have at most {MAX_REGEX} characters, however: {len(self.description)}")

    @property
    def levels(self) -> dict[str, int]:
        """Occurrences at which each severity begins; Macie's default where none is declared."""
        return self.severity or {"MEDIUM": 1}


@dataclass
class AllowSpec:
    """What looks like a type and is not personal: `pii.allow.<TYPE>`.

    A text is allowed if it is one of `values` (upper or lower case) or one of `regexes` matches all of it.
    """

    values: list[str] = field(default_factory=list, metadata={"logged": False})
    regexes: list[str] = field(default_factory=list)
    reason: str = ""  # required; shown in the report

    def __post_init__(self) -> None:
        if not self.reason.strip():
            raise ConfigError("an allow list needs a reason (why these texts are not personal), however: none")
        if not self.values and not self.regexes:
            raise ConfigError("an allow list needs values or regexes, however: neither")
        for position, value in enumerate(self.values):
            if not 1 <= len(value.strip()) <= MAX_ALLOWED_LENGTH or "\n" in value:
                raise ConfigError(
                    f"values[{position}] must be one line of 1 to {MAX_ALLOWED_LENGTH} characters (Macie's limit), "
                    f"however it has {len(value.strip())}"
                )
        for position, regex in enumerate(self.regexes):
            check_regex(f"regexes[{position}]", regex)
            if sum(re.fullmatch(regex, text) is not None for text in _UNLIKE) > 1:
                raise ConfigError(f"regexes[{position}] must be narrow, however it matches almost any text: {regex}")


def check_declared(identifiers: Mapping[str, IdentifierSpec], allow: Mapping[str, AllowSpec]) -> None:
    """Names, and what Macie limits over all declarations together.

    Raises:
        ConfigError: a name that is not snake_case; too many identifiers, regexes or values.
    """
    for name in identifiers:
        if not IDENTIFIER_NAME.fullmatch(name):
            raise ConfigError(f"pii.identifiers: names must be snake_case of 2 to 64 characters, however: {name!r}")
    most = MAX_IDENTIFIERS_PER_JOB - BUILT_IN_IDENTIFIERS
    if len(identifiers) > most:
        raise ConfigError(
            f"pii.identifiers must be at most {most} (Macie takes {MAX_IDENTIFIERS_PER_JOB} in a job, and "
            f"{BUILT_IN_IDENTIFIERS} are built in), however: {len(identifiers)}"
        )
    lists = len(joined_regexes(regex for spec in allow.values() for regex in spec.regexes))
    if lists > MAX_ALLOW_REGEX_LISTS:
        raise ConfigError(
            f"pii.allow: all regexes together must fit into {MAX_ALLOW_REGEX_LISTS} of {MAX_REGEX} characters (Macie's "
            f"limit), however they need {lists}: shorten them, or list values"
        )
    values = sum(len(spec.values) for spec in allow.values())
    if values > MAX_ALLOWED_VALUES:
        raise ConfigError(f"pii.allow: there must be at most {MAX_ALLOWED_VALUES} values, however: {values}")


def joined_regexes(regexes: Iterable[str]) -> list[str]:
    """Regexes as alternatives of as few regexes as fit Macie's length, in order."""
    joined: list[str] = []
    for regex in regexes:
        longer = f"{joined[-1]}|(?:{regex})" if joined else ""
        if joined and len(longer) <= MAX_REGEX:
            joined[-1] = longer
        else:
            joined.append(f"(?:{regex})" if len(regex) + 4 <= MAX_REGEX else regex)
    return joined


def check_regex(where: str, regex: str) -> None:
    """Let pass what Macie, Python and the Rust engine of Polars read alike.

    Raises:
        ConfigError: too long, no regular expression, a construct outside Macie's subset, or a match of nothing.
    """
    if not 1 <= len(regex) <= MAX_REGEX:
        raise ConfigError(f"{where} must have 1 to {MAX_REGEX} characters (Macie's limit), however it has {len(regex)}")
    for part in _TOKEN.findall(regex):
        found = _unsupported(part)
        if found is not None:
            raise ConfigError(f"{where} must stay within Macie's subset of regular expressions, however it has {found}")
    try:
        compiled = re.compile(regex)
    except (re.error, OverflowError) as err:
        raise ConfigError(f"{where} must be a regular expression, however: {err}") from err
    if any(found.group() == "" for text in _PROBES for found in compiled.finditer(text)):
        raise ConfigError(f"{where} must not match the empty text, however it does: {regex}")


def _unsupported(part: str) -> str | None:
    """What a part of a regex (an escape, a set, a bracket, a quantifier) is called, if it is outside the subset."""
    if part.startswith("\\"):
        return _unsupported_escape(part[1:], "bB")
    if part == "[":
        return "a set [...] that does not end"
    if part.startswith("["):
        escapes = (_unsupported_escape(char, "") for char in re.findall(r"(?s)\\(.)", part))
        operators = (f"{operator} inside [...]" for operator in _SET_OPERATORS if operator in _unescaped(part[1:-1]))
        return next((fault for fault in (*escapes, *operators) if fault is not None), None)
    if part.startswith("("):
        return None if part == "(?:" else _GROUPS.get(part, "pattern flags")
    return "a quantifier without a lower bound" if part == "{," else "possessive quantifiers"


def _unescaped(inside: str) -> str:
    return re.sub(r"(?s)\\.", "", inside)


def _unsupported_escape(char: str, boundaries: str) -> str | None:
    if char.isdigit() and char != "0":
        return "back-references"
    if char == "" or (char.isalnum() and char not in _PORTABLE_ESCAPES + boundaries) or not char.isascii():
        return f"the escape \\{char}"
    return None


def _check_words(where: str, words: Iterable[str], most: int, lengths: tuple[int, int]) -> None:
    words, (low, high) = list(words), lengths
    if len(words) > most:
        raise ConfigError(f"{where} must be at most {most} (Macie's limit), however: {len(words)}")
    for word in words:
        if not low <= len(word) <= high:
            raise ConfigError(f"{where} must have {low} to {high} characters each (Macie's limit), however: {word!r}")


def _check_severity(severity: dict[str, int]) -> None:
    if not set(severity) <= set(SEVERITIES):
        raise ConfigError(f"severity must map {', '.join(SEVERITIES)} to occurrences, however: {sorted(severity)}")
    ascending = [severity[name] for name in SEVERITIES if name in severity]
    if sorted(set(ascending)) != ascending:
        raise ConfigError(f"severity must rise with the occurrences from LOW to HIGH, however: {severity}")
    if ascending[0] != 1:
        raise ConfigError(
            f"severity must begin at 1 occurrence (fewer would get past the gate), however: {ascending[0]}"
        )
