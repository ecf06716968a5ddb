"""The DuckDB that preprocessing runs on: in memory, spilling to a private folder, gone with the run."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import duckdb


@contextmanager
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    """An in-memory database; what does not fit in memory goes to a folder (mode 0700) deleted at the end."""
    with tempfile.TemporaryDirectory(prefix="tabveil-") as folder:
        connection = duckdb.connect(config={"temp_directory": folder})
        try:
            yield connection
        finally:
            connection.close()


def fetch_row(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    """The first row of a query, read to its end; empty if there is none."""
    rows = connection.execute(query).fetchall()
    return tuple(rows[0]) if rows else ()
