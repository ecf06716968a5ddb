"""Payloads for Amazon Macie, judged by botocore's service model; patterns, judged by the local scanner's own finds."""

import re
from collections.abc import Iterator
from typing import Any

import botocore.session
import pandas as pd
import pytest
from botocore.model import Shape
from botocore.validate import ParamValidator

from tabveil.config import PIIConfig
from tabveil.custom_types import (
    BUILT_IN_IDENTIFIERS,
    MAX_IDENTIFIERS_PER_JOB,
    AllowSpec,
    CheckDigit,
    IdentifierSpec,
    check_regex,
)
from tabveil.errors import ConfigError
from tabveil.pii import DeclaredTypes, scan_table
from tabveil.pii.custom import (
    MANAGED_IDENTIFIERS,
    TYPE_OF_MANAGED,
    custom_identifier,
    declared_identifiers,
    identifier_of_payload,
    macie_allow_lists,
    macie_custom_identifiers,
    managed_identifiers,
    type_of_custom,
)
from tabveil.pii.identifiers import TYPES

OPTIONS = PIIConfig(
    identifiers={
        "employee_number": IdentifierSpec(
            regex=r"\bE-\d{6}\b", keywords=["employee", "badge"], ignore_words=["E-000000"], maximum_match_distance=30,
            severity={"LOW": 1, "HIGH": 50}, validate=CheckDigit.luhn, description="number on the badge",
        ),
        "branch_code": IdentifierSpec(regex=r"BR\d{3}"),
    },
    allow={
        "EMAIL_ADDRESS": AllowSpec(values=["info@bank.example"], regexes=[r"[a-z]+@bank\.example"], reason="public"),
        "PHONE_NUMBER": AllowSpec(values=["+49 30 123456"], regexes=[r"\+49 800 \d+"], reason="hotlines"),
    },
)  # fmt: skip


@pytest.fixture(scope="module")
def macie():
    return botocore.session.get_session().get_service_model("macie2")


def constraints(shape: Shape, value: Any, path: str) -> Iterator[str]:
    """What botocore's validator leaves out: enums, patterns, lengths."""
    limits = shape.metadata
    if shape.type_name == "structure":
        for key, inner in value.items():
            yield from constraints(shape.members[key], inner, f"{path}.{key}")
    elif shape.type_name == "list":
        for inner in value:
            yield from constraints(shape.member, inner, f"{path}[]")
    elif isinstance(value, str):
        allowed = getattr(shape, "enum", None)
        if allowed and value not in allowed:
            yield f"{path}: {value} not in {allowed}"
        if "pattern" in limits and not re.fullmatch(limits["pattern"], value):
            yield f"{path}: {value!r} does not match {limits['pattern']}"
        if not limits.get("min", 0) <= len(value) <= limits.get("max", 10**9):
            yield f"{path}: length {len(value)}"


def accepted(macie, operation: str, payload: dict[str, Any]) -> None:
    shape = macie.operation_model(operation).input_shape
    params = {"clientToken": "token", **payload}
    report = ParamValidator().validate(params, shape)
    assert not report.has_errors(), report.generate_report()
    assert list(constraints(shape, params, operation)) == []


def every_identifier() -> list[dict[str, Any]]:
    return [*macie_custom_identifiers(), *declared_identifiers(OPTIONS)]


def test_payloads_are_what_the_service_model_asks_for(macie):
    for payload in every_identifier():
        accepted(macie, "CreateCustomDataIdentifier", payload)
    for item in macie_allow_lists(OPTIONS, bucket="work-bucket", prefix="macie/"):
        accepted(macie, "CreateAllowList", item.payload)


def test_payloads_keep_the_documented_limits():
    for payload in every_identifier():
        check_regex(payload["name"], payload["regex"])
        assert len(payload["name"]) <= 128
        assert len(payload.get("keywords", [])) <= 50
        assert all(3 <= len(word) <= 90 for word in payload.get("keywords", []))
        assert payload["severityLevels"][0]["occurrencesThreshold"] == 1
        assert "clientToken" not in payload


def test_built_in_identifiers_leave_the_room_that_the_configuration_promises():
    marker = 1  # of a file's end, which the adapter adds
    assert len(macie_custom_identifiers()) + marker == BUILT_IN_IDENTIFIERS < MAX_IDENTIFIERS_PER_JOB


