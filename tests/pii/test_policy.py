import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from tabveil.config import DatasetConfig
from tabveil.errors import ConfigError, PolicyViolationError, SchemaError
from tabveil.pii import (
    ScanResult,
    apply_policies,
    check_tolerated,
    check_types,
    resolve_policies,
    scan_table,
    suggest_types,
)
from tabveil.pii.transform import pseudonyms
from tabveil.schema import (
    Action,
    ColumnSpec,
    ColumnType,
    Generalisation,
    Metadata,
    PolicySpec,
    SDType,
    canonical,
)

NOTHING = ScanResult((), (), 0, (), 0, True, 0.0)


def dataset_of(**columns: ColumnSpec) -> DatasetConfig:
    return DatasetConfig(name="small", columns=columns)


def scan(table: pd.DataFrame):
    return scan_table(table, timeout_seconds=60)


def apply(table, dataset, key, names=None):
    return apply_policies(table, dataset, resolve_policies(dataset, NOTHING), names or {}, key)


def test_metadata_carry_the_bounds_of_numbers_that_stay_as_they_are(key):
    table = pd.DataFrame({"kept": [1.0, 2.0], "banded": [15.0, 25.0], "free": [1.0, 2.0]})
    band = PolicySpec(Action.generalise, method=Generalisation.band, width=10.0)
    dataset = dataset_of(
        kept=ColumnSpec(type=ColumnType.decimal, minimum=0.0, maximum=9.0),
        banded=ColumnSpec(type=ColumnType.decimal, minimum=12.0, policy=band),
        free=ColumnSpec(type=ColumnType.decimal),
    )
    _, columns = apply_policies(table, dataset, resolve_policies(dataset, NOTHING), {}, key)
    assert [(c.minimum, c.maximum) for c in columns] == [(0.0, 9.0), (None, None), (None, None)]


def test_undeclared_columns_with_findings_are_all_named_with_the_line_to_add(people):
    table = people[["full_name", "e_mail", "note", "amount"]]
    dataset = dataset_of(
        full_name=ColumnSpec(), e_mail=ColumnSpec(), note=ColumnSpec(), amount=ColumnSpec(type=ColumnType.decimal)
    )
    with pytest.raises(PolicyViolationError) as caught:
        resolve_policies(dataset, scan(table))
    message = str(caught.value)
    assert "conf/dataset/small.yaml" in message
    assert "full_name (NAME in 1500 cells): add `semantic_type: NAME`" in message
    assert "add `semantic_type: EMAIL_ADDRESS`" in message
    assert "add `semantic_type: FREE_TEXT`" in message
    assert "amount" not in message
    assert "\n" not in message
    assert not any(value in message for value in people["full_name"])


def test_keep_without_a_reason_does_not_cover_a_finding(people):
    dataset = dataset_of(e_mail=ColumnSpec(policy=PolicySpec()))
    with pytest.raises(PolicyViolationError, match="e_mail"):
        resolve_policies(dataset, scan(people[["e_mail"]]))


def test_finding_in_a_column_the_dataset_does_not_know_stops(people):
    with pytest.raises(PolicyViolationError, match="e_mail"):
        resolve_policies(dataset_of(amount=ColumnSpec()), scan(people[["e_mail"]]))


def test_declared_policy_wins_over_the_default():
    dataset = dataset_of(mail=ColumnSpec(semantic_type="EMAIL_ADDRESS", policy=PolicySpec(action=Action.drop)))
    assert resolve_policies(dataset, NOTHING)["mail"].action is Action.drop


