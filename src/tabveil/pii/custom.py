"""The types of this project as Amazon Macie's identifiers: managed ones by id, all others as custom data identifiers.

Pure functions that return the arguments of Macie's API; nothing here talks to AWS. Names end in a digest of what they
name, so that an adapter may reuse what it finds under a name.
Sources: Amazon Macie user guide, "Managed data identifiers for PII / financial information / credentials"; API
reference, CreateCustomDataIdentifier and CreateAllowList.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tabveil.config import PIIConfig
from tabveil.custom_types import SEVERITIES, IdentifierSpec, joined_regexes
from tabveil.errors import ConfigError
from tabveil.pii import patterns
from tabveil.pii.declared import type_of_name
from tabveil.pii.identifiers import TYPES, Severity

PREFIX = "tabveil"
_IBAN_COUNTRIES = """
    ALBANIA ANDORRA BOSNIA_AND_HERZEGOVINA BRAZIL BULGARIA COSTA_RICA CROATIA CYPRUS CZECH_REPUBLIC DENMARK
    DOMINICAN_REPUBLIC EGYPT ESTONIA FAROE_ISLANDS FINLAND FRANCE GEORGIA GERMANY GREECE GREENLAND HUNGARY ICELAND
    IRELAND ITALY JORDAN KOSOVO LIECHTENSTEIN LITHUANIA MALTA MAURITANIA MAURITIUS MONACO MONTENEGRO NETHERLANDS
    NORTH_MACEDONIA POLAND PORTUGAL SAN_MARINO SENEGAL SERBIA SLOVAKIA SLOVENIA SPAIN SWEDEN SWITZERLAND TIMOR_LESTE
    TUNISIA TURKIYE UK UKRAINE UNITED_ARAB_EMIRATES VIRGIN_ISLANDS
"""
_LICENCE_COUNTRIES = """
    AUSTRALIA AUSTRIA BELGIUM BULGARIA CANADA CROATIA CYPRUS CZECHIA DENMARK ESTONIA FINLAND FRANCE GERMANY GREECE
    HUNGARY INDIA IRELAND ITALY LATVIA LITHUANIA LUXEMBOURG MALTA NETHERLANDS POLAND PORTUGAL ROMANIA SLOVAKIA SLOVENIA
    SPAIN SWEDEN UK
