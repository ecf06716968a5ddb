"""Checks over columns agree with the checks of single texts, which are those of python-stdnum and phonenumbers."""

import random
import string

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stdnum import iso7064, luhn, verhoeff

from tabveil.pii import checks, lexicon, validators
from tabveil.pii.columns import fold_series
from tabveil.pii.identifiers import fold
from tabveil.pii.shapes import Bounds, Shapes

PAIRS = {
    "card": (checks.card, validators.card, r"(4|51|34|37|6011|62|9704)[0-9]{9,15}"),
    "luhn": (checks.luhn, validators.luhn, r"[0-9]{11,19}"),
    "ssn": (checks.us_ssn, validators.us_ssn, r"[0-9]{3}-[0-9]{2}-[0-9]{4}"),
    "itin": (checks.us_itin, validators.us_itin, r"9[0-9]{2}-[0-9]{2}-[0-9]{4}"),
    "tax id": (checks.de_tax_id, validators.de_tax_id, r"[1-9][0-9]{10}"),
    "nir": (checks.fr_nir, validators.fr_nir, r"[12][0-9]{4}(2A|2B|[0-9]{2})[0-9]{8}"),
    "dni": (checks.es_dni, validators.es_dni, r"([0-9]{8}|[XYZ][0-9]{7})[A-Z]"),
    "ccc": (checks.es_account, validators.es_account, r"[0-9]{20}"),
    "aadhaar": (checks.in_aadhaar, validators.in_aadhaar, r"[2-9][0-9]{11}"),
    "tax code": (checks.vn_tax_code, validators.vn_tax_code, r"[0-9]{10}(-?[0-9]{3})?"),
    "phone": (checks.phone, validators.phone, r"0[0-9]{9}|\([2-9][0-9]{2}\) [2-9][0-9]{2}-[0-9]{4}|0[1-9] [0-9]{7}"),
    "point": (checks.coordinates, validators.coordinates, r"-?[0-9]{1,2}\.[0-9]{3}, -?[0-9]{1,3}\.[0-9]{3}"),
    "name": (lexicon.full_names, lexicon.is_full_name, r"(Dr\. )?(Anna|Rose|Nguyễn|Otto) (Stone|Thị|Xyz)( Hoa| MBA)?"),
}  # fmt: skip


@pytest.mark.parametrize("name", PAIRS)
def test_column_check_agrees_with_single_check(name):
    column_check, single_check, pattern = PAIRS[name]

    @settings(deadline=None)
    @given(st.lists(st.from_regex(pattern, fullmatch=True).filter(str.isprintable), min_size=1, max_size=30))
    def agree(texts):
        assert column_check(pl.Series(texts)).tolist() == [single_check(text) for text in texts]

    agree()


def digits(rng, count):
    return "".join(rng.choices(string.digits, k=count))


def valid_numbers(rng):
    body = digits(rng, 11)
    yield checks.card, "4" + body[:11] + digits(rng, 3), luhn.calc_check_digit
    yield checks.in_aadhaar, "5" + digits(rng, 10), verhoeff.calc_check_digit
    chosen = rng.sample(string.digits[1:], 9)
    yield checks.de_tax_id, "".join([*chosen, chosen[0]]), iso7064.mod_11_10.calc_check_digit


def test_valid_numbers_pass_and_a_changed_digit_fails():
    rng = random.Random(1)
    for _ in range(50):
        for check, body, digit in valid_numbers(rng):
            number = body + digit(body)
            wrong = body + str((int(digit(body)) + 1) % 10)
            assert check(pl.Series([number, wrong])).tolist() == [True, False]


def test_iban_needs_structure_and_check_digits():
    texts = ["DE89370400440532013000", "GB29 NWBK 6016 1331 9268 19", "DE88370400440532013000", "DE8937040044053201300"]
    assert checks.iban(pl.Series(texts)).tolist() == [True, True, False, False]


def test_ip_addresses_are_no_version_numbers_and_no_times():
    texts = ["203.0.113.7", "10.2.3.4", "300.1.1.1", "2001:db8::1", "1:2:3:4:5:6:7:8", "12:34:56", "::"]
    assert checks.ip(pl.Series(texts)).tolist() == [True, False, False, True, True, False, False]


def test_german_serials_are_mixed_and_their_tenth_place_is_checked():
    texts = ["L01X00T47", "L01X00T471", "L01X00T472", "LPMT12345", "L12345678"]
    assert checks.german_serial(pl.Series(texts)).tolist() == [True, True, False, False, False]


def test_bare_phone_numbers_are_spread_and_ids_in_sequence_are_not():
    rng = random.Random(2)
    phones = pl.Series([f"9{rng.choice('0134678')}{digits(rng, 7)}" for _ in range(200)])
    assert checks.phone_bare(phones).mean() > 0.9
    assert not checks.phone_bare(pl.Series([str(912_000_000 + n) for n in range(200)])).any()


def test_citizen_ids_come_from_several_provinces():
    one = pl.Series([f"0071{n:08d}" for n in range(1, 100)])
    assert not checks.vn_citizen_id(one).any()
    assert checks.vn_citizen_id(one.head(5)).all()


@settings(deadline=None)
@given(st.lists(st.text(max_size=12), max_size=20))
def test_shapes_count_bytes_digits_and_letters(texts):
    shapes = Shapes.of(pl.Series(texts, dtype=pl.String).to_arrow())
    encoded = [text.encode() for text in texts]
    assert shapes.size.tolist() == [len(text) for text in encoded]
    assert shapes.digits.tolist() == [sum(48 <= byte <= 57 for byte in text) for text in encoded]
    letters = [sum(byte > 127 or chr(byte) in string.ascii_letters for byte in text) for text in encoded]
    assert shapes.letters.tolist() == letters
    assert shapes.within(Bounds(size=(2, 5))).tolist() == [2 <= len(text) <= 5 for text in encoded]


@settings(deadline=None)
@given(st.lists(st.text(alphabet="aZßđĐøłÉễñ 1", max_size=10), min_size=1, max_size=10))
def test_folding_a_column_is_folding_its_texts(texts):
    assert fold_series(pl.Series(texts)).to_list() == [fold(text) for text in texts]


def test_letter_classes_of_a_pattern_become_two_ranges():
    texts = pl.Series(["Đỗ", "12", "a-b"])
    assert checks.matches(texts, r"^\p{Lu}[\p{L}]+$").tolist() == [True, False, False]
    assert checks.matches(texts, r"^[\d]+$").tolist() == [False, True, False]
