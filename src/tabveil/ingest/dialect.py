"""Encoding and CSV dialect of a file nobody described: delimiter, quote, decimal mark, thousands separator.

Python's and DuckDB's sniffers guess from single characters; here every candidate dialect *parses* a sample with
the reader that will be used later, and the one under which the records agree wins. Number notation is decided by
the cells, and what cannot be decided is said.
"""

from __future__ import annotations

import codecs
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tabveil.config import CsvConfig
from tabveil.errors import UnreadableFileError
from tabveil.ingest.inspect import BYTE_ORDER_MARKS, sniff_wide_encoding
from tabveil.ingest.reader import open_text, read_records
from tabveil.ingest.text import trim

DELIMITERS = (";", "\t", "|", ",")  # where two explain a sample equally well, the rarer in prose wins
QUOTES = ('"', "'")
SAMPLE_RECORDS = 1000
_MIN_AGREEING_FRACTION = 0.5
_BLOCK_BYTES = 1 << 20
_CP1252_HOLES = (0x81, 0x8D, 0x8F, 0x90, 0x9D)
_NUMBER = re.compile(r"[$€£¥₫]? ?[+-]?[0-9][0-9.,'’ \u00a0\u202f]*[0-9] ?[%$€£¥₫]?|[+-]?[.,][0-9]+")
_ENCLOSED = {q: re.compile(rf"(?:^|[;\t|,]) ?{q}[^{q}\r\n]*{q}(?=[;\t|,\r\n]|$)") for q in QUOTES}
_SIGN_CHARACTERS = "$€£¥₫%+- "


@dataclass(frozen=True)
class DialectGuess:
    """A dialect and what had to be assumed to name it."""

    csv: CsvConfig
    notes: tuple[str, ...]


def detect_encoding(path: Path) -> str:
    """Encoding of the whole file: by its byte order mark, else UTF-16 by its NULs, UTF-8, Windows-1252, Latin-1.

    Every file decodes as Latin-1, so that the last two are a guess; `inspect_dialect` says so.
    """
    with path.open("rb") as file:
        head = file.read(4096)
        marked = next((name for mark, name in BYTE_ORDER_MARKS if head.startswith(mark)), None)
        wide = marked or sniff_wide_encoding(head)
        if wide is not None:
            return wide
        file.seek(0)
        return _narrow_encoding(iter(lambda: file.read(_BLOCK_BYTES), b""))


def _narrow_encoding(blocks: Iterator[bytes]) -> str:
    decoder, utf8, holes = codecs.getincrementaldecoder("utf-8")(), True, False
    for block in blocks:
        holes = holes or any(hole in block for hole in _CP1252_HOLES)
        if utf8:
            try:
                decoder.decode(block)
            except UnicodeDecodeError:
                utf8 = False
    if utf8:
        try:
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            utf8 = False
    if utf8:
        return "utf-8"
    return "latin-1" if holes else "cp1252"


def inspect_dialect(path: Path) -> DialectGuess:
    """Dialect of a CSV file with the assumptions behind it.

    Raises:
        UnreadableFileError: no candidate makes the first records agree.
    """
    encoding = detect_encoding(path)
    notes = []
    if encoding in ("cp1252", "latin-1"):
        notes.append(f"the file is not UTF-8; read as {encoding}: look at names with accents")
    candidates = [
        CsvConfig(delimiter=d, quote=q, encoding=encoding) for q in _quotes(path, encoding) for d in DELIMITERS
    ]
    samples = {(c.delimiter, c.quote): _sample(path, c) for c in candidates}
    scores = {key: _agreement(records) for key, records in samples.items()}
    best = max(scores, key=lambda key: scores[key])
    one_column = scores[best][1] == 1
    if scores[best][0] < _MIN_AGREEING_FRACTION or (one_column and _delimited(samples)):
        raise UnreadableFileError(
            f"{path.name} must have the same number of fields in every line, however no delimiter of "
            f"{', '.join(repr(d) for d in DELIMITERS)} makes its lines agree: is it a table? remove title lines"
        )
    if one_column:
        best = (",", '"')
        notes.append("no delimiter found: read as a table of one column")
    csv = CsvConfig(delimiter=best[0], quote=best[1], encoding=encoding)
    body = [fields for fields in samples[best][1:] if fields]
    decimal, thousands, found = number_notation(itertools.chain.from_iterable(body), csv.delimiter)
    return DialectGuess(replace(csv, decimal=decimal, thousands=thousands), (*notes, *found))


