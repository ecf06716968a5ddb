import gzip
import zipfile

import pandas as pd
import pytest

from tabveil.config import FileFormat
from tabveil.errors import UnreadableFileError
from tabveil.ingest.inspect import check_readable


def refused(tmp_path, content, match, format=FileFormat.csv):
    path = tmp_path / "raw"
    path.write_bytes(content)
    with pytest.raises(UnreadableFileError, match=match) as caught:
        check_readable(path, format)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "empty"),
        (b"\n\r\n  \n", "blank lines only"),
        (b"a,b,c\n", "only a header"),
        (b"a,b,c", "only a header"),
        (b"a,b\n1,\x00\x002\n", "NUL"),
        (b"a,b\n" + bytes(range(1, 9)) * 50, "control characters"),
        (b"\x89PNG\r\n\x1a\n" + b"x" * 100, "PNG"),
        (b"%PDF-1.7\n", "PDF"),
        (b"PAR1xxxxPAR1", "source.format: parquet"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "old Excel"),
        (gzip.compress(b"a,b\n1,2\n", mtime=0), "unpack it first"),
        (b"<!DOCTYPE html>\n<html><body>login</body></html>\n", "HTML"),
        (b"\xef\xbb\xbf\n<html>\n</html>\n", "HTML"),
        (b'{"a": 1}\n{"a": 2}\n', "JSON"),
        (b'[\n{"a": 1}]\n', "JSON"),
    ],
)
def test_check_readable_refuses(tmp_path, content, match):
    refused(tmp_path, content, match)


def test_check_readable_refuses_a_workbook(tmp_path):
    path = tmp_path / "book.csv"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("xl/workbook.xml", "<x/>")
    with pytest.raises(UnreadableFileError, match="xlsx"):
        check_readable(path, FileFormat.csv)


def test_check_readable_refuses_a_missing_file(tmp_path):
    with pytest.raises(UnreadableFileError, match="there is none"):
        check_readable(tmp_path / "no.csv", FileFormat.csv)


@pytest.mark.parametrize(
    "content",
    [
        b"a,b\n1,2\n",
        b"\xef\xbb\xbfa,b\r\n1,2\r\n",
        "a;b\nÄ;ß\n".encode("cp1252"),
        "a,b\n1,ü\n".encode("utf-16"),
        "a,b\n1,2\n3,4\n".encode("utf-16-le"),
        b"a\n1\n",
    ],
)
def test_check_readable_accepts_text(tmp_path, content):
    path = tmp_path / "raw"
    path.write_bytes(content)
    check_readable(path, FileFormat.csv)


def test_check_readable_parquet(tmp_path):
    path = tmp_path / "t.parquet"
    pd.DataFrame({"a": [1]}).to_parquet(path)
    check_readable(path, FileFormat.parquet)
    refused(tmp_path, b"a,b\n1,2\n", "source.format csv", FileFormat.parquet)
    refused(tmp_path, path.read_bytes()[:-20], "footer is broken", FileFormat.parquet)
    pd.DataFrame({"a": []}).to_parquet(path)
    with pytest.raises(UnreadableFileError, match="0 rows"):
        check_readable(path, FileFormat.parquet)


@pytest.mark.parametrize("format", FileFormat)
def test_check_readable_names_where_the_file_came_from(tmp_path, format):
    (tmp_path / ".raw.123.tmp").write_bytes(b"\x89PNG....")
    with pytest.raises(UnreadableFileError, match=r"^s3://landing/raw/x must be ") as caught:
        check_readable(tmp_path / ".raw.123.tmp", format, "s3://landing/raw/x")
    assert "tmp" not in str(caught.value)
