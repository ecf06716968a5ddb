"""Columns that look like personal data and are not: ids, codes, dates, amounts, firms, places, products, remarks."""

from __future__ import annotations

import datetime as dt
import random
import string
import uuid
from collections.abc import Callable

from makers import Maker, digits, letters, pool
from stdnum import ean, luhn

_PRODUCTS = ("Lamp", "Chair", "Table", "Bowl", "Desk", "Kettle", "Phone Case", "Backpack", "Router", "Speaker")
_COLOURS = ("Red", "Blue", "Green", "Black", "White", "Amber", "Rose", "Gray")
_REMARKS = (
    "Payment of {a} received on {d}", "Contract {n} extended by 12 months", "Rate changed to 3.{b} % from {d}",
    "Order no. {n} was shipped late", "Customer asked about the new tariff", "Documents complete, nothing open",
    "Zahlung am {d} eingegangen", "Hợp đồng số {n} đã tất toán", "Virement du {d} annulé", "Pago recibido el {d}",
    "Called twice, no answer, try again next week", "Branch visit planned for spring", "Ref {n}/{b} booked twice",
)  # fmt: skip


def date_after(first: int, last: int, form: str) -> Maker:
    def make(rng: random.Random, _: str) -> str:
        day = dt.datetime(first, 1, 1) + dt.timedelta(seconds=rng.randrange((last - first) * 365 * 86400))
        return day.strftime(form)

    return make


def remark(rng: random.Random, _: str) -> str:
    day = date_after(2015, 2024, rng.choice(("%d.%m.%Y", "%Y-%m-%d")))(rng, "")
    return rng.choice(_REMARKS).format(a=f"{rng.uniform(1, 9999):,.2f}", b=digits(rng, 2), d=day, n=digits(rng, 10))


def imei(rng: random.Random, _: str) -> str:
    body = "35" + digits(rng, 12)
    return body + luhn.calc_check_digit(body)


def ean13(rng: random.Random, _: str) -> str:
    body = rng.choice(("400", "893", "030", "978")) + digits(rng, 9)
    return body + ean.calc_check_digit(body)


def _of(*values: str) -> Maker:
    return lambda rng, _: rng.choice(values)


def _pooled(method: str) -> Maker:
    return lambda rng, locale: rng.choice(pool(locale, method))


def _form(make: Callable[[random.Random], str]) -> Maker:
    return lambda rng, _: make(rng)