@pytest.mark.parametrize(
    ("spec", "action"),
    [
        (ColumnSpec(semantic_type="NAME"), Action.regenerate),
        (ColumnSpec(semantic_type="FREE_TEXT"), Action.regenerate),
        (ColumnSpec(semantic_type="CITY"), Action.regenerate),
        (ColumnSpec(type=ColumnType.date, semantic_type="DATE_OF_BIRTH"), Action.generalise),
        (ColumnSpec(semantic_type="DATE_OF_BIRTH"), Action.regenerate),
        (ColumnSpec(semantic_type="POSTAL_CODE"), Action.generalise),
        (ColumnSpec(semantic_type="JOB_TITLE"), Action.generalise),
        (ColumnSpec(semantic_type="GENDER"), Action.keep),
        (ColumnSpec(sdtype=SDType.id), Action.regenerate),
        (ColumnSpec(sdtype=SDType.text), Action.regenerate),
        (ColumnSpec(), Action.keep),
    ],
)
def test_default_policy_of_a_semantic_type(spec, action):
    assert resolve_policies(dataset_of(c=spec), NOTHING)["c"].action is action


def test_clean_table_of_people_passes_and_its_metadata_describes_every_column(people, dataset, key):
    policies = resolve_policies(dataset, scan(people))
    clean, columns = apply_policies(people, dataset, policies, {"e_mail": " E-Mail "}, key)
    metadata = Metadata("people", columns)
    assert list(clean.columns) == ["date_of_birth", "amount"] == metadata.modelled_columns
    assert [c.name for c in columns] == list(dataset.columns)
    assert metadata["e_mail"].original_name == " E-Mail "
    assert metadata["note"].null_fraction == pytest.approx(people["note"].isna().mean())
    assert metadata["full_name"].locales == ("en_US", "vi_VN", "de_DE")
    birth = metadata["date_of_birth"]
    assert (birth.type, birth.sdtype, birth.action) == (ColumnType.integer, SDType.numerical, Action.generalise)
    assert clean["date_of_birth"].tolist() == people["date_of_birth"].dt.year.tolist()
    pd.testing.assert_frame_equal(canonical(clean, metadata), clean)
    check_tolerated(scan(clean), (), metadata)


@pytest.mark.parametrize("semantic_type", ["STATE", "GENDER", "NAME"])
def test_reason_excuses_only_the_declared_semantic_type(people, key, semantic_type):
    policy = None if semantic_type != "NAME" else PolicySpec(reason="public register")
    dataset = dataset_of(e_mail=ColumnSpec(semantic_type=semantic_type, policy=policy))
    with pytest.raises(PolicyViolationError, match=r"e_mail .*add `semantic_type: EMAIL_ADDRESS`"):
        resolve_policies(dataset, scan(people[["e_mail"]]))
    clean, columns = apply(people[["e_mail"]], dataset, key)
    assert columns[0].reason
    with pytest.raises(PolicyViolationError, match="e_mail: EMAIL_ADDRESS in 1500 cells"):
        check_tolerated(scan(clean), (), Metadata("small", columns))


def test_reason_without_a_semantic_type_excuses_nothing(people):
    dataset = dataset_of(e_mail=ColumnSpec(policy=PolicySpec(reason="needed")))
    with pytest.raises(PolicyViolationError, match="e_mail"):
        resolve_policies(dataset, scan(people[["e_mail"]]))


def test_national_id_stands_for_the_ids_of_every_country(people, key):
    spec = ColumnSpec(semantic_type="NATIONAL_ID", policy=PolicySpec(reason="test numbers"))
    dataset = dataset_of(national_id=spec)
    resolve_policies(dataset, scan(people[["national_id"]]))
    clean, columns = apply(people[["national_id"]], dataset, key)
    check_tolerated(scan(clean), (), Metadata("small", columns))


def test_tolerated_types_need_no_declaration(people):
    dataset = dataset_of(e_mail=ColumnSpec())
    assert resolve_policies(dataset, scan(people[["e_mail"]]), ["EMAIL_ADDRESS"])["e_mail"].action is Action.keep


def test_misspelt_types_are_refused():
    dataset = dataset_of(e_mail=ColumnSpec(semantic_type="EMAL_ADDRESS"))
    with pytest.raises(ConfigError, match=r"columns\.e_mail\.semantic_type .*EMAL_ADDRESS \(did you mean EMAIL_ADD"):
        resolve_policies(dataset, NOTHING)
    with pytest.raises(ConfigError, match=r"pii\.tolerated_types .*EMIAL"):
        check_tolerated(NOTHING, ["EMIAL"], Metadata("small", ()))
    with pytest.raises(ConfigError, match=r"pii\.tolerated_types"):
        check_types(dataset_of(c=ColumnSpec()), ["EMIAL"])
    check_types(dataset_of(c=ColumnSpec(semantic_type="CITY"), d=ColumnSpec()), ["NAME"])


