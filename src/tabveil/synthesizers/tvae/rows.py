"""What is known of rows in the making: the rules of the constraints read it, sampling writes it."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from torch import Tensor


class Seen(NamedTuple):
    """Cells of one column, each part (num_rows,).

    Attributes:
        tokens: int64. places: float64 of numbers, else None. known: bool, whether each cell is known yet.
        values: float64, the numbers of cells that are given exactly, NaN where token and place tell; None: everywhere.
    """

    tokens: Tensor
    places: Tensor | None
    known: Tensor
    values: Tensor | None = None


class Rows(Protocol):
    """Rows in the making."""

    def seen(self, column: int) -> Seen:
        """What is known of a column."""
