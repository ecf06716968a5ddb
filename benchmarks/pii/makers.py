"""Values of personal data, by kind and locale, made from Faker's pools and check digits of python-stdnum.

Nothing of `tabveil` is imported: the scanner is measured against values that it had no hand in.
"""

from __future__ import annotations

import random
import re
import string
from collections.abc import Callable
from functools import lru_cache

from faker import Faker
from stdnum import iso7064, luhn, verhoeff
from stdnum.de import idnr
from stdnum.es import ccc, dni, nie
from stdnum.fr import nir
from stdnum.in_ import aadhaar
from stdnum.vn import mst

Maker = Callable[[random.Random, str], str]
_POOL = 400


@lru_cache(maxsize=256)
def pool(locale: str, method: str) -> tuple[str, ...]:
    """Values of one Faker method, on one line each."""
    fake = Faker(locale)
    fake.seed_instance(f"benchmark/{locale}/{method}")
    return tuple(" ".join(str(getattr(fake, method)()).split()) for _ in range(_POOL))


def digits(rng: random.Random, count: int) -> str:
    return "".join(rng.choices(string.digits, k=count))


def letters(rng: random.Random, count: int, alphabet: str = string.ascii_uppercase) -> str:
    return "".join(rng.choices(alphabet, k=count))


def given(rng: random.Random, locale: str) -> str:
    return rng.choice(pool(locale, "first_name"))


def family(rng: random.Random, locale: str) -> str:
    return rng.choice(pool(locale, "last_name"))


def full_name(rng: random.Random, locale: str) -> str:
    if locale == "vi_VN":
        return f"{family(rng, locale)} {rng.choice(('Văn', 'Thị', 'Minh', 'Ngọc', 'Đức'))} {given(rng, locale)}"
    return f"{given(rng, locale)} {family(rng, locale)}"


def dirty_name(rng: random.Random, locale: str) -> str:
    name = full_name(rng, locale)
    first, _, last = name.rpartition(" ")
    forms = (name, name.upper(), name.lower(), f"{last}, {first}", f"{last.upper()}, {first}", f"  {name} ")
    return rng.choice(forms)


def email(rng: random.Random, locale: str) -> str:
    user = re.sub(r"[^a-z]", "", given(rng, "en_US").lower())
    sign, family_ = rng.choice((".", "_", "", "-")), letters(rng, 5, string.ascii_lowercase)
    return f"{user}{sign}{family_}{rng.randint(1, 99)}@{rng.choice(pool(locale, 'domain_name'))}"


def phone(rng: random.Random, locale: str) -> str:
    """As Faker writes it for the locale, the last three digits drawn anew."""
    text = rng.choice(pool(locale, "phone_number"))
    return re.sub(r"\d{3}(?=\D*$)", digits(rng, 3), text)


_E164 = {
    "en_US": lambda r: f"+1{r.randint(201, 989)}{r.randint(200, 999)}{digits(r, 4)}",
    "de_DE": lambda r: f"+4915{r.randint(1, 9)}{digits(r, 8)}",
    "vi_VN": lambda r: f"+84{r.choice(('90', '91', '98', '35', '78'))}{digits(r, 7)}",
    "fr_FR": lambda r: f"+33{r.choice('67')}{digits(r, 8)}",
    "en_GB": lambda r: f"+447{r.choice('45789')}{digits(r, 8)}",
    "es_ES": lambda r: f"+346{digits(r, 8)}",
    "en_IN": lambda r: f"+91{r.choice('6789')}{digits(r, 9)}",
    "it_IT": lambda r: f"+393{r.choice('2348')}{digits(r, 8)}",
}


def phone_international(rng: random.Random, locale: str) -> str:
    number = _E164[locale](rng)
    return rng.choice((number, f"{number[:3]} {number[3:6]} {number[6:9]} {number[9:]}", "00" + number[1:]))


def street(rng: random.Random, locale: str) -> str:
    text = rng.choice(pool(locale, "street_address"))
    return re.sub(r"\d+", lambda _: str(rng.randint(1, 180)), text, count=1) if re.search(r"\d", text) else text


