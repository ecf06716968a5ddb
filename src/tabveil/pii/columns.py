"""A column as the scanner reads it: the distinct values as clean text, and which row holds which."""

from __future__ import annotations

import datetime as dt
import decimal
import re
import unicodedata
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from tabveil.errors import ScanIncompleteError
from tabveil.pii.shapes import Shapes

_INVISIBLE = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\u00ad\x00-\x08\x0e-\x1b\x7f]")
_SIGNS = "[\u2010-\u2015\u2043\u2212]"  # dashes and minus signs that NFKC leaves
_FOREIGN_SIGN = re.compile(rf"{_SIGNS}|(?![0-9])\d")
_FOREIGN_SIGN_RUST = rf"{_SIGNS}|[\p{{Nd}}--[0-9]]"
_WHOLE_NUMBER = re.compile(r"^([0-9]+)\.0+$")  # what a number becomes in a column with gaps, as text
_TEXTUAL = (str, int, float, bool, decimal.Decimal, dt.date, dt.time, np.generic, pd.Timestamp)


class Kind(str, Enum):
    """What a column's cells are to the scanner."""

    text = "text"
    integer = "integer"
    decimal = "decimal"
    date = "date"
    boolean = "boolean"


@dataclass(frozen=True)
class DistinctColumn:
    """Distinct values of a column and where they are.

    Args:
        name: column name in the table.
        header: descriptive name that the header lexicon reads.
        values: the distinct non-missing values as clean text (`clean_text`);
            in order of first appearance.
        codes: int array of shape (num_rows,): index into `values`, -1 where missing or empty.
        counts: int array of shape (len(values),): rows holding each value.
        shapes: size, digits and letters of every value.
    """

    name: str
    header: str
    kind: Kind
    values: pl.Series
    codes: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]
    shapes: Shapes

    @cached_property
    def texts(self) -> pa.Array:
        """`values` for Arrow."""
        return self.values.to_arrow()

    @cached_property
    def folded(self) -> pa.Array:
        """`values` in lower-case ASCII (`identifiers.fold`), for Arrow."""
        return fold_series(self.values).to_arrow()

    @cached_property
    def num_cells(self) -> int:
        """Non-empty cells."""
        return int(self.counts.sum())

    def cells(self, hits: npt.NDArray[np.bool_]) -> int:
        """Rows whose value is among `hits` (bool array over `values`)."""
        return int(self.counts[hits].sum())

    def rows(self, hits: npt.NDArray[np.bool_], limit: int) -> tuple[int, ...]:
        """1-based numbers of the first `limit` rows whose value is among `hits`."""
        if not hits.any():
            return ()
        marked = np.append(hits, False)[self.codes]  # code -1 reads the appended False
        return tuple(int(row) + 1 for row in np.flatnonzero(marked)[:limit])


def clean_text(text: str) -> str:
    """`visible_text` with plain hyphens and the digits 0 to 9, as the scanner reads it."""
    return plain_signs(visible_text(text))


def visible_text(text: str) -> str:
    """NFKC (which makes every blank a plain one), without invisible and control characters, trimmed."""
    visible = _INVISIBLE.sub("", text)
    return (visible if visible.isascii() else unicodedata.normalize("NFKC", visible)).strip()


def plain_signs(text: str) -> str:
    """Hyphens for dashes and minus signs, 0 to 9 for the digits of other scripts; every character keeps its place."""
    return text if text.isascii() else _FOREIGN_SIGN.sub(_plain_sign, text)


def _plain_sign(sign: re.Match[str]) -> str:
    digit = unicodedata.decimal(sign.group(), None)
    return "-" if digit is None else str(digit)


def fold_series(values: pl.Series) -> pl.Series:
    """Lower-case ASCII form of every text, as `identifiers.fold` makes it."""
    lowered = values.str.to_lowercase()
    if lowered.str.len_bytes().sum() != lowered.str.len_chars().sum():
        for special, plain in (("đ", "d"), ("ß", "ss"), ("ø", "o"), ("ł", "l")):
            lowered = lowered.str.replace_all(special, plain, literal=True)
        lowered = lowered.str.normalize("NFKD").str.replace_all("[\u0300-\u036f]", "")
    return lowered


def read_column(series: pd.Series[Any], name: str, header: str) -> DistinctColumn:
    """The distinct values of a column.

    Raises:
        ScanIncompleteError: cells that are not scalars (bytes, lists, mappings, other objects).
    """
    if isinstance(series.dtype, pd.CategoricalDtype):
        series = series.astype(object)
    kind, series = _kind_of(series, name)
    if kind is Kind.text and pd.api.types.infer_dtype(series, skipna=True) == "string":
        codes, values = _distinct_texts(series)
    else:
        codes, values = _distinct_values(series, kind, name)
    cleaned, shapes = _cleaned(values)
    codes, values = _merge(codes, cleaned)
    counts = np.bincount(codes[codes >= 0], minlength=len(values)).astype(np.int64)
    if values is not cleaned:
        shapes = Shapes.of(values.to_arrow())
    return DistinctColumn(name, header, kind, values.alias(name), codes, counts, shapes)


def _distinct_texts(series: pd.Series[Any]) -> tuple[npt.NDArray[np.int64], pl.Series]:
    """Code per cell (-1 where missing) and the distinct texts, by Arrow's dictionary encoding."""
    encoded = pa.array(series, type=pa.large_string(), from_pandas=True).dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return codes, pl.Series(encoded.dictionary, dtype=pl.String)


