"""From what a column holds to how it is declared: sdtype, semantic type, policy, each with its reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tabveil.ingest.guess import ColumnGuess
from tabveil.schema import ColumnType

MIN_COUNT = 20  # rows a level of a generalised column must have
MANY_LEVELS = 50
FEW_DATES = 12
_KEYS = (ColumnType.string, ColumnType.integer)
_LONG_TEXT = 40  # characters on average
_MOMENTS = (ColumnType.date, ColumnType.datetime)
_IN_WORDS = ("NAME", "ADDRESS")  # PII types whose values are text rather than keys
_QUASI_TYPES: dict[str, tuple[ColumnType, ...]] = {
    "AGE": (ColumnType.integer, ColumnType.decimal),
    "BIRTH_YEAR": (ColumnType.integer,),
    "GENDER": (ColumnType.string, ColumnType.boolean, ColumnType.integer),
    "UNIQUE_IDENTIFIER": (ColumnType.string, ColumnType.integer),
}  # types of values by quasi-identifier; text for all others
_SMALL_GROUPS = ("CITY", "POSTAL_CODE", "JOB_TITLE")  # whose default policy is more than to keep them
_UNLIKE = 0.5  # share of distinct values above which text is unlike a category
_MIN_REPEAT = 1.02  # rows per value from which a key is that of an entity with several rows
_MIN_ENTITIES = 0.05  # entities per row; below it a key that names no person is a category (a branch, a product)
_FEWEST_ENTITIES = 10  # of a person's key; fewer cannot be split into train and holdout


@dataclass(frozen=True)
class Found:
    """What a scan says of one column.

    Args:
        type: its PII type, e.g. EMAIL_ADDRESS.
        in_text: the type is mentioned inside longer text.
        quasi: shared by many people (a city, an age): it is modelled, and named.
        owner: whose id the header announces ("person", "other"); such a column is never modelled.
    """

    type: str
    in_text: bool = False
    quasi: bool = False
    owner: str | None = None


@dataclass
class Declaration:
    """One column of the draft, in the order the YAML shows.

    Args:
        settings: what goes below the column's name, e.g. ``{"type": "date", "policy": {...}}``.
        comment: why.
    """

    name: str
    settings: dict[str, object] = field(default_factory=dict)
    comment: str = ""


def declare(guess: ColumnGuess, found: Found | None, *, entity: bool) -> Declaration:
    """How one column is to be declared.

    Args:
        found: personal data in it, by the scan.
        entity: it is the table's entity key.
    """
    if _is_person_id(guess, found):
        return _declare_id(guess, entity=entity)
    if found is not None and found.quasi:
        declaration = declare(guess, None, entity=entity)
        _name_quasi(declaration, guess, found.type)
        return declaration
    declaration = Declaration(guess.name)
    if guess.type in _MOMENTS and found is None and 0 < guess.num_distinct <= FEW_DATES:
        declaration.comment = f"{guess.num_distinct} different dates: a category"
        return declaration
    settings = declaration.settings
    if guess.type is not ColumnType.string:
        settings["type"] = guess.type.value
    if guess.formats:
        settings["formats"] = list(guess.formats)
    if entity:
        _set(declaration, "id", {"action": "pseudonymise"}, "entity key: repeats across rows", found)
    elif found is not None:
        _declare_personal(declaration, guess, found)
    else:
        _declare_plain(declaration, guess)
    return declaration


def _is_person_id(guess: ColumnGuess, found: Found | None) -> bool:
    """Whether values name a person or contract: its header says whose id it is, or is a word for people over codes."""
    if guess.type not in _KEYS or guess.num_values == 0 or (found is not None and not found.quasi):
        return False
    bare = guess.bare_person_header and guess.words == 0 and guess.num_distinct > MANY_LEVELS
    return bare or (found is not None and found.owner is not None)


def _declare_id(guess: ColumnGuess, *, entity: bool) -> Declaration:
    """Pseudonymised where it repeats, so that its rows can be told to belong together; else invented anew."""
    declaration = Declaration(guess.name)
    if guess.type is not ColumnType.string:
        declaration.settings["type"] = guess.type.value
    repeats = guess.num_distinct < guess.num_values
    comment = "id of a person or contract, never modelled" + ("; entity key: repeats across rows" if entity else "")
    policy: dict[str, object] = {"action": "pseudonymise" if repeats else "regenerate"}
    _set(declaration, "id", policy, comment, Found("UNIQUE_IDENTIFIER"))
    return declaration


def _declare_plain(declaration: Declaration, guess: ColumnGuess) -> None:
    if guess.num_values == 0:
        _set(declaration, None, {"action": "drop"}, "empty")
    elif guess.uuid or (guess.key_header and guess.is_unique and guess.type in (ColumnType.string, ColumnType.integer)):
        _set(declaration, "id", {"action": "regenerate"}, "one value per row: an identifier")
    elif guess.type is ColumnType.string:
        _declare_text(declaration, guess)
    elif guess.type is ColumnType.integer and is_code(guess):
        declaration.settings["sdtype"] = "categorical"
        declaration.comment = f"{guess.num_distinct} different codes: a category"


def _name_quasi(declaration: Declaration, guess: ColumnGuess, type_: str) -> None:
    """Say which quasi-identifier a column is, and make the finest ones coarser; a key is named as one only.

    The scan reads headers alone, so that a name counts only where the type of the values agrees with it.
    """
    settings = declaration.settings
    if guess.type not in _QUASI_TYPES.get(type_, (ColumnType.string,)) or not guess.num_values:
        return
    if (type_ == "UNIQUE_IDENTIFIER") != (settings.get("sdtype") == "id"):
        return
    policy = settings.pop("policy", None)
    settings["semantic_type"] = type_
    if policy is None and type_ in _SMALL_GROUPS:
        policy = {"action": "generalise", "method": "frequent", "min_count": MIN_COUNT}
        declaration.comment = f"looks like {type_}: only values of at least {MIN_COUNT} rows are modelled"
    if policy is not None:
        settings["policy"] = policy
    declaration.comment = declaration.comment or f"looks like {type_}"


def is_code(guess: ColumnGuess) -> bool:
    """An integer under a key's name that few rows have to themselves: a branch, a product, a country code."""
    return guess.key_header and guess.num_distinct <= MANY_LEVELS


