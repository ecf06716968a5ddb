"""How a clean record becomes a line of a real drop: odd headers, blanks, null spellings, broken numbers.

The mess is what preprocessing has to undo without losing a value: everything here except the broken numbers
leaves the meaning of a cell as it was.
"""

from __future__ import annotations

import csv
import datetime
import io
import random
from collections.abc import Iterable, Sequence

Value = str | int | float | datetime.date | None

BYTE_ORDER_MARK = "\ufeff"
NEWLINE = "\r\n"
NULL_SPELLINGS = ("", "N/A", "-")
NULL_WEIGHTS = (80, 15, 5)
BLANKS = (" ", "  ", "\u00a0", " \u00a0")
BLANK_FRACTION = 0.004
DATE_FORMATS = ("%Y-%m-%d", "%d.%m.%Y")
DATE_WEIGHTS = (70, 30)
BROKEN_NUMBERS = ("#REF!", "12O00", "see file", "1..5", "25k")
SPECIAL_HEADERS = {"e_mail": "E-Mail", "annual_income": "Annual Income", "loan_amount": " Loan Amount "}
GROUPED_DECIMALS = ("annual_income",)  # 65,000.00
GROUPED_INTEGERS = ("total_credit_limit",)  # 70,795


def messy_header(name: str, position: int) -> str:
    """A header as people type it, whose snake_case form is `name`: mixed case, blanks inside and around."""
    if name in SPECIAL_HEADERS:
        return SPECIAL_HEADERS[name]
    words = name.split("_")
    styles = (
        "_".join([words[0], *(word.title() for word in words[1:])]),
        " ".join(word.title() for word in words),
        name,
        f" {' '.join(word.title() for word in words)} ",
        name.upper(),
    )
    return styles[position % len(styles)]


def messy_cell(name: str, value: Value, rng: random.Random) -> str:
    """The text of one cell: null spelling, date format, thousands separator, stray blanks."""
    if value is None:
        return rng.choices(NULL_SPELLINGS, NULL_WEIGHTS)[0]
    text = _plain_text(name, value, rng)
    if rng.random() >= BLANK_FRACTION:
        return text
    blank = rng.choice(BLANKS)
    return blank + text if rng.random() < 0.2 else text + blank


def broken_number(rng: random.Random) -> str:
    """Text where a number should be."""
    return rng.choice(BROKEN_NUMBERS)


def to_csv(headers: Sequence[str], lines: Iterable[Sequence[str]]) -> bytes:
    """CSV as a spreadsheet saves it: UTF-8 with a byte order mark, CRLF, quotes only where needed."""
    text = io.StringIO(newline="")
    text.write(BYTE_ORDER_MARK)
    writer = csv.writer(text, lineterminator=NEWLINE)
    writer.writerow(headers)
    writer.writerows(lines)
    return text.getvalue().encode("utf-8")


def _plain_text(name: str, value: str | int | float | datetime.date, rng: random.Random) -> str:
    if isinstance(value, datetime.date):
        pattern = rng.choices(DATE_FORMATS, DATE_WEIGHTS)[0]
        return (
            pattern.replace("%Y", f"{value.year:04d}")
            .replace("%m", f"{value.month:02d}")
            .replace("%d", f"{value.day:02d}")
        )
    if name in GROUPED_DECIMALS:
        return f"{value:,.2f}"
    if name in GROUPED_INTEGERS:
        return f"{value:,}"
    return value if isinstance(value, str) else repr(value)
