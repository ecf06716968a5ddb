"""Given and family names, from the lists that Faker ships, folded to ASCII; and what a written name looks like."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable
from functools import lru_cache

import numpy as np
import polars as pl

from tabveil.pii.checks import Hits, matches
from tabveil.pii.columns import fold_series as folded
from tabveil.pii.identifiers import fold

LOCALES = ("en_US", "en_GB", "en_IN", "de_DE", "vi_VN", "fr_FR", "es_ES", "es_MX", "pt_BR", "nl_NL", "pl_PL")


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
    miles chance sales phone case bowl an in do to so ho north south east west new port bad saint st san santa la los
    loan"""
)
_INSTITUTIONS = re.compile(rf"\b(?:{'|'.join(sorted(_NOT_PEOPLE))})\b")
_PLACE_WORDS = _words("north south east west new port lake fort mount saint st san santa bad los las ville")
_TITLES = _words(
    """mr mrs ms miss dr prof univ herr frau hr fr dipl ing med mag m mme mlle monsieur madame sr sra srta don dona ong
    ba anh chi co chu bac quy"""
)
_PROVINCES = _words(  # of Vietnam, that read like a person; inside a longer name they are given names
    "binh duong,binh dinh,ha giang,nam dinh,thai binh,vinh long,lang son,hai duong", ","
)
_DEGREES = _words("jr sr ii iii iv md dds phd dvm mba eng sc msc bsc")
_TOKEN = re.compile(r"[^\W\d_]+", re.UNICODE)
_PARTICLES = "v[ao]n|von|zu|zum|zur|de[nrl]?|la|las|los|dos?|da|di|du|el|bin|ibn|ter|ten|y|e"
# one or more words that begin with a capital, as names, places and firms are written; for `checks.matches`
WRITTEN_NAME = (
    r"^\p{Lu}[\p{L}\p{M}'’.-]*"
    rf"(?:,? (?:(?:{_PARTICLES}) ){{0,2}}\p{{Lu}}[\p{{L}}\p{{M}}'’.-]*){{0,6}}$"
)
UPPER = "".join(c for c in map(chr, (*range(0x41, 0x250), *range(0x1E00, 0x1F00))) if c.isupper())
_WRITTEN = re.compile(
    WRITTEN_NAME.replace(r"[\p{L}\p{M}'’.-]", r"(?:[^\W\d_]|['’.-])").replace(r"\p{Lu}", f"[{UPPER}]")
)


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


def is_written_as_name(text: str) -> bool:
    """Whether every word begins with a capital (particles need not), as in `WRITTEN_NAME`."""
    return bool(_WRITTEN.match(text))


def names_institution(text: str) -> bool:
    """Whether a well-known firm or place that reads like a person is written in the text."""
    return bool(_INSTITUTIONS.search(" ".join(_TOKEN.findall(fold(text)))))


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


# --- the same over whole columns ------------------------------------------------------------------------------------

_FIRM = (
    r"\b(?:gmbh|ag|kg|kgaa|ohg|ohgaa|mbh|gbr|e\.?v|inc|llc|llp|ltd|limited|plc|corp|corporation|company|group|holding|"
    r"s\.?a|s\.?a\.?r\.?l|sarl|sas|sasu|s\.?l|s\.?l\.?u|s\.?r\.?l|spa|s\.?p\.?a|snc|bv|nv|ab|oy|a/s|stiftung|bank|partners|"
    r"associates|sons|et fils|y asociados|hermanos|cong ty|tnhh|ctcp|doanh nghiep|hop tac xa|tap doan|"
    r"ngan hang|pvt)\b|&|\bco\.|[a-z], [a-z]+ (?:and|und|et|y) [a-z]"
)


@lru_cache(maxsize=8)
def _listed(name: str) -> pl.Series:
    """A word list as `is_in` takes it."""
    lists = {
        "given": given_names(), "family": family_names(), "words": _ALSO_WORDS, "places": _PLACE_WORDS,
        "given only": given_names() - _ALSO_WORDS, "family only": family_names() - _ALSO_WORDS,
    }  # fmt: skip
    return pl.Series(sorted(lists[name])).implode()


def full_names(values: pl.Series) -> Hits:
    """`is_full_name` of every text."""
    text = _without_titles(folded(values))
    words = text.str.extract_all("[a-z]{2,}")
    sizes = words.list.len()
    chosen = ((sizes >= 2) & (sizes <= 6)).to_numpy()
    hits = np.zeros(len(values), dtype=bool)
    if chosen.any():
        mask = pl.Series(chosen)
        hits[chosen] = _full(words.filter(mask))
        hits[hits] = _no_institution(text.filter(pl.Series(hits)))
    return hits