"""
_PASSPORT_COUNTRIES = "CANADA FRANCE GERMANY ITALY SPAIN UK USA"
_PHONE_COUNTRIES = "BRAZIL FRANCE GERMANY ITALY SPAIN UK"


def _of_each(countries: str, identifier: str) -> tuple[str, ...]:
    return tuple(f"{country}_{identifier}" for country in countries.split())


MANAGED_IDENTIFIERS: dict[str, tuple[str, ...]] = {
    "NAME": ("NAME",),
    "ADDRESS": ("ADDRESS",),
    "PHONE_NUMBER": ("PHONE_NUMBER", *_of_each(_PHONE_COUNTRIES, "PHONE_NUMBER")),
    "DATE_OF_BIRTH": ("DATE_OF_BIRTH",),
    "BANK_ACCOUNT_NUMBER": (
        "BANK_ACCOUNT_NUMBER", *_of_each(_IBAN_COUNTRIES, "BANK_ACCOUNT_NUMBER"),
    ),
    "CREDIT_CARD_NUMBER": ("CREDIT_CARD_NUMBER", "CREDIT_CARD_NUMBER_(NO_KEYWORD)", "CREDIT_CARD_MAGNETIC_STRIPE"),
    "USA_SOCIAL_SECURITY_NUMBER": ("USA_SOCIAL_SECURITY_NUMBER",),
    "USA_INDIVIDUAL_TAX_IDENTIFICATION_NUMBER": ("USA_INDIVIDUAL_TAX_IDENTIFICATION_NUMBER",),
    "GERMANY_TAX_IDENTIFICATION_NUMBER": ("GERMANY_TAX_IDENTIFICATION_NUMBER",),
    "UK_NATIONAL_INSURANCE_NUMBER": ("UK_NATIONAL_INSURANCE_NUMBER",),
    "FRANCE_NATIONAL_IDENTIFICATION_NUMBER": ("FRANCE_NATIONAL_IDENTIFICATION_NUMBER",),
    "SPAIN_DNI_NUMBER": ("SPAIN_DNI_NUMBER", "SPAIN_NIE_NUMBER", "SPAIN_NIF_NUMBER"),
    "INDIA_AADHAAR_NUMBER": ("INDIA_AADHAAR_NUMBER",),
    "INDIA_PERMANENT_ACCOUNT_NUMBER": ("INDIA_PERMANENT_ACCOUNT_NUMBER",),
    "NATIONAL_ID": (
        "GERMANY_NATIONAL_IDENTIFICATION_NUMBER", "ITALY_NATIONAL_IDENTIFICATION_NUMBER",
        "CANADA_SOCIAL_INSURANCE_NUMBER", "FRANCE_TAX_IDENTIFICATION_NUMBER", "SPAIN_SOCIAL_SECURITY_NUMBER",
        "SPAIN_TAX_IDENTIFICATION_NUMBER", "UK_TAX_IDENTIFICATION_NUMBER", "UK_ELECTORAL_ROLL_NUMBER",
        "AUSTRALIA_TAX_FILE_NUMBER", "BRAZIL_CPF_NUMBER", "BRAZIL_RG_NUMBER", "ARGENTINA_DNI_NUMBER",
        "CHILE_RUT_NUMBER", "COLOMBIA_CITIZENSHIP_CARD_NUMBER", "MEXICO_CURP_NUMBER",
    ),
    "PASSPORT_NUMBER": _of_each(_PASSPORT_COUNTRIES, "PASSPORT_NUMBER"),
    "DRIVERS_LICENSE": ("DRIVERS_LICENSE", *_of_each(_LICENCE_COUNTRIES, "DRIVERS_LICENSE")),
    "CREDENTIALS": (
        "AWS_CREDENTIALS", "GCP_API_KEY", "HTTP_BASIC_AUTH_HEADER", "HTTP_COOKIE", "JSON_WEB_TOKEN",
        "OPENSSH_PRIVATE_KEY", "PGP_PRIVATE_KEY", "PKCS", "PUTTY_PRIVATE_KEY", "STRIPE_CREDENTIALS",
    ),
    "GEO_COORDINATES": ("LATITUDE_LONGITUDE",),
}  # fmt: skip
"""Macie's managed data identifier ids by type; select them with INCLUDE."""

TYPE_OF_MANAGED: dict[str, str] = {id_: type_ for type_, ids in MANAGED_IDENTIFIERS.items() for id_ in ids}
"""The type of a managed identifier's detection."""

_LETTERS = "A-Za-zÀ-ɏḀ-ỿ"  # Latin, with every accent of Vietnamese; Macie's subset is not known to have \p{L}
_VIETNAMESE_FAMILIES = (
    "Nguyễn|Trần|Lê|Phạm|Hoàng|Huỳnh|Phan|Vũ|Võ|Đặng|Bùi|Đỗ|Hồ|Ngô|Dương|Lý|Đào|Đoàn|Vương|Trịnh|Trương|Đinh|Lâm|"
    "Phùng|Lương|Nguyen|Tran|Pham|Huynh|Truong"
)
_VIETNAMESE_IDS = (
    "cccd", "cmnd", "căn cước", "can cuoc", "can_cuoc", "chứng minh", "chung minh", "chung_minh", "citizen id",
    "citizen_id", "national id", "national_id", "national identi", "identity card", "identity_card", "identity number",
    "identity_number", "id card", "id_card", "id number", "id_number", "personal id", "personal_id",
)  # fmt: skip
_TAX_CODES = ("mã số thuế", "ma so thue", "ma_so_thue", "mst", "tax code", "tax_code", "tax id", "tax_id")
_PHONES = (
    "phone", "mobile", "cell", "telefon", "teléfono", "tel.", "điện thoại", "dien thoai", "dien_thoai", "sđt", "sdt",
    "di động", "zalo", "liên hệ",
)  # fmt: skip
_ACCOUNTS = (
    "số tài khoản", "so tai khoan", "so_tai_khoan", "tài khoản", "tai khoan", "tai_khoan", "stk", "account number",
    "account_number", "account no", "account_no", "bank account", "bank_account", "iban_or_account", "kontonummer",
)  # fmt: skip


