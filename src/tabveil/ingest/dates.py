"""strptime formats as plain regular expressions with numbered groups.

One reading of a format for everyone: the draft of a new dataset tries formats in Python, preprocessing compiles
the same patterns to SQL (`strptime` itself differs between engines).
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass
from functools import lru_cache

from tabveil.errors import ConfigError

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
DIRECTIVES = {
    "Y": "([0-9]{4})",
    "y": "([0-9]{2})",
    "m": "([0-9]{1,2})",
    "d": "([0-9]{1,2})",
    "b": "([A-Za-z]{3})",
    "B": "([A-Za-z]{3,9})",
    "H": "([01]?[0-9]|2[0-3])",
    "I": "(0?[1-9]|1[0-2])",
    "M": "([0-5]?[0-9])",
    "S": "([0-5]?[0-9])",
    "f": "([0-9]{1,9})",
    "p": "([AaPp][Mm])",
    "z": "(Z|[+-][0-9]{2}:?[0-9]{2})",
}
ISO_DATE = "^[0-9]{4}-[0-9]{2}-[0-9]{2}([ T]00:00(:00([.]0+)?)?(Z|[+]00:?00|[+]00)?)?$"
ISO_DATETIME = (
    "^[0-9]{4}-[0-9]{2}-[0-9]{2}([ T]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]{1,9})?)?(Z|[+]00:?00|[+]00)?)?$"
)


@dataclass(frozen=True)
class DatePattern:
    """A compiled format.

    Args:
        format: as declared, e.g. ``%d/%m/%Y``.
        regex: anchored; group numbers as in `groups`.
        groups: directive letter -> 1-based group number.
    """

    format: str
    regex: str
    groups: dict[str, int]

    @property
    def has_time(self) -> bool:
        """Whether the format reads a time of day."""
        return bool(self.groups.keys() & set("HI"))


@lru_cache(maxsize=1024)
def compile_format(text: str) -> DatePattern:
    """The pattern of one strptime format (`%Y %y %m %d %b %B %H %I %M %S %f %p %z %%`, English month names).

    Raises:
        ConfigError: an unknown or repeated directive, or no year.
    """
    groups: dict[str, int] = {}
    regex, position = "", 0
    while position < len(text):
        letter = text[position]
        if letter == "%":
            directive = text[position + 1 : position + 2]
            regex += _directive(text, directive, groups)
            position += 2
        else:
            regex += _literal(letter)
            position += 1
    if not groups.keys() & set("Yy"):
        raise ConfigError(f"a date format needs a year (%Y or %y), however: {text!r}")
    return DatePattern(text, f"^{regex}$", groups)


def _directive(text: str, directive: str, groups: dict[str, int]) -> str:
    if directive == "%":
        return "%"
    if directive not in DIRECTIVES or directive in groups:
        known = " ".join(f"%{name}" for name in DIRECTIVES)
        raise ConfigError(f"a date format may hold each of {known} once, however: {text!r} has '%{directive}'")
    groups[directive] = len(groups) + 1
    return DIRECTIVES[directive]


def _literal(letter: str) -> str:
    if letter.isalnum():
        return letter
    if letter == " ":
        return "[ ]+"
    return f"\\{letter}" if letter in "\\^" else f"[{letter}]"


def parse(pattern: DatePattern, text: str) -> datetime.datetime | None:
    """The moment `text` names, in UTC where it has an offset; None if it does not fit or does not exist."""
    match = re.fullmatch(pattern.regex, text)
    if match is None:
        return None
    part = {name: match.group(number) for name, number in pattern.groups.items()}
    month = _month(part)
    if month is None:
        return None
    fraction = int(part.get("f", "0")[:6].ljust(6, "0"))
    clock = (_hour(part), int(part.get("M", 0)), int(part.get("S", 0)), fraction)
    try:
        moment = datetime.datetime(_year(part), month, int(part.get("d", 1)), *clock)
        return moment - datetime.timedelta(minutes=_offset_minutes(part.get("z", "Z")))
    except (ValueError, OverflowError):
        return None


def _year(part: dict[str, str]) -> int:
    if "Y" in part:
        return int(part["Y"])
    return int(part["y"]) + (1900 if int(part["y"]) >= 69 else 2000)  # POSIX pivot, as in Python


def _month(part: dict[str, str]) -> int | None:
    name = part.get("b", part.get("B"))
    if name is None:
        return int(part.get("m", 1))
    return MONTHS.index(name[:3].lower()) + 1 if name[:3].lower() in MONTHS else None


def _hour(part: dict[str, str]) -> int:
    if "I" not in part:
        return int(part.get("H", 0))
    return int(part["I"]) % 12 + (12 if part.get("p", "am").lower() == "pm" else 0)


def _offset_minutes(zone: str) -> int:
    if zone == "Z":
        return 0
    minutes = int(zone[1:3]) * 60 + int(zone[-2:])
    return -minutes if zone.startswith("-") else minutes
