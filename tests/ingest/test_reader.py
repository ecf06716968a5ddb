import csv as csv_module
import datetime
import io

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabveil.config import CsvConfig, FileFormat
from tabveil.errors import UnreadableFileError
from tabveil.ingest.reader import load_raw, read_records


def load(path, content, csv=None, format=FileFormat.csv):
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    connection = duckdb.connect()
    raw = load_raw(connection, path, format, csv or CsvConfig())
    rows = connection.execute("SELECT * FROM raw ORDER BY _row").fetchall()
    malformed = connection.execute("SELECT * FROM raw_malformed ORDER BY _row").fetchall()
    connection.close()
    assert len(rows) + len(malformed) == raw.num_rows
    assert len(malformed) == raw.num_malformed
    return raw, rows, malformed


def test_load_raw_keeps_headers_and_text(tmp_path):
    raw, rows, _ = load(tmp_path / "t", '\ufeff Name ,,Name\r\n"a ""q""\nb", 1,\r\n\r\nc,,"x,y"\r\n')
    assert raw.headers == (" Name ", "", "Name")
    assert rows == [(1, 'a "q"\nb', " 1", ""), (2, "c", "", "x,y")]


def test_load_raw_sets_ragged_rows_aside(tmp_path):
    _, rows, malformed = load(tmp_path / "t", "a,b\n1,2\n3\n4,5,6\n7,8\n")
    assert [row[0] for row in rows] == [1, 4]
    assert malformed == [(2, "3"), (3, "4,5,6")]


def test_load_raw_resumes_after_a_stray_quote(tmp_path):
    _, rows, malformed = load(tmp_path / "t", 'a,b\n1,"x\n2,"y"\n3,z\n')
    assert malformed == [(1, '1,"x')]
    assert rows == [(2, "2", "y"), (3, "3", "z")]


def test_load_raw_resumes_after_a_quote_that_never_closes(tmp_path):
    lines = "".join(f"{i},x\n" for i in range(2000))
    _, rows, malformed = load(tmp_path / "t", 'a,b\n0,"open\n' + lines)
    assert malformed == [(1, '0,"open')]
    assert len(rows) == 2000


def test_load_raw_sets_text_after_a_quoted_field_aside(tmp_path):
    _, rows, malformed = load(tmp_path / "t", 'a,b\n"x"y,1\nok,2\n')
    assert malformed == [(1, '"x"y,1')]
    assert rows == [(2, "ok", "2")]


def test_load_raw_accepts_a_quote_inside_a_field(tmp_path):
    assert load(tmp_path / "t", 'a,b\n5" pipe,1\n')[1] == [(1, '5" pipe', "1")]


def test_load_raw_nul_bytes_are_malformed(tmp_path):
    assert load(tmp_path / "t", b"a,b\n1,\x002\n3,4\n")[2] == [(1, "1,\ufffd2")]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "cp1252", "latin-1", "utf-8-sig"])
def test_load_raw_encodings(tmp_path, encoding):
    declared = "utf-8" if encoding == "utf-8-sig" else encoding
    raw, rows, _ = load(tmp_path / "t", "Größe,b\nß,2\n".encode(encoding), CsvConfig(encoding=declared))
    assert raw.headers == ("Größe", "b")
    assert rows == [(1, "ß", "2")]


def test_load_raw_refuses_another_encoding(tmp_path):
    with pytest.raises(UnreadableFileError, match=r"not utf-8: declare"):
        load(tmp_path / "t", "a,b\nü,2\n".encode("cp1252"))
    with pytest.raises(UnreadableFileError, match="encoding Python knows"):
        load(tmp_path / "t", "a,b\n1,2\n", CsvConfig(encoding="klingon"))


def test_load_raw_refuses_a_file_without_rows(tmp_path):
    with pytest.raises(UnreadableFileError, match="only a header"):
        load(tmp_path / "t", "a,b\n")
    with pytest.raises(UnreadableFileError, match="header line"):
        load(tmp_path / "t", 'a,"b\n1,2\n')


