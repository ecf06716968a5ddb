"""Is a synthetic table free of personal data? Findings explained, real values counted."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import pandas as pd

from tabveil.errors import ScanIncompleteError
from tabveil.pii.digests import IdentityDigests
from tabveil.pii.findings import Finding, ScanResult
from tabveil.pii.policy import excused
from tabveil.schema import Metadata


@dataclass(frozen=True)
class SyntheticVerdict:
    """The gate's view of a synthetic table.

    Args:
        unexplained: findings in modelled columns whose type no reasoned `keep` covers.
        explained: findings that are expected: invented values, and columns kept with a reason.
        real_identity_values_by_column: rows of each guarded column whose value is a real one.
    """

    unexplained: tuple[Finding, ...]
    explained: tuple[Finding, ...]
    real_identity_values_by_column: dict[str, int]

    @property
    def num_unexplained(self) -> int:
        """Findings that stop a run."""
        return len(self.unexplained)

    @property
    def num_real_values(self) -> int:
        """Real identity values over all columns."""
        return sum(self.real_identity_values_by_column.values())

    @property
    def passed(self) -> bool:
        """Nothing unexplained, nothing real."""
        return not self.unexplained and self.num_real_values == 0

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary, without any value of a table."""
        return {
            "passed": self.passed,
            "unexplained": [finding.to_dict() for finding in self.unexplained],
            "explained": [finding.to_dict() for finding in self.explained],
            "real_identity_values_by_column": dict(self.real_identity_values_by_column),
        }


def check_covered(result: ScanResult, table: pd.DataFrame, what: str) -> None:
    """Refuse a scan of a part of a table, or of another one.

    Args:
        what: name of the table, for the message.

    Raises:
        ScanIncompleteError: rows, columns or cells are missing from the scan, or it says that it is not complete.
    """
    unseen = sorted(set(map(str, table.columns)) - set(result.columns_scanned))
    if not result.complete or unseen or result.num_rows != len(table) or result.cells_scanned < table.size:
        raise ScanIncompleteError(
            f"the scan must cover the whole {what} ({len(table)} rows), however it covered {result.num_rows} "
            f"rows and left out {len(unseen)} columns: scan it again"
        )


def check_synthetic(
    result: ScanResult,
    table: pd.DataFrame,
    metadata: Metadata,
    digests: IdentityDigests,
    tolerated_types: Collection[str] = (),
) -> SyntheticVerdict:
    """Judge a synthetic table.

    Args:
        result: scan of `table`.
        table: the synthetic table.
        digests: of the real identity values.
        tolerated_types: finding types that never stop a run.

    Raises:
        ScanIncompleteError: the scan did not cover this table.
    """
    check_covered(result, table, "synthetic table")
    by_name = {column.name: column for column in metadata.columns}
    explained = tuple(f for f in result.findings if excused(f, by_name.get(f.column), tolerated_types, synthetic=True))
    real = {
        name: int(digests.contains(name, table[name]).sum()) for name in digests.semantic_types if name in table.columns
    }
    return SyntheticVerdict(
        unexplained=tuple(f for f in result.findings if f not in explained),
        explained=explained,
        real_identity_values_by_column=real,
    )
