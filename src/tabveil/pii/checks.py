"""The checks of `tabveil.pii.validators` over whole columns: series of matching texts -> bool array.

Check digits are integer arithmetic over a matrix of digits (NumPy); numbering plans are regexes made of the metadata
of `phonenumbers` (Polars). A check may look at all the values at once, as `phone_bare` does.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import phonenumbers
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from stdnum import iban as _iban

from tabveil.pii import validators

Hits = npt.NDArray[np.bool_]
Digits = npt.NDArray[np.int64]
Check = Callable[[pl.Series], Hits]
_VERHOEFF_D = np.array(
    [[0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 2, 3, 4, 0, 6, 7, 8, 9, 5], [2, 3, 4, 0, 1, 7, 8, 9, 5, 6],
     [3, 4, 0, 1, 2, 8, 9, 5, 6, 7], [4, 0, 1, 2, 3, 9, 5, 6, 7, 8], [5, 9, 8, 7, 6, 0, 4, 3, 2, 1],
     [6, 5, 9, 8, 7, 1, 0, 4, 3, 2], [7, 6, 5, 9, 8, 2, 1, 0, 4, 3], [8, 7, 6, 5, 9, 3, 2, 1, 0, 4],
     [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]]
)  # fmt: skip
_VERHOEFF_P = np.array(
    [[0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 5, 7, 6, 2, 8, 3, 0, 9, 4], [5, 8, 0, 3, 7, 9, 6, 1, 4, 2],
     [8, 9, 1, 6, 0, 4, 3, 5, 2, 7], [9, 4, 5, 3, 1, 2, 6, 8, 7, 0], [4, 2, 8, 6, 5, 7, 3, 9, 0, 1],
     [2, 7, 9, 3, 8, 0, 6, 4, 1, 5], [7, 0, 4, 6, 9, 1, 3, 2, 5, 8]]
)  # fmt: skip
_BEYOND = r"\x{80}-\x{10FFFF}"
_LETTERS = {r"\p{L}": f"A-Za-z{_BEYOND}", r"\p{Lu}": f"A-Z{_BEYOND}", r"\p{M}": _BEYOND}
_SECRET_CHARACTERS = 10
_PROVINCES, _PROVINCES_OF = 3, 10
_BARE_PREFIXES = 20  # distinct first four digits that a column of bare phone numbers has at least


def matches(values: pl.Series | pa.Array, pattern: str) -> Hits:
    r"""Which texts hold a match of a regex of RE2 (as Arrow has it).

    ``\d``, ``\w``, ``\s`` and ``\b`` are ASCII there. ``\p{L}``, ``\p{Lu}`` and ``\p{M}`` stand for ASCII letters and
    any other non-ASCII character: their exact classes take 30 ms to compile, once per call.
    """
    texts = values.to_arrow() if isinstance(values, pl.Series) else values
    return np.asarray(pc.match_substring_regex(texts, _ascii(pattern)).to_numpy(zero_copy_only=False), dtype=bool)


def _among(chosen: Hits, values: pl.Series, pattern: str) -> Hits:
    """Which of the chosen texts hold a match; the others are not read."""
    hits = chosen.copy()
    if chosen.any():
        hits[chosen] = matches(values.filter(pl.Series(chosen)), pattern)
    return hits


@lru_cache(maxsize=1024)
def _ascii(pattern: str) -> str:
    """A regex whose classes of Unicode letters are made of two ranges."""
    parts, in_class = [], False
    for part in re.findall(r"\\p\{\w+\}|\\.|.", pattern, re.DOTALL):
        letters = _LETTERS.get(part)
        if letters:
            parts.append(letters if in_class else f"[{letters}]")
            continue
        in_class = (in_class or part == "[") and part != "]"
        parts.append(part)
    return "".join(parts)


def _digits(values: pl.Series) -> pl.Series:
    return values.str.replace_all(r"[^0-9]", "")


def _by_length(values: pl.Series, lengths: tuple[int, ...], test: Callable[[Digits], Hits]) -> Hits:
    """A test of digit matrices of shape (n, length), one call per length; other lengths fail."""
    number = _digits(values)
    sizes = number.str.len_bytes().to_numpy()
    hits = np.zeros(len(values), dtype=bool)
    for length in lengths:
        chosen = sizes == length
        if chosen.any():
            hits[chosen] = test(_matrix(number.filter(pl.Series(chosen)), length))
    return hits


def _matrix(texts: pl.Series, length: int) -> npt.NDArray[np.int64]:
    """Bytes of equally long ASCII texts, less 48, shape (n, length)."""
    joined = "".join(texts.to_list()).encode("ascii")
    return np.frombuffer(joined, dtype=np.uint8).reshape(-1, length).astype(np.int64) - 48


def _number(matrix: Digits) -> Digits:
    return np.asarray(matrix @ 10 ** np.arange(matrix.shape[1] - 1, -1, -1, dtype=np.int64))


def _luhn(matrix: Digits) -> Hits:
    doubled = matrix[:, ::-1].copy()
    doubled[:, 1::2] *= 2
    doubled[doubled > 9] -= 9
    return np.asarray((doubled.sum(axis=1) % 10 == 0) & (matrix.max(axis=1) > 0))


def luhn(values: pl.Series) -> Hits:
    """Luhn check of numbers of 11 to 19 digits."""
    return _by_length(values, tuple(range(11, 20)), _luhn)


def card(values: pl.Series) -> Hits:
    """Luhn check and a known issuer range."""
    return _by_length(values, tuple(range(12, 20)), _issued)


def card_in_use(values: pl.Series) -> Hits:
    """`card`, of the lengths that cards have today: a barcode of 13 digits is none."""
    return _by_length(values, (14, 15, 16, 19), _issued)


def _issued(matrix: Digits) -> Hits:
    issued = np.zeros(len(matrix), dtype=bool)
    for width, low, high, lengths in validators.ISSUERS:
        if matrix.shape[1] in lengths:
            prefix = _number(matrix[:, :width])
            issued |= (low <= prefix) & (prefix <= high)
    return np.asarray(issued & _luhn(matrix) & (matrix.min(axis=1) < matrix.max(axis=1)))


def us_ssn(values: pl.Series) -> Hits:
    """Area, group and serial that can have been issued."""
    return _by_length(values, (9,), _ssn)


def _ssn(matrix: Digits) -> Hits:
    area, group, serial = _number(matrix[:, :3]), _number(matrix[:, 3:5]), _number(matrix[:, 5:])
    made_up = np.isin(_number(matrix), (78051120, 457555462, 219099999))
    return np.asarray((area > 0) & (area < 900) & (area != 666) & (group > 0) & (serial > 0) & ~made_up)


def us_itin(values: pl.Series) -> Hits:
    """IRS individual taxpayer numbers: 9xx, reserved groups."""
    groups = [g for g in range(70, 100) if g not in (89, 93)]
    return _by_length(values, (9,), lambda m: (m[:, 0] == 9) & np.isin(_number(m[:, 3:5]), groups))


def de_tax_id(values: pl.Series) -> Hits:
    """German tax id: one digit twice or thrice among the first ten, ISO 7064 check digit."""
    return _by_length(values, (11,), _idnr)


def _idnr(matrix: Digits) -> Hits:
    counts = (matrix[:, :10, None] == np.arange(10)).sum(axis=1)
    repeated = counts > 1
    spread = (repeated.sum(axis=1) == 1) & (counts.max(axis=1) <= 3)
    return np.asarray(spread & (matrix[:, 0] > 0) & _iso_11_10(matrix))


def _iso_11_10(matrix: Digits) -> Hits:
    """ISO 7064 modulus 11, 10."""
    check = np.full(len(matrix), 5)
    for place in range(matrix.shape[1]):
        check = ((np.where(check == 0, 10, check) * 2) % 11 + matrix[:, place]) % 10
    return np.asarray(check == 1)


def fr_nir(values: pl.Series) -> Hits:
    """French social security numbers with their key (97 less the number modulo 97; 2A and 2B are 19 and 18)."""
    number = values.str.to_uppercase().str.replace_all(r"[^0-9AB]", "")
    number = number.str.replace(r"^(.{5})2A", "${1}19").str.replace(r"^(.{5})2B", "${1}18")
    return _by_length(
        number, (15,), lambda m: (_number(m[:, :13]) % 97 + _number(m[:, 13:]) == 97) & (_number(m[:, 3:5]) > 0)
    )


def es_dni(values: pl.Series) -> Hits:
    """Spanish DNI or NIE with its check letter."""
    text = values.str.to_uppercase().str.replace_all(r"[^0-9A-Z]", "")
    number = text.str.replace("^X", "0").str.replace("^Y", "1").str.replace("^Z", "2")
    value = number.str.slice(0, 8).cast(pl.Int64, strict=False).fill_null(-1).to_numpy()
    letters = np.array(list("TRWAGMYFPDXBNJZSQVHLCKE"))[value % 23]
    return np.asarray((value >= 0) & (number.str.slice(8).to_numpy() == letters))


def es_account(values: pl.Series) -> Hits:
    """Spanish account number (CCC): two check digits modulo 11."""
    return _by_length(values, (20,), _ccc)


def _ccc(matrix: Digits) -> Hits:
    weights = np.array([1, 2, 4, 8, 5, 10, 9, 7, 3, 6])
    office = np.concatenate([np.zeros((len(matrix), 2), dtype=np.int64), matrix[:, :8]], axis=1) @ weights % 11
    account = matrix[:, 10:] @ weights % 11
    right = [np.where(check <= 1, check, 11 - check) for check in (office, account)]
    return np.asarray((right[0] == matrix[:, 8]) & (right[1] == matrix[:, 9]) & (matrix.sum(axis=1) > 0))


def fr_account(values: pl.Series) -> Hits:
    """French account number (RIB): key modulo 97, letters as digits."""
    text = values.str.to_uppercase().str.replace_all(r"[^0-9A-Z]", "")
    table = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "12345678912345678923456789")
    plain = pl.Series([t.translate(table) for t in text], dtype=pl.String)
    return _by_length(plain, (23,), _rib)


def _rib(matrix: Digits) -> Hits:
    bank, branch = _number(matrix[:, :5]), _number(matrix[:, 5:10])
    account, key = _number(matrix[:, 10:21]), _number(matrix[:, 21:])
    return np.asarray(((89 * bank + 15 * branch + 3 * account + key) % 97 == 0) & (key > 0) & (bank > 0))


def in_aadhaar(values: pl.Series) -> Hits:
    """Aadhaar with its Verhoeff digit, no palindrome."""
    return _by_length(values, (12,), _verhoeff)


def _verhoeff(matrix: Digits) -> Hits:
    check = np.zeros(len(matrix), dtype=np.int64)
    for place, column in enumerate(matrix[:, ::-1].T):
        check = _VERHOEFF_D[check, _VERHOEFF_P[place % 8, column]]
    palindrome = (matrix == matrix[:, ::-1]).all(axis=1)
    return np.asarray((check == 0) & (matrix[:, 0] >= 2) & ~palindrome)


def vn_tax_code(values: pl.Series) -> Hits:
    """Vietnamese tax code (mã số thuế) with its check digit, of a firm or a branch."""
    return _by_length(values, (10, 13), _mst)


def _mst(matrix: Digits) -> Hits:
    check = 10 - matrix[:, :9] @ np.array([31, 29, 23, 19, 17, 13, 7, 5, 3]) % 11
    hits = (check == matrix[:, 9]) & (_number(matrix[:, 2:9]) > 0)
    if matrix.shape[1] == 13:
        hits &= _number(matrix[:, 10:]) > 0
    return np.asarray(hits)


def vn_citizen_id(values: pl.Series) -> Hits:
    """Vietnamese citizen id: province 001-096, century and gender digit 0-3, year, serial.

    Many numbers of one or two provinces are account numbers of one branch.
    """
    hits = _by_length(values, (12,), _cccd)
    provinces = values.filter(pl.Series(hits)).str.slice(0, 3).n_unique() if hits.any() else 0
    one_place = provinces < _PROVINCES and np.count_nonzero(hits) >= _PROVINCES_OF
    return np.zeros_like(hits) if one_place else hits


def _cccd(matrix: Digits) -> Hits:
    province = _number(matrix[:, :3])
    return np.asarray((province >= 1) & (province <= 96) & (matrix[:, 3] <= 3) & (_number(matrix[:, 6:]) > 0))


def iban(values: pl.Series) -> Hits:
    """ISO 13616: country's length and structure, modulo 97."""
    text = values.str.to_uppercase().str.replace_all(r"[ .-]", "")
    hits = matches(text, _iban_structures())
    sizes = text.str.len_bytes().to_numpy()
    for size in np.unique(sizes[hits]):
        chosen = hits & (sizes == size)
        hits[chosen] = _mod_97(_matrix(text.filter(pl.Series(chosen)), int(size)))
    return hits


