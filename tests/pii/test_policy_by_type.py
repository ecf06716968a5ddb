"""Column before type before the built-in default; every action, chosen by type."""

import pandas as pd
import pytest

from tabveil.config import DatasetConfig
from tabveil.errors import ConfigError, PolicyViolationError
from tabveil.pii import ScanResult, apply_policies, check_tolerated, check_types, resolve_policies, scan_table
from tabveil.schema import Action, ColumnSpec, ColumnType, Generalisation, Metadata, PolicySpec, SDType

NOTHING = ScanResult((), (), 0, (), 0, True, 0.0)
DROP = PolicySpec(action=Action.drop)


def dataset_of(**columns: ColumnSpec) -> DatasetConfig:
    return DatasetConfig(name="small", columns=columns)


def resolved(by_type: dict[str, PolicySpec], **columns: ColumnSpec) -> dict[str, Action]:
    policies = resolve_policies(dataset_of(**columns), NOTHING, by_type=by_type)
    return {name: policy.action for name, policy in policies.items()}


def clean_of(table: pd.DataFrame, dataset: DatasetConfig, by_type: dict[str, PolicySpec], key: bytes):
    scanned = scan_table(table, timeout_seconds=60)
    return apply_policies(table, dataset, resolve_policies(dataset, scanned, by_type=by_type), {}, key)


def test_the_columns_own_policy_wins_over_the_types_and_the_types_over_the_default():
    by_type = {"EMAIL_ADDRESS": DROP}
    assert resolved(
        by_type,
        own=ColumnSpec(semantic_type="EMAIL_ADDRESS", policy=PolicySpec(action=Action.regenerate)),
        typed=ColumnSpec(semantic_type="EMAIL_ADDRESS"),
        default=ColumnSpec(semantic_type="NAME"),
        none=ColumnSpec(),
    ) == {"own": Action.regenerate, "typed": Action.drop, "default": Action.regenerate, "none": Action.keep}
    kept = {"c": ColumnSpec(semantic_type="GENDER")}
    assert resolved({}, **kept) == {"c": Action.keep}
    assert resolved({"GENDER": DROP}, **kept) == {"c": Action.drop}


def test_text_without_a_semantic_type_follows_the_policy_of_free_text():
    redact = {"FREE_TEXT": PolicySpec(action=Action.redact)}
    columns = {"note": ColumnSpec(sdtype=SDType.text), "declared": ColumnSpec(semantic_type="FREE_TEXT")}
    assert resolved(redact, **columns) == {"note": Action.redact, "declared": Action.redact}
    assert resolved({}, **columns) == {"note": Action.regenerate, "declared": Action.regenerate}


def test_a_policy_by_type_says_nothing_about_columns_that_declare_no_type(people):
    dataset = dataset_of(e_mail=ColumnSpec())
    with pytest.raises(PolicyViolationError, match="add `semantic_type: EMAIL_ADDRESS`"):
        resolve_policies(dataset, scan_table(people[["e_mail"]], timeout_seconds=60), by_type={"EMAIL_ADDRESS": DROP})


def test_drop_by_type(people, key):
    clean, columns = clean_of(
        people[["e_mail"]], dataset_of(e_mail=ColumnSpec(semantic_type="EMAIL_ADDRESS")), {"EMAIL_ADDRESS": DROP}, key
    )
    assert list(clean.columns) == []
    assert columns[0].action is Action.drop


def test_keep_by_type_carries_its_reason_into_the_metadata(people, key):
    keep = {"EMAIL_ADDRESS": PolicySpec(reason="addresses of companies in a public register")}
    dataset = dataset_of(e_mail=ColumnSpec(semantic_type="EMAIL_ADDRESS"))
    clean, columns = clean_of(people[["e_mail"]], dataset, keep, key)
    assert columns[0].reason == "addresses of companies in a public register"
    check_tolerated(scan_table(clean, timeout_seconds=60), (), Metadata("small", columns))


