"""Identifiers and allow lists of `conf/pii` in the local scanner."""

import re
import time

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabveil.config import DatasetConfig, PIIConfig
from tabveil.custom_types import AllowSpec, CheckDigit, IdentifierSpec
from tabveil.errors import ConfigError, PolicyViolationError
from tabveil.pii import (
    DeclaredTypes,
    IdentityDigests,
    apply_policies,
    check_tolerated,
    check_types,
    generate_identities,
    resolve_policies,
    scan_table,
    suggest_types,
)
from tabveil.pii.identifiers import Category, Severity
from tabveil.schema import Action, ColumnSpec, Metadata, PolicySpec, SDType

BADGE = r"\bE-\d{6}\b"


def declared(allow: dict[str, AllowSpec] | None = None, **identifiers: IdentifierSpec) -> DeclaredTypes:
    return DeclaredTypes.of(PIIConfig(identifiers=identifiers, allow=allow or {}))


def found(cells: list, types: DeclaredTypes, header: str = "c", name: str = "c") -> dict[str, tuple[int, ...]]:
    table = pd.DataFrame({name: pd.Series(cells, dtype=object)})
    result = scan_table(table, timeout_seconds=60, headers={name: header}, declared=types)
    return {finding.type: finding.rows for finding in result.findings}


def test_a_declared_type_is_found_in_cells_and_in_texts_of_any_column():
    types = declared(employee_number=IdentifierSpec(regex=BADGE))
    table = pd.DataFrame({"a": ["E-123456", None, "x"], "b": ["ok", "see E-654321 for this", "E-1234567"]})
    whole, mention = scan_table(table, timeout_seconds=60, declared=types).findings
    assert (whole.type, whole.column, whole.count, whole.rows, whole.in_text) == (
        "EMPLOYEE_NUMBER",
        "a",
        1,
        (1,),
        False,
    )
    assert (mention.column, mention.rows, mention.in_text) == ("b", (2,), True)
    assert (whole.category, whole.severity) == (Category.CUSTOM, Severity.MEDIUM)
    assert scan_table(table, timeout_seconds=60).findings == ()


def test_numbers_are_read_as_text():
    types = declared(member=IdentifierSpec(regex=r"\b77\d{4}\b"))
    table = pd.DataFrame({"i": pd.array([771234, 1, None], dtype="Int64"), "d": [0.5, 772345.0, 2.5]})
    result = scan_table(table, timeout_seconds=60, declared=types)
    assert [(f.column, f.rows) for f in result.findings] == [("i", (1,)), ("d", (2,))]


def test_a_keyword_stands_in_the_header_or_before_the_match():
    types = declared(member=IdentifierSpec(regex=r"\b\d{6}\b", keywords=["member no"], maximum_match_distance=9))
    cells = ["123456", "Member No 123456", "member no: x 123456", "123456 member no", "member no is  now 123456"]
    assert found(cells, types) == {"MEMBER": (2,)}  # 7, 10 and 15 characters up to the end of the match
    assert found(cells, types, header="Member No.") == {"MEMBER": (1, 2, 3, 4, 5)}
    assert found(cells, types, name="member_no") == {"MEMBER": (1, 2, 3, 4, 5)}
    assert found(cells, types, header="no_member") == {"MEMBER": (2,)}
    assert found(cells, types, header="member_no") == {"MEMBER": (1, 2, 3, 4, 5)}


def test_keyword_distance_counts_to_the_end_of_the_match():
    types = declared(member=IdentifierSpec(regex=r"\d{6}", keywords=["member"], maximum_match_distance=8))
    assert found(["member: 123456", "member:  123456"], types) == {"MEMBER": (1,)}


def test_ignore_words_are_case_sensitive_and_inside_the_match():
    types = declared(badge=IdentifierSpec(regex=r"[A-Za-z]{4}-\d{4}", ignore_words=["TEST"]))
    assert found(["TEST-1234", "test-1234", "ABCD-1234", "TEST of ABCD-1234"], types) == {"BADGE": (2, 3, 4)}


@pytest.mark.parametrize(
    ("scheme", "valid", "invalid"),
    [
        (CheckDigit.luhn, "7992-7398-713", "7992-7398-714"),
        (CheckDigit.mod_97_10, "794-44", "794-45"),
        (CheckDigit.verhoeff, "123-3", "123-4"),
        (CheckDigit.damm, "572-4", "572-5"),
    ],
)
def test_check_digits_are_applied_without_separators(scheme, valid, invalid):
    types = declared(member=IdentifierSpec(regex=r"\d{3,4}[0-9-]*\d", validate=scheme))
    assert found([invalid, valid, f"about {valid}"], types) == {"MEMBER": (2, 3)}