def address(rng: random.Random, locale: str) -> str:
    text = rng.choice(pool(locale, "address"))
    return re.sub(r"\d+", lambda _: str(rng.randint(1, 180)), text, count=1)


def birth(rng: random.Random, form: str) -> str:
    year, month, day = rng.randint(1938, 2005), rng.randint(1, 12), rng.randint(1, 28)
    return form.format(y=year, m=month, d=day)


_ISSUERS = ("4", "51", "55", "2221", "34", "37", "6011", "3530", "62", "9704")


def card(rng: random.Random, _: str) -> str:
    prefix = rng.choice(_ISSUERS)
    length = 15 if prefix in ("34", "37") else 16
    body = prefix + digits(rng, length - 1 - len(prefix))
    return body + luhn.calc_check_digit(body)


def card_grouped(rng: random.Random, locale: str) -> str:
    number, sign = card(rng, locale), rng.choice(" -")
    if len(number) == 15:
        return sign.join((number[:4], number[4:10], number[10:]))
    return sign.join(number[i : i + 4] for i in range(0, 16, 4))


_BBAN = {
    "DE": lambda r: f"{r.randint(1, 8)}{digits(r, 17)}",
    "FR": lambda r: _rib(r),
    "ES": lambda r: _ccc(r),
    "GB": lambda r: f"{r.choice(('BARC', 'LOYD', 'NWBK', 'HBUK'))}{digits(r, 14)}",
    "NL": lambda r: f"{r.choice(('ABNA', 'INGB', 'RABO'))}0{digits(r, 9)}",
    "AT": lambda r: digits(r, 16),
}


def iban(rng: random.Random, _: str) -> str:
    country = rng.choice(tuple(_BBAN))
    bban = _BBAN[country](rng)
    number = "".join(str(int(c, 36)) for c in f"{bban}{country}00")
    return f"{country}{98 - int(number) % 97:02d}{bban}"


def iban_spaced(rng: random.Random, locale: str) -> str:
    number = iban(rng, locale)
    return " ".join(number[i : i + 4] for i in range(0, len(number), 4))


def _rib(rng: random.Random) -> str:
    bank, branch, account = digits(rng, 5), digits(rng, 5), digits(rng, 11)
    return f"{bank}{branch}{account}{97 - (89 * int(bank) + 15 * int(branch) + 3 * int(account)) % 97:02d}"


def _ccc(rng: random.Random) -> str:
    number = rng.choice(("2100", "0049", "0182", "2038")) + digits(rng, 4) + "00" + digits(rng, 10)
    return number[:8] + ccc.calc_check_digits(number) + number[10:]


def ipv4(rng: random.Random, _: str) -> str:
    return ".".join(str(rng.randint(1, 254)) for _ in range(4))


def ipv6(rng: random.Random, _: str) -> str:
    return "2001:db8:" + ":".join(f"{rng.getrandbits(16):x}" for _ in range(6))


def mac(rng: random.Random, _: str) -> str:
    return rng.choice((":", "-")).join(f"{rng.getrandbits(8):02x}" for _ in range(6))


def mac_dotted(rng: random.Random, _: str) -> str:
    return ".".join(f"{rng.getrandbits(16):04x}" for _ in range(3))


def point(rng: random.Random, _: str) -> str:
    return f"{rng.uniform(-60, 70):.5f}, {rng.uniform(-170, 170):.5f}"


def latitude(rng: random.Random, _: str) -> str:
    return f"{rng.uniform(41, 55):.6f}"


def longitude(rng: random.Random, _: str) -> str:
    return f"{rng.uniform(-5, 25):.6f}"


def aws_key(rng: random.Random, _: str) -> str:
    return "AKIA" + letters(rng, 16, string.ascii_uppercase + "234567")


_TOKEN = string.ascii_letters + string.digits


def api_key(rng: random.Random, _: str) -> str:
    return rng.choice(("ghp_" + letters(rng, 36, _TOKEN), "sk_live_" + letters(rng, 24, _TOKEN),
                       "AIza" + letters(rng, 35, _TOKEN)))  # fmt: skip


