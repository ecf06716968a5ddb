"""A dataset TabVeil has never seen, made ready in one command.

``python -m tabveil.new_dataset path.csv`` reads the file, writes `conf/dataset/<name>.yaml` with comments, copies the
file to `data/`, and says what it assumed. After that, ``make run DATASET=<name>`` works.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from tabveil.artifacts import atomic
from tabveil.cli import process_border
from tabveil.config import PIIConfig, project_root
from tabveil.errors import ConfigError
from tabveil.ingest.draft import Draft, draft_dataset
from tabveil.ingest.names import snake_case
from tabveil.ingest.roles import Found
from tabveil.pii import check_headers, id_owner, scan_table, suggest_types
from tabveil.schema import NAME_PATTERN


@dataclass(frozen=True)
class NewDataset:
    """What was made: the configuration, the copy of the file, and the draft behind them."""

    name: str
    config_path: Path
    data_path: Path
    draft: Draft


def add_dataset(path: Path, root: Path, *, name: str | None = None, force: bool = False) -> NewDataset:
    """Draft the configuration of a file and put both in their places.

    Writes `conf/dataset/<name>.yaml` and `data/<name>.<csv|parquet>` below `root`; nothing if an error is raised.

    Args:
        path: CSV (any suffix) or Parquet (.parquet, .pq).
        name: of the dataset; by default the file's name in snake_case.
        force: overwrite an existing configuration and copy.

    Raises:
        ConfigError: the name is not snake_case, or something of this name is there already.
        UnreadableFileError: the file is not a table.
        PolicyViolationError: the first line is a record, whose values would become column names.
        ScanIncompleteError: the search for personal data did not end.
    """
    chosen = _name(path, name)
    suffix = "parquet" if path.suffix.lower() in (".parquet", ".pq") else "csv"
    config_path = root / "conf" / "dataset" / f"{chosen}.yaml"
    data_path = root / "data" / f"{chosen}.{suffix}"
    in_place = data_path.exists() and path.exists() and data_path.samefile(path)
    taken = [target for target in (config_path, *([] if in_place else [data_path])) if target.exists()]
    if taken and not force:
        shown = ", ".join(str(target.relative_to(root)) for target in taken)
        raise ConfigError(f"{shown} must not be overwritten: choose another --name, or say --force")
    draft = draft_dataset(path, chosen, _scan)
    _write(config_path, draft.yaml, path, None if in_place else data_path)
    return NewDataset(chosen, config_path, data_path, draft)


def _write(config_path: Path, yaml: str, source: Path, data_path: Path | None) -> None:
    """The copy first, the configuration last; both are complete beside their places before either is there."""
    fresh = data_path is not None and not data_path.exists()
    with contextlib.ExitStack() as undo:
        with atomic(config_path) as config:
            config.write_text(yaml, encoding="utf-8")
            if data_path is not None:
                with atomic(data_path) as copy:
                    shutil.copyfile(source, copy)
                if fresh:
                    undo.callback(data_path.unlink, missing_ok=True)
        undo.pop_all()


def _name(path: Path, name: str | None) -> str:
    chosen = snake_case(path.stem) if name is None else name
    if not NAME_PATTERN.fullmatch(chosen):
        raise ConfigError(f"a dataset's name must be snake_case, however: {chosen!r}; give one with --name")
    return chosen


def _scan(table: pd.DataFrame, headers: Mapping[str, str]) -> dict[str, Found]:
    check_headers(headers.values())
    result = scan_table(table, timeout_seconds=PIIConfig().timeout_seconds, headers=headers)
    found = {}
    for item in suggest_types(result):
        owner = id_owner(headers[item.column]) if item.type == "UNIQUE_IDENTIFIER" else None
        found[item.column] = Found(item.type, item.in_text, item.quasi, None if owner is None else owner.value)
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tabveil.new_dataset",
        description="Read a CSV or Parquet file, write conf/dataset/<name>.yaml for it and copy it to data/.",
        epilog="The YAML is a draft: read it, above all the policies of personal columns (docs/datasets.md). "
        "Then: make run DATASET=<name>",
    )
    parser.add_argument("path", type=Path, help="the file: CSV in any dialect and encoding, or Parquet")
    parser.add_argument("--name", help="snake_case name of the dataset (default: from the file's name)")
    parser.add_argument("--force", action="store_true", help="overwrite an existing conf/dataset/<name>.yaml and copy")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; every error is one line without any value of the file (`tabveil.cli`)."""
    asked = _parser().parse_args(arguments)
    with process_border():
        made = add_dataset(asked.path, project_root(), name=asked.name, force=asked.force)
        print(f"wrote {made.config_path} and {made.data_path}\n\nassumed:")
        for assumption in made.draft.assumptions:
            print(f"  - {assumption}")
        print(f"\nread the file, correct what is wrong, then:\n  make run DATASET={made.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