def test_severity_grows_with_the_occurrences():
    types = declared(badge=IdentifierSpec(regex=BADGE, severity={"LOW": 1, "MEDIUM": 3, "HIGH": 5}))
    severities = []
    for count in (1, 2, 3, 4, 5, 9):
        table = pd.DataFrame({"c": ["E-123456"] * count})
        (finding,) = scan_table(table, timeout_seconds=60, declared=types).findings
        severities.append(finding.severity.value)
    assert severities == ["Low", "Low", "Medium", "Medium", "High", "High"]


def test_no_declaration_can_make_a_scan_hang():
    types = declared(bomb=IdentifierSpec(regex=r"(?:a+)+b", keywords=["zzz"], ignore_words=["none"]))
    started = time.monotonic()
    assert found(["a" * 3000 + "c"] * 50, types) == {}
    assert time.monotonic() - started < 5


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(alphabet="E-12 x\ue000\ue001é", max_size=25), max_size=12))
def test_spans_are_those_of_the_regular_expression(texts):
    regex = r"E-[12]{2}|x[12]"
    spans = declared(badge=IdentifierSpec(regex=regex)).spans(texts, "c", "c")
    assert [[(s.start, s.end) for s in row] for row in spans] == [
        [match.span() for match in re.finditer(regex, text)] for text in texts
    ]


PARTS = (
    "a", "b", "1", r"\d", r"\w", r"\b", r"\.", "-", ".", "^", "$", "|", "(?:", ")", "[ab]", "[^a]", r"[\d-]", "*", "+",
    "?", "{2}", "{1,2}", "{2,}", "*?", "+?", r"\s", " ", r"\B",
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from(PARTS), min_size=1, max_size=6).map("".join),
    st.lists(st.text(alphabet="ab1-. ", max_size=9), max_size=6),
)
def test_what_passes_the_check_means_the_same_to_python_and_rust(regex, texts):
    try:
        types = declared(own=IdentifierSpec(regex=regex))
    except ConfigError:
        return
    spans = types.spans(texts, "c", "c")
    assert [[(s.start, s.end) for s in row] for row in spans] == [
        [match.span() for match in re.finditer(regex, text)] for text in texts
    ]


def test_allowed_values_are_no_findings_as_cells_and_inside_texts():
    allow = {"EMAIL_ADDRESS": AllowSpec(values=["Info@Bank.example"], reason="public address of the bank")}
    cells = ["info@bank.example", "write to INFO@BANK.EXAMPLE today", "anna.schmidt@mail.example", "ok"]
    assert found(cells, declared(allow)) == {"EMAIL_ADDRESS": (3,)}
    assert found(cells[:2], declared(allow)) == {}
    assert found(cells, declared()) == {"EMAIL_ADDRESS": (1, 3)}


def test_allowed_patterns_must_match_all_of_the_text():
    allow = {"EMAIL_ADDRESS": AllowSpec(regexes=[r"[a-z]+@bank\.example"], reason="staff")}
    assert found(["info@bank.example", "info@bank.example.evil.org", "x-info@bank.example"], declared(allow)) == {
        "EMAIL_ADDRESS": (2, 3)
    }


def test_what_is_allowed_for_one_type_is_a_finding_of_another():
    allow = {"NAME": AllowSpec(values=["jo@acme.org"], reason="test")}
    assert found(["jo@acme.org"], declared(allow)) == {"EMAIL_ADDRESS": (1,)}


def test_allow_lists_hold_for_declared_types_too():
    allow = {"BADGE": AllowSpec(values=["E-000001"], reason="specimen")}
    types = declared(allow, badge=IdentifierSpec(regex=BADGE))
    assert found(["E-000001", "E-000002", "E-000001 or E-000003"], types) == {"BADGE": (2, 3)}


def test_removing_allowed_values_does_not_lower_the_share_that_counts():
    people = [f"anna{n} schmidt" for n in range(3)]
    cards = ["4111111111111111", "5500005555555559", "4012888888881881", "378282246310005"]
    allow = {"CREDIT_CARD_NUMBER": AllowSpec(values=cards[:3], reason="public test numbers")}
    assert found([*cards, *people], declared()) == {"CREDIT_CARD_NUMBER": (1, 2, 3, 4)}
    assert found([*cards, *people], declared(allow)) == {"CREDIT_CARD_NUMBER": (4,)}


