"""Stage `verify`: may a model see it?

Reads: `artifacts/preprocess/table.parquet`, `quarantine.parquet` and `profile.json`, the dataset's PII policy, the
pseudonymisation key.
Writes: `artifacts/verify/train.parquet` and `holdout.parquet` (clean, split by entity), `metadata.json`,
`findings.json` (before and after, in Macie's shape, k-anonymity, bound to the other four files by their digests),
`identity_digests.parquet` (keyed digests of real identities).
Where `environment.scanning` is macie, Macie reads the clean tables too, before anything is written.
Fails when: a scan is incomplete, PII is in a column without a policy, a finding remains that no policy tolerates, or
fewer than `pii.min_k` rows share their quasi-identifiers.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd

from tabveil.artifacts import Artifacts, read_json, read_parquet, write_json, write_parquet, write_text
from tabveil.config import Config, DatasetConfig, PIIConfig, project_root
from tabveil.pii import (
    DeclaredTypes,
    IdentityDigests,
    ScanResult,
    apply_policies,
    check_covered,
    check_headers,
    check_k,
    check_tolerated,
    check_types,
    everyone,
    k_anonymity,
    load_key,
    quasi_columns,
    resolve_policies,
    row_entities,
    scan_table,
    split_by_entity,
    suggest_types,
)
from tabveil.provenance import sha256_of
from tabveil.schema import ENTITY_COLUMN, Action, Column, Metadata
from tabveil.stages.app import stage_app
from tabveil.stages.second_scan import second_scan


def run(config: Config, artifacts: Artifacts) -> None:
    """Scan, apply the policy, scan again, split; nothing is written unless the second scan is clean."""
    dataset, options = config.dataset, config.pii
    declared = DeclaredTypes.of(options)
    check_types(dataset, options.tolerated_types, options.policies, declared)
    table = read_parquet(artifacts.table, "preprocess")[list(dataset.columns)]
    headers = original_names(read_json(artifacts.profile, "preprocess", "columns"))
    table = table[[name for name in headers if name in dataset.columns]]
    check_headers(headers.values())
    key = load_key(options.key_env, project_root() / options.key_file)

    before = scan(table, "table", headers, options, declared)
    policies = resolve_policies(dataset, before, options.tolerated_types, options.policies, declared)
    clean, columns = apply_policies(table, dataset, policies, headers, key, declared=declared)
    metadata = describe(dataset, columns)
    after = scan(clean, "clean table", headers, options, declared)
    check_tolerated(after, options.tolerated_types, metadata, declared)
    entity = table[dataset.entity_key] if dataset.entity_key else None
    people = None if entity is None else row_entities(entity)
    groups = k_anonymity(clean, quasi_columns(columns, before), options.k, entities=people)
    check_k(groups, options.min_k)

    train, holdout = split_by_entity(
        clean, entity, options.holdout_fraction, config.seed, min_holdout_rows=options.min_holdout_rows
    )
    train_data, holdout_data = clean.iloc[train].reset_index(drop=True), clean.iloc[holdout].reset_index(drop=True)
    known = everyone(table, read_parquet(artifacts.quarantine, "preprocess"), dataset)
    digests = IdentityDigests.build(known, guarded_columns(columns, before), key)
    second = second_scan(config, {"train": train_data, "holdout": holdout_data}, metadata, headers)

    numbered = with_entities(clean, entity, metadata)
    write_parquet(artifacts.train_data, numbered.iloc[train].reset_index(drop=True))
    write_parquet(artifacts.holdout_data, numbered.iloc[holdout].reset_index(drop=True))
    write_parquet(artifacts.identity_digests, digests.to_frame())
    write_text(artifacts.metadata, with_null_fractions(metadata, table.iloc[train]).to_json())
    scanned = {path.name: sha256_of(path) for path in artifacts.scanned_files()}
    report = {"before": before.to_dict(), "after": after.to_dict(), "columns": actions(columns), "scanned": scanned}
    decided = {"k_anonymity": {**groups.to_dict(), "min_k": options.min_k}, "allowed": allowed(options)}
    write_json(artifacts.findings, {**report, **decided, **second})


def scan(
    table: pd.DataFrame, what: str, headers: dict[str, str], options: PIIConfig, declared: DeclaredTypes
) -> ScanResult:
    """Scan every row and column; a scan that left anything out is none."""
    result = scan_table(table, timeout_seconds=options.timeout_seconds, headers=headers, declared=declared)
    check_covered(result, table, what)
    return result


def with_entities(clean: pd.DataFrame, entity: pd.Series[Any] | None, metadata: Metadata) -> pd.DataFrame:
    """The clean table, in which every row can be told whose it is: thresholds count people.

    Where the entity key is not there as a pseudonym, the column `ENTITY_COLUMN` is added: numbers, never modelled.
    """
    if entity is None or metadata.entity_key is None:
        return clean
    if metadata[metadata.entity_key].action is Action.pseudonymise:
        return clean
    return clean.assign(**{ENTITY_COLUMN: row_entities(entity)})


def allowed(options: PIIConfig) -> dict[str, dict[str, str | int]]:
    """How much is declared not to be personal, and why, for the report; no value."""
    return {
        type_: {"num_values": len(spec.values), "num_regexes": len(spec.regexes), "reason": spec.reason}
        for type_, spec in options.allow.items()
    }


def guarded_columns(columns: tuple[Column, ...], before: ScanResult) -> list[Column]:
    """Columns that are not modelled; of a dropped one that declares no type, the scan says what it holds."""
    found = {item.column: item.semantic_type for item in suggest_types(before) if not item.quasi or item.type == "CITY"}
    dropped = [
        replace(c, semantic_type=c.semantic_type or found.get(c.name)) for c in columns if c.action is Action.drop
    ]
    return [*(c for c in columns if c.generated), *dropped]


def actions(columns: tuple[Column, ...]) -> dict[str, dict[str, str | None]]:
    """What was done to each column, for the report."""
    return {c.name: {"action": c.action.value, "semantic_type": c.semantic_type, "reason": c.reason} for c in columns}


def original_names(profile: dict[str, list[dict[str, str]]]) -> dict[str, str]:
    """snake_case name -> header text as in the raw file, in original order."""
    return {column["name"]: column["original_name"] for column in profile["columns"]}


def describe(dataset: DatasetConfig, columns: tuple[Column, ...]) -> Metadata:
    """Metadata of the clean table; `preprocess` has checked the constraints that are left out here."""
    present = {column.name for column in columns if column.modelled}
    return Metadata(
        dataset=dataset.name,
        columns=columns,
        target=dataset.target if dataset.target in present else None,
        entity_key=dataset.entity_key,
        constraints=tuple(c for c in dataset.constraints if present.issuperset(c.used_columns)),
    )


def with_null_fractions(metadata: Metadata, train_table: pd.DataFrame) -> Metadata:
    """Metadata whose columns know how often they are empty in the training rows."""
    shares = train_table.isna().mean()
    columns = tuple(replace(c, null_fraction=round(float(shares[c.name]), 4)) for c in metadata.columns)
    return replace(metadata, columns=columns)


main = stage_app("verify", run)

if __name__ == "__main__":
    main()
