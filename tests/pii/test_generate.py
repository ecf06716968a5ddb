import ipaddress
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stdnum import iban, luhn

from tabveil.errors import ConfigError, PolicyViolationError, SynthesizerError
from tabveil.pii import IdentityDigests, generate_identities, scan_table
from tabveil.pii.draws import Draws
from tabveil.pii.identifiers import TYPES, fold
from tabveil.schema import Action, Column, ColumnType, Metadata, SDType, canonical

KEY = b"k" * 32
LOCALES = ("en_US", "vi_VN", "de_DE")


def column(name: str, semantic: str | None = None, **changes) -> Column:
    values = {
        "type": ColumnType.string, "sdtype": SDType.categorical, "action": Action.regenerate, "locales": LOCALES,
    }  # fmt: skip
    return Column(name=name, original_name=name, semantic_type=semantic, **{**values, **changes})


PERSON = [
    column("customer_id", "UNIQUE_IDENTIFIER", sdtype=SDType.id),
    column("full_name", "NAME"),
    column("e_mail", "EMAIL_ADDRESS"),
    column("phone", "PHONE_NUMBER"),
    column("national_id", "NATIONAL_ID"),
    column("date_of_birth", "DATE_OF_BIRTH", type=ColumnType.date),
    column("street_address", "ADDRESS"),
    column("city", "CITY"),
    column("iban_or_account", "BANK_ACCOUNT_NUMBER"),
    column("card_number", "CREDIT_CARD_NUMBER"),
    column("note", "FREE_TEXT", sdtype=SDType.text, null_fraction=0.3),
]


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 2**31 - 1))
def test_chunks_of_any_size_make_the_same_table(first, second, seed):
    whole = generate_identities(PERSON, first + second, seed)
    parts = [generate_identities(PERSON, first, seed), generate_identities(PERSON, second, seed, start=first)]
    for name in whole.columns:
        assert whole[name].tolist() == [value for part in parts for value in part[name]] or name == "date_of_birth"
    births = pd.concat([part["date_of_birth"] for part in parts], ignore_index=True)
    pd.testing.assert_series_equal(whole["date_of_birth"], births)


def test_another_seed_makes_other_people():
    one, other = (generate_identities(PERSON, 200, seed) for seed in (0, 1))
    assert (one["full_name"] != other["full_name"]).mean() > 0.9
    assert not set(one["customer_id"]) & set(other["customer_id"])


def test_global_random_state_is_untouched():
    import random

    random.seed(5)
    np.random.seed(5)
    expected = (random.Random(5).random(), np.random.RandomState(5).random_sample())
    generate_identities(PERSON, 20, 0)
    assert (random.random(), np.random.random_sample()) == expected


def test_row_is_one_person_of_one_locale():
    table = generate_identities(PERSON, 600, 3)
    for _, row in table.iterrows():
        words = re.findall("[a-z]+", fold(row["full_name"]).replace("-", " ").replace(".", " "))
        local = row["e_mail"].split("@")[0]
        assert words[0] in local or words[-1] in local
        vietnamese, german = row["phone"].startswith("095"), not row["phone"].startswith(("+1", "095"))
        assert row["iban_or_account"].startswith("DE") == german
        assert row["national_id"].startswith("099") == vietnamese
        assert row["national_id"].startswith("666-") == row["phone"].startswith("+1-")


def test_numbers_lie_in_ranges_nobody_holds():
    table = generate_identities(PERSON, 600, 4)
    assert table["e_mail"].str.fullmatch(r"[a-z.]+\d+@example\.(com|org|net)").all()
    assert (
        table["phone"]
        .str.fullmatch(
            r"\+1-\d{3}-555-01\d\d|095\d \d{3} \d{3}|"
            r"030 23125\d{3}|069 90009\d{3}|040 66969\d{3}|0221 4710\d{3}|089 99998\d{3}"
        )
        .all()
    )
    assert table["card_number"].str.fullmatch(r"9999\d{12}").all()
    assert all(luhn.is_valid(number) for number in table["card_number"])
    accounts = table["iban_or_account"]
    assert all(iban.is_valid(a, check_country=False) for a in accounts[accounts.str.startswith("DE")])
    assert table["national_id"].str.fullmatch(r"666-\d\d-\d{4}|099\d{9}|A\d{8}").all()
    assert table["date_of_birth"].between("1945-01-01", "2004-12-31").all()


def test_neutral_texts_mention_nobody():
    notes = generate_identities([column("note", "FREE_TEXT", sdtype=SDType.text)], 2000, 5)
    assert scan_table(notes, timeout_seconds=60).findings == ()


def test_missing_values_come_at_their_rate_and_only_where_asked():
    table = generate_identities(PERSON, 3000, 6)
    assert table["note"].isna().mean() == pytest.approx(0.3, abs=0.03)
    assert table.drop(columns="note").notna().all(axis=None)
    assert {type(v) for v in table["note"]} == {str, type(None)}


