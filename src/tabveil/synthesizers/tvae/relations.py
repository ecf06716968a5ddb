"""Rows of tokens that columns may form together, as the constraints allow them; those that share columns joined.

Only a joint row keeps every constraint: after (a, b) and (c), say, b must leave something for d as well. So the rows of
constraints that share columns are joined (the natural join of Codd 1970) before anything is drawn from them.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tabveil.entities import Codes, entities_per_group
from tabveil.errors import TrainingError
from tabveil.synthesizers.combinations import KnownCombinations
from tabveil.synthesizers.tvae.numeric import NumericCodec
from tabveil.synthesizers.tvae.tokenizer import FIRST_KEPT, CategoryCodec, Codec, Tokenizer

MAX_JOINT_ROWS = 200_000  # bounds memory and the time of a join; beyond it two relations stay apart

Tokens = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Relation:
    """What `columns` may hold together.

    Attributes:
        columns: ascending. rows: distinct rows of tokens that are drawn, int64 (num_rows, num_columns).
        labels: of the constraints. parts: the relations that were joined; none of a single constraint's.
    """

    columns: tuple[int, ...]
    rows: Tokens
    labels: tuple[str, ...]
    parts: tuple[Relation, ...] = ()


def relations_of(tokenizer: Tokenizer, combinations: Sequence[KnownCombinations]) -> list[Relation]:
    """One relation per constraint whose columns are all categories of the tokenizer.

    Those that share columns are joined where they have at most `MAX_JOINT_ROWS` rows together.
    """
    relations = [_relation(tokenizer, known) for known in combinations if _is_drawn(tokenizer, known)]
    joined = True
    while joined:
        joined = False
        for one, other in itertools.combinations(relations, 2):
            both = _join(one, other) if set(one.columns) & set(other.columns) else None
            if both is not None:
                relations = [both, *(r for r in relations if r is not one and r is not other)]
                joined = True
                break
    return relations


def require_drawable(relations: Sequence[Relation]) -> None:
    """Refuse to train a model that could draw no row that keeps its constraints.

    Raises:
        TrainingError: names the constraints.
    """
    for relation in relations:
        if not len(relation.rows):
            raise TrainingError(
                f"the constraints {list(relation.labels)} must leave a combination that can be drawn, however there is "
                "none: generalise a column, drop a constraint, or raise synthesizer.max_categories"
            )


def within_categories(
    tokenizer: Tokenizer,
    table: pd.DataFrame,
    combinations: Sequence[KnownCombinations],
    max_categories: int,
    entities: Codes | None = None,
) -> Tokenizer:
    """At most `max_categories` of each column, first those of the combinations that most people have.

    What is left of a column's share goes to its most frequent other categories. A combination that lost a category is
    not drawn.

    Args:
        table: canonical training rows. entities: whose row each is; None: its own.
    """
    if all(_num_categories(codec) <= max_categories for codec in tokenizer.codecs):
        return tokenizer
    kept: dict[int, set[int]] = {column: set() for column in range(len(tokenizer.codecs))}
    for relation in relations_of(tokenizer, combinations):
        for row in relation.rows[_by_people(relation, tokenizer, table, entities)].tolist():
            levels = [
                (column, token) for column, token in zip(relation.columns, row, strict=True) if token >= FIRST_KEPT
            ]
            if all(token in kept[column] or len(kept[column]) < max_categories for column, token in levels):
                for column, token in levels:
                    kept[column].add(token)
    codecs = [_only(codec, kept[column], max_categories) for column, codec in enumerate(tokenizer.codecs)]
    return Tokenizer(tuple(codecs))


def groups_of(rows: Tokens) -> Tokens:
    """Equal numbers for equal rows, from 0 on in ascending order of the rows; int64 (num_rows,)."""
    group = np.zeros(len(rows), dtype=np.int64)
    for column in range(rows.shape[1]):
        size = int(rows[:, column].max(initial=0)) + 1
        group = np.unique(group * size + rows[:, column], return_inverse=True)[1].reshape(-1)
    return group


def ranges(starts: Tokens, counts: Tokens) -> Tokens:
    """The numbers from each start on, as many as its count, one range after the other."""
    before = np.cumsum(counts) - counts
    return np.repeat(starts - before, counts) + np.arange(counts.sum(), dtype=np.int64)


def _is_drawn(tokenizer: Tokenizer, known: KnownCombinations) -> bool:
    names = tokenizer.names
    return all(
        name in names and not isinstance(tokenizer.codecs[names.index(name)], NumericCodec) for name in known.columns
    )


def _relation(tokenizer: Tokenizer, known: KnownCombinations) -> Relation:
    columns = sorted(tokenizer.names.index(name) for name in known.columns)
    codecs = [tokenizer.codecs[column] for column in columns]
    tokens = [codec.encode(known.allowed[codec.name]) for codec in codecs if isinstance(codec, CategoryCodec)]
    drawn = np.logical_and.reduce([codec.emitted[part] for codec, part in zip(codecs, tokens, strict=True)])
    return Relation(tuple(columns), np.stack(tokens, axis=1)[drawn], (known.label,))


def _join(one: Relation, other: Relation) -> Relation | None:
    """The natural join; None if it were too large."""
    shared = [column for column in one.columns if column in other.columns]
    keys = [r.rows[:, [r.columns.index(column) for column in shared]] for r in (one, other)]
    groups = groups_of(np.concatenate(keys))
    left, right = groups[: len(one.rows)], groups[len(one.rows) :]
    counts = np.bincount(right, minlength=int(groups.max(initial=0)) + 1)
    if counts[left].sum() > MAX_JOINT_ROWS:
        return None
    firsts = np.cumsum(counts) - counts
    matches = np.argsort(right, kind="stable")[ranges(firsts[left], counts[left])]
    cells = {column: other.rows[matches, place] for place, column in enumerate(other.columns)}
    repeated = np.repeat(one.rows, counts[left], axis=0)
    cells |= {column: repeated[:, place] for place, column in enumerate(one.columns)}
    columns = tuple(sorted(cells))
    parts = [part for relation in (one, other) for part in (relation.parts or (relation,))]
    return Relation(columns, np.stack([cells[c] for c in columns], axis=1), one.labels + other.labels, tuple(parts))


def _by_people(relation: Relation, tokenizer: Tokenizer, table: pd.DataFrame, entities: Codes | None) -> Tokens:
    """Order of the rows, those of most people first."""
    codecs = [tokenizer.codecs[column] for column in relation.columns]
    tokens = [codec.encode(table[codec.name]) for codec in codecs if isinstance(codec, CategoryCodec)]
    groups = groups_of(np.concatenate([relation.rows, np.stack(tokens, axis=1)]))
    num_rows = len(relation.rows)
    people = entities_per_group(groups[num_rows:], int(groups.max(initial=0)) + 1, entities)
    return np.argsort(-people[groups[:num_rows]], kind="stable")


def _num_categories(codec: Codec) -> int:
    return len(codec.categories) if isinstance(codec, CategoryCodec) else 0


def _only(codec: Codec, kept: set[int], max_categories: int) -> Codec:
    if not isinstance(codec, CategoryCodec) or len(codec.categories) <= max_categories:
        return codec
    others = [token for token in range(FIRST_KEPT, codec.num_tokens) if token not in kept]
    chosen = sorted([*kept, *others[: max_categories - len(kept)]])
    return replace(codec, categories=tuple(codec.categories[token - FIRST_KEPT] for token in chosen))
