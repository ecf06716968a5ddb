"""Combinations that hold by construction: a column is drawn among the tokens of whole allowed rows.

An allowed row counts if it agrees with all cells that are known, given cells of later columns included: so a token is
never drawn that leaves a later column of the relation nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tabveil.errors import SynthesizerError
from tabveil.synthesizers.combinations import KnownCombinations
from tabveil.synthesizers.tvae.relations import Relation, Tokens, ranges, relations_of
from tabveil.synthesizers.tvae.rows import Rows, Seen
from tabveil.synthesizers.tvae.tokenizer import Tokenizer

MAX_INDEXES = 64  # kept per rule: a new one for each column and each set of known columns

Flags = NDArray[np.bool_]


class CombinationRule:
    """Columns whose tokens occur together in one of the rows of a relation.

    Args:
        sizes: tokens of each column of the relation.
    """

    def __init__(self, relation: Relation, sizes: Sequence[int]) -> None:
        self.columns, self.rows, self.sizes, self.labels = relation.columns, relation.rows, sizes, relation.labels
        size_of = dict(zip(relation.columns, sizes, strict=True))
        self.parts = [CombinationRule(part, [size_of[column] for column in part.columns]) for part in relation.parts]
        self._indexes: dict[tuple[int, tuple[int, ...]], _Index] = {}

    def allowed(self, rows: Rows, column: int, num_tokens: int) -> Tensor:
        """Bool (num_rows, num_tokens): tokens of the allowed rows that agree with the known cells of the other columns.

        Where the known cells are no part of an allowed row, what the single constraints leave open, each that leaves
        something; where none does, nothing.
        """
        seen = [rows.seen(other) for other in self.columns]
        return torch.from_numpy(self._allowed(*_stacked(seen), column, num_tokens)).to(seen[0].tokens.device)

    def has_room(self, rows: Rows) -> Flags:
        """Rows whose known cells are part of an allowed one, bool (num_rows,)."""
        seen = [rows.seen(column) for column in self.columns]
        tokens, known = _stacked(seen)
        room = np.zeros(len(tokens), dtype=bool)
        for at, places in _by_pattern(known):
            room[at] = self._index(0, places).find(tokens[at])[1]
        return room

    def _allowed(self, tokens: Tokens, known: Flags, column: int, num_tokens: int) -> Flags:
        own = self.columns.index(column)
        allowed = np.zeros((len(tokens), num_tokens), dtype=bool)
        for at, places in _by_pattern(np.delete(known, own, axis=1)):
            others = tuple(place + (place >= own) for place in places)
            allowed[at] = self._tokens(tokens[at], own, others, num_tokens)
        lost = np.flatnonzero(~allowed.any(axis=1))
        if len(lost):
            allowed[lost] = self._nearly(tokens[lost], known[lost], column, num_tokens)
        return allowed

    def _tokens(self, tokens: Tokens, own: int, others: tuple[int, ...], num_tokens: int) -> Flags:
        """What the rows that agree in the columns at `others` have in that at `own`."""
        index = self._index(own, others)
        group, found = index.find(tokens)
        chosen, place = np.unique(group[found], return_inverse=True)
        counts = np.diff(index.starts)[chosen]
        own_tokens = index.tokens[ranges(index.starts[chosen], counts)]
        flags = np.zeros((len(chosen), num_tokens), dtype=bool)
        flags[np.repeat(np.arange(len(chosen)), counts), own_tokens] = True
        allowed = np.zeros((len(tokens), num_tokens), dtype=bool)
        allowed[found] = flags[place.reshape(-1)]
        return allowed

    def _nearly(self, tokens: Tokens, known: Flags, column: int, num_tokens: int) -> Flags:
        """What as many of the single constraints as can be kept leave open; of columns whose cells contradict them."""
        allowed = np.ones((len(tokens), num_tokens), dtype=bool)
        for part in self.parts:
            if column in part.columns:
                places = [self.columns.index(other) for other in part.columns]
                narrowed = allowed & part._allowed(tokens[:, places], known[:, places], column, num_tokens)
                allowed = np.where(narrowed.any(axis=1, keepdims=True), narrowed, allowed)
        return allowed

    def _index(self, own: int, others: tuple[int, ...]) -> _Index:
        index = self._indexes.get((own, others))
        if index is None:
            if len(self._indexes) >= MAX_INDEXES:
                self._indexes.clear()
            index = self._indexes[own, others] = _Index(self.rows, self.sizes, own, others)
        return index


class _Index:
    """The allowed rows by their tokens in some columns, as a trie that is searched level by level.

    Attributes:
        tokens: int64, what the rows of each group have in the column at `own`, distinct, one group after the other.
        starts: int64 (num_groups + 1,), where in `tokens` each begins.
    """

    def __init__(self, rows: Tokens, sizes: Sequence[int], own: int, others: tuple[int, ...]) -> None:
        self.others, self.sizes = others, [sizes[place] for place in others]
        self.levels: list[Tokens] = []  # of each column: ascending (group so far, token), as one number
        group = np.zeros(len(rows), dtype=np.int64)
        for place, size in zip(others, self.sizes, strict=True):
            level, group = np.unique(group * size + rows[:, place], return_inverse=True)
            self.levels.append(level)
        pairs = np.unique(group * sizes[own] + rows[:, own])
        self.tokens = pairs % sizes[own]
        num_groups = len(self.levels[-1]) if self.levels else 1
        self.starts = np.searchsorted(pairs, np.arange(num_groups + 1) * sizes[own])

    def find(self, tokens: Tokens) -> tuple[Tokens, Flags]:
        """The group of each row, int64 (num_rows,), and whether there is one.

        Args:
            tokens: of all columns of the relation.
        """
        group, found = np.zeros(len(tokens), dtype=np.int64), np.ones(len(tokens), dtype=bool)
        for place, size, level in zip(self.others, self.sizes, self.levels, strict=True):
            wanted = group * size + tokens[:, place]
            group = np.searchsorted(level, wanted).clip(max=len(level) - 1)
            found &= level[group] == wanted
        return group, found


def combination_rules(tokenizer: Tokenizer, combinations: Sequence[KnownCombinations]) -> tuple[CombinationRule, ...]:
    """The rules of the constraints whose columns are categories of the tokenizer; the others stay with rejection."""
    return tuple(
        CombinationRule(relation, [tokenizer.codecs[column].num_tokens for column in relation.columns])
        for relation in relations_of(tokenizer, combinations)
        if len(relation.rows)
    )


def require_combined(tokenizer: Tokenizer, rules: Sequence[CombinationRule], given: Rows) -> None:
    """Refuse given cells that are part of no allowed row.

    Raises:
        SynthesizerError: names the columns, not the values.
    """
    for rule in rules:
        refused = int((~rule.has_room(given)).sum())
        if refused:
            names = [tokenizer.names[column] for column in rule.columns if given.seen(column).known.any()]
            raise SynthesizerError(
                f"conditions on {names} must be part of a combination that {' and '.join(rule.labels)} allow, however "
                f"{refused} rows are of none: ask for values that enough people of the training table have together"
            )


def _stacked(seen: Sequence[Seen]) -> tuple[Tokens, Flags]:
    """Tokens and whether they are known, each (num_rows, num_columns)."""
    tokens = torch.stack([cells.tokens for cells in seen], dim=1)
    return tokens.cpu().numpy(), torch.stack([cells.known for cells in seen], dim=1).cpu().numpy()


def _by_pattern(known: Flags) -> list[tuple[Flags, tuple[int, ...]]]:
    """The rows of each pattern of known columns, bool (num_rows,), and the places of these columns."""
    patterns = known[:1] if (known == known[:1]).all() else np.unique(known, axis=0)
    return [((known == pattern).all(axis=1), tuple(np.flatnonzero(pattern).tolist())) for pattern in patterns]