def opaque_secret(rng: random.Random, _: str) -> str:
    return letters(rng, rng.choice((32, 40)), _TOKEN)


def cookie(rng: random.Random, _: str) -> str:
    name = rng.choice(("sessionid", "PHPSESSID", "JSESSIONID", "connect.sid"))
    return f"{name}={letters(rng, 32, _TOKEN)}; Path=/; HttpOnly"


def jwt(rng: random.Random, _: str) -> str:
    return f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIi{letters(rng, 24, _TOKEN)}.{letters(rng, 43, _TOKEN)}"


def ssn(rng: random.Random, _: str) -> str:
    area = rng.choice([n for n in range(1, 900) if n != 666])
    return f"{area:03d}-{rng.randint(1, 99):02d}-{rng.randint(1, 9999):04d}"


def itin(rng: random.Random, _: str) -> str:
    return f"9{rng.randint(0, 99):02d}-{rng.choice((70, 75, 81, 88, 90, 94, 99)):02d}-{rng.randint(1, 9999):04d}"


def nino(rng: random.Random, _: str) -> str:
    prefix = rng.choice(("AB", "CE", "JM", "PW", "SH", "TY", "WK", "LC"))
    number = digits(rng, 6)
    plain = f"{prefix}{number}{rng.choice('ABCD')}"
    return rng.choice((plain, plain, f"{prefix} {number[:2]} {number[2:4]} {number[4:]} {plain[-1]}"))


@lru_cache(maxsize=4)
def _german_tax_ids(seed: int) -> tuple[str, ...]:
    rng, found = random.Random(seed), []
    while len(found) < 3000:
        body = _ten_digits_one_twice(rng)
        number = body + iso7064.mod_11_10.calc_check_digit(body)
        if idnr.is_valid(number):
            found.append(number)
    return tuple(found)


def _ten_digits_one_twice(rng: random.Random) -> str:
    chosen = rng.sample(string.digits, 9)
    body = [*chosen, rng.choice(chosen)]
    rng.shuffle(body)
    return "".join(body)


def german_tax_id(rng: random.Random, _: str) -> str:
    number = rng.choice(_german_tax_ids(len(_) or 1))
    return rng.choice((number, f"{number[:2]} {number[2:5]} {number[5:8]} {number[8:]}"))


_GERMAN_ALPHABET = "CFGHJKLMNPRTVWXYZ0123456789"


def _icao_digit(text: str) -> str:
    return str(sum(int(c, 36) * (7, 3, 1)[i % 3] for i, c in enumerate(text)) % 10)


def german_id_card(rng: random.Random, _: str) -> str:
    number = rng.choice("LMNPRTVWXY") + letters(rng, 8, _GERMAN_ALPHABET)
    return number + _icao_digit(number)


def german_passport(rng: random.Random, _: str) -> str:
    number = rng.choice("CFGHJK") + letters(rng, 8, _GERMAN_ALPHABET)
    return rng.choice((number, number + _icao_digit(number)))


def french_nir(rng: random.Random, _: str) -> str:
    body = (
        f"{rng.choice('12')}{rng.randint(40, 99):02d}{rng.randint(1, 12):02d}{rng.randint(1, 95):02d}"
        f"{rng.randint(1, 990):03d}{rng.randint(1, 999):03d}"
    )
    body = body.replace("20", "21", 1) if body[5:7] == "20" else body
    key = nir.calc_check_digits(body)
    spaced = f"{body[0]} {body[1:3]} {body[3:5]} {body[5:7]} {body[7:10]} {body[10:]} {key}"
    return rng.choice((body + key, body + key, spaced))


def spanish_dni(rng: random.Random, _: str) -> str:
    number = digits(rng, 8)
    return rng.choice(("{}{}", "{}-{}")).format(number, dni.calc_check_digit(number))


def spanish_nie(rng: random.Random, _: str) -> str:
    number = rng.choice("XYZ") + digits(rng, 7)
    return number + nie.calc_check_digit(number)


