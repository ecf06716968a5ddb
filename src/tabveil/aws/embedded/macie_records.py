"""What the embedded Macie remembers, and the thread that runs one job."""

from __future__ import annotations

import json
import logging
import secrets
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from tabveil.aws.embedded.macie_answers import Origin, finding, now
from tabveil.aws.embedded.macie_reading import (
    Detected,
    custom_detection,
    managed_detections,
    read_csv,
    typed,
    without_allowed,
)
from tabveil.errors import ScanIncompleteError
from tabveil.pii.custom import MANAGED_IDENTIFIERS

ENDED = ("COMPLETE", "CANCELLED")
ALL_MANAGED = frozenset(id_ for ids in MANAGED_IDENTIFIERS.values() for id_ in ids)
FAULT_STATES = {"pause": "PAUSED", "user_pause": "USER_PAUSED", "cancel": "CANCELLED"}
LOG = logging.getLogger(__name__)


class Faults:
    """Failures that a test asks for in a file (see `macie_jobs`)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._failed: Counter[str] = Counter()

    def read(self) -> dict[str, Any]:
        """The file as it is now; nothing where there is none."""
        return json.loads(self._path.read_text(encoding="utf-8")) if self._path.exists() else {}

    def next_error(self, operation: str) -> str | None:
        """The error code that this call must answer."""
        planned = self.read().get("calls", {}).get(operation, [])
        if self._failed[operation] >= len(planned):
            return None
        self._failed[operation] += 1
        return str(planned[self._failed[operation] - 1])


@dataclass
class Records:
    """One account's Macie in one Region."""

    account_id: str
    region: str
    identifiers: dict[str, dict[str, Any]] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    allow_lists: dict[str, dict[str, Any]] = field(default_factory=dict)
    findings: dict[str, dict[str, Any]] = field(default_factory=dict)

    def arn(self, kind: str, id_: str) -> str:
        """ARN of something of this account."""
        return f"arn:aws:macie2:{self.region}:{self.account_id}:{kind}/{id_}"


