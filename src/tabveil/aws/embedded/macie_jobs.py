"""Macie's identifiers, allow lists, jobs and findings, which moto does not have: a job really scans its objects.

A job runs in a thread and reads CSV objects from the embedded object store with the project's own scanner (managed
identifiers) and with regexes (custom data identifiers). Findings are in Macie's shape; an object in which nothing is
found has none, and neither has one that cannot be read. What this endpoint does not emulate (schedules, bucket
criteria, scopes other than a key's prefix, the recommended set of identifiers) it refuses.

Faults for chaos tests: a file ``macie_faults.json`` in the endpoint's folder, read when a job starts and at each call::

    {"job": "pause" | "user_pause" | "cancel" | "run_error" | "hang",
     "skip": ["holdout.csv"],                                     # these objects have no finding
     "partial": ["train.csv"],                                    # these are PARTIAL
     "calls": {"DescribeClassificationJob": ["ThrottlingException", "ExpiredTokenException"]}}   # first calls fail
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from functools import wraps
from typing import Any

from moto.macie2 import urls
from moto.macie2.exceptions import MacieException, ResourceNotFoundException, ValidationException
from moto.macie2.responses import MacieResponse

from tabveil.aws.embedded.context import Context
from tabveil.aws.embedded.macie_answers import now
from tabveil.aws.embedded.macie_records import ENDED, Faults, Job, Records, prefixes
from tabveil.custom_types import MAX_IDENTIFIERS_PER_JOB, MAX_KEYWORDS, MAX_REGEX

FAULTS = "macie_faults.json"
PATHS = (
    *("custom-data-identifiers", "custom-data-identifiers/list", "custom-data-identifiers/(?P<id>[^/]+)"),
    *("jobs", "jobs/list", "jobs/(?P<id>[^/]+)", "findings", "findings/describe", "allow-lists"),
)
STATUS_CODES = {"ThrottlingException": 429, "ExpiredTokenException": 403, "InternalServerException": 500}
SELECTORS = ("INCLUDE", "EXCLUDE", "ALL", "NONE")
MAX_DESCRIBED = 50
Answer = Callable[[Records, dict[str, Any]], dict[str, Any]]


class PlannedError(MacieException):
    """A failure that a test asked for."""

    def __init__(self, name: str) -> None:
        super().__init__(name, "planned by a test")
        self.code = STATUS_CODES.get(name, 400)
        self._name = name

    def get_headers(self, *_args: Any, **_kwargs: Any) -> list[tuple[str, str]]:
        """The error's name, as rest-json has it."""
        return [("x-amzn-ErrorType", self._name)]


def install(context: Context) -> None:
    """Add what moto's Macie lacks."""
    faults = Faults(context.folder / FAULTS)
    service = _Service(context, faults)
    for path in PATHS:
        urls.url_paths["{0}/" + path + "$"] = MacieResponse.dispatch
    answers: dict[str, Answer] = {
        "create_custom_data_identifier": create_identifier,
        "get_custom_data_identifier": get_identifier,
        "list_custom_data_identifiers": list_identifiers,
        "delete_custom_data_identifier": delete_identifier,
        "create_allow_list": create_allow_list,
        "list_allow_lists": list_allow_lists,
        "create_classification_job": service.create_job,
        "describe_classification_job": describe_job,
        "list_classification_jobs": list_jobs,
        "update_classification_job": update_job,
        "list_findings": list_findings,
        "get_findings": get_findings,
    }
    for name, answer in answers.items():
        setattr(MacieResponse, name, service.answering(name, answer))
    for name in ("get_macie_session", "enable_macie"):
        setattr(MacieResponse, name, service.failing_as_planned(name, getattr(MacieResponse, name)))