# kind -> (maker, descriptive header)
TUNED: dict[str, tuple[Maker, str]] = {
    "uuid": (_form(lambda r: str(uuid.UUID(int=r.getrandbits(128), version=4))), "request_uuid"),
    "sha1": (_form(lambda r: f"{r.getrandbits(160):040x}"), "content_hash"),
    "order_16": (_form(lambda r: str(r.randint(10**15, 10**16 - 1))), "order_reference"),
    "digits_12": (_form(lambda r: str(r.randint(10**11, 10**12 - 1))), "booking_no"),
    "digits_10": (_form(lambda r: str(r.randint(10**9, 10**10 - 1))), "contract_no"),
    "digits_9": (_form(lambda r: str(r.randint(10**8, 10**9 - 1))), "batch"),
    "ean13": (ean13, "ean"),
    "imei": (imei, "device_serial"),
    "sku": (_form(lambda r: f"{letters(r, 2)}{digits(r, 6)}"), "sku"),
    "product": (_form(lambda r: f"{r.choice(_COLOURS)} {r.choice(_PRODUCTS)} {r.randint(1, 90)}"), "product"),
    "company": (_pooled("company"), "company_name"),
    "city": (_pooled("city"), "branch_city_label"),
    "job": (_pooled("job"), "position"),
    "iso_date": (date_after(2012, 2024, "%Y-%m-%d"), "booking_date"),
    "german_date": (date_after(2001, 2024, "%d.%m.%Y"), "valuta"),
    "timestamp": (date_after(2019, 2024, "%Y-%m-%d %H:%M:%S"), "created_at"),
    "epoch": (_form(lambda r: str(r.randint(1_450_000_000, 1_750_000_000))), "ts"),
    "amount": (_form(lambda r: f"{r.uniform(0, 10**6):,.2f}"), "amount"),
    "version": (_form(lambda r: ".".join(str(r.randint(0, 19)) for _ in range(4))), "software_version"),
    "time": (_form(lambda r: f"{r.randint(0, 23):02d}:{r.randint(0, 59):02d}:{r.randint(0, 59):02d}"), "time_of_day"),
    "url": (_form(lambda r: f"https://shop.example.com/p/{r.randint(1, 10**6)}?v={digits(r, 10)}"), "link"),
    "remark": (remark, "remark"),
    "bic": (_form(lambda r: f"{letters(r, 4)}{r.choice(('DE', 'GB', 'VN', 'FR'))}{letters(r, 2)}XXX"), "bic"),
    "padded_id": (_form(lambda r: f"{r.randint(1, 99_999_999):010d}"), "ticket"),
}
UNSEEN: dict[str, tuple[Maker, str]] = {
    "digits_11": (_form(lambda r: str(r.randint(10**10, 10**11 - 1))), "shipment"),
    "digits_14": (_form(lambda r: str(r.randint(10**13, 10**14 - 1))), "batch_sequence"),
    "visa_like": (_form(lambda r: str(r.randint(4 * 10**15, 5 * 10**15 - 1))), "voucher"),
    "vin": (_form(lambda r: "W" + letters(r, 16, "ABCDEFGHJKLMNPRSTUVWXYZ0123456789")), "vin"),
    "tracking": (
        _form(lambda r: f"1Z{letters(r, 6, string.ascii_uppercase + string.digits)}{digits(r, 10)}"),
        "parcel",
    ),
    "isbn": (_form(lambda r: f"978-{r.randint(0, 9)}-{digits(r, 4)}-{digits(r, 4)}-{r.randint(0, 9)}"), "isbn"),
    "vat": (_form(lambda r: f"{r.choice(('DE', 'IT', 'FR'))}{digits(r, 9)}"), "vat_no"),
    "model": (_form(lambda r: f"{r.choice(('Galaxy S', 'iPhone ', 'Pixel '))}{r.randint(4, 24)}"), "handset"),
    "film": (
        _of(
            "Casablanca",
            "Citizen Kane",
            "Annie Hall",
            "Rosemary's Baby",
            "Billy Elliot",
            "Jackie Brown",
            "Forrest Gump",
            "Barry Lyndon",
            "The Big Lebowski",
            "Erin Brockovich",
            "La La Land",
        ),
        "film",
    ),
    "place": (
        _of(
            "Park Hotel",
            "St James Hospital",
            "Washington Heights",
            "King Cross",
            "Lake Victoria",
            "San Jose",
            "Charlotte Douglas Airport",
            "George Washington University",
            "Santa Maria",
        ),
        "venue",
    ),
    "coordinate_rate": (_form(lambda r: f"{r.uniform(0.2, 40):.4f}"), "fx_rate"),
    "semver_build": (
        _form(lambda r: f"v{r.randint(0, 9)}.{r.randint(0, 40)}.{r.randint(0, 99)}+{digits(r, 6)}"),
        "build",
    ),
    "plate_bank": (_form(lambda r: f"{letters(r, 4)}0{digits(r, 6)}"), "ifsc"),
    "month_year": (date_after(1995, 2024, "%m/%Y"), "expiry"),
    "phone_model_no": (_form(lambda r: f"{digits(r, 3)}-{digits(r, 4)}"), "part"),
    "ratio": (_form(lambda r: f"{r.randint(1, 99)}/{r.randint(100, 999)}"), "ratio"),
    "founding_date": (date_after(1950, 2020, "%Y-%m-%d"), "founded_on"),
    "hex_colour": (_form(lambda r: f"#{r.getrandbits(24):06x}"), "colour"),
    "user_agent": (
        _form(lambda r: f"Mozilla/5.0 (X11) Chrome/{r.randint(80, 140)}.0.{digits(r, 4)}.{r.randint(10, 99)}"),
        "user_agent",
    ),
    "file": (_form(lambda r: f"/var/data/{r.randint(2015, 2024)}/{r.randint(1, 12):02d}/{digits(r, 8)}.csv"), "file"),
}
