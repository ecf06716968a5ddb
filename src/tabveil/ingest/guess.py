"""What a column of unknown text holds: type, date formats, nulls, and whether it names someone or something."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

from tabveil.config import CsvConfig
from tabveil.ingest.guess_dates import guess_formats
from tabveil.ingest.text import SIGNS, number_pattern
from tabveil.schema import ColumnType

FITTING_FRACTION = 0.99  # of the values must fit a type; the others will be rejected, which the draft says
MAX_INTEGER = 2**63 - 1
EXACT_INTEGER = 2**53  # a model of numbers (float64) rounds whole numbers beyond it
BOOLEAN_WORDS = (
    *({"true", "false"}, {"yes", "no"}, {"y", "n"}, {"t", "f"}),
    *(
        {"ja", "nein"},
        {"wahr", "falsch"},
        {"oui", "non"},
        {"vrai", "faux"},
        {"sí", "no"},
        {"si", "no"},
        {"có", "không"},
    ),
)
EXTRA_NULLS = ("?", ".", "--", "#N/A", "#NA", "n/a", "na", "N.A.", "\\N", "<NA>", "(null)", "NaT", "NONE", "nil", "NIL")
WORD_NULLS = ("none", "missing", "Missing", "unknown", "Unknown", "not available", "Not available", "#REF!", "#VALUE!")
_KEY_HEADER = re.compile(
    r"(^|_)(id|ids|uuid|guid|key|no|nr|number|nummer|ref|reference|code|index|ma|ma_so)$|^(id|uuid|ma)_|kundennummer$"
)
_PERSON_HEADER = re.compile(
    r"(^|_)(customer|client|person|user|member|patient|employee|account|holder|borrower|applicant|kunde|kunden|"
    r"kundennummer|khach|khach_hang|subscriber|policyholder|cust)(_|$)"
)
_CODE_HEADER = re.compile(
    r"(^|_)(zip|zipcode|zip_code|postcode|postal_code|postal|plz|phone|tel|mobile|iban|card|fax)(_|$)"
)
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

_Type = tuple[ColumnType, tuple[str, ...], int, tuple[str, ...]]  # type, formats, values that do not fit, notes


@dataclass(frozen=True)
class ColumnGuess:
    """What is assumed of one column.

    Args:
        name: snake_case; `header`: as in the file.
        type: storage type.
        formats: strptime formats of dates; empty for ISO.
        num_values: values that are not missing.
        num_distinct: distinct ones among them.
        num_unfit: values that do not fit `type`.
        mean_length: characters per value.
        words: share of the distinct values with a blank in them.
        null_tokens: tokens found that mean "missing".
        notes: assumptions worth saying.
    """

    name: str
    header: str
    type: ColumnType
    formats: tuple[str, ...]
    num_values: int
    num_distinct: int
    num_unfit: int
    mean_length: float
    words: float
    num_frequent: int  # distinct values in at least 20 rows
    null_tokens: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())
    uuid: bool = False

    @property
    def is_unique(self) -> bool:
        """No value occurs twice (and there are enough to say so)."""
        return self.num_values >= 20 and self.num_distinct == self.num_values

    @property
    def key_header(self) -> bool:
        """Whether the name is one of a key: ``customer_id``, ``invoice_number``; a nameless column counts too."""
        return bool(_KEY_HEADER.search(self.name)) or self.header.strip() == ""

    @property
    def person_header(self) -> bool:
        """Whether the name speaks of a person or account."""
        return bool(_PERSON_HEADER.search(self.name))

    @property
    def bare_person_header(self) -> bool:
        """Whether a person or account is all, or the last, that the name speaks of: ``account``, ``account_holder``."""
        return any(match.end() == len(self.name) for match in _PERSON_HEADER.finditer(self.name))


def guess_column(name: str, header: str, values: Counter[str], nulls: frozenset[str], csv: CsvConfig) -> ColumnGuess:
    """Infer one column from its distinct trimmed values and their counts.

    Args:
        values: text -> rows; tokens in `nulls` are ignored.
        nulls: the default null tokens.
    """
    given = Counter({text: count for text, count in values.items() if text not in nulls})
    extra = [token for token in EXTRA_NULLS if token in given]
    given = Counter({text: count for text, count in given.items() if text not in extra})
    words = [token for token in WORD_NULLS if token in given]
    found = _type(name, given, csv)
    if words and (found[0] is ColumnType.string or found[2]):
        # "unknown" is a category in a column of words, but a missing value in a column of numbers or dates
        without = Counter({text: count for text, count in given.items() if text not in words})
        again = _type(name, without, csv)
        if without and again[0] is not ColumnType.string:
            found, given, extra = again, without, [*extra, *words]
    return _summary(name, header, given, found, tuple(extra))


def _summary(name: str, header: str, given: Counter[str], found: _Type, null_tokens: tuple[str, ...]) -> ColumnGuess:
    kind, formats, num_unfit, notes = found
    num_values, num_distinct = given.total(), len(given)
    return ColumnGuess(
        name=name,
        header=header,
        type=kind,
        formats=formats,
        num_values=num_values,
        num_distinct=num_distinct,
        num_unfit=num_unfit,
        mean_length=sum(len(text) * count for text, count in given.items()) / max(num_values, 1),
        words=sum(" " in text for text in given) / max(num_distinct, 1),
        num_frequent=sum(count >= 20 for count in given.values()),
        null_tokens=null_tokens,
        notes=notes,
        uuid=num_distinct > 0 and all(_UUID.fullmatch(text) for text in given),
    )


def _type(name: str, given: Counter[str], csv: CsvConfig) -> _Type:
    """(type, formats, values that do not fit, notes); the narrowest type that nearly all values fit."""
    if not given:
        return ColumnType.string, (), 0, ("no value at all",)
    if len(given) == 2 and {text.lower() for text in given} in BOOLEAN_WORDS:
        return ColumnType.boolean, (), 0, ()
    large = _beyond_exact(given)
    if large > 0.5 * len(given):
        return ColumnType.string, (), 0, ("digits beyond 2^53 name something: read as text, so that none is rounded",)
    if not _is_code(name, given):
        integers, decimals = (_unfit_numbers(given, csv, kind) for kind in (ColumnType.integer, ColumnType.decimal))
        kind, (num_unfit, note) = (
            (ColumnType.decimal, decimals) if decimals[0] < integers[0] else (ColumnType.integer, integers)
        )
        if num_unfit <= (1 - FITTING_FRACTION) * given.total():
            rounded = (f"a model rounds its numbers beyond 2^53 ({large} different ones)",) if large else ()
            return kind, (), num_unfit, (*note, *rounded)
    dates = guess_formats(name, given, day_first=csv.delimiter == ";" or csv.decimal == ",")
    if dates is not None and dates.num_unfit <= (1 - FITTING_FRACTION) * given.total():
        kind = ColumnType.datetime if dates.has_time else ColumnType.date
        return kind, dates.formats, dates.num_unfit, dates.notes
    return ColumnType.string, (), 0, ()


def _is_code(name: str, given: Counter[str]) -> bool:
    """Digits that are no quantity: leading zeros, or a header like postcode or phone."""
    digits = [text for text in given if text.isascii() and text.isdigit()]
    padded = sum(len(text) > 1 and text.startswith("0") for text in digits)
    return bool(
        _CODE_HEADER.search(name)
        or padded > 0.01 * len(given)
        or ("date" in name and all(len(text) == 8 for text in digits) and len(digits) == len(given))
    )


def _beyond_exact(given: Counter[str]) -> int:
    """Distinct values that are digits only and larger than float64 tells apart."""
    long = [text for text in given if len(text) >= 16 and text.isascii() and text.isdigit()]
    return sum(len(text) > 19 or int(text) > EXACT_INTEGER for text in long)


def _unfit_numbers(given: Counter[str], csv: CsvConfig, kind: ColumnType) -> tuple[int, tuple[str, ...]]:
    """Values that are no number of this kind, reading the one currency or percent sign the column has."""
    integer = kind is ColumnType.integer
    pattern = re.compile(number_pattern(csv, integer=integer))
    rest = [text for text in given if not pattern.match(text)]
    num_plain = given.total() - sum(given[text] for text in rest)
    signs = [sign for sign in SIGNS if any(sign in text for text in rest)]
    if len(signs) == 1 and (signs[0] != "%" or num_plain == 0):
        signed = re.compile(number_pattern(csv, integer=integer, sign=signs[0]))
        left = [text for text in rest if not signed.match(text)]
        note = (f"'{signs[0]}' signs are stripped",) if len(left) < len(rest) else ()
        return sum(given[text] for text in left), note
    return sum(given[text] for text in rest), ()
