"""Constraints that hold by construction: which tokens, and which part of a slice, a row's other cells leave open.

A column is drawn among what agrees with the cells that the row has already, or is given: no row needs to be rejected
for it. Where nothing is left open nothing is restricted; such a row breaks the constraint and `sample_chunks` drops it.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, Union

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tabveil.constraints import ConstraintSpec
from tabveil.synthesizers.combinations import KnownCombinations
from tabveil.synthesizers.tvae.numeric import NumericCodec
from tabveil.synthesizers.tvae.tokenizer import MISSING, Tokenizer

Floats = NDArray[np.float64]


class Seen(NamedTuple):
    """Cells of one column: tokens int64, places float64 (of numbers, else None), and whether each is known yet."""

    tokens: Tensor
    places: Tensor | None
    known: Tensor


class Rows(Protocol):
    """Rows in the making."""

    def seen(self, column: int) -> Seen:
        """What is known of a column, each part (num_rows,)."""


@dataclass(frozen=True)
class Limits:
    """The part of its slice in which a number may lie, float64 (num_rows,) each."""

    low: Tensor
    high: Tensor


class CombinationRule:
    """Columns whose tokens occur together in one of the rows of `allowed`, int64 (num_combinations, num_columns)."""

    def __init__(self, columns: tuple[int, ...], allowed: Tensor) -> None:
        self.columns, self.allowed_tokens = columns, allowed

    def allowed(self, rows: Rows, column: int, num_tokens: int) -> Tensor:
        """Bool (num_rows, num_tokens)."""
        fitting = None
        for position, other in enumerate(self.columns):
            if other != column:
                seen, tokens = rows.seen(other), self.allowed_tokens[:, position]
                match = (seen.tokens[:, None] == tokens) | ~seen.known[:, None]
                fitting = match if fitting is None else fitting & match
        assert fitting is not None  # noqa: S101  a combination has two columns
        own = self.allowed_tokens[:, self.columns.index(column)]
        found = torch.zeros(len(fitting), num_tokens, device=fitting.device)
        return found.index_add_(1, own, fitting.float()) > 0


class OrderRule:
    """`low` <= `high`, or < if `strict`: two numerical columns of comparable values."""

    def __init__(self, columns: tuple[int, int], codecs: tuple[NumericCodec, NumericCodec], *, strict: bool) -> None:
        self.columns, self.codecs, self.strict = columns, codecs, strict
        self.ranges = tuple(_value_ranges(codec) for codec in codecs)
        (low_ends, _), (_, high_ends) = self.ranges
        self.furthest = (_extreme(np.fmax, high_ends), _extreme(np.fmin, low_ends))  # of the other column

    def allowed(self, rows: Rows, column: int, num_tokens: int) -> Tensor:
        """Bool (num_rows, num_tokens): tokens that reach a value on the right side of the other column's."""
        side = self.columns.index(column)
        device = rows.seen(column).tokens.device
        other, (smallest, largest) = self._other_values(rows, side)[:, None], self.ranges[side]
        bound = self._reachable(other, side)
        is_bin = self.codecs[side].bin_index >= 0
        if side:
            exact = largest > other if self.strict else largest >= other
            fits = np.where(is_bin, largest >= bound, exact)
        else:
            exact = smallest < other if self.strict else smallest <= other
            fits = np.where(is_bin, smallest <= bound, exact)
        fits |= np.isnan(other)
        fits[:, MISSING] = True
        return torch.from_numpy(fits).to(device)

    def limits(self, rows: Rows, column: int, chosen: Tensor) -> Limits:
        """Where in the slices of the chosen tokens the value may lie."""
        side = self.columns.index(column)
        codec, tokens = self.codecs[side], chosen.cpu().numpy()
        low, high = codec.low[tokens], codec.high[tokens]
        bound = self._reachable(self._other_values(rows, side), side)
        place = np.where(np.isnan(bound), low if side else high, codec.place_in(tokens, np.nan_to_num(bound)))
        edges = (np.maximum(low, place), high) if side else (low, np.minimum(high, place))
        return Limits(*(torch.from_numpy(edge).to(chosen.device) for edge in edges))

    def _other_values(self, rows: Rows, side: int) -> Floats:
        """Values of the other column, NaN where missing; where not known yet, the furthest that it reaches."""
        seen, codec = rows.seen(self.columns[1 - side]), self.codecs[1 - side]
        assert seen.places is not None  # noqa: S101
        values = codec.rounded(seen.tokens.cpu().numpy(), seen.places.cpu().numpy())
        return np.where(seen.known.cpu().numpy(), values, self.furthest[side])

    def _reachable(self, other: Floats, side: int) -> Floats:
        """The nearest value of the column's own grid that keeps the order."""
        grid = self.codecs[side].resolution
        if not grid.step:
            return np.nextafter(other, np.inf if side else -np.inf) if self.strict else other
        steps = other / grid.step
        whole = np.ceil(steps - 1e-9) if side else np.floor(steps + 1e-9)
        if self.strict:
            touching = np.abs(whole - steps) < 1e-9 * np.maximum(np.abs(steps), 1)
            whole = np.where(touching, whole + (1 if side else -1), whole)
        return np.asarray(whole * grid.step)


