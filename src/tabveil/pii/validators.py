"""Checks a pattern cannot make: check digits, issuer ranges, numbering plans, entropy. Pure functions, text -> bool."""

from __future__ import annotations

import ipaddress
import math
import re
from collections import Counter
from functools import lru_cache

import phonenumbers
from stdnum import iban as _iban
from stdnum import luhn as _luhn
from stdnum.de import idnr as _idnr
from stdnum.es import ccc as _ccc
from stdnum.es import dni as _dni
from stdnum.es import nie as _nie
from stdnum.fr import nir as _nir
from stdnum.in_ import aadhaar as _aadhaar
from stdnum.in_ import pan as _pan
from stdnum.us import itin as _itin
from stdnum.us import ssn as _ssn
from stdnum.vn import mst as _mst

_NOT_DIGIT = re.compile(r"\D")
NANP = r"(?:\+?1[ .-]?)?(?:\([2-9]\d{2}\)|[2-9]\d{2})[ .-]{0,2}[2-9]\d{2}[ .-]\d{4}(?: ?(?:x|ext\.?) ?\d{1,6})?"
NOT_A_PHONE = (
    r"\d{4}[-./]\d{1,2}[-./]\d{1,2}.*|\d{1,2}[-./ ]\d{1,2}[-./ ]\d{4}.*"  # dates
    r"|\d{1,3}(?:[., ]\d{3})+(?:[.,]\d{1,2})?|\d+[.,]\d+|(?:\d{1,3}\.){3}\d{1,3}"  # amounts, decimals, IPv4
    r"|\d{8,}/\d{1,2}|\d{1,3}/\d{1,3}/\d{1,3}"  # numbers with a year or part, houses in Vietnam
    r"|(?:\d{4}[ -]){3}\d{1,4}|\d{3}[- ]\d{2}[- ]\d{4}"  # cards, SSNs
)
_NANP, _NOT_A_PHONE = re.compile(NANP), re.compile(NOT_A_PHONE)
_EXTENSION = r"(?i) ?(?:x|ext\.?) ?\d{1,6}$"
_LEAST_ABROAD = 12  # digits without any separator that begin with 00; shorter ones are zero-padded ids
LEADING_ZERO_REGIONS = ("VN", "DE", "GB", "FR", "IN", "NL", "CH", "AT", "AU")
# issuer identification ranges (ISO/IEC 7812): first digits as numbers, and the lengths the issuer uses
ISSUERS: tuple[tuple[int, int, int, tuple[int, ...]], ...] = (
    (1, 4, 4, (13, 16, 19)),  # Visa
    (2, 51, 55, (16,)),  # Mastercard
    (4, 2221, 2720, (16,)),
    (2, 34, 34, (15,)),  # American Express
    (2, 37, 37, (15,)),
    (4, 6011, 6011, (16, 19)),  # Discover
    (3, 644, 649, (16, 19)),
    (2, 65, 65, (16, 19)),
    (4, 3528, 3589, (16, 17, 18, 19)),  # JCB
    (3, 300, 305, (14,)),  # Diners
    (2, 36, 36, (14,)),
    (2, 38, 39, (14,)),
    (2, 62, 62, (16, 17, 18, 19)),  # UnionPay
    (4, 9704, 9704, (16, 19)),  # NAPAS (Vietnam)
    (4, 5018, 5018, (12, 13, 14, 15, 16, 17, 18, 19)),  # Maestro
    (4, 5020, 5020, (12, 13, 14, 15, 16, 17, 18, 19)),
    (4, 6304, 6304, (12, 13, 14, 15, 16, 17, 18, 19)),
)


def digits(text: str) -> str:
    """The decimal digits of a text."""
    return _NOT_DIGIT.sub("", text)


def card(text: str) -> bool:
    """Luhn check and a known issuer range."""
    number = digits(text)
    issued = any(len(number) in lengths and low <= int(number[:width]) <= high for width, low, high, lengths in ISSUERS)
    return issued and bool(_luhn.is_valid(number)) and len(set(number)) > 1


def luhn(text: str) -> bool:
    """Luhn check alone, for columns that say they hold card numbers."""
    number = digits(text)
    return bool(_luhn.is_valid(number)) and set(number) != {"0"}


def iban(text: str) -> bool:
    """ISO 13616: country's length and structure, modulo 97."""
    return bool(_iban.is_valid(text.upper(), check_country=False))


def us_ssn(text: str) -> bool:
    """Area, group and serial that can have been issued."""
    return bool(_ssn.is_valid(text.replace(" ", "-")))


def us_itin(text: str) -> bool:
    """An IRS individual taxpayer number (9xx, reserved groups)."""
    return bool(_itin.is_valid(text))


