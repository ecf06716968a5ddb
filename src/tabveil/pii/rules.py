"""What a cell of each kind looks like: pattern, validator, and the share of a column's cells that must comply.

A rule reads whole cells. Weak shapes (ten digits) need most of the column or a header that agrees; strong ones
(an e-mail address, an IBAN with its check digits) are found in a single cell. Order is precedence: a value belongs
to the first rule it satisfies.
"""

from __future__ import annotations

from dataclasses import dataclass

from tabveil.pii import checks, lexicon
from tabveil.pii.checks import Check
from tabveil.pii.shapes import MOST, Bounds

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
    bounds: Bounds = Bounds()
    folded: bool = False
    weak: bool = False


EMAIL = r"[\p{L}0-9._%+'-]+@[\p{L}0-9-]+(?:\.[\p{L}0-9-]+)*\.\p{L}{2,24}"
IBAN = r"[A-Za-z]{2}\d{2}(?: ?[A-Za-z0-9]){11,30}"
MAC = r"[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}"
MAC_DOTTED = r"[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}"
KEY_BEGIN = r"AKIA|ASIA|gh[pousr]_|xox[abprs]-|sk_(?:live|test)_|AIza|eyJ"
COOKIE = (
    r"[\w.-]{0,40}(?:[Ss][Ee][Ss][Ss]|[Ss][Ii][Dd]|[Aa]uth|[Tt]oken|[Cc]srf|JWT)[\w.-]{0,40}=[^;\s]{8,}(?:;.*)?"
    r"|[\w.-]{1,60}=[^;\s]{8,};.*(?i:httponly|samesite|max-age|secure).*"
)
MRZ = r"P[A-Z<][A-Z]{3}[A-Z0-9<]{39}(?:\s?[A-Z0-9<]{44})?"  # ICAO 9303, machine-readable zone of a passport
_INDIAN_STATES = "AN|AP|AR|AS|BR|CG|CH|DD|DL|DN|GA|GJ|HP|HR|JH|JK|KA|KL|LA|LD|MH|ML|MN|MP|MZ|NL|OD|OR|PB|PY|RJ|SK|TG|TN|TR|TS|UA|UK|UP|WB"
UK_LICENCE = r"(?i)[A-Z9]{5}\d(?:[05][1-9]|[16][0-2])(?:[0-2]\d|3[01])\d[A-Z9]{2}[A-Z0-9][A-Z]{2}"
INDIAN_LICENCE = rf"(?i:{_INDIAN_STATES})[ -]?\d{{2}}[ -]?(?:19|20)\d{{2}}[ -]?\d{{7}}"
_SERIAL = "[CFGHJKLMNPRTVWXYZcfghjklmnprtvwxyz0-9]{8}[0-9]?"
_PHONE = r"[+(]{0,2}\d[\d ()./-]{5,24}\d(?: ?(?:x|ext\.?) ?\d{1,6})?"
_SSN_WORDS = ("ssn", "social_security", "social_security_number", "socsec", "social_sec", "social_security_no")
KEYS = (
    r"(?:AKIA|ASIA)[A-Z0-9]{16}|gh[pousr]_[A-Za-z0-9]{36}|xox[abprs]-[A-Za-z0-9-]{10,}|sk_(?:live|test)_[A-Za-z0-9]{16,}"
    r"|AIza[A-Za-z0-9_-]{35}|eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"
)
GROUPED_CARD = r"\d{4}[ -]\d{4}[ -]\d{4}[ -]\d{1,7}|\d{4}[ -]\d{6}[ -]\d{5}"
NINO = r"(?i)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z](?: ?\d{2}){3} ?[A-D]"
PAN = r"(?i)[A-Z]{3}[ABCFGHLJPTK][A-Z]\d{4}[A-Z]"
POINT = r"[(\[]?-?\d{1,2}\.\d{3,}(?: ?[,;] ?| )-?\d{1,3}\.\d{3,}[)\]]?"
_NAME_SHAPE = r"[a-z][a-z'’.-]*(?:,? [a-z][a-z'’.-]*){0,6}"  # over folded text
_ID_SHAPE = r"[A-Za-z]{0,4}[ -]?\d[A-Za-z0-9 ./-]{3,24}|[A-Za-z0-9]{6,20}"
_EN_STREET = (  # USPS Publication 28 suffixes, singular and plural
    r"(?:street|st|avenue|ave|road|rd|boulevard|blvd|lane|ln|drive|dr|court|ct|place|pl|square|terrace|way|parkway|pkwy|"
    r"highway|hwy|circle|trail|crescent|close|mews|apt|suite|unit|manor|station|ville|plaza|isle|heights|alley|branch|"
    r"bridge|brook|burg|bypass|camp|canyon|cape|causeway|center|cliff|club|common|corner|course|cove|creek|crest|crossing|"
    r"crossroad|curve|dale|dam|divide|estate|expressway|extension|fall|ferry|field|flat|ford|forest|forge|fork|fort|"
    r"freeway|garden|gateway|glen|green|grove|harbor|haven|hill|hollow|inlet|island|junction|key|knoll|lake|land|landing|"
    r"light|loaf|lock|lodge|loop|mall|meadow|mill|mission|motorway|mount|mountain|neck|orchard|oval|overpass|park|pass|"
    r"passage|path|pike|pine|plain|point|port|prairie|radial|ramp|ranch|rapid|rest|ridge|river|route|row|rue|run|shoal|"
    r"shore|skyway|spring|spur|stravenue|stream|summit|throughway|trace|track|trafficway|tunnel|turnpike|underpass|union|"
    r"valley|via|viaduct|view|village|vista|walk|wall|well)(?:s|es)?"
)
# street words of other languages, before or behind the name (de, vi, fr, es, it, pt, nl, pl, sv, en_IN), folded
_BEHIND = r"strasse|str\.|weg|platz|allee|gasse|ring|damm|ufer|chaussee|straat|laan|gracht|kade|plein|gatan|vagen"
_BEFORE = (
    r"rue|avenue|boulevard|bd|chemin|impasse|allee|place|quai|cours|route de|calle|c/|avenida|avda\.?|av\.|paseo|plaza|"
    r"camino|ronda|carrer|cuesta|glorieta|pasaje|acceso|alameda|callejon|canada|rambla|urbanizacion|vial|via|viale|piazza|"
    r"corso|largo|vicolo|strada|contrada|borgo|rua|travessa|praca|ul\.|ulica|al\.|aleja|plac|os\."
)
_VIETNAMESE = r"duong|pho|ngo|ngach|hem|khom|to|thon|ap|day|khu"
_INDIAN = r"nagar|marg|chowk|colony|society|layout|ganj|road|street|path|circle|zila"
_NUMBER = r"\d{1,5}(?:[ /-]?[a-z])?(?:[/-]\d{1,4})?"
_REST = r"[^@:;!?]*"
ADDRESS = "|".join(  # over folded text
    (
        rf"\d{{1,6}}[a-z]? [a-z0-9 .,'-]*\b{_EN_STREET}\b{_REST}",
        rf"[a-z0-9 .,'-]*\d[a-z0-9 .,'-]* {_EN_STREET},? {_REST}",
        rf"[a-z .-]*(?:{_BEHIND}) ?{_NUMBER}\b{_REST}",
        rf"(?:so |so nha |ngo |hem )?[\d/]+[a-z]? ?,? ?(?:{_VIETNAMESE})\b{_REST}",
        r"so [\d/]+[a-z]?\b.*",
        r"\d{1,4}(?:/\d{1,4})+ [a-z]+(?: [a-z]+){1,3}",
        rf"(?:\d{{1,5}}(?: bis| ter)?,? )?(?:{_BEFORE}) [a-z '.-]+(?:\d.*)?",
        rf"(?:h\.? ?no\.? ?|flat |plot )?\d{{1,5}}(?:/\d{{1,4}})?[ ,]+[a-z .,'-]*\b(?:{_INDIAN})\b{_REST}",
        r"[a-z][a-z .'-]+,? \d{1,4} ?[a-z]?(?:/\d{1,3})?,? \d{4,6} [a-z][a-z .'()/-]+",  # street 12, 12345 town
    )
)
# letters, a number, a comma and a postcode: an address in some language, if most of a column reads so
_SEVERAL_LINES = r"[^@:;]*\d[^@:;]*[a-z]{3}[^@:;]*(?:[ ,-]\d{4,6}\b|\b[a-z]{1,2}\d[a-z0-9]? ?\d[a-z]{2}\b)[^@:;]*"

