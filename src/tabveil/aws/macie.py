"""Amazon Macie through boto3: its session, custom data identifiers, one-time jobs and their findings.

The calls and their order follow the Macie API reference (`macie2` in botocore). `get_findings` tells about occurrences
by place and count; the call that would reveal values is made nowhere, and infra/template.yaml denies it.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from tabveil.aws.failures import aws_border, error_code
from tabveil.aws.macie_findings import ObjectFinding, by_object, parse
from tabveil.aws.polling import cancelling, poll
from tabveil.config import MacieConfig
from tabveil.custom_types import MAX_IDENTIFIERS_PER_JOB
from tabveil.errors import CloudError, ConfigError, ScanIncompleteError

PAGE = 50  # finding ids per call: the service's limit for get_findings
SESSION_SECONDS = 60.0
NOT_ENDED_WELL = {
    "PAUSED": "the account's monthly quota of sensitive data discovery is used up: raise it in Service Quotas",
    "USER_PAUSED": "someone paused it: find out who, and run verify again",
    "IDLE": "that state belongs to scheduled jobs: run verify again",
    "CANCELLED": "someone cancelled it: run verify again",
}
ENDED = ("COMPLETE", "CANCELLED")


@dataclass(frozen=True)
class Scope:
    """What a job reads: every object below a prefix."""

    account_id: str
    bucket: str
    prefix: str

    def definition(self) -> dict[str, Any]:
        """`s3JobDefinition`."""
        term = {"comparator": "STARTS_WITH", "key": "OBJECT_KEY", "values": [self.prefix]}
        return {
            "bucketDefinitions": [{"accountId": self.account_id, "buckets": [self.bucket]}],
            "scoping": {"includes": {"and": [{"simpleScopeTerm": term}]}},
        }


class Macie:
    """One account's Macie.

    Args:
        client: boto3's ``macie2``.
        tags: of what is created.
        sleep, clock: stand-ins for tests.
    """

    def __init__(
        self,
        client: Any,
        settings: MacieConfig,
        tags: Mapping[str, str],
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._settings = settings
        self._tags = dict(tags)
        self._sleep = sleep
        self._clock = clock

    def enable(self) -> None:
        """Enable Macie if the account has none.

        Raises:
            CloudError: refused, or the account's Macie is suspended.
        """
        status = self._session_status()
        if status is None:
            with aws_border("Macie", "be enabled"):
                self._enable()
            status = poll(
                self._session_status,
                lambda seen: seen is not None,
                what="enabling Macie",
                timeout_seconds=SESSION_SECONDS,
                every_seconds=self._settings.poll_seconds,
                sleep=self._sleep,
                clock=self._clock,
            )
        if status != "ENABLED":
            raise CloudError(f"Macie must be ENABLED in this account and Region, however it is {status}: resume it")

    def custom_ids(self, identifiers: Sequence[Mapping[str, Any]]) -> list[str]:
        """Ids of custom data identifiers; what the account does not have under its name is created.

        A name ends in the digest of what it names, so that the same name means the same identifier.

        Args:
            identifiers: `create_custom_data_identifier` arguments.

        Raises:
            ConfigError: more than a job takes.
            CloudError: refused.
        """
        if len(identifiers) > MAX_IDENTIFIERS_PER_JOB:
            raise ConfigError(
                f"a Macie job takes {MAX_IDENTIFIERS_PER_JOB} custom data identifiers, however there are "
                f"{len(identifiers)}: declare fewer in pii.identifiers"
            )
        present = self._present(self._client.get_paginator("list_custom_data_identifiers"), "items")
        return [present.get(wanted["name"]) or self._create_custom(wanted) for wanted in identifiers]

    def allow_ids(self, lists: Sequence[Mapping[str, Any]]) -> list[str]:
        """Ids of allow lists; what the account does not have under its name is created.

        Args:
            lists: `create_allow_list` arguments; the objects that they name are in their buckets.

        Raises:
            CloudError: refused.
        """
        if not lists:
            return []
        present = self._present(self._client.get_paginator("list_allow_lists"), "allowLists")
        return [present.get(wanted["name"]) or self._create_allow_list(wanted) for wanted in lists]

    def run(
        self, scope: Scope, managed_ids: Sequence[str], custom_ids: Sequence[str], allow_ids: Sequence[str] = ()
    ) -> str:
        """Run a one-time job to its end; it is cancelled when we stop waiting, also for the answer to its start.

        Args:
            scope: its prefix is of this job only, and names it.

        Returns:
            The job's id.

        Raises:
            CloudError: refused, paused, cancelled, or not done in time.
            ScanIncompleteError: it ended, but could not read everything.
        """
        job_id = ""
        with cancelling(lambda: self._cancel([job_id] if job_id else self._running(_job_name(scope)))):
            job_id = self._create_job(scope, managed_ids, custom_ids, allow_ids)
            ended = self._wait(job_id)
            if ended["jobStatus"] not in ENDED:
                raise _not_complete(job_id, ended["jobStatus"])
        if ended["jobStatus"] == "CANCELLED":
            raise _not_complete(job_id, "CANCELLED")
        _require_whole(job_id, ended)
        return job_id

    def findings(self, job_id: str, keys: Iterable[str]) -> dict[str, ObjectFinding]:
        """What a finished job found, by object.

        Waits until every object has a finding (each holds an end marker), at most `findings_seconds`.

        Raises:
            CloudError: refused, or an answer that is not in the service's model.
            ScanIncompleteError: findings are listed that cannot be fetched.
        """
        wanted, deadline = set(keys), self._clock() + self._settings.findings_seconds
        while True:
            found = by_object(self._fetch(job_id))
            if wanted <= set(found) or self._clock() >= deadline:
                return found
            self._sleep(self._settings.poll_seconds)

    def _session_status(self) -> str | None:
        with aws_border("Macie", "describe its session"):
            try:
                return str(self._client.get_macie_session()["status"])
            except ClientError as err:
                if error_code(err) == "ResourceNotFoundException" or "Macie is not enabled" in str(err):
                    return None
                raise

    def _enable(self) -> None:
        try:
            self._client.enable_macie(clientToken=str(uuid.uuid4()), status="ENABLED")
        except ClientError as err:
            if error_code(err) != "ConflictException":  # someone else was faster
                raise

    def _present(self, paginator: Any, member: str) -> dict[str, str]:
        """Name -> id of what the account has."""
        with aws_border("Macie", f"list its {member}"):
            return {item["name"]: item["id"] for page in paginator.paginate() for item in page.get(member, [])}

    def _create_allow_list(self, wanted: Mapping[str, Any]) -> str:
        with aws_border("Macie", f"create the allow list {wanted['name']}"):
            answer = self._client.create_allow_list(**wanted, clientToken=str(uuid.uuid4()), tags=self._tags)
        return str(answer["id"])

    def _create_custom(self, wanted: Mapping[str, Any]) -> str:
        with aws_border("Macie", f"create the custom data identifier {wanted['name']}"):
            answer = self._client.create_custom_data_identifier(
                **wanted, clientToken=str(uuid.uuid4()), tags=self._tags
            )
        return str(answer["customDataIdentifierId"])

    def _create_job(
        self, scope: Scope, managed_ids: Sequence[str], custom_ids: Sequence[str], allow_ids: Sequence[str]
    ) -> str:
        allowed = {"allowListIds": list(allow_ids)} if allow_ids else {}
        with aws_border("Macie", f"start a job over s3://{scope.bucket}/{scope.prefix}"):
            answer = self._client.create_classification_job(
                clientToken=str(uuid.uuid4()),
                name=_job_name(scope),
                jobType="ONE_TIME",
                s3JobDefinition=scope.definition(),
                managedDataIdentifierSelector="INCLUDE",
                managedDataIdentifierIds=list(managed_ids),
                customDataIdentifierIds=list(custom_ids),
                samplingPercentage=100,
                tags=self._tags,
                **allowed,
            )
        return str(answer["jobId"])

    def _describe(self, job_id: str) -> dict[str, Any]:
        with aws_border("Macie", f"describe job {job_id}"):
            seen: dict[str, Any] = self._client.describe_classification_job(jobId=job_id)
        return seen

    def _wait(self, job_id: str) -> dict[str, Any]:
        return poll(
            lambda: self._describe(job_id),
            lambda seen: seen["jobStatus"] != "RUNNING",
            what=f"Macie job {job_id}",
            timeout_seconds=self._settings.timeout_minutes * 60,
            every_seconds=self._settings.poll_seconds,
            sleep=self._sleep,
            clock=self._clock,
        )

    def _running(self, name: str) -> list[str]:
        """Ids of the jobs of a name that have not ended: one, or none if it never began."""
        named = {"includes": [{"comparator": "EQ", "key": "name", "values": [name]}]}
        with aws_border("Macie", f"look for job {name}"):
            pages = self._client.get_paginator("list_classification_jobs").paginate(filterCriteria=named)
            jobs = [job for page in pages for job in page.get("items", [])]
        return [job["jobId"] for job in jobs if job["jobStatus"] not in ENDED]

    def _cancel(self, job_ids: Iterable[str]) -> None:
        for job_id in job_ids:
            with aws_border("Macie", f"cancel job {job_id}"):
                self._client.update_classification_job(jobId=job_id, jobStatus="CANCELLED")

    def _fetch(self, job_id: str) -> list[ObjectFinding]:
        criteria = {"criterion": {"classificationDetails.jobId": {"eq": [job_id]}}}
        found: list[ObjectFinding] = []
        with aws_border("Macie", f"list the findings of job {job_id}"):
            pages = self._client.get_paginator("list_findings").paginate(
                findingCriteria=criteria, PaginationConfig={"PageSize": PAGE}
            )
            ids = [id_ for page in pages for id_ in page.get("findingIds", [])]
            for some in (ids[start : start + PAGE] for start in range(0, len(ids), PAGE)):
                found += map(parse, self._client.get_findings(findingIds=some)["findings"])
        if len(found) != len(ids):
            raise ScanIncompleteError(f"Macie must give {len(ids)} findings, however it gave {len(found)}: run again")
        return found


def _job_name(scope: Scope) -> str:
    return "tabveil-" + scope.prefix.strip("/").replace("/", "-")


def _not_complete(job_id: str, status: str) -> CloudError:
    why = NOT_ENDED_WELL.get(status, "no such state is known: compare the pinned boto3 with AWS's current API")
    return CloudError(f"Macie job {job_id} must end COMPLETE, however it is {status}: {why}")


def _require_whole(job_id: str, ended: Mapping[str, Any]) -> None:
    error = ended.get("lastRunErrorStatus", {}).get("code")
    left = ended.get("statistics", {}).get("approximateNumberOfObjectsToProcess", 0)
    if error != "NONE":
        raise ScanIncompleteError(
            f"Macie job {job_id} must end without an error, however lastRunErrorStatus is {error}: let Macie read the "
            "work bucket and use its KMS key (docs/macie.md)"
        )
    if left:
        raise ScanIncompleteError(f"Macie job {job_id} must read every object, however {left:g} are left: run again")
