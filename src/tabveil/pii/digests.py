"""Keyed digests of real identity values: proof that an invented value is not a real one, without keeping any.

HMAC-SHA256 under the pseudonymisation key, truncated to 128 bits, over a normal form of the value
(`tabveil.pii.forms`), so that ``+1 (212) 555-0100`` and ``2125550100`` are one phone number. Columns of one family are
looked up together: a dropped guarantor must not come back as a borrower. Without the key a digest says nothing, not
even of a value that can be guessed.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from tabveil.errors import KeyUnavailableError, SchemaError
from tabveil.pii.columns import distinct
from tabveil.pii.forms import WORDED, family, forms, normal_form
from tabveil.pii.identifiers import is_direct
from tabveil.schema import Action, Column, SDType

_PREFIX = b"tabveil-identity-v2\x00"
_DIGEST_BYTES = 16
_FINGERPRINT_ROW = ""  # column name of the row that holds the key's fingerprint


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
        types = {column.name: _kind(column) for column in watched}
        return cls(
            key, types, {n: frozenset(_digest_all(key, table[n].dropna().unique(), t)) for n, t in types.items()}
        )

    def guards(self, column: str) -> bool:
        """Whether the column's real values are known here (a column that was empty counts)."""
        return column in self.semantic_types

    def contains(self, column: str, values: Iterable[Any]) -> npt.NDArray[np.bool_]:
        """Which of `values` are, or hold as a part, a real value of the column's family.

        Returns:
            bool array; all False for a column that is not guarded; missing values are never contained.
        """
        if column not in self.semantic_types:
            return np.zeros(len(list(values)), dtype=bool)
        return self.contains_type(self.semantic_types[column], values)

    def contains_type(self, semantic_type: str, values: Iterable[Any]) -> npt.NDArray[np.bool_]:
        """Which of `values` are, or hold as a part, a real value of the type's family, from whichever column.

        Names, places and texts must not hold two or more words of one another either: ``12 Timothy Green`` is an
        address and a person.

        Returns:
            bool array; missing values are never contained.
        """
        series = pd.Series(list(values), dtype=object)
        own = self._pools.get(family(semantic_type), frozenset())
        phrases = self._phrases if family(semantic_type) in WORDED else frozenset()
        if not own and not phrases:
            return np.zeros(len(series), dtype=bool)
        codes, uniques = distinct(series)
        found = [self._holds(forms(value, semantic_type), own, phrases) for value in uniques]
        return np.array([*found, False], dtype=bool)[codes]

    def _holds(self, values: set[str], own: frozenset[bytes], phrases: frozenset[bytes]) -> bool:
        for form in values:
            digest = _digest(self.key, form)
            if digest in own or (" " in form and digest in phrases):
                return True
        return False

    @cached_property
    def _pools(self) -> dict[str, frozenset[bytes]]:
        """Digests by family."""
        pools: dict[str, set[bytes]] = {}
        for name, semantic_type in self.semantic_types.items():
            pools.setdefault(family(semantic_type), set()).update(self.digests.get(name, ()))
        return {kind: frozenset(digests) for kind, digests in pools.items()}

    @cached_property
    def _phrases(self) -> frozenset[bytes]:
        """Digests of every family that is made of words."""
        return frozenset().union(*(digests for kind, digests in self._pools.items() if kind in WORDED))

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
            raise KeyUnavailableError(
                "the identity digests are damaged (columns are missing): dvc repro --force verify"
            )
        marks = frame.loc[frame["column"] == _FINGERPRINT_ROW, "digest"]
        if len(marks) != 1 or not hmac.compare_digest(str(marks.iloc[0]), _fingerprint(key)):
            raise KeyUnavailableError("the identity digests were made with another key: dvc repro --force verify")
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


def _kind(column: Column) -> str:
    """The type under which a guarded column's values are compared; a text without one is free text."""
    return column.semantic_type or ("FREE_TEXT" if column.sdtype is SDType.text else "UNIQUE_IDENTIFIER")


def _digest_all(key: bytes, values: Iterable[Any], semantic_type: str) -> list[bytes]:
    return [_digest(key, normal_form(value, semantic_type)) for value in values]


def _digest(key: bytes, form: str) -> bytes:
    return hmac.digest(key, _PREFIX + form.encode(), "sha256")[:_DIGEST_BYTES]


def _fingerprint(key: bytes) -> str:
    return hashlib.blake2b(b"tabveil-key-fingerprint-v2", key=hashlib.sha256(key).digest(), digest_size=16).hexdigest()
