"""Given and family names, from the lists that Faker ships, folded to ASCII; and what a written name looks like."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable
from functools import lru_cache

from tabveil.pii.identifiers import fold

LOCALES = ("en_US", "en_GB", "de_DE", "vi_VN", "fr_FR", "es_ES")


def _words(text: str, separator: str | None = None) -> frozenset[str]:
    return frozenset(word.strip() for word in text.split(separator))


_VIETNAMESE_FAMILY = _words(
    """nguyen tran le pham hoang huynh phan vu vo dang bui do ho ngo duong ly dao doan vuong trinh truong dinh lam phung
    mai to ha chau quach thai luong tang"""
)
_VIETNAMESE_GIVEN = _words(
    """an anh bao binh chau chi cuong dat duc dung duy duyen giang ha hai hang hanh hieu hoa hoai hung huong huy huyen
    khanh khoa khoi kien kim lan linh loan long mai minh my nam nga ngan ngoc nhan nhi nhung oanh phong phuc phuong quan
    quang quynh son tam tan thanh thao thi thien thu thuy tien toan trang tri trinh trung truong tu tuan tuyet van viet
    vinh vy xuan yen"""
)
# institutions and places that read like a person
_NOT_PEOPLE = _words(
    """morgan stanley,wells fargo,charles schwab,edward jones,sherwin williams,merrill lynch,goldman sachs,ernst young,
    harley davidson,johnson controls,calvin klein,ralph lauren,thomas cook,ho chi minh,johns hopkins,booz allen,
    raymond james,henry schein,jack daniels,kelly services,lee hecht,george washington,thomas jefferson,martin luther,
    john deere,john hancock,eli lilly,estee lauder""",
    ",",
)
# names that are everyday words in job titles, products and places; alone they say nothing
_ALSO_WORDS = _words(
    """baker cook mason carter carpenter porter marshall dean page banks bank park young long short gray green brown
    white black may april june august art rich price case chase wells mercedes van de la major general faith grace
    hope joy summer autumn dawn star sky rose lily ivy ruby amber virginia georgia carolina paris austin houston
    jackson lincoln madison charlotte orlando florence home house best day knight king bishop pope church hall field
    fields hill forest wood woods lake rivers stone glass cross temple ward guy drew mark bill will grant chip jean
    miles chance sales an in do to so ho north south east west new port bad saint st san santa la los"""
)
_PLACE_WORDS = _words("north south east west new port lake fort mount saint st san santa bad los las ville")
_TITLES = _words(
    """mr mrs ms miss dr prof univ herr frau hr fr dipl ing med mag m mme mlle monsieur madame sr sra srta don dona ong
    ba anh chi co chu bac quy"""
)
_DEGREES = _words("jr sr ii iii iv md dds phd dvm mba eng sc msc bsc")
_TOKEN = re.compile(r"[^\W\d_]+", re.UNICODE)


def _names(locale: str, prefix: str) -> Iterable[str]:
    provider = importlib.import_module(f"faker.providers.person.{locale}").Provider
    for attribute in dir(provider):
        if attribute.startswith(prefix):
            values = getattr(provider, attribute)
            yield from (values if not callable(values) else ())


@lru_cache(maxsize=1)
def given_names() -> frozenset[str]:
    """Folded given names of `LOCALES`."""
    return _folded("first_names") | _folded("middle_names") | _VIETNAMESE_GIVEN


@lru_cache(maxsize=1)
def family_names() -> frozenset[str]:
    """Folded family names of `LOCALES`, and the common Vietnamese ones."""
    return _folded("last_names") | _VIETNAMESE_FAMILY


@lru_cache(maxsize=1)
def known_names() -> frozenset[str]:
    """Given and family names together."""
    return given_names() | family_names()


def _folded(prefix: str) -> frozenset[str]:
    tokens = (token for locale in LOCALES for name in _names(locale, prefix) for token in _TOKEN.findall(fold(name)))
    return frozenset(token for token in tokens if len(token) > 1) - _DEGREES


def name_tokens(text: str) -> list[str]:
    """Folded words of a written name without initials, titles in front and degrees behind."""
    tokens = [token for token in _TOKEN.findall(fold(text)) if len(token) > 1]
    while len(tokens) > 2 and tokens[0] in _TITLES:
        tokens.pop(0)
    while len(tokens) > 2 and tokens[-1] in _DEGREES:
        tokens.pop()
    return tokens


def is_full_name(text: str, *, announced: bool = False) -> bool:
    """Two to six words, one a known given name, another a known family name; no firm.

    Names that are all everyday words (``Mark Stone``) count only where context has `announced` a person.
    """
    tokens = name_tokens(text)
    if not 2 <= len(tokens) <= 6 or (not announced and all(token in _ALSO_WORDS for token in tokens)):
        return False
    if tokens[0] in _PLACE_WORDS or names_institution(text) or not {tokens[0], tokens[-1]} <= known_names():
        return False
    given = {i for i, token in enumerate(tokens) if token in given_names()}
    family = {i for i, token in enumerate(tokens) if token in family_names()}
    return bool(given and family) and len(given | family) >= 2


def names_institution(text: str) -> bool:
    """Whether a well-known firm or place that reads like a person is written in the text."""
    folded = f" {' '.join(_TOKEN.findall(fold(text)))} "
    return any(f" {phrase} " in folded for phrase in _NOT_PEOPLE)


def is_given_name(text: str) -> bool:
    """One known given name that is not an everyday word."""
    tokens = name_tokens(text)
    return 1 <= len(tokens) <= 2 and all(t in given_names() and t not in _ALSO_WORDS for t in tokens)


def is_family_name(text: str) -> bool:
    """One known family name that is not an everyday word."""
    tokens = name_tokens(text)
    return len(tokens) == 1 and tokens[0] in family_names() and tokens[0] not in _ALSO_WORDS


def holds_name(text: str) -> bool:
    """Whether any word is a known name that is not an everyday word (used only where context announces a person)."""
    return any(t in known_names() and t not in _ALSO_WORDS for t in name_tokens(text))