def test_types_of_the_sample_are_known(repository):
    shape = OmegaConf.structured(DatasetConfig)
    loans = OmegaConf.to_object(OmegaConf.merge(shape, OmegaConf.load(repository / "conf/dataset/loans.yaml")))
    check_types(loans, ())


def test_suggestion_is_national_id_where_countries_mix(people):
    suggested = {item.column: item for item in suggest_types(scan(people))}
    assert suggested["national_id"].semantic_type == "NATIONAL_ID"
    assert (suggested["note"].semantic_type, suggested["note"].in_text) == ("FREE_TEXT", True)
    assert suggested["e_mail"].semantic_type == "EMAIL_ADDRESS"
    assert (suggested["city"].semantic_type, suggested["city"].quasi) == ("CITY", True)
    one_country = scan(pd.DataFrame({"id_card": [f"5{n % 10}1-22-{1000 + n}" for n in range(50)]}))
    assert [item.type for item in suggest_types(one_country)] == ["USA_SOCIAL_SECURITY_NUMBER"]


def test_months_of_dates_beyond_nanoseconds(key):
    table = pd.DataFrame({"to": pd.Series(["9999-12-31", "0001-02-03", None], dtype="datetime64[us]")})
    policy = PolicySpec(action=Action.generalise, method=Generalisation.month)
    clean, _ = apply(table, dataset_of(to=ColumnSpec(type=ColumnType.date, policy=policy)), key)
    assert clean["to"].dtype == "datetime64[us]"
    assert clean["to"].to_numpy().astype("datetime64[D]").astype(str).tolist() == ["9999-12-01", "0001-02-01", "NaT"]


def test_every_generalisation(key):
    table = pd.DataFrame(
        {
            "born": pd.Series(["1980-02-17", None], dtype="datetime64[us]"),
            "zip": ["12345", None],
            "income": pd.Series([12_345, None], dtype="Int64"),
            "ratio": [-0.37, np.nan],
        }
    )

    def spec(type_, **policy):
        return ColumnSpec(type=type_, policy=PolicySpec(action=Action.generalise, **policy))

    dataset = dataset_of(
        born=spec(ColumnType.date, method=Generalisation.month),
        zip=spec(ColumnType.string, method=Generalisation.prefix, length=2),
        income=spec(ColumnType.integer, method=Generalisation.band, width=5000),
        ratio=spec(ColumnType.decimal, method=Generalisation.band, width=0.25),
    )
    clean, columns = apply(table, dataset, key)
    assert clean["born"].tolist() == [pd.Timestamp("1980-02-01"), pd.NaT]
    assert clean["zip"].tolist() == ["12", None]
    assert clean["income"].tolist() == [10_000, pd.NA]
    assert clean["ratio"][0] == -0.5
    assert np.isnan(clean["ratio"][1])
    pd.testing.assert_frame_equal(canonical(clean, Metadata("small", columns)), clean)


def test_rare_levels_become_other_and_frequent_ones_stay(key):
    table = pd.DataFrame({"job": ["nurse"] * 5 + ["cook"] * 4 + ["astronaut", None]})
    policy = PolicySpec(action=Action.generalise, method=Generalisation.frequent, min_count=4)
    clean, _ = apply(table, dataset_of(job=ColumnSpec(policy=policy)), key)
    assert clean["job"].tolist() == ["nurse"] * 5 + ["cook"] * 4 + ["other", None]


@pytest.mark.parametrize(
    ("type_", "method"),
    [(ColumnType.string, Generalisation.year), (ColumnType.boolean, Generalisation.frequent)],
)
def test_generalisation_that_does_not_fit_the_type_is_refused(type_, method, key):
    policy = PolicySpec(action=Action.generalise, method=method, min_count=2)
    with pytest.raises(ConfigError, match=r"dataset\.columns\.c: generalisation"):
        apply(pd.DataFrame({"c": ["x"]}), dataset_of(c=ColumnSpec(type=type_, policy=policy)), key)