Rule = Union[CombinationRule, OrderRule]


def rules_of(
    tokenizer: Tokenizer, constraints: Sequence[ConstraintSpec], combinations: Sequence[KnownCombinations]
) -> tuple[Rule, ...]:
    """The rules of the constraints whose columns are tokens of a suitable kind; the others stay with rejection."""
    names = tokenizer.names
    rules: list[Rule] = []
    for (low, high), strict in _implied_orders(constraints).items():
        if low in names and high in names:
            columns = (names.index(low), names.index(high))
            codecs = tuple(tokenizer.codecs[column] for column in columns)
            if isinstance(codecs[0], NumericCodec) and isinstance(codecs[1], NumericCodec):
                rules.append(OrderRule(columns, (codecs[0], codecs[1]), strict=strict))
    for known in combinations:
        rule = _combination_rule(tokenizer, known)
        if rule is not None:
            rules.append(rule)
    return tuple(rules)


def _implied_orders(constraints: Sequence[ConstraintSpec]) -> dict[tuple[str, str], bool]:
    """(smaller, larger) columns of all orders, and whether strictly; a <= b and b < c make a < c.

    Without the implied ones a column drawn last could find its neighbours crossed.
    """
    orders: dict[tuple[str, str], bool] = {}
    for constraint in constraints:
        for pair in constraint.ordered_pairs() if constraint.orders else ():
            orders[pair] = orders.get(pair, False) or constraint.strict
    for middle in dict.fromkeys(name for pair in list(orders) for name in pair):
        below = [(low, strict) for (low, high), strict in orders.items() if high == middle]
        above = [(high, strict) for (low, high), strict in orders.items() if low == middle]
        for (low, one), (high, other) in itertools.product(below, above):
            if low != high:
                orders[low, high] = orders.get((low, high), False) or one or other
    return orders


def _combination_rule(tokenizer: Tokenizer, known: KnownCombinations) -> CombinationRule | None:
    names = tokenizer.names
    if not set(known.columns) <= set(names):
        return None
    columns = sorted(names.index(name) for name in known.columns)
    codecs = [tokenizer.codecs[column] for column in columns]
    tokens, drawn = [], np.ones(len(known.allowed), dtype=bool)
    for codec in codecs:
        if isinstance(codec, NumericCodec):
            return None
        tokens.append(codec.encode(known.allowed[codec.name]))
        drawn &= codec.emitted[tokens[-1]]
    return CombinationRule(tuple(columns), torch.from_numpy(np.stack(tokens, axis=1)[drawn])) if drawn.any() else None


def _value_ranges(codec: NumericCodec) -> tuple[Floats, Floats]:
    """Smallest and largest value that each token can mean, (num_tokens,); NaN when missing."""
    tokens = np.arange(codec.num_tokens)
    return codec.rounded(tokens, codec.low), codec.rounded(tokens, codec.high)


def _extreme(furthest: np.ufunc, values: Floats) -> float:
    """The largest or smallest number, NaN without any."""
    return float(furthest.reduce(values))
