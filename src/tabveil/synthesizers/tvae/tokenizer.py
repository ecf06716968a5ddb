"""A table as tokens: one per cell, plus a place inside the token's slice for numbers (see `numeric`).

Categories: token 0 is the missing value, token 1 stands for every rare category, then come the kept ones. A category
of fewer than `rare_threshold` entities never leaves this module, nor is the rare token ever sampled while a kept
category exists: sampling then chooses among the kept ones, given the rest of the row. If all categories are rare the
column reads `other`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Union

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tabveil.config import TVAEConfig
from tabveil.entities import Codes, entities_per_group
from tabveil.schema import Column, ColumnType, Metadata, SDType
from tabveil.synthesizers.tvae.numeric import NumericCodec, fit_numeric
from tabveil.synthesizers.values import INSTANTS, learned_as

MISSING, RARE, FIRST_KEPT = 0, 1, 2
OTHER = "other"


@dataclass(frozen=True)
class CategoryCodec:
    """A fitted categorical or boolean column.

    Attributes:
        categories: kept values in order of their tokens, as str, int, float or bool (instants: microseconds).
        rare_label: what the rare token reads if no category was kept; None: missing (no text, or none in any row).
    """

    name: str
    type: ColumnType
    categories: tuple[Any, ...]
    rare_label: str | None
    emits_missing: bool

    @property
    def num_tokens(self) -> int:
        """Tokens including the missing value and the rare one."""
        return FIRST_KEPT + len(self.categories)

    @property
    def emitted(self) -> NDArray[np.bool_]:
        """Shape (num_tokens,): which tokens sampling may choose."""
        allowed = np.ones(self.num_tokens, dtype=bool)
        allowed[MISSING], allowed[RARE] = self.emits_missing, not self.categories
        return allowed

    def encode(self, series: pd.Series[Any]) -> NDArray[np.int64]:
        """Tokens, int64 (num_rows,); an unknown category is the rare token."""
        keys = _keys(series, self.type)
        tokens = pd.Index(self.categories, dtype="object").get_indexer(pd.Index(keys, dtype="object")) + FIRST_KEPT
        tokens[tokens < FIRST_KEPT] = RARE
        tokens[series.isna().to_numpy()] = MISSING
        return np.asarray(tokens, dtype=np.int64)

    def decode(self, tokens: NDArray[np.int64]) -> pd.Series[Any]:
        """The column in its canonical dtype."""
        if self.type is ColumnType.string:
            table = np.array([None, self.rare_label, *self.categories], dtype="object")
            return pd.Series(table[tokens], dtype="object")
        if self.type is ColumnType.boolean:
            flags = np.array([False, False, *self.categories], dtype=bool)[tokens]
            return pd.Series(pd.arrays.BooleanArray(flags, tokens < FIRST_KEPT))
        if self.type is ColumnType.decimal:
            return pd.Series(np.array([np.nan, np.nan, *self.categories], dtype=np.float64)[tokens])
        whole, missing = np.array([0, 0, *self.categories], dtype=np.int64)[tokens], tokens < FIRST_KEPT
        if self.type is ColumnType.integer:
            return pd.Series(pd.arrays.IntegerArray(whole, missing))
        instants = whole.astype("datetime64[us]")
        instants[missing] = np.datetime64("NaT")
        return pd.Series(instants)


Codec = Union[NumericCodec, CategoryCodec]


@dataclass(frozen=True)
class TokenTable:
    """An encoded table in the tokenizer's column order.

    Attributes:
        tokens: int32 (num_rows, num_columns), counted from 0 in each column.
        places: float32 (num_rows, num_numeric).
    """

    tokens: NDArray[np.int32]
    places: NDArray[np.float32]


@dataclass(frozen=True)
class Tokenizer:
    """The fitted columns, in the order in which the decoder generates them."""

    codecs: tuple[Codec, ...]

    @property
    def names(self) -> list[str]:
        """Column names in generation order."""
        return [codec.name for codec in self.codecs]

    @property
    def numeric(self) -> list[int]:
        """Positions of the columns that have places."""
        return [i for i, codec in enumerate(self.codecs) if isinstance(codec, NumericCodec)]

    def encode(self, table: pd.DataFrame, rng: np.random.Generator) -> TokenTable:
        """Tokens and places of a canonical table."""
        tokens = np.zeros((len(table), len(self.codecs)), dtype=np.int32)
        places = np.zeros((len(table), len(self.numeric)), dtype=np.float32)
        for i, codec in enumerate(self.codecs):
            if isinstance(codec, NumericCodec):
                tokens[:, i], places[:, self.numeric.index(i)] = codec.encode(table[codec.name], rng)
            else:
                tokens[:, i] = codec.encode(table[codec.name])
        return TokenTable(tokens, places)

    def decode(self, tokens: NDArray[np.int64], places: NDArray[Any]) -> pd.DataFrame:
        """Canonical table, columns in generation order."""
        columns: dict[str, pd.Series[Any]] = {}
        position = 0
        for i, codec in enumerate(self.codecs):
            if isinstance(codec, NumericCodec):
                columns[codec.name] = codec.decode(tokens[:, i], places[:, position].astype(np.float64))
                position += 1
            else:
                columns[codec.name] = codec.decode(tokens[:, i])
        return pd.DataFrame(columns, index=pd.RangeIndex(len(tokens)))


def fit_tokenizer(
    table: pd.DataFrame,
    metadata: Metadata,
    columns: Sequence[str],
    config: TVAEConfig,
    rng: np.random.Generator,
    *,
    entities: Codes | None = None,
    exact: Collection[str] = (),
) -> Tokenizer:
    """Learn every column of `columns` (generation order) from a canonical table.

    Args:
        entities: whose row each is, of shape (num_rows,); None: its own. They, not rows, count as many or few.
        exact: columns that are categories whatever they hold, because a constraint asks for exact values; more than
            `max_categories` of them, if there are (`relations.within_categories` chooses).
    """
    codecs: list[Codec] = []
    for name in columns:
        column, series = metadata[name], table[name]
        if name not in exact and learned_as(column) in (SDType.numerical, SDType.datetime):
            codecs.append(fit_numeric(series, column, config, rng, entities))
        else:
            codecs.append(fit_categories(series, column, config, entities, limited=name not in exact))
    return Tokenizer(tuple(codecs))


def log_shares(
    tokenizer: Tokenizer, table: TokenTable, min_count: int, entities: Codes | None = None
) -> list[NDArray[np.float32]]:
    """Start of the decoder's free logits, one array of shape (num_tokens,) per column.

    The log share of each category and of each missing value, where fewer than `min_count` entities have it that of
    `min_count` rows. Numbers share one value: how often the column is present; among them the kernel starts near each
    token's width.
    """
    parts = []
    for i, codec in enumerate(tokenizer.codecs):
        counts = np.bincount(table.tokens[:, i], minlength=codec.num_tokens).astype(np.float64)
        groups = table.tokens[:, i].astype(np.int64)
        if isinstance(codec, NumericCodec):
            counts[1:], groups = counts[1:].sum(), np.minimum(groups, 1)
        holders = entities_per_group(groups, codec.num_tokens, entities)
        if isinstance(codec, NumericCodec):
            holders[1:] = holders[1:].sum()
        shares = np.where(holders < min_count, min_count, counts) / len(table.tokens)
        parts.append(np.log(shares).astype(np.float32))
    return parts


def fit_categories(
    series: pd.Series[Any],
    column: Column,
    config: TVAEConfig,
    entities: Codes | None = None,
    *,
    limited: bool = True,
) -> CategoryCodec:
    """Keep the categories of at least `rare_threshold` entities, if `limited` at most `max_categories` of them."""
    codes, known = pd.factorize(np.array(_keys(series, column.type), dtype="object"))  # missing: -1
    counts = entities_per_group(codes.astype(np.int64), len(known), entities)
    ranked = sorted(zip(known, counts, strict=True), key=lambda item: (-item[1], str(item[0])))
    ranked = ranked[: config.max_categories] if limited else ranked
    kept = tuple(key for key, count in ranked if count >= config.rare_threshold)
    label = OTHER if column.type is ColumnType.string and len(known) else None
    names = set(known)
    while label in names and label not in kept:
        label = f"{label}_"
    num_missing = int(entities_per_group(np.where(codes < 0, 0, -1), 1, entities)[0])
    return CategoryCodec(
        column.name, column.type, kept, label, num_missing >= config.rare_threshold or bool((codes < 0).all())
    )


def _keys(series: pd.Series[Any], kind: ColumnType) -> list[Any]:
    """Hashable plain values: str, bool, int or float; instants as microseconds."""
    if kind is ColumnType.string:
        return [None if missing else str(v) for v, missing in zip(series, series.isna(), strict=True)]
    if kind is ColumnType.boolean:
        return list(series.astype("object").mask(series.isna(), None))
    if kind is ColumnType.decimal:
        return [float(v) for v in series]
    whole = series.astype("datetime64[us]").astype("int64") if kind in INSTANTS else series
    return [None if missing else int(v) for v, missing in zip(whole, series.isna(), strict=True)]
