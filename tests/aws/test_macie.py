"""The Macie adapter against botocore's service model: every state a job can be in, every answer that may come."""

from __future__ import annotations

from pathlib import Path

import aws_shapes
import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ReadTimeoutError
from botocore.stub import ANY, Stubber

from tabveil.aws.macie import Macie, Scope
from tabveil.aws.macie_findings import MARKER
from tabveil.config import MacieConfig, PIIConfig
from tabveil.custom_types import IdentifierSpec
from tabveil.errors import CloudError, ConfigError, ScanIncompleteError
from tabveil.pii.custom import declared_identifiers, macie_custom_identifiers, managed_identifiers

SCOPE = Scope("123456789012", "tabveil-work", "verify/loans/run/")
JOB = {"jobId": "j1"}
STATES = aws_shapes.service_model("macie2").shape_for("JobStatus").enum


class Clock:
    """Time that passes by sleeping only."""

    def __init__(self) -> None:
        self.now = 0.0
        self.interrupt_at = float("inf")

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.now >= self.interrupt_at:
            raise KeyboardInterrupt

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def client():
    settings = Config(retries={"total_max_attempts": 1})
    made = boto3.client("macie2", "eu-central-1", aws_access_key_id="a", aws_secret_access_key="b", config=settings)
    return aws_shapes.watch(made)


@pytest.fixture
def stub(client):
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
def macie(client, clock) -> Macie:
    settings = MacieConfig(timeout_minutes=2, poll_seconds=10, findings_seconds=60)
    return Macie(client, settings, {"project": "tabveil"}, sleep=clock.sleep, clock=clock)


def job_created(stub: Stubber) -> None:
    stub.add_response("create_classification_job", JOB)


def job_seen(stub: Stubber, status: str, **more) -> None:
    stub.add_response("describe_classification_job", {"jobStatus": status, **more}, JOB)


def job_done(stub: Stubber, **statistics: float) -> None:
    job_seen(stub, "COMPLETE", lastRunErrorStatus={"code": "NONE"}, statistics=statistics)


def cancelled(stub: Stubber) -> None:
    stub.add_response("update_classification_job", {}, {"jobId": "j1", "jobStatus": "CANCELLED"})


def listed_jobs(stub: Stubber, *states: str) -> None:
    """The jobs of our name, by their states."""
    named = {"includes": [{"comparator": "EQ", "key": "name", "values": ["tabveil-verify-loans-run"]}]}
    items = [{"jobId": f"j{number}", "jobStatus": state} for number, state in enumerate(states, 1)]
    stub.add_response("list_classification_jobs", {"items": items}, {"filterCriteria": named})


# session


def test_an_enabled_session_is_left_alone(macie, stub):
    stub.add_response("get_macie_session", {"status": "ENABLED"})
    macie.enable()


@pytest.mark.parametrize(
    ("code", "message"),
    [("ResourceNotFoundException", "none"), ("AccessDeniedException", "Macie is not enabled.")],
)
def test_macie_is_enabled_where_the_account_has_none(macie, stub, code, message):
    stub.add_client_error("get_macie_session", code, message)
    stub.add_response("enable_macie", {}, {"clientToken": ANY, "status": "ENABLED"})
    stub.add_client_error("get_macie_session", code, message)
    stub.add_response("get_macie_session", {"status": "ENABLED"})
    macie.enable()


def test_another_who_enables_it_at_the_same_time_is_welcome(macie, stub):
    stub.add_client_error("get_macie_session", "ResourceNotFoundException")
    stub.add_client_error("enable_macie", "ConflictException")
    stub.add_response("get_macie_session", {"status": "ENABLED"})
    macie.enable()


def test_a_suspended_session_is_not_resumed_by_us(macie, stub):
    stub.add_response("get_macie_session", {"status": "PAUSED"})
    with pytest.raises(CloudError, match="it is PAUSED: resume it"):
        macie.enable()


def test_a_refused_session_is_an_error(macie, stub):
    stub.add_client_error("get_macie_session", "AccessDeniedException", "not authorized to perform")
    with pytest.raises(CloudError, match="compare the role"):
        macie.enable()


def test_enabling_that_never_takes_effect_ends(macie, stub, clock):
    stub.add_client_error("get_macie_session", "ResourceNotFoundException")
    stub.add_response("enable_macie", {})
    for _ in range(10):
        stub.add_client_error("get_macie_session", "ResourceNotFoundException")
    with pytest.raises(CloudError, match="must end within 60 s"):
        macie.enable()


# custom data identifiers


def test_identifiers_are_created_once_and_reused_by_name(macie, stub):
    first, second = macie_custom_identifiers()[:2]
    page = {"items": [{"name": "someone else's", "id": "x"}], "nextToken": "t"}
    stub.add_response("list_custom_data_identifiers", page, {})
    stub.add_response(
        "list_custom_data_identifiers", {"items": [{"name": first["name"], "id": "i1"}]}, {"nextToken": "t"}
    )
    asked = {**second, "clientToken": ANY, "tags": {"project": "tabveil"}}
    stub.add_response("create_custom_data_identifier", {"customDataIdentifierId": "i2"}, asked)
    assert macie.custom_ids([first, second]) == ["i1", "i2"]


