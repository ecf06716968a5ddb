"""What the columns are: kind of personal data, what counts as found, and how it is headed in either part.

The words of the `tune` part may be looked at while rules are written; those of the `measured` part may not.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import makers as m
from makers import Maker

NATIONAL = ("NATIONAL_ID",)
FILLERS = ("", "", "n/a", "unknown", "-")


@dataclass(frozen=True)
class PIIKind:
    """One labelled kind of column.

    Args:
        types: finding types of which one must be reported; any of them is right.
        tune: descriptive headers while tuning.
        measured: descriptive headers that are only measured.
        share: cells that hold the kind; the others are `filler`.
        filler: makes the other cells (default: empty or a word for missing).
        also: types that may be reported besides.
    """

    name: str
    make: Maker
    types: tuple[str, ...]
    tune: tuple[str, ...]
    measured: tuple[str, ...]
    share: float = 1.0
    filler: Maker | None = None
    also: tuple[str, ...] = ()


def _code(rng: random.Random, _: str) -> str:
    return f"{m.letters(rng, 3)}-{m.digits(rng, 5)}"


def _plain_note(rng: random.Random, _: str) -> str:
    return rng.choice(("Payment was received in time", "Kontakt im Frühjahr geplant", "documents are complete",
                       "hồ sơ đã đầy đủ", "aucune question ouverte", "sin novedades este mes"))  # fmt: skip


def _note(forms: tuple[str, ...], make: Maker) -> Maker:
    return lambda rng, locale: rng.choice(forms).format(make(rng, locale))


def _birth(form: str) -> Maker:
    return lambda rng, _: m.birth(rng, form)


_NOTE_HEADERS = (("note", "Bemerkung", "ghi_chu"), ("comment", "Anmerkungen", "observaciones", "memo"))
_NAME_NOTES = ("spoke with {} about the loan", "{} asked for a callback", "Termin mit {} vereinbart",
               "customer {} moved abroad", "Đã gặp {} tại chi nhánh")  # fmt: skip
_PHONE_NOTES = ("call back on {}", "please ring {} after five", "Rückruf unter {} erbeten", "neue Nummer: {}")
_MAIL_NOTES = ("sent the form to {}", "bitte an {} schicken", "contact: {} (prefers mail)")
_ACCOUNT_NOTES = ("transfer to {} failed", "Lastschrift von {} zurück", "refund goes to {} please")
_CARD_NOTES = ("card {} was blocked", "Karte {} gesperrt", "paid with visa {}")
_ID_NOTES = ("passport {} shown at the desk", "Reisepass {} lag vor", "showed passport no. {}")
_SSN_NOTES = ("ssn {} on the form", "his SSN is {} he says", "verified by {} at the counter")
_ADDRESS_NOTES = ("she moved to {} in May", "neue Anschrift {} ab Mai", "parcel was sent to {} again")
_BORN_NOTES = ("born on {} in the north", "date of birth: {} checked", "geboren am {} in Bonn", "DOB {} as stated")
_IP_NOTES = ("login from {} at night", "blocked {} after three attempts", "Anmeldung von {} aus")
_KEY_NOTES = ("leaked key {} was revoked", "key {} in the repository")

GENERIC: tuple[PIIKind, ...] = (
    PIIKind(
        "full_name",
        m.full_name,
        ("NAME",),
        ("customer_name", "Name des Kunden", "ho_ten"),
        ("client full name", "Kundenname", "nom_complet", "nombre_completo"),
    ),
    PIIKind(
        "dirty_name",
        m.dirty_name,
        ("NAME",),
        ("account_holder", "Kontoinhaber", "ten_khach_hang"),
        ("cardholder", "beneficiary", "titulaire", "borrower_full_name"),
        0.9,
    ),
    PIIKind(
        "given_name", m.given, ("NAME",), ("first_name", "Vorname", "prenom"), ("given name", "forename", "firstName")
    ),
    PIIKind(
        "family_name",
        m.family,
        ("NAME",),
        ("last_name", "Nachname", "apellidos"),
        ("surname", "FamilyName", "nom_de_famille"),
    ),
    PIIKind(
        "few_names",
        m.full_name,
        ("NAME",),
        ("contact_name", "Ansprechpartner"),
        ("contact person", "representative_name"),
        0.3,
    ),
    PIIKind(
        "email",
        m.email,
        ("EMAIL_ADDRESS",),
        ("email", "E-Mail-Adresse"),
        ("mail_addr", "correo electrónico", "courriel"),
    ),
    PIIKind("rare_email", m.email, ("EMAIL_ADDRESS",), ("reference", "kennung"), ("code", "marker"), 0.005, _code),
    PIIKind(
        "phone",
        m.phone,
        ("PHONE_NUMBER",),
        ("phone", "Telefonnummer", "so_dien_thoai"),
        ("contact number", "mobile_no", "téléfono", "Rufnummer privat"),
    ),
    PIIKind(
        "phone_international",
        m.phone_international,
        ("PHONE_NUMBER",),
        ("mobile", "Handy"),
        ("msisdn", "cell phone", "portable"),
        0.8,
    ),
    PIIKind(
        "street", m.street, ("ADDRESS",), ("street", "Straße", "dia_chi"), ("home address", "Anschrift", "domicilio")
    ),
    PIIKind(
        "address",
        m.address,
        ("ADDRESS",),
        ("address", "Adresse", "direccion"),
        ("residential_address", "mailing addr", "Wohnadresse"),
        0.9,
    ),
    PIIKind(
        "birth_iso",
        _birth("{y:04d}-{m:02d}-{d:02d}"),
        ("DATE_OF_BIRTH",),
        ("date_of_birth", "Geburtsdatum", "ngay_sinh"),
        ("birthday", "DOB", "date de naissance"),
    ),
    PIIKind(
        "birth_local",
        _birth("{d:02d}.{m:02d}.{y:04d}"),
        ("DATE_OF_BIRTH",),
        ("birth_date", "geb_datum"),
        ("Geburtstag", "fecha de nacimiento"),
        0.85,
    ),
    PIIKind(
        "birth_american",
        _birth("{m:02d}/{d:02d}/{y:04d}"),
        ("DATE_OF_BIRTH",),
        ("dob", "born"),
        ("dateOfBirth", "d.o.b."),
        0.95,
    ),
    PIIKind(
        "card",
        m.card,
        ("CREDIT_CARD_NUMBER",),
        ("card_number", "Kartennummer"),
        ("credit card no", "PAN", "numero_tarjeta"),
        0.9,
    ),
    PIIKind(
        "card_grouped",
        m.card_grouped,
        ("CREDIT_CARD_NUMBER",),
        ("card", "the_tin_dung"),
        ("debit_card", "Kreditkarte"),
        0.4,
    ),
    PIIKind(
        "rare_card",
        m.card_grouped,
        ("CREDIT_CARD_NUMBER",),
        ("payment_ref", "zahlung"),
        ("settlement", "channel"),
        0.005,
        _code,
    ),
    PIIKind(
        "iban",
        m.iban,
        ("BANK_ACCOUNT_NUMBER",),
        ("iban", "Bankverbindung"),
        ("bank account", "IBAN Empfänger", "compte_bancaire"),
    ),
    PIIKind(
        "rare_iban", m.iban_spaced, ("BANK_ACCOUNT_NUMBER",), ("detail", "verwendung"), ("purpose", "info"), 0.01, _code
    ),
    PIIKind("ip", m.ipv4, ("IP_ADDRESS",), ("ip_address", "ip"), ("client_ip", "IP-Adresse")),
    PIIKind("ipv6", m.ipv6, ("IP_ADDRESS",), ("ip_v6", "source_ip"), ("remote_ip", "ip addr"), 0.7),
    PIIKind("mac", m.mac, ("MAC_ADDRESS",), ("mac_address",), ("mac", "hardware_address"), 0.6),
    PIIKind("mac_dotted", m.mac_dotted, ("MAC_ADDRESS",), ("mac_adresse",), ("device_mac",)),
    PIIKind("point", m.point, ("GEO_COORDINATES",), ("location", "koordinaten"), ("gps", "geo_point")),
    PIIKind("latitude", m.latitude, ("GEO_COORDINATES",), ("latitude", "lat"), ("geo_lat", "Breitengrad", "vi_do")),
    PIIKind("longitude", m.longitude, ("GEO_COORDINATES",), ("longitude", "lng"), ("geo_lon", "Längengrad", "kinh_do")),
    PIIKind("aws_key", m.aws_key, ("CREDENTIALS",), ("access_key",), ("aws_access_key_id",), 0.05, _code),
    PIIKind("api_key", m.api_key, ("CREDENTIALS",), ("api_key",), ("apiToken", "service_key"), 0.5),
    PIIKind("secret", m.opaque_secret, ("CREDENTIALS",), ("secret", "token"), ("auth_token", "client_secret")),
    PIIKind("cookie", m.cookie, ("CREDENTIALS",), ("cookie",), ("session_cookie", "http_cookie")),
    PIIKind("jwt", m.jwt, ("CREDENTIALS",), ("access_token",), ("bearer", "id_token"), 0.3),
    PIIKind("note_name", _note(_NAME_NOTES, m.full_name), ("NAME",), *_NOTE_HEADERS, 0.05, _plain_note),
    PIIKind(
        "note_phone", _note(_PHONE_NOTES, m.phone_international), ("PHONE_NUMBER",), *_NOTE_HEADERS, 0.02, _plain_note
    ),
    PIIKind("note_email", _note(_MAIL_NOTES, m.email), ("EMAIL_ADDRESS",), *_NOTE_HEADERS, 0.005, _plain_note),
    PIIKind(
        "note_iban", _note(_ACCOUNT_NOTES, m.iban_spaced), ("BANK_ACCOUNT_NUMBER",), *_NOTE_HEADERS, 0.01, _plain_note
    ),
    PIIKind("note_card", _note(_CARD_NOTES, m.card), ("CREDIT_CARD_NUMBER",), *_NOTE_HEADERS, 0.01, _plain_note),
    PIIKind("note_passport", _note(_ID_NOTES, m.us_passport), ("PASSPORT_NUMBER",), *_NOTE_HEADERS, 0.01, _plain_note),
    PIIKind(
        "note_ssn",
        _note(_SSN_NOTES, m.ssn),
        ("USA_SOCIAL_SECURITY_NUMBER",),
        *_NOTE_HEADERS,
        0.01,
        _plain_note,
        NATIONAL,
    ),
    PIIKind("note_address", _note(_ADDRESS_NOTES, m.street), ("ADDRESS",), *_NOTE_HEADERS, 0.1, _plain_note, ("NAME",)),
    PIIKind(
        "note_born",
        _note(_BORN_NOTES, _birth("{d:02d}.{m:02d}.{y:04d}")),
        ("DATE_OF_BIRTH",),
        *_NOTE_HEADERS,
        0.02,
        _plain_note,
    ),
    PIIKind("note_ip", _note(_IP_NOTES, m.ipv4), ("IP_ADDRESS",), *_NOTE_HEADERS, 0.01, _plain_note),
    PIIKind("note_key", _note(_KEY_NOTES, m.aws_key), ("CREDENTIALS",), *_NOTE_HEADERS, 0.005, _plain_note),
)


def _national(
    name: str, make: Maker, type_: str, tune: tuple[str, ...], measured: tuple[str, ...], *, share: float = 1.0
) -> PIIKind:
    return PIIKind(name, make, (type_, "NATIONAL_ID"), tune, measured, share)


NATIONAL_KINDS: tuple[PIIKind, ...] = (
    _national(
        "ssn", m.ssn, "USA_SOCIAL_SECURITY_NUMBER", ("ssn",), ("social security no", "SocialSecurityNumber"), share=0.9
    ),
    _national(
        "ssn_spaced",
        lambda r, x: m.ssn(r, x).replace("-", " "),
        "USA_SOCIAL_SECURITY_NUMBER",
        ("social_security",),
        ("SSN nbr",),
    ),
    _national(
        "itin",
        m.itin,
        "USA_INDIVIDUAL_TAX_IDENTIFICATION_NUMBER",
        ("itin",),
        ("taxpayer id", "individual_tax_id"),
        share=0.5,
    ),
    _national("nino", m.nino, "UK_NATIONAL_INSURANCE_NUMBER", ("nino",), ("national insurance no", "NI number")),
    _national(
        "german_tax_id",
        m.german_tax_id,
        "GERMANY_TAX_IDENTIFICATION_NUMBER",
        ("steuer_id",),
        ("Steueridentifikationsnummer", "IdNr"),
        share=0.9,
    ),
    _national(
        "german_id_card", m.german_id_card, "NATIONAL_ID", ("personalausweis",), ("Ausweisnummer", "identity card")
    ),
    _national(
        "french_nir",
        m.french_nir,
        "FRANCE_NATIONAL_IDENTIFICATION_NUMBER",
        ("numero_securite_sociale",),
        ("n° sécu", "NIR"),
    ),
    _national("spanish_dni", m.spanish_dni, "SPAIN_DNI_NUMBER", ("dni",), ("NIF", "documento de identidad")),
    _national(
        "spanish_nie", m.spanish_nie, "SPAIN_DNI_NUMBER", ("nie",), ("numero de extranjero", "NIE titular"), share=0.7
    ),
    _national("aadhaar", m.indian_aadhaar, "INDIA_AADHAAR_NUMBER", ("aadhaar",), ("UIDAI no", "aadhar_number")),
    _national(
        "pan", m.indian_pan, "INDIA_PERMANENT_ACCOUNT_NUMBER", ("pan_card",), ("permanent account number", "PAN Number")
    ),
    _national("cccd", m.cccd, "VIETNAM_CITIZEN_ID", ("so_cccd",), ("Căn cước công dân", "citizen id")),
    _national("cmnd", m.cmnd, "VIETNAM_CITIZEN_ID", ("so_cmnd",), ("Chứng minh nhân dân", "CMND khách hàng")),
    _national("mst", m.vietnam_tax_code, "VIETNAM_TAX_CODE", ("ma_so_thue",), ("MST", "tax code"), share=0.8),
    PIIKind(
        "vietnam_account",
        m.vietnam_account,
        ("BANK_ACCOUNT_NUMBER",),
        ("so_tai_khoan",),
        ("STK nhận", "Tài khoản thụ hưởng"),
    ),
    PIIKind(
        "us_account", m.us_account, ("BANK_ACCOUNT_NUMBER",), ("account_number",), ("acct no", "deposit account number")
    ),
    PIIKind("german_account", m.german_account, ("BANK_ACCOUNT_NUMBER",), ("kontonummer",), ("Konto-Nr.", "Bankkonto")),
    PIIKind(
        "british_account",
        m.british_account,
        ("BANK_ACCOUNT_NUMBER",),
        ("bank_account",),
        ("sort code and account", "account no"),
    ),
    PIIKind(
        "spanish_account",
        lambda r, _: m._ccc(r),
        ("BANK_ACCOUNT_NUMBER",),
        ("numero_cuenta",),
        ("cuenta bancaria", "CCC"),
    ),
    PIIKind(
        "french_account",
        lambda r, _: m._rib(r),
        ("BANK_ACCOUNT_NUMBER",),
        ("rib",),
        ("numéro de compte", "compte_a_debiter"),
    ),
    PIIKind(
        "german_passport",
        m.german_passport,
        ("PASSPORT_NUMBER",),
        ("reisepassnummer",),
        ("Passnummer", "passport id"),
        0.9,
    ),
    PIIKind(
        "us_passport",
        m.us_passport,
        ("PASSPORT_NUMBER",),
        ("passport_number",),
        ("Passport #", "travel document number"),
    ),
    PIIKind(
        "vietnam_passport", m.vietnam_passport, ("PASSPORT_NUMBER",), ("so_ho_chieu",), ("Hộ chiếu", "passport no")
    ),
    PIIKind("indian_passport", m.indian_passport, ("PASSPORT_NUMBER",), ("passport",), ("pasaporte", "passportNumber")),
    PIIKind(
        "british_licence",
        m.british_licence,
        ("DRIVERS_LICENSE",),
        ("driving_licence",),
        ("driver licence no", "licence_number"),
    ),
    PIIKind(
        "us_licence", m.us_licence, ("DRIVERS_LICENSE",), ("drivers_license",), ("DL number", "driver's license #")
    ),
    PIIKind(
        "german_licence",
        m.german_licence,
        ("DRIVERS_LICENSE",),
        ("fuehrerschein",),
        ("Führerscheinnummer", "permis de conduire"),
    ),
    PIIKind(
        "indian_licence",
        m.indian_licence,
        ("DRIVERS_LICENSE",),
        ("dl_number",),
        ("driving license no", "Giấy phép lái xe"),
        0.9,
    ),
    PIIKind(
        "cccd_number", m.cccd, ("VIETNAM_CITIZEN_ID", "NATIONAL_ID"), ("cccd",), ("số căn cước", "so_cccd_kh"), 0.95
    ),
    PIIKind(
        "vietnam_name",
        lambda r, _: m.full_name(r, "vi_VN"),
        ("NAME",),
        ("ho_va_ten",),
        ("Tên khách hàng", "Người thụ hưởng"),
    ),
    PIIKind(
        "vietnam_phone",
        lambda r, _: m.phone(r, "vi_VN"),
        ("PHONE_NUMBER",),
        ("so_dien_thoai",),
        ("SĐT", "Điện thoại di động"),
    ),
)
