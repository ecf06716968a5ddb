"""Labelled tables: columns of personal data and look-alikes, under descriptive or opaque headers.

Two parts that share no locale, no seed and no header word:

- `tune`: locales en_US, de_DE, vi_VN, fr_FR; may be looked at while rules are written.
- `measured`: locales en_GB, es_ES, en_IN, it_IT, and look-alikes that the first part does not have; measured only.

Ids that belong to one state (a German tax id) occur in both, with other seeds, headers and fillers.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd
from lookalikes import TUNED, UNSEEN
from makers import Maker
from vocabulary import FILLERS, GENERIC, NATIONAL_KINDS, PIIKind

DIRT_SHARE = 0.06
OPAQUE = {"tune": "c{:02d}", "measured": "attr_{:d}"}


@dataclass(frozen=True)
class Part:
    """Locales and seeds of one part."""

    name: str
    locales: tuple[str, ...]
    seeds: tuple[int, ...]


PARTS = {
    "tune": Part("tune", ("en_US", "de_DE", "vi_VN", "fr_FR"), (11, 12)),
    "measured": Part("measured", ("en_GB", "es_ES", "en_IN", "it_IT"), (901, 902)),
}


@dataclass(frozen=True)
class Label:
    """What a column holds: `types` is empty for a look-alike."""

    kind: str
    types: tuple[str, ...]
    allowed: tuple[str, ...]


@dataclass(frozen=True)
class LabelledTable:
    """A table of texts and what each column is."""

    name: str
    descriptive: bool
    data: pd.DataFrame
    labels: dict[str, Label]


def tables(part: str, num_rows: int) -> Iterator[LabelledTable]:
    """Every table of a part: per seed and locale one of generic kinds, per seed one of national ids; both headings."""
    chosen = PARTS[part]
    for seed in chosen.seeds:
        for locale in chosen.locales:
            yield from _both(part, f"{locale}/{seed}", GENERIC, locale, num_rows)
        yield from _both(part, f"national/{seed}", NATIONAL_KINDS, chosen.locales[0], num_rows)


def _both(part: str, name: str, kinds: tuple[PIIKind, ...], locale: str, num_rows: int) -> Iterator[LabelledTable]:
    for descriptive in (True, False):
        yield _table(part, name, kinds, locale, num_rows, descriptive=descriptive)


def _table(
    part: str, name: str, kinds: tuple[PIIKind, ...], locale: str, num_rows: int, *, descriptive: bool
) -> LabelledTable:
    columns: dict[str, list[str | None]] = {}
    labels: dict[str, Label] = {}
    for kind in kinds:
        rng = random.Random(f"{part}/{name}/{kind.name}")
        header = _free(rng.choice(getattr(kind, part)) if descriptive else OPAQUE[part].format(len(columns)), columns)
        columns[header] = _cells(kind.make, kind.share, kind.filler, locale, num_rows=num_rows, rng=rng)
        labels[header] = Label(kind.name, kind.types, kind.types + kind.also)
    for look, (make, title) in (TUNED if part == "tune" else TUNED | UNSEEN).items():
        rng = random.Random(f"{part}/{name}/{look}")
        header = _free(title if descriptive else OPAQUE[part].format(len(columns)), columns)
        columns[header] = _cells(make, rng.choice((1.0, 0.9)), None, locale, num_rows=num_rows, rng=rng)
        labels[header] = Label(look, (), ())
    return LabelledTable(f"{part}/{name}", descriptive, pd.DataFrame(columns), labels)


def _free(header: str, taken: dict[str, list[str | None]]) -> str:
    number, name = 1, header
    while name in taken:
        number += 1
        name = f"{header}_{number}"
    return name


def _cells(
    make: Maker, share: float, filler: Maker | None, locale: str, *, num_rows: int, rng: random.Random
) -> list[str | None]:
    """`share` of the rows hold the kind (at least two), some of them written untidily."""
    holds = set(rng.sample(range(num_rows), max(2, round(share * num_rows))))
    return [_cell(make, filler, locale, rng, row in holds) for row in range(num_rows)]


def _cell(make: Maker, filler: Maker | None, locale: str, rng: random.Random, holds: bool) -> str | None:
    if holds:
        return _dirty(make(rng, locale), rng)
    if filler is not None:
        return filler(rng, locale)
    return rng.choice(FILLERS) or None


def _dirty(text: str, rng: random.Random) -> str:
    """Blanks, no-break blanks, zero-width characters, lower case, now and then."""
    if rng.random() >= DIRT_SHARE:
        return text
    return rng.choice(
        (f" {text}", f"{text}  ", f"\u00a0{text}", f"{text}\u200b", text.lower(), text.replace(" ", "\u00a0"))
    )
