"""Keyed digests of real identity values: proof that an invented value is not a real one, without keeping any.

HMAC-SHA256 under the pseudonymisation key, truncated to 128 bits, over a normal form of the value, so that
``+1 (212) 555-0100`` and ``2125550100`` are one phone number. Without the key a digest says nothing, not even of a
value that can be guessed.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from tabveil.errors import KeyUnavailableError, SchemaError
from tabveil.pii.columns import distinct
from tabveil.pii.identifiers import is_direct
from tabveil.schema import Action, Column, SDType

_PREFIX = b"tabveil-identity-v1\x00"
_DIGEST_BYTES = 16
_FINGERPRINT_ROW = ""  # column name of the row that holds the key's fingerprint
_EXTENSION = re.compile(r"\s*(?:x|ext)\.?\s*\d+$")
_NOT_ALNUM = re.compile(r"[\W_]+")
_SPACES = re.compile(r"\s+")
_WORDED = {"NAME", "ADDRESS", "CITY", "FREE_TEXT"}
_PHONE_DIGITS = 9  # national significant numbers share their last nine digits however the country code is written


@dataclass(frozen=True)
class IdentityDigests:
    """Digests per column. Make one with `build` or `from_frame`."""

    key: bytes = field(repr=False)
    semantic_types: Mapping[str, str]
    digests: Mapping[str, frozenset[bytes]] = field(repr=False)

    @classmethod
    def build(cls, table: pd.DataFrame, columns: Sequence[Column], key: bytes) -> IdentityDigests:
        """Digest the real values of every column whose values point at one person and that is not modelled.

        Args:
            table: the real table before any policy; columns that are not guarded (see `guarded`) are not read.
        """
        watched = [column for column in columns if guarded(column)]
        missing = [column.name for column in watched if column.name not in table.columns]
        if missing:
            raise SchemaError(f"identity columns must be in the table, however these are not: {', '.join(missing)}")
        types = {column.name: column.semantic_type or "" for column in watched}
        return cls(
            key, types, {n: frozenset(_digest_all(key, table[n].dropna().unique(), t)) for n, t in types.items()}
        )

    def contains(self, column: str, values: Iterable[Any]) -> npt.NDArray[np.bool_]:
        """Which of `values` are real values of `column`.

        Returns:
            bool array; all False for a column that is not guarded; missing values are never contained.
        """
        series = pd.Series(list(values), dtype=object)
        known = self.digests.get(column)
        if not known:
            return np.zeros(len(series), dtype=bool)
        codes, uniques = distinct(series)
        found = [digest in known for digest in _digest_all(self.key, uniques, self.semantic_types[column])]
        return np.array([*found, False], dtype=bool)[codes]

    def to_frame(self) -> pd.DataFrame:
        """Columns ``column, semantic_type, digest`` (strings), sorted, so that no row order leaks."""
        rows = [(_FINGERPRINT_ROW, "", _fingerprint(self.key))]
        for name in sorted(self.semantic_types):
            hexes = sorted(digest.hex() for digest in self.digests[name])
            rows += [(name, self.semantic_types[name], text) for text in hexes] or [
                (name, self.semantic_types[name], "")
            ]
        return pd.DataFrame(rows, columns=["column", "semantic_type", "digest"], dtype=object)

    @classmethod
    def from_frame(cls, frame: pd.DataFrame, key: bytes) -> IdentityDigests:
        """Inverse of `to_frame`.

        Raises:
            KeyUnavailableError: the digests were made with another key.
        """
        if not {"column", "semantic_type", "digest"} <= set(frame.columns):
            raise KeyUnavailableError("the identity digests are damaged (columns are missing): run verify again")
        marks = frame.loc[frame["column"] == _FINGERPRINT_ROW, "digest"]
        if len(marks) != 1 or not hmac.compare_digest(str(marks.iloc[0]), _fingerprint(key)):
            raise KeyUnavailableError("the identity digests were made with another key: run verify again")
        rows = frame[frame["column"] != _FINGERPRINT_ROW]
        types = {str(n): str(t) for n, t in rows[["column", "semantic_type"]].drop_duplicates().itertuples(index=False)}
        grouped = {str(n): frozenset(bytes.fromhex(d) for d in g if d) for n, g in rows.groupby("column")["digest"]}
        return cls(key, types, grouped)


def guarded(column: Column) -> bool:
    """Whether real values of the column must never be invented.

    It is not modelled, and each value points at one person; or it is a town, which small groups share.
    """
    hidden = column.action in (Action.regenerate, Action.pseudonymise, Action.drop, Action.redact) or column.generated
    personal = column.semantic_type is not None or column.sdtype in (SDType.id, SDType.text)
    pointing = column.semantic_type is None or column.semantic_type == "CITY" or is_direct(column.semantic_type)
    return hidden and personal and pointing


def normal_form(value: Any, semantic_type: str) -> str:
    """The form in which two ways of writing one value are equal.

    NFKC and case-folded; e-mail addresses as they are, names and addresses with single blanks, phone numbers as
    their last nine digits, everything else as its letters and digits.
    """
    text = unicodedata.normalize("NFKC", _text(value)).casefold().strip()
    if semantic_type == "EMAIL_ADDRESS":
        return text
    if semantic_type in _WORDED:
        return _SPACES.sub(" ", text)
    if semantic_type == "PHONE_NUMBER":
        return re.sub(r"\D", "", _EXTENSION.sub("", text))[-_PHONE_DIGITS:]
    return _NOT_ALNUM.sub("", text)


def _text(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _digest_all(key: bytes, values: Iterable[Any], semantic_type: str) -> list[bytes]:
    return [
        hmac.digest(key, _PREFIX + normal_form(value, semantic_type).encode(), "sha256")[:_DIGEST_BYTES]
        for value in values
    ]


def _fingerprint(key: bytes) -> str:
    return hashlib.blake2b(b"tabveil-key-fingerprint", key=hashlib.sha256(key).digest(), digest_size=16).hexdigest()
