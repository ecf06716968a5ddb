"""What was detected in one object, as a finding in Macie's exact shape.

Source: Amazon Macie API reference, Findings, https://docs.aws.amazon.com/macie/latest/APIReference/findings-describe.html
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tabveil.aws.embedded.macie_reading import Detected
from tabveil.pii.findings import MAX_LOCATIONS
from tabveil.pii.identifiers import Category, Severity

KINDS = {
    Category.PERSONAL: "Personal",
    Category.FINANCIAL: "Financial",
    Category.CREDENTIALS: "Credentials",
    Category.CUSTOM: "CustomIdentifier",
}
SCORES = {Severity.LOW: 1, Severity.MEDIUM: 2, Severity.HIGH: 3}


@dataclass(frozen=True)
class Origin:
    """Which job of which account read which object."""

    account_id: str
    region: str
    job_id: str
    bucket: str
    key: str
    head: dict[str, Any]  # S3's answer to get_object, without the body

    @property
    def job_arn(self) -> str:
        """ARN of the job."""
        return f"arn:aws:macie2:{self.region}:{self.account_id}:classification-job/{self.job_id}"


def now() -> str:
    """The time, as the API writes it."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def finding(id_: str, origin: Origin, detected: Iterable[Detected], status: dict[str, str]) -> dict[str, Any]:
    """One element of `get_findings`.

    Args:
        detected: at least one.
        status: ``code`` and, unless it is COMPLETE, ``reason``.
    """
    found, time = list(detected), now()
    kinds = {KINDS[hits.category] for hits in found}
    severity = max((hits.severity for hits in found), key=lambda level: SCORES[level])
    return {
        "accountId": origin.account_id,
        "archived": False,
        "category": "CLASSIFICATION",
        "classificationDetails": {
            "jobArn": origin.job_arn,
            "jobId": origin.job_id,
            "originType": "SENSITIVE_DATA_DISCOVERY_JOB",
            "result": _result(found, origin, status),
        },
        "count": 1,
        "createdAt": time,
        "description": "The S3 object contains sensitive data.",
        "id": id_,
        "partition": "aws",
        "region": origin.region,
        "resourcesAffected": {"s3Bucket": _bucket(origin), "s3Object": _object(origin)},
        "sample": False,
        "schemaVersion": "1.0",
        "severity": {"description": severity.value, "score": SCORES[severity]},
        "title": "The S3 object contains sensitive data",
        "type": f"SensitiveData:S3Object/{kinds.pop() if len(kinds) == 1 else 'Multiple'}",
        "updatedAt": time,
    }


def _result(found: list[Detected], origin: Origin, status: dict[str, str]) -> dict[str, Any]:
    managed: dict[Category, list[Detected]] = defaultdict(list)
    custom = [hits for hits in found if hits.category is Category.CUSTOM]
    for hits in found:
        if hits.category is not Category.CUSTOM:
            managed[hits.category].append(hits)
    return {
        "additionalOccurrences": any(hits.count > len(_cells(hits)) for hits in found),
        "customDataIdentifiers": {
            "detections": [{"arn": h.arn, "name": h.name, "count": h.count, "occurrences": _places(h)} for h in custom],
            "totalCount": sum(hits.count for hits in custom),
        },
        "mimeType": "text/csv",
        "sensitiveData": [
            {
                "category": category.value,
                "detections": [{"type": h.name, "count": h.count, "occurrences": _places(h)} for h in of_one],
                "totalCount": sum(hits.count for hits in of_one),
            }
            for category, of_one in managed.items()
        ],
        "sizeClassified": origin.head["ContentLength"],
        "status": status,
    }


def _cells(hits: Detected) -> list[tuple[int, int, str]]:
    return sorted(hits.cells)[:MAX_LOCATIONS]


def _places(hits: Detected) -> dict[str, Any]:
    return {"cells": [{"column": number, "columnName": name, "row": row} for row, number, name in _cells(hits)]}


def _bucket(origin: Origin) -> dict[str, Any]:
    return {"arn": f"arn:aws:s3:::{origin.bucket}", "name": origin.bucket}


def _object(origin: Origin) -> dict[str, Any]:
    described = {
        "bucketArn": f"arn:aws:s3:::{origin.bucket}",
        "eTag": origin.head["ETag"].strip('"'),
        "extension": origin.key.rpartition(".")[2],
        "key": origin.key,
        "lastModified": origin.head["LastModified"].isoformat(),
        "path": f"{origin.bucket}/{origin.key}",
        "publicAccess": False,
        "serverSideEncryption": {"encryptionType": origin.head.get("ServerSideEncryption", "NONE")},
        "size": origin.head["ContentLength"],
        "storageClass": origin.head.get("StorageClass", "STANDARD"),
    }
    version_id = origin.head.get("VersionId")
    return described | ({} if version_id is None else {"versionId": version_id})
