"""Identity columns of a synthetic table: invented, one person per row and subject, never a real value.

What stands in a row depends on (seed, row number) alone, so chunks of any size make the same table. Where digests
of the real values are given, a value among them is drawn again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from tabveil.errors import PolicyViolationError, SynthesizerError
from tabveil.pii import numbers
from tabveil.pii.digests import IdentityDigests
from tabveil.pii.draws import MAX_ATTEMPTS, MAX_ROWS, Draws
from tabveil.pii.identifiers import fold_header
from tabveil.pii.people import People, Texts
from tabveil.pii.subjects import subjects_of
from tabveil.schema import Column, ColumnType, SDType

_DEFAULT_LOCALES = ("en_US",)
_FIRST_BIRTH, _BIRTH_DAYS = np.datetime64("1945-01-01"), 21_914  # up to the end of 2004
_FAKER_METHODS = {
    "POSTAL_CODE": "postcode", "STATE": "state", "COUNTRY": "country", "JOB_TITLE": "job",
}  # fmt: skip
_GIVEN = {"first", "given", "firstname", "forename", "vorname", "prenom", "nombre", "ten", "middle"}
_FAMILY = {"last", "family", "surname", "lastname", "nachname", "familienname", "nom", "apellido", "apellidos", "ho"}
_FULL = {"full", "fullname", "customer", "client", "holder", "complet", "completo", "va"}
_TOGETHER = ("NAME", "GEO_COORDINATES")  # types of which one subject's columns are parts of one value
_LARGEST_DIGITS = 18  # of an int64

Maker = Callable[[People], Texts]


def generate_identities(
    columns: Sequence[Column],
    num_rows: int,
    seed: int,
    *,
    start: int = 0,
    digests: IdentityDigests | None = None,
) -> pd.DataFrame:
    """Invent identity columns.

    Args:
        columns: what to invent (`Column.generated`); type, semantic type, null fraction and locales count.
        start: number of the first row; ``generate(n)`` is ``generate(k)`` followed by ``generate(n - k, start=k)``.
        digests: real values, none of which is invented.

    Returns:
        Frame with these columns in this order, canonical dtypes, fresh RangeIndex.

    Raises:
        PolicyViolationError: values that are not real ones could not be found within a few attempts.
        SynthesizerError: more rows than one run can number.
    """
    if num_rows < 0 or start < 0 or start + num_rows > MAX_ROWS:
        raise SynthesizerError(f"row numbers must lie in [0, {MAX_ROWS}], however: {start} to {start + num_rows}")
    draws = Draws(seed, np.arange(start, start + num_rows, dtype=np.uint64))
    locales = next((column.locales for column in columns if column.locales), _DEFAULT_LOCALES)
    subjects = _subjects(columns)
    people = {}
    for subject in dict.fromkeys(subjects.values()):
        theirs = [column for column in columns if subjects[column.name] == subject]
        people[subject] = _name_people(People.of(replace(draws, subject=subject), locales), theirs, digests)
    made = {column.name: _invent(column, people[subjects[column.name]], digests) for column in columns}
    return pd.DataFrame(made, index=pd.RangeIndex(num_rows))


def _subjects(columns: Sequence[Column]) -> dict[str, str]:
    """Who each column is drawn for; a person's second phone, address or note is drawn apart from the first."""
    subjects = subjects_of(columns)
    seen: set[tuple[str, str]] = set()
    for column in columns:
        kind, subject = _kind(column), subjects[column.name]
        if (subject, kind) in seen and kind not in _TOGETHER and (kind in _MAKERS or kind in numbers.FORMS):
            subjects[column.name] = f"{subject}/{column.name}"
        seen.add((subject, kind))
    return subjects


def _name_people(people: People, columns: Sequence[Column], digests: IdentityDigests | None) -> People:
    """People none of whose names is a real one; e-mail addresses speak of names too."""
    named = [column for column in columns if column.semantic_type in ("NAME", "EMAIL_ADDRESS")]
    makers = {_name_maker(column) if column.semantic_type == "NAME" else People.full_names for column in named}
    if digests is None:
        return people
    taken = np.zeros(len(people.draws), dtype=bool)
    for _ in range(MAX_ATTEMPTS):
        taken = np.zeros(len(people.draws), dtype=bool)
        for make in makers:
            taken |= digests.contains_type("NAME", make(people))
        if not taken.any():
            return people
        people = people.redrawn(taken)
    raise PolicyViolationError(_exhausted([column.name for column in named], int(taken.sum())))


