"""tabveil.generation and tabveil.tables: whole tables, chunk by chunk, all or nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from tabveil.config import SynthesizerConfig
from tabveil.errors import PrivacyError, SynthesizerError
from tabveil.generation import TableGenerator
from tabveil.pii import IdentityDigests
from tabveil.provenance import sha256_of
from tabveil.schema import Action, Column, ColumnType, ConstraintSpec, Metadata, SDType, canonical
from tabveil.synthesizers import Synthesizer
from tabveil.tables import csv_sha256, write_tables

KEY = bytes(range(32))
METADATA = Metadata(
    dataset="d",
    columns=(
        Column("client", "Client ID", ColumnType.string, SDType.id, Action.regenerate, locales=("en_US",)),
        Column("low", " Low ", ColumnType.integer, SDType.numerical),
        Column("mail", "E-Mail", ColumnType.string, SDType.id, Action.regenerate, "EMAIL_ADDRESS", locales=("en_US",)),
        Column("high", "HIGH", ColumnType.integer, SDType.numerical),
        Column("day", "Day", ColumnType.date, SDType.datetime),
        Column("flag", "Flag", ColumnType.boolean, SDType.boolean),
    ),
    constraints=(ConstraintSpec(low="low", high="high"),),
)


class Dice(Synthesizer):
    """Independent throws: nearly half of them break ``low <= high``."""

    name = "dice"

    def _fit(self, *_: object) -> None: ...

    def _sample(self, num_rows: int, seed: int) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        days = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 9, num_rows), unit="D")
        throws = {name: rng.integers(1, 7, num_rows) for name in ("low", "high")}
        return pd.DataFrame({**throws, "day": days, "flag": rng.random(num_rows) < 0.5})

    def _save(self, folder: Path) -> None: ...

    def _load(self, folder: Path) -> None: ...


def dice() -> Dice:
    """Dice that have seen enough rows to count as fitted."""
    fitted = Dice(SynthesizerConfig(name="dice", min_rows=20))
    fitted.fit(fitted._sample(20, 0), METADATA)
    return fitted


def digests_of(mails: list[str]) -> IdentityDigests:
    real = pd.DataFrame({"client": ["none"] * len(mails), "mail": mails})
    return IdentityDigests.build(real, [c for c in METADATA.columns if c.generated], KEY)


def chunks(num_rows: int, *, seed: int = 0, chunk_rows: int = 100, digests=None) -> Iterator[pd.DataFrame]:
    generator = TableGenerator(dice(), METADATA, digests or digests_of(["x@bank.test"]))
    return generator.chunks(num_rows, seed, chunk_rows=chunk_rows, max_rejected_fraction=0.9)


def test_a_table_has_all_columns_in_order_exactly_as_many_rows_and_no_broken_constraint():
    table = pd.concat(chunks(350), ignore_index=True)
    assert list(table.columns) == METADATA.output_columns
    assert len(table) == 350
    assert (table["low"] <= table["high"]).all()
    assert table["client"].is_unique


def test_same_seed_same_table_other_seed_other_table():
    first, again, other = (pd.concat(chunks(120, seed=seed)) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(first, again)
    assert not first.equals(other)


def test_invented_identities_do_not_depend_on_the_chunks():
    small, large = (pd.concat(chunks(90, chunk_rows=size), ignore_index=True)["mail"] for size in (7, 1000))
    pd.testing.assert_series_equal(small, large)


def test_an_invented_value_that_is_a_real_one_is_drawn_again():
    taken = pd.concat(chunks(50))["mail"].tolist()
    again = pd.concat(chunks(50, digests=digests_of(taken)))["mail"]
    assert not set(again) & set(taken)


def test_the_writer_keeps_headers_order_and_types(tmp_path: Path):
    parquet, csv = tmp_path / "s.parquet", tmp_path / "s.csv"
    write_tables(chunks(250), 250, METADATA, parquet=parquet, csv=csv)
    assert csv.read_text().splitlines()[0] == "Client ID, Low ,E-Mail,HIGH,Day,Flag"
    table = canonical(pd.read_parquet(parquet), METADATA)
    text = pd.read_csv(csv)
    assert len(text) == 250
    assert text["Day"].str.fullmatch(r"\d{4}-\d\d-\d\d").all()
    assert csv_sha256(parquet, METADATA) == sha256_of(csv)
    with csv.open("a") as appended:
        appended.write("a,1,b,2,2024-01-01,true\n")
    assert csv_sha256(parquet, METADATA) != sha256_of(csv)
    assert set(text["Flag"].astype(str).str.lower()) == {"true", "false"}
    assert text[" Low "].tolist() == table["low"].tolist()
    assert str(pq.read_schema(parquet).field("day").type) == "date32[day]"


def test_a_writer_that_breaks_off_leaves_neither_file(tmp_path: Path):
    def broken() -> Iterator[pd.DataFrame]:
        yield from chunks(10)
        raise PrivacyError("stop")

    with pytest.raises(PrivacyError):
        write_tables(broken(), 10, METADATA, parquet=tmp_path / "s.parquet", csv=tmp_path / "s.csv")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("promised", [0, 9, 11])
def test_fewer_or_more_rows_than_asked_leave_neither_file(tmp_path: Path, promised: int):
    with pytest.raises(SynthesizerError, match=f"asked for {promised} rows, however 10 were sampled"):
        write_tables(chunks(10), promised, METADATA, parquet=tmp_path / "s.parquet", csv=tmp_path / "s.csv")
    assert list(tmp_path.iterdir()) == []