@pytest.mark.parametrize(
    ("type_", "spec", "policy", "values", "expected"),
    [
        (
            "DATE_OF_BIRTH", ColumnSpec(type=ColumnType.date),
            PolicySpec(action=Action.generalise, method=Generalisation.year),
            pd.Series(["1980-02-17", None], dtype="datetime64[us]"), [1980, pd.NA],
        ),
        (
            "POSTAL_CODE", ColumnSpec(), PolicySpec(action=Action.generalise, method=Generalisation.prefix, length=3),
            pd.Series(["10115", None], dtype=object), ["101", None],
        ),
        (
            "AGE", ColumnSpec(type=ColumnType.integer),
            PolicySpec(action=Action.generalise, method=Generalisation.band, width=10),
            pd.Series([47, None], dtype="Int64"), [40, pd.NA],
        ),
    ],
)  # fmt: skip
def test_generalise_by_type(type_, spec, policy, values, expected, key):
    spec.semantic_type = type_
    clean, _ = clean_of(pd.DataFrame({"c": values}), dataset_of(c=spec), {type_: policy}, key)
    assert clean["c"].tolist() == expected


def test_redact_by_type(people, key):
    dataset = dataset_of(note=ColumnSpec(sdtype=SDType.text))
    clean, columns = clean_of(people[["note"]], dataset, {"FREE_TEXT": PolicySpec(action=Action.redact)}, key)
    assert "write to [EMAIL_ADDRESS] next week" in set(clean["note"])
    check_tolerated(scan_table(clean, timeout_seconds=60), (), Metadata("small", columns))


def test_pseudonyms_by_type_join_two_tables_and_differ_between_types(key):
    by_type = {name: PolicySpec(action=Action.pseudonymise) for name in ("UNIQUE_IDENTIFIER", "NATIONAL_ID")}

    def pseudonymised(column: str, type_: str, values: list, kind: ColumnType) -> pd.DataFrame:
        spec = ColumnSpec(type=kind, sdtype=SDType.id, semantic_type=type_)
        cells = pd.Series(values, dtype="Int64" if kind is ColumnType.integer else object)
        return clean_of(pd.DataFrame({column: cells}), dataset_of(**{column: spec}), by_type, key)[0]

    loans = pseudonymised("customer_id", "UNIQUE_IDENTIFIER", [17, 18, 17, None], ColumnType.integer)
    cards = pseudonymised("client", "UNIQUE_IDENTIFIER", ["18", "99"], ColumnType.string)
    joined = loans.merge(cards, left_on="customer_id", right_on="client")
    assert len(joined) == 1
    others = pseudonymised("client", "NATIONAL_ID", ["18", "99"], ColumnType.string)
    assert not set(others["client"]) & set(cards["client"])


@pytest.mark.parametrize(
    ("policy", "spec", "message"),
    [
        (PolicySpec(action=Action.pseudonymise), ColumnSpec(), "pseudonymise needs sdtype: id"),
        (
            PolicySpec(action=Action.generalise, method=Generalisation.prefix, length=2), ColumnSpec(sdtype=SDType.id),
            "generalise needs an sdtype that is modelled, not id",
        ),
        (PolicySpec(action=Action.redact), ColumnSpec(type=ColumnType.integer), "redact needs type: string"),
    ],
)  # fmt: skip
def test_a_policy_by_type_must_fit_every_column_of_the_type(policy, spec, message):
    spec.semantic_type = "NATIONAL_ID"
    with pytest.raises(ConfigError, match=rf"pii\.policies\.NATIONAL_ID: {message}, however dataset\.columns\.c has"):
        check_types(dataset_of(c=spec), by_type={"NATIONAL_ID": policy})
    spec.policy = DROP
    check_types(dataset_of(c=spec), by_type={"NATIONAL_ID": policy})


def test_a_generalisation_that_does_not_fit_the_type_is_refused(key):
    dataset = dataset_of(c=ColumnSpec(semantic_type="DATE_OF_BIRTH"))
    year = {"DATE_OF_BIRTH": PolicySpec(action=Action.generalise, method=Generalisation.year)}
    with pytest.raises(ConfigError, match=r"dataset\.columns\.c: generalisation 'year' needs type date"):
        clean_of(pd.DataFrame({"c": ["x"]}), dataset, year, key)


def test_policies_of_unknown_types_are_refused():
    with pytest.raises(ConfigError, match=r"pii\.policies\.EMIAL_ADDRESS must be a type .*did you mean EMAIL_ADDRESS"):
        check_types(dataset_of(c=ColumnSpec()), by_type={"EMIAL_ADDRESS": DROP})
    check_types(dataset_of(c=ColumnSpec()), by_type={"CITY": DROP})
