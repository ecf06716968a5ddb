"""The SQL text: a golden file for DuckDB, and the same steps compiled for Spark."""

import os
from pathlib import Path

import duckdb
import pytest

from tabveil.config import CsvConfig, DatasetConfig, PreprocessConfig, SourceConfig
from tabveil.ingest.reader import RawTable
from tabveil.ingest.text import TRIMMED
from tabveil.preprocess import compile as steps
from tabveil.preprocess.cells import BLANKS
from tabveil.preprocess.spec import table_spec
from tabveil.preprocess.statistics import ColumnStatistics, Statistics
from tabveil.schema import ColumnSpec, ColumnType, ConstraintKind, ConstraintSpec, NullPolicy

GOLDEN = Path(__file__).parent / "golden"
COLUMNS = {
    "loan_id": ColumnSpec(type=ColumnType.integer, nulls=NullPolicy.drop),
    "amount": ColumnSpec(type=ColumnType.decimal, minimum=0, clip=True, nulls=NullPolicy.impute),
    "opened": ColumnSpec(type=ColumnType.date, formats=["%d.%m.%Y", "%b-%y"]),
    "seen": ColumnSpec(type=ColumnType.datetime, formats=["%d/%m/%Y %I:%M %p", "%Y-%m-%dT%H:%M:%S.%f%z"]),
    "updated": ColumnSpec(type=ColumnType.datetime),
    "active": ColumnSpec(type=ColumnType.boolean),
    "grade": ColumnSpec(nulls=NullPolicy.impute),
    "paid": ColumnSpec(type=ColumnType.decimal),
}
CONSTRAINTS = [
    ConstraintSpec(low="paid", high="amount"),
    ConstraintSpec(kind=ConstraintKind.unique, columns=["loan_id"]),
    ConstraintSpec(kind=ConstraintKind.range, low="updated", middle="seen", high="opened"),
    ConstraintSpec(kind=ConstraintKind.functional_dependency, columns=["grade"], dependent="active"),
]
STATISTICS = Statistics(
    {
        "amount": ColumnStatistics(low=0.0, high=90.5, fill=12.5, fill_kind="median"),
        "grade": ColumnStatistics(fill="it's", fill_kind="mode", secret=True),
    },
    {"amount": "$"},
)


@pytest.fixture
def spec():
    headers = ("Loan ID", *list(COLUMNS)[1:])
    raw = RawTable("raw", "raw_malformed", headers, tuple(f"c{n}" for n in range(1, 9)), 1, 0)
    dataset = DatasetConfig(
        name="small", source=SourceConfig(key="k"), csv=CsvConfig(thousands=","), columns=COLUMNS,
        null_tokens=["", "NA"], constraints=CONSTRAINTS,
    )  # fmt: skip
    return table_spec(raw, dataset, PreprocessConfig())


def script(spec, dialect):
    made = [
        steps.bare_step(spec, "raw", dialect),
        steps.trim_step(spec, dialect),
        steps.type_step(spec, STATISTICS.signs, dialect),
        steps.judge_step(spec, dialect),
        steps.accept_step(spec, dialect),
        steps.apply_step(spec, STATISTICS, dialect),
        steps.check_step(spec, dialect),
    ]
    return ";\n\n".join(step.statement(dialect) for step in made) + ";\n"


@pytest.mark.parametrize("dialect", ["duckdb", "pyspark"])
def test_sql_is_the_golden_one(spec, dialect):
    golden = GOLDEN / f"small.{dialect}.sql"
    if os.environ.get("TABVEIL_WRITE_GOLDEN"):
        golden.write_text(script(spec, dialect), encoding="utf-8")
    assert script(spec, dialect) == golden.read_text(encoding="utf-8"), "if meant: set TABVEIL_WRITE_GOLDEN=1 and diff"


def test_spark_sql_uses_the_same_steps(spec):
    names = [line for line in script(spec, "pyspark").splitlines() if line.startswith("CREATE")]
    assert len(names) == 7
    assert "TRY_CAST" in script(spec, "pyspark")


def test_golden_sql_runs(spec):
    cells = ["7", "$1,000.50", "03.04.2020", "1/2/2020 12:05 PM", "2020-01-01", "yes", "NA", "\u00a0 5 "]
    connection = duckdb.connect()
    connection.execute("CREATE TABLE raw (_row BIGINT, " + ", ".join(f"c{n} VARCHAR" for n in range(1, 9)) + ")")
    connection.execute("INSERT INTO raw VALUES (1, " + ", ".join("?" * 8) + ")", cells)
    connection.execute((GOLDEN / "small.duckdb.sql").read_text(encoding="utf-8"))
    row = connection.execute("SELECT * EXCLUDE (_row) FROM checked").fetchall()[0]
    connection.close()
    assert [str(value) for value in row] == [
        "7", "90.5", "2020-04-03", "2020-02-01 12:05:00", "2020-01-01 00:00:00", "True", "it's", "5.0", "None",
    ]  # fmt: skip


def test_sql_has_no_back_reference(spec):
    for dialect in ("duckdb", "pyspark"):
        text = script(spec, dialect)
        assert "\\1" not in text
        assert "$1" not in text


def test_blanks_pattern_is_the_trimmed_set():
    connection = duckdb.connect()
    every = [chr(code) for code in range(1, 0x10000) if not 0xD800 <= code < 0xE000]
    query = "SELECT list_filter(?::VARCHAR[], lambda c: regexp_matches(c, ?))"
    found = connection.execute(query, [every, f"^{BLANKS}$"]).fetchall()[0][0]
    connection.close()
    assert set(found) == set(TRIMMED)


def test_sql_has_no_in_list(spec):
    """DuckDB makes a join of each IN list of many tokens: 400 columns took a minute."""
    assert " IN (" not in script(spec, "duckdb")
