"""Is this file what it is said to be? Cheap checks on its first bytes, before anything is parsed."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tabveil.config import FileFormat
from tabveil.errors import UnreadableFileError

SAMPLE_BYTES = 1_000_000
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SIGNATURES = (
    (b"PK\x03\x04", "a zip archive or an Excel workbook (.xlsx)"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook (.xls)"),
    (b"\x1f\x8b", "gzip-compressed"),
    (b"BZh", "bzip2-compressed"),
    (b"\xfd7zXZ\x00", "xz-compressed"),
    (b"\x28\xb5\x2f\xfd", "zstd-compressed"),
    (b"7z\xbc\xaf", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"PAR1", "Parquet"),
    (b"ORC", "ORC"),
    (b"Obj\x01", "Avro"),
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"\x7fELF", "a program"),
)
_MARKUP = re.compile(r"\s*(<!doctype|<html|<head|<\?xml|<table)", re.IGNORECASE)
_JSON = re.compile(r"\s*(\{\s*\"|\[\s*[\[{])")
_CONTROLS = bytes(set(range(32)) - {0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x1A, 0x1B})
_MAX_CONTROL_FRACTION = 0.001


def check_readable(path: Path, format: FileFormat, name: str | None = None) -> None:
    """Refuse a file that cannot be a table in the declared format; reads its first megabyte at most.

    Args:
        name: what messages call it, e.g. the URI it was fetched from; by default the file's own name.

    Raises:
        UnreadableFileError: missing, empty, binary, compressed, a page of HTML, JSON, only a header, or (Parquet)
            without a valid footer, columns or rows.
    """
    name = name or path.name
    if not path.is_file():
        raise UnreadableFileError(f"{name} must be a file, however there is none")
    with path.open("rb") as file:
        head = file.read(SAMPLE_BYTES)
    if not head:
        raise UnreadableFileError(f"{name} must hold a table, however it is empty (0 bytes)")
    if format is FileFormat.parquet:
        _check_parquet(path, head, name)
    else:
        _check_csv(head, name)


def _check_parquet(path: Path, head: bytes, name: str) -> None:
    if not head.startswith(b"PAR1"):
        raise UnreadableFileError(
            f"{name} must be Parquet, however it does not begin as Parquet does: is source.format csv?"
        )
    try:
        metadata = pq.read_metadata(path)
    except (OSError, pa.ArrowInvalid) as err:
        raise UnreadableFileError(f"{name} must be Parquet, however its footer is broken: fetch it again") from err
    if metadata.num_rows == 0 or metadata.num_columns == 0:
        raise UnreadableFileError(
            f"{name} must hold rows, however: {metadata.num_rows} rows, {metadata.num_columns} columns"
        )


def _check_csv(head: bytes, name: str) -> None:
    for signature, what in _SIGNATURES:
        if head.startswith(signature):
            raise UnreadableFileError(f"{name} must be CSV text, however it is {what}: {_advice(what)}")
    encoding = sniff_wide_encoding(head)
    if encoding is None:
        _check_bytes(head, name)
    text = head.decode(encoding or "latin-1", errors="replace").lstrip("\ufeff").removeprefix("ï»¿")
    if _MARKUP.match(text):
        raise UnreadableFileError(f"{name} must be CSV text, however it is an HTML or XML page: check its link")
    if _JSON.match(text):
        raise UnreadableFileError(f"{name} must be CSV text, however it is JSON: convert it to CSV or Parquet")
    lines = sum(1 for line in text.splitlines() if line.strip("\x1a \t"))
    if lines == 0:
        raise UnreadableFileError(f"{name} must hold a table, however it holds blank lines only")
    if lines == 1 and len(head) < SAMPLE_BYTES:
        raise UnreadableFileError(f"{name} must hold a header and rows, however it is only a header (one line)")


def _advice(what: str) -> str:
    if what == "Parquet":
        return "set source.format: parquet"
    return "unpack it first" if "compressed" in what or "archive" in what else "export it as CSV or Parquet"


def _check_bytes(head: bytes, name: str) -> None:
    if b"\x00" in head:
        raise UnreadableFileError(f"{name} must be CSV text, however it holds NUL bytes: it is a binary file")
    controls = len(head) - len(head.translate(None, _CONTROLS))
    if controls > _MAX_CONTROL_FRACTION * len(head):
        raise UnreadableFileError(
            f"{name} must be CSV text, however {controls / len(head):.1%} of it are control characters: "
            "it is a binary file"
        )


def sniff_wide_encoding(head: bytes) -> str | None:
    """utf-16 by its byte order mark, or by the NULs beside ASCII letters; None for everything else."""
    for mark, encoding in BYTE_ORDER_MARKS:
        if head.startswith(mark):
            return encoding if encoding == "utf-16" else None
    sample = head[:4096]
    if len(sample) < 4:
        return None
    even, odd = sample[0::2].count(0) / len(sample[0::2]), sample[1::2].count(0) / len(sample[1::2])
    if odd > 0.6 and even < 0.05:
        return "utf-16-le"
    return "utf-16-be" if even > 0.6 and odd < 0.05 else None
