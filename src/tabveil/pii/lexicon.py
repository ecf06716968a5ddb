"""Given and family names, from the lists that Faker ships, folded to ASCII; and what a written name looks like."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable
from functools import lru_cache

from tabveil.pii.identifiers import fold

LOCALES = ("en_US", "en_GB", "de_DE", "vi_VN", "fr_FR", "es_ES")
_VIETNAMESE_FAMILY = (
    "nguyen tran le pham hoang huynh phan vu vo dang bui do ho ngo duong ly dao doan vuong trinh truong dinh lam phung "
    "mai to ha chau quach thai luong tang"
).split()
# names that are everyday words in job titles, products and places; alone they say nothing
_ALSO_WORDS = frozenset(
    "baker cook mason carter carpenter porter marshall dean page banks bank park young long short gray green brown "
    "white black may april june august art rich price case chase wells mercedes van de la major general faith grace "
    "hope joy summer autumn dawn star sky rose lily ivy ruby amber virginia georgia carolina paris austin houston "
    "jackson lincoln madison charlotte orlando florence home house best day knight king bishop pope church hall field "
    "fields hill forest wood woods lake rivers stone glass cross temple ward guy drew mark bill will grant chip jean "
    "miles chance sales an in do to so ho".split()
)
_TITLES = frozenset(
    "mr mrs ms miss dr prof herr frau hr fr dipl ing med m mme mlle monsieur madame sr sra srta don dona jr ii iii iv "
    "md dds phd dvm ong ba anh chi co quy univ b a sc mag von zu van der den de la".split()
)
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
    return _folded("first_names") | _folded("middle_names")


@lru_cache(maxsize=1)
def family_names() -> frozenset[str]:
    """Folded family names of `LOCALES`, and the common Vietnamese ones."""
    return _folded("last_names") | frozenset(_VIETNAMESE_FAMILY)


def _folded(prefix: str) -> frozenset[str]:
    tokens = (token for locale in LOCALES for name in _names(locale, prefix) for token in _TOKEN.findall(fold(name)))
    return frozenset(token for token in tokens if len(token) > 1)


def name_tokens(text: str) -> list[str]:
    """Folded words of a written name without titles and degrees."""
    return [token for token in _TOKEN.findall(fold(text)) if token not in _TITLES]


def is_full_name(text: str) -> bool:
    """Two to five words, one a known given name and another a known family name; not all of them everyday words."""
    tokens = name_tokens(text)
    if not 2 <= len(tokens) <= 5 or all(token in _ALSO_WORDS for token in tokens):
        return False
    given = {i for i, token in enumerate(tokens) if token in given_names()}
    family = {i for i, token in enumerate(tokens) if token in family_names()}
    return bool(given and family) and len(given | family) >= 2 and _ends_are_names(tokens)


def _ends_are_names(tokens: list[str]) -> bool:
    known = given_names() | family_names()
    return tokens[0] in known and tokens[-1] in known


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
    known = given_names() | family_names()
    return any(t in known and t not in _ALSO_WORDS for t in name_tokens(text))
