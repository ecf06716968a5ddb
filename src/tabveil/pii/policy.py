"""Which policy applies to which column, and whether what a scan still finds is tolerated. Fails closed."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from tabveil.config import DatasetConfig
from tabveil.errors import ConfigError, PolicyViolationError
from tabveil.explain import did_you_mean
from tabveil.pii.findings import Finding, ScanResult
from tabveil.pii.identifiers import NATIONAL_TYPES, QUASI_TYPES, TYPES
from tabveil.pii.suggest import suggest_type
from tabveil.schema import Action, Column, ColumnSpec, ColumnType, Generalisation, Metadata, PolicySpec, SDType

_SHARED = "quasi-identifier, shared by many people; kept for the model"


def default_policy(spec: ColumnSpec) -> PolicySpec:
    """What happens to a column whose semantic type is declared and whose policy is not.

    Direct identifiers and free text are regenerated; dates of birth keep their year; postcodes their
    first two characters; job titles their frequent levels; the remaining quasi-identifiers are kept.
    """
    semantic = spec.semantic_type
    if semantic == "DATE_OF_BIRTH" and spec.type in (ColumnType.date, ColumnType.datetime):
        return PolicySpec(action=Action.generalise, method=Generalisation.year)
    if semantic == "POSTAL_CODE" and spec.type is ColumnType.string:
        return PolicySpec(action=Action.generalise, method=Generalisation.prefix, length=2)
    if semantic == "JOB_TITLE" and spec.type is ColumnType.string:
        return PolicySpec(action=Action.generalise, method=Generalisation.frequent, min_count=20)
    if semantic in QUASI_TYPES and semantic not in ("CITY", "POSTAL_CODE", "JOB_TITLE"):
        return PolicySpec(action=Action.keep, reason=_SHARED)
    return PolicySpec(action=Action.regenerate)


def resolve_policies(
    dataset: DatasetConfig, result: ScanResult, tolerated_types: Collection[str] = ()
) -> dict[str, PolicySpec]:
    """The policy of every declared column.

    A declared policy wins; then the default of the semantic type; ids and free text (sdtype) are regenerated; what
    remains is kept. A column that is kept may hold no finding, except of its own semantic type and for a reason.

    Args:
        result: scan of the table before any policy.
        tolerated_types: finding types that never stop a run.

    Raises:
        ConfigError: an unknown semantic or tolerated type.
        PolicyViolationError: personal data in columns that do not declare it; one message names them all and the
            lines to add to the dataset's YAML.
    """
    check_types(dataset, tolerated_types)
    uncovered = [f for f in result.findings if f.type not in tolerated_types and _uncovered(dataset, f)]
    if uncovered:
        raise PolicyViolationError(_what_to_declare(dataset.name, uncovered))
    return {name: _policy_of(spec) for name, spec in dataset.columns.items()}


def check_types(dataset: DatasetConfig, tolerated_types: Iterable[str] = ()) -> None:
    """Let no misspelt type pass: it would protect nothing.

    Raises:
        ConfigError: an unknown semantic type of a column, or an unknown tolerated type.
    """
    for name, spec in dataset.columns.items():
        if spec.semantic_type is not None:
            _check_type(f"dataset.columns.{name}.semantic_type", spec.semantic_type, (*TYPES, *QUASI_TYPES))
    _check_tolerated_types(tolerated_types)


def _check_tolerated_types(tolerated_types: Iterable[str]) -> None:
    for type_ in tolerated_types:
        _check_type("pii.tolerated_types", type_, TYPES)


def _check_type(where: str, type_: str, known: Collection[str]) -> None:
    if type_ not in known:
        raise ConfigError(f"{where} must be a type of docs/pii.md, however: {type_}{did_you_mean(type_, known)}")


def _policy_of(spec: ColumnSpec) -> PolicySpec:
    if spec.policy is not None:
        return spec.policy
    if spec.semantic_type is not None:
        return default_policy(spec)
    if spec.resolved_sdtype in (SDType.id, SDType.text):
        return PolicySpec(action=Action.regenerate)
    return PolicySpec(action=Action.keep)


def _uncovered(dataset: DatasetConfig, finding: Finding) -> bool:
    """Whether the finding's column would be modelled as it is, without a reasoned `keep` of this type.

    What a generalised or redacted column still holds is for the scan after the policy to say.
    """
    spec = dataset.columns.get(finding.column)
    if spec is None:
        return True
    policy = _policy_of(spec)
    modelled = spec.resolved_sdtype not in (SDType.id, SDType.text)
    return policy.action is Action.keep and modelled and not _covers(spec.semantic_type, policy.reason, finding.type)


def _covers(semantic_type: str | None, reason: str | None, found: str) -> bool:
    """Whether keeping a column for a reason keeps this type of finding: only the one declared for the column.

    Automatic reasons cover nothing, since no quasi-identifier is ever a finding's type.
    """
    family = NATIONAL_TYPES if semantic_type == "NATIONAL_ID" else {semantic_type}
    return bool(reason) and found in family


def _what_to_declare(dataset_name: str, findings: Iterable[Finding]) -> str:
    lines: dict[str, list[Finding]] = {}
    for finding in findings:
        lines.setdefault(finding.column, []).append(finding)
    asked = []
    for column, found in lines.items():
        types = ", ".join(f"{f.type} in {f.count} cells" for f in found)
        asked.append(f"{column} ({types}): add `semantic_type: {suggest_type(found).semantic_type}`")
    return (
        f"personal data in {len(lines)} columns whose semantic_type and policy do not cover it; declare it in "
        f"conf/dataset/{dataset_name}.yaml below columns, or keep a column of one type with that semantic_type and "
        "`policy: {action: keep, reason: ...}`: " + "; ".join(asked)
    )


def excused(finding: Finding, column: Column | None, tolerated_types: Collection[str], *, synthetic: bool) -> bool:
    """Whether the policy accepts a finding; the one rule for the clean and for the synthetic table.

    Accepted are tolerated types; columns whose cells the policy has replaced; and the declared semantic type of a
    column that is kept for a reason.

    Args:
        column: the finding's column; None if the metadata do not know it.
        synthetic: the scanned table is the synthetic one, in which every column that is not modelled is invented; in
            the clean table only pseudonyms stand for the real values.
    """
    if finding.type in tolerated_types:
        return True
    if column is None:
        return False
    replaced = column.generated if synthetic else column.action is Action.pseudonymise
    kept = column.action is Action.keep and _covers(column.semantic_type, column.reason, finding.type)
    return replaced or kept


def check_tolerated(result: ScanResult, tolerated_types: Collection[str], metadata: Metadata) -> None:
    """Let a clean table pass.

    Args:
        result: scan of the table after `apply_policies`.
        tolerated_types: finding types that never stop a run.

    Raises:
        ConfigError: an unknown tolerated type.
        PolicyViolationError: something else was found; names columns, types and counts.
    """
    _check_tolerated_types(tolerated_types)
    columns = {column.name: column for column in metadata.columns}
    left = [f for f in result.findings if not excused(f, columns.get(f.column), tolerated_types, synthetic=False)]
    if left:
        found = "; ".join(f"{f.column}: {f.type} in {f.count} cells" for f in left)
        raise PolicyViolationError(
            f"no personal data may remain after the policy, however: {found}; choose regenerate or drop for these "
            "columns, or declare that semantic_type and keep it with a reason"
        )
