"""The embedded Macie: real jobs over real objects through the real client, answers as the service model has them."""

from __future__ import annotations

import json
from collections.abc import Iterator

import aws_shapes
import pandas as pd
import pytest

from tabveil.aws.macie import Macie, Scope
from tabveil.aws.macie_scan import scan_with_macie
from tabveil.aws.session import AWS, connect_aws
from tabveil.config import EnvironmentConfig, MacieConfig, PIIConfig, Scanning
from tabveil.custom_types import AllowSpec, IdentifierSpec
from tabveil.schema import Action, Column, ColumnType, Metadata, SDType

WORK = "tabveil-work"
EMAIL_ROW = 9731


class WatchedAWS(AWS):
    """Every request and every answer is judged, the answer also as it came over the wire."""

    def client(self, service: str):
        made = aws_shapes.watch(super().client(service))

        def judge(http_response, model, **_) -> None:
            if http_response.status_code < 300:
                assert aws_shapes.answer_faults(service, model.name, json.loads(http_response.text)) == []

        if service == "macie2":
            made.meta.events.register("after-call.macie2", judge)
        return made


@pytest.fixture(scope="module")
def aws(tmp_path_factory) -> Iterator[AWS]:
    environment = EnvironmentConfig(
        name="embedded",
        embedded_aws=True,
        scanning=Scanning.macie,
        macie=MacieConfig(poll_seconds=0.2, findings_seconds=1.0),
    )
    with connect_aws(environment, tmp_path_factory.mktemp("project")) as connected:
        yield WatchedAWS(connected.environment, connected.store, connected.session, connected.endpoint_url)


@pytest.fixture(scope="module")
def client(aws):
    return aws.client("macie2")


@pytest.fixture
def put(aws, tmp_path, request):
    """``put("train.csv", text)``: an object below a prefix of this test; returns the prefix."""

    def make(name: str, content: str | bytes) -> str:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        aws.store.put_version(WORK, f"{request.node.name}/{name}", path)
        return f"{request.node.name}/"

    return make


@pytest.fixture
def read(aws, client):
    """``read(prefix, managed ids, payloads)``: a job's findings, by the name of the object."""

    def make(prefix: str, managed_ids=(), payloads=()) -> dict[str, list]:
        macie = Macie(client, aws.environment.macie, {})
        job_id = macie.run(Scope(aws.account_id(), WORK, prefix), managed_ids, macie.custom_ids(payloads))
        return {key.removeprefix(prefix): [*found.detections] for key, found in macie.findings(job_id, []).items()}

    return make


