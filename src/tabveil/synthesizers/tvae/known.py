"""Cells of rows that are given, as tokens; and whether they are something that the model can draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from tabveil.errors import SynthesizerError
from tabveil.synthesizers.constraints import DerivedTotal
from tabveil.synthesizers.tvae.given_totals import GivenTotals, given_totals
from tabveil.synthesizers.tvae.numeric import NumericCodec
from tabveil.synthesizers.tvae.rows import Seen
from tabveil.synthesizers.tvae.tokenizer import MISSING, Tokenizer
from tabveil.synthesizers.values import NUMBERS, to_floats


@dataclass(frozen=True)
class Known:
    """Which cells are given, and what they are.

    Attributes:
        mask: bool (num_rows, num_columns), the given cells, columns in generation order.
        tokens: int64 (num_rows, num_columns). places: float64 (num_rows, num_numeric). Anything where not given.
        values: float64 (num_rows, num_columns), the given numbers and instants exactly, NaN elsewhere.
        numeric: the columns that have places.
        totals: what given totals ask of the free cells.
        complete: whether the free cells must not be missing.
    """

    mask: NDArray[np.bool_]
    tokens: NDArray[np.int64]
    places: NDArray[np.float64]
    values: NDArray[np.float64]
    numeric: list[int]
    totals: GivenTotals = field(default_factory=GivenTotals)
    complete: bool = False

    def __len__(self) -> int:
        return len(self.mask)

    def __getitem__(self, index: slice | NDArray[np.intp]) -> Known:
        return Known(
            mask=self.mask[index],
            tokens=self.tokens[index],
            places=self.places[index],
            values=self.values[index],
            numeric=self.numeric,
            totals=self.totals[index],
            complete=self.complete,
        )

    def seen(self, column: int) -> Seen:
        """The given cells of a column."""
        places = self.places[:, self.numeric.index(column)] if column in self.numeric else None
        return Seen(
            torch.from_numpy(self.tokens[:, column]),
            None if places is None else torch.from_numpy(places),
            torch.from_numpy(self.mask[:, column]),
            torch.from_numpy(self.values[:, column]),
        )


def known_cells(
    tokenizer: Tokenizer,
    table: pd.DataFrame,
    given: NDArray[np.bool_],
    rng: np.random.Generator,
    totals: Sequence[DerivedTotal] = (),
    *,
    complete: bool = False,
) -> Known:
    """The given cells of a canonical frame as tokens.

    Args:
        table: some or all modelled columns and totals.
        given: bool (num_rows, table's columns); other cells are free, as are the columns that are not in `table`.
    """
    shape = (len(table), len(tokenizer.codecs))
    known = Known(
        mask=np.zeros(shape, bool),
        tokens=np.zeros(shape, np.int64),
        places=np.full((len(table), len(tokenizer.numeric)), 0.5),
        values=np.full(shape, np.nan),
        numeric=tokenizer.numeric,
        totals=given_totals(tokenizer, totals, table, given),
        complete=complete,
    )
    for i, codec in enumerate(tokenizer.codecs):
        if codec.name not in table.columns:
            continue
        known.mask[:, i] = given[:, list(table.columns).index(codec.name)]
        if isinstance(codec, NumericCodec):
            known.tokens[:, i], known.places[:, tokenizer.numeric.index(i)] = codec.encode(table[codec.name], rng)
        else:
            known.tokens[:, i] = codec.encode(table[codec.name])
        if isinstance(codec, NumericCodec) or codec.type in NUMBERS:
            known.values[:, i] = np.where(known.mask[:, i], to_floats(table[codec.name]), np.nan)
    return known


def require_learned(tokenizer: Tokenizer, asked: pd.DataFrame, known: Known) -> None:
    """Raise if a condition is something that the model never samples: an unknown category, a missing value, a number
    in a column that it only knows to be empty.

    Args:
        asked: canonical conditions; a number beyond the learned range counts as its end. known: the same as tokens.

    Raises:
        SynthesizerError: names the columns, not the values.
    """
    for i, codec in enumerate(tokenizer.codecs):
        if codec.name not in asked.columns:
            continue
        missing, tokens = asked[codec.name].isna().to_numpy(), known.tokens[:, i]
        refused = ~codec.emitted[tokens] | ((tokens == MISSING) & ~missing)
        if refused.any():
            what = "missing values" if missing[refused].any() else "values"
            raise SynthesizerError(
                f"conditions on column '{codec.name}' must be {what} that the model has learned, however "
                f"{refused.sum()} are not: fewer people than the rare threshold had them in the training table, or none"
            )
