"""What is to be done: the declared columns matched with the file's headers, in file order.

Fails closed: a declared column that is missing and a column that nobody declared both stop the run, because an
undeclared column has no privacy policy.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from tabveil.config import BadValue, CsvConfig, DatasetConfig, FileFormat, PreprocessConfig
from tabveil.errors import ConfigError, SchemaError
from tabveil.ingest.dates import DatePattern, compile_format
from tabveil.ingest.names import unique_names
from tabveil.ingest.reader import RawTable
from tabveil.schema import NUMERIC_TYPES, TEMPORAL_TYPES, ColumnSpec, ConstraintSpec, NullPolicy, constraint_misfit

_VALUE_SIGNS = re.compile(r"[\d@]")  # an undeclared header with one may be a value of a file without a header line
_DROPPED = "{type: string, policy: {action: drop}}"


@dataclass(frozen=True)
class ColumnPlan:
    """One column: where it is in the raw table, what it is called, what it must hold."""

    name: str
    header: str
    source: str  # column of the raw table
    spec: ColumnSpec
    dates: tuple[DatePattern, ...] = ()

    @property
    def is_numeric(self) -> bool:
        """Whether values are integers or decimals."""
        return self.spec.type in NUMERIC_TYPES

    @property
    def is_temporal(self) -> bool:
        """Whether values are dates or datetimes."""
        return self.spec.type in TEMPORAL_TYPES

    @property
    def is_fitted(self) -> bool:
        """Whether values are clipped or imputed with what is fitted."""
        return self.spec.clip or self.spec.nulls is NullPolicy.impute


@dataclass(frozen=True)
class TableSpec:
    """Everything the SQL depends on, apart from fitted statistics."""

    dataset: str
    columns: tuple[ColumnPlan, ...]
    null_tokens: tuple[str, ...]
    true_tokens: tuple[str, ...]
    false_tokens: tuple[str, ...]
    csv: CsvConfig
    iso_dates: bool  # a Parquet file's dates are ISO text, whatever formats are declared
    reject_bad_values: bool
    deduplicate: bool
    constraints: tuple[ConstraintSpec, ...]
    clip_quantiles: tuple[float, float]

    @property
    def names(self) -> list[str]:
        """Column names in file order."""
        return [column.name for column in self.columns]


def table_spec(raw: RawTable, dataset: DatasetConfig, options: PreprocessConfig) -> TableSpec:
    """Match headers with declared columns.

    Raises:
        SchemaError: declared columns are missing, or undeclared ones are there.
        ConfigError: a date format, a token list or a constraint cannot be used.
    """
    names, _ = unique_names(raw.headers)
    _check_columns(names, raw.headers, dataset)
    parquet = dataset.source.format is FileFormat.parquet
    true_tokens, false_tokens = _boolean_tokens(dataset, parquet)
    columns = tuple(
        ColumnPlan(name, header, source, dataset.columns[name], _dates(name, dataset.columns[name]))
        for name, header, source in zip(names, raw.headers, raw.columns, strict=True)
    )
    _check_constraints(dataset)
    return TableSpec(
        dataset=dataset.name,
        columns=columns,
        null_tokens=tuple(sorted({"", *dataset.null_tokens})),
        true_tokens=true_tokens,
        false_tokens=false_tokens,
        csv=CsvConfig() if parquet else dataset.csv,
        iso_dates=parquet,
        reject_bad_values=options.bad_values is BadValue.reject,
        deduplicate=dataset.deduplicate,
        constraints=tuple(dataset.constraints),
        clip_quantiles=(options.clip_quantiles[0], options.clip_quantiles[1]),
    )


def _check_columns(names: Sequence[str], headers: Sequence[str], dataset: DatasetConfig) -> None:
    missing = [name for name in dataset.columns if name not in names]
    extra = {
        name: (position, _VALUE_SIGNS.search(header) is None)
        for position, (name, header) in enumerate(zip(names, headers, strict=True), start=1)
        if name not in dataset.columns
    }
    if missing:
        shown = [name for name, (_, plain) in extra.items() if plain]
        raise SchemaError(
            f"dataset '{dataset.name}': {len(missing)} declared columns are missing in the file: "
            f"{', '.join(_with_hint(name, shown) for name in missing)}; correct the file or "
            f"dataset.columns (csv.delimiter is {dataset.csv.delimiter!r})"
        )
    if extra:
        lines = [f"{name}: {_DROPPED}" if plain else f"column {at}: {_DROPPED}" for name, (at, plain) in extra.items()]
        hidden = "" if all(plain for _, plain in extra.values()) else " (headers with digits are not shown)"
        raise SchemaError(
            f"dataset '{dataset.name}': {len(extra)} columns of the file are not declared, so nothing says whether "
            f"they are personal; add below dataset.columns: {'; '.join(lines)}{hidden}; a file without a header line "
            "needs one"
        )


def _with_hint(name: str, present: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, present, n=1)
    return f"{name} (did you mean {close[0]}?)" if close else name


def _dates(name: str, spec: ColumnSpec) -> tuple[DatePattern, ...]:
    try:
        return tuple(compile_format(text) for text in spec.formats)
    except ConfigError as err:
        raise ConfigError(f"dataset.columns.{name}.formats: {err}") from err


def _boolean_tokens(dataset: DatasetConfig, parquet: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    true = {token.lower() for token in dataset.true_tokens} | ({"true"} if parquet else set())
    false = {token.lower() for token in dataset.false_tokens} | ({"false"} if parquet else set())
    both = true & false
    if both:
        raise ConfigError(f"a token must be true or false, however dataset.true_tokens and false_tokens share {both}")
    return tuple(sorted(true)), tuple(sorted(false))


def _check_constraints(dataset: DatasetConfig) -> None:
    for constraint in dataset.constraints:
        types = {name: dataset.columns[name].type for name in constraint.used_columns}
        misfit = constraint_misfit(constraint, types)
        if misfit:
            raise ConfigError(misfit)