def _quotes(path: Path, encoding: str) -> tuple[str, ...]:
    """Quotation marks worth trying: `'` only if it encloses fields, else it would explain an unclosed `"` away."""
    with open_text(path, encoding) as file:
        lines = list(itertools.islice(file, SAMPLE_RECORDS))
    double, single = (sum(len(_ENCLOSED[quote].findall(line)) for line in lines) for quote in QUOTES)
    return QUOTES if single and single >= double else QUOTES[:1]


def _sample(path: Path, csv: CsvConfig) -> list[list[str]]:
    """The first records; a malformed one is an empty list."""
    with open_text(path, csv.encoding) as file:
        return [record.fields or [] for record in itertools.islice(read_records(file, csv), SAMPLE_RECORDS)]


def _delimited(samples: dict[tuple[str, str], list[list[str]]]) -> bool:
    """Whether some delimiter cuts every other record: then it is no table of one column."""
    return any(sum(len(fields) > 1 for fields in records) >= 0.5 * len(records) for records in samples.values())


def _agreement(records: list[list[str]]) -> tuple[float, int, int]:
    """(records with as many fields as the header, number of fields, fields that shed quotes); larger is better.

    A single field everywhere explains nothing and comes last among the agreeing.
    """
    if not records or not records[0]:
        return 0.0, 0, 0
    width = len(records[0])
    agreeing = sum(len(fields) == width for fields in records) / len(records)
    clean = -sum(field[:1] in QUOTES and field[:1] == field[-1:] for fields in records for field in fields)
    return (agreeing if width > 1 else min(agreeing, _MIN_AGREEING_FRACTION)), width, clean


def number_notation(cells: Iterable[str], delimiter: str) -> tuple[str, str | None, list[str]]:
    """Decimal mark, thousands separator (or None) and assumptions, voted by the cells that look like numbers."""
    votes: Counter[str] = Counter()
    for cell in cells:
        text = trim(cell)
        if _NUMBER.fullmatch(text):
            votes.update(_votes(text.strip(_SIGN_CHARACTERS)))
    decimal, notes = _decimal_mark(votes, delimiter)
    groups = {mark: votes[f"group {mark}"] for mark in ".,'  " if mark != decimal}
    thousands = max(groups, key=lambda mark: groups[mark])
    if groups[thousands] == 0:
        other = "," if decimal == "." else "."
        if not votes[f"maybe {other}"]:
            return decimal, None, notes
        thousands = other
        notes.append(f"'{other}' with three digits behind it is read as a thousands separator")
    return decimal, thousands, notes


def _votes(text: str) -> list[str]:
    """What one number says: "decimal ,", "group .", or "maybe ," for one mark with three digits behind it."""
    text = re.sub("[\u00a0\u202f]", " ", text).replace("’", "'")
    marks = re.findall("[.,' ]", text)
    if not marks or not re.fullmatch(r"[0-9]{0,3}([.,' ][0-9]{3})*([.,][0-9]*)?|[0-9]*[.,][0-9]+", text):
        return []
    last, digits_behind = marks[-1], len(re.split("[.,' ]", text)[-1])
    if len(set(marks)) == 2:
        return [f"decimal {last}", f"group {marks[0]}"]
    if len(marks) > 1 or last in "' ":
        return [f"group {last}"]
    before = re.split("[.,]", text)[0]
    grouped = digits_behind == 3 and 1 <= len(before) <= 3 and not before.startswith("0")
    return [f"maybe {last}" if grouped else f"decimal {last}"]


def _decimal_mark(votes: Counter[str], delimiter: str) -> tuple[str, list[str]]:
    comma, point = votes["decimal ,"], votes["decimal ."]
    if comma and point:
        chosen = "," if comma > point else "."
        return chosen, [f"both ',' and '.' occur as decimal mark; '{chosen}' is the more frequent: others are rejected"]
    if comma or point:
        return ("," if comma else "."), []
    if votes["group ."] or (votes["maybe ."] and votes["group ,"] == 0 and delimiter == ";"):
        return ",", []
    if votes["maybe ,"] and not votes["maybe ."] and not votes["group ,"] and delimiter == ";":
        return ",", ["every decimal comma has three digits behind it: could be a thousands separator"]
    return ".", []
