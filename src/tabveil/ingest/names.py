"""Column names: any header text to snake_case, collisions counted and resolved.

German umlauts and eszett, Vietnamese letters and all other accents are folded to ASCII; camelCase is split.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

_LETTERS = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ß": "ss", "ẞ": "SS"}
    | {"đ": "d", "Đ": "D", "ø": "o", "Ø": "O", "æ": "ae", "Æ": "Ae", "œ": "oe", "Œ": "Oe", "ł": "l", "Ł": "L"}
    | {"ð": "d", "Ð": "D", "þ": "th", "Þ": "Th", "ı": "i", "%": " percent ", "#": " number ", "'": "", "’": ""}
)
_WORD_STARTS = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def fold_ascii(text: str) -> str:
    """The text in ASCII letters: ``Straße`` -> ``Strasse``, ``Ngày`` -> ``Ngay``; other signs become blanks."""
    translated = unicodedata.normalize("NFC", text).translate(_LETTERS)
    decomposed = unicodedata.normalize("NFKD", translated)
    return "".join(
        letter if letter.isascii() else " " for letter in decomposed if not unicodedata.category(letter).startswith("M")
    )


def snake_case(header: str) -> str:
    """The header as a Python-like name: ``Annual Income`` -> ``annual_income``, ``E-Mail`` -> ``e_mail``.

    A leading digit gets the prefix ``n_``; a header without letters or digits gives the empty string.
    """
    split = _WORD_STARTS.sub("_", fold_ascii(header))
    name = re.sub(r"[^a-z0-9]+", "_", split.lower()).strip("_")
    return f"n_{name}" if name[:1].isdigit() else name


def unique_names(headers: Sequence[str]) -> tuple[tuple[str, ...], dict[str, list[str]]]:
    """snake_case names of all headers, made unique.

    Args:
        headers: header texts in file order; may repeat and be blank.

    Returns:
        names: one per header; a blank header is ``column_<position>``, a taken name gets the suffix ``_2``, ``_3``...
        collisions: name -> headers that all wanted it (two or more), for the report.
    """
    wanted = [snake_case(header) or f"column_{position}" for position, header in enumerate(headers, start=1)]
    taken, names = set(wanted), []
    seen: set[str] = set()
    for name in wanted:
        unique = name
        if name in seen:
            unique = _free(name, taken)
            taken.add(unique)
        seen.add(unique)
        names.append(unique)
    groups: dict[str, list[str]] = {}
    for header, name in zip(headers, wanted, strict=True):
        groups.setdefault(name, []).append(header)
    return tuple(names), {name: group for name, group in groups.items() if len(group) > 1}


def _free(name: str, taken: set[str]) -> str:
    number = 2
    while f"{name}_{number}" in taken:
        number += 1
    return f"{name}_{number}"
