"""The group `environment`: where a run takes place, who does the work, and what that may cost."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Optional

from tabveil.config.checks import check_positive, check_range
from tabveil.errors import ConfigError


class Processing(str, Enum):
    """Who runs the compiled SQL of `preprocess`."""

    in_process = "in_process"
    glue = "glue"


class Scanning(str, Enum):
    """Who scans for personal data in `verify`; the local scanner always does, Macie comes on top."""

    in_process = "in_process"
    macie = "macie"


class Training(str, Enum):
    """Who fits the synthesizer in `train`."""

    in_process = "in_process"
    sagemaker = "sagemaker"


@dataclass
class GlueConfig:
    """A Glue job of ours. Omitting the version would mean Glue 6.0: another Spark and Python."""

    job_name: str = "tabveil-preprocess"
    version: str = "5.1"  # Spark 3.5.6, Python 3.11
    role_arn: Optional[str] = None  # needed where Glue runs
    worker_type: str = "G.1X"
    number_of_workers: int = 2
    execution_class: str = "STANDARD"  # or FLEX: cheaper, may wait
    timeout_minutes: int = 30
    poll_seconds: float = 10.0
    log_group_prefix: str = "/aws-glue/tabveil"  # logs: <prefix>/error and <prefix>/output; the role may write there
    security_configuration: Optional[str] = None  # of Glue: encrypts what workers spill, and their logs

    def __post_init__(self) -> None:
        check_range("environment.glue.number_of_workers", self.number_of_workers, 2, 299, "integer")
        check_range("environment.glue.timeout_minutes", self.timeout_minutes, 1, 480, "integer")
        check_positive("environment.glue.poll_seconds", self.poll_seconds)
        if self.execution_class not in ("STANDARD", "FLEX"):
            raise ConfigError(
                f"environment.glue.execution_class must be STANDARD or FLEX, however: {self.execution_class}"
            )


@dataclass
class MacieConfig:
    """A one-time Macie job over one prefix."""

    timeout_minutes: int = 120
    poll_seconds: float = 30.0
    findings_seconds: float = 300.0  # how long findings may take to appear after the job has ended

    def __post_init__(self) -> None:
        check_positive("environment.macie.findings_seconds", self.findings_seconds)
        check_range("environment.macie.timeout_minutes", self.timeout_minutes, 1, 2880, "integer")
        check_positive("environment.macie.poll_seconds", self.poll_seconds)


@dataclass
class SageMakerConfig:
    """A SageMaker training job on our image."""

    role_arn: Optional[str] = None  # needed where SageMaker trains
    image_uri: Optional[str] = None  # of our image in ECR
    instance_type: str = "ml.c5.xlarge"
    volume_gb: int = 10
    use_spot: bool = True
    max_runtime_seconds: int = 3600
    max_wait_seconds: int = 7200  # for a spot instance, the run included
    poll_seconds: float = 15.0

    def __post_init__(self) -> None:
        check_range("environment.sagemaker.volume_gb", self.volume_gb, 1, 16_384, "integer")
        check_range("environment.sagemaker.max_runtime_seconds", self.max_runtime_seconds, 60, 432_000, "integer")
        check_positive("environment.sagemaker.poll_seconds", self.poll_seconds)
        if self.use_spot and self.max_wait_seconds < self.max_runtime_seconds:
            raise ConfigError(
                "environment.sagemaker.max_wait_seconds must be at least max_runtime_seconds, however: "
                f"{self.max_wait_seconds} < {self.max_runtime_seconds}"
            )


@dataclass
class PricesConfig:
    """AWS list prices in USD, on-demand, of the environment's region, as they were looked up on `as_of`."""

    as_of: str = "2026-11-24"
    source: str = "second-hand: compare with aws.amazon.com/<service>/pricing"
    s3_gb_month: float = 0.0245
    s3_put_per_1000: float = 0.0054
    s3_get_per_1000: float = 0.00043
    glue_dpu_hour: float = 0.44
    macie_gb: float = 1.0
    sagemaker_hour: dict[str, float] = field(default_factory=lambda: {"ml.c5.xlarge": 0.233, "ml.m5.large": 0.138})


@dataclass
class EnvironmentConfig:
    """Where the pipeline runs, and who does the work.

    `embedded_s3` starts a loopback S3 server for the stages that need one, `embedded_aws` a loopback endpoint for
    every other AWS service.
    """

    name: str = "local"
    embedded_s3: bool = True
    embedded_aws: bool = False
    processing: Processing = Processing.in_process
    scanning: Scanning = Scanning.in_process
    training: Training = Training.in_process
    endpoint_url: Optional[str] = None  # of S3; None: AWS_ENDPOINT_URL_S3, else AWS; never set beside embedded_s3
    region: str = "eu-central-1"
    landing_bucket: str = "tabveil-landing"
    work_bucket: str = "tabveil-work"  # what Glue, Macie and SageMaker read and write
    output_bucket: str = "tabveil-output"
    output_prefix: str = "synthetic/"
    kms_key_id: Optional[str] = None  # encrypts what is uploaded, and the training volume
    tags: dict[str, str] = field(default_factory=lambda: {"project": "tabveil"})
    max_object_bytes: int = 2_000_000_000
    max_cost_usd: float = 1.0  # of a run, all jobs at their limits together; above, no job is started
    wait_seconds: float = 120.0  # for another stage to release the embedded server
    glue: GlueConfig = field(default_factory=GlueConfig)
    macie: MacieConfig = field(default_factory=MacieConfig)
    sagemaker: SageMakerConfig = field(default_factory=SageMakerConfig)
    prices: PricesConfig = field(default_factory=PricesConfig)

    def __post_init__(self) -> None:
        if self.embedded_s3 and self.endpoint_url:
            raise ConfigError("environment.endpoint_url and environment.embedded_s3 exclude each other: set one")
        if self.embedded_aws and not self.embedded_s3:
            raise ConfigError("environment.embedded_aws needs environment.embedded_s3=true: its jobs read from there")
        if not self.output_prefix.endswith("/"):
            raise ConfigError(f"environment.output_prefix must end in '/', however: {self.output_prefix!r}")
        check_positive("environment.max_object_bytes", self.max_object_bytes)
        check_positive("environment.max_cost_usd", self.max_cost_usd)
        check_positive("environment.wait_seconds", self.wait_seconds)
