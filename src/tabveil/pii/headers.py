"""Is the first line of a file a header, or a record whose values would become column names?

Column names go into configurations, reports and messages, so a value among them is out before any scan of the cells.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import polars as pl

from tabveil.errors import PolicyViolationError
from tabveil.pii import lexicon, mentions
from tabveil.pii.columns import clean_text
from tabveil.pii.rules import CELL_RULES

_WORDED = ("NAME", "ADDRESS")  # told by words, of which headers are made too
_RULES = tuple(rule for rule in CELL_RULES if rule.share is not None and rule.type not in _WORDED)
_DATE = re.compile(r"(\d{4}[-./]\d{1,2}[-./]\d{1,2}|\d{1,2}[-./]\d{1,2}[-./](\d{4}|\d{2}))([ T]\d{1,2}:\d{2}.*)?")
_NUMBER = re.compile(r"[-+]?\d+([.,]\d+)*")
_MAX_SHOWN = 10


def check_headers(headers: Iterable[str]) -> None:
    """Refuse headers of which one is personal data, or which only a record has side by side.

    Those are a date and a bare number, or a full name and either of them. A name alone is no proof ("Min Price").

    Args:
        headers: header texts as in the file, in file order.

    Raises:
        PolicyViolationError: names the positions (1-based), never the texts.
    """
    texts = [clean_text(str(header)) for header in headers]
    positions = _personal(texts) or _of_record(texts)
    if positions:
        more = ", ..." if len(positions) > _MAX_SHOWN else ""
        raise PolicyViolationError(
            "the first line looks like a record, not a header: add a header line (these fields of it hold values, not "
            f"names of columns: {', '.join(map(str, positions[:_MAX_SHOWN]))}{more})"
        )


def _personal(texts: list[str]) -> list[int]:
    """Positions of texts that are, or mention, personal data."""
    found = {
        position
        for position, text in enumerate(texts, start=1)
        if any(span.certain and span.type != "NAME" for span in mentions.spans(text))
    }
    series = pl.Series(texts, dtype=pl.String)
    for rule in _RULES:
        matching = series.str.contains(f"^(?:{rule.pattern})$").arg_true()
        found |= {int(at) + 1 for at in matching if rule.check is None or rule.check(series[[int(at)]])[0]}
    return sorted(found)


def _of_record(texts: list[str]) -> list[int]:
    """Positions of dates, bare numbers and full names, where two kinds occur.

    One kind alone is a header: a table by day has dates, one by year has numbers.
    """
    kinds = [_kind(text) for text in texts]
    mixed = len(set(kinds) - {""}) > 1
    return [position for position, kind in enumerate(kinds, start=1) if kind] if mixed else []


def _kind(text: str) -> str:
    if _DATE.fullmatch(text):
        return "date"
    if _NUMBER.fullmatch(text):
        return "number"
    return "name" if " " in text and lexicon.is_full_name(text) else ""
