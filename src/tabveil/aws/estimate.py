"""What a run costs on AWS, before it: expected, and at most.

How long the jobs take is assumed (the constants below), so beside the expected cost stands what the limits in
conf/environment/ allow at most. `require_affordable` holds the latter against `environment.max_cost_usd`.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tabveil.aws.charges import (
    Charge,
    dollars,
    glue_charge,
    glue_dpu_seconds,
    macie_charge,
    s3_charge,
    sagemaker_charge,
)
from tabveil.config import EnvironmentConfig, FileFormat, Processing, Scanning, Training
from tabveil.errors import CostError, UnreadableFileError
from tabveil.storage.upload import PART_BYTES

GLUE_START_SECONDS = 90  # of Spark, the script and two passes over a small table; assumed
GLUE_BYTES_PER_DPU_SECOND = 5e6  # assumed
TRAINING_START_SECONDS = 120  # image and table onto the instance; assumed
TRAINING_SECONDS_PER_STEP = 0.25  # of a batch of 512 rows on four vCPUs; assumed
COPIES = 4  # raw, typed and clean table, synthetic table: each about as large as the raw one
REQUESTS_PER_RUN = {"PutObject": 60, "GetObject": 80, "ListObjectsV2": 10}  # of small files; parts come on top
SAMPLED_GROUPS = 8  # row groups of a Parquet file, evenly spaced, ...
SAMPLED_ROWS = 2000  # ... and first rows of each, that are written as text to see how long a row is


@dataclass(frozen=True)
class Expected:
    """One service's cost before a run.

    Args:
        charge: what is expected.
        at_most: USD when every job runs into its limit; of S3 and Macie, which are billed by size, the same.
    """

    charge: Charge
    at_most: float


def estimate(environment: EnvironmentConfig, raw_bytes: int, max_steps: int) -> list[Expected]:
    """What a run costs in environments whose jobs run on AWS, by service; nothing where none does.

    Args:
        raw_bytes: size of the raw table as text (`text_bytes`).
        max_steps: of training; 0 where the synthesizer has no such setting.

    Raises:
        ConfigError: no price is known for the instance type, no size for the worker type.
    """
    if environment.embedded_s3 and not environment.embedded_aws:
        return []
    prices, found = environment.prices, [_s3(environment, raw_bytes)]
    if environment.processing is Processing.glue:
        found.append(_glue(environment, raw_bytes))
    if environment.scanning is Scanning.macie:
        charge = macie_charge(prices, raw_bytes)  # the clean tables, as CSV
        found.append(Expected(charge, charge.usd))
    if environment.training is Training.sagemaker:
        found.append(_sagemaker(environment, max_steps))
    return found


def _s3(environment: EnvironmentConfig, raw_bytes: int) -> Expected:
    parts = COPIES * (raw_bytes // PART_BYTES + 1)
    requests = {**REQUESTS_PER_RUN, "UploadPart": parts}
    charge = s3_charge(environment.prices, requests, stored_bytes=COPIES * raw_bytes)
    return Expected(charge, charge.usd)


def _glue(environment: EnvironmentConfig, raw_bytes: int) -> Expected:
    dpus = glue_dpu_seconds(environment, 3600) / 3600
    limit = environment.glue.timeout_minutes * 60
    seconds = min(GLUE_START_SECONDS + raw_bytes / GLUE_BYTES_PER_DPU_SECOND / dpus, limit)
    charge = glue_charge(environment.prices, glue_dpu_seconds(environment, seconds))
    return Expected(charge, glue_charge(environment.prices, glue_dpu_seconds(environment, limit)).usd)


def _sagemaker(environment: EnvironmentConfig, max_steps: int) -> Expected:
    own = environment.sagemaker
    seconds = min(TRAINING_START_SECONDS + max_steps * TRAINING_SECONDS_PER_STEP, own.max_runtime_seconds)
    charge = sagemaker_charge(environment.prices, own.instance_type, seconds)
    limit = sagemaker_charge(environment.prices, own.instance_type, own.max_runtime_seconds)
    return Expected(charge, limit.usd)


def text_bytes(path: Path, format: FileFormat) -> int:
    """Size of a raw table as text: what Macie is billed by.

    A CSV has it; a Parquet file is compressed and names repeated values once, so the length of a row is taken from
    rows of up to eight of its row groups, written as CSV, and multiplied by the number of rows.

    Raises:
        UnreadableFileError: no Parquet file.
    """
    if format is FileFormat.csv:
        return path.stat().st_size
    try:
        with pq.ParquetFile(path) as file:
            return _parquet_text_bytes(file)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as err:
        raise UnreadableFileError(
            f"{path.name} must be Parquet, however it cannot be read: compare dataset.source.format"
        ) from err


def _parquet_text_bytes(file: pq.ParquetFile) -> int:
    number = file.num_row_groups
    groups = sorted(
        {round(place * (number - 1) / SAMPLED_GROUPS) for place in range(SAMPLED_GROUPS + 1)} & {*range(number)}
    )
    rows, size = 0, 0
    for group in groups:
        batch = next(file.iter_batches(SAMPLED_ROWS, row_groups=[group]), None)
        if batch is not None:
            buffer = io.StringIO()
            batch.to_pandas().to_csv(buffer, index=False, header=False)
            rows, size = rows + batch.num_rows, size + len(buffer.getvalue().encode())
    return round(size / rows * file.metadata.num_rows) if rows else 0


def require_affordable(environment: EnvironmentConfig, expected: Sequence[Expected]) -> None:
    """Refuse a run that could cost more than the limit: the sum over its services, every job at its own limit.

    Raises:
        CostError: above `environment.max_cost_usd`.
    """
    at_most = sum(item.at_most for item in expected)
    if at_most > environment.max_cost_usd:
        parts = ", ".join(f"{item.charge.service} {dollars(item.at_most)}" for item in expected)
        raise CostError(
            f"a run may cost at most environment.max_cost_usd={environment.max_cost_usd:g} USD, however this one is "
            f"estimated at up to {dollars(at_most)} USD ({parts}): lower environment.glue.timeout_minutes or "
            "environment.sagemaker.max_runtime_seconds, or raise max_cost_usd"
        )


def require_affordable_run(environment: EnvironmentConfig, raw: Path, format: FileFormat) -> None:
    """`require_affordable` for a raw table; the file is not looked at where nothing runs on AWS.

    Raises:
        CostError: above `environment.max_cost_usd`.
        UnreadableFileError: no Parquet file, where it should be one.
    """
    if estimate(environment, 0, max_steps=0):  # steps change what is expected, not what the limits allow
        require_affordable(environment, estimate(environment, text_bytes(raw, format), max_steps=0))