CELL_RULES: tuple[CellRule, ...] = (
    CellRule("EMAIL_ADDRESS", EMAIL, share=ANY, needs="@", bounds=Bounds(size=(6, 320), letters=(3, MOST))),
    CellRule("CREDENTIALS", KEYS, share=ANY, bounds=Bounds(size=(14, MOST), letters=(6, MOST))),
    CellRule("CREDENTIALS", COOKIE, share=ANY, needs="=", bounds=Bounds(size=(10, MOST))),
    CellRule("CREDENTIALS", r"\S{12,}", checks.secret, share=None, header_share=0.2, bounds=Bounds(size=(12, MOST))),
    CellRule("CREDENTIALS", r"[A-Za-z0-9_+/-]{24,}={0,2}", checks.random_token, 0.9, None, min_distinct=20, bounds=Bounds(size=(24, MOST), digits=(1, MOST), letters=(4, MOST))),
    CellRule("BANK_ACCOUNT_NUMBER", IBAN, checks.iban, share=ANY, bounds=Bounds(size=(15, 42), digits=(2, MOST), letters=(2, MOST))),
    CellRule("MAC_ADDRESS", MAC, share=ANY, bounds=Bounds(size=(17, 17))),
    CellRule("MAC_ADDRESS", MAC_DOTTED, needs=".", bounds=Bounds(size=(14, 14))),
    CellRule("IP_ADDRESS", r"(?:\d{1,3}\.){3}\d{1,3}", checks.ip, needs=".", bounds=Bounds(size=(7, 15), digits=(4, 12), letters=(0, 0))),
    CellRule("IP_ADDRESS", r"[0-9A-Fa-f:]*:[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*", checks.ip, needs=":"),
    CellRule("CREDIT_CARD_NUMBER", GROUPED_CARD, checks.card, ANY, bounds=Bounds(size=(16, 23), digits=(13, 19), letters=(0, 0))),
    CellRule("CREDIT_CARD_NUMBER", r"\d{12,19}", checks.card, numeric=True, alike=True, min_distinct=3, bounds=Bounds(size=(12, 19), digits=(12, 19), letters=(0, 0))),
    CellRule("CREDIT_CARD_NUMBER", r"\d(?:[ -]?\d){10,18}", checks.luhn, None, 0.02, numeric=True, bounds=Bounds(digits=(11, 19), letters=(0, 0))),
    CellRule("USA_SOCIAL_SECURITY_NUMBER", r"\d{3}-\d{2}-\d{4}", checks.us_ssn, share=ANY, needs="-", bounds=Bounds(size=(11, 11), digits=(9, 9))),
    CellRule("USA_SOCIAL_SECURITY_NUMBER", r"\d{3} \d{2} \d{4}", checks.us_ssn, needs=" ", bounds=Bounds(size=(11, 11), digits=(9, 9))),
    CellRule("USA_SOCIAL_SECURITY_NUMBER", r"\d{9}", checks.us_ssn, share=None, numeric=True, words=_SSN_WORDS, bounds=Bounds(size=(9, 9), digits=(9, 9))),
    CellRule("USA_INDIVIDUAL_TAX_IDENTIFICATION_NUMBER", r"9\d{2}-\d{2}-\d{4}", checks.us_itin, share=ANY, needs="-", bounds=Bounds(size=(11, 11), digits=(9, 9))),
    CellRule(
        "FRANCE_NATIONAL_IDENTIFICATION_NUMBER", r"[12][0-9ABab ]{12,20}", checks.fr_nir, 0.5, numeric=True,
        alike=True, min_distinct=3, bounds=Bounds(size=(13, 21), digits=(13, 15), letters=(0, 2)),
    ),
    CellRule(
        "GERMANY_TAX_IDENTIFICATION_NUMBER", r"[1-9]\d(?: ?\d{3}){3}", checks.de_tax_id, 0.6, 0.02, numeric=True,
        alike=True, min_distinct=5, bounds=Bounds(size=(11, 14), digits=(11, 11), letters=(0, 0)),
    ),
    CellRule(
        "SPAIN_DNI_NUMBER", r"(?:\d{8}|[XYZxyz]-?\d{7})-?[A-Za-z]", checks.es_dni, 0.6, 0.02, alike=True, min_distinct=5, bounds=Bounds(size=(9, 11), digits=(7, 8), letters=(1, 2)),
    ),
    CellRule("UK_NATIONAL_INSURANCE_NUMBER", NINO, None, 0.5, 0.02, min_distinct=3, bounds=Bounds(size=(9, 13), digits=(6, 6), letters=(3, 3))),
    CellRule("INDIA_PERMANENT_ACCOUNT_NUMBER", PAN, None, 0.5, 0.02, min_distinct=3, bounds=Bounds(size=(10, 10), digits=(4, 4), letters=(6, 6))),
    CellRule("VIETNAM_CITIZEN_ID", r"0\d{11}", checks.vn_citizen_id, 0.8, alike=True, min_distinct=5, bounds=Bounds(size=(12, 12), digits=(12, 12))),
    CellRule(
        "INDIA_AADHAAR_NUMBER", r"[2-9]\d{3} ?\d{4} ?\d{4}", checks.in_aadhaar, 0.8, 0.02, numeric=True, alike=True,
        min_distinct=5, bounds=Bounds(size=(12, 14), digits=(12, 12)),
    ),
    CellRule(
        "VIETNAM_TAX_CODE", r"\d{10}(?:-?\d{3})?", checks.vn_tax_code, 0.6, 0.02, numeric=True, alike=True, min_distinct=8, bounds=Bounds(size=(10, 14), digits=(10, 13), letters=(0, 0)),
    ),
    CellRule("PHONE_NUMBER", _PHONE, checks.phone, 0.4, bounds=Bounds(size=(7, 40), digits=(7, 28), letters=(0, 3))),
    CellRule("PHONE_NUMBER", r"\+\d[\d ()./-]{6,24}\d", checks.phone, ANY, needs="+", min_distinct=2, bounds=Bounds(size=(9, 30), digits=(8, 28), letters=(0, 0))),
    CellRule("PHONE_NUMBER", r"\d{9,10}", checks.phone_bare, 0.9, None, numeric=True, min_distinct=30, bounds=Bounds(size=(9, 10), digits=(9, 10))),
    CellRule("PHONE_NUMBER", _PHONE, checks.phone_digits, share=None, numeric=True, bounds=Bounds(size=(7, 40), digits=(7, 28), letters=(0, 3))),
    CellRule("NATIONAL_ID", "[LMNPRTVWXYlmnprtvwxy]" + _SERIAL, checks.german_serial, 0.6, None, min_distinct=10, bounds=Bounds(size=(9, 10), digits=(1, 8), letters=(3, 9))),
    CellRule("PASSPORT_NUMBER", "[CFGHJKcfghjk]" + _SERIAL, checks.german_serial, 0.6, None, min_distinct=10, bounds=Bounds(size=(9, 10), digits=(1, 8), letters=(3, 9))),
    CellRule("PASSPORT_NUMBER", MRZ, None, ANY, needs="<", bounds=Bounds(size=(44, 90))),
    CellRule("DRIVERS_LICENSE", UK_LICENCE, None, 0.5, None, min_distinct=3, bounds=Bounds(size=(16, 16), digits=(6, 11), letters=(4, 10))),
    CellRule("DRIVERS_LICENSE", INDIAN_LICENCE, None, 0.5, None, min_distinct=3, bounds=Bounds(size=(15, 19), digits=(13, 13), letters=(2, 2))),
    CellRule("BANK_ACCOUNT_NUMBER", r"\d{2}-\d{2}-\d{2} \d{8}", None, 0.5, None, needs="-", min_distinct=5, bounds=Bounds(size=(17, 17), digits=(14, 14))),
    CellRule(
        "BANK_ACCOUNT_NUMBER", r"\d{4}[ -]?\d{4}[ -]?\d{2}[ -]?\d{10}", checks.es_account, 0.5, None, numeric=True,
        alike=True, min_distinct=3, bounds=Bounds(size=(20, 23), digits=(20, 20)),
    ),
    CellRule(
        "BANK_ACCOUNT_NUMBER", r"\d{5} ?\d{5} ?[0-9A-Za-z]{11} ?\d{2}", checks.fr_account, 0.5, None, numeric=True,
        alike=True, min_distinct=3, bounds=Bounds(size=(23, 26), digits=(12, 23), letters=(0, 11)),
    ),
    CellRule("BANK_ACCOUNT_NUMBER", r"[A-Za-z]{0,4}\d[\d -]{4,33}", share=None, header_share=0.05, numeric=True, bounds=Bounds(digits=(2, 38), letters=(0, 4))),
    CellRule("PASSPORT_NUMBER", r"[A-Za-z]{0,3}\d{5,10}[A-Za-z]?|[CFGHJKcfghjk]" + _SERIAL, None, None, 0.05, numeric=True),
    CellRule("DRIVERS_LICENSE", r"[A-Za-z0-9][A-Za-z0-9 -]{4,19}", None, None, 0.2, numeric=True),
    CellRule("NATIONAL_ID", _ID_SHAPE, None, None, 0.05, numeric=True),
    CellRule("GEO_COORDINATES", POINT, checks.coordinates, needs=".", bounds=Bounds(digits=(8, MOST), letters=(0, 0))),
    CellRule("GEO_COORDINATES", r"-?\d{1,3}\.\d{3,}", None, None, 0.3, needs=".", bounds=Bounds(digits=(4, MOST), letters=(0, 0))),
    CellRule("ADDRESS", ADDRESS, None, 0.3, header_share=ANY, weak=True, folded=True, min_distinct=3, bounds=Bounds(size=(6, 250), letters=(3, MOST))),
    CellRule("ADDRESS", _SEVERAL_LINES, None, 0.7, None, weak=True, folded=True, min_distinct=10, needs=",", bounds=Bounds(size=(10, 250), digits=(4, MOST), letters=(5, MOST))),
    CellRule("ADDRESS", r"(?:.*\p{L}.*\d.*|.*\d.*\p{L}.*)", None, None, header_share=0.3),
    CellRule("NAME", _NAME_SHAPE, lexicon.full_names, 0.25, min_distinct=10, weak=True, folded=True, bounds=Bounds(size=(2, 90), digits=(0, 0), letters=(2, MOST))),
    CellRule("NAME", _NAME_SHAPE, lexicon.full_names, 0.75, None, min_distinct=3, weak=True, folded=True, bounds=Bounds(size=(2, 90), digits=(0, 0), letters=(2, MOST))),  # a few people only
    CellRule("NAME", _NAME_SHAPE, None, share=None, header_share=0.3, folded=True, bounds=Bounds(size=(2, 90), digits=(0, 0), letters=(2, MOST))),
    CellRule("NAME", _NAME_SHAPE, lexicon.given_only, 0.6, None, min_distinct=20, weak=True, folded=True, bounds=Bounds(size=(2, 90), digits=(0, 0), letters=(2, MOST))),
    CellRule("NAME", _NAME_SHAPE, lexicon.family_only, 0.6, None, min_distinct=30, weak=True, folded=True, bounds=Bounds(size=(2, 90), digits=(0, 0), letters=(2, MOST))),
    CellRule(
        "NAME", _NAME_SHAPE, lexicon.given_only, 0.9, None, min_distinct=8, weak=True, folded=True,
        bounds=Bounds(size=(2, 90), digits=(0, 0), letters=(2, MOST)),
    ),
    CellRule(
        "NAME", _NAME_SHAPE, lexicon.family_only, 0.9, None, min_distinct=15, weak=True, folded=True,
        bounds=Bounds(size=(2, 90), digits=(0, 0), letters=(2, MOST)),
    ),
)  # fmt: skip