def test_everything_we_ask_macie_to_look_for_is_within_its_service_model(macie, stub):
    declared = declared_identifiers(PIIConfig(identifiers={"staff": IdentifierSpec(regex=r"\bST-\d{5}\b")}))
    payloads = [MARKER, *macie_custom_identifiers(), *declared]
    stub.add_response("list_custom_data_identifiers", {"items": []})
    for number in range(len(payloads)):
        stub.add_response("create_custom_data_identifier", {"customDataIdentifierId": f"i{number}"})
    assert len(macie.custom_ids(payloads)) == len(payloads) <= 30


def test_more_identifiers_than_a_job_takes_are_refused_before_any_call(macie, stub):
    with pytest.raises(ConfigError, match="a Macie job takes 30 custom data identifiers, however there are 31"):
        macie.custom_ids([MARKER] * 31)


# jobs


def test_a_job_reads_every_object_below_the_prefix_and_no_other(macie, stub):
    asked = {
        "clientToken": ANY,
        "customDataIdentifierIds": ["i1"],
        "jobType": "ONE_TIME",
        "managedDataIdentifierIds": managed_identifiers(),
        "managedDataIdentifierSelector": "INCLUDE",
        "name": "tabveil-verify-loans-run",
        "s3JobDefinition": {
            "bucketDefinitions": [{"accountId": "123456789012", "buckets": ["tabveil-work"]}],
            "scoping": {
                "includes": {
                    "and": [
                        {
                            "simpleScopeTerm": {
                                "comparator": "STARTS_WITH",
                                "key": "OBJECT_KEY",
                                "values": ["verify/loans/run/"],
                            }
                        }
                    ]
                }
            },
        },
        "samplingPercentage": 100,
        "tags": {"project": "tabveil"},
    }
    stub.add_response("create_classification_job", JOB, asked)
    job_seen(stub, "RUNNING")
    job_seen(stub, "RUNNING")
    job_done(stub, approximateNumberOfObjectsToProcess=0.0, numberOfRuns=1.0)
    assert macie.run(SCOPE, managed_identifiers(), ["i1"]) == "j1"


def test_names_addresses_phones_and_births_are_asked_for_by_name():
    assert {"NAME", "ADDRESS", "PHONE_NUMBER", "DATE_OF_BIRTH", "BANK_ACCOUNT_NUMBER"} <= set(managed_identifiers())


WRONG_STATES = sorted({*STATES} - {"RUNNING", "COMPLETE"})


def test_the_service_model_knows_no_state_that_is_not_tested_here():
    assert set(WRONG_STATES) == {"CANCELLED", "IDLE", "PAUSED", "USER_PAUSED"}


@pytest.mark.parametrize("status", WRONG_STATES)
def test_every_other_state_is_an_error_and_leaves_no_job_running(macie, stub, status):
    job_created(stub)
    job_seen(stub, status)
    if status != "CANCELLED":
        cancelled(stub)
    with pytest.raises(CloudError, match=f"must end COMPLETE, however it is {status}"):
        macie.run(SCOPE, ["NAME"], [])


@pytest.mark.parametrize("error", [{"lastRunErrorStatus": {"code": "ERROR"}}, {"lastRunErrorStatus": {}}, {}])
def test_a_run_error_or_an_unknown_one_is_incomplete(macie, stub, error):
    job_created(stub)
    job_seen(stub, "COMPLETE", **error)
    with pytest.raises(ScanIncompleteError, match="must end without an error"):
        macie.run(SCOPE, ["NAME"], [])


def test_objects_that_are_left_are_incomplete(macie, stub):
    job_created(stub)
    job_done(stub, approximateNumberOfObjectsToProcess=2.0)
    with pytest.raises(ScanIncompleteError, match="however 2 are left"):
        macie.run(SCOPE, ["NAME"], [])


def test_a_job_that_takes_too_long_is_cancelled(macie, stub, clock):
    job_created(stub)
    for _ in range(16):
        job_seen(stub, "RUNNING")
    cancelled(stub)
    with pytest.raises(CloudError, match="must end within 120 s"):
        macie.run(SCOPE, ["NAME"], [])


def test_an_interrupt_cancels_the_job(macie, stub, clock):
    clock.interrupt_at = 5.0
    job_created(stub)
    for _ in range(3):
        job_seen(stub, "RUNNING")
    cancelled(stub)
    with pytest.raises(KeyboardInterrupt):
        macie.run(SCOPE, ["NAME"], [])