def test_a_declaration_is_compiled_to_macie():
    branch, employee = declared_identifiers(OPTIONS)
    assert type_of_custom(branch["name"]) == "BRANCH_CODE"
    assert branch["severityLevels"] == [{"occurrencesThreshold": 1, "severity": "MEDIUM"}]
    assert "keywords" not in branch
    assert "maximumMatchDistance" not in branch
    assert type_of_custom(employee.pop("name")) == "EMPLOYEE_NUMBER"
    assert employee == {
        "regex": r"\bE-\d{6}\b",
        "keywords": ["employee", "badge"],
        "maximumMatchDistance": 30,
        "ignoreWords": ["E-000000"],
        "description": "number on the badge",
        "severityLevels": [
            {"occurrencesThreshold": 1, "severity": "LOW"}, {"occurrencesThreshold": 50, "severity": "HIGH"},
        ],
    }  # fmt: skip


def test_names_tell_equal_definitions_from_changed_ones():
    names = [payload["name"] for payload in every_identifier()]
    assert len(set(names)) == len(names)
    assert names == [payload["name"] for payload in every_identifier()]
    one, other = (custom_identifier("BADGE", IdentifierSpec(regex=regex))["name"] for regex in ("a1", "a2"))
    assert one != other
    assert type_of_custom(one) == type_of_custom(other) == "BADGE"


@pytest.mark.parametrize("name", ["tabveil-BADGE", "other-BADGE-0123456789ab", "tabveil-badge-0123456789ab", ""])
def test_names_of_others_are_not_ours(name):
    assert type_of_custom(name) is None
    with pytest.raises(ConfigError, match="must be named tabveil-<TYPE>-<digest>"):
        identifier_of_payload({"name": name, "regex": "x"})


def test_payloads_come_back_as_what_they_were_compiled_from():
    for payload in every_identifier():
        type_, spec = identifier_of_payload(payload)
        assert custom_identifier(type_, spec) == payload


def test_allow_lists_are_one_list_of_texts_and_few_patterns():
    texts, patterns = macie_allow_lists(OPTIONS, bucket="work-bucket", prefix="macie/")
    assert texts.text == "+49 30 123456\ninfo@bank.example\n"
    assert texts.object_key is not None
    assert texts.object_key.startswith("macie/allow-")
    assert texts.payload["criteria"] == {"s3WordsList": {"bucketName": "work-bucket", "objectKey": texts.object_key}}
    assert patterns.payload["criteria"] == {"regex": r"(?:[a-z]+@bank\.example)|(?:\+49 800 \d+)"}
    assert (patterns.object_key, patterns.text) == (None, None)
    assert macie_allow_lists(PIIConfig(), bucket="b", prefix="") == []


def test_every_type_that_a_value_can_be_is_looked_for_by_macie():
    custom = {type_of_custom(payload["name"]) for payload in macie_custom_identifiers()}
    assert custom <= set(TYPES)
    assert set(MANAGED_IDENTIFIERS) <= set(TYPES)
    by_declaration_only = {"UNIQUE_IDENTIFIER", "FREE_TEXT"}
    assert set(TYPES) - set(MANAGED_IDENTIFIERS) - custom == by_declaration_only


def test_managed_identifiers_belong_to_one_type_and_look_like_macies():
    ids = managed_identifiers()
    assert len(ids) == len(set(ids)) == len(TYPE_OF_MANAGED)
    assert all(re.fullmatch(r"[A-Z][A-Z_]*(\(NO_KEYWORD\))?", id_) for id_ in ids)
    wanted = {"NAME", "ADDRESS", "PHONE_NUMBER", "DATE_OF_BIRTH", "BANK_ACCOUNT_NUMBER", "GERMANY_BANK_ACCOUNT_NUMBER"}
    assert wanted <= set(ids)  # not in Macie's recommended set
    assert "NAME" not in managed_identifiers(["NAME"])
    assert TYPE_OF_MANAGED["SPAIN_NIE_NUMBER"] == "SPAIN_DNI_NUMBER"


def matched(type_: str, text: str, header: str = "c") -> bool:
    """Whether one of the built-in identifiers of a type finds it, by the local reading of Macie's rules."""
    payloads = [p for p in macie_custom_identifiers() if type_of_custom(p["name"]) == type_]
    specs = {f"own_{number}": identifier_of_payload(payload)[1] for number, payload in enumerate(payloads)}
    declared = DeclaredTypes({name.upper(): spec for name, spec in specs.items()})
    return any(declared.spans([text], header, header)[0]) if specs else False


