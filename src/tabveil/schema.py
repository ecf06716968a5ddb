"""The vocabulary of a table: column types, PII policy, constraints, and the metadata a synthesizer sees.

Two halves. The *specs* (`ColumnSpec`, `PolicySpec`, `ConstraintSpec`) are what a person declares in
`conf/dataset/<name>.yaml`; they are plain dataclasses so that OmegaConf can type-check them. `Metadata` and
`Column` are what the `verify` stage derives from them for everyone downstream: the columns in the original
order, each with what is done to it. `Metadata` reads and writes an SDV-style JSON.

Every other module may import this one; it imports only `tabveil.errors` and `tabveil.constraints`, whose names it
passes on.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Optional

import pandas as pd

from tabveil.constraints import ConstraintKind as ConstraintKind
from tabveil.constraints import ConstraintSpec as ConstraintSpec
from tabveil.errors import ConfigError, SchemaError

METADATA_VERSION = 3  # 3: columns have `minimum`, `maximum`; 2: constraints have `middle`, `dependent`; all are read
NAME_PATTERN = re.compile(r"[a-z][a-z0-9_]*")
ENTITY_COLUMN = "_entity"  # of a clean table: whose row it is, as a number; no declared column can have this name


class ColumnType(str, Enum):
    """How values are stored after preprocessing."""

    string = "string"
    integer = "integer"
    decimal = "decimal"
    boolean = "boolean"
    date = "date"
    datetime = "datetime"


NUMERIC_TYPES = (ColumnType.integer, ColumnType.decimal)
TEMPORAL_TYPES = (ColumnType.date, ColumnType.datetime)


class SDType(str, Enum):
    """What a column *is* to a synthesizer (SDV's term)."""

    numerical = "numerical"
    categorical = "categorical"
    boolean = "boolean"
    datetime = "datetime"
    id = "id"
    text = "text"


class NullPolicy(str, Enum):
    """What preprocessing does with a missing value."""

    keep = "keep"  # stays missing, and is modelled as an outcome of its own
    drop = "drop"  # the row goes to quarantine
    impute = "impute"  # fitted median (numerical, datetime) or mode (others)


class Action(str, Enum):
    """What the `verify` stage does with a column before a model may see it."""

    keep = "keep"  # modelled as it is; for a PII column a reason is required
    drop = "drop"  # absent from everything that follows
    pseudonymise = "pseudonymise"  # keyed HMAC for joins and splits; replaced by fresh ids in the synthetic table
    generalise = "generalise"  # coarser, then modelled
    redact = "redact"  # PII inside free text replaced by its type's name
    regenerate = "regenerate"  # never modelled; invented anew in the synthetic table


class Generalisation(str, Enum):
    """How `Action.generalise` makes a value coarser."""

    year = "year"  # date -> its year (integer)
    month = "month"  # date -> first day of its month
    prefix = "prefix"  # text -> its first `length` characters
    band = "band"  # number -> lower edge of its band of `width`
    frequent = "frequent"  # levels of fewer than `min_count` entities (rows, without an entity key) -> "other"


DEFAULT_SDTYPE: dict[ColumnType, SDType] = {
    ColumnType.string: SDType.categorical,
    ColumnType.integer: SDType.numerical,
    ColumnType.decimal: SDType.numerical,
    ColumnType.boolean: SDType.boolean,
    ColumnType.date: SDType.datetime,
    ColumnType.datetime: SDType.datetime,
}


# sdtypes that not every type can have; categorical fits all
ALLOWED_TYPES: dict[SDType, tuple[ColumnType, ...]] = {
    SDType.numerical: (ColumnType.integer, ColumnType.decimal),
    SDType.boolean: (ColumnType.boolean,),
    SDType.datetime: (ColumnType.date, ColumnType.datetime),
    SDType.text: (ColumnType.string,),
    SDType.id: (ColumnType.string, ColumnType.integer),
}


@dataclass
class PolicySpec:
    """What to do with one column that is, or may be, personal.

    `keep` needs a `reason`, which the report shows. `generalise` needs a `method` and that method's parameter.
    """

    action: Action = Action.keep
    reason: Optional[str] = None
    method: Optional[Generalisation] = None
    length: Optional[int] = None
    width: Optional[float] = None
    min_count: Optional[int] = None

    def __post_init__(self) -> None:
        if self.action is Action.generalise and self.method is None:
            raise ConfigError(f"policy 'generalise' needs a method: one of {[m.value for m in Generalisation]}")
        needed = {Generalisation.prefix: "length", Generalisation.band: "width", Generalisation.frequent: "min_count"}
        parameter = needed.get(self.method) if self.method else None
        if parameter is not None:
            value = getattr(self, parameter)
            if value is None or value <= 0:
                raise ConfigError(
                    f"generalisation '{self.method.value}' needs a positive {parameter}, "  # type: ignore[union-attr]
                    f"however: {parameter}={value}"
                )


@dataclass
class ColumnSpec:
    """One declared column. The mapping key in `DatasetConfig.columns` is its snake_case name."""

    type: ColumnType = ColumnType.string
    sdtype: Optional[SDType] = None  # None: derived from `type`
    nulls: NullPolicy = NullPolicy.keep
    formats: list[str] = field(default_factory=list)  # strptime patterns, tried in order (date and datetime)
    minimum: Optional[float] = None  # a value outside [minimum, maximum] rejects its row
    maximum: Optional[float] = None
    clip: bool = False  # clip to the fitted `preprocess.clip_quantiles`
    semantic_type: Optional[str] = None  # a PII type of `tabveil.pii.identifiers`, e.g. EMAIL_ADDRESS
    policy: Optional[PolicySpec] = None
    description: str = ""

    def __post_init__(self) -> None:
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ConfigError(f"minimum must not exceed maximum, however: {self.minimum} > {self.maximum}")
        allowed = ALLOWED_TYPES.get(self.sdtype) if self.sdtype is not None else None
        if allowed is not None and self.type not in allowed:
            raise ConfigError(
                f"sdtype {self.sdtype.value} is for types {', '.join(t.value for t in allowed)}, "  # type: ignore[union-attr]
                f"however: type={self.type.value}"
            )
        if self.formats and self.type not in (ColumnType.date, ColumnType.datetime):
            raise ConfigError(f"formats are for date and datetime columns, however: type={self.type.value}")
        if self.clip and self.type not in (ColumnType.integer, ColumnType.decimal):
            raise ConfigError(f"clip is for integer and decimal columns, however: type={self.type.value}")

    @property
    def resolved_sdtype(self) -> SDType:
        """The declared sdtype, or the one that follows from `type`."""
        return self.sdtype if self.sdtype is not None else DEFAULT_SDTYPE[self.type]


@dataclass(frozen=True)
class Column:
    """One column as everyone after `verify` sees it."""

    name: str
    original_name: str
    type: ColumnType
    sdtype: SDType
    action: Action = Action.keep
    semantic_type: str | None = None
    reason: str | None = None  # why a PII column is kept; shown in the report
    null_fraction: float = 0.0  # of the training table; lets a regenerated column be empty as often as the real one
    locales: tuple[str, ...] = ()  # Faker locales a regenerated column draws from
    minimum: float | None = None  # declared bounds of a number that is kept as it is
    maximum: float | None = None

    @property
    def modelled(self) -> bool:
        """Whether a synthesizer learns this column."""
        return (
            self.action in (Action.keep, Action.generalise, Action.redact)
            and self.sdtype is not SDType.id
            and self.sdtype is not SDType.text
        )

    @property
    def generated(self) -> bool:
        """Whether the column is invented after sampling instead of modelled."""
        return self.action is not Action.drop and not self.modelled


@dataclass(frozen=True)
class Metadata:
    """Description of a clean table: columns in original order, target, entity key, constraints."""

    dataset: str
    columns: tuple[Column, ...]
    target: str | None = None
    entity_key: str | None = None
    constraints: tuple[ConstraintSpec, ...] = ()

    def __post_init__(self) -> None:
        names = [column.name for column in self.columns]
        if len(set(names)) != len(names):
            raise SchemaError(
                f"column names must be unique, however: {sorted({n for n in names if names.count(n) > 1})}"
            )

    def __getitem__(self, name: str) -> Column:
        for column in self.columns:
            if column.name == name:
                return column
        raise SchemaError(f"no column '{name}'; there are: {', '.join(c.name for c in self.columns)}")

    @property
    def modelled_columns(self) -> list[str]:
        """Names of the columns a synthesizer is fitted on, in original order."""
        return [column.name for column in self.columns if column.modelled]

    @property
    def generated_columns(self) -> list[str]:
        """Names of the columns invented after sampling, in original order."""
        return [column.name for column in self.columns if column.generated]

    @property
    def output_columns(self) -> list[str]:
        """Names of the columns of the synthetic table, in original order (all but dropped ones)."""
        return [column.name for column in self.columns if column.action is not Action.drop]

    @property
    def modelled_constraints(self) -> tuple[ConstraintSpec, ...]:
        """Constraints whose columns are all modelled: the ones a synthesizer is answerable for."""
        modelled = set(self.modelled_columns)
        return tuple(c for c in self.constraints if modelled.issuperset(c.used_columns))

    def to_dict(self) -> dict[str, Any]:
        """SDV-style dictionary; `x-tabveil` holds what SDV's format has no word for."""
        return {
            "METADATA_SPEC_VERSION": "V1",
            "tables": {"table": {"columns": {c.name: {"sdtype": c.sdtype.value} for c in self.columns}}},
            "x-tabveil": {
                "version": METADATA_VERSION,
                "dataset": self.dataset,
                "target": self.target,
                "entity_key": self.entity_key,
                "columns": [_plain(dataclasses.asdict(c)) for c in self.columns],
                "constraints": [_plain(dataclasses.asdict(c)) for c in self.constraints],
            },
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Metadata:
        """Inverse of `to_dict`.

        Raises:
            SchemaError: not written by `to_dict`, or by a newer version of TabVeil.
        """
        try:
            own = data["x-tabveil"]
            if own["version"] > METADATA_VERSION:
                raise SchemaError(
                    f"metadata version {own['version']} is newer than this TabVeil reads ({METADATA_VERSION}): upgrade"
                )
            return cls(
                dataset=own["dataset"],
                target=own["target"],
                entity_key=own["entity_key"],
                columns=tuple(_column(c) for c in own["columns"]),
                constraints=tuple(
                    ConstraintSpec(**{**c, "kind": ConstraintKind(c["kind"])}) for c in own["constraints"]
                ),
            )
        except (KeyError, TypeError, ValueError) as err:
            if isinstance(err, SchemaError):
                raise
            raise SchemaError(f"expected TabVeil metadata, however: {type(err).__name__}: {err}") from err

    def to_json(self) -> str:
        """`to_dict` as sorted, newline-terminated JSON (stable under hashing)."""
        return json.dumps(self.to_dict(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Metadata:
        """Inverse of `to_json`."""
        try:
            data = json.loads(text)
        except json.JSONDecodeError as err:
            raise SchemaError(f"metadata is not JSON: {err}") from err
        return cls.from_dict(data)


def _plain(record: dict[str, Any]) -> dict[str, Any]:
    return {k: v.value if isinstance(v, Enum) else list(v) if isinstance(v, tuple) else v for k, v in record.items()}


def _column(record: dict[str, Any]) -> Column:
    return Column(
        **{
            **record,
            "type": ColumnType(record["type"]),
            "sdtype": SDType(record["sdtype"]),
            "action": Action(record["action"]),
            "locales": tuple(record["locales"]),
        }
    )


PANDAS_DTYPE: dict[ColumnType, str] = {
    ColumnType.string: "object",
    ColumnType.integer: "Int64",
    ColumnType.decimal: "float64",
    ColumnType.boolean: "boolean",
    ColumnType.date: "datetime64[us]",
    ColumnType.datetime: "datetime64[us]",
}


def constraint_misfit(constraint: ConstraintSpec, types: Mapping[str, ColumnType]) -> str | None:
    """Why a constraint cannot be about columns of these types, as a sentence; None if it can."""
    used = {name: types[name] for name in constraint.used_columns}
    asked = None
    if constraint.kind is ConstraintKind.sum and not set(used.values()) <= set(NUMERIC_TYPES):
        asked = "adds numbers"
    if constraint.kind is ConstraintKind.one_hot and not set(used.values()) <= {ColumnType.boolean, *NUMERIC_TYPES}:
        asked = "counts booleans or 0 and 1"
    if constraint.orders and len({_family(kind) for kind in used.values()}) > 1:
        asked = "compares like with like"
    listed = ", ".join(f"{name} is {kind.value}" for name, kind in used.items())
    return asked and f"constraint '{constraint.label}' {asked}, however: {listed}"


def _family(kind: ColumnType) -> str:
    if kind in NUMERIC_TYPES:
        return "number"
    return "moment" if kind in TEMPORAL_TYPES else kind.value


def canonical(table: pd.DataFrame, metadata: Metadata) -> pd.DataFrame:
    """The table with the one pandas dtype per `ColumnType` that the rest of the code relies on.

    string -> object (missing: None), integer -> Int64, decimal -> float64 (missing: NaN), boolean -> boolean,
    date and datetime -> datetime64[us] (a date is its midnight).

    Args:
        table: any subset of the metadata's columns, and `ENTITY_COLUMN`, which is Int64.

    Returns:
        A new frame with a fresh RangeIndex; column order is kept.

    Raises:
        SchemaError: a column is unknown, or its values do not fit its type.
    """
    columns: dict[str, pd.Series[Any]] = {}
    for name in table.columns:
        series = table[name].reset_index(drop=True)  # a copy
        kind = ColumnType.integer if name == ENTITY_COLUMN else metadata[name].type
        try:
            if kind is ColumnType.string:
                cells = series.astype("object", copy=False)
                all_text = pd.api.types.infer_dtype(cells, skipna=False) == "string"  # quicker than to look for missing
                columns[name] = cells if all_text else cells.mask(cells.isna(), None)
            else:
                columns[name] = series.astype(PANDAS_DTYPE[kind], copy=False)  # type: ignore[call-overload]
        except (TypeError, ValueError, OverflowError) as err:
            raise SchemaError(
                f"column '{name}' must hold {kind.value} values, however its dtype is {series.dtype} and some are none "
                f"({type(err).__name__})"
            ) from None  # the cause's text may be a cell of the table
    return pd.DataFrame(columns, index=pd.RangeIndex(len(table)))
