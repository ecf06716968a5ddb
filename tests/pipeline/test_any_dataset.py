"""Any dataset in two commands: four tables of different shape, none of which the project has ever seen."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tabveil.artifacts import Artifacts

pytestmark = pytest.mark.pipeline
ROWS = 700


def payments(folder: Path) -> Path:
    """Semicolons, decimal commas, Windows encoding, German headers, German dates, IBANs, booleans, missing values."""
    rng = np.random.default_rng(1)
    amount = rng.gamma(2.0, 120.0, ROWS).round(2)
    table = pd.DataFrame(
        {
            "Kunden-Nr.": rng.permutation(ROWS) + 70_000,
            "Empfänger": [
                f"{rng.choice(['Anna', 'Jürgen', 'Zoë'])} {rng.choice(['Müller', 'Groß'])}" for _ in range(ROWS)
            ],
            "IBAN": [iban(f"37040044{i:010d}") for i in range(ROWS)],
            "Buchungstag": pd.date_range("2023-01-01", periods=ROWS, freq="13h").strftime("%d.%m.%Y"),
            "Betrag (€)": [f"{value:.2f}".replace(".", ",") for value in amount],
            "Gebühr": [f"{value * 0.01:.2f}".replace(".", ",") if value > 100 else "" for value in amount],
            "Bestätigt": np.where(rng.random(ROWS) < 0.8, "ja", "nein"),
        }
    )
    path = folder / "Zahlungen 2023.csv"
    table.to_csv(path, index=False, sep=";", encoding="cp1252")
    return path


def iban(account: str) -> str:
    check = 98 - int(f"{account}131400") % 97
    return f"DE{check:02d}{account}"


def sensors(folder: Path) -> Path:
    """Wide and numeric: 40 tab-separated columns of related numbers, no header oddities, nobody in it."""
    rng = np.random.default_rng(2)
    base = rng.normal(size=(ROWS, 5))
    values = base @ rng.normal(size=(5, 40)) + rng.normal(scale=0.3, size=(ROWS, 40))
    path = folder / "sensors.tsv"
    pd.DataFrame(values.round(3), columns=[f"s{i:02d}" for i in range(40)]).to_csv(path, index=False, sep="\t")
    return path


def visits(folder: Path) -> Path:
    """Parquet with typed columns: timestamps, integers with gaps, booleans, categories, an e-mail address."""
    rng = np.random.default_rng(3)
    plan = rng.choice(["free", "pro", "team"], ROWS, p=[0.6, 0.3, 0.1])
    table = pd.DataFrame(
        {
            "userEmail": [f"user{i}@shop.test" for i in range(ROWS)],
            "startedAt": pd.Timestamp("2024-03-01 08:00") + pd.to_timedelta(rng.integers(0, 10**6, ROWS), unit="s"),
            "pages": pd.array(np.where(rng.random(ROWS) < 0.1, None, rng.poisson(4, ROWS)), "Int64"),
            "paid": plan != "free",
            "plan": plan,
        }
    )
    path = folder / "visits.parquet"
    table.to_parquet(path)
    return path


def bookings(folder: Path) -> Path:
    """Transactions: 160 customers with 25 rows each, so that their ids look like a category; two names in every row."""
    rng = np.random.default_rng(4)
    customer = np.repeat(np.arange(160), 25)
    rows = len(customer)
    amount, rate = rng.gamma(2.0, 40.0, rows), rng.normal(3.0, 0.5, rows)
    table = pd.DataFrame(
        {
            "customer_id": [f"CU{number:05d}" for number in customer],
            "borrower_name": [f"{FIRST[number % 7]} {LAST[number % 5]}" for number in customer],
            "guarantor_name": [f"{FIRST[number % 5]} {LAST[number % 7]}" for number in customer],
            "product_id": rng.integers(1, 3, rows),
            "amount": amount.round(2),
            "rate": rate.round(3),
            "interest": (amount * rate / 100).round(3),
            "fee": (amount * 0.01 + rng.gamma(2.0, 0.2, rows)).round(3),
            "balance": (5000 - amount * 20 + rng.normal(0, 400, rows)).round(2),
        }
    )
    path = folder / "bookings.csv"
    table.sample(frac=1, random_state=1).to_csv(path, index=False)
    return path


FIRST = ("Anna", "Peter", "Maria", "John", "Susan", "Paul", "Laura")
LAST = ("Miller", "Schmidt", "Wagner", "Johnson", "Fischer", "Weber", "Becker")
TABLES = {"zahlungen_2023": payments, "sensors": sensors, "visits": visits, "bookings": bookings}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, make_clone) -> Path:
    return make_clone(tmp_path_factory.mktemp("any") / "clone")


@pytest.mark.parametrize("name", TABLES)
def test_a_table_never_seen_takes_two_commands(name: str, project: Path, tmp_path: Path, clean_environment):
    environment = {
        **clean_environment,
        "PYTHONPATH": f"{project / 'src'}:{clean_environment['PYTHONPATH']}",
        "COLUMNS": "120",
    }
    path = TABLES[name](tmp_path)
    said = []
    for command in (
        [sys.executable, "-m", "tabveil.new_dataset", str(path), "--name", name],
        ["make", "run", f"DATASET={name}"],
    ):
        result = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
        assert result.returncode == 0, f"{command}\n{result.stdout[-3000:]}\n{result.stderr[-3000:]}"
        said.append(result.stdout)
    assert f"DATASET={name}" in said[0]
    assert "gate passed" in said[1]

    artifacts = Artifacts(project / "artifacts")
    counts = json.loads(artifacts.profile.read_text())["counts"]
    real = pd.read_parquet(path) if path.suffix == ".parquet" else read_raw(path)
    assert counts["read"] == len(real) == counts["kept"] + counts["duplicates"] + counts["rejected"]
    synthetic = pd.read_csv(artifacts.synthetic_csv)
    assert list(synthetic.columns) == list(real.columns)
    text = artifacts.synthetic_csv.read_text(encoding="utf-8")
    for column in ("IBAN", "userEmail", "customer_id", "borrower_name", "guarantor_name"):
        if column in real:
            assert [value for value in real[column].unique() if value in text] == []
    if "guarantor_name" in synthetic:
        assert (synthetic["borrower_name"] == synthetic["guarantor_name"]).mean() < 0.05


def read_raw(path: Path) -> pd.DataFrame:
    separators = {"sensors.tsv": "\t", "bookings.csv": ","}
    separator = separators.get(path.name, ";")
    return pd.read_csv(path, sep=separator, encoding="cp1252" if separator == ";" else "utf-8", dtype=str)