@pytest.mark.parametrize(
    ("type_", "text", "header"),
    [
        ("EMAIL_ADDRESS", "jo.o'neil+tag@mail.example.co.uk", "c"),
        ("EMAIL_ADDRESS", "viết cho nguyễn@thư.example nhé", "c"),
        ("IP_ADDRESS", "192.168.10.4", "c"),
        ("IP_ADDRESS", "from 2001:db8::8a2e:370:7334 today", "c"),
        ("IP_ADDRESS", "2001:0db8:0000:0000:0000:8a2e:0370:7334", "c"),
        ("MAC_ADDRESS", "00:1A:2b:3C:4d:5E", "c"),
        ("CREDENTIALS", "key ghp_" + "a1" * 18, "c"),
        ("PHONE_NUMBER", "+84 912 345 678", "c"),
        ("PHONE_NUMBER", "+1 (212) 555-0100", "c"),
        ("PHONE_NUMBER", "0912 345 678", "Điện thoại"),
        ("PHONE_NUMBER", "gọi số điện thoại 0912345678", "c"),
        ("VIETNAM_CITIZEN_ID", "001099012345", "Số CCCD"),
        ("VIETNAM_CITIZEN_ID", "001099012345", "National ID"),
        ("VIETNAM_TAX_CODE", "0100233488-001", "Mã số thuế"),
        ("NATIONAL_ID", "012345678", "CMND"),
        ("BANK_ACCOUNT_NUMBER", "1903 4567 8901 23", "Số tài khoản"),
        ("NAME", "Nguyễn Thị Minh Khai", "c"),
        ("NAME", "khách hàng Đặng Văn Á đã trả", "c"),
        ("GEO_COORDINATES", "10.7769, 106.7009", "c"),
    ],
)
def test_what_macie_has_no_identifier_for_is_found(type_, text, header):
    assert matched(type_, text, header)


@pytest.mark.parametrize(
    ("type_", "text", "header"),
    [
        ("EMAIL_ADDRESS", "paid @ branch, 5 % off", "c"),
        ("IP_ADDRESS", "12:30:45", "c"),
        ("IP_ADDRESS", "std::vector and a::b", "c"),
        ("IP_ADDRESS", "300.1.2.3", "c"),
        ("MAC_ADDRESS", "10:20:30", "c"),
        ("PHONE_NUMBER", "0912345678", "loan amount"),
        ("VIETNAM_CITIZEN_ID", "001099012345", "contract"),
        ("VIETNAM_TAX_CODE", "0100233488", "amount"),
        ("BANK_ACCOUNT_NUMBER", "1903456789", "amount"),
        ("NAME", "Le Monde est bleu", "c"),
        ("GEO_COORDINATES", "10.77, 106.70", "c"),
    ],
)
def test_look_alikes_are_left_alone(type_, text, header):
    assert not matched(type_, text, header)


@pytest.mark.parametrize(("type_", "number"), [("EMAIL_ADDRESS", 0), ("IP_ADDRESS", 0), ("MAC_ADDRESS", 0)])
def test_built_in_patterns_find_what_the_scanner_finds(people, type_, number):
    rows = range(len(people))
    cells = {
        "EMAIL_ADDRESS": people["e_mail"],
        "IP_ADDRESS": pd.Series([f"10.{60 + n % 190}.3.{n % 255}" for n in rows]),
        "MAC_ADDRESS": pd.Series([f"00:1a:2b:{n % 256:02x}:{n // 256:02x}:ff" for n in rows]),
    }[type_]
    payload = [p for p in macie_custom_identifiers() if type_of_custom(p["name"]) == type_][number]
    declared = DeclaredTypes({"MACIE": identifier_of_payload(payload)[1]})
    result = scan_table(pd.DataFrame({"c": cells}), timeout_seconds=60, declared=declared)
    assert {finding.type: finding.count for finding in result.findings} == {type_: len(people), "MACIE": len(people)}


def test_vietnamese_names_are_found_as_macie_would(people):
    payload = next(p for p in macie_custom_identifiers() if type_of_custom(p["name"]) == "NAME")
    regex = identifier_of_payload(payload)[1].regex
    hits = people["full_name"].map(lambda name: re.search(regex, name) is not None)
    vietnamese = people["full_name"].str.contains("[ăđơưạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹ]")
    assert vietnamese.sum() > 100
    assert hits[vietnamese].mean() > 0.7  # family names that are English words too (Mai) are left to the scanner
    assert hits[~people["full_name"].map(lambda name: not name.isascii())].mean() < 0.02