def test_a_job_that_cannot_be_cancelled_either_is_a_note(macie, stub, clock):
    job_created(stub)
    stub.add_client_error("describe_classification_job", "ExpiredTokenException", "expired")
    stub.add_client_error("update_classification_job", "ExpiredTokenException", "expired")
    with pytest.raises(CloudError, match="log in again") as caught:
        macie.run(SCOPE, ["NAME"], [])
    assert "could not be cancelled" in caught.value.__notes__[0]


ERRORS = [
    shape.name for shape in aws_shapes.service_model("macie2").operation_model("CreateClassificationJob").error_shapes
]


@pytest.mark.parametrize("code", [*ERRORS, "ExpiredTokenException", "UnrecognizedClientException"])
def test_every_error_of_the_service_model_is_one_line(macie, stub, code):
    stub.add_client_error("create_classification_job", code, "said\nso", http_status_code=400)
    listed_jobs(stub)
    with pytest.raises(CloudError, match="Macie must start a job over s3://tabveil-work/verify/loans/run/") as caught:
        macie.run(SCOPE, ["NAME"], [])
    assert "\n" not in str(caught.value)
    assert code in str(caught.value)
    assert not hasattr(caught.value, "__notes__")


@pytest.mark.parametrize("reason", [KeyboardInterrupt(), SystemExit(143), ReadTimeoutError(endpoint_url="https://x")])
@pytest.mark.parametrize("states", [(), ("RUNNING",), ("COMPLETE",)])
def test_a_job_whose_start_was_not_answered_is_found_by_its_name(macie, client, stub, monkeypatch, reason, states):
    def interrupted(**_: object) -> None:
        raise reason

    monkeypatch.setattr(client, "create_classification_job", interrupted)
    listed_jobs(stub, *states)
    if states == ("RUNNING",):
        cancelled(stub)
    with pytest.raises((KeyboardInterrupt, SystemExit, CloudError)) as caught:
        macie.run(SCOPE, ["NAME"], [])
    assert not hasattr(caught.value, "__notes__")


def test_a_second_interrupt_says_that_the_job_may_run_on(macie, client, stub, clock, monkeypatch):
    def interrupted(**_: object) -> None:
        raise KeyboardInterrupt

    clock.interrupt_at = 5.0
    monkeypatch.setattr(client, "update_classification_job", interrupted)
    job_created(stub)
    for _ in range(3):
        job_seen(stub, "RUNNING")
    with pytest.raises(KeyboardInterrupt) as caught:
        macie.run(SCOPE, ["NAME"], [])
    assert caught.value.__notes__ == [
        "the job may run on, its cancellation was interrupted: look at it in AWS's console"
    ]


# findings


def listed(stub: Stubber, ids: list[str], **more) -> None:
    criteria = {"criterion": {"classificationDetails.jobId": {"eq": ["j1"]}}}
    token = {"nextToken": more.pop("token")} if "token" in more else {}
    asked = {"findingCriteria": criteria, "maxResults": 50, **token}
    stub.add_response("list_findings", {"findingIds": ids, **more}, asked)


def described(stub: Stubber, ids: list[str], keys: list[str]) -> None:
    answers = [
        {
            "classificationDetails": {"result": {"status": {"code": "COMPLETE"}, "sensitiveData": []}},
            "resourcesAffected": {"s3Object": {"key": key}},
            "severity": {"description": "Low", "score": 1},
        }
        for key in keys
    ]
    stub.add_response("get_findings", {"findings": answers}, {"findingIds": ids})


def test_findings_come_by_pages_and_at_most_fifty_at_a_time(macie, stub):
    ids = [f"f{number}" for number in range(70)]
    listed(stub, ids[:45], nextToken="t")
    listed(stub, ids[45:], token="t")
    described(stub, ids[:50], ids[:50])
    described(stub, ids[50:], ids[50:])
    assert [*macie.findings("j1", ids)] == ids


def test_findings_are_waited_for(macie, stub, clock):
    listed(stub, [])
    listed(stub, ["f1"])
    described(stub, ["f1"], ["p/train.csv"])
    assert [*macie.findings("j1", ["p/train.csv"])] == ["p/train.csv"]
    assert clock.now == 10


def test_findings_are_not_waited_for_for_ever(macie, stub, clock):
    for _ in range(7):
        listed(stub, [])
    assert macie.findings("j1", ["p/train.csv"]) == {}
    assert clock.now == 60


def test_findings_that_are_listed_and_not_given_are_incomplete(macie, stub):
    listed(stub, ["f1", "f2"])
    described(stub, ["f1", "f2"], ["p/train.csv"])
    with pytest.raises(ScanIncompleteError, match="must give 2 findings, however it gave 1"):
        macie.findings("j1", ["p/train.csv"])


# what is never done


def test_the_call_that_reveals_values_is_made_nowhere(repository: Path):
    named = [
        path
        for path in (repository / "src").rglob("*")
        if path.is_file() and path.suffix != ".pyc" and b"sensitive_data_occurrences" in path.read_bytes().lower()
    ]
    assert named == []
