"""The group `dataset`: where a table is, what its columns are, what is personal, what must hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from importlib.util import find_spec
from pathlib import Path
from typing import Optional

from tabveil.config.checks import check_range
from tabveil.errors import ConfigError
from tabveil.explain import did_you_mean
from tabveil.schema import NAME_PATTERN, Action, ColumnSpec, ColumnType, ConstraintSpec, SDType


class FileFormat(str, Enum):
    """Format of a raw file."""

    csv = "csv"
    parquet = "parquet"


TRUE_TOKENS = "true yes y 1 t ja wahr oui vrai sí si có"
FALSE_TOKENS = "false no n 0 f nein falsch non faux không"


@dataclass
class SourceConfig:
    """The raw object in the landing bucket."""

    key: str = "???"
    format: FileFormat = FileFormat.csv
    version_id: Optional[str] = None  # None: the newest
    sha256: Optional[str] = None  # checked when given
    seed_file: Optional[str] = None  # local file that fills the embedded landing bucket; relative to the project

    def __post_init__(self) -> None:
        if self.key.startswith("/") or ".." in self.key.split("/"):
            raise ConfigError(f"source.key must be a plain object key, however: source.key={self.key}")


@dataclass
class CsvConfig:
    """Dialect of a CSV file."""

    delimiter: str = ","
    quote: str = '"'
    encoding: str = "utf-8"  # a byte order mark is recognised by itself
    decimal: str = "."
    thousands: Optional[str] = None

    def __post_init__(self) -> None:
        for name in ("delimiter", "quote", "decimal"):
            if len(getattr(self, name)) != 1:
                raise ConfigError(f"csv.{name} must be one character, however: csv.{name}={getattr(self, name)!r}")
        if self.thousands is not None and (len(self.thousands) != 1 or self.thousands == self.decimal):
            raise ConfigError(
                f"csv.thousands must be one character other than the decimal mark, however: {self.thousands!r}"
            )


_MODELLING = (Action.keep, Action.generalise, Action.redact)


@dataclass
class DatasetConfig:
    """One dataset: where it is, what its columns are, what is personal, what must hold."""

    name: str = "???"
    source: SourceConfig = field(default_factory=SourceConfig)
    csv: CsvConfig = field(default_factory=CsvConfig)
    null_tokens: list[str] = field(default_factory=lambda: ["", "NA", "N/A", "null", "NULL", "None", "nan", "NaN", "-"])
    true_tokens: list[str] = field(default_factory=lambda: TRUE_TOKENS.split())  # compared in lower case
    false_tokens: list[str] = field(default_factory=lambda: FALSE_TOKENS.split())
    columns: dict[str, ColumnSpec] = field(default_factory=dict)
    target: Optional[str] = None  # column a user would predict; evaluated first
    entity_key: Optional[str] = None  # one person's rows never straddle train and holdout
    deduplicate: bool = True  # drop exact repetitions of a row
    locales: list[str] = field(default_factory=lambda: ["en_US"])  # Faker locales of regenerated columns
    constraints: list[ConstraintSpec] = field(default_factory=list)
    max_rejected_fraction: Optional[float] = None  # None: as in the preprocess group

    def __post_init__(self) -> None:
        if self.max_rejected_fraction is not None:
            check_range("dataset.max_rejected_fraction", self.max_rejected_fraction, 0, 1)
        if not NAME_PATTERN.fullmatch(self.name):
            raise ConfigError(f"dataset.name must be snake_case, however: dataset.name={self.name!r}")
        if not self.columns:
            raise ConfigError("dataset.columns must declare at least one column, however: none")
        for column in self.columns:
            if not NAME_PATTERN.fullmatch(column):
                raise ConfigError(f"dataset.columns: names must be snake_case, however: {column!r}")
        _check_locales(self.locales)
        for role in ("target", "entity_key"):
            self._check_known(f"dataset.{role}", getattr(self, role))
        for constraint in self.constraints:
            for column in constraint.used_columns:
                self._check_known(f"dataset.constraints ({constraint.label})", column)
        self._check_policies()
        self._check_entity_key()

    def _check_known(self, where: str, column: str | None) -> None:
        if column is not None and column not in self.columns:
            raise ConfigError(f"{where} names an undeclared column: {column}{did_you_mean(column, self.columns)}")

    def _check_entity_key(self) -> None:
        """A modelled entity key would publish who is who; where a semantic type decides, `verify` asks again."""
        spec = None if self.entity_key is None else self.columns[self.entity_key]
        if spec is None or spec.resolved_sdtype in (SDType.id, SDType.text):
            return
        modelled = spec.policy.action in _MODELLING if spec.policy is not None else spec.semantic_type is None
        if modelled:
            raise ConfigError(
                f"dataset.entity_key must not be modelled, however dataset.columns.{self.entity_key} is: give it "
                "`sdtype: id` and `policy: {action: pseudonymise}`, or drop or regenerate it"
            )

    def _check_policies(self) -> None:
        for name, spec in self.columns.items():
            policy = spec.policy
            if policy is None:
                continue
            if spec.semantic_type is not None and policy.action is Action.keep and not policy.reason:
                raise ConfigError(f"dataset.columns.{name}: keeping a {spec.semantic_type} column needs a reason")
            if policy.action is Action.pseudonymise and spec.resolved_sdtype is not SDType.id:
                raise ConfigError(f"dataset.columns.{name}: pseudonymise is for columns with sdtype: id")
            if policy.action is Action.generalise and spec.resolved_sdtype is SDType.id:
                raise ConfigError(f"dataset.columns.{name}: generalise is for columns that are modelled, not ids")
            if policy.action is Action.redact and spec.type is not ColumnType.string:
                raise ConfigError(f"dataset.columns.{name}: redact is for string columns")


def _check_locales(locales: list[str]) -> None:
    """Faker's locales are folders below its providers; looking is 100 times faster than importing Faker."""
    spec = find_spec("faker")
    if spec is None or spec.origin is None:
        raise ConfigError("dataset.locales are Faker's, however the package faker is not installed")
    providers = Path(spec.origin).parent / "providers"
    for locale in locales:
        plain = locale.replace("_", "").isalpha()
        if not plain or not any((folder / locale / "__init__.py").is_file() for folder in providers.iterdir()):
            known = {path.parent.name for path in providers.glob("*/*/__init__.py")}
            raise ConfigError(f"dataset.locales: Faker does not know the locale {locale}{did_you_mean(locale, known)}")
