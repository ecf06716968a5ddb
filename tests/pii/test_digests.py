import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabveil.errors import KeyUnavailableError, SchemaError
from tabveil.pii import IdentityDigests, ScanResult, apply_policies, resolve_policies
from tabveil.pii.digests import guarded
from tabveil.pii.forms import forms, normal_form
from tabveil.schema import Action, Column, ColumnType, SDType

KEY = b"k" * 32


def column(name: str, semantic: str | None, **changes) -> Column:
    values = {"type": ColumnType.string, "sdtype": SDType.categorical, "action": Action.regenerate}
    return Column(name=name, original_name=name, semantic_type=semantic, **{**values, **changes})


@given(st.lists(st.text(min_size=1), min_size=1, max_size=20), st.lists(st.text(), max_size=20))
def test_digests_hold_every_real_value_and_no_other(real, others):
    digests = IdentityDigests.build(pd.DataFrame({"name": real}), [column("name", "NAME")], KEY)
    again = IdentityDigests.from_frame(digests.to_frame(), KEY)
    known = {normal_form(v, "NAME") for v in real}
    for made in (digests, again):
        assert made.contains("name", real).all()
        assert made.contains("name", others).tolist() == [not known.isdisjoint(forms(v, "NAME")) for v in others]


@pytest.mark.parametrize(
    ("semantic", "one", "other"),
    [
        ("PHONE_NUMBER", "+1 (212) 664-7665", "212-664-7665x12"),
        ("PHONE_NUMBER", "+49 30 901820777", "030 901820777"),
        ("CREDIT_CARD_NUMBER", "4111 1111 1111 1111", "4111-1111-1111-1111"),
        ("BANK_ACCOUNT_NUMBER", "DE89 3704 0044 0532 0130 00", "de89370400440532013000"),
        ("EMAIL_ADDRESS", "Jo@Acme.org", "jo@acme.org"),
        ("NAME", "Anna  SCHMIDT", "anna schmidt"),
        ("NAME", "\u200bAnna\u00a0Schmidt", "Anna Schmidt"),
        ("ADDRESS", "12 Hill Road, Apt. 4", "12 Hill Road Apt 4"),
        ("NATIONAL_ID", 123456789.0, "123-45-6789"),
    ],
)
def test_ways_of_writing_one_value_are_one_value(semantic, one, other):
    digests = IdentityDigests.build(pd.DataFrame({"c": [one]}), [column("c", semantic)], KEY)
    assert digests.contains("c", [other, None]).tolist() == [True, False]


@pytest.mark.parametrize(
    ("semantic", "real", "invented", "expected"),
    [
        ("NAME", "Nguyễn Thị Linh", "Vũ-Nguyễn Thị Linh-Thảo", True),
        ("NAME", "Anna Schmidt", "Anna Schmidtke", False),
        ("NAME", "Anna", "Anna-Lena Fischer", True),
        ("NAME", "J", "J Fischer", False),
        ("CITY", "Michaelfort", "South Michaelfort", True),
        ("CITY", "Michaelfort", "Michaelforton", False),
        ("ADDRESS", "77 Moss Meadows", "77 Moss Meadows Apt. 419", True),
        ("ADDRESS", "77", "77 Moss Meadows Apt. 419", False),
        ("FREE_TEXT", "Unterlagen vollständig", "Rate versandt, Unterlagen vollständig.", True),
        ("EMAIL_ADDRESS", "lee5@example.com", "anna.lee5@example.com", True),
        ("EMAIL_ADDRESS", "example.com", "anna.lee5@example.com", False),
        ("PHONE_NUMBER", "555-0101", "+1-212-555-0101", True),
        ("PHONE_NUMBER", "0101", "+1-212-555-0101", False),
        ("UNIQUE_IDENTIFIER", "0001234567", "CUSTOMER_ID-0001234567", True),
        ("UNIQUE_IDENTIFIER", "customer_id", "CUSTOMER_ID-0001234567", False),
    ],
)
def test_real_value_between_word_boundaries_is_contained(semantic, real, invented, expected):
    digests = IdentityDigests.build(pd.DataFrame({"c": [real]}), [column("c", semantic)], KEY)
    assert digests.contains("c", [invented, None]).tolist() == [expected, False]


@pytest.mark.parametrize(
    ("first", "second", "pooled"),
    [
        ("NAME", "NAME", True),
        ("CITY", "ADDRESS", True),
        ("BANK_ACCOUNT_NUMBER", None, True),
        ("NATIONAL_ID", "USA_SOCIAL_SECURITY_NUMBER", True),
        ("NAME", "FREE_TEXT", True),
        ("NAME", "EMAIL_ADDRESS", False),
        ("PHONE_NUMBER", "NATIONAL_ID", False),
    ],
)
def test_columns_of_one_family_are_looked_up_together(first, second, pooled):
    columns = [column("gone", first, action=Action.drop), column("shown", second, sdtype=SDType.id)]
    table = pd.DataFrame({"gone": ["Anna Schmidt 12345678"], "shown": ["x"]})
    digests = IdentityDigests.build(table, columns, KEY)
    again = IdentityDigests.from_frame(digests.to_frame(), KEY)
    assert [d.contains("shown", ["Anna Schmidt 12345678"])[0] for d in (digests, again)] == [pooled, pooled]


def test_one_word_is_looked_up_in_its_own_family_only():
    columns = [column("last_name", "NAME", action=Action.drop), column("street", "ADDRESS")]
    table = pd.DataFrame({"last_name": ["Green", "Timothy Green"], "street": ["1 Hill Road"] * 2})
    digests = IdentityDigests.build(table, columns, KEY)
    assert digests.contains("street", ["12 Green Street", "12 Timothy Green"]).tolist() == [False, True]


def test_frame_is_sorted_holds_no_value_and_needs_its_key(people):
    columns = [column("e_mail", "EMAIL_ADDRESS"), column("full_name", "NAME")]
    frame = IdentityDigests.build(people, columns, KEY).to_frame()
    shuffled = IdentityDigests.build(people.sample(frac=1, random_state=1), columns[::-1], KEY).to_frame()
    pd.testing.assert_frame_equal(frame, shuffled)
    text = frame.to_csv()
    assert not any(value in text for value in people["e_mail"])
    with pytest.raises(KeyUnavailableError, match="another key: dvc repro --force verify"):
        IdentityDigests.from_frame(frame, KEY[::-1].replace(b"k", b"l"))
    with pytest.raises(KeyUnavailableError, match="another key: dvc repro --force verify"):
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
