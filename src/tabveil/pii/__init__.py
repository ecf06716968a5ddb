"""Personal data: find it, decide what happens to it, split by person, and invent replacements.

The room's face. Nothing here logs or raises a value of a table. Faker is imported only when identities are invented.
"""

from tabveil.pii.digests import IdentityDigests
from tabveil.pii.findings import Finding, QuasiIdentifier, ScanResult
from tabveil.pii.generate import generate_identities
from tabveil.pii.headers import check_headers
from tabveil.pii.key import load_key
from tabveil.pii.policy import check_tolerated, check_types, resolve_policies
from tabveil.pii.scanner import scan_table
from tabveil.pii.split import split_by_entity
from tabveil.pii.suggest import Suggestion, suggest_types
from tabveil.pii.transform import apply_policies
from tabveil.pii.verdict import SyntheticVerdict, check_synthetic

__all__ = [
    "Finding",
    "IdentityDigests",
    "QuasiIdentifier",
    "ScanResult",
    "Suggestion",
    "SyntheticVerdict",
    "apply_policies",
    "check_headers",
    "check_synthetic",
    "check_tolerated",
    "check_types",
    "generate_identities",
    "load_key",
    "resolve_policies",
    "scan_table",
    "split_by_entity",
    "suggest_types",
]
