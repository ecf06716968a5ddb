"""Any synthesizer's rows in chunks, without those that break a declared constraint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tabveil.errors import SynthesizerError
from tabveil.schema import Column, ConstraintKind, ConstraintSpec
from tabveil.synthesizers.arguments import (
    MAX_ROWS,
    checked_shares,
    fraction_below_one,
    rows_and_seed,
    same_for_all,
    whole_number,
)
from tabveil.synthesizers.base import Synthesizer

REBALANCE_CHUNK_ROWS = 20_000
MIN_JUDGED_ROWS = 1000  # the rejected share is judged from this many drawn rows on, and at the end


@dataclass
class SampleCounts:
    """What `sample_chunks` did so far.

    Attributes:
        drawn: rows the synthesizer made.
        rejected: rows dropped. A row that breaks several constraints counts once here and once per label below.
        rejected_by: rows that broke each constraint, by its label; `bounds(x)` for a declared minimum or maximum.
    """

    drawn: int = 0
    rejected: int = 0
    rejected_by: dict[str, int] = field(default_factory=dict)

    @property
    def rejected_fraction(self) -> float:
        """Share of the drawn rows, in [0, 1]."""
        return self.rejected / self.drawn if self.drawn else 0.0


def sample_chunks(
    synthesizer: Synthesizer,
    num_rows: int,
    seed: int,
    chunk_rows: int = 20_000,
    *,
    conditions: Mapping[str, Any] | None = None,
    max_rejected_fraction: float = 0.9,
    counts: SampleCounts | None = None,
) -> Iterator[pd.DataFrame]:
    """Exactly `num_rows` rows in which every constraint of `metadata.modelled_constraints` and every declared minimum
    and maximum holds.

    The rows follow from the model, `num_rows`, `seed` and `chunk_rows`. Memory is that of a few chunks, plus 8 bytes
    a row for each `unique` constraint, which holds across the whole table.

    Args:
        chunk_rows: most rows of one yielded frame, and of one draw.
        conditions: one value per column, which every row must have; see `Synthesizer.sample`. Rows of their own (a
            frame) are for `sample`: here a row that breaks a constraint is drawn again elsewhere.
        max_rejected_fraction: of the drawn rows, below 1; above it the constraints are too hard for the model.
        counts: filled as the rows are drawn.

    Yields:
        Frames of `chunk_rows` rows (the last may be shorter) with a fresh index.

    Raises:
        NotFittedError, SchemaError: as `Synthesizer.sample`; these and wrong arguments at the call.
        SynthesizerError: too many rows rejected, or a wrong argument.
    """
    num_rows, seed = rows_and_seed(num_rows, seed)
    chunk_rows = whole_number("chunk_rows", chunk_rows, 1, MAX_ROWS)
    limit = fraction_below_one("max_rejected_fraction", max_rejected_fraction)
    if counts is None:
        counts = SampleCounts()
    elif not isinstance(counts, SampleCounts):
        raise SynthesizerError(f"counts must be SampleCounts, however it is a {type(counts).__name__}")
    source = _ValidRows(synthesizer, seed, chunk_rows, limit, counts)
    asked = same_for_all(conditions)
    synthesizer.check_conditions(asked, 1)
    return source.chunks(num_rows, asked)


def rebalance(
    synthesizer: Synthesizer,
    column: str,
    shares: Mapping[Any, float],
    num_rows: int,
    seed: int,
    *,
    max_rejected_fraction: float = 0.9,
) -> pd.DataFrame:
    """New rows in which the values of a column have the shares asked for, the other columns as they go with them.

    Args:
        shares: by value of the column; positive, 1 in sum.

    Returns:
        Frame of `num_rows` rows in random order, in which every declared constraint holds. The counts are the shares
        rounded by the largest remainder.

    Raises:
        SchemaError: the column is not modelled, or a value is of another type.
        SynthesizerError: the shares are not positive or do not sum to 1, a value was never learned or is there twice,
            another argument is wrong, or too many rows break a constraint.
    """
    num_rows, seed = rows_and_seed(num_rows, seed)
    parts_of_one = checked_shares(column, shares)
    limit = fraction_below_one("max_rejected_fraction", max_rejected_fraction)
    _require_values(synthesizer, column, list(shares))
    source = _ValidRows(synthesizer, seed, REBALANCE_CHUNK_ROWS, limit, SampleCounts())
    parts = [
        chunk
        for value, count in zip(shares, _largest_remainder(parts_of_one, num_rows), strict=True)
        if count
        for chunk in source.chunks(count, {column: value})
    ]
    order = np.random.default_rng(seed).permutation(num_rows)
    return pd.concat(parts, ignore_index=True).iloc[order].reset_index(drop=True)


def _require_values(synthesizer: Synthesizer, column: str, values: list[Any]) -> None:
    """Refuse values that cannot be asked for, and those that mean the same one."""
    frames = [synthesizer.check_conditions({column: value}, 1) for value in values]
    asked = pd.concat([frame for frame in frames if frame is not None], ignore_index=True)
    if asked.duplicated().any():
        raise SynthesizerError(f"the shares of '{column}' must name each value once, however some mean the same")


def _largest_remainder(shares: Sequence[float], total: int) -> list[int]:
    """Whole numbers near ``share * total`` that sum to `total`."""
    exact = np.asarray(shares) / sum(shares) * total
    counts = np.floor(exact + 1e-9).astype(int)
    for place in np.argsort(counts - exact, kind="stable")[: total - int(counts.sum())]:
        counts[place] += 1
    return [int(count) for count in counts]


class _ValidRows:
    """Draws, filters, and keeps what is left over for the next chunk."""

    def __init__(
        self, synthesizer: Synthesizer, seed: int, chunk_rows: int, limit: float, counts: SampleCounts
    ) -> None:
        self.synthesizer, self.seed, self.chunk_rows = synthesizer, seed, chunk_rows
        self.limit, self.counts, self.num_draws = limit, counts, 0
        constraints = synthesizer.metadata.modelled_constraints
        self.combinations = synthesizer.combinations
        combined = {known.label for known in self.combinations}
        bounds = [_Bounds(c) for c in synthesizer.metadata.columns if c.modelled and _Bounds(c).declared]
        row_wise = [c for c in constraints if c.row_wise and c.label not in combined]
        self.row_wise: list[ConstraintSpec | _Bounds] = [*row_wise, *bounds]
        self.unique = [_UniqueKey(c) for c in constraints if c.kind is ConstraintKind.unique]
        counts.rejected_by.update(dict.fromkeys([c.label for c in (*constraints, *self.row_wise)], 0))

    def chunks(self, num_rows: int, conditions: Mapping[str, Any] | None = None) -> Iterator[pd.DataFrame]:
        """Full chunks and a rest, `num_rows` rows in all."""
        ready: list[pd.DataFrame] = []
        num_ready = 0
        for start in range(0, num_rows, self.chunk_rows):
            wanted = min(self.chunk_rows, num_rows - start)
            while num_ready < wanted:
                ready.append(self._draw(wanted - num_ready, conditions))
                num_ready += len(ready[-1])
            joined = pd.concat(ready, ignore_index=True)
            yield joined.iloc[:wanted].reset_index(drop=True)
            ready, num_ready = [joined.iloc[wanted:]], num_ready - wanted
        self._judge()

    def _draw(self, num_missing: int, conditions: Mapping[str, Any] | None) -> pd.DataFrame:
        """Valid rows of one draw, sized by the share accepted so far."""
        accepted_fraction = max(1 - self.counts.rejected_fraction, 0.01)
        size = min(int(np.ceil(num_missing / accepted_fraction)), self.chunk_rows)
        state = np.random.SeedSequence([self.seed, self.num_draws]).generate_state(1)[0]
        self.num_draws += 1
        table = self.synthesizer.sample(size, int(state) % 2**31, conditions=conditions)
        valid = self._valid(table)
        self.counts.drawn += size
        self.counts.rejected += size - len(valid)
        if self.counts.drawn >= MIN_JUDGED_ROWS:
            self._judge()
        return valid

    def _valid(self, table: pd.DataFrame) -> pd.DataFrame:
        broken = np.zeros(len(table), dtype=bool)
        for constraint in self.row_wise:
            broken |= self._counted(constraint.label, constraint.broken(table))
        for known in self.combinations:
            broken |= self._counted(known.label, known.broken(table))
        valid = table[~broken]
        for key in self.unique:
            valid = valid[~self._counted(key.constraint.label, key.repeated(valid))]
        for key in self.unique:
            key.remember(valid)
        return valid

    def _counted(self, label: str, broken: NDArray[np.bool_]) -> NDArray[np.bool_]:
        self.counts.rejected_by[label] += int(broken.sum())
        return broken

    def _judge(self) -> None:
        if self.counts.rejected_fraction > self.limit:
            worst = max(self.counts.rejected_by.items(), key=lambda item: item[1])
            raise SynthesizerError(
                f"at most {self.limit:.0%} of the sampled rows may break a constraint, however: "
                f"{self.counts.rejected_fraction:.1%} of {self.counts.drawn} did, most of them {worst[0]!r}: "
                "train longer, drop the constraint, or raise sampling.max_rejected_fraction"
            )


class _Bounds:
    """A column's declared minimum and maximum."""

    def __init__(self, column: Column) -> None:
        self.name, self.label = column.name, f"bounds({column.name})"
        self.minimum, self.maximum = column.minimum, column.maximum

    @property
    def declared(self) -> bool:
        """Whether there is one."""
        return self.minimum is not None or self.maximum is not None

    def broken(self, table: pd.DataFrame) -> NDArray[np.bool_]:
        """Rows whose number lies outside; a missing one holds."""
        values = table[self.name].to_numpy(dtype=np.float64, na_value=np.nan)
        low = -np.inf if self.minimum is None else self.minimum
        high = np.inf if self.maximum is None else self.maximum
        return np.asarray((values < low) | (values > high))


class _UniqueKey:
    """The keys handed out so far, as 64-bit hashes in ascending order."""

    def __init__(self, constraint: ConstraintSpec) -> None:
        self.constraint = constraint
        self.seen: NDArray[np.uint64] = np.array([], dtype=np.uint64)

    def repeated(self, table: pd.DataFrame) -> NDArray[np.bool_]:
        """Rows whose key occurs earlier in `table` or in a remembered one."""
        return np.asarray(self.constraint.broken(table) | np.isin(self._hashes(table), self.seen))

    def remember(self, table: pd.DataFrame) -> None:
        """Mark the keys of accepted rows as used."""
        self.seen = np.union1d(self.seen, self._hashes(table))

    def _hashes(self, table: pd.DataFrame) -> NDArray[np.uint64]:
        return np.asarray(pd.util.hash_pandas_object(table[self.constraint.columns], index=False), dtype=np.uint64)
