"""What a run costs by AWS's list prices: one charge per service, before it (expected) and after it (used).

Stages leave their charges in `.tabveil/costs/<stage>.json`; the summary and MLflow show them. Only the environment
'aws' is billed. In `embedded` the same usage is priced and nothing is charged; `local` uses no service and costs 0.
Prices are `environment.prices` (conf/environment/local.yaml says where they are from).
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tabveil.artifacts import STAGES, read_json, write_json
from tabveil.config import EnvironmentConfig, PricesConfig
from tabveil.errors import ConfigError

AWS_ENVIRONMENT = "aws"  # the only one that is billed
SERVICES = ("s3", "glue", "macie", "sagemaker")
COSTS_FOLDER = Path(".tabveil") / "costs"
BYTES_PER_GB = 1e9  # the smaller reading of "GB": no estimate is too low
GLUE_MIN_SECONDS = 60  # of a run, per https://aws.amazon.com/glue/pricing/
DPUS = {"G.1X": 1, "G.2X": 2, "G.4X": 4, "G.8X": 8, "G.12X": 12, "G.16X": 16}  # per worker; others are not estimated
# S3 prices three groups of requests; what is in neither set below is priced like a GET
PUT_LIKE = {
    "PutObject",
    "CreateMultipartUpload",
    "UploadPart",
    "CompleteMultipartUpload",
    "ListObjectsV2",
    "ListObjectVersions",
    "ListParts",
    "CreateBucket",
    "PutBucketVersioning",
}
FREE = {"DeleteObject", "DeleteObjects", "AbortMultipartUpload"}


@dataclass(frozen=True)
class Charge:
    """One service's part.

    Args:
        service: one of `SERVICES`.
        usage: what is billed, for people: ``360 DPU-seconds``.
        usd: at list price.
    """

    service: str
    usage: str
    usd: float

    def __post_init__(self) -> None:
        if self.service not in SERVICES or self.usd < 0:
            raise ValueError(f"a charge must be of {', '.join(SERVICES)} and not negative, however: {self}")


def s3_charge(prices: PricesConfig, requests: Mapping[str, int], stored_bytes: float = 0) -> Charge:
    """Requests by operation (`S3Store.requests`), and a month of storage."""
    puts = sum(count for name, count in requests.items() if name in PUT_LIKE)
    gets = sum(count for name, count in requests.items() if name not in PUT_LIKE | FREE)
    usd = puts / 1000 * prices.s3_put_per_1000 + gets / 1000 * prices.s3_get_per_1000
    usd += stored_bytes / BYTES_PER_GB * prices.s3_gb_month
    stored = f", {stored_bytes / BYTES_PER_GB:.3f} GB for a month" if stored_bytes else ""
    return Charge("s3", f"{puts} writes and lists, {gets} reads{stored}", usd)


def glue_charge(prices: PricesConfig, dpu_seconds: float) -> Charge:
    """`dpu_seconds` as Glue bills them, its minimum of a minute per run included."""
    return Charge("glue", f"{dpu_seconds:,.0f} DPU-seconds", dpu_seconds / 3600 * prices.glue_dpu_hour)


def glue_dpu_seconds(environment: EnvironmentConfig, seconds: float) -> float:
    """What Glue bills for a run of so many seconds.

    Raises:
        ConfigError: a worker type whose size is not known.
    """
    worker = environment.glue.worker_type
    if worker not in DPUS:
        raise ConfigError(f"environment.glue.worker_type must be one of {', '.join(DPUS)}, however: {worker}")
    return max(seconds, GLUE_MIN_SECONDS) * environment.glue.number_of_workers * DPUS[worker]


def macie_charge(prices: PricesConfig, scanned_bytes: float) -> Charge:
    """Uncompressed bytes that a job inspected; the free first gigabyte of a month is not counted on."""
    gb = scanned_bytes / BYTES_PER_GB
    return Charge("macie", f"{gb:.4f} GB inspected", gb * prices.macie_gb)


def sagemaker_charge(prices: PricesConfig, instance_type: str, billable_seconds: float) -> Charge:
    """Billable seconds of one instance, at its on-demand price (spot bills fewer seconds).

    Raises:
        ConfigError: no price is known for the instance type.
    """
    if instance_type not in prices.sagemaker_hour:
        raise ConfigError(
            f"environment.prices.sagemaker_hour must have a price for {instance_type}, however it has one for "
            f"{', '.join(sorted(prices.sagemaker_hour))}: add AWS's list price per hour"
        )
    usd = billable_seconds / 3600 * prices.sagemaker_hour[instance_type]
    return Charge("sagemaker", f"{billable_seconds:,.0f} s of {instance_type}", usd)


def dollars(usd: float) -> str:
    """An amount for people: four decimals, or as many as two digits that are not zero need: ``0.68``, ``0.0005``."""
    decimals = max(4, 1 - math.floor(math.log10(usd))) if usd > 0 else 4
    whole, _, rest = f"{usd:.{decimals}f}".partition(".")
    return f"{whole}.{rest.rstrip('0').ljust(2, '0')}"


def record(root: Path, stage: str, environment: EnvironmentConfig, charges: Iterable[Charge]) -> None:
    """Leave a stage's charges in `.tabveil/costs/<stage>.json`; a local run's are 0."""
    real = environment.name == AWS_ENVIRONMENT
    priced = real or environment.embedded_aws
    listed = [asdict(charge) if priced else {**asdict(charge), "usd": 0.0} for charge in charges]
    prices = {"as_of": environment.prices.as_of, "source": environment.prices.source}
    content = {"stage": stage, "environment": environment.name, "charged": real, **prices, "charges": listed}
    write_json(root / COSTS_FOLDER / f"{stage}.json", content)


def forget(root: Path, stage: str) -> None:
    """Remove what an earlier run of a stage left: a stage that uses no service leaves nothing."""
    (root / COSTS_FOLDER / f"{stage}.json").unlink(missing_ok=True)


def recorded(root: Path) -> list[dict[str, Any]]:
    """What `record` left, in the order of the stages: the last run of each.

    Raises:
        ArtifactError: a file is not what `record` writes.
    """
    paths = {path.stem: path for path in (root / COSTS_FOLDER).glob("*.json")}
    keys = ("stage", "environment", "charged", "as_of", "charges")
    return [read_json(paths[stage], stage, *keys) for stage in STAGES if stage in paths]


def by_service(records: Iterable[Mapping[str, Any]]) -> dict[str, tuple[float, list[str]]]:
    """Service -> (USD, what was used), in the order of `SERVICES`."""
    charges = [Charge(**charge) for entry in records for charge in entry["charges"]]
    own = {service: [c for c in charges if c.service == service] for service in SERVICES}
    return {name: (sum(c.usd for c in found), [c.usage for c in found]) for name, found in own.items() if found}


def cost_metrics(root: Path, stages: Container[str] = STAGES) -> dict[str, float]:
    """For MLflow: ``cost/<service>`` and ``cost/total`` in USD; of an environment that charges nothing, all 0.

    Args:
        stages: whose records count.
    """
    records = [entry for entry in recorded(root) if entry["stage"] in stages]
    charged = {service: usd for service, (usd, _) in by_service(r for r in records if r["charged"]).items()}
    totals = {service: charged.get(service, 0.0) for service in by_service(records)}
    return {f"cost/{service}": usd for service, usd in totals.items()} | {"cost/total": sum(totals.values())}
