"""Which policy applies to which column, and whether what a scan still finds is tolerated. Fails closed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from tabveil.config import DatasetConfig
from tabveil.errors import ConfigError, PolicyViolationError
from tabveil.explain import did_you_mean
from tabveil.pii.declared import NOTHING_DECLARED, DeclaredTypes
from tabveil.pii.findings import Finding, ScanResult
from tabveil.pii.identifiers import NATIONAL_TYPES, QUASI_TYPES
from tabveil.pii.mentions import REDACTED_WHOLE
from tabveil.pii.person_ids import id_owner
from tabveil.pii.suggest import suggest_type
from tabveil.schema import Action, Column, ColumnSpec, ColumnType, Generalisation, Metadata, PolicySpec, SDType

_SHARED = "quasi-identifier, shared by many people; kept for the model"
_ID_TYPE = "UNIQUE_IDENTIFIER"
_MINOR_SHARE = 0.5  # of the cells; a column of which less is personal is about something else
_ID_VALUES = (ColumnType.string, ColumnType.integer, ColumnType.decimal)
_NO_POLICIES: Mapping[str, PolicySpec] = {}


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
    dataset: DatasetConfig,
    result: ScanResult,
    tolerated_types: Collection[str] = (),
    by_type: Mapping[str, PolicySpec] = _NO_POLICIES,
    declared: DeclaredTypes = NOTHING_DECLARED,
) -> dict[str, PolicySpec]:
    """The policy of every declared column.

    The column's own policy wins; then the one of its semantic type in `by_type`; then the built-in default of the
    semantic type; ids and free text (sdtype) are regenerated; what remains is kept. A column that is kept may hold no
    finding, except of its own semantic type and for a reason; a column whose header announces the id of a person or
    contract may be modelled only for a reason.

    Args:
        result: scan of the table before any policy.
        tolerated_types: finding types that never stop a run.
        by_type: `pii.policies`.
        declared: the project's own types.

    Raises:
        ConfigError: an unknown type; a policy by type that does not fit a column of that type; a modelled entity key.
        PolicyViolationError: personal data or ids in columns that do not declare it; one message names them all and the
            lines to add to the dataset's YAML.
    """
    check_types(dataset, tolerated_types, by_type, declared)
    policies = {name: _policy_of(spec, by_type) for name, spec in dataset.columns.items()}
    uncovered = [f for f in result.findings if f.type not in tolerated_types and _uncovered(dataset, policies, f)]
    found = {finding.column for finding in uncovered}
    ids = [] if _ID_TYPE in tolerated_types else [n for n in _modelled_ids(dataset, policies) if n not in found]
    if uncovered or ids:
        wrong = [_what_to_declare(dataset, uncovered)] if uncovered else []
        raise PolicyViolationError("; and ".join([*wrong, *([_how_to_declare_ids(dataset.name, ids)] if ids else [])]))
    _check_entity_key(dataset, policies)
    return policies


def _modelled_ids(dataset: DatasetConfig, policies: Mapping[str, PolicySpec]) -> list[str]:
    """Columns a model would learn although their header announces the id of a person, customer, account or contract."""
    return [
        name
        for name, spec in dataset.columns.items()
        if spec.type in _ID_VALUES
        and id_owner(name) is not None
        and _is_modelled(spec, policies[name])
        and policies[name].reason in (None, "", _SHARED)
    ]


def _how_to_declare_ids(dataset_name: str, columns: Iterable[str]) -> str:
    names = ", ".join(columns)
    return (
        f"columns whose header announces the id of a person or contract must not be modelled, however: {names}; add to "
        f"each below columns in conf/dataset/{dataset_name}.yaml `sdtype: id` and `policy: {{action: pseudonymise}}`, "
        "or, where it names nobody, `policy: {action: keep, reason: ...}`"
    )


def _check_entity_key(dataset: DatasetConfig, policies: Mapping[str, PolicySpec]) -> None:
    key = dataset.entity_key
    if key is not None and _is_modelled(dataset.columns[key], policies[key]):
        raise ConfigError(
            f"dataset.entity_key must not be modelled, however {key} is: {policies[key].action.value}; "
            "give it `sdtype: id` and `policy: {action: pseudonymise}`, or drop or regenerate it"
        )


def _is_modelled(spec: ColumnSpec, policy: PolicySpec) -> bool:
    """Whether a synthesizer learns the column, as `Column.modelled` says once the policy is applied."""
    modelled = policy.action in (Action.keep, Action.generalise, Action.redact)
    return modelled and spec.resolved_sdtype not in (SDType.id, SDType.text)


def check_types(
    dataset: DatasetConfig,
    tolerated_types: Iterable[str] = (),
    by_type: Mapping[str, PolicySpec] = _NO_POLICIES,
    declared: DeclaredTypes = NOTHING_DECLARED,
) -> None:
    """Let no misspelt type pass: it would protect nothing.

    Raises:
        ConfigError: an unknown semantic type of a column, an unknown tolerated type or type of a policy; a policy by
            type that does not fit a column of that type.
    """
    known = (*declared.types, *QUASI_TYPES)
    for name, spec in dataset.columns.items():
        if spec.semantic_type is not None:
            _check_type(f"dataset.columns.{name}.semantic_type", spec.semantic_type, known)
    for type_ in by_type:
        _check_type(f"pii.policies.{type_}", type_, known)
    _check_tolerated_types(tolerated_types, declared)
    for name, spec in dataset.columns.items():
        own = by_type.get(_type_of(spec) or "")
        if spec.policy is None and own is not None:
            _check_fit(name, spec, own)


def _check_fit(name: str, spec: ColumnSpec, policy: PolicySpec) -> None:
    """A policy by type must fit every column of the type, as a column's own policy does."""
    is_id = spec.resolved_sdtype is SDType.id
    needed = {
        Action.pseudonymise: (is_id, "sdtype: id"),
        Action.generalise: (not is_id, "an sdtype that is modelled, not id"),
        Action.redact: (spec.type is ColumnType.string, "type: string"),
    }
    fits, wanted = needed.get(policy.action, (True, ""))
    if not fits:
        raise ConfigError(
            f"pii.policies.{_type_of(spec)}: {policy.action.value} needs {wanted}, however dataset.columns.{name} has "
            f"type: {spec.type.value}, sdtype: {spec.resolved_sdtype.value}; give that column a policy of its own"
        )


