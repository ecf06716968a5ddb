"""Apply a policy to a table: what a model, or a later stage, may see of each column."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from tabveil.config import DatasetConfig
from tabveil.entities import entities_per_group
from tabveil.errors import ConfigError, PolicyViolationError, SchemaError
from tabveil.pii import mentions
from tabveil.pii.columns import clean_text, distinct, plain_signs, visible_text
from tabveil.pii.declared import NOTHING_DECLARED, DeclaredTypes
from tabveil.pii.split import row_entities
from tabveil.schema import Action, Column, ColumnSpec, ColumnType, Generalisation, PolicySpec, SDType

OTHER = "other"
_PREFIX = b"tabveil-pseudonym-v1\x00"
_DATES = (ColumnType.date, ColumnType.datetime)
_NUMBERS = (ColumnType.integer, ColumnType.decimal)


def apply_policies(
    table: pd.DataFrame,
    dataset: DatasetConfig,
    policies: Mapping[str, PolicySpec],
    original_names: Mapping[str, str],
    key: bytes,
    *,
    declared: DeclaredTypes = NOTHING_DECLARED,
) -> tuple[pd.DataFrame, tuple[Column, ...]]:
    """The clean table and its columns.

    Args:
        table: canonical frame with every declared column.
        policies: one per declared column (`resolve_policies`).
        original_names: header in the raw file by column name.
        key: pseudonymisation key.
        declared: the project's own types and allow lists, which `redact` follows.

    Returns:
        A new frame with the columns that are modelled, pseudonymised or redacted (fresh RangeIndex); and one
        `Column` for every declared column in order, with its type after the policy.

    Raises:
        SchemaError: a declared column is not in the table.
        ConfigError: a policy does not fit its column's type.
    """
    missing = [name for name in dataset.columns if name not in table.columns]
    if missing:
        raise SchemaError(f"every declared column must be in the table, however these are not: {', '.join(missing)}")
    entities = row_entities(table[dataset.entity_key]) if dataset.entity_key else None
    clean: dict[str, pd.Series[Any]] = {}
    columns: list[Column] = []
    for name, spec in dataset.columns.items():
        policy = policies.get(name)
        if policy is None:
            raise PolicyViolationError(f"column '{name}' has no policy: resolve_policies must come first")
        cells = table[name].reset_index(drop=True)
        type_, sdtype = type_after(name, spec, policy)
        bounded = policy.action is Action.keep and type_ in _NUMBERS
        column = Column(
            name=name,
            original_name=original_names.get(name, name),
            type=type_,
            sdtype=sdtype,
            action=policy.action,
            semantic_type=spec.semantic_type,
            reason=policy.reason,
            null_fraction=float(cells.isna().mean()) if len(cells) else 0.0,
            locales=tuple(dataset.locales),
            minimum=spec.minimum if bounded else None,
            maximum=spec.maximum if bounded else None,
        )
        columns.append(_as_generated(column))
        if column.modelled or policy.action in (Action.pseudonymise, Action.redact):
            clean[name] = _apply(cells, column, policy, key, declared=declared, entities=entities)
    return pd.DataFrame(clean, index=pd.RangeIndex(len(table))), tuple(columns)


def _as_generated(column: Column) -> Column:
    """Ids and texts that are 'kept' are never modelled; say what happens to them."""
    if column.action is Action.keep and column.generated and not column.reason:
        return Column(**{**column.__dict__, "action": Action.regenerate})
    return column


def type_after(name: str, spec: ColumnSpec, policy: PolicySpec) -> tuple[ColumnType, SDType]:
    """Type and sdtype of a column once its policy is applied.

    Raises:
        ConfigError: the generalisation does not fit the type.
    """
    if policy.action is Action.pseudonymise:
        return ColumnType.string, SDType.id
    if policy.action is not Action.generalise:
        return spec.type, spec.resolved_sdtype
    method = policy.method
    fits = {
        Generalisation.year: _DATES,
        Generalisation.month: _DATES,
        Generalisation.band: _NUMBERS,
        Generalisation.prefix: (ColumnType.string, ColumnType.integer),
        Generalisation.frequent: (ColumnType.string, ColumnType.integer),
    }
    if method is None or spec.type not in fits[method]:
        wanted = " or ".join(t.value for t in fits[method]) if method else "a method"
        raise ConfigError(
            f"dataset.columns.{name}: generalisation '{method.value if method else None}' needs type {wanted}, "
            f"however: type={spec.type.value}"
        )
    if method is Generalisation.year:
        return ColumnType.integer, SDType.numerical
    if method is Generalisation.month:
        return ColumnType.date, SDType.datetime
    if method is Generalisation.band:
        return spec.type, SDType.numerical
    return ColumnType.string, SDType.categorical


def _apply(
    cells: pd.Series[Any],
    column: Column,
    policy: PolicySpec,
    key: bytes,
    *,
    declared: DeclaredTypes,
    entities: npt.NDArray[np.int64] | None,
) -> pd.Series[Any]:
    if policy.action is Action.pseudonymise:
        return pseudonyms(cells, column.semantic_type or column.name, key)
    if policy.action is Action.redact:
        return redact(cells, column, declared)
    if policy.action is Action.generalise:
        return _generalise(cells, policy, entities, whole=pd.api.types.is_integer_dtype(cells.dtype))
    return cells


def pseudonyms(cells: pd.Series[Any], domain: str, key: bytes) -> pd.Series[Any]:
    """HMAC-SHA256 of every value, truncated to 128 bits, as 32 hexadecimal digits; missing stays missing.

    The same value under the same key and domain (the semantic type) has the same pseudonym in every table.
    """
    prefix = _PREFIX + domain.encode() + b"\x00"
    return _per_distinct(
        cells, lambda value: hmac.digest(key, prefix + clean_text(str(value)).encode(), "sha256")[:16].hex()
    )


def redact(cells: pd.Series[Any], column: Column, declared: DeclaredTypes = NOTHING_DECLARED) -> pd.Series[Any]:
    """Texts with ``[TYPE]`` in place of every mention of personal data; allowed texts stay; missing stays missing.

    What is not replaced keeps its dashes and digits, though mentions are looked for among plain ones.

    Args:
        column: its names may hold keywords of declared identifiers.
    """
    codes, uniques = distinct(cells)
    visible = [visible_text(str(value)) for value in uniques]
    texts = [plain_signs(text) for text in visible]
    own = declared.spans(texts, column.original_name, column.name)
    changed = np.array([*map(partial(_redacted, declared), visible, texts, own), None], dtype=object)
    return pd.Series(changed[codes], index=cells.index, dtype=object)


def _redacted(declared: DeclaredTypes, visible: str, text: str, own: list[mentions.Span]) -> str:
    """`visible` without the mentions found in `text`, whose characters stand at the same places."""
    built_in = [span for span in mentions.spans(text) if not declared.allows(span.type, text[span.start : span.end])]
    parts, position = [], 0
    for span in _merged([*own, *built_in]):
        parts += [visible[position : span.start], f"[{span.type}]"]
        position = span.end
    return "".join([*parts, visible[position:]])


def _merged(found: list[mentions.Span]) -> list[mentions.Span]:
    """Spans in order; where two overlap, one stands for both under the name of the earlier, longer one."""
    merged: list[mentions.Span] = []
    for span in sorted(found, key=lambda span: (span.start, -span.end)):
        if merged and span.start < merged[-1].end:
            last = merged.pop()
            span = mentions.Span(last.type, last.start, max(last.end, span.end))
        merged.append(span)
    return merged


def _per_distinct(cells: pd.Series[Any], change: Callable[[Any], str]) -> pd.Series[Any]:
    """`change` applied once per distinct value; object cells, None where missing."""
    codes, uniques = distinct(cells)
    changed = np.array([*(change(value) for value in uniques), None], dtype=object)
    return pd.Series(changed[codes], index=cells.index, dtype=object)


def _generalise(
    cells: pd.Series[Any], policy: PolicySpec, entities: npt.NDArray[np.int64] | None, *, whole: bool
) -> pd.Series[Any]:
    if policy.method is Generalisation.year:
        return pd.Series(cells.dt.year, dtype="Int64")
    if policy.method is Generalisation.month:
        months = cells.to_numpy("datetime64[us]").astype("datetime64[M]")  # never [ns], which ends in 2262
        return pd.Series(months.astype("datetime64[us]"), index=cells.index)
    if policy.method is Generalisation.band:
        return _band(cells, float(policy.width or 1), whole=whole)
    if policy.method is Generalisation.prefix:
        return _per_distinct(cells, lambda value: str(value)[: policy.length])
    codes, uniques = distinct(cells)
    holders = entities_per_group(codes, len(uniques), entities)
    kept = [str(u) if count >= (policy.min_count or 1) else OTHER for u, count in zip(uniques, holders, strict=True)]
    return pd.Series(np.array([*kept, None], dtype=object)[codes], index=cells.index, dtype=object)


def _band(cells: pd.Series[Any], width: float, *, whole: bool) -> pd.Series[Any]:
    """Lower edge of each number's band; bands begin at multiples of `width`."""
    lower = pd.Series(np.floor(cells.astype("float64") / width) * width, index=cells.index)
    return lower.round().astype("Int64") if whole else lower