class _Service:
    """Macie of every account and Region that asks."""

    def __init__(self, context: Context, faults: Faults) -> None:
        self._context = context
        self._faults = faults
        self._records: dict[tuple[str, str], Records] = {}

    def answering(self, name: str, answer: Answer) -> Callable[[MacieResponse], str]:
        """A method of `MacieResponse` that gives the answer as JSON."""

        def method(response: MacieResponse) -> str:
            account_id, region = response.current_account, response.region
            records = self._records.setdefault((account_id, region), Records(account_id, region))
            sent = json.loads(response.body) if response.body else {}
            return json.dumps(answer(records, sent | dict(response.uri_match)))

        return self.failing_as_planned(name, method)

    def failing_as_planned(self, name: str, method: Callable[..., str]) -> Callable[..., str]:
        """The method, failing as often as the faults' file says."""
        operation = "".join(part.title() for part in name.split("_"))

        @wraps(method)
        def guarded(response: MacieResponse) -> str:
            error = self._faults.next_error(operation)
            if error is not None:
                raise PlannedError(error)
            return method(response)

        return guarded

    def create_job(self, records: Records, sent: dict[str, Any]) -> dict[str, Any]:
        """`CreateClassificationJob`; the same token gives the same job."""
        for job in records.jobs.values():
            if job.asked["clientToken"] == sent["clientToken"]:
                return _created(job)
        _check_job(records, sent)
        job = Job(secrets.token_hex(16), sent, records, self._context.s3(), self._faults.read())
        records.jobs[job.id] = job
        job.start()
        return _created(job)


def _created(job: Job) -> dict[str, Any]:
    return {"jobArn": job.records.arn("classification-job", job.id), "jobId": job.id}


def _check_job(records: Records, sent: dict[str, Any]) -> None:
    _require(sent["jobType"] == "ONE_TIME", "this endpoint runs ONE_TIME jobs only")
    _require("bucketDefinitions" in sent["s3JobDefinition"], "this endpoint wants bucketDefinitions")
    _require(sent.get("managedDataIdentifierSelector") in SELECTORS, f"this endpoint wants one of {SELECTORS}")
    _require(sent.get("samplingPercentage", 100) == 100, "this endpoint reads every object")
    customs = sent.get("customDataIdentifierIds", [])
    _require(len(customs) <= MAX_IDENTIFIERS_PER_JOB, f"at most {MAX_IDENTIFIERS_PER_JOB} custom data identifiers")
    for id_ in customs:
        _known(records.identifiers, id_)
    for id_ in sent.get("allowListIds", []):
        _known(records.allow_lists, id_)
    try:
        prefixes(sent["s3JobDefinition"])
    except ValueError as err:
        raise ValidationException(str(err)) from err


def describe_job(records: Records, sent: dict[str, Any]) -> dict[str, Any]:
    """`DescribeClassificationJob`."""
    job: Job = _known(records.jobs, sent["jobId"])
    return job.described()


def list_jobs(records: Records, sent: dict[str, Any]) -> dict[str, Any]:
    """`ListClassificationJobs`, of one name or of all."""
    criteria = sent.get("filterCriteria", {})
    terms = criteria.get("includes", [])
    known = set(criteria) <= {"includes"} and all((t["key"], t["comparator"]) == ("name", "EQ") for t in terms)
    _require(known, "this endpoint filters jobs by name")
    wanted = [set(term["values"]) for term in terms]
    jobs = [job.summary() for job in records.jobs.values() if all(job.asked["name"] in names for names in wanted)]
    return _page("items", jobs, sent, 25)


def update_job(records: Records, sent: dict[str, Any]) -> dict[str, Any]:
    """`UpdateClassificationJob`: only cancelling."""
    job: Job = _known(records.jobs, sent["jobId"])
    _require(sent["jobStatus"] == "CANCELLED", "this endpoint cancels jobs only")
    _require(job.status not in ENDED, f"the job is {job.status}")
    job.cancel()
    return {}