def _distinct_values(series: pd.Series[Any], kind: Kind, name: str) -> tuple[npt.NDArray[np.int64], pl.Series]:
    try:
        codes, uniques = distinct(series)
    except TypeError as err:  # unhashable cells
        raise _unreadable(name, "nested cells") from err
    return codes, pl.Series(_texts(uniques, kind, name), dtype=pl.String)


def _cleaned(values: pl.Series) -> tuple[pl.Series, Shapes]:
    """`clean_text` of every value, and whole numbers without their ``.0``; most values need neither. And the shapes."""
    texts = values.to_arrow()
    shapes = Shapes.of(texts)
    if not (shapes.odd.any() or shapes.dotted_zero.any()):
        return values, shapes
    for chosen, clean in ((shapes.odd, _clean_series), (shapes.dotted_zero, _without_zeros)):
        if chosen.any():
            mask = pa.array(chosen)
            cleaned = clean(pl.Series(texts.filter(mask), dtype=pl.String)).to_arrow()
            texts = pc.replace_with_mask(texts, mask, cleaned)
    return pl.Series(texts, dtype=pl.String), Shapes.of(texts)


def _clean_series(values: pl.Series) -> pl.Series:
    values = values.str.replace_all(_INVISIBLE.pattern, "")
    if values.str.len_bytes().sum() != values.str.len_chars().sum():
        values = _plain_series(values.str.normalize("NFKC"))
    return values.str.strip_chars()


def _plain_series(values: pl.Series) -> pl.Series:
    """`plain_signs` of every text; few have any."""
    foreign = values.str.contains(_FOREIGN_SIGN_RUST)
    if not foreign.any():
        return values
    plain = pa.array(map(plain_signs, values.filter(foreign).to_list()), type=pa.large_string())
    texts = pc.replace_with_mask(values.to_arrow(), foreign.to_arrow(), plain)
    return pl.Series(texts, dtype=pl.String)


def _without_zeros(values: pl.Series) -> pl.Series:
    return values.str.replace(_WHOLE_NUMBER.pattern, "${1}")


def _kind_of(series: pd.Series[Any], name: str) -> tuple[Kind, pd.Series[Any]]:
    dtype = series.dtype
    if pd.api.types.is_bool_dtype(dtype):
        return Kind.boolean, series
    if pd.api.types.is_integer_dtype(dtype):
        return Kind.integer, series
    if pd.api.types.is_float_dtype(dtype):
        present = series.dropna()
        whole = len(present) > 0 and bool(((present % 1 == 0) & (present.abs() < 2**53)).all())
        return (Kind.integer, series.astype("Int64")) if whole else (Kind.decimal, series)
    if pd.api.types.is_datetime64_any_dtype(dtype):
        return Kind.date, series
    if pd.api.types.is_object_dtype(dtype) or pd.api.types.is_string_dtype(dtype):
        return Kind.text, series
    raise _unreadable(name, f"dtype {dtype}")


def _unreadable(name: str, found: str) -> ScanIncompleteError:
    return ScanIncompleteError(
        f"column '{name}' cannot be scanned: expected text, numbers, booleans or dates, however it has {found}; "
        "convert or drop it before verify"
    )


def distinct(series: pd.Series[Any]) -> tuple[npt.NDArray[np.int64], list[Any]]:
    """Code per cell (-1 where missing) and the distinct values, in order of first appearance.

    Unlike `pandas.factorize`, texts that differ only behind a NUL character stay apart.

    Raises:
        TypeError: a cell is not hashable.
    """
    if not pd.api.types.is_object_dtype(series.dtype):
        codes, uniques = pd.factorize(series, use_na_sentinel=True)
        return codes.astype(np.int64), list(uniques)
    position: dict[Any, int] = {}
    missing = series.isna().to_numpy()
    cells = series.to_numpy()
    codes = np.fromiter(
        (-1 if gone else position.setdefault(cell, len(position)) for cell, gone in zip(cells, missing, strict=True)),
        dtype=np.int64,
        count=len(cells),
    )
    return codes, list(position)


def _texts(uniques: list[Any], kind: Kind, name: str) -> list[str]:
    if kind is Kind.date:
        return [f"{day.year:04d}-{day.month:02d}-{day.day:02d}" for day in uniques]
    if kind is Kind.decimal:
        return [_number_text(float(value)) for value in uniques]
    strange = {type(v).__name__ for v in uniques if not isinstance(v, _TEXTUAL)} if kind is Kind.text else set()
    if strange:
        raise _unreadable(name, f"cells of type {', '.join(sorted(strange))}")
    return [str(value) for value in uniques]


def _number_text(number: float) -> str:
    """A whole number without a decimal point, as an integer column has it (exact below 2**53)."""
    return str(int(number)) if number.is_integer() and abs(number) < 2**53 else repr(number)


def _merge(codes: npt.NDArray[np.int64], texts: pl.Series) -> tuple[npt.NDArray[np.int64], pl.Series]:
    """One code per cleaned text, in order of first appearance; empty text counts as missing."""
    if texts.n_unique() == len(texts) and not (texts == "").any():
        return codes, texts
    encoded = pa.array(texts.to_arrow(), type=pa.large_string()).dictionary_encode()
    lookup = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    values = pl.Series(encoded.dictionary, dtype=pl.String)
    kept = (values != "").to_numpy()
    renumbered = np.where(kept, np.cumsum(kept) - 1, -1)
    lookup = np.append(renumbered[lookup], -1)  # code -1 reads the appended -1
    return lookup[codes], values.filter(pl.Series(kept))
