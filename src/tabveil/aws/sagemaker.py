"""Training on SageMaker: one training job on our image, by the container contract of `tabveil.container`.

The table and its metadata go to the work bucket below `training/<job>/input/`, the settings are hyperparameters, and
SageMaker leaves the model at `training/<job>/output/model.tar.gz`. When a spot instance is taken back, the unfinished
training waits below `training/<job>/checkpoints/` for the next one. The container has no network. What comes back is
unpacked with distrust and held against its own checksums before it takes the place of an older model. Whatever way the
job ends, `training/<job>/` is deleted, since it holds real rows and weights fitted to them.

Sources: the service model of botocore; https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTrainingJob.html
"""

from __future__ import annotations

import math
import re
import secrets
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from tabveil.artifacts import atomic_folder
from tabveil.aws.charges import dollars, sagemaker_charge
from tabveil.aws.failures import aws_border, error_code
from tabveil.aws.model_archive import require_own_model, unpack
from tabveil.aws.polling import cancelling, poll, tidying
from tabveil.aws.session import AWS
from tabveil.config import EnvironmentConfig, SynthesizerConfig
from tabveil.container import CHANNEL, LOSS_METRICS, METADATA, ROOT, TRAIN_DATA, Folders, hyperparameters_of
from tabveil.errors import CloudError, ConfigError, CostError
from tabveil.provenance import sha256_of
from tabveil.synthesizers import SHAREABLE_KINDS

PREFIX = "training"  # in the work bucket
SERVICE = "SageMaker"
FINAL_STATES = {"Completed", "Failed", "Stopped", "Deleting"}
START_SECONDS = 1800  # beyond the limits that SageMaker enforces itself: instances start, artifacts are uploaded
REASON_CHARACTERS = 600
STOPPED = {
    "MaxRuntimeExceeded": "it ran longer than environment.sagemaker.max_runtime_seconds: raise it, or lower "
    "synthesizer.preset or max_steps",
    "MaxWaitTimeExceeded": "it waited longer than environment.sagemaker.max_wait_seconds for a spot instance: raise "
    "it, or set use_spot=false",
    "Interrupted": "its spot instance was taken back: run it again, or set use_spot=false",
}
OnStatus = Callable[[str], None]


@dataclass(frozen=True)
class TrainingRun:
    """A job that trained a model.

    Attributes:
        billable_seconds: what SageMaker bills; less than the run took when a spot instance was cheaper.
        cost_usd: `billable_seconds` at the list price of the instance.
    """

    job_name: str
    instance_type: str
    spot: bool
    billable_seconds: int | None
    cost_usd: float | None


def train_on_sagemaker(
    aws: AWS,
    synthesizer: SynthesizerConfig,
    dataset: str,
    files: dict[str, Path],
    model: Path,
    *,
    on_status: OnStatus = lambda status: None,
) -> TrainingRun:
    """Train a model in a SageMaker training job.

    Args:
        synthesizer: becomes the job's hyperparameters.
        dataset: its name, part of the job's.
        files: `train.parquet` and `metadata.json` -> local file; what the job may read.
        model: the model folder; replaced when everything else succeeded.
        on_status: called with SageMaker's secondary status whenever it changes.

    Raises:
        ConfigError: role, image or price are missing; a synthesizer whose model may not leave a machine.
        CostError: the job could cost more than `environment.max_cost_usd`.
        CloudError: SageMaker refused, or the job did not complete; the message holds its reason.
        StorageError: the object store refused or broke off.
        ModelFileError: what the job left is not a model of these settings.
    """
    require_ready(aws.environment, synthesizer)
    job = job_name(dataset)
    bucket, client = aws.environment.work_bucket, aws.client("sagemaker")
    with tidying(aws.store, bucket, f"{PREFIX}/{job}/"):
        for name, path in files.items():
            aws.store.put_version(bucket, f"{PREFIX}/{job}/input/{name}", path)
        with cancelling(lambda: stop(client, job)):
            start(client, request(aws.environment, synthesizer, job, files))
            described = wait(client, job, aws.environment, on_status)
        require_completed(described)
        fetch_model(aws, described, synthesizer, model)
    return _summary(described, aws.environment)


