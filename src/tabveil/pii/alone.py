"""What one cell says by itself among cells that are something else: a phone number or a full name in a category.

`rules` judges what a column is, by shares; here a single cell of 10,000 counts. A number is compared with the numbers
written in the same groups, a name with the other values written like names: a person in a list of towns or films is
no accident of the list, a person among five loan purposes is a person.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from tabveil.pii import checks, lexicon, patterns, validators
from tabveil.pii.checks import Hits, matches
from tabveil.pii.columns import DistinctColumn, fold_series
from tabveil.pii.identifiers import header_names_other
from tabveil.pii.shapes import MOST, Bounds

_PHONE_BOUNDS = Bounds(size=(10, 40), digits=(9, 22), letters=(0, 3))  # dates have eight digits
_SEPARATORS = frozenset(" ()./-")
_LIKE_PHONES = 0.5  # least share of the cells grouped in the same way that are phone numbers
_NAME_BOUNDS = Bounds(size=(5, 90), digits=(0, 0), letters=(4, MOST))
_RARE_CELLS, _RARE_SHARE = 2, 0.005  # a value in no more cells than that is no level of a category
_OF_RARE = 0.05  # least share of the rare values written like names that are full names
_LISTED = 3  # full names that there are at least where such rare values fill most of the column: a list of something
_OF_LEVELS = 0.6  # the same of the levels
_UNDER_ANOTHER_HEADER = 0.5  # the same of the rare ones under a header such as `merchant`
_FIRM_SHARE = 0.05
_SAMPLE = 2000  # values that tell whether the share can be reached (odds below 1e-6 that half of it is not seen)


def hits(column: DistinctColumn, free: Hits, *, names: bool) -> dict[str, Hits]:
    """Per type, which of the `free` distinct values are one as a whole, whatever the other cells are.

    Args:
        column: a column of texts.
        free: values to judge, bool array over `column.values`; the others are compared with.
        names: whether names are looked for.
    """
    found = {"PHONE_NUMBER": _phones(column, free)}
    if names:
        found["NAME"] = _names(column, free)
    return {type_: cells for type_, cells in found.items() if cells.any()}


def _phones(column: DistinctColumn, free: Hits) -> Hits:
    """Numbers in groups that are valid by plan, unless most numbers grouped in that way are none."""
    none = np.zeros(len(free), dtype=bool)
    alike = column.shapes.within(_PHONE_BOUNDS)
    if not (alike & free).any() or column.shapes.characters.isdisjoint(_SEPARATORS):
        return none
    alike = _among(alike, column, rf"^(?:{patterns.PHONE})$")
    alike = _among(alike, column, r"\d[ ()./-]+\d")
    if not (alike & free).any():
        return none
    values = column.values.filter(pl.Series(alike))
    valid = _valid(values)
    if not valid.any():
        return none
    counts = pl.DataFrame(
        {"form": values.str.replace_all("[0-9]", "9"), "cells": column.counts[alike], "valid": valid}
    ).with_columns(right=pl.col("cells") * pl.col("valid"))
    share = counts.select(pl.col("right").sum().over("form") / pl.col("cells").sum().over("form")).to_series()
    none[alike] = valid & (share >= _LIKE_PHONES).to_numpy()
    return none & free


def _valid(values: pl.Series) -> Hits:
    """Phone numbers of which the form (``+``, an area code in brackets) or an area code in use leaves no doubt."""
    valid = checks.phone(values)
    valid &= matches(values, r"^(?:\(?\+|\(?0\d|\(|1[ .-]|[2-9]\d{2}[ .-])")
    bare = valid & matches(values, r"^[1-9]")
    if bare.any():
        number = values.filter(pl.Series(bare)).str.replace(r"(?i) ?(?:x|ext\.?) ?\d{1,6}$", "")
        number = number.str.replace_all("[^0-9]", "")
        valid[bare] = matches(number, rf"^1?(?:{validators.plan('US', ('fixed_line', 'mobile', 'toll_free'))})$")
    return valid


def _names(column: DistinctColumn, free: Hits) -> Hits:
    """Full names of a person, compared with the rare values, or the levels, that are written like names."""
    none = np.zeros(len(free), dtype=bool)
    written = column.shapes.within(_NAME_BOUNDS)
    if " " not in column.shapes.characters or not (written & free).any():
        return none
    written = _among(written, column, lexicon.WRITTEN_NAME)
    rare = column.counts <= max(_RARE_CELLS, _RARE_SHARE * column.num_cells)
    of_rare = _UNDER_ANOTHER_HEADER if header_names_other(column.header) else _OF_RARE
    single = _full_names(column, written & rare, of_rare)
    if column.cells(written & rare) > column.num_cells / 2 and np.count_nonzero(single) < _LISTED:
        single = none
    return free & (single | _full_names(column, written & ~rare, _OF_LEVELS))


def _full_names(column: DistinctColumn, written: Hits, least: float) -> Hits:
    """The full names among some values, none where they are too few of them or where these are firms."""
    found = np.zeros(len(written), dtype=bool)
    places: npt.NDArray[np.intp] = np.flatnonzero(written)
    if not len(places):
        return found
    sample = column.values[places[:: -(-len(places) // _SAMPLE)]]
    full = _people(sample)
    if not full.any() or lexicon.firms(fold_series(sample)).mean() >= _FIRM_SHARE:
        return found
    if len(sample) < len(places):
        if full.mean() < least / 2:
            return found
        full = _people(column.values[places])
    if full.mean() >= least:
        found[[place for place in places[full] if lexicon.is_written_as_name(column.values[int(place)])]] = True
    return found


def _people(values: pl.Series) -> Hits:
    return lexicon.full_names(values) & ~lexicon.provinces(fold_series(values))


def _among(chosen: Hits, column: DistinctColumn, pattern: str) -> Hits:
    """Which of the chosen values hold a match."""
    left = chosen.copy()
    if chosen.any():
        left[chosen] = matches(column.values.filter(pl.Series(chosen)), pattern)
    return left