def _mod_97(matrix: Digits) -> Hits:
    characters = np.concatenate([matrix[:, 4:], matrix[:, :4]], axis=1)
    rest = np.zeros(len(matrix), dtype=np.int64)
    for column in characters.T:
        letter = column > 9
        rest = np.where(letter, rest * 100 + column - 7, rest * 10 + column) % 97
    return np.asarray(rest == 1)


@lru_cache(maxsize=1)
def _iban_structures() -> str:
    """One regex of every country's structure, from python-stdnum's registry."""
    classes = {"n": "[0-9]", "a": "[A-Z]", "c": "[A-Z0-9]"}
    forms = []
    for country in (f"{a}{b}" for a in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" for b in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"):
        bban = _iban._ibandb.info(country)[0][1].get("bban", "")
        if bban:
            parts = re.findall(r"(\d+)!([nac])", bban)
            forms.append(country + "[0-9]{2}" + "".join(f"{classes[kind]}{{{size}}}" for size, kind in parts))
    return f"^(?:{'|'.join(forms)})$"


def german_serial(values: pl.Series) -> Hits:
    """Serial number of a German identity card or passport: no vowels, both digits and letters.

    A tenth place is its ICAO 9303 check digit.
    """
    text = values.str.to_uppercase()
    hits = matches(text, r"[0-9].*[A-Z]") & matches(text, r"[A-Z].*[A-Z].*[A-Z]")  # mixed, as no code with a prefix is
    long = hits & (text.str.len_bytes().to_numpy() == 10)
    if long.any():
        matrix = _matrix(text.filter(pl.Series(long)), 10)
        place = np.where(matrix > 9, matrix - 7, matrix)
        hits[long] = place[:, :9] @ np.array([7, 3, 1] * 3) % 10 == place[:, 9]
    return hits


