"""What a cell of each kind looks like: pattern, validator, and the share of a column's cells that must comply.

A rule reads whole cells. Weak shapes (ten digits) need most of the column or a header that agrees; strong ones
(an e-mail address, an IBAN with its check digits) are found in a single cell. Order is precedence: a value belongs
to the first rule it satisfies.
"""

from __future__ import annotations

from dataclasses import dataclass

from tabveil.pii import checks, lexicon, patterns
from tabveil.pii.checks import Check
from tabveil.pii.shapes import ANY_SHAPE, MOST, Bounds

ANY = 0.0  # one cell is enough


@dataclass(frozen=True)
class CellRule:
    """How cells of one PII type are told.

    Args:
        pattern: regex of the Rust engine (Polars), matched against the trimmed NFKC text of the whole cell.
        check: check of the values that match.
        share: least share of the non-empty cells that must comply when the header says nothing; None: never.
        header_share: the same when the header announces the type; None: the rule is for other headers only.
        numeric: also applies to integer columns (written without separators).
        min_distinct: least number of distinct complying values when the header says nothing.
        alike: `share` is one of the cells that match the pattern, not of all: for check digits, where a few numbers
            that all comply are no accident.
        needs: characters of which each occurs in some cell of a column that can comply.
        bounds: size, digits and letters of the texts that the pattern could match.
        words: header words instead of those of the type.
        folded: the pattern is matched against the text folded to lower-case ASCII.
        weak: told by words alone; not believed where the header names another subject or the cells are firms.
        alone: one number is enough among fractions, too.
    """

    type: str
    pattern: str
    check: Check | None = None
    share: float | None = 0.5
    header_share: float | None = ANY
    numeric: bool = False
    min_distinct: int = 1
    alike: bool = False
    needs: str = ""
    words: tuple[str, ...] = ()
    bounds: Bounds = ANY_SHAPE
    folded: bool = False
    weak: bool = False
    alone: bool = False


_NAME_BOUNDS = Bounds(size=(2, 90), digits=(0, 0), letters=(2, MOST))
_NINE = Bounds(size=(11, 11), digits=(9, 9))
_PHONE_BOUNDS = Bounds(size=(7, 40), digits=(7, 28), letters=(0, 3))
_SERIAL_BOUNDS = Bounds(size=(9, 10), digits=(1, 8), letters=(3, 9))