def create_identifier(records: Records, sent: dict[str, Any]) -> dict[str, Any]:
    """`CreateCustomDataIdentifier`."""
    _require(1 <= len(sent["regex"]) <= MAX_REGEX, f"a regex has at most {MAX_REGEX} characters")
    _require(len(sent["name"]) <= 128, "a name has at most 128 characters")
    _require(len(sent.get("keywords", [])) <= MAX_KEYWORDS, f"at most {MAX_KEYWORDS} keywords")
    id_ = secrets.token_hex(16)
    described = {name: value for name, value in sent.items() if name != "clientToken"}
    arn = records.arn("custom-data-identifier", id_)
    records.identifiers[id_] = described | {"arn": arn, "createdAt": now(), "deleted": False, "id": id_}
    return {"customDataIdentifierId": id_}


def get_identifier(records: Records, sent: dict[str, Any]) -> dict[str, Any]:
    """`GetCustomDataIdentifier`."""
    found: dict[str, Any] = _known(records.identifiers, sent["id"])
    return found


def list_identifiers(records: Records, sent: dict[str, Any]) -> dict[str, Any]:
    """`ListCustomDataIdentifiers`, without the deleted ones."""
    shown = ("arn", "createdAt", "description", "id", "name")
    items = [{n: i[n] for n in shown if n in i} for i in records.identifiers.values() if not i["deleted"]]
    return _page("items", items, sent, 25)


def delete_identifier(records: Records, sent: dict[str, Any]) -> dict[str, Any]:
    """`DeleteCustomDataIdentifier`: marked only, jobs still know it."""
    _known(records.identifiers, sent["id"])["deleted"] = True
    return {}


def create_allow_list(records: Records, sent: dict[str, Any]) -> dict[str, Any]:
    """`CreateAllowList`."""
    _require(len(sent["criteria"]) == 1, "criteria are either a regex or an s3WordsList")
    id_ = secrets.token_hex(11)
    made = {"arn": records.arn("allow-list", id_), "createdAt": now(), "id": id_, "updatedAt": now()}
    records.allow_lists[id_] = made | {"name": sent["name"], "criteria": sent["criteria"]}
    return {"arn": made["arn"], "id": id_}


def list_allow_lists(records: Records, _sent: dict[str, Any]) -> dict[str, Any]:
    """`ListAllowLists`, on one page: an account has ten at most."""
    lists = records.allow_lists.values()
    return {"allowLists": [{n: v for n, v in item.items() if n != "criteria"} for item in lists]}


def list_findings(records: Records, sent: dict[str, Any]) -> dict[str, Any]:
    """`ListFindings`, of one job or of all."""
    criterion = sent.get("findingCriteria", {}).get("criterion", {})
    wanted = criterion.get("classificationDetails.jobId", {}).get("eq")
    _require(set(criterion) <= {"classificationDetails.jobId"}, "this endpoint filters by classificationDetails.jobId")
    ids = [
        id_
        for id_, found in list(records.findings.items())
        if wanted is None or found["classificationDetails"]["jobId"] in wanted
    ]
    return _page("findingIds", ids, sent, 50)


def get_findings(records: Records, sent: dict[str, Any]) -> dict[str, Any]:
    """`GetFindings`."""
    ids = sent["findingIds"]
    _require(1 <= len(ids) <= MAX_DESCRIBED, f"1 to {MAX_DESCRIBED} findingIds")
    return {"findings": [records.findings[id_] for id_ in ids if id_ in records.findings]}


def _page(name: str, items: list[Any], sent: dict[str, Any], most: int) -> dict[str, Any]:
    """One page of a list; the token is the position of the next one."""
    start = int(sent.get("nextToken") or 0)
    end = start + min(int(sent.get("maxResults") or most), most)
    return {name: items[start:end]} | ({"nextToken": str(end)} if end < len(items) else {})


def _known(records: dict[str, Any], id_: str) -> Any:
    if id_ not in records:
        raise ResourceNotFoundException("The request failed because the specified resource doesn't exist.")
    return records[id_]


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise ValidationException(message)
