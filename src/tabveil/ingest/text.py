"""What the text of one cell may look like: blanks to trim, numbers, currency and percent signs.

The patterns are plain enough to mean the same in Python, in RE2 (DuckDB) and in Java (Spark): classes, groups and
counts; no look-around, no back-references.
"""

from __future__ import annotations

from tabveil.config import CsvConfig

# ASCII blanks, NBSP, figure, narrow and ideographic space, zero-width characters, the byte order mark
TRIMMED = " \t\n\r\x0b\x0c\u00a0\u2007\u202f\u3000\u200b\u200c\u200d\u2060\ufeff"
SIGNS = ("$", "€", "£", "¥", "₫", "%")
_GROUP_MARKS = {" ": " \u00a0\u202f", "'": "'’"}


def trim(text: str) -> str:
    """The text without blanks, NBSP and zero-width characters at its ends."""
    return text.strip(TRIMMED)


def group_marks(thousands: str) -> str:
    """Characters that stand for a declared thousands separator (a blank may also be an NBSP)."""
    return _GROUP_MARKS.get(thousands, thousands)


def number_pattern(csv: CsvConfig, *, integer: bool, sign: str | None = None) -> str:
    """Anchored regular expression of a number in the file's notation.

    Args:
        csv: decimal mark and thousands separator.
        integer: only zeros may follow the decimal mark, and there is no exponent.
        sign: one of `SIGNS` that may stand before or after the number.
    """
    point = character_class(csv.decimal)
    digits = "[0-9]+"
    if csv.thousands is not None:
        digits = f"([0-9]{{1,3}}({character_class(group_marks(csv.thousands))}[0-9]{{3}})+|[0-9]+)"
    decimal = f"({digits}({point}[0-9]*)?|{point}[0-9]+)([eE][+-]?[0-9]{{1,3}})?"
    number = f"{digits}({point}0*)?" if integer else decimal
    if sign is None:
        return f"^[+-]?{number}$"
    mark = character_class(sign)
    return f"^([+-]?{mark}? ?{number}|{mark} ?[+-]?{number}|[+-]?{number} ?{mark})$"


def character_class(characters: str) -> str:
    """A regex class that holds exactly these characters."""
    return "[" + "".join(f"\\{c}" if c in r"\]^-[" else c for c in characters) + "]"
