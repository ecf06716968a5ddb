"""Invented bank customers: one consistent person per customer, in one of three locales.

Everything is drawn from seeded generators; nothing depends on today's date, hash seeds or the system's locale.
Phone numbers and e-mail addresses come from ranges reserved for fiction where there are any: 555-01xx in North
America, the Bundesnetzagentur's numbers for film and television in Germany, and RFC 2606's example domains.
Card numbers, IBANs and national ids are formally valid (their check digits hold) and otherwise random.
"""

from __future__ import annotations

import datetime
import random
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from faker import Faker
from stdnum.iso7064 import mod_11_10

from tabveil.sample_data.seeding import seeded

LOCALES = ("en_US", "vi_VN", "de_DE")
LOCALE_WEIGHTS = (50, 25, 25)
MISSING_E_MAIL_FRACTION = 0.02
MISSING_PHONE_FRACTION = 0.03
YOUNGEST_BORROWER_YEARS = 18
EARLIEST_BIRTH_YEAR = 1928

E_MAIL_DOMAINS = ("example.com", "example.org", "example.net")
US_AREA_CODES = (
    201, 202, 203, 205, 206, 207, 208, 209, 210, 212, 213, 214, 215, 216, 217, 218, 219, 224, 225, 228, 229, 231, 234,
    239, 240, 248, 251, 252, 253, 254, 256, 260, 262, 267, 269, 270, 276, 281, 301, 302, 303, 304, 305, 307, 308, 309,
    310, 312, 313, 314, 315, 316, 317, 318, 319, 320, 321, 323, 330, 334, 336, 337, 339, 347, 351, 352, 360, 361, 386,
    401, 402, 404, 405, 406, 407, 408, 409, 410, 412, 413, 414, 415, 417, 419,
)  # fmt: skip
DE_FICTION_BLOCKS = (("30", "23125"), ("69", "90009"), ("40", "66969"), ("221", "4710"), ("89", "99998"))
VN_MOBILE_PREFIXES = (
    32, 33, 34, 35, 36, 37, 38, 39, 56, 58, 59, 70, 76, 77, 78, 79, 81, 82, 83, 84, 85, 90, 91, 93, 94, 96, 97, 98,
)  # fmt: skip
VN_PROVINCES = (
    1, 2, 4, 6, 8, 10, 11, 12, 14, 15, 17, 19, 20, 22, 24, 25, 26, 27, 30, 31, 33, 34, 35, 36, 37, 38, 40, 42, 44, 45,
    46, 48, 49, 51, 52, 54, 56, 58, 60, 62, 64, 66, 67, 68, 70, 72, 74, 75, 77, 79, 80, 82, 83, 84, 86, 87, 89, 91,
    92, 93, 94, 95, 96,
)  # fmt: skip
CARD_ISSUERS = ("visa16", "mastercard", "amex")
CARD_ISSUER_WEIGHTS = (55, 35, 10)


@dataclass(frozen=True)
class Customer:
    """One invented person. `None` means that the bank does not know."""

    locale: str
    customer_id: str
    full_name: str
    e_mail: str | None
    phone_number: str | None
    national_id: str
    date_of_birth: datetime.date
    street_address: str
    city: str
    account_number: str
    card_number: str


def invent_customers(first_credit_years: Sequence[int], seed: int) -> list[Customer]:
    """One customer per entry.

    Args:
        first_credit_years: year of each customer's earliest credit line; nobody is younger than 18 in it.
        seed: same seed, same people.
    """
    rng = seeded(seed, "customers")
    fakers = {locale: _seeded_faker(locale, seed) for locale in LOCALES}
    numbers = rng.sample(range(10_000_000, 100_000_000), len(first_credit_years))
    locales = rng.choices(LOCALES, LOCALE_WEIGHTS, k=len(first_credit_years))
    return [
        _invent(fakers[locale], locale, number, year, rng)
        for locale, number, year in zip(locales, numbers, first_credit_years, strict=True)
    ]


def fold_to_ascii(text: str) -> str:
    """Letters without their marks, as in an e-mail address: ``Nguyễn -> Nguyen``, ``Weiß -> Weiss``."""
    spelled = text.replace("ß", "ss").replace("đ", "d").replace("Đ", "D")
    return unicodedata.normalize("NFKD", spelled).encode("ascii", "ignore").decode("ascii")


def _seeded_faker(locale: str, seed: int) -> Faker:
    fake = Faker(locale)
    fake.seed_instance(f"{seed}/{locale}")
    return fake