def secret(values: pl.Series) -> Hits:
    """Many different characters of two kinds, as keys and tokens have; words and codes do not."""
    kinds = sum(matches(values, kind).astype(int) for kind in ("[a-z]", "[A-Z]", "[0-9]"))
    return np.asarray(kinds >= 2) & (values.str.split("").list.n_unique().to_numpy() >= _SECRET_CHARACTERS)


def random_token(values: pl.Series) -> Hits:
    """Both cases and digits, changing often: drawn at random, no word, code or hexadecimal digest."""
    return secret(values) & matches(values, "[a-z][A-Z0-9].*[A-Z][a-z0-9].*[0-9][A-Za-z]") & ~matches(values, "/.*[./]")


def phone(values: pl.Series) -> Hits:
    """Phone numbers by the form people write them in, or by the numbering plan of a country."""
    text = values.str.strip_chars()
    number = _digits(text.str.replace(r"(?i) ?(?:x|ext\.?) ?\d{1,6}$", ""))
    plain = matches(text, r"^\d+$")
    other = matches(text, f"^(?:{validators.NOT_A_PHONE})$")
    abroad = _among(~other, text, r"^\(?(?:\+|00)")
    home = ~abroad & ~other
    abroad &= ~plain | (number.str.len_bytes().to_numpy() >= 12)
    hits = _among(abroad, number.str.strip_chars_start("0"), _international())
    hits |= _among(home, text, f"^(?:{validators.NANP})$")
    zero = _among(home, text, r"^\(?0")
    hits |= _among(zero & ~plain, number, validators.national(mobile=False))
    return hits | _among(zero & plain, number, validators.national(mobile=True))


