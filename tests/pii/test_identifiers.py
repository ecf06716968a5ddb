import pytest

from tabveil.errors import ScanIncompleteError
from tabveil.pii import mentions
from tabveil.pii.findings import Finding, ScanResult
from tabveil.pii.identifiers import (
    QUASI_TYPES,
    TYPES,
    Category,
    Severity,
    fold_header,
    header_announces,
    is_direct,
    quasi_type,
)
from tabveil.pii.rules import CELL_RULES


def test_every_rule_and_mention_has_a_known_type():
    assert {rule.type for rule in CELL_RULES} <= set(TYPES)
    assert {mention.type for mention in mentions.MENTIONS} <= set(TYPES)


@pytest.mark.parametrize(
    ("header", "folded"),
    [
        ("E-Mail Adresse", "e_mail_adresse"),
        ("Họ và tên", "ho_va_ten"),
        ("PhoneNumber", "phone_number"),
        ("Führerschein Nr.", "fuehrerschein_nr"),
        ("  Straße ", "strasse"),
        ("Điện thoại", "dien_thoai"),
    ],
)
def test_header_is_folded(header, folded):
    assert fold_header(header) == folded


def test_header_announces_whole_words_only():
    assert header_announces("Customer E-Mail", "EMAIL_ADDRESS")
    assert header_announces("bank_account", "BANK_ACCOUNT_NUMBER")
    assert not header_announces("num_open_cc_accounts", "BANK_ACCOUNT_NUMBER")
    assert not header_announces("cancellation", "PHONE_NUMBER")
    assert not header_announces("card_limit", "CREDIT_CARD_NUMBER")


def test_severity_follows_the_number_of_occurrences():
    assert TYPES["NAME"].severity(99) is Severity.MEDIUM
    assert TYPES["NAME"].severity(100) is Severity.HIGH
    assert TYPES["CREDIT_CARD_NUMBER"].severity(1) is Severity.HIGH
    assert TYPES["CREDENTIALS"].severity(1) is Severity.HIGH
    assert TYPES["GEO_COORDINATES"].severity(10**6) is Severity.LOW


def test_direct_and_quasi_identifiers_are_told_apart():
    assert is_direct("EMAIL_ADDRESS")
    assert is_direct("SOMETHING_NEW")
    assert not is_direct("DATE_OF_BIRTH")
    assert not is_direct("CITY")
    assert quasi_type("Postleitzahl") == "POSTAL_CODE"
    assert quasi_type("loan_amount") is None


def finding(**changes):
    values = {
        "type": "NAME", "category": Category.PERSONAL, "severity": Severity.MEDIUM, "column": "full_name",
        "column_number": 2, "count": 3, "share": 0.5, "rows": (1, 4, 9),
    }  # fmt: skip
    return Finding(**{**values, **changes})


def test_finding_has_macies_shape():
    data = finding().to_dict()
    assert data["severity"] == {"description": "Medium", "score": 2}
    assert data["sensitiveData"]["category"] == "PERSONAL_INFORMATION"
    (detection,) = data["sensitiveData"]["detections"]
    assert detection["type"] == "NAME"
    assert detection["count"] == 3
    assert detection["occurrences"]["cells"][1] == {"column": 2, "columnName": "full_name", "row": 4}
    assert Finding.from_dict(data) == finding()


def test_damaged_finding_and_incomplete_report_are_refused():
    with pytest.raises(ScanIncompleteError, match="run verify again"):
        Finding.from_dict({"sensitiveData": {"detections": []}})
    whole = ScanResult((), (), 1, ("a",), 1, True, 0.1).to_dict()
    with pytest.raises(ScanIncompleteError, match="not complete"):
        ScanResult.from_dict({**whole, "complete": False})
    with pytest.raises(ScanIncompleteError, match="run verify again"):
        ScanResult.from_dict({"complete": True})


def test_no_quasi_identifier_is_ever_a_finding():
    assert not set(TYPES) & set(QUASI_TYPES)
