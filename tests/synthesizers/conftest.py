"""A small table with every column kind, and quick configurations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from tabveil.config import SDVConfig, TVAEConfig
from tabveil.schema import DEFAULT_SDTYPE, Column, ColumnType, ConstraintKind, ConstraintSpec, Metadata, canonical
from tabveil.synthesizers import Synthesizer, create_synthesizer

TYPES = {
    "principal": ColumnType.decimal,
    "interest": ColumnType.decimal,
    "total": ColumnType.decimal,
    "age": ColumnType.integer,
    "steps_of_25": ColumnType.integer,
    "grade": ColumnType.string,
    "joint": ColumnType.boolean,
    "opened": ColumnType.date,
    "seen": ColumnType.datetime,
    "constant": ColumnType.integer,
    "empty": ColumnType.string,
    "empty_number": ColumnType.decimal,
}
SUM = ConstraintSpec(kind=ConstraintKind.sum, total="total", parts=["principal", "interest"])


def small_table(num_rows: int = 400, seed: int = 0) -> pd.DataFrame:
    """Rows with known properties: a sum, a grid of 25, joint missingness, a constant, two empty columns."""
    rng = np.random.default_rng(seed)
    principal = rng.gamma(2.0, 500.0, num_rows).round(2)
    interest = (principal * rng.uniform(0.05, 0.2, num_rows)).round(2)
    missing = rng.random(num_rows) < 0.3
    age = pd.array(rng.integers(18, 80, num_rows), dtype="Int64")
    age[missing] = pd.NA
    start = np.datetime64("2020-01-01", "us")
    return pd.DataFrame(
        {
            "principal": principal,
            "interest": interest,
            "total": (principal + interest).round(2),
            "age": age,
            "steps_of_25": rng.integers(4, 400, num_rows) * 25,
            "grade": np.where(missing, None, rng.choice(["A", "B", "C"], num_rows, p=[0.6, 0.3, 0.1])),
            "joint": pd.array(rng.random(num_rows) < 0.2, dtype="boolean"),
            "opened": start + rng.integers(0, 900, num_rows).astype("timedelta64[D]"),
            "seen": start + rng.integers(0, 10**7, num_rows).astype("timedelta64[s]"),
            "constant": 7,
            "empty": None,
            "empty_number": np.nan,
        }
    )


def metadata_for(types: dict[str, ColumnType], *constraints: ConstraintSpec) -> Metadata:
    columns = tuple(Column(name, name, kind, DEFAULT_SDTYPE[kind]) for name, kind in types.items())
    return Metadata("sample", columns, constraints=constraints)


@pytest.fixture(scope="session")
def make_metadata() -> Callable[..., Metadata]:
    """`make_metadata({name: ColumnType}, *constraints)`."""
    return metadata_for


@pytest.fixture(scope="session")
def quick() -> Callable[..., TVAEConfig]:
    """A TVAE of a few steps; settings override."""
    base = {"max_steps": 100, "num_threads": 1, "encoder_dim": 32, "decoder_dim": 48, "latent_dim": 4}
    base |= {"batch_size": 128, "min_rows": 20, "weight_decay": 0.3, "learning_rate": 0.004}
    return lambda **settings: TVAEConfig(**{**base, **settings})


@pytest.fixture(scope="session")
def quick_sdv() -> Callable[[str], SDVConfig]:
    """One epoch of an SDV baseline."""
    return lambda name: SDVConfig(name=name, epochs=1, num_threads=1)


@pytest.fixture(scope="session")
def metadata() -> Metadata:
    return metadata_for(TYPES, SUM)


@pytest.fixture(scope="session")
def table(metadata: Metadata) -> pd.DataFrame:
    return canonical(small_table(), metadata)


@pytest.fixture(scope="session")
def fitted(table: pd.DataFrame, metadata: Metadata, quick: Callable[..., TVAEConfig]) -> Synthesizer:
    """A fitted TVAE; tests must not change it."""
    synthesizer = create_synthesizer(quick())
    synthesizer.fit(table, metadata)
    return synthesizer