def de_tax_id(text: str) -> bool:
    """German tax id: digit distribution and ISO 7064 check digit."""
    return bool(_idnr.is_valid(text))


def fr_nir(text: str) -> bool:
    """French social security number with its key."""
    return bool(_nir.is_valid(text))


def es_dni(text: str) -> bool:
    """Spanish DNI or NIE with its check letter."""
    return bool(_dni.is_valid(text) or _nie.is_valid(text))


def in_aadhaar(text: str) -> bool:
    """Aadhaar with its Verhoeff digit."""
    return bool(_aadhaar.is_valid(text))


def in_pan(text: str) -> bool:
    """Indian income tax number of a person."""
    return bool(_pan.is_valid(text))


def vn_tax_code(text: str) -> bool:
    """Vietnamese tax code (mã số thuế) with its check digit."""
    return bool(_mst.is_valid(text))


def es_account(text: str) -> bool:
    """Spanish account number (CCC) with its check digits."""
    number = digits(text)
    return bool(_ccc.is_valid(number)) and set(number) != {"0"}


def vn_citizen_id(text: str) -> bool:
    """Vietnamese citizen id: province 001-096, century and gender digit 0-3, year, serial."""
    number = digits(text)
    return len(number) == 12 and 1 <= int(number[:3]) <= 96 and number[3] in "0123" and number[6:] != "000000"


def ip(text: str) -> bool:
    """An IPv4 or IPv6 address of more than trivial value (not 0.0.0.0, not a four-part version number)."""
    try:
        address = ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv4Address):
        parts = [int(part) for part in text.split(".")]
        return max(parts) > 31 and not address.is_unspecified
    return not address.is_unspecified


def phone(text: str) -> bool:
    """A phone number by the form people write it in, or by the numbering plan of its country."""
    text = text.strip()
    if _NOT_A_PHONE.fullmatch(text):
        return False
    if text.lstrip("(").startswith(("+", "00")):
        enough = not text.isdigit() or len(text) >= _LEAST_ABROAD
        return enough and _is_possible(f"+{text.lstrip('(+0')}")
    if _NANP.fullmatch(text):
        return True
    if not text.lstrip("(").startswith("0"):
        return False
    return bool(_home(text.isdigit()).match(digits(re.sub(_EXTENSION, "", text))))


@lru_cache(maxsize=2)
def _home(mobile: bool) -> re.Pattern[str]:
    return re.compile(national(mobile=mobile))


@lru_cache(maxsize=64)
def plan(region: str, kinds: tuple[str, ...]) -> str:
    """Regex of the national numbers of a region, of some kinds."""
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(region)
    described = (getattr(metadata, kind) for kind in kinds)
    return "|".join(
        desc.national_number_pattern for desc in described if desc is not None and desc.national_number_pattern
    )


@lru_cache(maxsize=2)
def national(*, mobile: bool) -> str:
    """Regex of numbers with a leading 0, over the regions that write one (Italy's belongs to the number)."""
    kinds = ("mobile",) if mobile else (
        "fixed_line", "mobile", "toll_free", "premium_rate", "shared_cost", "voip", "personal_number", "uan",
    )  # fmt: skip
    forms = [f"0(?:{plan(region, kinds)})" for region in LEADING_ZERO_REGIONS]
    if not mobile:
        forms.append(plan("IT", ("fixed_line",)))
    return f"^(?:{'|'.join(forms)})$"


def phone_digits(text: str) -> bool:
    """As `phone`, and bare digits as they stand in a column that is named after phones."""
    number = digits(re.sub(r"(?i) ?(?:x|ext).*", "", text))
    return phone(text) or (8 <= len(number) <= 15 and not _NOT_A_PHONE.fullmatch(text.strip()))


def _is_possible(text: str) -> bool:
    try:
        number = phonenumbers.parse(text, None)
    except phonenumbers.NumberParseException:
        return False
    possible = phonenumbers.is_possible_number_with_reason(number)
    return possible == phonenumbers.ValidationResult.IS_POSSIBLE or phonenumbers.is_valid_number(number)


def secret(text: str) -> bool:
    """High entropy for its length, as keys and tokens have; words and codes do not."""
    if len(text) < 12 or " " in text:
        return False
    counts = Counter(text)
    entropy = -sum(n / len(text) * math.log2(n / len(text)) for n in counts.values())
    kinds = sum(bool(re.search(kind, text)) for kind in ("[a-z]", "[A-Z]", "[0-9]"))
    return entropy >= 3.2 and kinds >= 2


def coordinates(text: str) -> bool:
    """``latitude, longitude`` in range."""
    low, high = (float(part) for part in re.split(r"\s*[,;]\s*|\s+", text.strip("()[] "), maxsplit=1))
    return abs(low) <= 90 and abs(high) <= 180