def test_load_raw_spans_chunks(tmp_path):
    content = "a,b\n" + "".join(f"{i},x\n" if i % 1000 else "broken\n" for i in range(20_000))
    raw, rows, malformed = load(tmp_path / "t", content)
    assert (raw.num_rows, len(malformed)) == (20_000, 20)
    assert [row[0] for row in rows if row[1] == "19999"] == [20_000]


def test_load_raw_parquet_is_lossless_text(tmp_path):
    table = pa.table(
        {
            "i": pa.array([2**53 + 1, None], pa.int64()),
            "f": pa.array([0.1, float("nan")]),
            "f32": pa.array([0.1, 2.0], pa.float32()),
            "b": pa.array([True, None]),
            "d": pa.array([datetime.date(2020, 1, 2), None]),
            "ts": pa.array([datetime.datetime(2020, 1, 2, 3, 4, 5, 6), None], pa.timestamp("us")),
            "tz": pa.array([datetime.datetime(2020, 1, 2, 3), None], pa.timestamp("us", "Asia/Bangkok")),
            "c": pa.array(["x", None]).dictionary_encode(),
            "dec": pa.array(["1.10", None]).cast(pa.decimal128(10, 2)),
        }
    )
    pq.write_table(table, tmp_path / "t.parquet")
    raw, rows, _ = load(tmp_path / "t.parquet", None, format=FileFormat.parquet)
    assert raw.headers == tuple(table.column_names)
    assert rows[0][1:] == (
        "9007199254740993", "0.1", "0.1", "true", "2020-01-02", "2020-01-02 03:04:05.000006", "2020-01-02 03:00:00",
        "x", "1.10",
    )  # fmt: skip
    assert rows[1][1:] == (None, None, "2.0", None, None, None, None, None, None)


def test_load_raw_parquet_refuses_nested_columns(tmp_path):
    pq.write_table(pa.table({"ok": [1], "tags": [["x"]], "blob": [b"x"]}), tmp_path / "t.parquet")
    with pytest.raises(UnreadableFileError, match="blob, tags"):
        load(tmp_path / "t.parquet", None, format=FileFormat.parquet)
    pd.DataFrame({"a": pd.Series([], dtype="int64")}).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(UnreadableFileError, match="none"):
        load(tmp_path / "t.parquet", None, format=FileFormat.parquet)


CELL = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8)


@given(st.lists(st.tuples(CELL, CELL), min_size=1, max_size=20))
def test_read_records_reads_what_a_writer_writes(rows):
    text = io.StringIO(newline="")
    csv_module.writer(text, quoting=csv_module.QUOTE_ALL).writerows(rows)
    records = list(read_records(io.StringIO(text.getvalue(), newline=""), CsvConfig()))
    assert [tuple(fields) for fields, *_ in records] == rows


@given(st.text(st.sampled_from('a,"\n'), max_size=60))
def test_read_records_loses_no_line(text):
    records = list(read_records(io.StringIO(text, newline=""), CsvConfig()))
    joined = "".join(record.text for record in records)
    assert [record.line for record in records] == sorted({record.line for record in records})
    assert joined.replace("\n", "") == text.replace("\n", "")


def test_load_raw_says_in_which_line_a_record_is_malformed(tmp_path):
    lines = ["a,b", '"x', 'y",1', "", "2,3", '4,"open', "5,6,7", "8,9", "10", "11", "12"]
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    raw = load_raw(duckdb.connect(), tmp_path / "t.csv", FileFormat.csv, CsvConfig())
    assert raw.num_malformed == 5
    assert raw.malformed == (
        "line 6: a quotation mark without its partner",
        "line 7: 3 fields instead of 2",
        "line 9: 1 field instead of 2",
    )


def test_load_raw_names_the_file_as_it_is_told_to(tmp_path):
    (tmp_path / "raw").write_text("a,b\n")
    with pytest.raises(UnreadableFileError, match=r"^landing/x\.csv must hold rows"):
        load_raw(duckdb.connect(), tmp_path / "raw", FileFormat.csv, CsvConfig(), name="landing/x.csv")
