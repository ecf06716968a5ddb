"""A table of invented people, made without the code under test."""

import random

import pandas as pd
import pytest
from faker import Faker

from tabveil.config import DatasetConfig
from tabveil.schema import ColumnSpec, ColumnType, SDType

LOCALES = ("en_US", "vi_VN", "de_DE")
KEY = bytes(range(32))


def make_people(num_rows: int, seed: int = 0) -> pd.DataFrame:
    fakes = {locale: Faker(locale) for locale in LOCALES}
    for number, fake in enumerate(fakes.values()):
        fake.seed_instance(seed + number)
    rng = random.Random(seed)
    rows = []
    for number in range(num_rows):
        locale = rng.choice(LOCALES)
        fake = fakes[locale]
        name = fake.name()
        national = {
            "en_US": fake.ssn,
            "vi_VN": lambda: (
                f"{rng.randint(1, 96):03d}{rng.randint(0, 3)}{rng.randint(50, 99)}{rng.randint(1, 999999):06d}"
            ),
            "de_DE": lambda: "L" + "".join(rng.choice("CFGHJKLMNPRTVWXYZ0123456789") for _ in range(8)) + "7",
        }[locale]()
        note = rng.choice(
            [
                "Payment received on time.",
                f"Called {name} about the late payment",
                f"Reach at {fake.phone_number()}",
                f"write to {fake.email()} next week",
                None,
            ]
        )
        rows.append(
            {
                "customer_id": f"C{100000 + number}",
                "full_name": name,
                "e_mail": fake.email(),
                "phone": fake.phone_number(),
                "national_id": national,
                "date_of_birth": pd.Timestamp(fake.date_of_birth(minimum_age=20, maximum_age=80)),
                "street_address": fake.street_address(),
                "city": fake.city(),
                "iban_or_account": fake.iban() if locale == "de_DE" else f"{rng.randint(10**11, 10**12 - 1)}",
                "card_number": fake.credit_card_number(),
                "note": note,
                "amount": float(rng.randint(1, 10**6)) / 100,
            }
        )
    table = pd.DataFrame(rows)
    return table.assign(date_of_birth=table["date_of_birth"].astype("datetime64[us]"))


def make_dataset() -> DatasetConfig:
    return DatasetConfig(
        name="people",
        locales=list(LOCALES),
        entity_key="customer_id",
        columns={
            "customer_id": ColumnSpec(sdtype=SDType.id, semantic_type="UNIQUE_IDENTIFIER"),
            "full_name": ColumnSpec(semantic_type="NAME"),
            "e_mail": ColumnSpec(semantic_type="EMAIL_ADDRESS"),
            "phone": ColumnSpec(semantic_type="PHONE_NUMBER"),
            "national_id": ColumnSpec(semantic_type="NATIONAL_ID"),
            "date_of_birth": ColumnSpec(type=ColumnType.date, semantic_type="DATE_OF_BIRTH"),
            "street_address": ColumnSpec(semantic_type="ADDRESS"),
            "city": ColumnSpec(semantic_type="CITY"),
            "iban_or_account": ColumnSpec(semantic_type="BANK_ACCOUNT_NUMBER"),
            "card_number": ColumnSpec(semantic_type="CREDIT_CARD_NUMBER"),
            "note": ColumnSpec(sdtype=SDType.text),
            "amount": ColumnSpec(type=ColumnType.decimal),
        },
    )


@pytest.fixture(scope="session")
def people() -> pd.DataFrame:
    return make_people(1500)


@pytest.fixture
def dataset() -> DatasetConfig:
    return make_dataset()


@pytest.fixture
def key() -> bytes:
    return KEY
