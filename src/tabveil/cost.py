"""``python -m tabveil.cost dataset=loans environment=aws``: what a run is expected to cost, before it.

Sizes come from the dataset's seed file, else from the object in the landing bucket. How long the jobs take is assumed
(the constants below), so beside the expected cost stands what the limits in conf/environment/ allow at most.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from tabveil.aws.charges import Charge, glue_charge, glue_dpu_seconds, macie_charge, s3_charge, sagemaker_charge
from tabveil.cli import process_border
from tabveil.config import Config, EnvironmentConfig, Processing, Scanning, Training, project_root
from tabveil.errors import CostError
from tabveil.stages.app import compose_config
from tabveil.storage import connect
from tabveil.storage.upload import PART_BYTES

GLUE_START_SECONDS = 90  # of Spark, the script and two passes over a small table; assumed
GLUE_BYTES_PER_DPU_SECOND = 5e6  # assumed
TRAINING_START_SECONDS = 120  # image and table onto the instance; assumed
TRAINING_SECONDS_PER_STEP = 0.25  # of a batch of 512 rows on four vCPUs; assumed
COPIES = 4  # raw, typed and clean table, synthetic table: each about as large as the raw one
REQUESTS_PER_RUN = {"PutObject": 60, "GetObject": 60, "ListObjectsV2": 10}  # of small files; parts come on top


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
        raw_bytes: size of the raw table, uncompressed.
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
        charge = macie_charge(prices, raw_bytes)  # the clean tables, which are not larger
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


def raw_size_bytes(config: Config, root: Path) -> int:
    """Bytes of the raw table: of the local seed file if it is there, else of the object in the landing bucket.

    Raises:
        StorageError: the object cannot be described.
    """
    source = config.dataset.source
    local = root / source.seed_file if source.seed_file else None
    if local is not None and local.is_file():
        return local.stat().st_size
    with connect(config.environment, root) as store:
        return store.head(config.environment.landing_bucket, source.key, source.version_id).size_bytes


def render(config: Config, raw_bytes: int, expected: Sequence[Expected]) -> Table:
    """The estimate as a table."""
    environment, prices = config.environment, config.environment.prices
    table = Table(
        box=box.SIMPLE,
        title=f"cost of one run (estimated, list prices of {prices.as_of}, {environment.region})",
        caption=f"{config.dataset.name}, {raw_bytes:,} bytes, environment={environment.name}; prices {prices.source}",
    )
    for heading in ("service", "expected use", "USD", "USD at most"):
        table.add_column(heading, justify="right" if "USD" in heading else "left")
    for item in expected:
        table.add_row(item.charge.service, item.charge.usage, f"{item.charge.usd:.4f}", f"{item.at_most:.4f}")
    total, at_most = sum(e.charge.usd for e in expected), sum(e.at_most for e in expected)
    table.add_section()
    note = "" if expected else "every job runs on this machine"
    table.add_row("[bold]total[/]", note, f"[bold]{total:.4f}[/]", f"[bold]{at_most:.4f}[/]")
    return table


def require_affordable(environment: EnvironmentConfig, expected: Sequence[Expected]) -> None:
    """Refuse a run whose expected cost is above the limit.

    Raises:
        CostError: above `environment.max_cost_usd`.
    """
    total = sum(item.charge.usd for item in expected)
    if total > environment.max_cost_usd:
        raise CostError(
            f"a run is estimated at {total:.2f} USD, however environment.max_cost_usd is {environment.max_cost_usd:g}: "
            "raise it if that is right"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line: prints the estimate; exit code 2 when it is above `environment.max_cost_usd`."""
    parser = argparse.ArgumentParser(prog="python -m tabveil.cost", description=__doc__)
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="e.g. dataset=loans environment=aws")
    asked = parser.parse_args(arguments).overrides
    with process_border():
        config, root = compose_config(asked), project_root()
        raw_bytes = raw_size_bytes(config, root)
        expected = estimate(config.environment, raw_bytes, getattr(config.synthesizer, "max_steps", 0))
        Console().print(render(config, raw_bytes, expected))
        require_affordable(config.environment, expected)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
