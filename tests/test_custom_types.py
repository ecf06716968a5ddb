"""Declared types and allow lists: what Macie would refuse is refused when the configuration is loaded."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from tabveil.config import PIIConfig, flatten, load_config
from tabveil.custom_types import (
    BUILT_IN_IDENTIFIERS,
    MAX_IDENTIFIERS_PER_JOB,
    MAX_REGEX,
    AllowSpec,
    CheckDigit,
    IdentifierSpec,
    check_regex,
    joined_regexes,
)
from tabveil.errors import ConfigError
from tabveil.schema import Action, PolicySpec


def loaded(**pii: object) -> PIIConfig:
    groups = {group: {} for group in ("environment", "preprocess", "sampling", "evaluation", "tracking")}
    dataset = {"name": "x", "source": {"key": "raw/x.csv"}, "columns": {"a": {}}}
    plain = {"dataset": dataset, "synthesizer": {"name": "tvae"}, "pii": pii, **groups}
    return load_config(OmegaConf.create(plain)).pii


EMPLOYEE = {
    "regex": r"\bE-\d{6}\b",
    "keywords": ["employee", "Personalnummer"],
    "ignore_words": ["E-000000"],
    "maximum_match_distance": 30,
    "severity": {"LOW": 1, "HIGH": 10},
    "validate": "luhn",
    "description": "number on the badge",
}


def test_a_declaration_in_yaml_becomes_typed():
    options = loaded(
        identifiers={"employee_number": EMPLOYEE},
        allow={"EMAIL_ADDRESS": {"values": ["info@bank.example"], "regexes": [r"\w+@bank\.example"], "reason": "ours"}},
        policies={"EMAIL_ADDRESS": {"action": "drop"}},
        k=10,
        min_k=3,
    )
    spec = options.identifiers["employee_number"]
    assert (spec.regex, spec.validate, spec.severity) == (r"\bE-\d{6}\b", CheckDigit.luhn, {"LOW": 1, "HIGH": 10})
    assert options.allow["EMAIL_ADDRESS"].values == ["info@bank.example"]
    assert options.policies["EMAIL_ADDRESS"].action is Action.drop
    assert (options.k, options.min_k) == (10, 3)


@pytest.mark.parametrize(
    "regex",
    [
        r"\bE-\d{6}\b", r"(?:EMP|HR)[ -]?\d+", r"[A-Z]{2}\d{4}|\d{8}", r"\(\d+\)", r"a\++", r"[\[\]]x", r"[^\d\s]{3}?",
        r"x\.y\\", r"^K\d+$", "Nguyễn", r"[A-Za-zÀ-ỹ]+",
    ],
)  # fmt: skip
def test_regexes_of_the_subset_are_accepted(regex):
    check_regex("regex", regex)


@pytest.mark.parametrize(
    ("regex", "found"),
    [
        (r"(\d)\1", "capturing groups"),
        (r"\d\1", "back-references"),
        (r"\d(?=x)", "look-ahead"),
        (r"\d(?!x)", "look-ahead"),
        (r"(?<=x)\d", "look-behind"),
        (r"(?<!x)\d", "look-behind"),
        (r"(?P<n>\d)", "named groups"),
        (r"(?i)abc", "pattern flags"),
        (r"(?i:abc)", "pattern flags"),
        (r"(?(1)a|b)", "conditions"),
        (r"x(?R)?y", "recursion"),
        (r"(?>a+)b", "atomic groups"),
        (r"a(?#note)b", "comments"),
        (r"a++b", "possessive quantifiers"),
        (r"\p{L}+", r"the escape \\p"),
        (r"x\Z", r"the escape \\Z"),
        (r"x{,3}y", "a quantifier without a lower bound"),
        (r"[[:alpha:]]x", r"\[ inside"),
        (r"[a-z&&x]", "&& inside"),
        (r"[\b]x", r"the escape \\b"),
        ("x\\", "the escape"),
    ],
)
def test_constructs_outside_the_subset_are_named(regex, found):
    with pytest.raises(ConfigError, match=rf"Macie's subset of regular expressions, however it has {found}"):
        check_regex("regex", regex)


@pytest.mark.parametrize(
    ("regex", "message"),
    [
        ("", "1 to 512 characters"),
        ("x" * 513, "1 to 512 characters .*it has 513"),
        ("[a", r"it has a set \[\.\.\.\] that does not end"),
        ("[[", r"it has a set \[\.\.\.\] that does not end"),
        ("a(?:b", "must be a regular expression"),
        ("a**", "must be a regular expression"),
        (r"\d*", "must not match the empty text"),
        ("a|", "must not match the empty text"),
        (r"\b|x", "must not match the empty text"),
        (r"x?$", "must not match the empty text"),
    ],
)
def test_regexes_that_cannot_work_are_refused(regex, message):
    with pytest.raises(ConfigError, match=message):
        check_regex("regex", regex)


def passes(regex: str) -> bool:
    try:
        check_regex("regex", regex)
    except ConfigError:
        return False
    return True


@given(st.text(alphabet=r"ab1\d()[]?:=!<>*+{},|^$.-&~P", max_size=14))
def test_what_is_accepted_is_a_regex_without_groups(regex):
    if passes(regex):
        compiled = re.compile(regex)
        assert compiled.groups == 0
        assert compiled.search("") is None


def test_long_regexes_are_counted_in_characters():
    check_regex("regex", "ữ" * MAX_REGEX)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"regex": r"(\d)"}, "capturing groups"),
        ({"keywords": ["id"]}, "keywords must have 3 to 90 characters .*'id'"),
        ({"keywords": ["x" * 91]}, "keywords must have 3 to 90"),
        ({"keywords": [f"word{n}" for n in range(51)]}, "keywords must be at most 50 .*51"),
        ({"ignore_words": ["abc"]}, "ignore_words must have 4 to 90"),
        ({"ignore_words": [f"word{n}" for n in range(11)]}, "ignore_words must be at most 10"),
        ({"maximum_match_distance": 0}, "maximum_match_distance must be from 1 to 300"),
        ({"maximum_match_distance": 301}, "maximum_match_distance must be from 1 to 300"),
        ({"severity": {"CRITICAL": 1}}, "severity must map LOW, MEDIUM, HIGH"),
        ({"severity": {"LOW": 5}}, "severity must begin at 1 occurrence"),
        ({"severity": {"LOW": 1, "HIGH": 1}}, "severity must rise"),
        ({"severity": {"HIGH": 1, "LOW": 9}}, "severity must rise"),
        ({"description": "x" * 513}, "description must have at most 512"),
        ({"validate": "crc"}, "validate must be one of luhn, mod_97_10, verhoeff, damm, however: crc"),
        ({"keyword": ["abc"]}, r"unknown setting .*keyword \(did you mean keywords\?\)"),
    ],
)
def test_limits_are_checked_when_the_configuration_is_loaded(changes, message):
    with pytest.raises(ConfigError, match=message) as caught:
        loaded(identifiers={"employee_number": {**EMPLOYEE, **changes}})
    assert "pii.identifiers.employee_number" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_identifier_needs_a_regex():
    with pytest.raises(ConfigError, match="regex"):
        loaded(identifiers={"employee_number": {"keywords": ["employee"]}})


def test_names_and_number_of_identifiers_are_checked():
    with pytest.raises(ConfigError, match="snake_case of 2 to 64 characters, however: 'Employee'"):
        loaded(identifiers={"Employee": EMPLOYEE})
    most = MAX_IDENTIFIERS_PER_JOB - BUILT_IN_IDENTIFIERS
    loaded(identifiers={f"number_{n}": EMPLOYEE for n in range(most)})
    with pytest.raises(ConfigError, match=rf"at most {most} \(Macie takes 30 in a job, and 14 are built in\)"):
        loaded(identifiers={f"number_{n}": EMPLOYEE for n in range(most + 1)})


@pytest.mark.parametrize(
    ("allow", "message"),
    [
        ({"values": ["a@b.example"]}, "needs a reason"),
        ({"values": ["a@b.example"], "reason": "  "}, "needs a reason"),
        ({"reason": "ours"}, "needs values or regexes"),
        ({"values": [""], "reason": "ours"}, r"values\[0\] must be one line of 1 to 90"),
        ({"values": ["x", "y\nz"], "reason": "ours"}, r"values\[1\] must be one line"),
        ({"values": ["x" * 91], "reason": "ours"}, "however it has 91"),
        ({"regexes": [r"(x)"], "reason": "ours"}, r"regexes\[0\] must stay within Macie's subset"),
        ({"regexes": [r".+"], "reason": "ours"}, r"regexes\[0\] must be narrow"),
        ({"regexes": [r"[\w@.]+"], "reason": "ours"}, r"regexes\[0\] must be narrow"),
    ],
)
def test_allow_lists_are_narrow_and_say_why(allow, message):
    with pytest.raises(ConfigError, match=message):
        loaded(allow={"EMAIL_ADDRESS": allow})


def test_allowed_values_are_never_in_an_error():
    with pytest.raises(ConfigError) as caught:
        loaded(allow={"NAME": {"values": ["Secret Person", "x" * 91], "reason": "test"}})
    assert "Secret" not in str(caught.value)


def test_regexes_of_allow_lists_are_joined_and_their_number_is_limited():
    assert joined_regexes(["a", "b|c", "d"]) == ["(?:a)|(?:b|c)|(?:d)"]
    long = [f"{n}" + "x" * 300 for n in range(3)]
    assert [len(text) for text in joined_regexes(long)] == [305, 305, 305]
    AllowSpec(regexes=["y" * MAX_REGEX], reason="exactly as long as may be")
    assert joined_regexes(["y" * MAX_REGEX, "z"]) == ["y" * MAX_REGEX, "(?:z)"]
    with pytest.raises(ConfigError, match="must fit into 5 of 512 characters"):
        loaded(allow={"NAME": {"regexes": [f"{n}" + "x" * 300 for n in range(6)], "reason": "test"}})


def test_keeping_a_type_needs_a_reason():
    with pytest.raises(ConfigError, match=r"pii\.policies\.NAME: keeping personal data needs a reason"):
        PIIConfig(policies={"NAME": PolicySpec()})
    with pytest.raises(ConfigError, match=r"pii\.policies\.NAME.*method"):
        loaded(policies={"NAME": {"action": "generalise"}})


@pytest.mark.parametrize(("name", "value"), [("k", 1), ("min_k", 1), ("min_k", 0)])
def test_k_is_two_or_more(name, value):
    with pytest.raises(ConfigError, match=rf"pii\.{name}={value}"):
        loaded(**{name: value})


def test_logged_parameters_say_what_is_declared_and_hold_no_allowed_value():
    options = PIIConfig(
        identifiers={"employee_number": IdentifierSpec(regex="E-[0-9]+", validate=CheckDigit.luhn)},
        allow={"NAME": AllowSpec(values=["Anna Schmidt"], reason="the founder")},
        policies={"NAME": PolicySpec(action=Action.drop)},
    )
    flat = flatten(options, "pii.")
    assert flat["pii.identifiers.employee_number.regex"] == "E-[0-9]+"
    assert flat["pii.identifiers.employee_number.validate"] == "luhn"
    assert flat["pii.allow.NAME.reason"] == "the founder"
    assert flat["pii.policies.NAME.action"] == "drop"
    assert "Anna" not in str(flat)
