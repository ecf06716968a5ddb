"""Invented numbers from ranges nobody can hold, where such a range exists; the source stands beside each.

Every function maps (locale, draws) to an object array of texts, one per row.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

from tabveil.pii.draws import Draws
from tabveil.pii.people import Texts, country, pool

Maker = Callable[[str, Draws], Texts]
_AREAS = (202, 203, 206, 212, 213, 214, 215, 216, 303, 305, 309, 310, 312, 313, 314, 316, 402, 404, 405, 408, 412, 414,
          415, 419, 501, 502, 503, 504, 505, 509, 512, 513, 515, 516, 602, 603, 605, 606, 608, 609, 612, 614, 615, 616,
          617, 618, 619, 701, 702, 703, 704, 713, 714, 716, 717, 718, 719, 801, 802, 803, 804, 805, 808, 812, 813, 814,
          816, 817, 818, 901, 904, 907, 908, 909, 912, 913, 914, 915, 916, 918, 919)  # fmt: skip
# Bundesnetzagentur, numbers for use in media
_GERMAN_BLOCKS = ("030 23125", "069 90009", "040 66969", "0221 4710", "089 99998")
_FRENCH_BLOCKS = ("01 99 00", "02 61 91", "03 53 01", "04 65 71", "05 36 49", "06 39 98")  # ARCEP
_FICTION_ATTEMPTS = 4  # draws from the ranges for fiction before the wider, impossible ones
_PHONE_FORMS: dict[str, Callable[[int], str]] = {
    "US": lambda n: f"+1-{_AREAS[n % len(_AREAS)]}-555-01{n // 1000 % 100:02d}",
    "CA": lambda n: f"+1-{_AREAS[n % len(_AREAS)]}-555-01{n // 1000 % 100:02d}",
    "DE": lambda n: f"{_GERMAN_BLOCKS[n % len(_GERMAN_BLOCKS)]}{n // 1000 % 1000:03d}",
    "GB": lambda n: f"07700 900{n % 1000:03d}",
    "FR": lambda n: f"{_FRENCH_BLOCKS[n % len(_FRENCH_BLOCKS)]} {n // 100 % 100:02d} {n // 10_000 % 100:02d}",
    "VN": lambda n: f"095{n // 1_000_000} {n // 1000 % 1000:03d} {n % 1000:03d}",
}
_IMPOSSIBLE_FORMS: dict[str, Callable[[int], str]] = {
    "US": lambda n: f"+1-{_AREAS[n % len(_AREAS)]}-0{n // 100_000:02d}-{n // 10 % 10_000:04d}",
    "CA": lambda n: f"+1-{_AREAS[n % len(_AREAS)]}-0{n // 100_000:02d}-{n // 10 % 10_000:04d}",
    "DE": lambda n: f"0199 {n:07d}",
    "GB": lambda n: f"020 0{n // 10_000:03d} {n % 10_000:04d}",
}


def _texts(draws: Draws, form: Callable[[int], str], stream: str) -> Texts:
    return np.array([form(int(number)) for number in draws.serial(stream)], dtype=object)


def phones(locale: str, draws: Draws) -> Texts:
    """Phone numbers reserved for fiction; after a few attempts, ones of a form that is never given to a subscriber.

    US: 555-0100 to 555-0199 (NANPA), then exchanges that begin with 0. DE: Bundesnetzagentur's media numbers, then
    0199 (network-internal). GB: Ofcom's drama numbers, then subscriber numbers that begin with 0. FR: ARCEP's fiction
    blocks. VN has no such range: the 095 block, withdrawn with S-Fone's network. Others: Faker's form, last three
    digits drawn.
    """
    number = [int(n) for n in draws.below("phone", 10_000_000)]
    forms = _PHONE_FORMS if draws.attempt < _FICTION_ATTEMPTS else _PHONE_FORMS | _IMPOSSIBLE_FORMS
    form = forms.get(country(locale))
    if form is not None:
        return np.array([form(n) for n in number], dtype=object)
    shapes = pool(locale, "phone_number")
    chosen = shapes[draws.below("form", len(shapes))]
    return np.array(
        [re.sub(r"\d{3}(?=\D*$)", f"{n % 1000:03d}", shape) for shape, n in zip(chosen, number, strict=True)],
        dtype=object,
    )


def cards(locale: str, draws: Draws) -> Texts:
    """16 digits with a valid Luhn digit below 9999: major industry 9 with no country behind it (ISO/IEC 7812)."""
    return _texts(draws, lambda n: _with_luhn(f"9999{n:011d}"), "card")


def accounts(locale: str, draws: Draws) -> Texts:
    """DE: an IBAN with check digits and a bank code below 9 (clearing areas are 1-8). Others: 99 and ten digits."""
    if country(locale) == "DE":
        return _texts(draws, lambda n: _german_iban(f"90000000{n:010d}"), "account")
    return _texts(draws, lambda n: f"99{n:010d}", "account")


def national_ids(locale: str, draws: Draws) -> Texts:
    """US: a social security number of area 666. VN: province 099. DE: an ID card number with a vowel. Else X."""
    makers: dict[str, Maker] = {"US": ssns, "VN": vietnam_ids, "DE": german_id_cards}
    make = makers.get(country(locale))
    return make(locale, draws) if make else _texts(draws, lambda n: f"X{n:010d}", "national")


def ssns(locale: str, draws: Draws) -> Texts:
    """Social security numbers of area 666, which the SSA never assigns."""
    return _texts(draws, lambda n: f"666-{n % 99 + 1:02d}-{n // 99 % 9999 + 1:04d}", "ssn")


def vietnam_ids(locale: str, draws: Draws) -> Texts:
    """Citizen ids of province 099 (codes end at 096)."""
    return _texts(draws, lambda n: f"099{n % 4}{n // 4 % 100:02d}{n // 400 % 1_000_000:06d}", "cccd")


def german_id_cards(locale: str, draws: Draws) -> Texts:
    """Nine places that begin with A: serial numbers of German identity cards hold no vowel."""
    return _texts(draws, lambda n: f"A{n % 100_000_000:08d}", "idcard")


def simple(pattern: str, modulus: int) -> Maker:
    """Numbers in one form everywhere, e.g. ``QQ{:06d}C`` below 10**6."""
    return lambda _locale, draws: _texts(draws, lambda n: pattern.format(n % modulus), pattern)


def addresses_ip(locale: str, draws: Draws) -> Texts:
    """IPv4 addresses of the documentation networks (RFC 5737)."""
    networks = ("192.0.2", "198.51.100", "203.0.113")
    return _texts(draws, lambda n: f"{networks[n % 3]}.{n // 3 % 254 + 1}", "ip")


def addresses_mac(locale: str, draws: Draws) -> Texts:
    """Locally administered MAC addresses (no vendor)."""
    return _texts(draws, lambda n: "02:00:" + ":".join(f"{n >> shift & 255:02x}" for shift in (24, 16, 8, 0)), "mac")


def coordinates(locale: str, draws: Draws) -> Texts:
    """Points in the ocean around Point Nemo, where nobody lives."""
    return _texts(
        draws, lambda n: f"{-48 - n % 10_000 / 10_000:.4f}, {-123 - n // 10_000 % 10_000 / 10_000:.4f}", "geo"
    )


# kinds with one form everywhere; each prefix is one that the issuer does not use
FORMS: dict[str, Maker] = {
    "CREDIT_CARD_NUMBER": cards,
    "BANK_ACCOUNT_NUMBER": accounts,
    "PHONE_NUMBER": phones,
    "NATIONAL_ID": national_ids,
    "USA_SOCIAL_SECURITY_NUMBER": ssns,
    "VIETNAM_CITIZEN_ID": vietnam_ids,
    "USA_INDIVIDUAL_TAX_IDENTIFICATION_NUMBER": simple("900-00-{:04d}", 10_000),  # group 00 is not issued
    "GERMANY_TAX_IDENTIFICATION_NUMBER": simple("0{:010d}", 10**10),  # a leading 0 marks test numbers
    "UK_NATIONAL_INSURANCE_NUMBER": simple("QQ{:06d}C", 10**6),  # prefix QQ is not allocated
    "FRANCE_NATIONAL_IDENTIFICATION_NUMBER": simple("90000{:010d}", 10**10),  # first digit is 1-4, 7 or 8
    "SPAIN_DNI_NUMBER": simple("{:08d}I", 10**8),  # I is no check letter
    "INDIA_AADHAAR_NUMBER": simple("0{:011d}", 10**11),  # first digit is 2-9
    "INDIA_PERMANENT_ACCOUNT_NUMBER": simple("ZZZZZ{:04d}Z", 10**4),  # fourth letter Z is no holder class
    "VIETNAM_TAX_CODE": simple("00{:08d}", 10**8),  # no province 00
    "PASSPORT_NUMBER": simple("X0{:07d}", 10**7),
    "DRIVERS_LICENSE": simple("X{:010d}", 10**10),
    "CREDENTIALS": simple("EXAMPLE-{:010d}", 10**10),
    "IP_ADDRESS": addresses_ip,
    "MAC_ADDRESS": addresses_mac,
    "GEO_COORDINATES": coordinates,
}


def _with_luhn(digits: str) -> str:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (2 if place % 2 == 0 else 1)
        total += doubled - 9 if doubled > 9 else doubled
    return f"{digits}{-total % 10}"


def _german_iban(bban: str) -> str:
    check = 98 - int(f"{bban}131400") % 97  # D = 13, E = 14, ISO 13616
    return f"DE{check:02d}{bban}"
