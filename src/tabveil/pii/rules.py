"""What a cell of each kind looks like: pattern, validator, and the share of a column's cells that must comply.

A rule reads whole cells. Weak shapes (ten digits) need most of the column or a header that agrees; strong ones
(an e-mail address, an IBAN with its check digits) are found in a single cell. Order is precedence: a value belongs
to the first rule it satisfies.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tabveil.pii import lexicon, validators

ANY = 0.0  # one cell is enough


@dataclass(frozen=True)
class CellRule:
    """How cells of one PII type are told.

    Args:
        pattern: regex of the Rust engine (Polars), matched against the trimmed NFKC text of the whole cell.
        validate: check of the values that match.
        share: least share of the non-empty cells that must comply when the header says nothing; None: never.
        header_share: the same when the header announces the type; None: the rule is for other headers only.
        numeric: also applies to integer columns (written without separators).
        min_distinct: least number of distinct complying values when the header says nothing.
    """

    type: str
    pattern: str
    validate: Callable[[str], bool] | None = None
    share: float | None = 0.5
    header_share: float | None = ANY
    numeric: bool = False
    min_distinct: int = 1


EMAIL = r"[\p{L}0-9._%+'-]+@[\p{L}0-9-]+(?:\.[\p{L}0-9-]+)*\.\p{L}{2,24}"
IBAN = r"[A-Za-z]{2}\d{2}(?: ?[A-Za-z0-9]){11,30}"
MAC = r"[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}"
KEYS = (
    r"(?:AKIA|ASIA)[A-Z0-9]{16}|gh[pousr]_[A-Za-z0-9]{36}|xox[abprs]-[A-Za-z0-9-]{10,}|sk_(?:live|test)_[A-Za-z0-9]{16,}"
    r"|AIza[A-Za-z0-9_-]{35}|eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"
)
_NAME_SHAPE = r"\p{L}[\p{L}'’.-]*(?:,? \p{L}[\p{L}'’.-]*){0,6}"
_ID_SHAPE = r"[A-Za-z]{0,4}[ -]?\d[A-Za-z0-9 ./-]{3,24}|[A-Za-z0-9]{6,20}"
_EN_STREET = (  # USPS Publication 28 suffixes, singular and plural
    r"(?i:street|st|avenue|ave|road|rd|boulevard|blvd|lane|ln|drive|dr|court|ct|place|pl|square|terrace|way|parkway|pkwy|"
    r"highway|hwy|circle|trail|crescent|close|mews|apt|suite|unit|manor|station|ville|plaza|isle|heights|alley|branch|"
    r"bridge|brook|burg|bypass|camp|canyon|cape|causeway|center|cliff|club|common|corner|course|cove|creek|crest|crossing|"
    r"crossroad|curve|dale|dam|divide|estate|expressway|extension|fall|ferry|field|flat|ford|forest|forge|fork|fort|"
    r"freeway|garden|gateway|glen|green|grove|harbor|haven|hill|hollow|inlet|island|junction|key|knoll|lake|land|landing|"
    r"light|loaf|lock|lodge|loop|mall|meadow|mill|mission|motorway|mount|mountain|neck|orchard|oval|overpass|park|pass|"
    r"passage|path|pike|pine|plain|point|port|prairie|radial|ramp|ranch|rapid|rest|ridge|river|route|row|rue|run|shoal|"
    r"shore|skyway|spring|spur|stravenue|stream|summit|throughway|trace|track|trafficway|tunnel|turnpike|underpass|union|"
    r"valley|via|viaduct|view|village|vista|walk|wall|well)(?i:s|es)?"
)
ADDRESS = "|".join(
    (
        rf"\d{{1,6}}[A-Za-z]? [\p{{L}}0-9 .,'-]*\b{_EN_STREET}\b[\p{{L}}0-9 .,#'-]*",
        r"(?i)[\p{L} .-]*(?:stra(?:ß|ss)e|str\.|weg|platz|allee|gasse|ring|damm|ufer|chaussee)"
        r" ?\d{1,4}[ /-]?[\p{L}0-9/-]*",
        r"(?i)(?:số |so |ngõ |hẻm )?[\d/]+\p{L}? ?,? ?(?:đường|duong|phố|pho|ngõ|ngách|hẻm|khóm|tổ|"
        r"thôn|ấp|dãy|khu)\b.*",
        r"(?i)số [\d/]+\p{L}?\b.*",
        r"\d{1,4}(?:/\d{1,4})+ \p{Lu}\p{L}+(?: \p{Lu}\p{L}+){1,3}",
        r"(?i)(?:\d{1,5}(?: bis| ter)?,? )?(?:rue|avenue|boulevard|chemin|impasse|allée|place|quai) [\p{L} '-]+",
        r"(?i)(?:calle|avenida|avda\.?|paseo|plaza|c/|camino|ronda|carrer) ?[\p{L} .'-]+,? ?\d{1,5}.*",
    )
)

CELL_RULES: tuple[CellRule, ...] = (
    CellRule("EMAIL_ADDRESS", EMAIL, share=ANY),
    CellRule("CREDENTIALS", KEYS, share=ANY),
    CellRule("CREDENTIALS", r"\S{12,}", validators.secret, share=None, header_share=0.2),
    CellRule("BANK_ACCOUNT_NUMBER", IBAN, validators.iban, share=ANY),
    CellRule("MAC_ADDRESS", MAC, share=ANY),
    CellRule("IP_ADDRESS", r"(?:\d{1,3}\.){3}\d{1,3}|[0-9A-Fa-f:]*:[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*", validators.ip),
    CellRule("CREDIT_CARD_NUMBER", r"\d{4}[ -]\d{4}[ -]\d{4}[ -]\d{1,7}|\d{4}[ -]\d{6}[ -]\d{5}", validators.card, ANY),
    CellRule("CREDIT_CARD_NUMBER", r"\d{12,19}", validators.card, numeric=True),
    CellRule("CREDIT_CARD_NUMBER", r"\d(?:[ -]?\d){10,18}", validators.luhn, None, 0.02, numeric=True),
    CellRule("USA_SOCIAL_SECURITY_NUMBER", r"\d{3}-\d{2}-\d{4}", validators.us_ssn, share=ANY),
    CellRule("USA_SOCIAL_SECURITY_NUMBER", r"\d{3} \d{2} \d{4}", validators.us_ssn),
    CellRule("USA_SOCIAL_SECURITY_NUMBER", r"\d{9}", validators.us_ssn, share=None, numeric=True),
    CellRule("USA_INDIVIDUAL_TAX_IDENTIFICATION_NUMBER", r"9\d{2}-\d{2}-\d{4}", validators.us_itin, share=ANY),
    CellRule("FRANCE_NATIONAL_IDENTIFICATION_NUMBER", r"[12][0-9AB ]{12,20}", validators.fr_nir, 0.5, numeric=True),
    CellRule(
        "GERMANY_TAX_IDENTIFICATION_NUMBER", r"[1-9]\d(?: ?\d{3}){3}", validators.de_tax_id, 0.6, 0.02, numeric=True
    ),
    CellRule("SPAIN_DNI_NUMBER", r"(?:\d{8}|[XYZxyz]-?\d{7})-?[A-Za-z]", validators.es_dni, 0.6, 0.02),
    CellRule(
        "UK_NATIONAL_INSURANCE_NUMBER", r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z](?: ?\d{2}){3} ?[A-D]", None, 0.6, 0.02
    ),
    CellRule("INDIA_PERMANENT_ACCOUNT_NUMBER", r"[A-Z]{3}[ABCFGHLJPTK][A-Z]\d{4}[A-Z]", validators.in_pan, 0.6, 0.02),
    CellRule("VIETNAM_CITIZEN_ID", r"0\d{11}", validators.vn_citizen_id, 0.8),
    CellRule("INDIA_AADHAAR_NUMBER", r"[2-9]\d{3} ?\d{4} ?\d{4}", validators.in_aadhaar, 0.8, 0.02, numeric=True),
    CellRule("VIETNAM_TAX_CODE", r"\d{10}(?:-?\d{3})?", validators.vn_tax_code, 0.8, 0.02, numeric=True),
    CellRule("PHONE_NUMBER", r"[+(]?[\d(][\d ()./-]{5,22}\d(?: ?(?:x|ext\.?) ?\d{1,6})?", validators.phone, 0.4),
    CellRule(
        "PHONE_NUMBER", r"[+(]?[\d(][\d ()./-]{5,22}\d(?: ?(?:x|ext\.?) ?\d{1,6})?", validators.phone_digits,
        share=None, numeric=True,
    ),
    CellRule("BANK_ACCOUNT_NUMBER", r"[A-Za-z]{0,4}\d[\d -]{4,33}", share=None, header_share=0.05, numeric=True),
    CellRule("PASSPORT_NUMBER", r"[A-Za-z]{0,3}\d{5,10}[A-Za-z]?|[CFGHJK][A-Z0-9]{8}", None, None, 0.05, numeric=True),
    CellRule("DRIVERS_LICENSE", r"[A-Za-z0-9][A-Za-z0-9 -]{4,19}", None, None, 0.2, numeric=True),
    CellRule("NATIONAL_ID", _ID_SHAPE, None, None, 0.05, numeric=True),
    CellRule(
        "GEO_COORDINATES", r"[(\[]?-?\d{1,2}\.\d{3,}(?: ?[,;] ?| )-?\d{1,3}\.\d{3,}[)\]]?", validators.coordinates
    ),
    CellRule("ADDRESS", ADDRESS, None, 0.3, header_share=ANY),
    CellRule("ADDRESS", r"(?:.*\p{L}.*\d.*|.*\d.*\p{L}.*)", None, None, header_share=0.3),
    CellRule("NAME", _NAME_SHAPE, lexicon.is_full_name, 0.25, min_distinct=10),
    CellRule("NAME", _NAME_SHAPE, lexicon.is_full_name, 0.75, header_share=None, min_distinct=3),  # a few people only
    CellRule("NAME", _NAME_SHAPE, None, share=None, header_share=0.3),
    CellRule("NAME", _NAME_SHAPE, lexicon.is_given_name, 0.7, header_share=None, min_distinct=20),
    CellRule("NAME", _NAME_SHAPE, lexicon.is_family_name, 0.7, header_share=None, min_distinct=30),
)  # fmt: skip