def _check_tolerated_types(tolerated_types: Iterable[str], declared: DeclaredTypes) -> None:
    for type_ in tolerated_types:
        _check_type("pii.tolerated_types", type_, declared.types)


def _check_type(where: str, type_: str, known: Collection[str]) -> None:
    if type_ not in known:
        raise ConfigError(f"{where} must be a type of docs/pii.md, however: {type_}{did_you_mean(type_, known)}")


def _type_of(spec: ColumnSpec) -> str | None:
    """The type whose policy a column follows: the declared one; a text without any is free text."""
    if spec.semantic_type is None and spec.resolved_sdtype is SDType.text:
        return "FREE_TEXT"
    return spec.semantic_type


def _policy_of(spec: ColumnSpec, by_type: Mapping[str, PolicySpec]) -> PolicySpec:
    if spec.policy is not None:
        return spec.policy
    own = by_type.get(_type_of(spec) or "")
    if own is not None:
        return own
    if spec.semantic_type is not None:
        return default_policy(spec)
    if spec.resolved_sdtype in (SDType.id, SDType.text):
        return PolicySpec(action=Action.regenerate)
    return PolicySpec(action=Action.keep)


def _uncovered(dataset: DatasetConfig, policies: Mapping[str, PolicySpec], finding: Finding) -> bool:
    """Whether the finding's column would be modelled as it is, without a reasoned `keep` of this type.

    What a generalised or redacted column still holds is for the scan after the policy to say.
    """
    spec = dataset.columns.get(finding.column)
    if spec is None:
        return True
    policy = policies[finding.column]
    modelled = spec.resolved_sdtype not in (SDType.id, SDType.text)
    return policy.action is Action.keep and modelled and not _covers(spec.semantic_type, policy.reason, finding.type)


def _covers(semantic_type: str | None, reason: str | None, found: str) -> bool:
    """Whether keeping a column for a reason keeps this type of finding: only the one declared for the column.

    Automatic reasons cover nothing, since no quasi-identifier is ever a finding's type.
    """
    family = NATIONAL_TYPES if semantic_type == "NATIONAL_ID" else {semantic_type}
    return bool(reason) and found in family


def _advice(dataset: DatasetConfig, column: str, found: Sequence[Finding]) -> str:
    """The line to add for a column; where only some cells are personal, one that keeps the others."""
    spec, suggested = dataset.columns.get(column), suggest_type(found)
    few = not suggested.in_text and all(f.share < _MINOR_SHARE and not f.by_header for f in found)
    if few and spec is not None and spec.type is ColumnType.string and {f.type for f in found} <= REDACTED_WHOLE:
        return "add `policy: {action: redact}`, which blanks these cells only, or correct them in the source"
    if few and spec is not None and spec.type in (ColumnType.integer, ColumnType.decimal):
        return "correct these cells in the source, or add `policy: {action: drop}`"
    return f"add `semantic_type: {suggested.semantic_type}`"


def _what_to_declare(dataset: DatasetConfig, findings: Iterable[Finding]) -> str:
    lines: dict[str, list[Finding]] = {}
    for finding in findings:
        lines.setdefault(finding.column, []).append(finding)
    asked = []
    for column, found in lines.items():
        types = ", ".join(f"{f.type} in {f.count} cells" for f in found)
        asked.append(f"{column} ({types}): {_advice(dataset, column, found)}")
    return (
        f"personal data in {len(lines)} columns whose semantic_type and policy do not cover it; declare it in "
        f"conf/dataset/{dataset.name}.yaml below columns, or keep a column of one type with that semantic_type and "
        "`policy: {action: keep, reason: ...}`, or list what is nobody's under pii.allow: " + "; ".join(asked)
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


def check_tolerated(
    result: ScanResult,
    tolerated_types: Collection[str],
    metadata: Metadata,
    declared: DeclaredTypes = NOTHING_DECLARED,
) -> None:
    """Let a clean table pass.

    Args:
        result: scan of the table after `apply_policies`.
        tolerated_types: finding types that never stop a run.

    Raises:
        ConfigError: an unknown tolerated type.
        PolicyViolationError: something else was found; names columns, types and counts.
    """
    _check_tolerated_types(tolerated_types, declared)
    columns = {column.name: column for column in metadata.columns}
    left = [f for f in result.findings if not excused(f, columns.get(f.column), tolerated_types, synthetic=False)]
    if left:
        found = "; ".join(f"{f.column}: {f.type} in {f.count} cells" for f in left)
        raise PolicyViolationError(
            f"no personal data may remain after the policy, however: {found}; choose regenerate or drop for these "
            "columns, or declare that semantic_type and keep it with a reason"
        )
