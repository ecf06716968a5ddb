"""A dataset's configuration as YAML text with comments."""

from __future__ import annotations

import json
from dataclasses import dataclass

from tabveil.config import CsvConfig, FileFormat
from tabveil.ingest.roles import Declaration

_NOT_A_NAME = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}  # YAML reads these keys as values


@dataclass(frozen=True)
class DraftParts:
    """What the YAML says."""

    name: str
    format: FileFormat
    csv: CsvConfig
    num_rows: int
    null_tokens: tuple[str, ...]
    entity_key: str | None
    max_rejected_fraction: float | None
    target_hint: str
    headers: dict[str, str]
    declarations: tuple[Declaration, ...]


def to_yaml(parts: DraftParts) -> str:
    """The text of `conf/dataset/<name>.yaml`; loads as `tabveil.config.DatasetConfig`."""
    suffix = parts.format.value
    lines = [
        f"# Drafted by python -m tabveil.new_dataset from {parts.num_rows} rows. Read it, correct it, keep it in git.",
        "# Every key is explained in docs/datasets.md.",
        f"name: {_key(parts.name)}",
        "",
        "source:",
        f"  key: raw/{parts.name}.{suffix}  # object in the landing bucket",
        f"  format: {suffix}",
        f"  seed_file: data/{parts.name}.{suffix}  # fills the embedded landing bucket",
        "",
        *_csv(parts),
        f"null_tokens: {_flow(list(parts.null_tokens))}  # cells that mean: missing",
        "",
        "# The column you would predict; it is evaluated first. Put its name here, for example",
        f"# target: {parts.target_hint}",
        "target: null",
        "",
        *_entity(parts),
        "deduplicate: true  # exact repetitions of a row are dropped",
        "locales: [en_US]  # Faker locales of invented names and addresses, e.g. de_DE, vi_VN",
        *_limit(parts),
        "",
        "columns:",
    ]
    for declaration in parts.declarations:
        lines += _column(declaration, parts.headers[declaration.name])
    lines += ["", *_CONSTRAINTS]
    return "\n".join(lines) + "\n"


_CONSTRAINTS = (
    "# What holds in every row, and must hold in every synthetic row, for example",
    "# constraints:",
    "#   - {kind: inequality, low: paid_principal, high: loan_amount}",
    "#   - {kind: range, low: opened, middle: last_seen, high: closed}",
    "#   - {kind: sum, total: paid_total, parts: [paid_principal, paid_interest]}",
    "#   - {kind: unique, columns: [branch, contract_number]}",
    "#   - {kind: one_hot, columns: [is_tenant, is_owner, is_other]}",
    "#   - {kind: fixed_combinations, columns: [product, tariff]}",
    "#   - {kind: functional_dependency, columns: [postal_code, street], dependent: city}",
    "constraints: []",
)


def _csv(parts: DraftParts) -> list[str]:
    if parts.format is not FileFormat.csv:
        return []
    csv = parts.csv
    return [
        "csv:",
        f"  delimiter: {_flow(csv.delimiter)}",
        f"  quote: {_flow(csv.quote)}",
        f"  encoding: {csv.encoding}",
        f"  decimal: {_flow(csv.decimal)}",
        f"  thousands: {_flow(csv.thousands)}",
        "",
    ]


def _entity(parts: DraftParts) -> list[str]:
    if parts.entity_key is None:
        return ["entity_key: null  # one row per person; else the column that says whose row it is"]
    return [f"entity_key: {_key(parts.entity_key)}  # one entity's rows never straddle train and holdout"]


def _limit(parts: DraftParts) -> list[str]:
    if parts.max_rejected_fraction is None:
        return []
    return [f"max_rejected_fraction: {parts.max_rejected_fraction:g}  # more rows than usual do not fit: see why"]


def _column(declaration: Declaration, header: str) -> list[str]:
    named = "" if header.strip() == declaration.name else f"{_flow(header)}"
    comment = "; ".join(part for part in (named, declaration.comment) if part)
    tail = f"  # {comment}" if comment else ""
    if not declaration.settings:
        return [f"  {_key(declaration.name)}: {{type: string}}{tail}"]
    if set(declaration.settings) == {"type"}:
        return [f"  {_key(declaration.name)}: {{type: {declaration.settings['type']}}}{tail}"]
    settings = [f"    {key}: {_setting(value)}" for key, value in declaration.settings.items()]
    return [f"  {_key(declaration.name)}:{tail}", *settings]


def _setting(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_setting(item)}" for key, item in value.items()) + "}"
    return value if isinstance(value, str) else _flow(value)


def _key(name: str) -> str:
    return json.dumps(name) if name in _NOT_A_NAME else name


def _flow(value: object) -> str:
    """JSON, which YAML reads; a `$` before a brace would start an interpolation."""
    return json.dumps(value, ensure_ascii=True).replace("${", "\\\\${")