def _invent(fake: Faker, locale: str, number: int, first_credit_year: int, rng: random.Random) -> Customer:
    female = rng.random() < 0.5
    birthday = _date_of_birth(first_credit_year, rng)
    given, family, full_name = _NAMES[locale](fake, female)
    e_mail = _e_mail(given, family, rng)
    phone_number = _PHONES[locale](rng)
    return Customer(
        locale=locale,
        customer_id=f"CU-{number}",
        full_name=full_name,
        e_mail=None if rng.random() < MISSING_E_MAIL_FRACTION else e_mail,
        phone_number=None if rng.random() < MISSING_PHONE_FRACTION else phone_number,
        national_id=_NATIONAL_IDS[locale](fake, female, birthday, rng),
        date_of_birth=birthday,
        street_address=fake.street_address(),
        city=_CITIES[locale](fake),
        account_number=fake.iban() if locale == "de_DE" else fake.numerify("%###########"),
        card_number=fake.credit_card_number(rng.choices(CARD_ISSUERS, CARD_ISSUER_WEIGHTS)[0]),
    )


def _date_of_birth(first_credit_year: int, rng: random.Random) -> datetime.date:
    age = YOUNGEST_BORROWER_YEARS + int(rng.triangular(0, 18, 2))
    year = max(EARLIEST_BIRTH_YEAR, first_credit_year - age)
    return datetime.date(year, 1, 1) + datetime.timedelta(days=rng.randrange(365))


def _e_mail(given: str, family: str, rng: random.Random) -> str:
    local = f"{fold_to_ascii(given)}.{fold_to_ascii(family)}".lower().replace(" ", "").replace("'", "")
    return f"{local}{rng.randrange(1, 1000)}@{rng.choice(E_MAIL_DOMAINS)}"


def _western_name(fake: Faker, female: bool) -> tuple[str, str, str]:
    given = fake.first_name_female() if female else fake.first_name_male()
    family = fake.last_name()
    return given, family, f"{given} {family}"


def _vietnamese_name(fake: Faker, female: bool) -> tuple[str, str, str]:
    """Family name first, then a middle and a given name."""
    given = fake.first_name_female() if female else fake.first_name_male()
    family = fake.last_name()
    return given, family, f"{family} {fake.middle_name()} {given}"


def _american_phone(rng: random.Random) -> str:
    area, line = rng.choice(US_AREA_CODES), f"01{rng.randrange(100):02d}"
    return rng.choice(("({}) 555-{}", "{}-555-{}", "+1 {} 555 {}")).format(area, line)


def _german_phone(rng: random.Random) -> str:
    area, block = rng.choice(DE_FICTION_BLOCKS)
    return rng.choice(("+49 {} {}{:03d}", "0{} {}{:03d}")).format(area, block, rng.randrange(1000))


def _vietnamese_phone(rng: random.Random) -> str:
    prefix, middle, last = rng.choice(VN_MOBILE_PREFIXES), rng.randrange(1000), rng.randrange(10_000)
    return rng.choice(("0{} {:03d} {:04d}", "+84 {} {:03d} {:04d}")).format(prefix, middle, last)


def _social_security_number(fake: Faker, _female: bool, _born: datetime.date, _rng: random.Random) -> str:
    number: str = fake.ssn()
    return number


def _german_tax_id(_fake: Faker, _female: bool, _born: datetime.date, rng: random.Random) -> str:
    """Steuer-IdNr: ten digits of which exactly one occurs twice, the first not 0, and a check digit."""
    digits = rng.sample("0123456789", 9)
    digits.append(rng.choice(digits))
    while True:
        rng.shuffle(digits)
        if digits[0] != "0":
            number = "".join(digits)
            return f"{number}{mod_11_10.calc_check_digit(number)}"


def _citizen_id(_fake: Faker, female: bool, born: datetime.date, rng: random.Random) -> str:
    """CCCD: province, century and gender, year of birth, serial number (Vietnam, Decree 137/2015)."""
    century = 2 * (born.year // 100 - 19) + female
    return f"{rng.choice(VN_PROVINCES):03d}{century}{born.year % 100:02d}{rng.randrange(1_000_000):06d}"


def _american_city(fake: Faker) -> str:
    city: str = fake.city()
    return city


def _postcode_city(fake: Faker) -> str:
    return f"{fake.postcode()} {fake.city()}"


def _city_postcode(fake: Faker) -> str:
    return f"{fake.city()} {fake.postcode()}"


_Name = Callable[[Faker, bool], tuple[str, str, str]]
_NationalId = Callable[[Faker, bool, datetime.date, random.Random], str]

_NAMES: dict[str, _Name] = {"en_US": _western_name, "vi_VN": _vietnamese_name, "de_DE": _western_name}
_PHONES: dict[str, Callable[[random.Random], str]] = {
    "en_US": _american_phone,
    "vi_VN": _vietnamese_phone,
    "de_DE": _german_phone,
}
_NATIONAL_IDS: dict[str, _NationalId] = {
    "en_US": _social_security_number,
    "vi_VN": _citizen_id,
    "de_DE": _german_tax_id,
}
_CITIES: dict[str, Callable[[Faker], str]] = {
    "en_US": _american_city,
    "vi_VN": _city_postcode,
    "de_DE": _postcode_city,
}
