"""Stage `verify`: may a model see it?

Reads: `artifacts/preprocess/table.parquet`, `quarantine.parquet` and `profile.json`, the dataset's PII policy, the
pseudonymisation key.
Writes: `artifacts/verify/train.parquet` and `holdout.parquet` (clean, split by entity), `metadata.json`,
`findings.json` (before and after, in Macie's shape, bound to the two tables by their digests),
`identity_digests.parquet` (keyed digests of real identities).
Fails when: a scan is incomplete, PII is in a column without a policy, or a finding remains that no policy tolerates.
"""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from tabveil.artifacts import Artifacts, read_json, read_parquet, write_json, write_parquet, write_text
from tabveil.config import Config, DatasetConfig, project_root
from tabveil.pii import (
    IdentityDigests,
    apply_policies,
    check_headers,
    check_tolerated,
    load_key,
    resolve_policies,
    scan_table,
    split_by_entity,
)
from tabveil.provenance import sha256_of
from tabveil.schema import Action, Column, Metadata
from tabveil.stages.app import stage_app


def run(config: Config, artifacts: Artifacts) -> None:
    """Scan, apply the policy, scan again, split; nothing is written unless the second scan is clean."""
    dataset, options = config.dataset, config.pii
    table = read_parquet(artifacts.table, "preprocess")[list(dataset.columns)]
    headers = original_names(read_json(artifacts.profile, "preprocess", "columns"))
    table = table[[name for name in headers if name in dataset.columns]]
    check_headers(headers.values())
    key = load_key(options.key_env, project_root() / options.key_file)

    before = scan_table(table, timeout_seconds=options.timeout_seconds, headers=headers)
    policies = resolve_policies(dataset, before, options.tolerated_types)
    clean, columns = apply_policies(table, dataset, policies, headers, key)
    metadata = describe(dataset, columns)
    after = scan_table(clean, timeout_seconds=options.timeout_seconds, headers=headers)
    check_tolerated(after, options.tolerated_types, metadata)

    entity = table[dataset.entity_key] if dataset.entity_key else None
    train, holdout = split_by_entity(
        clean, entity, options.holdout_fraction, config.seed, min_holdout_rows=options.min_holdout_rows
    )
    train_data, holdout_data = clean.iloc[train].reset_index(drop=True), clean.iloc[holdout].reset_index(drop=True)
    hidden = [c for c in columns if c.generated or c.action is Action.drop]
    digests = IdentityDigests.build(everyone(table, read_parquet(artifacts.quarantine, "preprocess")), hidden, key)

    write_parquet(artifacts.train_data, train_data)
    write_parquet(artifacts.holdout_data, holdout_data)
    write_parquet(artifacts.identity_digests, digests.to_frame())
    write_text(artifacts.metadata, with_null_fractions(metadata, table.iloc[train]).to_json())
    scanned = {path.name: sha256_of(path) for path in (artifacts.train_data, artifacts.holdout_data)}
    report = {"before": before.to_dict(), "after": after.to_dict(), "columns": actions(columns), "scanned": scanned}
    write_json(artifacts.findings, report)


def everyone(table: pd.DataFrame, quarantine: pd.DataFrame) -> pd.DataFrame:
    """All rows whose people must not be invented again, as text: the kept ones and the quarantined ones."""
    texts = (part.reindex(columns=table.columns).astype("object") for part in (table, quarantine))
    return pd.concat(texts, ignore_index=True)


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
