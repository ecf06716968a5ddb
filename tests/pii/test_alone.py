"""One cell of a form that is certain by itself is found among 10,000 others of any kind; look-alikes stay quiet."""

import random

import numpy as np
import pandas as pd
import pytest
from faker import Faker

from tabveil.config import DatasetConfig
from tabveil.errors import PolicyViolationError
from tabveil.pii import apply_policies, check_tolerated, resolve_policies, scan_table
from tabveil.schema import Action, ColumnSpec, ColumnType, Metadata, PolicySpec

NUM_ROWS = 10_000
RNG = random.Random(0)
COLUMNS = {
    "purpose": [RNG.choice(("debt_consolidation", "credit_card", "car", "other")) for _ in range(NUM_ROWS)],
    "Loan Purpose": [RNG.choice(("Debt Consolidation", "Home Improvement", "Car", "Other")) for _ in range(NUM_ROWS)],
    "loan_status": [RNG.choice(("CURRENT", "FULLY PAID", "IN GRACE PERIOD")) for _ in range(NUM_ROWS)],
    "ref": [f"AB-{RNG.randrange(10**6):06d}" for _ in range(NUM_ROWS)],
    "amount": [f"{RNG.uniform(0, 1e5):.2f}" for _ in range(NUM_ROWS)],
    "contract": [str(RNG.randrange(10**9, 10**10)) for _ in range(NUM_ROWS)],
}
CERTAIN = {
    "4111111111111111": "CREDIT_CARD_NUMBER",
    "378282246310005": "CREDIT_CARD_NUMBER",
    "4111 1111 1111 1111": "CREDIT_CARD_NUMBER",
    "4111-1111-1111-1111": "CREDIT_CARD_NUMBER",
    "٤١١١١١١١١١١١١١١١": "CREDIT_CARD_NUMBER",
    "+49 171 3920174": "PHONE_NUMBER",
    "+491713920174": "PHONE_NUMBER",
    "0049 171 3920174": "PHONE_NUMBER",
    "(415) 781-2671": "PHONE_NUMBER",
    "415-781-2671": "PHONE_NUMBER",
    "1-415-781-2671": "PHONE_NUMBER",
    "0171/3920174": "PHONE_NUMBER",
    "06 12 34 56 78": "PHONE_NUMBER",
    "0912 345 678": "PHONE_NUMBER",
    "Anna Schmidt": "NAME",
    "Schmidt, Anna": "NAME",
    "Dr. Robert Johnson": "NAME",
    "NGUYỄN VĂN AN": "NAME",
    "María de la Cruz": "NAME",
    "anna%40mail.de": "EMAIL_ADDRESS",
    "DE89-3704-0044-0532-0130-00": "BANK_ACCOUNT_NUMBER",
    "536\u201190\u20114399": "USA_SOCIAL_SECURITY_NUMBER",
    "536\u201390\u20134399": "USA_SOCIAL_SECURITY_NUMBER",
}


def planted(column: list[str], *values: str) -> list[str]:
    cells = list(column)
    for place, value in enumerate(values):
        cells[(7919 * (place + 3)) % NUM_ROWS] = value
    return cells


def scan(table: pd.DataFrame):
    return scan_table(table, timeout_seconds=60)


def test_columns_without_a_planted_cell_are_quiet():
    assert scan(pd.DataFrame(COLUMNS)).findings == ()


@pytest.mark.parametrize("value", CERTAIN)
def test_one_cell_in_ten_thousand_is_found_in_every_kind_of_column(value):
    result = scan(pd.DataFrame({name: planted(cells, value) for name, cells in COLUMNS.items()}))
    assert [(f.column, f.type, f.count) for f in result.findings] == [(name, CERTAIN[value], 1) for name in COLUMNS]
    assert {f.rows for f in result.findings} == {(3758,)}


@pytest.mark.parametrize("num_people", [1, 3, 20, 200])
@pytest.mark.parametrize("locale", ["en_US", "de_DE", "fr_FR", "vi_VN", "es_ES"])
def test_any_number_of_people_in_a_category_is_counted(num_people, locale):
    fake = Faker(locale)
    fake.seed_instance(1)
    people = [f"{fake.first_name()} {fake.last_name()}" for _ in range(num_people)]
    (finding,) = scan(pd.DataFrame({"purpose": planted(COLUMNS["purpose"], *people)})).findings
    assert finding.type == "NAME"
    assert 0.99 * num_people <= finding.count <= num_people


@pytest.mark.parametrize("number", [4111111111111111, 5500005555555559])
def test_one_card_in_a_column_of_numbers_is_found(number):
    table = pd.DataFrame({"int": [*range(NUM_ROWS), number], "float": [*np.arange(0.5, NUM_ROWS), float(number)]})
    assert [(f.column, f.type, f.count) for f in scan(table).findings] == [
        ("int", "CREDIT_CARD_NUMBER", 1),
        ("float", "CREDIT_CARD_NUMBER", 1),
    ]


