"""The clerk's free-text note: mostly empty, now and then with a name, phone number or e-mail address in it."""

from __future__ import annotations

import random

from tabveil.sample_data.identities import Customer

NOTE_FRACTION = 0.45
PERSONAL_FRACTION = 1 / 3  # of the notes that are not empty

PLAIN_NOTES = {
    "en_US": (
        "Documents complete.",
        "Income statement checked, no objections.",
        "Asked about early repayment; sent the fee schedule.",
        'Client says the purpose is "mostly renovation".',
        "Payslips for the last three months are missing, reminder sent.",
        "Second application this year, see file.",
    ),
    "vi_VN": (
        "Hồ sơ đầy đủ.",
        "Đã kiểm tra thu nhập, không có vấn đề.",
        "Khách hỏi về trả nợ trước hạn, đã gửi biểu phí.",
        "Thiếu sao kê lương ba tháng gần nhất, đã nhắc.",
        "Khách đề nghị đổi ngày thanh toán sang đầu tháng.",
    ),
    "de_DE": (
        "Unterlagen vollständig.",
        "Einkommensnachweis geprüft, keine Einwände.",
        "Fragt nach vorzeitiger Tilgung; Preisverzeichnis verschickt.",
        "Gehaltsabrechnungen fehlen noch, Erinnerung verschickt.",
        "Zweiter Antrag in diesem Jahr, siehe Akte.",
    ),
}
PERSONAL_NOTES = {
    "en_US": (
        "Spoke to {full_name}, will send the missing payslip.",
        "Please call back at {phone_number} after 5 pm.",
        "Statement of account to be sent to {e_mail}.",
        "{full_name} asked for a new card, old one lost; reach under {phone_number}.",
    ),
    "vi_VN": (
        "Đã trao đổi với {full_name}, sẽ bổ sung sao kê lương.",
        "Gọi lại số {phone_number} sau 17 giờ.",
        "Gửi sao kê tới {e_mail}.",
        "{full_name} báo mất thẻ, liên hệ {phone_number}.",
    ),
    "de_DE": (
        "Mit {full_name} gesprochen, Nachweis wird nachgereicht.",
        "Bitte Rückruf unter {phone_number} nach 17 Uhr.",
        "Kontoauszug an {e_mail} schicken.",
        "{full_name} meldet Kartenverlust, erreichbar unter {phone_number}.",
    ),
}


def write_note(customer: Customer, rng: random.Random) -> str | None:
    """A note in the customer's language, or none."""
    if rng.random() >= NOTE_FRACTION:
        return None
    personal = rng.random() < PERSONAL_FRACTION and None not in (customer.e_mail, customer.phone_number)
    template = rng.choice((PERSONAL_NOTES if personal else PLAIN_NOTES)[customer.locale])
    return template.format(full_name=customer.full_name, e_mail=customer.e_mail, phone_number=customer.phone_number)