CELL_RULES: tuple[CellRule, ...] = (
    CellRule("EMAIL_ADDRESS", patterns.EMAIL, share=ANY, needs="@", bounds=Bounds(size=(6, 320), letters=(3, MOST))),
    CellRule("CREDENTIALS", patterns.KEYS, share=ANY, bounds=Bounds(size=(14, MOST), letters=(6, MOST))),
    CellRule("CREDENTIALS", patterns.COOKIE, share=ANY, needs="=", bounds=Bounds(size=(10, MOST))),
    CellRule("CREDENTIALS", r"\S{12,}", checks.secret, share=None, header_share=0.2, bounds=Bounds(size=(12, MOST))),
    CellRule(
        "CREDENTIALS",
        r"[A-Za-z0-9_+/-]{24,}={0,2}",
        checks.random_token,
        0.9,
        None,
        min_distinct=20,
        bounds=Bounds(size=(24, MOST), digits=(1, MOST), letters=(4, MOST)),
    ),
    CellRule(
        "BANK_ACCOUNT_NUMBER",
        patterns.IBAN,
        checks.iban,
        share=ANY,
        bounds=Bounds(size=(15, 42), digits=(2, MOST), letters=(2, MOST)),
    ),
    CellRule("MAC_ADDRESS", patterns.MAC, share=ANY, bounds=Bounds(size=(17, 17))),
    CellRule("MAC_ADDRESS", patterns.MAC_DOTTED, needs=".", bounds=Bounds(size=(14, 14))),
    CellRule(
        "IP_ADDRESS",
        r"(?:\d{1,3}\.){3}\d{1,3}",
        checks.ip,
        needs=".",
        bounds=Bounds(size=(7, 15), digits=(4, 12), letters=(0, 0)),
    ),
    CellRule("IP_ADDRESS", r"[0-9A-Fa-f:]*:[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*", checks.ip, needs=":"),
    CellRule(
        "CREDIT_CARD_NUMBER",
        patterns.GROUPED_CARD,
        checks.card,
        ANY,
        bounds=Bounds(size=(16, 23), digits=(13, 19), letters=(0, 0)),
    ),
    CellRule(
        "CREDIT_CARD_NUMBER",
        r"\d{12,19}",
        checks.card,
        numeric=True,
        alike=True,
        min_distinct=3,
        bounds=Bounds(size=(12, 19), digits=(12, 19), letters=(0, 0)),
    ),
    CellRule(  # a single one, unless most of the long numbers are none
        "CREDIT_CARD_NUMBER",
        r"\d{12,19}",
        checks.card_in_use,
        numeric=True,
        alike=True,
        alone=True,
        bounds=Bounds(size=(12, 19), digits=(12, 19), letters=(0, 0)),
    ),
    CellRule(
        "CREDIT_CARD_NUMBER",
        r"\d(?:[ -]?\d){10,18}",
        checks.luhn,
        None,
        0.02,
        numeric=True,
        bounds=Bounds(digits=(11, 19), letters=(0, 0)),
    ),
    CellRule("USA_SOCIAL_SECURITY_NUMBER", r"\d{3}-\d{2}-\d{4}", checks.us_ssn, share=ANY, needs="-", bounds=_NINE),
    CellRule("USA_SOCIAL_SECURITY_NUMBER", r"\d{3} \d{2} \d{4}", checks.us_ssn, needs=" ", bounds=_NINE),
    CellRule(
        "USA_SOCIAL_SECURITY_NUMBER",
        r"\d{9}",
        checks.us_ssn,
        share=None,
        numeric=True,
        words=patterns.SSN_WORDS,
        bounds=Bounds(size=(9, 9), digits=(9, 9)),
    ),
    CellRule(
        "USA_INDIVIDUAL_TAX_IDENTIFICATION_NUMBER",
        r"9\d{2}-\d{2}-\d{4}",
        checks.us_itin,
        share=ANY,
        needs="-",
        bounds=_NINE,
    ),
    CellRule(
        "FRANCE_NATIONAL_IDENTIFICATION_NUMBER",
        r"[12][0-9ABab ]{12,20}",
        checks.fr_nir,
        0.5,
        numeric=True,
        alike=True,
        bounds=Bounds(size=(13, 21), digits=(13, 15), letters=(0, 2)),
    ),
    CellRule(
        "GERMANY_TAX_IDENTIFICATION_NUMBER",
        r"[1-9]\d(?: ?\d{3}){3}",
        checks.de_tax_id,
        0.6,
        0.02,
        numeric=True,
        alike=True,
        min_distinct=5,
        bounds=Bounds(size=(11, 14), digits=(11, 11), letters=(0, 0)),
    ),
    CellRule(
        "SPAIN_DNI_NUMBER",
        r"(?:\d{8}|[XYZxyz]-?\d{7})-?[A-Za-z]",
        checks.es_dni,
        0.6,
        0.02,
        alike=True,
        min_distinct=5,
        bounds=Bounds(size=(9, 11), digits=(7, 8), letters=(1, 2)),
    ),
    CellRule(
        "UK_NATIONAL_INSURANCE_NUMBER",
        patterns.NINO,
        None,
        0.5,
        0.02,
        min_distinct=3,
        bounds=Bounds(size=(9, 13), digits=(6, 6), letters=(3, 3)),
    ),
    CellRule(
        "INDIA_PERMANENT_ACCOUNT_NUMBER",
        patterns.PAN,
        None,
        0.5,
        0.02,
        min_distinct=3,
        bounds=Bounds(size=(10, 10), digits=(4, 4), letters=(6, 6)),
    ),
    CellRule(
        "VIETNAM_CITIZEN_ID",
        r"0\d{11}",
        checks.vn_citizen_id,
        0.8,
        alike=True,
        min_distinct=5,
        bounds=Bounds(size=(12, 12), digits=(12, 12)),
    ),
    CellRule(
        "INDIA_AADHAAR_NUMBER",
        r"[2-9]\d{3} ?\d{4} ?\d{4}",
        checks.in_aadhaar,
        0.8,
        0.02,
        numeric=True,
        alike=True,
        min_distinct=5,
        bounds=Bounds(size=(12, 14), digits=(12, 12)),
    ),
    CellRule(
        "VIETNAM_TAX_CODE",
        r"\d{10}(?:-?\d{3})?",
        checks.vn_tax_code,
        0.6,
        0.02,
        numeric=True,
        alike=True,
        min_distinct=8,
        bounds=Bounds(size=(10, 14), digits=(10, 13), letters=(0, 0)),
    ),
    CellRule("PHONE_NUMBER", patterns.PHONE, checks.phone, 0.4, bounds=_PHONE_BOUNDS),
    CellRule(
        "PHONE_NUMBER",
        r"\+\d[\d ()./-]{6,24}\d",
        checks.phone,
        ANY,
        needs="+",
        bounds=Bounds(size=(9, 30), digits=(8, 28), letters=(0, 0)),
    ),
    CellRule(
        "PHONE_NUMBER",
        r"\d{9,10}",
        checks.phone_bare,
        0.9,
        None,
        numeric=True,
        min_distinct=30,
        bounds=Bounds(size=(9, 10), digits=(9, 10)),
    ),
    CellRule("PHONE_NUMBER", patterns.PHONE, checks.phone_digits, share=None, numeric=True, bounds=_PHONE_BOUNDS),
    CellRule(
        "NATIONAL_ID",
        "[LMNPRTVWXYlmnprtvwxy]" + patterns.SERIAL,
        checks.german_serial,
        0.6,
        None,
        min_distinct=10,
        bounds=_SERIAL_BOUNDS,
    ),
    CellRule(
        "PASSPORT_NUMBER",
        "[CFGHJKcfghjk]" + patterns.SERIAL,
        checks.german_serial,
        0.6,
        None,
        min_distinct=10,
        bounds=_SERIAL_BOUNDS,
    ),
    CellRule("PASSPORT_NUMBER", patterns.MRZ, None, ANY, needs="<", bounds=Bounds(size=(44, 90))),
    CellRule(
        "DRIVERS_LICENSE",
        patterns.UK_LICENCE,
        None,
        0.5,
        None,
        min_distinct=3,
        bounds=Bounds(size=(16, 16), digits=(6, 11), letters=(4, 10)),
    ),
    CellRule(
        "DRIVERS_LICENSE",
        patterns.INDIAN_LICENCE,
        None,
        0.5,
        None,
        min_distinct=3,
        bounds=Bounds(size=(15, 19), digits=(13, 13), letters=(2, 2)),
    ),
    CellRule(
        "BANK_ACCOUNT_NUMBER",
        r"\d{2}-\d{2}-\d{2} \d{8}",
        None,
        0.5,
        None,
        needs="-",
        min_distinct=5,
        bounds=Bounds(size=(17, 17), digits=(14, 14)),
    ),
    CellRule(
        "BANK_ACCOUNT_NUMBER",
        r"\d{4}[ -]?\d{4}[ -]?\d{2}[ -]?\d{10}",
        checks.es_account,
        0.5,
        None,
        numeric=True,
        alike=True,
        min_distinct=3,
        bounds=Bounds(size=(20, 23), digits=(20, 20)),
    ),
    CellRule(
        "BANK_ACCOUNT_NUMBER",
        r"\d{5} ?\d{5} ?[0-9A-Za-z]{11} ?\d{2}",
        checks.fr_account,
        0.5,
        None,
        numeric=True,
        alike=True,
        min_distinct=3,
        bounds=Bounds(size=(23, 26), digits=(12, 23), letters=(0, 11)),
    ),
    CellRule(
        "BANK_ACCOUNT_NUMBER",
        r"[A-Za-z]{0,4}\d[\d -]{4,33}",
        share=None,
        header_share=0.05,
        numeric=True,
        bounds=Bounds(digits=(2, 38), letters=(0, 4)),
    ),
    CellRule(
        "PASSPORT_NUMBER",
        r"[A-Za-z]{0,3}\d{5,10}[A-Za-z]?|[CFGHJKcfghjk]" + patterns.SERIAL,
        None,
        None,
        0.05,
        numeric=True,
    ),
    CellRule("DRIVERS_LICENSE", r"[A-Za-z0-9][A-Za-z0-9 -]{4,19}", None, None, 0.2, numeric=True),
    CellRule("NATIONAL_ID", patterns.ID_SHAPE, None, None, 0.05, numeric=True),
    CellRule(
        "GEO_COORDINATES",
        patterns.POINT,
        checks.coordinates,
        needs=".",
        bounds=Bounds(digits=(8, MOST), letters=(0, 0)),
    ),
    CellRule(
        "GEO_COORDINATES",
        r"-?\d{1,3}\.\d{3,}",
        None,
        None,
        0.3,
        needs=".",
        bounds=Bounds(digits=(4, MOST), letters=(0, 0)),
    ),
    CellRule(
        "ADDRESS",
        patterns.ADDRESS,
        None,
        0.3,
        header_share=ANY,
        weak=True,
        folded=True,
        min_distinct=3,
        bounds=Bounds(size=(6, 250), letters=(3, MOST)),
    ),
    CellRule(
        "ADDRESS",
        patterns.SEVERAL_LINES,
        None,
        0.7,
        None,
        weak=True,
        folded=True,
        min_distinct=10,
        needs=",",
        bounds=Bounds(size=(10, 250), digits=(4, MOST), letters=(5, MOST)),
    ),
    CellRule("ADDRESS", r"(?:.*\p{L}.*\d.*|.*\d.*\p{L}.*)", None, None, header_share=0.3),
    CellRule(
        "NAME",
        patterns.NAME_SHAPE,
        lexicon.full_names,
        0.25,
        min_distinct=10,
        weak=True,
        folded=True,
        bounds=_NAME_BOUNDS,
    ),
    CellRule(
        "NAME",
        patterns.NAME_SHAPE,
        lexicon.full_names,
        0.75,
        None,
        min_distinct=3,
        weak=True,
        folded=True,
        bounds=_NAME_BOUNDS,
    ),  # a few people only
    CellRule("NAME", patterns.NAME_SHAPE, None, share=None, header_share=0.3, folded=True, bounds=_NAME_BOUNDS),
    CellRule(
        "NAME",
        patterns.NAME_SHAPE,
        lexicon.given_only,
        0.6,
        None,
        min_distinct=20,
        weak=True,
        folded=True,
        bounds=_NAME_BOUNDS,
    ),
    CellRule(
        "NAME",
        patterns.NAME_SHAPE,
        lexicon.family_only,
        0.6,
        None,
        min_distinct=30,
        weak=True,
        folded=True,
        bounds=_NAME_BOUNDS,
    ),
    CellRule(
        "NAME",
        patterns.NAME_SHAPE,
        lexicon.given_only,
        0.9,
        None,
        min_distinct=8,
        weak=True,
        folded=True,
        bounds=_NAME_BOUNDS,
    ),
    CellRule(
        "NAME",
        patterns.NAME_SHAPE,
        lexicon.family_only,
        0.9,
        None,
        min_distinct=15,
        weak=True,
        folded=True,
        bounds=_NAME_BOUNDS,
    ),
)
