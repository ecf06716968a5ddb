import pytest

from tabveil.errors import UnreadableFileError
from tabveil.ingest.dialect import detect_encoding, inspect_dialect, number_notation


def written(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "t.csv"
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8"),
        ("utf-16", "utf-16"),
        ("utf-16-le", "utf-16-le"),
        ("cp1252", "cp1252"),
    ],
)
def test_detect_encoding(tmp_path, encoding, expected):
    assert detect_encoding(written(tmp_path, "name,city\nJürgen,Köln\n" * 20, encoding)) == expected


def test_detect_encoding_reads_to_the_end(tmp_path):
    path = tmp_path / "late.csv"
    path.write_bytes(b"a,b\n" + b"1,2\n" * 400_000 + "ü,2\n".encode("latin-1"))
    assert detect_encoding(path) == "cp1252"
    path.write_bytes(b"a,b\n\x81,2\n")
    assert detect_encoding(path) == "latin-1"
    path.write_bytes(b"a,b\n1,\xc3")  # a cut UTF-8 letter
    assert detect_encoding(path) == "cp1252"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_inspect_dialect_delimiter(tmp_path, delimiter):
    rows = [["id", "name", "amount"], ["1", "a b", "2"], ["2", "c", "3"]]
    path = written(tmp_path, "\n".join(delimiter.join(row) for row in rows))
    assert inspect_dialect(path).csv.delimiter == delimiter


@pytest.mark.parametrize(
    ("text", "delimiter", "quote", "decimal", "thousands"),
    [
        ("a;b\n1,5;2,5\n3,25;4,0\n", ";", '"', ",", None),
        ('a,b\n"x\ny",1\n"p,q",2\n"say ""hi""",3\n', ",", '"', ".", None),
        ("a,b\n'x,y',1\n'z,w',2\n", ",", "'", ".", None),
        ('a,b\nx,1\n"y,2\nz,3\n', ",", '"', ".", None),
        ('a,b\n\'["x","y","z"]\',1\n\'["x","w","z"]\',2\n', ",", "'", ".", None),
        ('a,b\n"1.234,56",x\n"2,00",y\n', ",", '"', ",", "."),
        ('a,b\n"65,000.00",x\n"1,000",y\n', ",", '"', ".", ","),
        ("a;b\n1 234,5;x\n12,5;y\n", ";", '"', ",", " "),
        ("a;b\n1\u202f234,5;x\n12,5;y\n", ";", '"', ",", " "),
        ("a\tb\n1'234.50\tx\n", "\t", '"', ".", "'"),
        ("note;n\nhello, world, and more;1\nx;2\n", ";", '"', ".", None),
        ("date;v\n01.02.2020;0.125\n03.04.2021;12.5\n", ";", '"', ".", None),
        ("ip,v\n10.0.0.1,1\n10.0.0.2,2\n", ",", '"', ".", None),
    ],
)
def test_inspect_dialect_nasty(tmp_path, text, delimiter, quote, decimal, thousands):
    csv = inspect_dialect(written(tmp_path, text)).csv
    assert (csv.delimiter, csv.quote, csv.decimal, csv.thousands) == (delimiter, quote, decimal, thousands)


def test_inspect_dialect_says_what_it_cannot_decide(tmp_path):
    assert any("three digits" in note for note in inspect_dialect(written(tmp_path, "a;b\n1,234;x\n5,678;y\n")).notes)
    assert any("one column" in note for note in inspect_dialect(written(tmp_path, "a\n1\n2\n")).notes)
    assert any("cp1252" in note for note in inspect_dialect(written(tmp_path, "a,b\nü,1\n", "cp1252")).notes)


def test_number_notation_with_contradicting_marks_says_so():
    decimal, _, notes = number_notation(["1,5", "2,5", "3.5"], ",")
    assert decimal == ","
    assert "both" in notes[0]


def test_inspect_dialect_refuses_prose(tmp_path):
    text = "Dear all,\nplease find, below, the list\none, two, three, four\nregards\n"
    with pytest.raises(UnreadableFileError, match="is it a table"):
        inspect_dialect(written(tmp_path, text))
