"""The second scanner of `verify`: Amazon Macie reads the clean tables where the environment asks for it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import pandas as pd

from tabveil.aws.charges import macie_charge, record, s3_charge
from tabveil.config import Config, Scanning, project_root
from tabveil.errors import PolicyViolationError
from tabveil.pii import DeclaredTypes, check_tolerated
from tabveil.schema import Metadata


def second_scan(
    config: Config, tables: Mapping[str, pd.DataFrame], metadata: Metadata, headers: Mapping[str, str]
) -> dict[str, Any]:
    """Let Macie read what is about to be written, and stop at what no policy tolerates.

    Macie reads the clean tables only: what happens to a raw column is decided by the local scanner, which sees all of
    it and costs nothing; Macie is there to find what that scanner missed.

    Returns:
        ``{"macie": ...}`` for `findings.json`; nothing where `environment.scanning` is in_process.

    Raises:
        PolicyViolationError: a finding that no policy tolerates.
        ScanIncompleteError, CostError, CloudError, StorageError: see `tabveil.aws.macie_scan`.
    """
    if config.environment.scanning is not Scanning.macie:
        return {}
    from tabveil.aws.macie_scan import scan_with_macie  # boto3: not for those who scan in process
    from tabveil.aws.session import connect_aws

    with connect_aws(config.environment, project_root()) as aws:
        scan = scan_with_macie(aws, tables, metadata, headers, config.pii)
        prices = config.environment.prices
        charges = [macie_charge(prices, scan.scanned_bytes), s3_charge(prices, aws.store.requests)]
        record(project_root(), "verify", config.environment, charges)
    print(
        f"Macie: {scan.num_objects} objects, {scan.scanned_bytes} bytes, about {scan.estimated_usd:.4f} USD",
        file=sys.stderr,
    )
    declared = DeclaredTypes.of(config.pii)
    for name, result in scan.tables.items():
        try:
            check_tolerated(result, config.pii.tolerated_types, metadata, declared)
        except PolicyViolationError as err:
            raise PolicyViolationError(
                f"Macie, which locates 15 occurrences of a type per file, in the {name} table: {err}"
            ) from err
    return {"macie": scan.to_dict()}
