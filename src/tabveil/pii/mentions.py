"""Personal data mentioned inside text: where exactly, so that it can be counted and redacted.

A `Mention` pairs a vectorised prefilter (Rust regex, over all distinct values) with an exact finder (Python, over
the few values that pass). Finders look at context: a number is a card number because of its check digit and
issuer *and* because it is written in groups, stands beside a word that says so, or most such numbers in the
column comply.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import polars as pl

from tabveil.pii import lexicon, patterns, validators
from tabveil.pii.checks import Check, Hits, matches
from tabveil.pii.shapes import ANY_SHAPE, MOST, Bounds

Finder = Callable[[str], Iterator["Span"]]


@dataclass(frozen=True)
class Span:
    """A mention in one text: its place, and whether form or context vouch for it."""

    type: str
    start: int
    end: int
    certain: bool = True


@dataclass(frozen=True)
class Mention:
    """How one PII type is found inside text."""

    type: str
    prefilter: str
    find: Finder
    anywhere: bool = False  # also in cells that are no sentence (an id, a code)
    needs: tuple[str, ...] = ("",)  # characters of which one group must occur in the column
    bounds: Bounds = ANY_SHAPE
    sieve: Check | None = None  # a second, costlier prefilter over the values that pass the first


_BEFORE, _AFTER = r"(?<![\w@.+/-])", r"(?![\w@-]|[.,/]\d)"


def _pattern(type_: str, pattern: str, check: Callable[[str], bool] | None = None) -> Finder:
    compiled = re.compile(_BEFORE + "(?:" + pattern + ")" + _AFTER)

    def find(text: str) -> Iterator[Span]:
        for match in compiled.finditer(text):
            if check is None or check(match.group()):
                yield Span(type_, match.start(), match.end())

    return find


_DOMAIN = r"[\w-]{1,63}(?:\.[\w-]{1,63}){0,8}\.[^\W\d_]{2,24}"
_EMAIL = re.compile(  # the bounds make it linear in time
    rf"""(?:[\w.%+'-]{{1,64}}|"[^"@\r\n]{{1,62}}")(?:(?:@|%40){_DOMAIN}| @ (?=[^\W\d_]){_DOMAIN})"""
)
_CARD = re.compile(r"(?<![\w.-])\d(?:[ -]?\d){11,18}(?![\w-]|[.,]\d)")
LEAST_UNSURE_DIGITS = 8
_PLAIN_NUMBER = re.compile(r"(?<![\w.,/@-])\d{8,15}(?![\w@-]|[.,/]\d)")
_CARD_WORDS = re.compile(
    r"(?i)\b(?:card|visa|master ?card|amex|american express|karte\w*|kreditkarte\w*|carte|tarjeta|thẻ|"
    r"the tin dung|pan|cc)\b"
)
_PHONE = re.compile(r"(?<![\w.,/@-])(?:\+|00|\()?\d[\d ()./-]{5,20}\d(?: ?(?:x|ext\.?) ?\d{1,6}\b)?(?![\w@-]|[.,]\d)")
_WHOLE_PHONE = re.compile(patterns.PHONE)
_PHONE_WORDS = re.compile(
    r"(?i)(?:\b(?:phone|telephone|tel|mobile|cell|call(?:ed|s)?|calling|reach(?:ed|able)?|dial|ring|text(?:ed)?|sms|fax|whatsapp|"
    r"zalo|contact|new number|neue nummer|telefon\w*|handy|mobil\w*|anruf\w*|rufnummer|tél|portable|appel\w*|"
    r"móvil|teléfono|llam\w+|"
    r"sđt|sdt|điện thoại|dien thoai|gọi|goi|liên hệ|số máy)\b|☎|📞)[^\d+]{0,25}$"
)
_ID_TYPES: tuple[tuple[str, str], ...] = (  # words beside a number -> its type; first match counts
    (r"ssn|social security(?: number)?", "USA_SOCIAL_SECURITY_NUMBER"),
    (r"itin", "USA_INDIVIDUAL_TAX_IDENTIFICATION_NUMBER"),
    (r"passport|reisepass|passeport|pasaporte|hộ chiếu|ho chieu", "PASSPORT_NUMBER"),
    (r"driver'?s? licen[cs]e|driving licen[cs]e|führerschein|permis de conduire|carnet de conducir|"
     r"permiso de conducir|gplx|bằng lái", "DRIVERS_LICENSE"),
    (r"steuer-?id(?:entifikationsnummer)?|steuernummer", "GERMANY_TAX_IDENTIFICATION_NUMBER"),
    (r"nino|national insurance", "UK_NATIONAL_INSURANCE_NUMBER"),
    (r"aadhaar|aadhar", "INDIA_AADHAAR_NUMBER"),
    (r"dni|nie|nif", "SPAIN_DNI_NUMBER"),
    (r"numéro de sécurité sociale|sécurité sociale|sécu|nir", "FRANCE_NATIONAL_IDENTIFICATION_NUMBER"),
    (r"mã số thuế|ma so thue|mst", "VIETNAM_TAX_CODE"),
    (r"national id|id card|id number|identity card|cccd|cmnd|căn cước(?: công dân)?|can cuoc|chứng minh(?: nhân dân)?|"
     r"personalausweis|ausweis|tax id|carte d'identité", "NATIONAL_ID"),
)  # fmt: skip
_ID_WORD = "|".join(words for words, _ in _ID_TYPES)
_ID_WORDS = re.compile(
    rf"\b((?i:{_ID_WORD}))"
    r"(?i:[- ]?(?:no|nr|number|nummer|numéro|número|số|id)\b)?[.:#]? ?(?i:is |ist |est |es |là |: ?)?"
    r"((?=[A-Z0-9 -]*\d)[A-Z0-9](?:[ -]?[A-Z0-9]){5,17})\b"
)
_ACCOUNT = re.compile(
    r"(?i)\b(?:account|acct|a/c|konto(?:nummer)?|compte|cuenta|tài khoản|tai khoan|stk)"
    r"(?: (?:no|nr|number|numéro|número|số)\b)?[.:#]? ?"
    r"(?:is |ist |là )?(\d(?:[ -]?\d){7,17})\b"
)
_BORN = re.compile(
    r"(?i)\b(?:born(?: on)?|dob|date of birth|birth ?date|geboren(?: am)?|geb\.|née? le|nacid[oa] el|sinh ngày|"
    r"ngày sinh|ngay sinh)[: ]{1,3}(\d{4}-\d{2}-\d{2}|\d{1,2}[./-]\d{1,2}[./-]\d{2,4}|"
    r"\d{1,2} \w{3,9} \d{4}|\w{3,9} \d{1,2},? \d{4})"
)
_SECRET_WORD = re.compile(
    r"(?i)\b(?:password|passwd|pwd|passwort|secret|api[_ -]?key|token|mật khẩu)\b(?: is)? ?[:=] ?(\S{6,})"
)
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")
_KEYS = re.compile(r"(?<![\w-])(?:" + patterns.KEYS + r")(?![\w-])")
_STREET = re.compile(
    r"(?<![\w.])\d{1,6}[A-Za-z]? (?:[NSEW]\.? )?(?:[A-Z][\w'.-]+ ){1,3}"
    r"(?:Streets?|St|Avenue|Ave|Roads?|Rd|Boulevard|Blvd|Lanes?|Ln|Drives?|Dr|Court|Ct|Square|Terrace|Parkway|Highway|"
    r"Crescent|Close|Way|Gardens?|Mews)\b\.?"
    r"|\b[A-ZÄÖÜ][\w.-]*(?:straße|strasse|str\.|weg|allee|gasse|platz|damm|ufer|ring|straat|laan)\s\d{1,4}(?!\d)[a-z]?\b"
    r"|\b[A-ZÄÖÜ][\w.-]*-(?:Straße|Str\.|Weg|Allee|Gasse|Platz|Damm|Ufer|Ring)\s\d{1,4}(?!\d)[a-z]?\b"
    r"|\b(?:số|Số) \d{1,6}[\w/]{0,12},? (?:đường|phố|ngõ|ngách|hẻm) (?:[A-ZĐÀ-Ỹ]\w+ ?){1,4}"
    r"|\b\d{1,6}[\w/]{0,12},? (?:đường|phố) (?:[A-ZĐÀ-Ỹ]\w+ ?){1,4}"
    r"|\b\d{1,5}(?: bis| ter)?,? (?:rue|avenue|boulevard|chemin|impasse|allée|place|quai)(?: [\w'’-]{2,}){1,4}"
    r"|\b(?:rue|avenue|boulevard|chemin|impasse) (?:d[eu']s? ?|la |le |l')*[A-ZÀ-Ý][\w'’-]+"
    r"|\b(?:[Cc]alle|[Aa]venida|[Aa]vda\.?|[Pp]aseo|[Pp]laza|[Cc]amino|[Rr]onda|[Vv]ia|[Vv]iale|[Pp]iazza|[Cc]orso|[Rr]ua)"
    r"(?: (?:de|del|della|la|los|las|da|do))*(?: [A-ZÀ-Ý][\w'’.-]+){1,4},? (?:n[º°.]? ?)?\d{1,4}\b"
)
_STREET_FILTER = (  # lets pass whatever `_STREET` could match
    r"\d{1,6}[A-Za-z]? (?:[NSEW]\.? )?(?:[A-Z][\w'.-]+ )+[A-Z]|(?i:straße|strasse|str\.|weg|allee|"
    r"gasse|platz|damm|ufer|ring|"
    r"straat|laan)\s\d|(?i:đường|phố|ngõ|ngách|hẻm) |(?:rue|avenue|boulevard|chemin|impasse|allée|place|quai) |"
    r"(?i:\b(?:calle|avenida|avda|paseo|plaza|camino|ronda|via|viale|piazza|corso|rua)\b).*\d"
)
_CAPITALISED = rf"[{lexicon.UPPER}][^\W\d_]*(?:['’-][^\W\d_]+)*"
_NAME_RUN = re.compile(rf"\b{_CAPITALISED}(?: {_CAPITALISED}){{1,4}}")
_AFTER_TITLE = (
    rf"\.? (?:Dr\.? |Prof\.? )?(?!(?:The|Der|Die|Das)\b)"
    rf"((?:v[ao]n |de[rn]? |la )*{_CAPITALISED}(?: {_CAPITALISED}){{0,3}})"
)
_FIRM_NEAR = 20  # characters behind a name in which a legal form makes it a firm's
_FIRM = re.compile(
    r"\b(?:GmbH|AG|KG|KGaA|OHG|GbR|e\.\s?V|mbH|Inc|LLC|LLP|Ltd|Limited|PLC|Corp|S\.A|SARL|S\.A\.R\.L|SAS|S\.L|S\.p\.A|"
    r"S\.r\.l|Stiftung|Group|Holding|Bank|Sons|Associates|Partners|et Fils|y Asociados|Công [Tt]y|công ty|TNHH|"
    r"Tập [Đđ]oàn|Doanh nghiệp)\b| & |, [A-Z]\w+ (?:and|und|et|y) [A-Z]"
)
_TITLED = re.compile(r"\b(?:[Mm]rs?|MRS?|Herrn?|Frau|Mme|Mlle|Monsieur|Madame|Señora?|Sra)" + _AFTER_TITLE)
_MAYBE_TITLED = re.compile(
    r"\b(?:[Mm]s|MS|[Mm]iss|Hr|Fr|Sr|[DĐ]r|Prof|[Ôô]ng|[Bb]à|[Aa]nh|[Cc]hị|[Cc]ô|[Cc]hú|[Kk]hách hàng|KH)"
    + _AFTER_TITLE
)
_VERBED = re.compile(
    r"(?i:\b(?:contact(?:ed)?|call(?:ed|s)?(?: from| by| with)?|spoke (?:to|with)|talked (?:to|with)|met(?: with)?|"
    r"emailed|reach(?:ed)?|ask(?:ed)?(?: for)?|customer|client|borrower|applicant|spouse|wife|husband|guarantor|"
    r"co-?signer|per|signed by|referred by|name is|named|behalf of|attn|regards|kunde|kundin|ehemann|ehefrau|"
    r"gesprochen mit|telefonat mit|anruf von|rückruf(?: an| bei)?|client|cliente|llamó a|appelé|liên hệ|"
    r"gọi(?: cho)?|gặp|vợ|chồng|tên(?: là)?)\b:? )"
    rf"({_CAPITALISED}(?: {_CAPITALISED}){{0,4}})"
)
_VERBED_LOWER = re.compile(
    r"(?i)\b(?:contact(?:ed)?|called|call from|spoke (?:to|with)|met with|customer|client|borrower|name is|"
    r"on behalf of|mrs?\.?|ms\.?)"
    r" ([a-z]{2,}(?:-[a-z]+)? [a-z]{2,})\b"
)


def _email(text: str) -> Iterator[Span]:
    for match in _EMAIL.finditer(text):
        yield Span("EMAIL_ADDRESS", match.start(), match.end())


def _card(text: str) -> Iterator[Span]:
    for match in _CARD.finditer(text):
        if validators.card(match.group()):
            grouped = re.fullmatch(r"\d{4}[ -]\d{4}[ -]\d{4}[ -]\d{1,7}|\d{4}[ -]\d{6}[ -]\d{5}", match.group())
            certain = bool(grouped) or bool(_CARD_WORDS.search(text[max(0, match.start() - 40) : match.end() + 20]))
            yield Span("CREDIT_CARD_NUMBER", match.start(), match.end(), certain)


def unchecked(type_: str, text: str) -> int:
    """Digit runs that could be a card or phone number before any check."""
    pattern = _CARD if type_ == "CREDIT_CARD_NUMBER" else _PLAIN_NUMBER
    return sum(1 for _ in pattern.finditer(text))


def _phone(text: str) -> Iterator[Span]:
    """Certain by a word beside it or by its form; digits alone (a contract may have them) only if the column agrees."""
    whole = _WHOLE_PHONE.fullmatch(text)
    for match in [whole] if whole else _PHONE.finditer(text):
        number, named = match.group(), bool(_PHONE_WORDS.search(text[max(0, match.start() - 60) : match.start()]))
        length = len(validators.digits(re.sub(r"(?i) ?(?:x|ext).*", "", number)))
        if not 7 <= length <= 15:
            continue
        if validators.phone(number) or (named and validators.phone_digits(number)):
            yield Span("PHONE_NUMBER", match.start(), match.end(), certain=named or not number.isdigit())


def _iban(text: str) -> Iterator[Span]:
    for match in re.finditer(rf"(?<![\w-]){patterns.IBAN}(?![\w-])", text):
        end = _longest_iban(match.group())
        if end:
            yield Span("BANK_ACCOUNT_NUMBER", match.start(), match.start() + end)
    for match in _ACCOUNT.finditer(text):
        yield Span("BANK_ACCOUNT_NUMBER", match.start(1), match.end(1))


def _longest_iban(text: str) -> int:
    """Length of the longest beginning that is an IBAN (words may follow it), or 0."""
    ends = [i for i in range(15, len(text) + 1) if i == len(text) or text[i] == " "]
    return next((end for end in reversed(ends) if validators.iban(text[:end])), 0)


def _identity(text: str) -> Iterator[Span]:
    """Numbers beside a word that says what they are, then numbers that say it themselves."""
    for match in _ID_WORDS.finditer(text):
        word = match.group(1).lower()
        type_ = next(kind for words, kind in _ID_TYPES if re.fullmatch(words, word))
        yield Span(type_, match.start(2), match.end(2))
    for find in _FORMS:
        yield from find(text)


def _born(text: str) -> Iterator[Span]:
    for match in _BORN.finditer(text):
        yield Span("DATE_OF_BIRTH", match.start(1), match.end(1))


def _credentials(text: str) -> Iterator[Span]:
    for pattern in (_KEYS, _PRIVATE_KEY):
        for match in pattern.finditer(text):
            yield Span("CREDENTIALS", match.start(), match.end())
    for match in _SECRET_WORD.finditer(text):
        yield Span("CREDENTIALS", match.start(1), match.end(1))


def _address(text: str) -> Iterator[Span]:
    for match in _STREET.finditer(text):
        yield Span("ADDRESS", match.start(), match.end())


def _name(text: str) -> Iterator[Span]:
    """Names by context and by lexicon; overlapping ones are one span."""
    merged: list[Span] = []
    for span in sorted(_named_spans(text), key=lambda span: span.start):
        if merged and span.start < merged[-1].end:
            merged[-1] = Span("NAME", merged[-1].start, max(span.end, merged[-1].end))
        else:
            merged.append(span)
    yield from merged


def _named_spans(text: str) -> Iterator[Span]:
    """By a title; by a title, verb or role and a known name; in lower case; by known given and family name.

    Or the whole text, in any order of names.
    """
    if lexicon.is_written_as_name(text) and lexicon.is_full_name(text) and not _FIRM.search(text):
        yield Span("NAME", 0, len(text))
    for match in _TITLED.finditer(text):
        yield Span("NAME", match.start(1), match.end(1))
    for match in (*_MAYBE_TITLED.finditer(text), *_VERBED.finditer(text)):
        if lexicon.holds_name(match.group(1)) or lexicon.is_full_name(match.group(1), announced=True):
            yield Span("NAME", match.start(1), match.end(1))
    for match in _VERBED_LOWER.finditer(text):
        if lexicon.is_full_name(match.group(1)):
            yield Span("NAME", match.start(1), match.end(1))
    for match in _NAME_RUN.finditer(text):
        yield from _known_names(match)


def _known_names(run: re.Match[str]) -> Iterator[Span]:
    """The first known full name inside a run of capitalised words, and what follows it in the run.

    ``Thursday Anna Schmidt`` holds one. What follows is taken along (a second family name, a rarer given name).
    """
    if lexicon.names_institution(run.group()) or _FIRM.search(run.string[run.start() : run.end() + _FIRM_NEAR]):
        return
    words = list(re.finditer(r"\S+", run.group()))
    for first in range(len(words) - 1):
        for last in range(len(words) - 1, first, -1):
            if lexicon.is_full_name(run.group()[words[first].start() : words[last].end()]):
                yield Span("NAME", run.start() + words[first].start(), run.end())
                return


_SSN, _ITIN = r"\d{3}-\d{2}-\d{4}", r"9\d{2}-\d{2}-\d{4}"
_FORMS: tuple[Finder, ...] = (  # ids whose form and check digits suffice in a text
    _pattern("USA_INDIVIDUAL_TAX_IDENTIFICATION_NUMBER", _ITIN, validators.us_itin),
    _pattern("UK_NATIONAL_INSURANCE_NUMBER", r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z](?: ?\d{2}){3} ?[A-D]"),
    _pattern("SPAIN_DNI_NUMBER", r"(?:\d{8}|[XYZ]-?\d{7})-?[A-HJ-NP-TV-Z]", validators.es_dni),
    _pattern("INDIA_PERMANENT_ACCOUNT_NUMBER", r"[A-Z]{3}[ABCFGHLJPTK][A-Z]\d{4}[A-Z]", validators.in_pan),
    _pattern("INDIA_AADHAAR_NUMBER", r"[2-9]\d{3} \d{4} \d{4}", validators.in_aadhaar),
    _pattern(
        "FRANCE_NATIONAL_IDENTIFICATION_NUMBER", r"[12] ?\d{2} ?\d{2} ?\d[\dAB] ?\d{3} ?\d{3} ?\d{2}", validators.fr_nir
    ),
    _pattern("DRIVERS_LICENSE", patterns.UK_LICENCE.removeprefix("(?i)")),
    _pattern("PASSPORT_NUMBER", patterns.MRZ),
)
_FORM_FILTER = (
    r"9\d{2}-\d{2}-|[A-Z]{2}(?: ?\d{2}){3} ?[A-D]|\d{7}-?[A-Z]|[A-Z]{5}\d{4}[A-Z]|[2-9]\d{3} \d{4} \d{4}|"
    r"[12] ?\d{2} ?\d{2} ?\d[\dAB] ?\d{3} ?\d{3}|[A-Z9]{5}\d{6}[A-Z9]{2}|P[A-Z<][A-Z]{3}[A-Z<]{20}"
)
_POINT = r"-?\d{1,2}\.\d{4,}(?: ?[,;] ?| )-?\d{1,3}\.\d{4,}"
_DATES = r"\b(?:\d{1,2}[./-]\d{1,2}[./-]\d{4}|\d{4}-\d{1,2}-\d{1,2})\b"
_PHONE_FORM = (  # what `validators.phone` needs
    r"\+\d|(?:^|[^\w.,/@-])\(?0[ ()./-]{0,3}\d(?:[ ()./-]{0,3}\d){5}|[2-9]\d{2}\)?[ .-]{0,2}[2-9]\d{2}[ .-]\d{4}"
)
_PHONE_WORD = (
    r"(?i)\b(?:phone|tel|mobile|cell|call|reach|dial|ring|text|sms|fax|whatsapp|zalo|contact|number|telefon|handy|mobil|"
    r"anruf|rufnummer|tél|portable|appel|móvil|teléfono|llam|sđt|sdt|điện thoại|dien thoai|gọi|goi|liên hệ|số)|☎|📞"
)
_NAME_WORD = (
    r"(?i)\b(?:mrs?|ms|miss|herrn?|frau|hr|fr|sr|sra|señora?|mme|mlle|monsieur|madame|dr|đr|prof|ông|bà|anh|chị|cô|chú|"
    r"khách hàng|kh|contact(?:ed)?|call(?:ed|s)?|spoke|talked|met|emailed|reach(?:ed)?|ask(?:ed)?|customer|client|"
    r"borrower|applicant|spouse|wife|husband|guarantor|co-?signer|per|signed|referred|name|named|behalf|attn|regards|"
    r"kunde|kundin|ehemann|ehefrau|gesprochen|telefonat|anruf|rückruf|cliente|llamó|appelé|liên hệ|gọi|gặp|vợ|chồng|"
    r"tên)\b"
)
_TITLE_WORD = r"(?:[Mm]rs?|MRS?|Herrn?|Frau|Mme|Mlle|Monsieur|Madame|Señora?|Sra)\.? "
_TWO_CAPITALS = r"\p{Lu}[\p{L}\p{M}'’-]*,? \p{Lu}\p{L}"


def _phone_sieve(texts: pl.Series) -> Hits:
    """Texts in which some digits, no date, have a phone number's form, or a word speaks of one."""
    return matches(texts.str.replace_all(_DATES, "#"), _PHONE_FORM) | matches(texts, _PHONE_WORD)


def _name_sieve(texts: pl.Series) -> Hits:
    """Texts with a title, or with known names among their words: capitalised, or any where a word announces one."""
    capitals = texts.str.extract_all(r"\p{Lu}[\p{L}\p{M}]+")
    return (
        matches(texts, _TITLE_WORD)
        | lexicon.hold_full_name(capitals)
        | (matches(texts, _NAME_WORD) & lexicon.hold_name(texts))
    )


MENTIONS: tuple[Mention, ...] = (
    Mention("EMAIL_ADDRESS", "@|%40", _email, anywhere=True, needs=("@", "%40"), bounds=Bounds(size=(6, MOST))),
    Mention(
        "CREDENTIALS",
        rf"{patterns.KEY_BEGIN}|PRIVATE KEY|(?i:passw|pwd|secret|api[_ -]?key|token|mật khẩu).{{0,5}}[:=]",
        _credentials,
        anywhere=True, bounds=Bounds(size=(10, MOST), letters=(4, MOST)),
    ),
    Mention(
        "BANK_ACCOUNT_NUMBER",
        r"(?:^|[^\w-])[A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z0-9]){11}|"
        r"(?i:account|acct|a/c|konto|compte|cuenta|khoản|khoan|stk).{0,18}\d{2}",
        _iban, anywhere=True, bounds=Bounds(size=(15, MOST), digits=(4, MOST), letters=(2, MOST)),
    ),
    Mention("CREDIT_CARD_NUMBER", r"\d(?:[ -]?\d){11}", _card, bounds=Bounds(digits=(12, MOST))),
    Mention(
        "USA_SOCIAL_SECURITY_NUMBER", _SSN, _pattern("USA_SOCIAL_SECURITY_NUMBER", _SSN, validators.us_ssn),
        anywhere=True, needs=("-",), bounds=Bounds(size=(11, MOST), digits=(9, MOST)),
    ),
    Mention("NATIONAL_ID", rf"\b(?i:{_ID_WORD})|{_FORM_FILTER}", _identity, bounds=Bounds(digits=(2, MOST))),
    Mention("GEO_COORDINATES", _POINT, _pattern("GEO_COORDINATES", _POINT, validators.coordinates), needs=(".",)),
    Mention("PHONE_NUMBER", r"\d[\d ()./-]{5,}\d", _phone, bounds=Bounds(digits=(7, MOST)), sieve=_phone_sieve),
    Mention("DATE_OF_BIRTH", r"(?i)born|dob|birth|geb|né|nacid|sinh", _born),
    Mention(
        "IP_ADDRESS", r"\d\.\d{1,3}\.", _pattern("IP_ADDRESS", r"(?:\d{1,3}\.){3}\d{1,3}", validators.ip), needs=(".",)
    ),
    Mention(
        "MAC_ADDRESS", r"[0-9A-Fa-f]{2}[:-][0-9A-Fa-f]{2}[:-]", _pattern("MAC_ADDRESS", patterns.MAC), anywhere=True,
        needs=(":", "-"), bounds=Bounds(size=(17, MOST)),
    ),
    Mention("ADDRESS", _STREET_FILTER, _address),
    Mention("NAME", rf"{_NAME_WORD}|{_TWO_CAPITALS}", _name, sieve=_name_sieve),
)  # fmt: skip

# types of which `redact` blanks a cell that holds nothing else, however little the column says
REDACTED_WHOLE = frozenset(
    {"EMAIL_ADDRESS", "BANK_ACCOUNT_NUMBER", "CREDIT_CARD_NUMBER", "USA_SOCIAL_SECURITY_NUMBER", "MAC_ADDRESS",
     "PHONE_NUMBER", "NAME"}
)  # fmt: skip


def free_spans(mention: Mention, text: str, taken: Iterable[Span]) -> Iterator[Span]:
    """Mentions of one kind that overlap none that is `taken`."""
    for span in mention.find(text):
        if not any(span.start < other.end and other.start < span.end for other in taken):
            yield span


def spans(text: str) -> list[Span]:
    """Every mention in a text, without overlaps; where two overlap, the earlier kind in `MENTIONS` wins."""
    chosen: list[Span] = []
    for mention in MENTIONS:
        chosen += list(free_spans(mention, text, tuple(chosen)))
    return sorted(chosen, key=lambda span: span.start)


def redact(text: str) -> str:
    """The text with every mention replaced by ``[TYPE]``."""
    parts, position = [], 0
    for span in spans(text):
        parts += [text[position : span.start], f"[{span.type}]"]
        position = span.end
    return "".join([*parts, text[position:]])
