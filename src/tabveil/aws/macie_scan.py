"""Clean tables through Macie: copies up, one job, its findings as a `ScanResult` per table, copies away again."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from tabveil.aws.charges import dollars, macie_charge
from tabveil.aws.macie import Macie, Scope
from tabveil.aws.macie_findings import MARKER, ObjectFinding, column_findings, require_read
from tabveil.aws.macie_tables import Copy, uploaded, write_copies
from tabveil.aws.session import AWS
from tabveil.config import EnvironmentConfig, PIIConfig
from tabveil.errors import CostError, ObjectNotFoundError
from tabveil.pii.custom import (
    declared_identifiers,
    macie_allow_lists,
    macie_custom_identifiers,
    managed_identifiers,
)
from tabveil.pii.findings import ScanResult
from tabveil.schema import Metadata

ALLOW_PREFIX = "macie/"  # in the work bucket; what has expired there is put again


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
    Creates custom data identifiers and allow lists that the account does not have yet; they stay.

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
        usd = affordable_usd(environment, scanned_bytes)
        macie = Macie(aws.client("macie2"), environment.macie, environment.tags)
        macie.enable()
        custom_ids = macie.custom_ids([MARKER, *macie_custom_identifiers(), *declared_identifiers(options)])
        managed_ids = managed_identifiers(options.tolerated_types)
        allow_ids = macie.allow_ids(_allow_lists(aws, options, Path(folder)))
        prefix = f"verify/{metadata.dataset}/{secrets.token_hex(8)}/"
        with uploaded(aws.store, environment.work_bucket, prefix, copies) as versions:
            scope = Scope(aws.account_id(), environment.work_bucket, prefix)
            job_id = macie.run(scope, managed_ids, custom_ids, allow_ids)
            found = macie.findings(job_id, versions)
    require_read(found, versions)
    results = {name: _result(table, _of_table(name, copies, prefix, found)) for name, table in tables.items()}
    return MacieScan(results, len(copies), scanned_bytes, usd)


def _allow_lists(aws: AWS, options: PIIConfig, folder: Path) -> list[dict[str, Any]]:
    """`create_allow_list` arguments of `pii.allow`; the texts that they name are put into the work bucket and stay."""
    bucket = aws.environment.work_bucket
    lists = macie_allow_lists(options, bucket=bucket, prefix=ALLOW_PREFIX)
    for allowed in lists:
        if allowed.object_key is None or allowed.text is None:
            continue
        try:
            aws.store.head(bucket, allowed.object_key)
        except ObjectNotFoundError:
            path = folder / "allow.txt"
            path.write_text(allowed.text, encoding="utf-8")
            aws.store.put_version(bucket, allowed.object_key, path)
    return [allowed.payload for allowed in lists]


def affordable_usd(environment: EnvironmentConfig, scanned_bytes: int) -> float:
    """What Macie bills for so many uncompressed bytes, in USD.

    Raises:
        CostError: more than `environment.max_cost_usd`.
    """
    usd, most = macie_charge(environment.prices, scanned_bytes).usd, environment.max_cost_usd
    if usd > most:
        raise CostError(
            f"the Macie job must cost at most {most:g} USD, however {scanned_bytes} bytes are estimated at "
            f"{dollars(usd)} USD: raise environment.max_cost_usd, or set environment.scanning=in_process"
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
