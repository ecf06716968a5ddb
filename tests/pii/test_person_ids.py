"""Which headers announce the id of a person or contract, and that such a column is never modelled by accident."""

import pandas as pd
import pytest

from tabveil.config import DatasetConfig
from tabveil.errors import ConfigError, PolicyViolationError
from tabveil.pii import ScanResult, id_owner, resolve_policies, scan_table
from tabveil.pii.person_ids import Owner
from tabveil.schema import Action, ColumnSpec, ColumnType, Generalisation, PolicySpec, SDType

NOTHING = ScanResult((), (), 0, (), 0, True, 0.0)
ID = ColumnSpec(sdtype=SDType.id, policy=PolicySpec(action=Action.pseudonymise))


@pytest.mark.parametrize(
    ("header", "owner"),
    [
        *[
            (header, Owner.person)
            for header in (
                "customer_id", "customerId", "CustomerID", "customerid", "Cust No", "Client Code", "user_id",
                "customer_unique_id", "guarantor_customer_id", "customer_id_2", "customer_id_hash", "CIF No",
                "Kunden-Nr.", "Kundennummer", "numero_client", "num_client", "id_cliente", "Mã khách hàng", "ma_kh",
            )
        ],
        *[
            (header, Owner.other)
            for header in (
                "account_id", "Account Number", "loan_no", "contract_number", "Vertragsnummer", "Konto-Nr.",
                "numero_de_compte", "Số hợp đồng", "employee_id", "Personalnummer", "branch_manager_id",
            )
        ],
        *[
            (header, None)
            for header in (
                "product_id", "branch_id", "country_code", "status_id", "customer_type_id", "customer_segment_code",
                "account_type_code", "account_code", "num_customers", "no_of_accounts", "Số khách hàng", "id",
                "account_balance", "customer_age", "user_group_id", "transaction_id", "merchant_id", "loan_status",
                "customer_since", "customer", "sub_grade", "total_credit_lines", "cardinality", "postal_code",
            )
        ],
    ],
)  # fmt: skip
def test_header_says_whose_id_it_is(header, owner):
    assert id_owner(header) is owner


def test_no_loan_column_but_the_identities_is_an_id():
    assert id_owner("loan_amount") is id_owner("loan_purpose") is id_owner("account_never_delinq_percent") is None


def test_scan_names_a_repeating_customer_id_whatever_its_cardinality():
    table = pd.DataFrame({"customer_id": [f"CU{n % 20:05d}" for n in range(600)], "branch_id": [1, 2, 3] * 200})
    result = scan_table(table, timeout_seconds=60)
    assert [(q.column, q.type, q.num_distinct) for q in result.quasi_identifiers] == [
        ("customer_id", "UNIQUE_IDENTIFIER", 20)
    ]
    assert result.findings == ()


@pytest.mark.parametrize(
    "spec",
    [
        ColumnSpec(),
        ColumnSpec(type=ColumnType.integer),
        ColumnSpec(type=ColumnType.integer, sdtype=SDType.categorical),
        ColumnSpec(policy=PolicySpec()),
        ColumnSpec(policy=PolicySpec(action=Action.generalise, method=Generalisation.frequent, min_count=20)),
        ColumnSpec(semantic_type="COUNTRY"),  # its default keeps it for a reason that is no one's
    ],
)
def test_modelled_id_is_refused_with_the_lines_to_add(spec):
    dataset = DatasetConfig(name="small", columns={"customer_id": spec, "account_no": ColumnSpec(), "x": ColumnSpec()})
    with pytest.raises(PolicyViolationError) as caught:
        resolve_policies(dataset, NOTHING)
    message = str(caught.value)
    assert "however: customer_id, account_no; add to each" in message
    assert "conf/dataset/small.yaml `sdtype: id` and `policy: {action: pseudonymise}`" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "spec",
    [
        ID,
        ColumnSpec(sdtype=SDType.id),
        ColumnSpec(semantic_type="UNIQUE_IDENTIFIER"),
        ColumnSpec(policy=PolicySpec(action=Action.drop)),
        ColumnSpec(policy=PolicySpec(reason="three kinds of customers, nobody's number")),
        ColumnSpec(type=ColumnType.boolean),
    ],
)
def test_id_that_is_not_modelled_or_kept_for_a_reason_passes(spec):
    assert resolve_policies(DatasetConfig(name="small", columns={"customer_id": spec}), NOTHING)


def test_findings_and_ids_are_told_in_one_line(people):
    dataset = DatasetConfig(name="small", columns={"e_mail": ColumnSpec(), "customer_id": ColumnSpec()})
    with pytest.raises(PolicyViolationError, match=r"add `semantic_type: EMAIL_ADDRESS`; and columns .*customer_id"):
        resolve_policies(dataset, scan_table(people[["e_mail"]], timeout_seconds=60))
    scanned = scan_table(people[["customer_id"]], timeout_seconds=60)
    only_id = DatasetConfig(name="small", columns={"customer_id": ColumnSpec()})
    assert resolve_policies(only_id, scanned, tolerated_types=["UNIQUE_IDENTIFIER"])


@pytest.mark.parametrize(
    "spec",
    [
        ColumnSpec(),
        ColumnSpec(type=ColumnType.integer),
        ColumnSpec(policy=PolicySpec(reason="needed")),
        ColumnSpec(policy=PolicySpec(action=Action.generalise, method=Generalisation.prefix, length=2)),
    ],
)
def test_modelled_entity_key_is_refused(spec):
    with pytest.raises(ConfigError, match=r"entity_key must not be modelled, however dataset\.columns\.house is"):
        DatasetConfig(name="small", columns={"house": spec}, entity_key="house")


def test_entity_key_whose_type_keeps_it_is_refused_when_the_policies_are_known():
    dataset = DatasetConfig(name="small", columns={"house": ColumnSpec(semantic_type="STATE")}, entity_key="house")
    with pytest.raises(ConfigError, match="entity_key must not be modelled, however house is: keep"):
        resolve_policies(dataset, NOTHING)


@pytest.mark.parametrize("action", [Action.drop, Action.regenerate])
def test_entity_key_may_be_dropped_or_invented(action):
    columns = {"house": ColumnSpec(policy=PolicySpec(action=action))}
    assert resolve_policies(DatasetConfig(name="small", columns=columns, entity_key="house"), NOTHING)