def require_ready(environment: EnvironmentConfig, synthesizer: SynthesizerConfig) -> None:
    """Refuse what can only fail later, or cost too much.

    Raises:
        ConfigError: a setting is missing, or the synthesizer's model may not leave a machine.
        CostError: see `max_cost_usd`.
    """
    if synthesizer.name not in SHAREABLE_KINDS:
        raise ConfigError(
            f"environment.training=sagemaker is for synthesizers whose model may leave a machine "
            f"({', '.join(sorted(SHAREABLE_KINDS))}), however synthesizer.name={synthesizer.name} saves a pickle that "
            "holds real values: set environment.training=in_process"
        )
    for name, variable in (("role_arn", "TABVEIL_SAGEMAKER_ROLE"), ("image_uri", "TABVEIL_IMAGE")):
        if not getattr(environment.sagemaker, name):
            raise ConfigError(f"environment.sagemaker.{name} must be set, however it is not: set {variable}")
    highest = highest_cost_usd(environment)
    if highest > environment.max_cost_usd:
        raise CostError(
            f"a training job may cost at most environment.max_cost_usd={environment.max_cost_usd:g} USD, however "
            f"{environment.sagemaker.max_runtime_seconds} s on {environment.sagemaker.instance_type} cost up to "
            f"{dollars(highest)} USD: lower environment.sagemaker.max_runtime_seconds, or raise max_cost_usd"
        )


def highest_cost_usd(environment: EnvironmentConfig) -> float:
    """What a job costs that runs as long as it may, at the list price (a spot instance costs less).

    Raises:
        ConfigError: no price is known for the instance type.
    """
    return _usd(environment, environment.sagemaker.max_runtime_seconds)


def _usd(environment: EnvironmentConfig, seconds: float) -> float:
    return sagemaker_charge(environment.prices, environment.sagemaker.instance_type, seconds).usd


def job_name(dataset: str) -> str:
    """A new name: ``tabveil-loans-20261124-110203-1f2e3d``; the time is UTC."""
    plain = re.sub(r"[^a-zA-Z0-9]+", "-", dataset).strip("-")[:30].rstrip("-")
    return f"tabveil-{plain}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(3)}"


def request(
    environment: EnvironmentConfig, synthesizer: SynthesizerConfig, job: str, files: dict[str, Path]
) -> dict[str, Any]:
    """The arguments of `create_training_job`."""
    own, bucket, key = environment.sagemaker, environment.work_bucket, environment.kms_key_id
    stopping = {"MaxRuntimeInSeconds": own.max_runtime_seconds}
    if own.use_spot:
        stopping["MaxWaitTimeInSeconds"] = own.max_wait_seconds
    return {
        "TrainingJobName": job,
        "HyperParameters": {**hyperparameters_of(synthesizer), **_checksums(files)},
        "AlgorithmSpecification": {
            "TrainingImage": own.image_uri,
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": name, "Regex": regex} for name, regex in LOSS_METRICS.items()],
        },
        "RoleArn": own.role_arn,
        "InputDataConfig": [_channel(f"s3://{bucket}/{PREFIX}/{job}/input/")],
        "OutputDataConfig": {"S3OutputPath": f"s3://{bucket}/{PREFIX}"} | ({"KmsKeyId": key} if key else {}),
        "ResourceConfig": {"InstanceType": own.instance_type, "InstanceCount": 1, "VolumeSizeInGB": own.volume_gb}
        | ({"VolumeKmsKeyId": key} if key else {}),
        "StoppingCondition": stopping,
        "EnableManagedSpotTraining": own.use_spot,
        **({"CheckpointConfig": _checkpoints(bucket, job)} if own.use_spot else {}),
        "EnableNetworkIsolation": True,
        "EnableInterContainerTrafficEncryption": True,  # one instance sends nothing; account rules may ask for it
        "Tags": [{"Key": name, "Value": value} for name, value in sorted(environment.tags.items())],
    }


def _checkpoints(bucket: str, job: str) -> dict[str, str]:
    """Where an interrupted training waits; weights of real rows. S3 encrypts it by the bucket's own key."""
    return {"S3Uri": f"s3://{bucket}/{PREFIX}/{job}/checkpoints", "LocalPath": str(Folders(Path(ROOT)).checkpoints)}


def _channel(uri: str) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": CHANNEL, "DataSource": {"S3DataSource": source}}


def _checksums(files: dict[str, Path]) -> dict[str, str]:
    return {"train_sha256": sha256_of(files[TRAIN_DATA]), "metadata_sha256": sha256_of(files[METADATA])}


