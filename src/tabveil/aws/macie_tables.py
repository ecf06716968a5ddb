"""Clean tables as Macie reads them: CSV copies with descriptive headers and an end marker, below a prefix of their own.

CSV, because it is billed by its exact size (Parquet is billed uncompressed) and locates findings by column. A column
that may hold personal data by policy goes into a file of its own: Macie locates at most 15 occurrences of a type in a
file, and what it does not locate could otherwise be in any column.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from tabveil.aws.macie_findings import MARKER_TEXT
from tabveil.aws.polling import tidying
from tabveil.pii.identifiers import TYPES
from tabveil.schema import Action, Column, Metadata
from tabveil.storage import S3Store

MARKER_HEADER = "tabveil_end_of_table"


@dataclass(frozen=True)
class Copy:
    """One CSV file of one table.

    Args:
        columns: column name in the file -> name in the table.
    """

    table: str
    path: Path
    columns: dict[str, str]


def write_copies(
    tables: Mapping[str, pd.DataFrame], metadata: Metadata, headers: Mapping[str, str], folder: Path
) -> list[Copy]:
    """Write each table to `folder`: ``train.csv``, and ``train.<column>.csv`` where a policy keeps personal data.

    UTF-8, comma, one header line, rows in order; a last line holds the end marker and nothing else.

    Args:
        headers: descriptive column names by table name.
    """
    apart = [column.name for column in metadata.columns if _may_hold_personal_data(column)]
    copies = []
    for name, table in tables.items():
        together = [column for column in table.columns if column not in apart]
        if together:
            copies.append(_write(table[together], name, headers, folder / f"{name}.csv"))
        alone = [column for column in table.columns if column in apart]
        copies += [_write(table[[column]], name, headers, folder / f"{name}.{column}.csv") for column in alone]
    return copies


def _may_hold_personal_data(column: Column) -> bool:
    kept = column.action is Action.keep and bool(column.reason) and column.semantic_type in TYPES
    return kept or column.action is Action.pseudonymise


def _write(table: pd.DataFrame, name: str, headers: Mapping[str, str], path: Path) -> Copy:
    wanted = [headers.get(column, column) for column in table.columns]
    unclear = {header for header in wanted if wanted.count(header) > 1 or header == MARKER_HEADER}
    columns = {
        column if header in unclear else header: column for header, column in zip(wanted, table.columns, strict=True)
    }
    copy = table.set_axis([*columns], axis="columns").assign(**{MARKER_HEADER: None})
    copy.to_csv(path, index=False, encoding="utf-8", lineterminator="\n")
    with path.open("a", encoding="utf-8") as file:
        file.write("," * len(columns) + MARKER_TEXT + "\n")
    return Copy(name, path, columns)


@contextmanager
def uploaded(store: S3Store, bucket: str, prefix: str, copies: Iterable[Copy]) -> Iterator[dict[str, str | None]]:
    """The copies in the bucket for the length of the block; every version of them is deleted at its end.

    Yields:
        Key -> version id (None: the bucket keeps no versions).

    Raises:
        StorageError: an upload failed, or a copy could not be deleted. Where the block failed too, that is what is
            raised, with a note.
    """
    with tidying(store, bucket, prefix):
        yield {prefix + c.path.name: store.put_version(bucket, prefix + c.path.name, c.path).version_id for c in copies}
