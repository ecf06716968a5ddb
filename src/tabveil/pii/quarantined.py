"""Quarantined rows as they would stand in the table, so that their people are known however they are written."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

from tabveil.config import CsvConfig, DatasetConfig
from tabveil.pii.columns import clean_text
from tabveil.schema import ColumnType

LINE = "_line"  # of a quarantine: the text of a record that could not be split into columns
_WHOLE = re.compile(r"([-+]?\d+)(?:\.0*)?")
_NUMBERS = (ColumnType.integer, ColumnType.decimal)


def everyone(table: pd.DataFrame, quarantine: pd.DataFrame, dataset: DatasetConfig) -> pd.DataFrame:
    """All rows whose people must not be invented again: the kept ones, and the quarantined ones as typed cells.

    Of a line that was no record, nobody knows which field is which: each stands in every column, in a row of its own.

    Args:
        table: canonical frame.
        quarantine: raw text of the rejected rows, one column per column of `table`, and `_line`.

    Returns:
        Object cells in the columns of `table`.
    """
    rejected = quarantine.reindex(columns=table.columns).astype("object")
    lines = quarantine[LINE].dropna() if LINE in quarantine.columns else ()
    fields = [field.strip(dataset.csv.quote + " ") for line in lines for field in line.split(dataset.csv.delimiter)]
    loose = pd.DataFrame(dict.fromkeys(table.columns, fields), columns=table.columns, dtype=object)
    raw = pd.concat([rejected, loose], ignore_index=True)
    typed = raw.apply(lambda cells: cells.map(lambda cell: _typed(cell, str(cells.name), dataset), na_action="ignore"))
    return pd.concat([table.astype("object"), typed], ignore_index=True)


def _typed(cell: Any, name: str, dataset: DatasetConfig) -> Any:
    text = clean_text(str(cell))
    if text in dataset.null_tokens:
        return None
    return _number(text, dataset.csv) if dataset.columns[name].type in _NUMBERS else text


def _number(text: str, csv: CsvConfig) -> int | float | str:
    """The number a text is, exact if it is whole; the text itself if it is none."""
    plain = text.replace(csv.thousands or " ", "").replace(" ", "").replace(csv.decimal, ".")
    whole = _WHOLE.fullmatch(plain)
    if whole:
        return int(whole[1])
    try:
        return float(plain)
    except ValueError:
        return text
