"""Constraints that hold by construction: which tokens, and which part of a slice, a row's other cells leave open.

A column is drawn among what agrees with the cells that the row has already, or is given: no row needs to be rejected
for it. Where nothing is left open nothing is restricted; such a row breaks the constraint and `sample_chunks` drops it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Union

from tabveil.constraints import ConstraintSpec
from tabveil.synthesizers.tvae.combination_rules import CombinationRule
from tabveil.synthesizers.tvae.order_rules import OrderRule, order_rules
from tabveil.synthesizers.tvae.tokenizer import Tokenizer

Rule = Union[CombinationRule, OrderRule]


def rules_of(
    tokenizer: Tokenizer, constraints: Sequence[ConstraintSpec], combinations: Sequence[CombinationRule]
) -> tuple[Rule, ...]:
    """The rules of the constraints that can be kept by construction; the others stay with rejection."""
    return (*order_rules(tokenizer, constraints), *combinations)