def phone_digits(values: pl.Series) -> Hits:
    """As `phone`, and bare digits as they stand in a column that is named after phones."""
    size = _digits(values.str.replace(r"(?i) ?(?:x|ext).*", "")).str.len_bytes().to_numpy()
    return phone(values) | ((size >= 8) & (size <= 15) & ~matches(values, f"^(?:{validators.NOT_A_PHONE})$"))


def phone_bare(values: pl.Series) -> Hits:
    """Ten digits with an American area code, nine with a Vietnamese or Spanish mobile code; spread as numbers are.

    Ids in sequence share their first digits, phone numbers do not.
    """
    american = matches(values, f"^(?:{validators.plan('US', ('fixed_line', 'mobile'))})$")
    hits = max(
        (american, matches(values, _bare_mobile("VN")), matches(values, _bare_mobile("ES"))), key=np.count_nonzero
    )
    prefixes = values.filter(pl.Series(hits)).str.slice(0, 4).n_unique() if hits.any() else 0
    return hits if prefixes >= _BARE_PREFIXES else np.zeros(len(values), dtype=bool)


def _bare_mobile(region: str) -> str:
    return f"^(?:{validators.plan(region, ('mobile',))})$"


@lru_cache(maxsize=1)
def _international() -> str:
    """Regex of country code and a national number of a length that the country uses."""
    forms = []
    for code, regions in phonenumbers.COUNTRY_CODE_TO_REGION_CODE.items():
        known = phonenumbers.PhoneMetadata.metadata_for_region(regions[0])
        if known is not None and known.general_desc is not None:
            sizes = sorted(size for size in known.general_desc.possible_length if size > 4)
            forms.append(f"{code}0?(?:{'|'.join(f'[0-9]{{{size}}}' for size in sizes)})")
    return f"^(?:{'|'.join(forms)})$"


