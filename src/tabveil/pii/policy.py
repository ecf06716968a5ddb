"""Which policy applies to which column, and whether what a scan still finds is tolerated. Fails closed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from tabveil.config import DatasetConfig
from tabveil.errors import PolicyViolationError
from tabveil.pii.findings import Finding, ScanResult
from tabveil.pii.identifiers import QUASI_TYPES
from tabveil.schema import Action, ColumnSpec, ColumnType, Generalisation, Metadata, PolicySpec, SDType

_SHARED = "quasi-identifier, shared by many people; kept for the model"
_HIDDEN = (Action.drop, Action.regenerate, Action.pseudonymise)


def default_policy(spec: ColumnSpec) -> PolicySpec:
    """What happens to a column whose semantic type is declared and whose policy is not.

    Direct identifiers, free text and unknown types are regenerated; dates of birth keep their year; postcodes their
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


def resolve_policies(dataset: DatasetConfig, result: ScanResult) -> dict[str, PolicySpec]:
    """The policy of every declared column.

    A declared policy wins; then the default of the semantic type; ids and free text (sdtype) are regenerated; what
    remains is kept, provided the scan found nothing in it.

    Args:
        result: scan of the table before any policy.

    Raises:
        PolicyViolationError: personal data in columns for which nothing is declared; one message names them all and
            the lines to add to the dataset's YAML.
    """
    undeclared = [f for f in result.findings if _undeclared(dataset, f.column)]
    if undeclared:
        raise PolicyViolationError(_what_to_declare(dataset.name, undeclared))
    return {name: _policy_of(spec) for name, spec in dataset.columns.items()}


def _policy_of(spec: ColumnSpec) -> PolicySpec:
    if spec.policy is not None:
        return spec.policy
    if spec.semantic_type is not None:
        return default_policy(spec)
    if spec.resolved_sdtype in (SDType.id, SDType.text):
        return PolicySpec(action=Action.regenerate)
    return PolicySpec(action=Action.keep)


def _undeclared(dataset: DatasetConfig, column: str) -> bool:
    spec = dataset.columns.get(column)
    if spec is None:
        return True
    if spec.policy is not None:
        return spec.policy.action is Action.keep and not spec.policy.reason
    return spec.semantic_type is None and spec.resolved_sdtype not in (SDType.id, SDType.text)


def _what_to_declare(dataset_name: str, findings: Iterable[Finding]) -> str:
    lines: dict[str, list[Finding]] = {}
    for finding in findings:
        lines.setdefault(finding.column, []).append(finding)
    asked = []
    for column, found in lines.items():
        types = ", ".join(f"{f.type} in {f.count} cells" for f in found)
        strongest = max(found, key=lambda f: (not f.in_text, f.count))
        line = "semantic_type: FREE_TEXT" if strongest.in_text else f"semantic_type: {strongest.type}"
        asked.append(f"{column} ({types}): add `{line}`")
    return (
        f"personal data in {len(lines)} columns without semantic_type or policy; declare them in "
        f"conf/dataset/{dataset_name}.yaml below columns, or keep one with `policy: {{action: keep, reason: ...}}`: "
        + "; ".join(asked)
    )


def tolerated(finding: Finding, tolerated_types: Collection[str], metadata: Metadata) -> bool:
    """Whether a finding in a clean table is one the policy accepts: its type, or its column by a reasoned `keep`."""
    if finding.type in tolerated_types:
        return True
    column = next((c for c in metadata.columns if c.name == finding.column), None)
    if column is None:
        return False
    return column.action in _HIDDEN or (column.action is Action.keep and bool(column.reason))


def check_tolerated(result: ScanResult, tolerated_types: Collection[str], metadata: Metadata) -> None:
    """Let a clean table pass.

    Args:
        result: scan of the table after `apply_policies`.
        tolerated_types: finding types that never stop a run.

    Raises:
        PolicyViolationError: something else was found; names columns, types and counts.
    """
    left = [f for f in result.findings if not tolerated(f, tolerated_types, metadata)]
    if left:
        found = "; ".join(f"{f.column}: {f.type} in {f.count} cells" for f in left)
        raise PolicyViolationError(
            f"no personal data may remain after the policy, however: {found}; choose regenerate or drop for these "
            "columns, or keep them with a reason"
        )


def reasons(policies: Mapping[str, PolicySpec]) -> dict[str, str]:
    """Columns kept with a reason, for the report."""
    return {n: p.reason for n, p in policies.items() if p.action is Action.keep and p.reason}