def test_redaction_replaces_mentions_and_the_result_is_clean(people, key):
    dataset = dataset_of(note=ColumnSpec(policy=PolicySpec(action=Action.redact)))
    clean, columns = apply(people[["note"]], dataset, key)
    assert clean["note"].isna().equals(people["note"].isna())
    assert set(clean["note"].dropna()) >= {"Reach at [PHONE_NUMBER]", "write to [EMAIL_ADDRESS] next week"}
    check_tolerated(scan(clean), (), Metadata("small", columns))


def test_pseudonyms_are_hex_consistent_keyed_and_keep_nulls(key):
    dataset = dataset_of(
        customer=ColumnSpec(
            type=ColumnType.integer, sdtype=SDType.id, semantic_type="UNIQUE_IDENTIFIER",
            policy=PolicySpec(action=Action.pseudonymise),
        )
    )  # fmt: skip
    table = pd.DataFrame({"customer": pd.Series([17, None, 17, 18], dtype="Int64")})
    clean, (column,) = apply(table, dataset, key)
    first, missing, again, other = clean["customer"]
    assert missing is None
    assert first == again != other
    assert len(first) == 32
    int(first, 16)
    assert (column.type, column.sdtype, column.generated) == (ColumnType.string, SDType.id, True)
    elsewhere = pseudonyms(pd.Series([18, 17]), "UNIQUE_IDENTIFIER", key)
    assert elsewhere.tolist() == [other, first]
    assert pseudonyms(pd.Series([17]), "UNIQUE_IDENTIFIER", key[::-1])[0] != first
    assert pseudonyms(pd.Series([17]), "NATIONAL_ID", key)[0] != first


@given(st.lists(st.one_of(st.none(), st.text(min_size=1, max_size=12)), max_size=30))
def test_pseudonyms_map_values_one_to_one(values):
    from tabveil.pii.columns import clean_text

    cells = pd.Series(values, dtype=object)
    made = pseudonyms(cells, "X", b"k" * 32)
    assert [v is None for v in made] == [v is None for v in values]
    pairs = {(clean_text(v), p) for v, p in zip(values, made, strict=True) if v is not None}
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})


def test_what_remains_is_named_without_its_value(people, key):
    dataset = dataset_of(e_mail=ColumnSpec())
    clean, columns = apply(people[["e_mail"]], dataset, key)
    with pytest.raises(PolicyViolationError, match="e_mail: EMAIL_ADDRESS in 1500 cells") as caught:
        check_tolerated(scan(clean), (), Metadata("small", columns))
    assert not any(value in str(caught.value) for value in people["e_mail"])
    check_tolerated(scan(clean), ("EMAIL_ADDRESS",), Metadata("small", columns))


def test_kept_with_a_reason_is_tolerated(people, key):
    spec = ColumnSpec(semantic_type="EMAIL_ADDRESS", policy=PolicySpec(reason="public register"))
    clean, columns = apply(people[["e_mail"]], dataset_of(e_mail=spec), key)
    assert columns[0].reason == "public register"
    check_tolerated(scan(clean), (), Metadata("small", columns))


def test_dropped_column_is_described_and_absent(people, key):
    spec = ColumnSpec(semantic_type="EMAIL_ADDRESS", policy=PolicySpec(action=Action.drop))
    clean, columns = apply(people[["e_mail"]], dataset_of(e_mail=spec), key)
    assert list(clean.columns) == []
    assert len(clean) == len(people)
    assert columns[0].action is Action.drop


def test_missing_column_is_a_schema_error(people, key, dataset):
    with pytest.raises(SchemaError, match="note"):
        apply(people.drop(columns="note"), dataset, key)


def test_column_without_a_resolved_policy_is_refused(people, key, dataset):
    with pytest.raises(PolicyViolationError, match="customer_id"):
        apply_policies(people, dataset, {}, {}, key)
