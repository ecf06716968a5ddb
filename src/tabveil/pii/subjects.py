"""Whose column is it? ``borrower_name`` and ``guarantor_name`` speak of two people, ``name`` and ``e_mail`` of one."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tabveil.pii.identifiers import fold_header
from tabveil.schema import Column

# words that say which part of a name a column holds, and the person a table is about
_NAME_WORDS = {
    "name", "names", "full", "fullname", "first", "firstname", "last", "lastname", "given", "family", "middle",
    "maiden", "surname", "forename", "initials", "title", "vorname", "nachname", "familienname", "vollname",
    "prenom", "nom", "complet", "famille", "nombre", "nombres", "completo", "apellido", "apellidos", "ho", "ten",
    "va", "dem", "of", "the", "des", "der", "du", "de", "del", "la", "le", "customer", "cust", "client",
    "cliente", "person", "kunde", "kunden", "khach", "hang", "kh",
}  # fmt: skip
MAIN = ""


def subjects_of(columns: Sequence[Column]) -> dict[str, str]:
    """Who each column speaks of, by column name; `MAIN` is the person the table is about.

    A name column's subject is what its header says beside the words for a name. Another column belongs to the subject
    its header mentions, else to `MAIN`.
    """
    named = {c.name: _subject(c.name) for c in columns if c.semantic_type == "NAME"}
    main = MAIN if not named or MAIN in named.values() else next(iter(named.values()))
    others = sorted({subject for subject in named.values() if subject != main}, key=lambda s: (-len(s), s))
    return {c.name: _mentioned(c.name, named.get(c.name), others) for c in columns}


def _mentioned(name: str, subject: str | None, others: list[str]) -> str:
    if subject is not None:
        return subject if subject in others else MAIN
    header = f"_{fold_header(name)}_"
    return next((other for other in others if f"_{other}_" in header), MAIN)


def _subject(name: str) -> str:
    words = [word for word in fold_header(name).split("_") if word not in _NAME_WORDS]
    return "_".join(re.sub(r"(first|last|sur|fore|full)?name$", "", word) or word for word in words)
