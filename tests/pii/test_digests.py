import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabveil.errors import KeyUnavailableError, SchemaError
from tabveil.pii import IdentityDigests, ScanResult, apply_policies, resolve_policies
from tabveil.pii.digests import guarded, normal_form
from tabveil.schema import Action, Column, ColumnType, SDType

KEY = b"k" * 32


def column(name: str, semantic: str | None, **changes) -> Column:
    values = {"type": ColumnType.string, "sdtype": SDType.categorical, "action": Action.regenerate}
    return Column(name=name, original_name=name, semantic_type=semantic, **{**values, **changes})


@given(st.lists(st.text(min_size=1), min_size=1, max_size=20), st.lists(st.text(), max_size=20))
def test_digests_hold_every_real_value_and_no_other(real, others):
    digests = IdentityDigests.build(pd.DataFrame({"name": real}), [column("name", "NAME")], KEY)
    again = IdentityDigests.from_frame(digests.to_frame(), KEY)
    forms = {normal_form(v, "NAME") for v in real}
    for made in (digests, again):
        assert made.contains("name", real).all()
        assert made.contains("name", others).tolist() == [normal_form(v, "NAME") in forms for v in others]


@pytest.mark.parametrize(
    ("semantic", "one", "other"),
    [
        ("PHONE_NUMBER", "+1 (212) 664-7665", "212-664-7665x12"),
        ("PHONE_NUMBER", "+49 30 901820777", "030 901820777"),
        ("CREDIT_CARD_NUMBER", "4111 1111 1111 1111", "4111-1111-1111-1111"),
        ("BANK_ACCOUNT_NUMBER", "DE89 3704 0044 0532 0130 00", "de89370400440532013000"),
        ("EMAIL_ADDRESS", "Jo@Acme.org", "jo@acme.org"),
        ("NAME", "Anna  SCHMIDT", "anna schmidt"),
        ("NATIONAL_ID", 123456789.0, "123-45-6789"),
    ],
)
def test_ways_of_writing_one_value_are_one_value(semantic, one, other):
    digests = IdentityDigests.build(pd.DataFrame({"c": [one]}), [column("c", semantic)], KEY)
    assert digests.contains("c", [other, None]).tolist() == [True, False]


def test_frame_is_sorted_holds_no_value_and_needs_its_key(people):
    columns = [column("e_mail", "EMAIL_ADDRESS"), column("full_name", "NAME")]
    frame = IdentityDigests.build(people, columns, KEY).to_frame()
    shuffled = IdentityDigests.build(people.sample(frac=1, random_state=1), columns[::-1], KEY).to_frame()
    pd.testing.assert_frame_equal(frame, shuffled)
    text = frame.to_csv()
    assert not any(value in text for value in people["e_mail"])
    with pytest.raises(KeyUnavailableError, match="another key: run verify again"):
        IdentityDigests.from_frame(frame, KEY[::-1].replace(b"k", b"l"))
    with pytest.raises(KeyUnavailableError, match="another key: run verify again"):
        IdentityDigests.from_frame(frame.iloc[1:], KEY)
    with pytest.raises(KeyUnavailableError, match="damaged"):
        IdentityDigests.from_frame(frame[["column"]], KEY)


def test_empty_identity_column_is_remembered():
    table = pd.DataFrame({"c": pd.Series([None, None], dtype=object)})
    digests = IdentityDigests.from_frame(IdentityDigests.build(table, [column("c", "NAME")], KEY).to_frame(), KEY)
    assert list(digests.semantic_types) == ["c"]
    assert not digests.contains("c", ["", "x"]).any()


@pytest.mark.parametrize(
    ("candidate", "expected"),
    [
        (column("a", "EMAIL_ADDRESS"), True),
        (column("a", "EMAIL_ADDRESS", action=Action.drop), True),
        (column("a", None, sdtype=SDType.id), True),
        (column("a", None, sdtype=SDType.text), True),
        (column("a", "CITY"), True),
        (column("a", "DATE_OF_BIRTH"), False),
        (column("a", "EMAIL_ADDRESS", action=Action.keep), False),
        (column("a", None, action=Action.drop), False),
    ],
)
def test_guarded_columns_are_towns_and_the_direct_identifiers_that_are_not_modelled(candidate, expected):
    assert guarded(candidate) is expected


def test_people_columns_that_are_guarded(people, dataset, key):
    _, columns = apply_policies(
        people, dataset, resolve_policies(dataset, ScanResult((), (), 0, (), 0, True, 0.0)), {}, key
    )
    assert set(IdentityDigests.build(people, columns, key).semantic_types) == {
        "customer_id", "full_name", "e_mail", "phone", "national_id", "street_address", "city",
        "iban_or_account", "card_number", "note",
    }  # fmt: skip


def test_missing_identity_column_is_a_schema_error(people):
    with pytest.raises(SchemaError, match="other"):
        IdentityDigests.build(people, [column("other", "NAME")], KEY)


def test_key_is_not_in_the_representation(people):
    assert "kkkk" not in repr(IdentityDigests.build(people, [column("e_mail", "EMAIL_ADDRESS")], KEY))
