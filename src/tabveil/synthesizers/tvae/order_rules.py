"""Orders of numbers and instants that hold by construction: what a row's other side leaves open of a column.

A number is drawn among the tokens that reach a value on the right side of the other column's; the bin in which that
value lies is cut there, on the column's own grid. A given cell counts with its exact value.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from tabveil.constraints import ConstraintSpec
from tabveil.errors import SynthesizerError
from tabveil.synthesizers.tvae.numeric import NumericCodec
from tabveil.synthesizers.tvae.rows import Rows
from tabveil.synthesizers.tvae.tokenizer import MISSING, Tokenizer
from tabveil.synthesizers.values import from_floats, to_floats

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Limits:
    """The part of its slice in which a number may lie, float64 (num_rows,) each."""

    low: Tensor
    high: Tensor


class OrderRule:
    """`low` <= `high`, or < if `strict`: two numerical columns of comparable values."""

    def __init__(self, columns: tuple[int, int], codecs: tuple[NumericCodec, NumericCodec], *, strict: bool) -> None:
        self.columns, self.codecs, self.strict = columns, codecs, strict
        self.ranges = tuple(value_ranges(codec) for codec in codecs)
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
        if seen.values is not None:
            exact = seen.values.cpu().numpy()
            values = np.where(np.isnan(exact), values, exact)
        return np.where(seen.known.cpu().numpy(), values, self.furthest[side])

    def keep(self, table: pd.DataFrame, free: NDArray[np.bool_]) -> None:
        """Move free cells that cross a given one, beyond which the model draws nothing, to the nearest value that fits.

        Args:
            table: decoded rows, changed in place. free: bool (num_rows, num_columns).
        """
        low, high = (to_floats(table[codec.name]) for codec in self.codecs)
        crossed = (low >= high) if self.strict else (low > high)
        for side, (own, other) in enumerate((self.columns, self.columns[::-1])):
            rows, codec = crossed & free[:, own] & ~free[:, other], self.codecs[side]
            if rows.any():
                moved = from_floats(self._reachable(low if side else high, side), codec.type)
                table[codec.name] = moved.where(pd.Series(rows), table[codec.name])

    def crossed(self, rows: Rows, column: int, values: Floats) -> NDArray[np.bool_]:
        """Where numbers of the column would break the order with the other one, as far as that is known."""
        side = self.columns.index(column)
        known = rows.seen(self.columns[1 - side]).known.cpu().numpy()
        other = self._other_values(rows, side)
        beyond = (values < other) if side else (values > other)
        return np.asarray(known & (beyond | (values == other) if self.strict else beyond))

    def bound(self, rows: Rows, column: int) -> Floats:
        """The lowest value of the upper column, or the highest of the lower one; NaN while the other is not known."""
        side = self.columns.index(column)
        known = rows.seen(self.columns[1 - side]).known.cpu().numpy()
        return np.where(known, self._reachable(self._other_values(rows, side), side), np.nan)

    def _reachable(self, other: Floats, side: int) -> Floats:
        """The nearest value of the column's own grid that keeps the order."""
        return on_grid(other, self.codecs[side].resolution.step, up=side == 1, strict=self.strict)


def order_rules(tokenizer: Tokenizer, constraints: Sequence[ConstraintSpec]) -> list[OrderRule]:
    """The rules of the orders, implied ones included, between two columns of numbers or instants that are modelled."""
    names, rules = tokenizer.names, []
    for (low, high), strict in _implied_orders(constraints).items():
        if low in names and high in names:
            columns = (names.index(low), names.index(high))
            one, other = (tokenizer.codecs[column] for column in columns)
            if isinstance(one, NumericCodec) and isinstance(other, NumericCodec):
                rules.append(OrderRule(columns, (one, other), strict=strict))
    return rules


def require_room(tokenizer: Tokenizer, rules: Sequence[OrderRule], given: Rows) -> None:
    """Refuse given cells that leave another column no value, missing included, which the model draws.

    Raises:
        SynthesizerError: names the columns, not the values.
    """
    for column in sorted({column for rule in rules for column in rule.columns}):
        codec, own = tokenizer.codecs[column], [rule for rule in rules if column in rule.columns]
        assert isinstance(codec, NumericCodec)  # noqa: S101  an order rule has no other
        if codec.emitted[MISSING]:
            continue
        lows = [rule.bound(given, column) for rule in own if rule.columns[1] == column]
        highs = [rule.bound(given, column) for rule in own if rule.columns[0] == column]
        free = ~given.seen(column).known.numpy()
        low = np.fmax.reduce([np.full(len(free), -np.inf), *lows])
        high = np.fmin.reduce([np.full(len(free), np.inf), *highs])
        room = (low <= high) & reaching(codec, low, high).any(axis=1)
        refused = int((free & ~room).sum())
        if refused:
            others = sorted({other for rule in own for other in rule.columns if given.seen(other).known.any()})
            names = [tokenizer.names[other] for other in others]
            raise SynthesizerError(
                f"conditions on {names} must leave the column '{codec.name}' a value that keeps the order and that the "
                f"model draws, however {refused} rows do not: ask for other values"
            )


def reaching(codec: NumericCodec, low: Floats, high: Floats) -> NDArray[np.bool_]:
    """Tokens that mean some number in [low, high], bool (num_rows, num_tokens)."""
    smallest, largest = value_ranges(codec)
    return np.asarray((largest >= low[:, None]) & (smallest <= high[:, None]))


def on_grid(values: Floats, step: float, *, up: bool, strict: bool = False) -> Floats:
    """The nearest multiples of `step` that are not below (`up`) or not above the values; 0 is no grid.

    Args:
        strict: nor equal.
    """
    if not step:
        return np.nextafter(values, np.inf if up else -np.inf) if strict else values
    steps = values / step
    whole = np.ceil(steps - 1e-9) if up else np.floor(steps + 1e-9)
    if strict:
        touching = np.abs(whole - steps) < 1e-9 * np.maximum(np.abs(steps), 1)
        whole = np.where(touching, whole + (1 if up else -1), whole)
    return np.asarray(whole * step)


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


def value_ranges(codec: NumericCodec) -> tuple[Floats, Floats]:
    """Smallest and largest value that each token can mean, (num_tokens,); NaN when missing."""
    tokens = np.arange(codec.num_tokens)
    return codec.rounded(tokens, codec.low), codec.rounded(tokens, codec.high)


def _extreme(furthest: np.ufunc, values: Floats) -> float:
    """The largest or smallest number, NaN without any."""
    return float(furthest.reduce(values))
