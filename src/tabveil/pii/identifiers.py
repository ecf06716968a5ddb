"""The kinds of personal data TabVeil knows: name, Macie category, severity rule, default policy, header words.

Names follow Amazon Macie's managed data identifiers where it has one (`NAME`, `USA_SOCIAL_SECURITY_NUMBER`, ...),
else they follow its style (`EMAIL_ADDRESS`, `VIETNAM_CITIZEN_ID`). What a *value* of a kind looks like is the
business of `tabveil.pii.rules` (a cell) and `tabveil.pii.mentions` (inside free text).
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache


class Category(str, Enum):
    """`SensitiveDataItem.category` of the Macie API."""

    PERSONAL = "PERSONAL_INFORMATION"
    FINANCIAL = "FINANCIAL_INFORMATION"
    CREDENTIALS = "CREDENTIALS"
    CUSTOM = "CUSTOM_IDENTIFIER"


class Severity(str, Enum):
    """`Severity.description` of the Macie API."""

    LOW = "Low"
    MEDIUM = "Medium"
    HIGH = "High"


@dataclass(frozen=True)
class PIIType:
    """One kind of personal data.

    Args:
        medium: occurrences from which a finding is Medium (None: never; below `medium` and `high` it is Low).
        high: occurrences from which it is High (None: never).
        direct: one value points at one person (an e-mail address does, a date of birth or a city does not).
        headers: words of a column name that announce the kind, folded (see `fold_header`); English, German,
            French, Spanish, Vietnamese.
    """

    name: str
    category: Category
    headers: tuple[str, ...]
    medium: int | None = 1
    high: int | None = 1
    direct: bool = True

    def severity(self, count: int) -> Severity:
        """Severity of a finding with `count` occurrences."""
        if self.high is not None and count >= self.high:
            return Severity.HIGH
        if self.medium is not None and count >= self.medium:
            return Severity.MEDIUM
        return Severity.LOW


_PERSONAL, _FINANCIAL = Category.PERSONAL, Category.FINANCIAL
_NATIONAL_HEADERS = (
    "national_id", "nationalid", "national_identification", "identity_number", "id_number", "id_card", "personal_id",
    "identity_card", "government_id", "citizen_id", "national_identifier", "personalausweis", "ausweisnummer",
    "ausweis_nr", "personalausweisnummer", "numero_identite", "carte_identite", "cni", "documento_identidad", "cedula",
    "numero_documento", "can_cuoc", "cccd", "cmnd", "can_cuoc_cong_dan", "so_cccd", "so_cmnd", "chung_minh",
)  # fmt: skip

TYPES: dict[str, PIIType] = {
    t.name: t
    for t in (
        PIIType(
            "EMAIL_ADDRESS", _PERSONAL,
            ("email", "e_mail", "mail", "email_address", "mailadresse", "courriel", "correo", "correo_electronico",
             "thu_dien_tu"), high=100,
        ),
        PIIType(
            "PHONE_NUMBER", _PERSONAL,
            ("phone", "telephone", "tel", "mobile", "cell", "cellphone", "phone_number", "fax", "telefon", "handy",
             "telefonnummer", "handynummer", "rufnummer", "mobil", "portable", "telefono", "movil", "dien_thoai",
             "so_dien_thoai", "sdt", "so_dt", "msisdn"), high=100,
        ),
        PIIType(
            "NAME", _PERSONAL,
            ("full_name", "fullname", "customer_name", "client_name", "first_name", "firstname", "last_name",
             "lastname", "surname", "family_name", "given_name", "forename", "middle_name", "maiden_name",
             "borrower_name", "holder_name", "account_holder", "cardholder", "cardholder_name", "contact_name",
             "person_name", "employee_name", "patient_name", "vorname", "nachname", "familienname", "kundenname",
             "name_des_kunden", "kontoinhaber", "prenom", "nom_de_famille", "nom_client", "nom_complet", "nombre",
             "nombre_completo", "apellido", "apellidos", "ho_ten", "ho_va_ten", "ten_khach_hang", "ho_ten_khach_hang",
             "ten_kh", "chu_tai_khoan", "beneficiary", "beneficiary_name", "payee", "payer", "recipient", "empfaenger",
             "zahlungsempfaenger", "auftraggeber", "beguenstigter", "beneficiaire", "beneficiario", "nguoi_thu_huong"),
            high=100,
        ),
        PIIType(
            "ADDRESS", _PERSONAL,
            ("address", "street", "street_address", "home_address", "mailing_address", "residence", "addr",
             "address_line", "adresse", "strasse", "anschrift", "wohnort_strasse", "rue", "direccion", "calle",
             "domicilio", "dia_chi", "duong", "so_nha"), high=100,
        ),
        PIIType(
            "DATE_OF_BIRTH", _PERSONAL,
            ("date_of_birth", "birth_date", "birthdate", "birthday", "dob", "born", "birth", "geburtsdatum",
             "geburtstag", "geb_datum", "geboren", "date_naissance", "date_de_naissance", "naissance",
             "fecha_nacimiento", "fecha_de_nacimiento", "nacimiento", "ngay_sinh", "sinh_nhat"), high=100, direct=False,
        ),
        PIIType(
            "CREDIT_CARD_NUMBER", _FINANCIAL,
            ("card", "card_number", "card_no", "credit_card", "creditcard", "debit_card", "pan", "cc_number", "ccnum",
             "kartennummer", "kreditkarte", "kreditkartennummer", "carte", "carte_bancaire", "numero_carte", "tarjeta",
             "numero_tarjeta", "so_the", "the_tin_dung"),
        ),
        PIIType(
            "BANK_ACCOUNT_NUMBER", _FINANCIAL,
            ("iban", "account_number", "account_no", "bank_account", "acct_no", "acct_number", "acct_num",
             "iban_or_account", "kontonummer", "konto_nr", "bankverbindung", "bankkonto", "numero_compte",
             "compte_bancaire", "rib", "cuenta", "numero_cuenta", "cuenta_bancaria", "clabe", "so_tai_khoan", "stk",
             "tai_khoan"),
        ),
        PIIType(
            "USA_SOCIAL_SECURITY_NUMBER", _PERSONAL,
            ("ssn", "social_security", "social_security_number", "socsec", "social_sec", *_NATIONAL_HEADERS),
        ),
        PIIType("USA_INDIVIDUAL_TAX_IDENTIFICATION_NUMBER", _PERSONAL, ("itin", "tax_id", *_NATIONAL_HEADERS)),
        PIIType(
            "GERMANY_TAX_IDENTIFICATION_NUMBER", _PERSONAL,
            ("steuer_id", "steuerid", "steuernummer", "steueridentifikationsnummer", "idnr", "steuer_nr", "tax_id",
             "tin", *_NATIONAL_HEADERS),
        ),
        PIIType(
            "UK_NATIONAL_INSURANCE_NUMBER", _PERSONAL,
            ("nino", "national_insurance", "national_insurance_number", "ni_number", *_NATIONAL_HEADERS),
        ),
        PIIType(
            "FRANCE_NATIONAL_IDENTIFICATION_NUMBER", _PERSONAL,
            ("nir", "insee", "securite_sociale", "numero_securite_sociale", "num_secu", *_NATIONAL_HEADERS),
        ),
        PIIType("SPAIN_DNI_NUMBER", _PERSONAL, ("dni", "nif", "nie", *_NATIONAL_HEADERS)),
        PIIType("INDIA_AADHAAR_NUMBER", _PERSONAL, ("aadhaar", "aadhar", "uidai", *_NATIONAL_HEADERS)),
        PIIType("INDIA_PERMANENT_ACCOUNT_NUMBER", _PERSONAL, ("pan_number", "pan_card", *_NATIONAL_HEADERS)),
        PIIType("VIETNAM_CITIZEN_ID", _PERSONAL, _NATIONAL_HEADERS),
        PIIType("VIETNAM_TAX_CODE", _PERSONAL, ("ma_so_thue", "mst", "tax_code", "tax_id", "tin")),
        PIIType("NATIONAL_ID", _PERSONAL, (*_NATIONAL_HEADERS, "ssn", "tax_id", "taxpayer_id", "steuer_id")),
        PIIType(
            "PASSPORT_NUMBER", _PERSONAL,
            ("passport", "passport_number", "passport_no", "reisepass", "passnummer", "reisepassnummer", "passeport",
             "pasaporte", "ho_chieu", "so_ho_chieu"),
        ),
        PIIType(
            "DRIVERS_LICENSE", _PERSONAL,
            ("drivers_license", "driver_license", "driving_licence", "driving_license", "license_number", "dl_number",
             "licence_number", "fuehrerschein", "fuhrerschein", "fuehrerscheinnummer", "permis_conduire",
             "permis_de_conduire", "carnet_conducir", "licencia_conducir", "bang_lai", "giay_phep_lai_xe", "gplx"),
        ),
        PIIType("IP_ADDRESS", _PERSONAL, ("ip", "ip_address", "ipaddress", "ip_adresse", "dia_chi_ip"), high=None),
        PIIType("MAC_ADDRESS", _PERSONAL, ("mac", "mac_address", "hardware_address", "mac_adresse"), high=None),
        PIIType(
            "CREDENTIALS", Category.CREDENTIALS,
            ("password", "passwd", "pwd", "secret", "api_key", "apikey", "access_key", "access_token", "auth_token",
             "token", "private_key", "session_cookie", "cookie", "passwort", "kennwort", "mot_de_passe", "contrasena",
             "mat_khau"),
        ),
        PIIType(
            "GEO_COORDINATES", _PERSONAL,
            ("latitude", "longitude", "lat", "lon", "lng", "coordinates", "geo", "gps", "lat_lon", "latlon",
             "geolocation", "breitengrad", "laengengrad", "koordinaten", "coordenadas", "latitud", "longitud", "vi_do",
             "kinh_do", "toa_do"), medium=None, high=None, direct=False,
        ),
        PIIType(
            "UNIQUE_IDENTIFIER", Category.CUSTOM,
            ("customer_id", "client_id", "member_id", "user_id", "person_id", "borrower_id", "loan_id", "account_id",
             "contract_id", "employee_id", "patient_id", "application_id", "record_id", "uuid", "guid", "id",
             "customer_number", "client_number", "kundennummer", "kunden_nr", "kunden_id", "numero_client", "id_client",
             "id_cliente", "numero_cliente", "ma_khach_hang", "ma_kh"), high=None,
        ),
        PIIType("FREE_TEXT", Category.CUSTOM, (), high=None),
    )
}  # fmt: skip

# Ids a state gives its people; NATIONAL_ID is the one for any of them.
NATIONAL_TYPES = frozenset(
    {name for name, kind in TYPES.items() if set(_NATIONAL_HEADERS) <= set(kind.headers)} | {"VIETNAM_TAX_CODE"}
)

# Shared by many people; a combination of them may still single one out. Reported as information, never a finding.
QUASI_TYPES: dict[str, tuple[str, ...]] = {
    "CITY": ("city", "town", "municipality", "stadt", "ort", "wohnort", "ville", "commune", "ciudad", "municipio",
             "thanh_pho", "tinh", "quan", "huyen"),
    "POSTAL_CODE": ("zip", "zipcode", "zip_code", "postcode", "postal_code", "plz", "postleitzahl", "code_postal",
                    "codigo_postal", "ma_buu_chinh"),
    "STATE": ("state", "region", "province", "county", "bundesland", "departement", "provincia"),
    "COUNTRY": ("country", "nationality", "native_country", "land", "nationalitaet", "pays", "nationalite", "pais",
                "quoc_tich", "quoc_gia"),
    "BIRTH_YEAR": ("birth_year", "year_of_birth", "yob", "geburtsjahr", "annee_naissance", "nam_sinh"),
    "AGE": ("age", "alter", "edad", "tuoi"),
    "GENDER": ("sex", "gender", "geschlecht", "sexe", "sexo", "gioi_tinh"),
    "ETHNICITY": ("race", "ethnicity", "ethnic", "dan_toc"),
    "MARITAL_STATUS": ("marital", "marital_status", "marriage", "familienstand", "estado_civil", "hon_nhan"),
    "JOB_TITLE": ("job", "job_title", "occupation", "emp_title", "profession", "beruf", "metier", "ocupacion",
                  "nghe_nghiep", "employer", "arbeitgeber"),
}  # fmt: skip

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NOT_ALNUM = re.compile(r"[^a-z0-9]+")
# `product_name`, `email_opt_in`, `phone_model`: a word that makes a column be about something else
_OTHER_SUBJECT = re.compile(
    r"^(num|has|is|n)_|(^|_)(file|product|company|brand|branch|merchant|employer|school|host|domain|model|table|"
    r"column|event|campaign|flag|verified|opt|count|type|status|network|issuer|provider|months?|days?|years?|limit|"
    r"rate|score|amount|balance|expiry|expiration|scheme|bank_name)(_|$)"
)


def fold(text: str) -> str:
    """Lower-case ASCII form: ``Họ và Tên -> ho va ten``, ``Straße -> strasse``."""
    if text.isascii():
        return text.lower()
    lowered = text.lower().replace("đ", "d").replace("ß", "ss").replace("ø", "o").replace("ł", "l")
    decomposed = unicodedata.normalize("NFKD", lowered)
    return "".join(c for c in decomposed if not unicodedata.combining(c))


@lru_cache(maxsize=4096)
def fold_header(header: str) -> str:
    """A column name as lower-case ASCII words joined by ``_``: ``E-Mail Adresse -> e_mail_adresse``."""
    split = _CAMEL.sub("_", header)
    for umlaut, letters in (("ä", "ae"), ("ö", "oe"), ("ü", "ue"), ("Ä", "Ae"), ("Ö", "Oe"), ("Ü", "Ue")):
        split = split.replace(umlaut, letters)
    return _NOT_ALNUM.sub("_", fold(split)).strip("_")


def header_names(header: str, words: tuple[str, ...]) -> bool:
    """Whether a column name holds one of `words` as whole words."""
    folded = f"_{fold_header(header)}_"
    return any(f"_{word}_" in folded for word in words)


def header_names_other(header: str) -> bool:
    """Whether a column name is about something that is no person (``merchant_name``, ``product``)."""
    return bool(_OTHER_SUBJECT.search(fold_header(header)))


@lru_cache(maxsize=16384)
def header_announces(header: str, type_name: str) -> bool:
    """Whether a column name announces a kind of personal data (``card_number`` does, ``card_type`` does not)."""
    if header_names_other(header):
        return False
    return header_names(header, TYPES[type_name].headers)


def quasi_type(header: str) -> str | None:
    """The quasi-identifier a column name announces, if any."""
    return next((name for name, words in QUASI_TYPES.items() if header_names(header, words)), None)


def is_direct(semantic_type: str | None) -> bool:
    """Whether one value of the type points at one person; an unknown type is assumed to."""
    if semantic_type is None or semantic_type in QUASI_TYPES:
        return False
    known = TYPES.get(semantic_type)
    return known is None or known.direct
