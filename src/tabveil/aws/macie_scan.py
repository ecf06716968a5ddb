"""Clean tables through Macie: copies up, one job, its findings as a `ScanResult` per table, copies away again."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from tabveil.aws.macie import Macie, Scope
from tabveil.aws.macie_findings import MARKER, ObjectFinding, column_findings, require_read
from tabveil.aws.macie_tables import Copy, uploaded, write_copies
from tabveil.aws.session import AWS
from tabveil.config import PIIConfig
from tabveil.errors import CostError
from tabveil.pii.custom import declared_identifiers, macie_custom_identifiers, managed_identifiers
from tabveil.pii.findings import ScanResult
from tabveil.schema import Metadata

BYTES_PER_GB = 1e9  # the smaller of both readings of "GB": the estimate is never too low


@dataclass(frozen=True)
class MacieScan:
    """What one job found and read.

    Args:
        tables: table name -> findings by column and what was covered.
        num_objects: files that were read to their end.
        scanned_bytes: their size, which is what Macie bills.
        estimated_usd: for that size.
    """

    tables: dict[str, ScanResult]
    num_objects: int
    scanned_bytes: int
    estimated_usd: float

    def to_dict(self) -> dict[str, Any]:
        """For `findings.json`; no id and no time: same tables, same bytes."""
        return {
            "tables": {name: result.to_dict() for name, result in sorted(self.tables.items())},
            "num_objects": self.num_objects,
            "scanned_bytes": self.scanned_bytes,
            "estimated_usd": round(self.estimated_usd, 6),
        }


def scan_with_macie(
    aws: AWS, tables: Mapping[str, pd.DataFrame], metadata: Metadata, headers: Mapping[str, str], options: PIIConfig
) -> MacieScan:
    """Let Macie read every row of every table.

    Puts CSV copies into the work bucket below ``verify/<dataset>/<run>/`` and deletes them again, also on failure.
    Creates custom data identifiers that the account does not have yet; they stay.

    Args:
        tables: clean tables by name.
        headers: descriptive column names by table name.

    Raises:
        CostError: the estimate is above `environment.max_cost_usd`; nothing was uploaded.
        ScanIncompleteError: not every object was read to its end.
        CloudError: Macie refused, or its job did not end well.
        StorageError: an upload failed, or a copy could not be deleted.
    """
    environment = aws.environment
    with tempfile.TemporaryDirectory(prefix="tabveil-macie-") as folder:
        copies = write_copies(tables, metadata, headers, Path(folder))
        scanned_bytes = sum(copy.path.stat().st_size for copy in copies)
        usd = estimated_usd(scanned_bytes, environment.prices.macie_gb, environment.max_cost_usd)
        macie = Macie(aws.client("macie2"), environment.macie, environment.tags)
        macie.enable()
        custom_ids = macie.custom_ids([MARKER, *macie_custom_identifiers(), *declared_identifiers(options)])
        managed_ids = managed_identifiers(options.tolerated_types)
        prefix = f"verify/{metadata.dataset}/{secrets.token_hex(8)}/"
        with uploaded(aws.store, environment.work_bucket, prefix, copies) as versions:
            scope = Scope(aws.account_id(), environment.work_bucket, prefix)
            job_id = macie.run(scope, managed_ids, custom_ids)
            found = macie.findings(job_id, versions)
    require_read(found, versions)
    results = {name: _result(table, _of_table(name, copies, prefix, found)) for name, table in tables.items()}
    return MacieScan(results, len(copies), scanned_bytes, usd)


def estimated_usd(scanned_bytes: int, usd_per_gb: float, max_usd: float) -> float:
    """What Macie bills for so many uncompressed bytes; its free first gigabyte of a month is not counted on.

    Raises:
        CostError: more than `max_usd`.
    """
    usd = scanned_bytes / BYTES_PER_GB * usd_per_gb
    if usd > max_usd:
        raise CostError(
            f"the Macie job must cost at most {max_usd:g} USD, however {scanned_bytes} bytes are estimated at "
            f"{usd:.2f} USD: raise environment.max_cost_usd, or set environment.scanning=in_process"
        )
    return usd


def _of_table(
    name: str, copies: Iterable[Copy], prefix: str, found: Mapping[str, ObjectFinding]
) -> list[tuple[Copy, ObjectFinding]]:
    return [(copy, found[prefix + copy.path.name]) for copy in copies if copy.table == name]


def _result(table: pd.DataFrame, read: Iterable[tuple[Copy, ObjectFinding]]) -> ScanResult:
    cells = {str(column): int(count) for column, count in table.count().items()}
    findings = [finding for copy, found in read for finding in column_findings(found, copy.columns, cells)]
    last = len(cells) + 1  # what is not located comes last
    return ScanResult(
        findings=tuple(sorted(findings, key=lambda f: (f.column_number or last, f.type))),
        quasi_identifiers=(),
        num_rows=len(table),
        columns_scanned=tuple(cells),
        cells_scanned=int(table.size),
        complete=True,
        seconds=0.0,
    )