def _full(words: pl.Series) -> Hits:
    """Of lists of folded words, none empty: a given and a family name that are two words, known at both ends."""
    facts = _facts(_long(words))
    place = facts["first"].is_in(_listed("places"))
    return (_pair(facts) & facts["ends"] & ~facts["plain"] & ~place).to_numpy().astype(bool)


def _long(words: pl.Series) -> pl.DataFrame:
    """Lists as pairs of the list's number and a word."""
    rows = np.repeat(np.arange(len(words)), words.list.len().to_numpy())
    return pl.DataFrame({"row": rows, "word": words.filter(words.list.len() > 0).explode(empty_as_null=False)})


def _facts(tokens: pl.DataFrame) -> pl.DataFrame:
    """Per row, what the name lists say about its words."""
    distinct = tokens["word"].unique()
    known = pl.DataFrame(
        {
            "word": distinct,
            "given": distinct.is_in(_listed("given")),
            "family": distinct.is_in(_listed("family")),
            "plain": distinct.is_in(_listed("words")),
        }
    )
    either = pl.col("given") | pl.col("family")
    return (
        tokens.join(known, on="word", how="left", maintain_order="left")
        .group_by("row", maintain_order=True)
        .agg(
            enough=either.sum() >= 2, given=pl.col("given").any(), family=pl.col("family").any(),
            ends=either.first() & either.last(), plain=pl.col("plain").all(), first=pl.col("word").first(),
            some=(either & ~pl.col("plain")).any(),
        )
    )  # fmt: skip


def _pair(facts: pl.DataFrame) -> pl.Series:
    return facts["enough"] & facts["given"] & facts["family"]


def hold_full_name(words: pl.Series) -> Hits:
    """Lists of words, as written, among which are a given and a family name (two words)."""
    listed = _long(words)
    facts = _facts(listed.with_columns(folded(listed["word"])))
    return _marked(len(words), facts, _pair(facts))


def hold_name(values: pl.Series) -> Hits:
    """Texts with a known name that is not an everyday word."""
    facts = _facts(_long(folded(values).str.extract_all("[a-z]{2,}")))
    return _marked(len(values), facts, facts["some"])


def _marked(size: int, facts: pl.DataFrame, chosen: pl.Series) -> Hits:
    hits = np.zeros(size, dtype=bool)
    hits[facts["row"].filter(chosen).to_numpy()] = True
    return hits


def _without_titles(text: pl.Series) -> pl.Series:
    """Folded names without titles in front and degrees behind, where two words remain."""
    titles, degrees = "|".join(sorted(_TITLES)), "|".join(sorted(_DEGREES))
    titled = rf"^(?:(?:{titles})[. ]+){{1,3}}([a-z]{{2,}}[^a-z]+.*[a-z]{{2}})"
    graduate = rf"([a-z]{{2,}}[^a-z]+[a-z]{{2,}}.*?)(?:[^a-z]+(?:{degrees}))+[^a-z]*$"
    for pattern in (titled, graduate):
        if matches(text, pattern).any():
            text = text.str.replace(pattern, "${1}")
    return text


def _no_institution(text: pl.Series) -> Hits:
    phrases = "|".join(sorted(_NOT_PEOPLE))
    return ~matches(text, rf"\b(?:{phrases})\b")


def provinces(texts: pl.Series) -> Hits:
    """Folded texts that are a province and nothing else."""
    return texts.is_in(pl.Series(sorted(_PROVINCES)).implode()).to_numpy()


def given_only(values: pl.Series) -> Hits:
    """`is_given_name` of every text."""
    return _single(values, "given only", most=2)


def family_only(values: pl.Series) -> Hits:
    """`is_family_name` of every text."""
    return _single(values, "family only", most=1)


def _single(values: pl.Series, names: str, most: int) -> Hits:
    words = folded(values).str.extract_all("[a-z]{2,}")
    sizes = words.list.len()
    known = words.list.eval(pl.element().is_in(_listed(names))).list.all()
    return ((sizes >= 1) & (sizes <= most) & known).to_numpy().astype(bool)


def firms(texts: pl.Series) -> Hits:
    """Folded texts with a legal form of a firm, or an ampersand."""
    return matches(texts, _FIRM)