def entity_key(guesses: Sequence[ColumnGuess], found: Mapping[str, Found]) -> str | None:
    """The key whose values repeat across rows, preferably a person's, then an account's; None if there is none."""
    ranks = {guess.name: _rank(guess, found.get(guess.name)) for guess in guesses}
    keys = [guess for guess in guesses if ranks[guess.name] > 0]
    if not keys:
        return None
    return max(keys, key=lambda guess: (ranks[guess.name], guess.num_distinct)).name


def _rank(guess: ColumnGuess, found: Found | None) -> int:
    """How well a column says whose row it is: 0 not at all, 3 it is a person's id that repeats."""
    if _is_person_id(guess, found):
        repeats = _FEWEST_ENTITIES <= guess.num_distinct < guess.num_values / _MIN_REPEAT
        return (2 if found is not None and found.owner == "other" else 3) * repeats
    return int(_repeats(guess))


def _repeats(guess: ColumnGuess) -> bool:
    if guess.type not in _KEYS or not (guess.key_header or guess.bare_person_header):
        return False
    if guess.words > 0 or guess.name.startswith(("num_", "n_", "count_", "number_")):
        return False
    if not (guess.person_header or guess.name.endswith(("id", "key", "uuid"))) or guess.num_distinct <= MANY_LEVELS:
        return False
    rows_per_value = guess.num_values / guess.num_distinct
    return rows_per_value >= _MIN_REPEAT and guess.num_distinct >= _MIN_ENTITIES * guess.num_values


def _declare_personal(declaration: Declaration, guess: ColumnGuess, found: Found) -> None:
    why = f"looks like {found.type}" + (" inside text" if found.in_text else "")
    if found.type == "DATE_OF_BIRTH" and guess.type in _MOMENTS:
        _set(declaration, None, {"action": "generalise", "method": "year"}, f"{why}: only the year is modelled", found)
    elif found.in_text:
        _set(declaration, "text", {"action": "regenerate"}, why, Found("FREE_TEXT"))
    else:
        key_like = guess.type in (ColumnType.string, ColumnType.integer)
        sdtype = "text" if found.type in _IN_WORDS else "id" if key_like else None
        _set(declaration, sdtype, {"action": "regenerate"}, why, found)


def _declare_text(declaration: Declaration, guess: ColumnGuess) -> None:
    levels, share = guess.num_distinct, guess.num_distinct / guess.num_values
    if share > _UNLIKE and levels > MANY_LEVELS and (guess.mean_length >= _LONG_TEXT or guess.num_frequent == 0):
        _set(declaration, "text", {"action": "regenerate"}, f"{levels} different texts: not a category")
    elif levels > MANY_LEVELS and guess.num_frequent == 0:
        _set(declaration, "text", {"action": "regenerate"}, f"{levels} levels, none in {MIN_COUNT} rows")
    elif levels > MANY_LEVELS and guess.num_frequent < levels:
        policy = {"action": "generalise", "method": "frequent", "min_count": MIN_COUNT}
        _set(declaration, None, policy, f"{levels} levels, {guess.num_frequent} of them in at least {MIN_COUNT} rows")


def _set(
    declaration: Declaration, sdtype: str | None, policy: dict[str, object], comment: str, found: Found | None = None
) -> None:
    if sdtype is not None:
        declaration.settings["sdtype"] = sdtype
    if found is not None:
        declaration.settings["semantic_type"] = found.type
    declaration.settings["policy"] = policy
    declaration.comment = comment