@pytest.mark.parametrize("type_", list(ColumnType))
@pytest.mark.parametrize("semantic", [None, "PHONE_NUMBER", "CREDIT_CARD_NUMBER", "GEO_COORDINATES", "UNHEARD_OF"])
def test_values_have_the_columns_type(type_, semantic):
    columns = (column("thing", semantic, type=type_, sdtype=SDType.id, null_fraction=0.2),)
    table = generate_identities(columns, 50, 0)
    pd.testing.assert_frame_equal(canonical(table, Metadata("x", columns)), table)
    assert 0 < table["thing"].isna().sum() < 50


@pytest.mark.parametrize("semantic", sorted(TYPES))
def test_every_type_can_be_invented(semantic):
    values = generate_identities([column("thing", semantic)], 100, 0)["thing"]
    assert values.notna().all()
    assert values.nunique() > 40


def test_documentation_networks():
    values = generate_identities([column("ip", "IP_ADDRESS")], 100, 0)["ip"]
    networks = [ipaddress.ip_network(n) for n in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")]
    assert all(any(ipaddress.ip_address(v) in n for n in networks) for v in values)


def test_ids_are_unique_across_chunks_in_text_and_integers():
    columns = [
        column("code", sdtype=SDType.id),
        column("number", sdtype=SDType.id, type=ColumnType.integer),
        column("e_mail", "EMAIL_ADDRESS"),
        column("card", "CREDIT_CARD_NUMBER"),
    ]
    chunks = [generate_identities(columns, 5000, 9, start=start) for start in (0, 5000, 123_456_789)]
    table = pd.concat(chunks)
    assert all(table[name].is_unique for name in table)
    assert table["code"].str.fullmatch(r"CODE-\d{10}").all()
    assert table["number"].dtype == "Int64"


@given(st.integers(0, 2**31 - 1), st.integers(0, 2**27))
def test_serials_of_rows_and_attempts_never_meet(seed, start):
    rows = np.arange(start, start + 500, dtype=np.uint64)
    serials = np.concatenate([Draws(seed, rows, attempt).serial("x") for attempt in range(4)])
    assert len(np.unique(serials)) == len(serials)
    assert serials.min() >= 0
    assert serials.max() < 2**32


@pytest.mark.parametrize("name", ["full_name", "first_name", "last_name", "nachname", "ten", "ho_va_ten"])
def test_name_columns_hold_their_part_of_the_name(name):
    table = generate_identities([column(name, "NAME"), column("fullname", "NAME")], 50, 0)
    full = name in ("full_name", "ho_va_ten")
    assert all((a == b) if full else (a in b) for a, b in table.itertuples(index=False))


@pytest.mark.parametrize("names", [("full_name",), ("first_name",), ("last_name",)])
def test_real_values_are_never_invented(names):
    columns = [*(column(n, "NAME") for n in names), column("e_mail", "EMAIL_ADDRESS"), column("street", "ADDRESS")]
    real = generate_identities(columns, 400, 0)  # the worst case: the real people are the ones we would invent
    digests = IdentityDigests.build(real, columns, KEY)
    made = generate_identities(columns, 400, 0, digests=digests)
    for c in columns:
        assert not digests.contains(c.name, made[c.name]).any()
        assert not set(made[c.name]) & set(real[c.name])
    pd.testing.assert_frame_equal(made, generate_identities(columns, 400, 0, digests=digests))


def test_phones_leave_the_fiction_range_when_the_real_table_fills_it():
    columns = [column("phone", "PHONE_NUMBER", locales=("en_GB",))]
    real = pd.DataFrame({"phone": [f"07700 900{n:03d}" for n in range(1000)]})
    made = generate_identities(columns, 200, 0, digests=IdentityDigests.build(real, columns, KEY))["phone"]
    assert made.str.fullmatch(r"020 0\d{3} \d{4}").all()


def test_exhausted_space_stops_without_naming_a_value():
    columns = [column("itin", "USA_INDIVIDUAL_TAX_IDENTIFICATION_NUMBER")]
    real = pd.DataFrame({"itin": [f"900-00-{number:04d}" for number in range(10_000)]})  # every number there is
    digests = IdentityDigests.build(real, columns, KEY)
    with pytest.raises(PolicyViolationError, match="after 16 attempts 20 in itin do not") as caught:
        generate_identities(columns, 20, 0, digests=digests)
    assert not any(text in str(caught.value) for text in real["itin"])


def inside(values: pd.Series, reals: set[str]) -> list[str]:
    """Values in which a real one stands between word boundaries."""
    pattern = re.compile(r"(?<!\w)(?:" + "|".join(map(re.escape, sorted(reals))) + r")(?!\w)", re.IGNORECASE)
    return [value for value in values.dropna() if pattern.search(value)]


@pytest.mark.parametrize(
    ("name", "semantic", "first_column"),
    [
        ("full_name", "NAME", "full_name"),
        ("full_name", "NAME", "first_name"),
        ("last_name", "NAME", "last_name"),
        ("city", "CITY", "city"),
        ("street_address", "ADDRESS", "street_address"),
        ("home_address", "ADDRESS", "city"),
        ("note", "FREE_TEXT", "note"),
    ],
)
@pytest.mark.parametrize("locale", LOCALES)
def test_real_values_never_stand_inside_invented_ones(name, semantic, first_column, locale):
    kinds = {"first_name": "NAME", "last_name": "NAME", "city": "CITY"}
    guarded = column(first_column, kinds.get(first_column, semantic), locales=(locale,))
    real = generate_identities([guarded], 3000, 1)  # nearly all that a pool holds
    invented = column(name, semantic, locales=(locale,))
    digests = IdentityDigests.build(real, [guarded], KEY)
    columns = [invented] if name == first_column else [invented, guarded]
    made = generate_identities(
        columns, 300, 0, digests=IdentityDigests(KEY, {**digests.semantic_types, name: semantic}, digests.digests)
    )
    long = {v for v in real[first_column] if sum(map(str.isalpha, v)) >= 3}
    assert inside(made[name], long) == []
    assert made[name].nunique() > 30  # Vietnam has few family names and Faker few of its towns


def test_stock_phrases_that_fill_a_real_column_make_numbered_entries():
    columns = [column("note", "FREE_TEXT", locales=("en_US",))]
    real = generate_identities(columns, 20_000, 1)  # every sentence there is
    made = generate_identities(columns, 20, 0, digests=IdentityDigests.build(real, columns, KEY))["note"]
    assert made.str.fullmatch(r"Entry \d{10}\.").all()
    assert made.is_unique


def test_dropped_people_do_not_come_back_in_another_column():
    shown = [column("borrower_name", "NAME"), column("e_mail", "EMAIL_ADDRESS")]
    hidden = column("guarantor_name", "NAME", action=Action.drop)
    real = generate_identities([column("borrower_name", "NAME")], 400, 0)  # the very names we would invent
    real = real.rename(columns={"borrower_name": "guarantor_name"})
    real["borrower_name"], real["e_mail"] = "Nobody Known", "nobody@known.test"
    made = generate_identities(shown, 400, 0, digests=IdentityDigests.build(real, [*shown, hidden], KEY))
    assert not set(made["borrower_name"]) & set(real["guarantor_name"])
    parts = {".".join(re.findall("[a-z]+", fold(name))) for name in real["guarantor_name"]}
    assert not {re.sub(r"\d+@.*", "", mail) for mail in made["e_mail"]} & parts


def test_borrower_and_guarantor_are_two_people_each_with_their_own_columns():
    names = ("borrower_first_name", "borrower_last_name", "guarantor_full_name", "e_mail", "guarantor_e_mail")
    columns = [column(n, "EMAIL_ADDRESS" if n.endswith("mail") else "NAME", locales=("en_US",)) for n in names]
    table = generate_identities(columns, 300, 0)
    borrower = table["borrower_first_name"] + " " + table["borrower_last_name"]
    assert (borrower != table["guarantor_full_name"]).mean() > 0.99
    for person, mail in ((borrower, "e_mail"), (table["guarantor_full_name"], "guarantor_e_mail")):
        local = person.map(lambda name: ".".join(re.sub("[^a-z]", "", word) for word in fold(name).split()))
        assert all(m.startswith(name) for m, name in zip(table[mail], local, strict=True))
    parts = [generate_identities(columns, 150, 0), generate_identities(columns, 150, 0, start=150)]
    pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True), table)


