"""A file's cells as text in DuckDB, every record accounted for.

CSV is cut into records by Python's own `csv` parser in strict mode, streaming, in any encoding: unlike faster
readers it says exactly which record is broken, so that none is lost. A record with broken quoting is cut at its
first line and parsing resumes at the next; a record with the wrong number of fields is set aside whole.
"""

from __future__ import annotations

import csv as csv_module
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tabveil.config import CsvConfig, FileFormat
from tabveil.errors import UnreadableFileError
from tabveil.ingest.inspect import BYTE_ORDER_MARKS

CHUNK_ROWS = 8192
_SHOWN_MALFORMED = 3
_BLANK_LINE = " \t\r\n\x1a"  # old DOS programs end a text with 0x1A


@dataclass(frozen=True)
class RawTable:
    """What `load_raw` made.

    Args:
        table: DuckDB table with `_row` (BIGINT, 1-based number of the record in the file) and text columns.
        malformed_table: DuckDB table with `_row` and `_line`, the text of each record that is no row.
        headers: header texts in file order, without the byte order mark; may repeat and be blank.
        columns: names of the text columns, ``c1 .. c<n>``, in the same order.
        num_rows: records read, malformed ones included.
        num_malformed: records in `malformed_table`.
        malformed: the first of them, as ``line 7: broken quoting``: never their text.
    """

    table: str
    malformed_table: str
    headers: tuple[str, ...]
    columns: tuple[str, ...]
    num_rows: int
    num_malformed: int
    malformed: tuple[str, ...] = ()


class Record(NamedTuple):
    """One record of a CSV text.

    Args:
        fields: None where quoting is broken.
        text: as in the file; where quoting is broken, only the first line.
        line: 1-based number of its first line.
    """

    fields: list[str] | None
    text: str
    line: int


def load_raw(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    format: FileFormat,
    csv: CsvConfig,
    *,
    table: str = "raw",
    name: str | None = None,
) -> RawTable:
    """Load every cell as VARCHAR.

    Creates the tables `table` and ``<table>_malformed``. An empty field is the empty string; a Parquet null is NULL.

    Args:
        name: what messages call the file; by default its own name.

    Raises:
        UnreadableFileError: not in the declared encoding or format, no header, no record, or a Parquet column
            that is nested or binary.
    """
    shown = name or path.name
    if format is FileFormat.parquet:
        return _load_parquet(connection, path, table, shown)
    return _load_csv(connection, path, csv, table, shown)


def open_text(path: Path, encoding: str) -> IO[str]:
    """The file as text with its newlines as they are; a byte order mark is swallowed."""
    with path.open("rb") as file:
        head = file.read(4)
    marked = next((name for mark, name in BYTE_ORDER_MARKS if head.startswith(mark)), encoding)
    try:
        return path.open(
            encoding="utf-8-sig" if marked.replace("_", "-").lower() in ("utf-8", "utf8") else marked, newline=""
        )
    except LookupError as err:
        raise UnreadableFileError(f"csv.encoding must be an encoding Python knows, however: {encoding!r}") from err


