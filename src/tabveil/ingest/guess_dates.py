"""Which strptime formats read a column of unknown dates, and what the data cannot decide (day or month first)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from tabveil.ingest.dates import DatePattern, compile_format, parse

MAX_FORMATS = 3
_MIN_SHARE = 0.005  # of the values that another format must explain to be added
_PROBE = 300  # distinct values a format is first tried on
_DATES = (
    "%Y-%m-%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%Y.%m.%d",
    "%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%b %d, %Y", "%d %B %Y", "%B %d, %Y", "%d/%m/%y", "%m/%d/%y", "%d.%m.%y",
    "%b-%Y", "%b %Y", "%B %Y", "%Y-%m", "%m/%Y",
)  # fmt: skip
_TIMES = ("%H:%M", "%H:%M:%S", "%H:%M:%S.%f", "%I:%M %p", "%I:%M:%S %p", "%H:%M:%S%z", "%H:%M:%S.%f%z", "%H:%M%z")
_COMPACT = "%Y%m%d"
_SWAPPED = {"%d/%m": "%m/%d", "%m/%d": "%d/%m", "%d-%m": "%m-%d", "%m-%d": "%d-%m"}
_DATE_WORDS = ("date", "datum", "dob", "birth", "ngay", "day", "geburt")


@dataclass(frozen=True)
class DateGuess:
    """Formats in the order they are to be tried (empty: ISO), and what they leave unexplained."""

    formats: tuple[str, ...]
    has_time: bool
    num_unfit: int
    notes: tuple[str, ...]


def guess_formats(name: str, given: Counter[str], *, day_first: bool) -> DateGuess | None:
    """The fewest formats that read the values, most frequent first; None if nothing looks like a date.

    Args:
        name: snake_case column name; compact dates (20240131) are only tried under a name that speaks of dates.
        given: distinct texts and their counts.
        day_first: what to assume where the data cannot tell 03/04 from 04/03.
    """
    candidates = _candidates(name, list(given), day_first)
    covered = {pattern.format: _covered(pattern, given) for pattern in candidates}
    chosen: list[DatePattern] = []
    left = set(given)
    while candidates and len(chosen) < MAX_FORMATS:
        best = max(candidates, key=lambda pattern: sum(given[text] for text in covered[pattern.format] & left))
        if sum(given[text] for text in covered[best.format] & left) < max(1, _MIN_SHARE * given.total()):
            break
        chosen.append(best)
        left -= covered[best.format]
    if not chosen:
        return None
    notes = tuple(note for pattern in chosen for note in _doubts(pattern, chosen, given, covered))
    formats = tuple(pattern.format for pattern in chosen)
    has_time = any(pattern.has_time for pattern in chosen)
    iso = formats == ("%Y-%m-%d",)
    return DateGuess(() if iso else formats, has_time, sum(given[text] for text in left), notes)


def _candidates(name: str, values: list[str], day_first: bool) -> list[DatePattern]:
    """Formats that read something in a spread sample; on a tie the earlier one is preferred."""
    probe = values[:: max(1, len(values) // _PROBE)][:_PROBE]
    if not any(any(letter.isdigit() for letter in text) for text in probe):
        return []
    dates = list(_DATES)
    if not day_first:
        dates.sort(key=lambda text: text.startswith("%d/"))
    if any(word in name for word in _DATE_WORDS):
        dates.append(_COMPACT)
    formats = [*dates, *(f"{date}{between}{time}" for date in _DATES[:17] for between in " T" for time in _TIMES)]
    patterns = (compile_format(text) for text in formats)
    return [pattern for pattern in patterns if any(parse(pattern, text) for text in probe)]


def _covered(pattern: DatePattern, values: Iterable[str]) -> set[str]:
    return {text for text in values if parse(pattern, text) is not None}


def _doubts(
    pattern: DatePattern, chosen: list[DatePattern], given: Counter[str], covered: dict[str, set[str]]
) -> list[str]:
    """Whether the data decides between day first and month first."""
    order = pattern.format[:5]
    if order not in _SWAPPED:
        return []
    other = _SWAPPED[order] + pattern.format[5:]
    mine, theirs = covered[pattern.format], covered.get(other, set())
    if mine <= theirs:
        return [f"{pattern.format} or {other}? every value fits both; {pattern.format} is assumed: check it"]
    if any(rival.format == other for rival in chosen):
        return [f"{pattern.format} and {other} both occur, so that some dates are read wrongly: check the source"]
    return []