def test_two_phones_and_two_notes_of_one_person_differ():
    columns = [column(n, "PHONE_NUMBER", locales=("vi_VN",)) for n in ("phone", "mobile")]
    columns += [column(n, sdtype=SDType.text) for n in ("note", "remark")]
    table = generate_identities(columns, 300, 0)
    assert (table["phone"] == table["mobile"]).mean() < 0.05
    assert (table["note"] == table["remark"]).mean() < 0.05


@pytest.mark.parametrize("locale", ["fr_FR", "pl_PL", "ja_JP", "en_GB"])
def test_other_faker_locales_work(locale):
    table = generate_identities([column(c.name, c.semantic_type, locales=(locale,)) for c in PERSON[1:5]], 50, 0)
    assert table.notna().all(axis=None)
    assert table["e_mail"].is_unique


def test_unknown_locale_and_too_many_rows_are_refused():
    with pytest.raises(ConfigError, match="xx_XX"):
        generate_identities([column("full_name", "NAME", locales=("xx_XX",))], 5, 0)
    with pytest.raises(SynthesizerError, match="row numbers"):
        generate_identities(PERSON, 10, 0, start=2**28)


def test_no_rows_make_an_empty_typed_table():
    table = generate_identities(PERSON, 0, 0)
    assert list(table.columns) == [c.name for c in PERSON]
    assert len(table) == 0
    assert table["date_of_birth"].dtype == "datetime64[us]"