@dataclass
class Job:
    """A one-time job: what was asked, and how far it is.

    Args:
        asked: `create_classification_job` arguments.
    """

    id: str
    asked: dict[str, Any]
    records: Records
    s3: Any
    faults: dict[str, Any]
    status: str = "RUNNING"
    error: str = "NONE"
    left: int = 0
    created: str = field(default_factory=now)

    def start(self) -> None:
        """Run in a thread; it ends with the endpoint."""
        threading.Thread(target=self._run, name=f"macie-{self.id}", daemon=True).start()

    def cancel(self) -> None:
        """Stop before the next object."""
        self.status = "CANCELLED"

    def described(self) -> dict[str, Any]:
        """`describe_classification_job`."""
        summary = {name: value for name, value in self.summary().items() if name != "bucketDefinitions"}
        return self.asked | summary | {
            "jobArn": self.records.arn("classification-job", self.id),
            "lastRunTime": self.created,
            "statistics": {"approximateNumberOfObjectsToProcess": float(self.left), "numberOfRuns": 1.0},
        }  # fmt: skip

    def summary(self) -> dict[str, Any]:
        """One item of `list_classification_jobs`."""
        paused = {"userPausedDetails": {"jobPausedAt": self.created}} if self.status == "USER_PAUSED" else {}
        return paused | {
            "bucketDefinitions": self.asked["s3JobDefinition"]["bucketDefinitions"],
            "createdAt": self.created,
            "jobId": self.id,
            "jobStatus": self.status,
            "jobType": self.asked["jobType"],
            "lastRunErrorStatus": {"code": self.error},
            "name": self.asked["name"],
        }

    def _run(self) -> None:
        fault = self.faults.get("job")
        if fault in FAULT_STATES:
            self.status = FAULT_STATES[fault]
            return
        while fault == "hang" and self.status == "RUNNING":
            time.sleep(0.05)
        well = False
        try:
            self._read_all()
            well = fault != "run_error"
        except (ClientError, BotoCoreError) as err:
            LOG.error("Macie job %s cannot read its objects: %s", self.id, err)
        finally:  # also when the scanner itself fails: a job must not seem to run for ever
            self.error = "NONE" if well else "ERROR"
            if self.status == "RUNNING":
                self.status = "COMPLETE"

    def _read_all(self) -> None:
        waiting = list(self._scope())
        self.left = len(waiting)
        for bucket, key in waiting:
            if self.status != "RUNNING":
                return
            if key.rpartition("/")[2] not in self.faults.get("skip", []):
                self._read(bucket, key)
            self.left -= 1

    def _scope(self) -> Iterator[tuple[str, str]]:
        definition = self.asked["s3JobDefinition"]
        for group in definition["bucketDefinitions"]:
            for bucket in group["buckets"]:
                for prefix in prefixes(definition):
                    pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
                    yield from ((bucket, item["Key"]) for page in pages for item in page.get("Contents", []))

    def _read(self, bucket: str, key: str) -> None:
        head = self.s3.get_object(Bucket=bucket, Key=key)
        try:
            detected = self._detect(head.pop("Body").read())
        except (ValueError, ScanIncompleteError) as err:
            LOG.warning("Macie job %s skips s3://%s/%s: %s", self.id, bucket, key, type(err).__name__)
            return
        if detected:
            origin = Origin(self.records.account_id, self.records.region, self.id, bucket, key, head)
            partial = key.rpartition("/")[2] in self.faults.get("partial", [])
            status = {"code": "PARTIAL", "reason": "TIME_CUT_OFF_REACHED"} if partial else {"code": "COMPLETE"}
            id_ = secrets.token_hex(16)
            self.records.findings[id_] = finding(id_, origin, detected, status)

    def _detect(self, content: bytes) -> list[Detected]:
        texts = without_allowed(read_csv(content), *self._allowed())
        customs = (self.records.identifiers[id_] for id_ in self.asked.get("customDataIdentifierIds", []))
        found = (custom_detection(texts, identifier, identifier["arn"]) for identifier in customs)
        return managed_detections(typed(texts), self._managed()) + [hits for hits in found if hits is not None]

    def _allowed(self) -> tuple[list[str], list[str]]:
        """Words and regexes of the job's allow lists."""
        words: list[str] = []
        regexes: list[str] = []
        for id_ in self.asked.get("allowListIds", []):
            criteria = self.records.allow_lists[id_]["criteria"]
            if "regex" in criteria:
                regexes.append(criteria["regex"])
            else:
                named = criteria["s3WordsList"]
                body = self.s3.get_object(Bucket=named["bucketName"], Key=named["objectKey"])["Body"].read()
                words += [line for line in body.decode("utf-8").splitlines() if line]
        return words, regexes

    def _managed(self) -> frozenset[str]:
        named = frozenset(self.asked.get("managedDataIdentifierIds", []))
        selected = {"INCLUDE": named, "EXCLUDE": ALL_MANAGED - named, "ALL": ALL_MANAGED, "NONE": frozenset[str]()}
        return selected[self.asked["managedDataIdentifierSelector"]]


def prefixes(definition: dict[str, Any]) -> list[str]:
    """Key prefixes of a job's scope.

    Raises:
        ValueError: a scope that this endpoint does not emulate.
    """
    scoping = definition.get("scoping", {})
    terms = scoping.get("includes", {}).get("and", [])
    if not terms and not scoping.get("excludes"):
        return [""]
    simple = terms[0].get("simpleScopeTerm", {}) if len(terms) == 1 else {}
    if scoping.get("excludes") or (simple.get("comparator"), simple.get("key")) != ("STARTS_WITH", "OBJECT_KEY"):
        raise ValueError("this endpoint knows one scope: includes, one simpleScopeTerm, OBJECT_KEY STARTS_WITH")
    values: list[str] = simple["values"]
    return values