def test_hundred_cells_of_which_half_are_people():
    fake = Faker("en_US")
    fake.seed_instance(3)
    people = [f"{fake.first_name()} {fake.last_name()}" for _ in range(50)]
    cells = [*people, "4111111111111111", "(415) 781-2671", *COLUMNS["Loan Purpose"][:48]]
    found = {f.type: f.count for f in scan(pd.DataFrame({"Loan Purpose": cells})).findings}
    assert found == {"CREDIT_CARD_NUMBER": 1, "NAME": 50, "PHONE_NUMBER": 1}


def _faked(method: str, locale: str) -> list[str]:
    fake = Faker(locale)
    fake.seed_instance(5)
    return [getattr(fake, method)() for _ in range(1000)]


QUIET = {
    "reference numbers, one of which is a card by chance": ["4111111111111111", *map(str, range(10**15, 10**15 + 99))],
    "barcodes of 13 digits": ["4006381333931", "9780306406157"] * 500,
    "part numbers": [f"{100 + n % 150}-{n % 977:03d}-{n * 7919 % 10_000:04d}" for n in range(NUM_ROWS)],
    "dates and ranges": ["01.02.2020", "2020-01-05", "05/12/2020", "01.02.20", "2019-2020"] * 100,
    "amounts": ["1 234 567", "1.234.567,00", "012.50", "1,234.00"] * 100,
    "films": ["Annie Hall", "Casablanca", "Citizen Kane", "Taxi Driver", "Rear Window"] * 200,
    "venues": ["Park Hotel", "San Jose", "Lake Victoria", "Washington Heights", "Santa Maria"] * 200,
    "merchants": ["Wells Fargo", "Charles Schwab", "Home Depot", "Ann Taylor", "Whole Foods"] * 200,
    "provinces": [*["Hà Nội", "Đà Nẵng", "Thanh Hóa"] * 300, "Bình Dương", "Nam Định", "Hà Giang", "Vĩnh Long"],
    "levels that are words": ["Major Purchase", "Small Business", "Home Improvement", "Mark Up"] * 300 + ["Green Loan"],
} | {
    f"{method} {locale}": _faked(method, locale)
    for method in ("city", "company", "job") for locale in ("en_US", "de_DE", "fr_FR")
}  # fmt: skip


@pytest.mark.parametrize("kind", QUIET)
def test_look_alike_is_not_reported(kind):
    assert scan(pd.DataFrame({"c1": QUIET[kind]})).findings == ()


def test_people_among_towns_are_reported_from_a_twentieth_of_the_rare_names_on():
    towns = _faked("city", "de_DE")
    people = ["Anna Schmidt", "Peter Müller", "Julia Weber"] + [f"Jonas {n}" for n in _faked("last_name", "de_DE")[:80]]
    assert scan(pd.DataFrame({"town": [*towns, *people[:3]]})).findings == ()  # a known miss
    assert [f.type for f in scan(pd.DataFrame({"town": [*towns, *people]})).findings] == ["NAME"]


@pytest.mark.parametrize("value", CERTAIN)
def test_redaction_blanks_the_cell_and_the_next_scan_is_clean(value, key):
    table = pd.DataFrame({"purpose": planted(COLUMNS["purpose"], value)})
    spec = ColumnSpec(policy=PolicySpec(action=Action.redact))
    dataset = DatasetConfig(name="small", columns={"purpose": spec})
    clean, columns = apply_policies(table, dataset, resolve_policies(dataset, scan(table)), {}, key)
    assert clean["purpose"].iloc[3757] == f"[{CERTAIN[value]}]"
    assert (clean["purpose"] != table["purpose"]).sum() == 1
    again = scan(clean)
    assert again.findings == ()
    check_tolerated(again, (), Metadata("small", columns))


def test_message_keeps_a_category_and_names_what_to_do_with_its_few_personal_cells():
    table = pd.DataFrame(
        {"purpose": planted(COLUMNS["purpose"], "Anna Schmidt"), "months": [*range(NUM_ROWS - 1), 4111111111111111]}
    )
    dataset = DatasetConfig(
        name="small", columns={"purpose": ColumnSpec(), "months": ColumnSpec(type=ColumnType.integer)}
    )
    with pytest.raises(PolicyViolationError) as caught:
        resolve_policies(dataset, scan(table))
    message = str(caught.value)
    assert "purpose (NAME in 1 cells): add `policy: {action: redact}`" in message
    assert "months (CREDIT_CARD_NUMBER in 1 cells): correct these cells in the source" in message
    assert "Anna" not in message


def test_redaction_leaves_the_dashes_and_digits_around_a_mention(key):
    table = pd.DataFrame({"note": ["Frist 2024–25 — SSN 536–90–4399 – ٣ Tage", "Stand – unverändert"]})
    dataset = DatasetConfig(name="small", columns={"note": ColumnSpec(policy=PolicySpec(action=Action.redact))})
    clean, _ = apply_policies(table, dataset, resolve_policies(dataset, scan(table)), {}, key)
    assert clean["note"].tolist() == [
        "Frist 2024–25 — SSN [USA_SOCIAL_SECURITY_NUMBER] – ٣ Tage",
        "Stand – unverändert",
    ]
