"""The draft of a new dataset's configuration: read a file nobody described, write YAML a person can correct."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pandas as pd

from tabveil.config import CsvConfig, DatasetConfig, FileFormat, PreprocessConfig
from tabveil.errors import UnreadableFileError
from tabveil.ingest.dialect import inspect_dialect
from tabveil.ingest.draft_yaml import DraftParts, to_yaml
from tabveil.ingest.guess import ColumnGuess, guess_column
from tabveil.ingest.inspect import check_readable
from tabveil.ingest.names import unique_names
from tabveil.ingest.reader import RawTable, load_raw
from tabveil.ingest.roles import Declaration, Found, declare, entity_key
from tabveil.ingest.text import trim
from tabveil.ingest.typed_sample import typed_sample
from tabveil.schema import ColumnSpec

_VALUE_LIKE = re.compile(r"@|^\s*[-+]?[0-9][0-9.,/ :-]*\s*$")
_MAX_MALFORMED_FRACTION = 0.2
_DEFAULT_REJECTED = PreprocessConfig().max_rejected_fraction
_DEFAULT_NULLS = tuple(DatasetConfig(name="draft", columns={"column": ColumnSpec()}).null_tokens)


Scan = Callable[[pd.DataFrame, Mapping[str, str]], Mapping[str, Found]]


@dataclass(frozen=True)
class Draft:
    """A drafted configuration and what it assumes, one sentence each."""

    yaml: str
    assumptions: list[str]


def draft_dataset(path: Path, name: str, scan: Scan | None = None) -> Draft:
    """Draft `conf/dataset/<name>.yaml` for a CSV or Parquet file.

    Args:
        path: the file; Parquet by its suffix, everything else is read as CSV.
        name: snake_case name of the dataset.
        scan: called with a typed sample (pandas, snake_case names) and the original header of each column, in file
            order; returns what is personal, by column name.

    Raises:
        UnreadableFileError: not a table, or a fifth of its lines cannot be read.
    """
    format = FileFormat.parquet if path.suffix.lower() in (".parquet", ".pq") else FileFormat.csv
    check_readable(path, format)
    assumptions: list[str] = []
    csv = CsvConfig()
    if format is FileFormat.csv:
        dialect = inspect_dialect(path)
        csv, assumptions = dialect.csv, [_dialect_sentence(dialect.csv), *dialect.notes]
    connection = duckdb.connect()
    try:
        raw = load_raw(connection, path, format, csv)
        _check_malformed(path, raw, csv)
        names, collisions = unique_names(raw.headers)
        guesses = [_guess(connection, raw, position, column, csv) for position, column in enumerate(names)]
        found = {} if scan is None else _scan(connection, raw, guesses, csv, scan)
    finally:
        connection.close()
    assumptions += [f"{len(headers)} columns want the name {wanted}" for wanted, headers in collisions.items()]
    return _compose(name, format, csv, raw=raw, guesses=guesses, found=found, assumptions=assumptions)


def _compose(
    name: str,
    format: FileFormat,
    csv: CsvConfig,
    *,
    raw: RawTable,
    guesses: list[ColumnGuess],
    found: Mapping[str, Found],
    assumptions: list[str],
) -> Draft:
    key = entity_key(guesses, found)
    declarations = [declare(guess, found.get(guess.name), entity=guess.name == key) for guess in guesses]
    num_unfit = sum(guess.num_unfit for guess in guesses) + raw.num_malformed
    limit = (
        None if num_unfit <= _DEFAULT_REJECTED * raw.num_rows else min(0.5, round(num_unfit / raw.num_rows, 2) + 0.01)
    )
    extra = {token for guess in guesses for token in guess.null_tokens}
    parts = DraftParts(
        name=name,
        format=format,
        csv=csv,
        num_rows=raw.num_rows,
        null_tokens=(*_DEFAULT_NULLS, *sorted(extra)),
        entity_key=key,
        max_rejected_fraction=limit,
        target_hint=_target_hint(guesses),
        headers={guess.name: guess.header for guess in guesses},
        declarations=tuple(declarations),
    )
    assumptions += _sentences(raw, guesses, declarations, extra, limit)
    return Draft(to_yaml(parts), assumptions)


def _dialect_sentence(csv: CsvConfig) -> str:
    grouped = f", thousands separator {csv.thousands!r}" if csv.thousands else ""
    marks = f"delimiter {csv.delimiter!r}, quote {csv.quote!r}, decimal mark {csv.decimal!r}{grouped}"
    return f"{marks}, encoding {csv.encoding}"


def _check_malformed(path: Path, raw: RawTable, csv: CsvConfig) -> None:
    if raw.num_malformed > _MAX_MALFORMED_FRACTION * raw.num_rows:
        raise UnreadableFileError(
            f"{path.name} must have {len(raw.headers)} fields in every line as in its header (delimiter "
            f"{csv.delimiter!r}), however {raw.num_malformed} of {raw.num_rows} lines differ ({_malformed(raw)}): "
            "remove title lines, close quotation marks"
        )


def _malformed(raw: RawTable) -> str:
    return "; ".join(raw.malformed) + ("; ..." if raw.num_malformed > len(raw.malformed) else "")


def _guess(
    connection: duckdb.DuckDBPyConnection, raw: RawTable, position: int, name: str, csv: CsvConfig
) -> ColumnGuess:
    column = raw.columns[position]
    query = f'SELECT {column}, count(*) FROM "{raw.table}" WHERE {column} IS NOT NULL GROUP BY 1 ORDER BY min(_row)'  # noqa: S608
    values: Counter[str] = Counter()
    for text, count in connection.execute(query).fetchall():
        values[trim(text)] += count
    return guess_column(name, raw.headers[position], values, frozenset(_DEFAULT_NULLS), csv)


def _scan(
    connection: duckdb.DuckDBPyConnection, raw: RawTable, guesses: list[ColumnGuess], csv: CsvConfig, scan: Scan
) -> Mapping[str, Found]:
    table = typed_sample(connection, raw, guesses, csv, _DEFAULT_NULLS)
    return scan(table, {guess.name: guess.header for guess in guesses})


def _target_hint(guesses: list[ColumnGuess]) -> str:
    words = ("target", "label", "class", "outcome", "default", "churn", "fraud", "status", "income", "y")
    for word in words:
        for guess in guesses:
            if word in guess.name.split("_"):
                return guess.name
    return guesses[-1].name


def _sentences(
    raw: RawTable,
    guesses: list[ColumnGuess],
    declarations: list[Declaration],
    extra_nulls: set[str],
    limit: float | None,
) -> list[str]:
    types = Counter(guess.type.value for guess in guesses)
    counted = ", ".join(f"{count} {kind}" for kind, count in sorted(types.items()))
    sentences = [f"{raw.num_rows} rows, {len(guesses)} columns: {counted}"]
    odd = sum(bool(_VALUE_LIKE.search(header)) for header in raw.headers)
    if odd:
        sentences.append(f"{odd} headers look like values: is the first line really a header?")
    if extra_nulls:
        sentences.append(f"read as missing: {', '.join(sorted(extra_nulls))}")
    if raw.num_malformed:
        noun = "line" if raw.num_malformed == 1 else "lines"
        sentences.append(f"{raw.num_malformed} malformed {noun} will go to quarantine: {_malformed(raw)}")
    for guess, declaration in zip(guesses, declarations, strict=True):
        notes = [f"{note}" for note in guess.notes]
        if guess.num_unfit:
            notes.append(
                f"{guess.num_unfit} of {guess.num_values} values are not {guess.type.value} and reject their row"
            )
        if declaration.comment:
            notes.append(declaration.comment + _policy_words(declaration))
        sentences += [f"{guess.name}: {note}" for note in notes]
    if limit is not None:
        sentences.append(f"max_rejected_fraction is set to {limit:g}: more rows than usual do not fit")
    return sentences


def _policy_words(declaration: Declaration) -> str:
    """What follows from the comment: `` -> regenerate``; nothing where no policy or sdtype is declared."""
    policy, sdtype = (declaration.settings.get(key) for key in ("policy", "sdtype"))
    words = list(policy.values()) if isinstance(policy, dict) else [sdtype] if sdtype is not None else []
    return f" -> {' '.join(map(str, words))}" if words else ""