def managed_identifiers(tolerated_types: Iterable[str] = ()) -> list[str]:
    """Ids for `managedDataIdentifierIds`, sorted; those of types that may stay are left out."""
    left_out = set(tolerated_types)
    return sorted(id_ for type_, ids in MANAGED_IDENTIFIERS.items() if type_ not in left_out for id_ in ids)


def macie_custom_identifiers() -> list[dict[str, Any]]:
    """`create_custom_data_identifier` arguments for the types that Macie has no (sufficient) managed identifier for.

    E-mail, IP and MAC addresses, keys of other vendors, phone numbers in international form, coordinate pairs, and
    Vietnam's ids, tax codes, phones, accounts and names. The patterns are the scanner's own, written in Macie's
    subset; where the scanner decides by a check digit or by the share of a column, keywords stand in for it.
    """
    return [custom_identifier(type_, spec, TYPES[type_].severity) for type_, spec in _built_in()]


def declared_identifiers(options: PIIConfig) -> list[dict[str, Any]]:
    """`create_custom_data_identifier` arguments of `pii.identifiers`, sorted by type.

    A check digit (`validate`) is the local scanner's alone: Macie finds more.
    """
    return [custom_identifier(type_of_name(name), spec) for name, spec in sorted(options.identifiers.items())]


def custom_identifier(type_: str, spec: IdentifierSpec, severity: Any = None) -> dict[str, Any]:
    """`create_custom_data_identifier` arguments of one identifier.

    Args:
        severity: ``count -> Severity`` of a built-in type; None: the declared one.
    """
    levels = spec.levels if severity is None else _levels(severity)
    payload: dict[str, Any] = {
        "regex": spec.regex,
        "severityLevels": [
            {"occurrencesThreshold": levels[name], "severity": name} for name in SEVERITIES if name in levels
        ],
    }
    if spec.keywords:
        payload |= {"keywords": list(spec.keywords), "maximumMatchDistance": spec.maximum_match_distance}
    if spec.ignore_words:
        payload["ignoreWords"] = list(spec.ignore_words)
    if spec.description:
        payload["description"] = spec.description
    return {"name": f"{PREFIX}-{type_}-{_digest(payload)}", **payload}


def type_of_custom(name: str) -> str | None:
    """The type of a custom identifier's detection by the identifier's name; None if it is not one of ours."""
    found = re.fullmatch(rf"{PREFIX}-([A-Z][A-Z0-9_]*)-[0-9a-f]{{12}}", name)
    return found[1] if found else None


def identifier_of_payload(payload: Mapping[str, Any]) -> tuple[str, IdentifierSpec]:
    """Inverse of `custom_identifier`: what a Macie that runs the local scanner must look for.

    Raises:
        ConfigError: the name is not one of ours, or the identifier breaks a limit of Macie's.
    """
    type_ = type_of_custom(str(payload["name"]))
    if type_ is None:
        raise ConfigError(
            f"a custom data identifier must be named {PREFIX}-<TYPE>-<digest>, however: {payload['name']}"
        )
    levels = {level["severity"]: level["occurrencesThreshold"] for level in payload.get("severityLevels", [])}
    return type_, IdentifierSpec(
        regex=payload["regex"],
        keywords=list(payload.get("keywords", [])),
        ignore_words=list(payload.get("ignoreWords", [])),
        maximum_match_distance=payload.get("maximumMatchDistance", 50),
        severity=levels,
        description=payload.get("description", ""),
    )


@dataclass(frozen=True)
class AllowList:
    """One allow list of Macie's.

    Args:
        payload: `create_allow_list` arguments.
        object_key, text: the object that must be in the bucket before; None for a regex.
    """

    payload: dict[str, Any]
    object_key: str | None = None
    text: str | None = None