def indian_aadhaar(rng: random.Random, _: str) -> str:
    while True:
        body = str(rng.randint(2, 9)) + digits(rng, 10)
        number = body + verhoeff.calc_check_digit(body)
        if aadhaar.is_valid(number):
            return rng.choice((number, f"{number[:4]} {number[4:8]} {number[8:]}"))


def indian_pan(rng: random.Random, _: str) -> str:
    return letters(rng, 3) + "P" + letters(rng, 1) + f"{rng.randint(1, 9999):04d}" + letters(rng, 1)


_PROVINCES = (
    1, 2, 4, 6, 8, 10, 17, 19, 20, 22, 24, 25, 26, 27, 30, 31, 33, 34, 35, 36, 37, 38, 40, 42, 44, 45, 46, 48,
    49, 51, 52, 54, 56, 58, 60, 62, 64, 66, 67, 68, 70, 72, 74, 75, 77, 79, 80, 82, 83, 84, 86, 87, 89, 91,
    92, 93, 94, 95, 96,
)  # fmt: skip


def cccd(rng: random.Random, _: str) -> str:
    year = rng.randint(1940, 2008)
    sign = (0 if year < 2000 else 2) + rng.randint(0, 1)
    province = rng.choice(_PROVINCES)
    return f"{province:03d}{sign}{year % 100:02d}{rng.randint(1, 40000):06d}"


def cmnd(rng: random.Random, _: str) -> str:
    return f"{rng.randint(1, 38):02d}{digits(rng, 7)}"


def vietnam_tax_code(rng: random.Random, _: str) -> str:
    while True:
        number = f"{rng.choice((1, 2, 3, 4, 8, 31, 40, 84)):02d}" + f"{rng.randint(1, 9999999):07d}"
        code = number + mst.calc_check_digit(number)
        if mst.is_valid(code):  # some numbers have no check digit
            return code


def vietnam_account(rng: random.Random, _: str) -> str:
    return rng.choice(("1903", "0071", "1402", "2110")) + digits(rng, rng.choice((8, 9, 10)))


def us_account(rng: random.Random, _: str) -> str:
    return digits(rng, rng.choice((9, 10, 12)))


def german_account(rng: random.Random, _: str) -> str:
    return f"{rng.randint(10**6, 10**10 - 1):010d}"


def british_account(rng: random.Random, _: str) -> str:
    return f"{rng.randint(10, 90)}-{digits(rng, 2)}-{digits(rng, 2)} {digits(rng, 8)}"


def us_passport(rng: random.Random, _: str) -> str:
    return rng.choice("ABCY") + digits(rng, 8)


def vietnam_passport(rng: random.Random, _: str) -> str:
    return rng.choice("BCEKNP") + digits(rng, 7)


def indian_passport(rng: random.Random, _: str) -> str:
    return rng.choice("JKLMNPRSTUVZ") + str(rng.randint(1, 9)) + digits(rng, 5) + str(rng.randint(1, 9))


def british_licence(rng: random.Random, _: str) -> str:
    surname = letters(rng, rng.choice((4, 5)), "ABCDEFGHIKLMNOPRSTW").ljust(5, "9")
    month = rng.randint(1, 12) + rng.choice((0, 50))
    birth_ = f"{rng.randint(4, 9)}{month:02d}{rng.randint(1, 28):02d}{rng.randint(0, 9)}"
    return f"{surname}{birth_}{letters(rng, 1)}{rng.choice(('9', 'A', 'M'))}9{letters(rng, 2)}"


def us_licence(rng: random.Random, _: str) -> str:
    return letters(rng, 1) + digits(rng, rng.choice((7, 12)))


def german_licence(rng: random.Random, _: str) -> str:
    return (
        letters(rng, 1, "ABCDEFGHJKLMN")
        + f"{digits(rng, 2)}0"
        + letters(rng, 6, "0123456789ABCDEFGHIJKLMNPRSTUVWXYZ")
        + "1"
    )


def indian_licence(rng: random.Random, _: str) -> str:
    state = rng.choice(("MH", "DL", "KA", "TN", "GJ", "UP", "WB", "KL", "RJ"))
    return f"{state}{rng.randint(1, 50):02d} {rng.randint(1985, 2023)}{digits(rng, 7)}"
