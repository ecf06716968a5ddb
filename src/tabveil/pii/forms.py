"""When two ways of writing mean one value, and which parts of a text could be a value of their own.

Types whose values may stand for one another form a family: a guarantor's name is a borrower's, an IBAN may stand in
a column of customer ids.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from tabveil.pii.columns import clean_text

_EXTENSION = re.compile(r"\s*(?:x|ext)\.?\s*\d+$")
_WORD = re.compile(r"[^\W_]+")
_DIGIT = re.compile(r"\d")
_FAMILIES = {
    "NAME": "NAME", "ADDRESS": "PLACE", "CITY": "PLACE", "FREE_TEXT": "TEXT", "EMAIL_ADDRESS": "EMAIL",
    "PHONE_NUMBER": "PHONE",
}  # fmt: skip
WORDED = ("NAME", "PLACE", "TEXT")
_PHONE_DIGITS = 9  # national significant numbers share their last nine digits however the country code is written
_LEAST_LETTERS = 3  # of a part of a text: house numbers, initials and articles say nothing
_LEAST_PHONE, _LEAST_NUMBER = 7, 6  # digits, characters of a part of a number
_MOST_WORDS = 16  # of a part


def family(semantic_type: str) -> str:
    """Which real values an invented value of this type must differ from: NAME, PLACE, TEXT, EMAIL, PHONE or NUMBER."""
    return _FAMILIES.get(semantic_type, "NUMBER")


def normal_form(value: Any, semantic_type: str) -> str:
    """The form in which two ways of writing one value are equal.

    NFKC, case-folded, no invisible characters. Names, places and texts are their words, phone numbers their last nine
    digits, e-mail addresses as they are, everything else its letters and digits.
    """
    text = _folded(value)
    return _REDUCED.get(family(semantic_type), _number)(text) or text


def forms(value: Any, semantic_type: str) -> set[str]:
    """The normal form of a value, and of every part between word boundaries that could be a real value.

    ``Vũ-Nguyễn Thị Linh`` holds ``nguyễn thị linh``; ``12 Hill Road Apt. 4`` holds ``12 hill road``.
    """
    text, kind = _folded(value), family(semantic_type)
    whole = normal_form(value, semantic_type)
    if kind in WORDED:
        return {whole, *_worded_parts(_WORD.findall(text))}
    reduce, telling = _REDUCED.get(kind, _number), _TELLING.get(kind, _tells_number)
    spans = [match.span() for match in _WORD.finditer(text)]
    parts = (text[spans[i][0] : spans[j][1]] for i in range(len(spans)) for j in range(i, len(spans)))
    return {whole, *(reduce(part) for part in parts if telling(part))}


def _folded(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return clean_text(str(value)).casefold()


def _worded_parts(words: list[str]) -> set[str]:
    letters = [sum(map(str.isalpha, word)) for word in words]
    return {
        " ".join(words[first:last])
        for first in range(len(words))
        for last in range(first + 1, min(len(words), first + _MOST_WORDS) + 1)
        if sum(letters[first:last]) >= _LEAST_LETTERS
    }


def _words(text: str) -> str:
    return " ".join(_WORD.findall(text))


def _phone(text: str) -> str:
    return "".join(_DIGIT.findall(_EXTENSION.sub("", text)))[-_PHONE_DIGITS:]


def _number(text: str) -> str:
    return "".join(_WORD.findall(text))


def _tells_phone(part: str) -> bool:
    return len(_DIGIT.findall(part)) >= _LEAST_PHONE


def _tells_email(part: str) -> bool:
    return "@" in part


def _tells_number(part: str) -> bool:
    return len(part) >= _LEAST_NUMBER and _DIGIT.search(part) is not None


_REDUCED: dict[str, Callable[[str], str]] = {
    **dict.fromkeys(WORDED, _words), "PHONE": _phone, "EMAIL": str,
}  # fmt: skip
_TELLING: dict[str, Callable[[str], bool]] = {"PHONE": _tells_phone, "EMAIL": _tells_email}