def start(client: Any, arguments: dict[str, Any]) -> None:
    """Start the job; a name that is taken is ours, from a request whose answer was lost.

    Raises:
        CloudError: SageMaker refused.
    """
    with aws_border(SERVICE, f"start training job {arguments['TrainingJobName']}"):
        try:
            client.create_training_job(**arguments)
        except ClientError as err:
            if error_code(err) != "ResourceInUse":
                raise


def stop(client: Any, job: str) -> None:
    """Stop the job; one that has ended, or never began, is left as it is.

    Raises:
        CloudError: SageMaker refused.
    """
    with aws_border(SERVICE, f"stop training job {job}"):
        try:
            client.stop_training_job(TrainingJobName=job)
        except ClientError as err:
            if error_code(err) not in ("ResourceNotFound", "ValidationException"):
                raise


def wait(client: Any, job: str, environment: EnvironmentConfig, on_status: OnStatus) -> dict[str, Any]:
    """Describe the job until it has ended.

    Raises:
        CloudError: SageMaker refused, or the job outlived its limits.
    """
    own, told = environment.sagemaker, ""

    def look() -> dict[str, Any]:
        nonlocal told
        with aws_border(SERVICE, f"describe training job {job}"):
            described: dict[str, Any] = client.describe_training_job(TrainingJobName=job)
        if described["SecondaryStatus"] != told:
            told = described["SecondaryStatus"]
            on_status(told)
        return described

    return poll(
        look,
        lambda described: described["TrainingJobStatus"] in FINAL_STATES,
        what=f"{SERVICE} training job {job}",
        timeout_seconds=(own.max_wait_seconds if own.use_spot else own.max_runtime_seconds) + START_SECONDS,
        every_seconds=own.poll_seconds,
    )


def require_completed(described: dict[str, Any]) -> None:
    """Refuse every end but a model: a job that hits its time limit ends as *Stopped*, which is no success.

    Raises:
        CloudError: with the container's failure reason, or with what to change.
    """
    status, secondary = described["TrainingJobStatus"], described["SecondaryStatus"]
    if status == secondary == "Completed":
        return
    job = described["TrainingJobName"]
    raise CloudError(
        f"{SERVICE} training job {job} must complete, however {_why(described)} (status {status}, {secondary}; log "
        f"group /aws/sagemaker/TrainingJobs, stream {job}/)"
    )


def _why(described: dict[str, Any]) -> str:
    status, secondary = described["TrainingJobStatus"], described["SecondaryStatus"]
    reason = " ".join(described.get("FailureReason", "").split())[:REASON_CHARACTERS]
    if status == "Failed":
        return f"it failed: {reason or 'SageMaker gives no reason'}"
    if secondary in STOPPED:
        return STOPPED[secondary]
    return f"it was stopped by someone else{f': {reason}' if reason else ''}"


def fetch_model(aws: AWS, described: dict[str, Any], synthesizer: SynthesizerConfig, model: Path) -> None:
    """Download, unpack and check the job's model; only then it takes the place of the folder `model`.

    Raises:
        CloudError: SageMaker names another place than the one that was asked for.
        StorageError: it cannot be downloaded.
        ModelFileError: it is not a model of these settings, or not intact.
    """
    bucket, key = aws.environment.work_bucket, f"{PREFIX}/{described['TrainingJobName']}/output/model.tar.gz"
    named = described.get("ModelArtifacts", {}).get("S3ModelArtifacts")
    if named != f"s3://{bucket}/{key}":
        raise CloudError(f"{SERVICE} must leave the model at s3://{bucket}/{key}, however it names {named}")
    with tempfile.TemporaryDirectory() as scratch, atomic_folder(model) as folder:
        archive = Path(scratch) / "model.tar.gz"
        aws.store.get(bucket, key, archive, max_bytes=aws.environment.max_object_bytes)
        unpack(archive, folder)
        require_own_model(folder, synthesizer)


def _summary(described: dict[str, Any], environment: EnvironmentConfig) -> TrainingRun:
    seconds = described.get("BillableTimeInSeconds", described.get("TrainingTimeInSeconds"))
    return TrainingRun(
        job_name=described["TrainingJobName"],
        instance_type=environment.sagemaker.instance_type,
        spot=environment.sagemaker.use_spot,
        billable_seconds=None if seconds is None else math.ceil(seconds),
        cost_usd=None if seconds is None else round(_usd(environment, seconds), 6),
    )
