"""Invented people: one locale per person, and names, places and texts that go with it (pools drawn from Faker)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from tabveil.errors import ConfigError
from tabveil.pii.draws import Draws, Int64s
from tabveil.pii.identifiers import fold

Texts = npt.NDArray[np.object_]
_POOL = 600
_FAMILY_FIRST = ("vi", "zh", "ja", "ko", "hu")
_VIETNAMESE_MIDDLE = ("Văn", "Thị", "Đức", "Minh", "Ngọc", "Hữu", "Thanh", "Quốc", "Thu", "Hoài", "Gia", "Xuân")
_EMAIL_DOMAINS = ("example.com", "example.org", "example.net")  # reserved by RFC 2606
# attempts from which something new is made of two values of a pool: real tables hold most names, towns and streets
_BLENDED_FROM = 2
_STREETS_BLENDED_FROM = 4
_NUMBERED_FROM = 8  # attempts from which a remark is an entry's number
_LETTERS = re.compile(r"[^\W\d_]+")
_SENTENCES: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "en": (
        ("Payment", "Instalment", "Monthly statement", "Account review", "Interest notice", "Repayment plan",
         "Contract", "Direct debit"),
        ("received on time", "was sent", "was checked", "is pending", "was updated", "is complete", "was filed",
         "needs no action"),
        ("", ", no further questions", ", next review in spring", ", documents are complete", ", nothing open",
         ", no change of terms", ", reminder not needed", ", closed as usual"),
    ),
    "de": (
        ("Zahlung", "Rate", "Monatsauszug", "Kontoprüfung", "Zinsmitteilung", "Tilgungsplan", "Vertrag", "Lastschrift"),
        ("pünktlich eingegangen", "versandt", "geprüft", "in Bearbeitung", "aktualisiert", "vollständig", "abgelegt",
         "ohne Handlungsbedarf"),
        ("", ", keine weiteren Fragen", ", nächste Prüfung im Frühjahr", ", Unterlagen vollständig", ", nichts offen",
         ", Konditionen unverändert", ", keine Mahnung nötig", ", wie üblich abgeschlossen"),
    ),
    "vi": (
        ("khoản thanh toán", "kỳ trả góp", "bảng sao kê tháng", "việc rà soát hồ sơ", "thông báo lãi suất",
         "kế hoạch trả nợ", "hợp đồng", "lệnh trích nợ"),
        ("đã nhận đúng hạn", "đã được gửi", "đã kiểm tra", "đang xử lý", "đã cập nhật", "đã hoàn tất", "đã lưu",
         "không cần xử lý thêm"),
        ("", ", không có câu hỏi thêm", ", rà soát lại vào mùa xuân", ", giấy tờ đầy đủ", ", không còn việc tồn",
         ", điều khoản không đổi", ", không cần nhắc", ", đóng như thường lệ"),
    ),
}  # fmt: skip


@lru_cache(maxsize=256)
def pool(locale: str, method: str) -> Texts:
    """Distinct-enough values of one Faker method, always the same for a Faker version.

    Raises:
        ConfigError: Faker does not know the locale.
    """
    fake = _faker(locale)
    fake.seed_instance(f"tabveil/{locale}/{method}")
    draw: Callable[[], Any] = getattr(fake, method, None) or fake.city
    return np.array([str(draw()) for _ in range(_POOL)], dtype=object)


def _faker(locale: str) -> Any:
    from faker import Faker  # takes 0.4 s; a scan never needs it

    try:
        return Faker(locale)
    except AttributeError as err:
        raise ConfigError(f"dataset.locales: Faker does not know the locale '{locale}' (en_US, de_DE, ...)") from err


def country(locale: str) -> str:
    """``de_DE -> DE``; a locale without one counts as American."""
    return locale.partition("_")[2] or "US"


@dataclass(frozen=True)
class People:
    """The persons of some rows: who they are follows from the draws alone.

    Args:
        locales: Faker locales in use.
        choice: int array, index into `locales` per row.
        attempts: int array, which attempt of its name each person has.
    """

    draws: Draws
    locales: Sequence[str]
    choice: Int64s
    attempts: Int64s

    @classmethod
    def of(cls, draws: Draws, locales: Sequence[str]) -> People:
        """First attempt at the persons of these rows; attempts change names, never locales."""
        choice = Draws(draws.seed, draws.rows).below("locale", len(locales))  # one locale for all people of a row
        return cls(draws, tuple(locales), choice, np.zeros(len(draws), dtype=np.int64))

    def where(self, chosen: npt.NDArray[np.bool_]) -> People:
        """Some of the persons."""
        return People(self.draws.where(chosen), self.locales, self.choice[chosen], self.attempts[chosen])

    def with_attempt(self, attempt: int) -> People:
        """The same persons under the same names, everything else drawn again."""
        return replace(self, draws=replace(self.draws, attempt=attempt))

    def redrawn(self, chosen: npt.NDArray[np.bool_]) -> People:
        """The same persons, those `chosen` under another name."""
        return replace(self, attempts=self.attempts + chosen)

    def by_locale(self, make: Callable[[str, Draws], Texts]) -> Texts:
        """Values of a function that is called once per locale with that locale's rows."""
        values = np.full(len(self.draws), None, dtype=object)
        for index, locale in enumerate(self.locales):
            mine = self.choice == index
            if mine.any():
                values[mine] = make(locale, self.draws.where(mine))
        return values

    def pick(self, method: str, stream: str) -> Texts:
        """A value of each person's locale from Faker's `method`."""

        def make(locale: str, draws: Draws) -> Texts:
            values = pool(locale, method)
            return values[draws.below(stream, len(values))]

        return self.by_locale(make)

    def given_names(self) -> Texts:
        """Given names; of a new sound after a few attempts."""
        return self._named(lambda people: people._given())

    def family_names(self) -> Texts:
        """Family names; of a new sound after a few attempts."""
        return self._named(lambda people: people._family())

    def full_names(self) -> Texts:
        """Given and family name in the order of the locale; middle names, which are few, are left out once blended."""
        given, family = self.given_names(), self.family_names()
        middle = self.draws.below("middle", len(_VIETNAMESE_MIDDLE))
        names = np.empty(len(given), dtype=object)
        for row, choice in enumerate(self.choice):
            language = self.locales[choice].partition("_")[0]
            if language == "vi":
                between = f" {_VIETNAMESE_MIDDLE[middle[row]]} " if self.attempts[row] < _BLENDED_FROM else " "
                names[row] = f"{family[row]}{between}{given[row]}"
            else:
                first_family = language in _FAMILY_FIRST
                names[row] = f"{family[row]} {given[row]}" if first_family else f"{given[row]} {family[row]}"
        return names

    def emails(self) -> Texts:
        """Addresses made of the name and a number of their own, below domains reserved by RFC 2606."""
        given, family = self.given_names(), self.family_names()
        serial, domain = self.draws.serial("email"), self.draws.below("domain", len(_EMAIL_DOMAINS))
        return np.array(
            [
                f"{_local_part(given[row], family[row])}{serial[row]}@{_EMAIL_DOMAINS[domain[row]]}"
                for row in range(len(given))
            ],
            dtype=object,
        )

    def streets(self) -> Texts:
        """Street and house number in the locale's way; of a new name after a few attempts."""
        streets, numbers = self.pick("street_address", "street"), 1 + self.draws.below("house", 998)
        if self.draws.attempt >= _STREETS_BLENDED_FROM:
            seconds = self.pick("street_address", "second street")
            streets = np.array(
                [
                    street.replace(_longest(street), blend(street, second), 1)
                    for street, second in zip(streets, seconds, strict=True)
                ],
                dtype=object,
            )
        return np.array(
            [_numbered(street, number) for street, number in zip(streets, numbers, strict=True)], dtype=object
        )

    def cities(self) -> Texts:
        """Towns; new ones after a few attempts, since a locale's list of towns is short."""
        return self._blended(self.pick("city", "CITY"), self.pick("city", "second CITY"))

    def sentences(self) -> Texts:
        """Neutral remarks in the locale's language (English where there is none), about nobody.

        After several attempts, ``Entry <number>``: a table of stock phrases may hold every remark there is.
        """
        if self.draws.attempt >= _NUMBERED_FROM:
            return np.array([f"Entry {number:010d}." for number in self.draws.serial("text")], dtype=object)

        def make(locale: str, draws: Draws) -> Texts:
            parts = _SENTENCES.get(locale.partition("_")[0], _SENTENCES["en"])
            chosen = [draws.below(f"text{i}", len(part)) for i, part in enumerate(parts)]
            texts = (f"{parts[0][a]} {parts[1][b]}{parts[2][c]}." for a, b, c in zip(*chosen, strict=True))
            return np.array([text[0].upper() + text[1:] for text in texts], dtype=object)

        return self.by_locale(make)

    def _named(self, make: Callable[[People], Texts]) -> Texts:
        values = np.full(len(self.draws), None, dtype=object)
        for attempt in np.unique(self.attempts):
            mine = self.attempts == attempt
            values[mine] = make(self.where(mine).with_attempt(int(attempt)))
        return values

    def _given(self) -> Texts:
        return self._blended(self._by_sex("given"), self._by_sex("second"))

    def _by_sex(self, stream: str) -> Texts:
        female = self.draws.below("sex", 2) == 1
        names = np.where(female, self.pick("first_name_female", stream), self.pick("first_name_male", stream))
        return names.astype(object)

    def _family(self) -> Texts:
        return self._blended(self.pick("last_name", "family"), self.pick("last_name", "second family"))

    def _blended(self, names: Texts, seconds: Texts) -> Texts:
        if self.draws.attempt < _BLENDED_FROM:
            return names
        return np.array([blend(one, other) for one, other in zip(names, seconds, strict=True)], dtype=object)


def blend(one: str, other: str) -> str:
    """One new word of two: ``Lindsey, Barbara -> Lindbara``. Whole names never stand inside it, as in a double name."""
    head, tail = _longest(one), _longest(other)
    return head[: (len(head) + 1) // 2] + tail[len(tail) // 2 :].lower()


def _longest(text: str) -> str:
    """The first of the longest words; the text itself where there is no word."""
    words: list[str] = _LETTERS.findall(text)
    return max(words or [text], key=len)


def _local_part(given: str, family: str) -> str:
    parts = [re.sub(r"[^a-z]", "", fold(part)) for part in (given, family)]
    return ".".join(part for part in parts if part) or "person"


def _numbered(street: str, number: int) -> str:
    street = " ".join(street.split())
    return re.sub(r"\d+", str(number), street, count=1) if re.search(r"\d", street) else f"{number} {street}"
