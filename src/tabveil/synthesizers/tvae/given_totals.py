"""Totals that are given: the parts are drawn so that they sum to them.

A part is drawn among the numbers from which the others can still reach the total. The last one to be drawn is not
drawn: it is what is left, and counts as a given cell. All numbers are those of `values.to_floats`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tabveil.constraints import SUM_SLACK
from tabveil.errors import SynthesizerError
from tabveil.synthesizers.constraints import DerivedTotal, addends
from tabveil.synthesizers.resolution import MAX_DECIMALS
from tabveil.synthesizers.tvae.cell_numbers import num_decimals, number_range, numbers, rounded, tokens_within
from tabveil.synthesizers.tvae.numeric import NumericCodec
from tabveil.synthesizers.tvae.order_rules import on_grid
from tabveil.synthesizers.tvae.rows import Rows
from tabveil.synthesizers.tvae.tokenizer import MISSING, Tokenizer
from tabveil.synthesizers.values import from_floats, to_floats

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class GivenSum:
    """``sum(counts * columns) = rest`` in the rows in which a total is given.

    Attributes:
        columns: positions in generation order, ascending. counts: how often each counts.
        needed: columns that are not missing where the total is there; none if the total is modelled itself.
        position: of the total among the columns of the model; None: it is not modelled.
        rest: float64 (num_rows,), the total less those of its parts that are given totals; NaN: no such row.
    """

    total: str
    columns: tuple[int, ...]
    counts: tuple[int, ...]
    needed: tuple[int, ...]
    position: int | None
    tolerance: float
    rest: Floats

    def left(self, rows: Rows, tokenizer: Tokenizer) -> tuple[Floats, Bools]:
        """What is left of the total for each column, and which are not known, (num_rows, num_columns) both.

        NaN where another column is not known, or known to be missing.
        """
        values = np.stack([numbers(rows, tokenizer, column) for column in self.columns], axis=1)
        unknown = np.stack([~rows.seen(column).known.cpu().numpy() for column in self.columns], axis=1)
        terms = np.where(unknown, 0.0, values * self.counts)
        left = (self.rest - terms.sum(axis=1))[:, None] / np.asarray(self.counts, dtype=np.float64)
        return np.where(unknown & (unknown.sum(axis=1) == 1)[:, None], left, np.nan), unknown

    def complete(self, rows: Rows, tokenizer: Tokenizer) -> Bools:
        """Rows in which the total is given and every column is known and not missing."""
        complete = ~np.isnan(self.rest)
        for column in self.columns:
            complete &= rows.seen(column).known.cpu().numpy() & ~np.isnan(numbers(rows, tokenizer, column))
        return complete

    def reach(self, rows: Rows, tokenizer: Tokenizer, besides: int | None = None) -> tuple[Floats, Floats]:
        """The least and the most that the columns, but the one `besides`, can sum to, (num_rows,) each."""
        least, most = np.zeros(len(self.rest)), np.zeros(len(self.rest))
        for column, count in zip(self.columns, self.counts, strict=True):
            if column != besides:
                known, value = rows.seen(column).known.cpu().numpy(), numbers(rows, tokenizer, column)
                smallest, largest = number_range(tokenizer.codecs[column])
                least += count * np.where(known, value, smallest)
                most += count * np.where(known, value, largest)
        return least, most


@dataclass(frozen=True)
class MissingTotal:
    """One of `columns` (generation order) is missing in the marked `rows`, bool (num_rows,)."""

    total: str
    columns: tuple[int, ...]
    rows: Bools


@dataclass(frozen=True)
class GivenTotals:
    """What the given totals of some rows ask of their parts."""

    sums: tuple[GivenSum, ...] = ()
    missing: tuple[MissingTotal, ...] = ()

    def __getitem__(self, index: slice | Ints) -> GivenTotals:
        return GivenTotals(
            tuple(replace(asked, rest=asked.rest[index]) for asked in self.sums),
            tuple(replace(asked, rows=asked.rows[index]) for asked in self.missing),
        )

    @property
    def columns(self) -> set[int]:
        """Every column that matters."""
        asked = [column for one in self.sums for column in (*one.columns, *one.needed, one.position)]
        return {c for c in (*asked, *(c for one in self.missing for c in one.columns)) if c is not None}

    def open_tokens(self, rows: Rows, tokenizer: Tokenizer, column: int) -> Bools:
        """Tokens of a column from which every total can still be reached, bool (num_rows, num_tokens)."""
        codec = tokenizer.codecs[column]
        low, high = self.interval(rows, tokenizer, column)
        fits = tokens_within(codec, low, high)
        fits[:, MISSING] = True
        for asked in self.sums:
            if column in asked.needed:
                fits[~np.isnan(asked.rest), MISSING] = False
        for one in self.missing:
            fits[self._must_miss(one, rows, tokenizer, column), MISSING + 1 :] = False
        return fits

    def interval(self, rows: Rows, tokenizer: Tokenizer, column: int) -> tuple[Floats, Floats]:
        """The numbers of a column from which the others can reach every total, (num_rows,) each; infinite: any."""
        codec, num_rows = tokenizer.codecs[column], len(rows.seen(column).known)
        low, high = np.full(num_rows, -np.inf), np.full(num_rows, np.inf)
        for asked in self.sums:
            if column in asked.columns:
                count = asked.counts[asked.columns.index(column)]
                least, most = asked.reach(rows, tokenizer, besides=column)
                low, high = np.fmax(low, (asked.rest - most) / count), np.fmin(high, (asked.rest - least) / count)
        step = codec.resolution.step if isinstance(codec, NumericCodec) else 0.0
        return on_grid(low, step, up=True), on_grid(high, step, up=False)

    def _must_miss(self, one: MissingTotal, rows: Rows, tokenizer: Tokenizer, column: int) -> Bools:
        """Rows in which this column is the last that can be the missing one."""
        due = one.rows.copy() if column in one.columns else np.zeros(len(one.rows), dtype=bool)
        for other in one.columns:
            known = rows.seen(other).known.cpu().numpy()
            due &= ~(known & np.isnan(numbers(rows, tokenizer, other)))
            if other > column and tokenizer.codecs[other].emitted[MISSING]:
                due &= known
        return due


def given_totals(
    tokenizer: Tokenizer, totals: Sequence[DerivedTotal], table: pd.DataFrame, given: Bools
) -> GivenTotals:
    """The totals among the given cells of a canonical frame.

    Args:
        table: some or all modelled columns and computed totals. given: bool (num_rows, table's columns).
    """
    by_name, names = {derived.total: derived for derived in totals}, list(table.columns)
    cells = {name: given[:, names.index(name)] for name in by_name if name in names}
    values = {name: np.where(there, to_floats(table[name]), np.nan) for name, there in cells.items()}
    sums: list[GivenSum] = []
    missing: list[MissingTotal] = []
    for name, there in cells.items():
        derived, below = by_name[name], [n for n in values if n != name]
        patterns = np.array([~np.isnan(values[n]) for n in below], dtype=bool).reshape(len(below), len(table)).T
        kinds, which = np.unique(patterns, axis=0, return_inverse=True)
        for i, kind in enumerate(kinds):  # totals among the parts are known in some rows, and sums themselves in others
            known = {n for n, is_known in zip(below, kind, strict=True) if is_known}
            counts = addends(derived, by_name, known)
            rest = np.where(which.reshape(-1) == i, values[name], np.nan)
            for nested in known & counts.keys():
                rest = rest - counts.pop(nested) * values[nested]
            if counts and not np.isnan(rest).all():
                sums.append(_given_sum(tokenizer, derived, by_name, counts, rest))
        absent = there & np.isnan(values[name])
        if absent.any() and not derived.modelled:
            columns = sorted(tokenizer.names.index(n) for n in addends(derived, by_name, ()))
            missing.append(MissingTotal(name, tuple(columns), absent))
    return GivenTotals(tuple(sums), tuple(missing))


def _given_sum(
    tokenizer: Tokenizer,
    derived: DerivedTotal,
    by_name: dict[str, DerivedTotal],
    counts: dict[str, int],
    rest: Floats,
) -> GivenSum:
    names = tokenizer.names
    columns = sorted(names.index(name) for name in counts)
    nested = [names.index(n) for n in derived.parts if n in by_name and by_name[n].modelled]
    return GivenSum(
        total=derived.total,
        columns=tuple(columns),
        counts=tuple(counts[names[column]] for column in columns),
        needed=() if derived.modelled else (*columns, *nested),
        position=names.index(derived.total) if derived.modelled else None,
        tolerance=derived.tolerance,
        rest=rest,
    )


def require_reachable(tokenizer: Tokenizer, totals: GivenTotals, given: Rows) -> None:
    """Refuse totals that no parts sum to which the model draws, given the other given cells.

    Raises:
        SynthesizerError: names the total and its parts, not the values.
    """
    for asked in totals.sums:
        least, most = asked.reach(given, tokenizer)
        slack = asked.tolerance + SUM_SLACK
        possible = (least - slack <= asked.rest) & (asked.rest <= most + slack) | np.isnan(asked.rest)
        for column in () if asked.needed else asked.columns:
            seen = given.seen(column)
            can_miss = np.isnan(numbers(given, tokenizer, column))
            possible |= np.where(seen.known.numpy(), can_miss, tokenizer.codecs[column].emitted[MISSING])
        _refuse(asked.total, [tokenizer.names[column] for column in asked.columns], ~possible, "within reach")
    for one in totals.missing:
        possible = ~one.rows
        for column in one.columns:
            known = given.seen(column).known.numpy()
            absent = np.isnan(numbers(given, tokenizer, column))
            possible |= np.where(known, absent, tokenizer.codecs[column].emitted[MISSING])
        _refuse(one.total, [tokenizer.names[column] for column in one.columns], ~possible, "missing together with one")


def _refuse(total: str, parts: list[str], refused: Bools, what: str) -> None:
    if refused.any():
        raise SynthesizerError(
            f"conditions on the total '{total}' must be {what} of its parts {parts} as the model draws them, however "
            f"{int(refused.sum())} rows are not: ask for other totals"
        )


def with_left(table: pd.DataFrame, tokenizer: Tokenizer, left: Floats) -> pd.DataFrame:
    """Decoded rows with what a total left to a cell, (num_rows, num_columns), NaN elsewhere, in the cell's decimals."""
    result = table.copy(deep=False)
    for column in np.flatnonzero(~np.isnan(left).all(axis=0)):
        codec, rows = tokenizer.codecs[column], ~np.isnan(left[:, column])
        fresh = from_floats(rounded(codec, left[:, column]), codec.type)
        result[codec.name] = fresh.where(pd.Series(rows), result[codec.name])
    return result


def settled(table: pd.DataFrame, tokenizer: Tokenizer, totals: GivenTotals, free: Bools) -> pd.DataFrame:
    """What rounding left of a total goes to the free part with the most decimals, beyond them if these are too few.

    Args:
        table: decoded rows. free: bool (num_rows, num_columns), the cells that were not given.
    """
    result = table.copy(deep=False)
    for asked in totals.sums:
        names = [tokenizer.names[column] for column in asked.columns]
        for beyond in (False, True):
            for column in sorted(asked.columns, key=lambda c: num_decimals(tokenizer.codecs[c]), reverse=True):
                codec, count = tokenizer.codecs[column], asked.counts[asked.columns.index(column)]
                values = np.stack([to_floats(result[name]) for name in names], axis=1)
                left = asked.rest - (values * asked.counts).sum(axis=1)
                rows = (np.abs(left) > asked.tolerance + SUM_SLACK) & free[:, column]
                if rows.any() and isinstance(codec, NumericCodec) and count == 1:
                    own = to_floats(result[codec.name]) + left
                    fresh = from_floats(np.round(own, MAX_DECIMALS) if beyond else rounded(codec, own), codec.type)
                    result[codec.name] = fresh.where(pd.Series(rows), result[codec.name])
    return result
