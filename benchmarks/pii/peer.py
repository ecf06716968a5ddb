"""Presidio on the same tables, in an interpreter of its own."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tables import LabelledTable

_SCRIPT = Path(__file__).with_name("presidio_peer.py")
_TYPES: dict[str, tuple[str, ...]] = {
    "PERSON": ("NAME",),
    "EMAIL_ADDRESS": ("EMAIL_ADDRESS",),
    "PHONE_NUMBER": ("PHONE_NUMBER",),
    "LOCATION": ("ADDRESS", "GEO_COORDINATES"),
    "DATE_TIME": ("DATE_OF_BIRTH",),
    "CREDIT_CARD": ("CREDIT_CARD_NUMBER",),
    "IBAN_CODE": ("BANK_ACCOUNT_NUMBER",),
    "US_BANK_NUMBER": ("BANK_ACCOUNT_NUMBER",),
    "IP_ADDRESS": ("IP_ADDRESS",),
    "MAC_ADDRESS": ("MAC_ADDRESS",),
    "US_SSN": ("USA_SOCIAL_SECURITY_NUMBER", "NATIONAL_ID"),
    "US_ITIN": ("USA_INDIVIDUAL_TAX_IDENTIFICATION_NUMBER", "NATIONAL_ID"),
    "US_PASSPORT": ("PASSPORT_NUMBER",),
    "IN_PASSPORT": ("PASSPORT_NUMBER",),
    "US_DRIVER_LICENSE": ("DRIVERS_LICENSE",),
    "UK_NINO": ("UK_NATIONAL_INSURANCE_NUMBER", "NATIONAL_ID"),
    "ES_NIF": ("SPAIN_DNI_NUMBER", "NATIONAL_ID"),
    "ES_NIE": ("SPAIN_DNI_NUMBER", "NATIONAL_ID"),
    "IN_AADHAAR": ("INDIA_AADHAAR_NUMBER", "NATIONAL_ID"),
    "IN_PAN": ("INDIA_PERMANENT_ACCOUNT_NUMBER", "NATIONAL_ID"),
}  # fmt: skip


def compare(python: Path, labelled: Sequence[LabelledTable], new_score: Callable[[], Any]) -> dict[str, Any]:
    """Scores of Presidio where a column counts from one cell on, and from a fifth of its cells on.

    Its cells per second are those of the analyzer alone. `DATE_TIME` counts as right in columns of births, `LOCATION`
    in columns of addresses and coordinates; in columns of other personal data they count as nothing, not as wrong.
    """
    with tempfile.TemporaryDirectory() as folder:
        given, answered = Path(folder) / "tables.json", Path(folder) / "found.json"
        given.write_text(
            json.dumps([t.data.astype(object).where(t.data.notna(), None).to_dict("list") for t in labelled])
        )
        subprocess.run([str(python), str(_SCRIPT), str(given), str(answered)], check=True)
        answer = json.loads(answered.read_text())
    rows = {}
    for title, least in (("one cell", 0.0), ("a fifth of the cells", 0.2)):
        score = new_score()
        for table, shares in zip(labelled, answer["shares"], strict=True):
            score.add(table, {column: _found(table, column, of, least) for column, of in shares.items()})
        rows[f"presidio {answer['version']}, {title}"] = score.to_dict() | {
            "cells_per_second": round(answer["cells"] / answer["seconds"])
        }
    return rows


def _found(table: LabelledTable, column: str, shares: dict[str, float], least: float) -> set[str]:
    """Presidio's entities as our types; an entity that stands for several takes the one the label allows."""
    allowed, found = set(table.labels[column].allowed), set()
    for entity, share in shares.items():
        types = _TYPES.get(entity, (entity,))
        if share <= 0 or share < least:
            continue
        if allowed and entity in ("DATE_TIME", "LOCATION") and not allowed & set(types):
            continue
        found.add(next((type_ for type_ in types if type_ in allowed), types[0]))
    return found