class _Lines:
    """Physical lines of a text, which remembers those of the current record and can take them back."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._waiting: deque[str] = deque()
        self.record: list[str] = []
        self.number = 0  # of lines that were read and not taken back

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._waiting.popleft() if self._waiting else next(self._file)
        self.record.append(line)
        self.number += 1
        return line

    def cut(self) -> str:
        """The first line of the record; the others will be read again."""
        first, *rest = self.record
        self._waiting.extendleft(reversed(rest))
        self.number -= len(rest)
        return first


def read_records(file: IO[str], csv: CsvConfig) -> Iterator[Record]:
    """Records of a CSV text; blank lines are none."""
    lines = _Lines(file)
    reader = csv_module.reader(lines, delimiter=csv.delimiter, quotechar=csv.quote, strict=True)
    while True:
        lines.record, start = [], lines.number + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv_module.Error:
            yield Record(None, lines.cut(), start)
            continue
        text = lines.record[0] if len(lines.record) == 1 else "".join(lines.record)
        if len(fields) <= 1 and not text.strip(_BLANK_LINE):
            continue
        if "\x00" in text:
            yield Record(None, text.replace("\x00", "\ufffd"), start)
        else:
            yield Record(fields, text, start)


def _header(records: Iterator[Record], name: str) -> tuple[str, ...]:
    fields = next(records, Record(None, "", 1)).fields
    if not fields:
        raise UnreadableFileError(f"{name} must begin with a header line, however its first line is broken or missing")
    return tuple(fields)


def _wrong_encoding(name: str, csv: CsvConfig) -> UnreadableFileError:
    return UnreadableFileError(
        f"{name} must be text in csv.encoding, however it is not {csv.encoding}: declare its encoding, e.g. cp1252"
    )


def _load_csv(connection: duckdb.DuckDBPyConnection, path: Path, csv: CsvConfig, table: str, name: str) -> RawTable:
    try:
        with open_text(path, csv.encoding) as file:
            records = read_records(file, csv)
            headers = _header(records, name)
            columns = _create(connection, table, len(headers))
            num_rows, num_malformed, malformed = _insert_records(connection, records, table, columns)
    except UnicodeError as err:
        raise _wrong_encoding(name, csv) from err
    if num_rows == 0:
        raise UnreadableFileError(f"{name} must hold rows, however there is only a header")
    return RawTable(table, f"{table}_malformed", headers, columns, num_rows, num_malformed, malformed)


def _create(connection: duckdb.DuckDBPyConnection, table: str, num_columns: int) -> tuple[str, ...]:
    columns = tuple(f"c{position}" for position in range(1, num_columns + 1))
    declared = ", ".join(f'"{name}" VARCHAR' for name in columns)
    connection.execute(f'CREATE OR REPLACE TABLE "{table}" (_row BIGINT, {declared})')
    connection.execute(f'CREATE OR REPLACE TABLE "{table}_malformed" (_row BIGINT, _line VARCHAR)')
    return columns


def _insert_records(
    connection: duckdb.DuckDBPyConnection, records: Iterator[Record], table: str, columns: tuple[str, ...]
) -> tuple[int, int, tuple[str, ...]]:
    """Fill both tables; returns (records read, malformed among them, what is wrong with the first of these)."""
    width, number, num_malformed = len(columns), 0, 0
    rows: list[list[str]] = []
    numbers: list[int] = []
    malformed: list[tuple[int, str]] = []
    shown: list[str] = []
    for number, record in enumerate(records, start=1):
        if record.fields is not None and len(record.fields) == width:
            rows.append(record.fields)
            numbers.append(number)
        else:
            malformed.append((number, record.text.rstrip("\r\n")))
            num_malformed += 1
            if len(shown) < _SHOWN_MALFORMED:
                shown.append(_complaint(record, width))
        if len(rows) + len(malformed) == CHUNK_ROWS:
            _flush(connection, table, numbers, rows, malformed)
    _flush(connection, table, numbers, rows, malformed)
    return number, num_malformed, tuple(shown)


def _complaint(record: Record, width: int) -> str:
    if record.fields is not None:
        found = len(record.fields)
        return f"line {record.line}: {found} {'field' if found == 1 else 'fields'} instead of {width}"
    what = "a NUL byte" if "\ufffd" in record.text else "a quotation mark without its partner"
    return f"line {record.line}: {what}"


def _flush(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    numbers: list[int],
    rows: list[list[str]],
    malformed: list[tuple[int, str]],
) -> None:
    """Insert the pending rows and empty the lists."""
    if rows:
        cells = [pa.array(column, pa.string()) for column in zip(*rows, strict=True)]
        _insert(connection, table, [pa.array(numbers, pa.int64()), *cells])
    if malformed:
        broken = zip(*malformed, strict=True)
        _insert(
            connection, f"{table}_malformed", [pa.array(next(broken), pa.int64()), pa.array(next(broken), pa.string())]
        )
    for pending in (numbers, rows, malformed):
        pending.clear()


def _insert(connection: duckdb.DuckDBPyConnection, table: str, arrays: list[pa.Array]) -> None:
    names = [f"a{position}" for position in range(len(arrays))]
    connection.register("_chunk", pa.table(arrays, names=names))
    cast = ", ".join(f"CAST({name} AS VARCHAR)" for name in names[1:])
    connection.execute(f'INSERT INTO "{table}" SELECT a0, {cast} FROM _chunk')  # noqa: S608 - names are ours
    connection.unregister("_chunk")


def _load_parquet(connection: duckdb.DuckDBPyConnection, path: Path, table: str, name: str) -> RawTable:
    try:
        file = pq.ParquetFile(path)
        schema = file.schema_arrow
        _check_flat(name, schema)
        columns = _create(connection, table, len(schema.names))
        num_rows = 0
        for batch in file.iter_batches(batch_size=CHUNK_ROWS * 4):
            numbers = pa.array(np.arange(num_rows + 1, num_rows + batch.num_rows + 1, dtype=np.int64))
            _insert(connection, table, [numbers, *(_plain(column) for column in batch.columns)])
            num_rows += batch.num_rows
    except (OSError, pa.ArrowInvalid) as err:
        raise UnreadableFileError(f"{name} must be Parquet, however it cannot be read: fetch it again") from err
    if num_rows == 0:
        raise UnreadableFileError(f"{name} must hold rows, however there are none")
    return RawTable(table, f"{table}_malformed", tuple(schema.names), columns, num_rows, 0)


def _check_flat(name: str, schema: pa.Schema) -> None:
    kinds = {item.name: item.type.value_type if pa.types.is_dictionary(item.type) else item.type for item in schema}
    odd = [name for name, kind in kinds.items() if pa.types.is_nested(kind) or _is_binary(kind)]
    if odd:
        raise UnreadableFileError(
            f"{name} must hold flat columns, however these are nested or binary: {', '.join(sorted(odd))}: "
            "flatten or drop them first"
        )


def _is_binary(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind))


def _plain(column: pa.Array) -> pa.Array:
    """The column in a type whose text in DuckDB is lossless and ISO-like; a NaN is a null."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _plain(column.dictionary_decode())
    if pa.types.is_floating(kind):
        return pc.if_else(pc.is_nan(column), None, column)
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        return column.cast(pa.timestamp(kind.unit, "UTC")).cast(pa.timestamp(kind.unit))
    return column