def macie_allow_lists(options: PIIConfig, *, bucket: str, prefix: str) -> list[AllowList]:
    """`pii.allow` as allow lists: one list of texts, and as few regexes as fit.

    Macie's allow lists know no type: what is allowed for one type is allowed for all. The local scanner knows.

    Args:
        bucket, prefix: where the list of texts is put.
    """
    values = sorted({value.strip() for spec in options.allow.values() for value in spec.values})
    lists: list[AllowList] = []
    if values:
        text = "".join(f"{value}\n" for value in values)
        digest = _digest(text)
        key = f"{prefix}allow-{digest}.txt"
        criteria: dict[str, Any] = {"s3WordsList": {"bucketName": bucket, "objectKey": key}}
        lists.append(AllowList({"name": f"{PREFIX}-allow-{digest}", "criteria": criteria}, key, text))
    joined = joined_regexes(regex for _, spec in sorted(options.allow.items()) for regex in spec.regexes)
    return lists + [
        AllowList({"name": f"{PREFIX}-allow-{_digest(regex)}", "criteria": {"regex": regex}}) for regex in joined
    ]


def _built_in() -> list[tuple[str, IdentifierSpec]]:
    byte = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
    return [
        ("EMAIL_ADDRESS", IdentifierSpec(regex=_in_subset(patterns.EMAIL))),
        ("IP_ADDRESS", IdentifierSpec(regex=rf"\b(?:{byte}\.){{3}}{byte}\b")),
        ("IP_ADDRESS", IdentifierSpec(regex=_ipv6())),
        ("MAC_ADDRESS", IdentifierSpec(regex=rf"\b{_in_subset(patterns.MAC)}\b")),
        ("CREDENTIALS", IdentifierSpec(regex=rf"\b(?:{_in_subset(patterns.KEYS)})")),
        ("PHONE_NUMBER", IdentifierSpec(regex=r"\+\d{1,3}[ .-]?\(?\d(?:[ ().-]{0,2}\d){6,12}\b")),
        ("PHONE_NUMBER", IdentifierSpec(regex=r"\b0[1-9]\d?(?:[ .-]?\d){7,8}\b", keywords=list(_PHONES))),
        ("GEO_COORDINATES", IdentifierSpec(regex=r"-?\b\d{1,2}\.\d{3,}(?: ?[,;] ?| )-?\d{1,3}\.\d{3,}\b")),
        ("VIETNAM_CITIZEN_ID", IdentifierSpec(regex=r"\b0\d{11}\b", keywords=list(_VIETNAMESE_IDS))),
        ("VIETNAM_TAX_CODE", IdentifierSpec(regex=r"\b\d{10}(?:-?\d{3})?\b", keywords=list(_TAX_CODES))),
        ("NATIONAL_ID", IdentifierSpec(regex=r"\b\d{9}\b", keywords=list(_VIETNAMESE_IDS))),
        ("BANK_ACCOUNT_NUMBER", IdentifierSpec(regex=r"\b\d(?:[ -]?\d){7,17}\b", keywords=list(_ACCOUNTS))),
        ("NAME", IdentifierSpec(regex=_vietnamese_name())),
    ]  # fmt: skip


def _in_subset(pattern: str) -> str:
    """A pattern of the scanner in Macie's subset: any letter becomes any Latin letter, inside and outside of [...]."""
    classes = re.sub(r"\[[^\]]*\]", lambda found: found[0].replace(r"\p{L}", _LETTERS), pattern)
    return classes.replace(r"\p{L}", f"[{_LETTERS}]")


def _ipv6() -> str:
    """Eight groups, or fewer around ``::`` of which the first has two digits (``a::b`` is C++, ``12:30:45`` a time)."""
    group = "[0-9A-Fa-f]{1,4}"
    return rf"\b(?:{group}:){{7}}{group}\b|\b[0-9A-Fa-f]{{2,4}}(?::{group}){{0,5}}::{group}(?::{group}){{0,5}}\b"


def _vietnamese_name() -> str:
    """A common family name before or behind other capitalised words."""
    word = f"[A-ZÀ-ÞĂĐĨŨƠƯẠ-Ỹ][{_LETTERS}]*"
    return rf"\b(?:{_VIETNAMESE_FAMILIES})(?: {word}){{1,4}}|\b{word}(?: {word}){{0,3}} (?:{_VIETNAMESE_FAMILIES})\b"


def _levels(severity: Any) -> dict[str, int]:
    """Occurrences at which each severity begins, from 1 on."""
    levels: dict[str, int] = {}
    for count in (1, 100):
        found: Severity = severity(count)
        levels.setdefault(found.name, count)
    return levels


def _digest(content: Any) -> str:
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
