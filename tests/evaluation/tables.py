"""Small tables with known properties."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tabveil.schema import DEFAULT_SDTYPE, Action, Column, ColumnType, Metadata, SDType, canonical

TYPES = {
    "amount": ColumnType.decimal,
    "income": ColumnType.decimal,
    "count": ColumnType.integer,
    "grade": ColumnType.string,
    "region": ColumnType.string,
    "active": ColumnType.boolean,
    "opened": ColumnType.date,
}


def metadata(target: str | None = "grade") -> Metadata:
    """Seven modelled columns of every type and one id."""
    columns = [Column(name=n, original_name=n.title(), type=t, sdtype=DEFAULT_SDTYPE[t]) for n, t in TYPES.items()]
    customer = Column(
        name="customer_id",
        original_name="Customer",
        type=ColumnType.string,
        sdtype=SDType.id,
        action=Action.pseudonymise,
    )
    return Metadata("toy", (customer, *columns), target=target)


def real_table(num_rows: int, seed: int) -> pd.DataFrame:
    """Associated columns with missing values and a rare level, canonical dtypes."""
    rng = np.random.default_rng(seed)
    amount = rng.gamma(2.0, 1000.0, num_rows).round(2)
    grade = np.array(["A", "B", "C", "D"], dtype=object)[np.digitize(amount, [1000, 2500, 7000])]
    region = np.where(rng.random(num_rows) < 0.03, "islands", rng.choice(["north", "south"], num_rows)).astype(object)
    count = pd.Series((amount / 500).round(), dtype="Int64").mask(pd.Series(rng.random(num_rows) < 0.1))
    table = pd.DataFrame(
        {
            "customer_id": [f"c{seed}-{row}" for row in range(num_rows)],
            "amount": amount,
            "income": np.where(rng.random(num_rows) < 0.2, np.nan, amount * 3 + rng.normal(0, 500, num_rows)),
            "count": count,
            "grade": grade,
            "region": region,
            "active": pd.Series(amount > 1500, dtype="boolean").mask(pd.Series(rng.random(num_rows) < 0.05)),
            "opened": pd.Timestamp("2015-01-01") + pd.to_timedelta((amount / 4).round(), unit="D"),
        }
    )
    return canonical(table, metadata())


def independent(table: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Each column shuffled on its own."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame({n: table[n].take(rng.permutation(len(table))).reset_index(drop=True) for n in table.columns})