def table(rows: int = 10_000) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "amount": [float(n) * 1.25 for n in range(rows)],
            "purpose": ["debt consolidation", "car repair"] * (rows // 2),
            "employer": ["Acme", "Initech"] * (rows // 2),
            "opened": pd.to_datetime(["2015-01-01", "2016-05-01"] * (rows // 2)),
        }
    )


def column(name: str, **settings) -> Column:
    return Column(name, name, ColumnType.string, SDType.categorical, **settings)


METADATA = Metadata("loans", tuple(map(column, ("amount", "purpose", "employer", "opened"))))
HEADERS = {"amount": "Loan amount", "purpose": "Loan purpose"}


def found_by(scan) -> dict[str, dict[tuple[str, str], int]]:
    return {name: {(f.column, f.type): f.count for f in result.findings} for name, result in scan.tables.items()}


# through the adapter


def test_a_clean_table_is_read_to_its_end_and_nothing_of_it_stays(aws):
    scan = scan_with_macie(aws, {"train": table(), "holdout": table(100)}, METADATA, HEADERS, PIIConfig())
    assert found_by(scan) == {"train": {}, "holdout": {}}
    assert (scan.num_objects, scan.tables["train"].num_rows, scan.tables["train"].cells_scanned) == (2, 10_000, 40_000)
    assert scan.estimated_usd == scan.scanned_bytes / 1e9
    assert aws.store.list(WORK, "verify/") == []


def test_one_email_in_ten_thousand_rows_is_found(aws):
    planted = table()
    planted.loc[EMAIL_ROW, "purpose"] = "please write to jane.doe@firstbank.example about my car"
    scan = scan_with_macie(aws, {"train": planted, "holdout": table(100)}, METADATA, HEADERS, PIIConfig())
    assert found_by(scan) == {"train": {("purpose", "EMAIL_ADDRESS"): 1}, "holdout": {}}
    (finding,) = scan.tables["train"].findings
    assert finding.rows == (EMAIL_ROW + 1,)
    assert "jane" not in json.dumps(scan.to_dict())


def test_many_occurrences_are_not_blamed_on_the_first_columns(aws):
    planted = table(1000)
    planted["purpose"] = [f"person{n}@firstbank.example" for n in range(1000)]
    planted.loc[999, "employer"] = "call boss@acme.example"
    scan = scan_with_macie(aws, {"train": planted}, METADATA, HEADERS, PIIConfig())
    assert found_by(scan)["train"] == {("purpose", "EMAIL_ADDRESS"): 15, ("(not located)", "EMAIL_ADDRESS"): 986}


def test_a_column_that_may_hold_a_type_does_not_hide_it_in_another(aws):
    planted = table(1000)
    planted["employer"] = [f"person{n}@firstbank.example" for n in range(1000)]
    planted.loc[999, "purpose"] = "call boss@acme.example"
    kept = column("employer", action=Action.keep, semantic_type="EMAIL_ADDRESS", reason="public register")
    metadata = Metadata("loans", (*METADATA.columns[:2], kept, METADATA.columns[3]))
    scan = scan_with_macie(aws, {"train": planted}, metadata, HEADERS, PIIConfig())
    assert found_by(scan)["train"] == {("purpose", "EMAIL_ADDRESS"): 1, ("employer", "EMAIL_ADDRESS"): 1000}


def test_a_type_of_the_banks_own_is_found(aws):
    planted = table(100)
    planted.loc[7, "employer"] = "ST-12345"
    options = PIIConfig(identifiers={"staff_number": IdentifierSpec(regex=r"\bST-\d{5}\b")})
    scan = scan_with_macie(aws, {"train": planted}, METADATA, HEADERS, options)
    assert found_by(scan)["train"] == {("employer", "STAFF_NUMBER"): 1}


def test_what_the_bank_allows_is_no_finding(aws, client):
    planted = table(100)
    planted.loc[7, "employer"] = "Service@FirstBank.example"
    planted.loc[8, "purpose"] = "see noreply-7@firstbank.example"
    planted.loc[9, "purpose"] = "see jane@firstbank.example"
    allowed = AllowSpec(
        values=["service@firstbank.example"], regexes=[r"noreply-\d@firstbank\.example"], reason="our own mailboxes"
    )
    options = PIIConfig(allow={"EMAIL_ADDRESS": allowed})
    for _ in range(2):
        scan = scan_with_macie(aws, {"train": planted}, METADATA, HEADERS, options)
        assert found_by(scan)["train"] == {("purpose", "EMAIL_ADDRESS"): 1}
        assert scan.tables["train"].findings[0].rows == (10,)
    assert len(client.list_allow_lists()["allowLists"]) == 2
    assert len(aws.store.list(WORK, "macie/")) == 1


def test_identifiers_stay_and_are_created_once(aws, client):
    def names() -> list[str]:
        pages = client.get_paginator("list_custom_data_identifiers").paginate()
        return [item["name"] for page in pages for item in page["items"]]

    scan_with_macie(aws, {"train": table(10)}, METADATA, HEADERS, PIIConfig())
    before = names()
    scan_with_macie(aws, {"train": table(10)}, METADATA, HEADERS, PIIConfig())
    assert names() == before
    assert len(set(before)) == len(before)


# the endpoint itself


def test_managed_identifiers_are_those_that_the_job_includes(put, read):
    people = "Full name,Date of birth\n" + "".join(
        f"{first} {last},19{year}-03-1{year % 10}\n"
        for first in ("Anna", "Peter", "Maria", "James")
        for last, year in (("Schmidt", 61), ("Johnson", 75), ("Müller", 88))
    )
    prefix = put("people.csv", people)
    detected = read(prefix, ["NAME", "DATE_OF_BIRTH"])
    assert {d.type: d.count for d in detected["people.csv"]} == {"NAME": 12, "DATE_OF_BIRTH": 12}
    assert [d.type for d in read(prefix, ["NAME"])["people.csv"]] == ["NAME"]
    assert read(prefix, ["USA_SOCIAL_SECURITY_NUMBER"]) == {}


CUSTOM = {"name": "tabveil-CASE-0123456789ab", "regex": r"\bC\d{4}\b", "keywords": ["case"], "maximumMatchDistance": 12}


@pytest.mark.parametrize(
    ("header", "cell", "count"),
    [
        ("Case no", "C1234", 1),
        ("case_no", "C1234 and C2345", 2),
        ("note", "my case C1234", 1),
        ("note", "C1234 is my case", 0),
        ("note", "my case is a very long story: C1234", 0),
        ("note", "C1234", 0),
        ("case", "C12345", 0),
    ],
)
def test_keywords_vouch_for_a_custom_identifier(put, read, header, cell, count):
    detected = read(put("t.csv", f'{header},x\n"{cell}",1\n'), (), [CUSTOM]).get("t.csv", [])
    assert [d.count for d in detected] == ([count] if count else [])


def test_ignore_words_and_severity_levels_are_kept(put, read):
    levels = [{"occurrencesThreshold": 2, "severity": "HIGH"}]
    payload = {
        "name": "tabveil-CODE-0123456789ab",
        "regex": r"Z\d{4}",
        "ignoreWords": ["Z0000"],
        "severityLevels": levels,
    }
    assert read(put("one.csv", "a,b\nZ1111,Z0000\n"), (), [payload]) == {}
    assert [d.count for d in read(put("two.csv", "a,b\nZ1111,Z2222\n"), (), [payload])["two.csv"]] == [2]


def test_an_object_that_is_no_utf8_table_has_no_finding(put, read):
    put("good.csv", "mail\nx@firstbank.example\n")
    put("latin.csv", "mail\nJörg x@firstbank.example\n".encode("latin-1"))
    prefix = put("ragged.csv", "a\n1,2,3\n")
    payload = {"name": "tabveil-EMAIL_ADDRESS-0123456789ab", "regex": r"\w+@\w+\.\w+"}
    assert [*read(prefix, (), [payload])] == ["good.csv"]


def test_findings_of_a_hundred_objects_come_by_pages(put, read):
    for number in range(60):
        prefix = put(f"{number}.csv", "mail\nx@firstbank.example\n")
    assert len(read(prefix, (), [{"name": "tabveil-EMAIL_ADDRESS-0123456789ac", "regex": r"\w+@\w+\.\w+"}])) == 60


def job(aws, **changes):
    scope = Scope(aws.account_id(), WORK, "nothing/")
    asked = {
        "clientToken": "t1",
        "jobType": "ONE_TIME",
        "name": "n",
        "s3JobDefinition": scope.definition(),
        "managedDataIdentifierSelector": "INCLUDE",
        "managedDataIdentifierIds": ["NAME"],
    }
    return {**asked, **changes}


def test_the_same_token_starts_one_job(aws, client):
    first, again = (client.create_classification_job(**job(aws)) for _ in range(2))
    assert first["jobId"] == again["jobId"]
    assert first["jobId"] in {item["jobId"] for item in client.list_classification_jobs()["items"]}


@pytest.mark.parametrize(
    "changes",
    [
        {"jobType": "SCHEDULED"},
        {"samplingPercentage": 50},
        {"managedDataIdentifierSelector": "RECOMMENDED"},
        {"customDataIdentifierIds": ["x"] * 31},
        {"s3JobDefinition": {"bucketCriteria": {}}},
    ],
)
def test_what_is_not_emulated_is_refused(aws, client, changes):
    with pytest.raises(client.exceptions.ValidationException):
        client.create_classification_job(**job(aws, clientToken="t2", **changes))


def test_a_scope_that_is_not_emulated_is_refused(aws, client):
    asked = job(aws, clientToken="t3")
    asked["s3JobDefinition"]["scoping"]["includes"]["and"][0]["simpleScopeTerm"]["comparator"] = "CONTAINS"
    with pytest.raises(client.exceptions.ValidationException, match="one scope"):
        client.create_classification_job(**asked)


def test_what_does_not_exist_is_not_found(aws, client):
    for call in (
        lambda: client.describe_classification_job(jobId="none"),
        lambda: client.update_classification_job(jobId="none", jobStatus="CANCELLED"),
        lambda: client.get_custom_data_identifier(id="none"),
        lambda: client.delete_custom_data_identifier(id="none"),
        lambda: client.create_classification_job(**job(aws, clientToken="t4", customDataIdentifierIds=["none"])),
    ):
        with pytest.raises(client.exceptions.ResourceNotFoundException):
            call()


def test_an_ended_job_cannot_be_cancelled(aws, client):
    job_id = client.create_classification_job(**job(aws, clientToken="t5"))["jobId"]
    while client.describe_classification_job(jobId=job_id)["jobStatus"] == "RUNNING":
        pass
    with pytest.raises(client.exceptions.ValidationException, match="COMPLETE"):
        client.update_classification_job(jobId=job_id, jobStatus="CANCELLED")


def test_a_deleted_identifier_is_no_longer_listed(client):
    made = client.create_custom_data_identifier(name="gone", regex="x", description="d", tags={"a": "b"})
    id_ = made["customDataIdentifierId"]
    client.delete_custom_data_identifier(id=id_)
    listed = client.get_paginator("list_custom_data_identifiers").paginate()
    assert id_ not in {item["id"] for page in listed for item in page["items"]}
    assert client.get_custom_data_identifier(id=id_)["deleted"] is True


def test_a_bucket_that_does_not_exist_is_a_run_error(aws, client):
    scope = Scope(aws.account_id(), "tabveil-nowhere", "x/")
    macie = Macie(client, aws.environment.macie, {})
    with pytest.raises(Exception, match="lastRunErrorStatus is ERROR"):
        macie.run(scope, ["NAME"], [])


def test_every_call_of_the_adapter_is_answered_as_the_service_model_has_it(aws, put):
    client, answered = aws.client("macie2"), set()
    client.meta.events.register("after-call.macie2", lambda model, **_: answered.add(model.name))
    prefix = put("t.csv", "mail\nx@firstbank.example\n")
    macie = Macie(client, aws.environment.macie, {"project": "tabveil"})
    client.disable_macie()
    macie.enable()
    custom_ids = macie.custom_ids([{"name": "tabveil-EMAIL_ADDRESS-0123456789ad", "regex": r"\w+@\w+\.\w+"}])
    allow_ids = macie.allow_ids([{"name": "tabveil-allow-0123456789ad", "criteria": {"regex": "nothing"}}])
    job_id = macie.run(Scope(aws.account_id(), WORK, prefix), ["NAME"], custom_ids, allow_ids)
    assert len(macie.findings(job_id, [f"{prefix}t.csv"])) == 1
    assert macie._running("tabveil-" + prefix.strip("/").replace("/", "-")) == []
    assert answered == {
        *("GetMacieSession", "DisableMacie", "EnableMacie", "ListCustomDataIdentifiers", "CreateCustomDataIdentifier"),
        *("ListAllowLists", "CreateAllowList", "CreateClassificationJob", "DescribeClassificationJob"),
        *("ListClassificationJobs", "ListFindings", "GetFindings"),
    }


def test_macie_is_enabled_where_it_was_disabled(aws, client):
    client.disable_macie()
    macie = Macie(client, aws.environment.macie, {})
    macie.enable()
    assert client.get_macie_session()["status"] == "ENABLED"