def coordinates(values: pl.Series) -> Hits:
    """``latitude, longitude`` in range."""
    parts = [
        values.str.extract(pattern).cast(pl.Float64, strict=False).fill_null(999.0).abs().to_numpy()
        for pattern in (r"^[^0-9-]*(-?[0-9.]+)", r"(-?[0-9.]+)[^0-9]*$")
    ]
    return np.asarray((parts[0] <= 90) & (parts[1] <= 180))


def ip(values: pl.Series) -> Hits:
    """IPv4 (an octet above 31: no version number) and IPv6 addresses."""
    four = matches(values, r"^[0-9.]+$")
    hits = np.zeros(len(values), dtype=bool)
    if four.any():
        parts = values.filter(pl.Series(four)).str.split_exact(".", 3).struct.unnest().cast(pl.Int64, strict=False)
        octets = parts.fill_null(999).to_numpy()
        hits[four] = (octets.max(axis=1) > 31) & (octets.max(axis=1) <= 255)
    full = matches(values, r"^(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}$")
    short = ~four & ~full & matches(values, r"^[0-9A-Fa-f:]*::[0-9A-Fa-f:]*(?:[0-9]{1,3}\.[0-9.]+)?$")
    hits |= full
    for position in np.flatnonzero(short):
        hits[position] = validators.ip(values[int(position)])
    return hits
