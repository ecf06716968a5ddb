"""Personal data: find it, decide what happens to it, split by person, and invent replacements.

The room's face. Nothing here logs or raises a value of a table. Faker is imported only when identities are invented.
"""

from tabveil.pii.declared import NOTHING_DECLARED, DeclaredTypes
from tabveil.pii.digests import IdentityDigests, guarded
from tabveil.pii.findings import Finding, QuasiIdentifier, ScanResult
from tabveil.pii.generate import generate_identities
from tabveil.pii.headers import check_headers
from tabveil.pii.kanonymity import KAnonymity, check_k, k_anonymity, quasi_columns
from tabveil.pii.key import load_key
from tabveil.pii.person_ids import id_owner
from tabveil.pii.policy import check_tolerated, check_types, resolve_policies
from tabveil.pii.quarantined import everyone
from tabveil.pii.scanner import scan_table
from tabveil.pii.split import row_entities, split_by_entity
from tabveil.pii.suggest import Suggestion, suggest_types
from tabveil.pii.transform import apply_policies
from tabveil.pii.verdict import SyntheticVerdict, check_covered, check_synthetic

__all__ = [
    "NOTHING_DECLARED",
    "DeclaredTypes",
    "Finding",
    "IdentityDigests",
    "KAnonymity",
    "QuasiIdentifier",
    "ScanResult",
    "Suggestion",
    "SyntheticVerdict",
    "apply_policies",
    "check_covered",
    "check_headers",
    "check_k",
    "check_synthetic",
    "check_tolerated",
    "check_types",
    "everyone",
    "generate_identities",
    "guarded",
    "id_owner",
    "k_anonymity",
    "load_key",
    "quasi_columns",
    "resolve_policies",
    "row_entities",
    "scan_table",
    "split_by_entity",
    "suggest_types",
]