def test_names_that_are_taken_or_unknown_are_refused():
    with pytest.raises(ConfigError, match=r"pii\.identifiers\.email_address must have a name of its own"):
        declared(email_address=IdentifierSpec(regex="x@y"))
    with pytest.raises(ConfigError, match=r"pii\.identifiers\.city must have a name of its own"):
        declared(city=IdentifierSpec(regex="Berlin"))
    with pytest.raises(ConfigError, match=r"pii\.allow\.EMAIL_ADRESS must be a type .*did you mean EMAIL_ADDRESS"):
        declared({"EMAIL_ADRESS": AllowSpec(values=["x"], reason="y")})


def test_a_regex_that_only_python_reads_is_refused():
    with pytest.raises(ConfigError, match=r"pii\.identifiers\.badge\.regex must be a regular expression of the Rust"):
        declared(badge=IdentifierSpec(regex="a{b"))


def test_regexes_that_are_too_large_together_are_refused():
    large = {f"type_{n}": IdentifierSpec(regex=rf"\w{{{200 + n}}}") for n in range(3)}
    declared(type_0=large["type_0"])
    with pytest.raises(ConfigError, match=r"all regexes of pii\.identifiers together must be"):
        declared(**large)


def test_declared_types_are_types_like_the_others(key):
    types = declared(badge=IdentifierSpec(regex=BADGE))
    table = pd.DataFrame({"id": [f"E-{n:06d}" for n in range(60)]})
    result = scan_table(table, timeout_seconds=60, declared=types)
    assert [item.semantic_type for item in suggest_types(result)] == ["BADGE"]
    undeclared = DatasetConfig(name="small", columns={"id": ColumnSpec()})
    with pytest.raises(PolicyViolationError, match="add `semantic_type: BADGE`"):
        resolve_policies(undeclared, result, declared=types)
    dataset = DatasetConfig(name="small", columns={"id": ColumnSpec(semantic_type="BADGE")})
    with pytest.raises(ConfigError, match="BADGE"):
        check_types(dataset)
    policies = resolve_policies(dataset, result, declared=types)
    assert policies["id"].action is Action.regenerate
    resolve_policies(undeclared, result, ["BADGE"], declared=types)
    clean, columns = apply_policies(table, undeclared, {"id": PolicySpec()}, {}, key, declared=types)
    left = scan_table(clean, timeout_seconds=60, declared=types)
    with pytest.raises(PolicyViolationError, match="id: BADGE in 60 cells"):
        check_tolerated(left, (), Metadata("small", columns), types)
    check_tolerated(left, ("BADGE",), Metadata("small", columns), types)


def test_values_of_a_declared_type_are_invented_and_none_is_a_real_one(key):
    types = declared(badge=IdentifierSpec(regex=BADGE))
    table = pd.DataFrame({"badge": [f"BADGE-{n:010d}" for n in range(300)]})
    dataset = DatasetConfig(name="small", columns={"badge": ColumnSpec(semantic_type="BADGE")})
    policies = resolve_policies(dataset, scan_table(table, timeout_seconds=60, declared=types), declared=types)
    _, columns = apply_policies(table, dataset, policies, {}, key, declared=types)
    digests = IdentityDigests.build(table, columns, key)
    made = generate_identities(columns, 500, 0, digests=digests)
    assert not digests.contains("badge", made["badge"]).any()
    assert digests.contains("badge", table["badge"]).all()


def test_redaction_replaces_declared_types_and_leaves_allowed_texts(key):
    allow = {"EMAIL_ADDRESS": AllowSpec(values=["info@bank.example"], reason="public")}
    types = declared(allow, badge=IdentifierSpec(regex=BADGE, keywords=["badge"]))
    texts = [
        "badge E-123456 and jo@acme.org", "E-123456 alone", "info@bank.example answered badge E-222222", None,
        "badge E-123456-jo@acme.org",
    ]  # fmt: skip
    table = pd.DataFrame({"note": pd.Series(texts, dtype=object)})
    spec = ColumnSpec(sdtype=SDType.text, policy=PolicySpec(action=Action.redact))
    dataset = DatasetConfig(name="small", columns={"note": spec})
    clean, columns = apply_policies(table, dataset, {"note": spec.policy}, {}, key, declared=types)
    assert clean["note"].tolist() == [
        "badge [BADGE] and [EMAIL_ADDRESS]", "E-123456 alone", "info@bank.example answered badge [BADGE]", None,
        "badge [EMAIL_ADDRESS]",  # the longer of two that overlap
    ]  # fmt: skip
    left = scan_table(clean, timeout_seconds=60, declared=types)
    check_tolerated(left, (), Metadata("small", columns), types)
