import json
import subprocess
import sys

import pandas as pd
import pytest

from tabveil.config import DatasetConfig
from tabveil.errors import ScanIncompleteError
from tabveil.pii import (
    IdentityDigests,
    apply_policies,
    check_synthetic,
    generate_identities,
    resolve_policies,
    scan_table,
)
from tabveil.schema import ColumnSpec, Metadata, PolicySpec


@pytest.fixture
def world(people, dataset, key):
    """Metadata, digests and a synthetic table of the people, made as the pipeline does."""
    policies = resolve_policies(dataset, scan_table(people, timeout_seconds=60))
    clean, columns = apply_policies(people, dataset, policies, {}, key)
    metadata = Metadata("people", columns)
    digests = IdentityDigests.build(people, columns, key)
    made = generate_identities([c for c in columns if c.generated], 500, 0, digests=digests)
    synthetic = pd.concat([clean.head(500), made], axis=1)[metadata.output_columns]
    return metadata, digests, synthetic


def judge(world, table):
    metadata, digests, _ = world
    return check_synthetic(scan_table(table, timeout_seconds=60), table, metadata, digests)


def test_synthetic_people_pass_and_their_findings_are_explained(world):
    verdict = judge(world, world[2])
    assert verdict.passed
    assert {f.column for f in verdict.explained} >= {"full_name", "e_mail", "phone", "card_number"}
    assert verdict.real_identity_values_by_column == {
        "customer_id": 0, "full_name": 0, "e_mail": 0, "phone": 0, "national_id": 0, "street_address": 0, "city": 0,
        "iban_or_account": 0, "card_number": 0, "note": 0,
    }  # fmt: skip


def test_no_real_value_is_in_the_synthetic_table(world, people):
    for name in world[1].semantic_types:
        assert not set(world[2][name].dropna()) & set(people[name].dropna())


def test_real_value_is_counted_however_it_is_written_and_not_shown(world, people):
    table = world[2].copy()
    table.loc[7, "card_number"] = " ".join(people["card_number"][0])
    verdict = judge(world, table)
    assert verdict.real_identity_values_by_column["card_number"] == 1
    assert (verdict.num_real_values, verdict.num_unexplained, verdict.passed) == (1, 0, False)
    assert people["card_number"][0] not in json.dumps(verdict.to_dict())


def test_finding_in_a_modelled_column_is_unexplained(world):
    metadata, digests, synthetic = world
    table = synthetic.assign(amount=["jo@acme.org"] + ["1.0"] * 499)
    verdict = check_synthetic(scan_table(table, timeout_seconds=60), table, metadata, digests)
    assert [(f.column, f.type) for f in verdict.unexplained] == [("amount", "EMAIL_ADDRESS")]
    assert not verdict.passed
    scan = scan_table(table, timeout_seconds=60)
    assert check_synthetic(scan, table, metadata, digests, tolerated_types=["EMAIL_ADDRESS"]).passed


def test_scan_of_another_table_is_refused(world):
    metadata, digests, synthetic = world
    with pytest.raises(ScanIncompleteError, match="left out 1 columns"):
        check_synthetic(scan_table(synthetic.drop(columns="note"), timeout_seconds=60), synthetic, metadata, digests)
    with pytest.raises(ScanIncompleteError, match="covered 10 rows"):
        check_synthetic(scan_table(synthetic.head(10), timeout_seconds=60), synthetic, metadata, digests)


def test_room_imports_nothing_heavy():
    code = (
        "import sys, tabveil.pii\n"
        "heavy = {'torch', 'sdv', 'mlflow', 'duckdb', 'faker', 'boto3', 'hydra', 'sklearn'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_reason_excuses_only_the_declared_type_in_the_synthetic_table_too(people, key):
    spec = ColumnSpec(semantic_type="STATE")
    dataset = DatasetConfig(name="small", columns={"state": spec})
    table = pd.DataFrame({"state": ["OH"] * 450 + [f"jo{n}@acme.org" for n in range(50)]})
    _, columns = apply_policies(table, dataset, {"state": PolicySpec(reason="shared by many")}, {}, key)
    digests = IdentityDigests.build(table, columns, key)
    verdict = check_synthetic(scan_table(table, timeout_seconds=60), table, Metadata("small", columns), digests)
    assert [(f.column, f.type) for f in verdict.unexplained] == [("state", "EMAIL_ADDRESS")]