def _invent(column: Column, people: People, digests: IdentityDigests | None) -> pd.Series[Any]:
    make = _maker(column)
    empty = people.draws.uniform(f"null/{column.name}") < column.null_fraction
    values = _typed(make(people), column, empty)
    if digests is None or column.semantic_type == "NAME":
        return values
    for attempt in range(1, MAX_ATTEMPTS):
        taken = digests.contains(column.name, values)
        if not taken.any():
            return values
        again = people.where(taken).with_attempt(attempt)
        values[taken] = _typed(make(again), column, empty[taken]).to_numpy()
    left = int(digests.contains(column.name, values).sum())
    if left:
        raise PolicyViolationError(_exhausted([column.name], left))
    return values


def _exhausted(columns: list[str], count: int) -> str:
    return (
        f"invented values must differ from the real ones, however after {MAX_ATTEMPTS} attempts {count} in "
        f"{', '.join(columns)} do not: drop the column, or give it another semantic_type"
    )


def _kind(column: Column) -> str:
    return column.semantic_type or ("FREE_TEXT" if column.sdtype is SDType.text else "")


def _maker(column: Column) -> Maker:
    """How a column's values are invented."""
    semantic = _kind(column)
    if column.type in (ColumnType.date, ColumnType.datetime):
        return _births
    if semantic in _MAKERS:
        return _MAKERS[semantic](column)
    if semantic in _FAKER_METHODS:
        return lambda people: people.pick(_FAKER_METHODS[semantic], semantic)
    if semantic in numbers.FORMS:
        return lambda people: people.by_locale(numbers.FORMS[semantic])
    return _serial_maker(column)


def _name_maker(column: Column) -> Maker:
    words = set(fold_header(column.name).split("_"))
    if words & _FULL:
        return People.full_names
    if words & _FAMILY and not words & _GIVEN:
        return People.family_names
    if words & _GIVEN and not words & _FAMILY:
        return People.given_names
    return People.full_names


def _address_maker(column: Column) -> Maker:
    words = set(fold_header(column.name).split("_"))
    if words & {"street", "strasse", "rue", "calle", "duong", "line"}:
        return People.streets
    return lambda people: people.streets() + ", " + people.cities()


def _coordinate_maker(column: Column) -> Maker:
    if column.type is not ColumnType.decimal:
        return lambda people: people.by_locale(numbers.coordinates)
    part = 0 if fold_header(column.name).startswith(("lat", "breite", "vi_do")) else 1
    return lambda people: np.array(
        [text.split(", ")[part] for text in people.by_locale(numbers.coordinates)], dtype=object
    )


def _serial_maker(column: Column) -> Maker:
    """Unique ids: ``<NAME>-<number>`` as text, the bare number in other types."""
    if column.type is not ColumnType.string:
        return lambda people: (1_000_000_000 + people.draws.serial(column.name)).astype(str).astype(object)
    prefix = column.name.upper()
    return lambda people: np.array([f"{prefix}-{n:010d}" for n in people.draws.serial(column.name)], dtype=object)


def _births(people: People) -> Texts:
    days = people.draws.below("birth", _BIRTH_DAYS).astype("timedelta64[D]")
    return (_FIRST_BIRTH + days).astype(str).astype(object)


_MAKERS: dict[str, Callable[[Column], Maker]] = {
    "NAME": _name_maker,
    "EMAIL_ADDRESS": lambda _column: People.emails,
    "ADDRESS": _address_maker,
    "DATE_OF_BIRTH": lambda _column: _births,
    "GEO_COORDINATES": _coordinate_maker,
    "CITY": lambda _column: People.cities,
    "FREE_TEXT": lambda _column: People.sentences,
}


def _typed(values: Texts, column: Column, empty: npt.NDArray[np.bool_]) -> pd.Series[Any]:
    """Texts as the column's canonical dtype, missing where `empty`; of a text that is no number, the digits."""
    if column.type is ColumnType.string:
        return pd.Series([None if gone else text for text, gone in zip(values, empty, strict=True)], dtype=object)
    return _parsed(values, column.type).mask(empty)


def _parsed(values: Texts, type_: ColumnType) -> pd.Series[Any]:
    if type_ in (ColumnType.date, ColumnType.datetime):
        return pd.Series(pd.to_datetime(pd.Series(values)), dtype="datetime64[us]")
    if type_ is ColumnType.decimal:
        return pd.Series([float(v) if _is_number(v) else float(_digits(v)) for v in values], dtype="float64")
    whole = pd.Series([int(_digits(value)) for value in values], dtype="Int64")
    return whole % 2 == 1 if type_ is ColumnType.boolean else whole


def _digits(text: str) -> str:
    return "".join(c for c in text if c in "0123456789")[-_LARGEST_DIGITS:] or "0"


def _is_number(text: str) -> bool:
    return text.lstrip("-").replace(".", "", 1).isdigit()
