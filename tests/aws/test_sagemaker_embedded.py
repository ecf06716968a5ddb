"""The embedded endpoint's training jobs, through real boto3 clients: every answer fits botocore's shapes."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest
from aws_shapes import watch
from botocore.exceptions import ClientError

from tabveil.artifacts import write_parquet, write_text
from tabveil.aws import sagemaker
from tabveil.aws.embedded.checkpoints import CheckpointFolder
from tabveil.aws.sagemaker import train_on_sagemaker
from tabveil.aws.session import AWS, connect_aws
from tabveil.config import EnvironmentConfig, SageMakerConfig, TVAEConfig
from tabveil.errors import CloudError
from tabveil.provenance import sha256_of
from tabveil.schema import DEFAULT_SDTYPE, Column, ColumnType, Metadata, canonical
from tabveil.training import fit_file

CONFIG = TVAEConfig(
    max_steps=30, num_threads=1, encoder_dim=16, decoder_dim=16, latent_dim=2, batch_size=64, min_rows=20
)
FOREVER = dataclasses.replace(CONFIG, max_steps=10**7, patience=10**6, validate_every=1)
TYPES = {"amount": ColumnType.decimal, "grade": ColumnType.string}
METADATA = Metadata("accounts", tuple(Column(n, n, kind, DEFAULT_SDTYPE[kind]) for n, kind in TYPES.items()))
ENVIRONMENT = EnvironmentConfig(
    name="embedded",
    embedded_aws=True,
    sagemaker=SageMakerConfig(
        role_arn="arn:aws:iam::123456789012:role/tabveil-sagemaker",
        image_uri="123456789012.dkr.ecr.eu-central-1.amazonaws.com/tabveil:embedded",
        poll_seconds=0.2,
    ),
)


@dataclasses.dataclass(frozen=True)
class WatchedAWS(AWS):
    """Every request and answer is judged by botocore's models."""

    def client(self, service: str) -> Any:
        return watch(super().client(service))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("project")


@pytest.fixture(scope="module")
def files(project: Path) -> dict[str, Path]:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"amount": rng.gamma(2, 500, 200).round(2), "grade": rng.choice(["A", "B"], 200)})
    made = {name: project / "verify" / name for name in ("train.parquet", "metadata.json")}
    write_parquet(made["train.parquet"], canonical(table, METADATA))
    write_text(made["metadata.json"], METADATA.to_json())
    return made


@pytest.fixture(scope="module")
def aws(project: Path) -> Iterator[WatchedAWS]:
    with connect_aws(ENVIRONMENT, project) as connected:
        yield WatchedAWS(connected.environment, connected.store, connected.session, connected.endpoint_url)


@pytest.fixture(scope="module")
def client(aws: WatchedAWS) -> Any:
    return aws.client("sagemaker")


@pytest.fixture
def start(aws: WatchedAWS, client: Any, files: dict[str, Path]) -> Callable[..., str]:
    """``start(config, MaxRuntimeInSeconds=1)``: a job as the adapter asks for it, with other limits."""

    def begin(config: TVAEConfig = FOREVER, upload: bool = True, **limits: int) -> str:
        job = sagemaker.job_name("accounts")
        for name, path in files.items() if upload else ():
            aws.store.put_version("tabveil-work", f"training/{job}/input/{name}", path)
        arguments = sagemaker.request(ENVIRONMENT, config, job, files)
        arguments["StoppingCondition"] |= limits
        client.create_training_job(**arguments)
        return job

    return begin


def until(client: Any, job: str, *secondary: str) -> dict[str, Any]:
    deadline = time.monotonic() + 240
    while (described := client.describe_training_job(TrainingJobName=job))["SecondaryStatus"] not in secondary:
        assert time.monotonic() < deadline, described
        time.sleep(0.1)
    return described


def left_behind(project: Path) -> list[Path]:
    """Working files of jobs, which hold rows."""
    return list((project / ".tabveil" / "aws" / "training").iterdir())


def test_a_job_trains_the_same_model_as_this_process(aws, project, files, tmp_path, monkeypatch):
    told: list[str] = []
    began, output = time.monotonic(), tmp_path / "output.tar.gz"
    job = sagemaker.job_name("accounts")
    monkeypatch.setattr(sagemaker, "job_name", lambda dataset: job)

    def tell(status: str) -> None:
        told.append(status)
        if status == "Completed":
            aws.store.get("tabveil-work", f"training/{job}/output/output.tar.gz", output, max_bytes=10**6)

    run = train_on_sagemaker(aws, CONFIG, "accounts", files, tmp_path / "model", on_status=tell)
    fit_file(CONFIG, files["train.parquet"], METADATA).save(tmp_path / "here")
    assert sha256_of(tmp_path / "model") == sha256_of(tmp_path / "here")
    assert told[-1] == "Completed"
    assert set(told) <= {"Starting", "Downloading", "Training", "Uploading", "Completed"}
    assert run.billable_seconds is not None
    assert 1 <= run.billable_seconds <= time.monotonic() - began + 1
    assert left_behind(project) == []

    assert aws.store.list("tabveil-work", f"training/{job}/") == []
    with tarfile.open(output) as tar:
        metrics = json.load(tar.extractfile("./metrics.json"))
    assert metrics["steps"] == 30


LONG = dataclasses.replace(CONFIG, max_steps=1500, validate_every=10, patience=10**6, full_budget_rows=200)


def kept_keys(aws: AWS, job: str) -> list[str]:
    return [info.key for info in aws.store.list("tabveil-work", f"training/{job}/checkpoints/")]


def test_what_a_stopped_job_left_is_gone_on_with_to_the_same_model(aws, client, start, files, tmp_path, project):
    """The next container finds what S3 holds, as that of a job whose spot instance was taken back."""
    first = start(LONG)
    until(client, first, "Training")
    while not kept_keys(aws, first):
        described = client.describe_training_job(TrainingJobName=first)
        assert described["TrainingJobStatus"] == "InProgress", described.get("FailureReason")
        time.sleep(0.1)
    client.stop_training_job(TrainingJobName=first)
    until(client, first, "Stopped")
    assert set(kept_keys(aws, first)) <= {f"training/{first}/checkpoints/training-{slot}.zip" for slot in (0, 1)}

    second = sagemaker.job_name("accounts")
    for name, path in files.items():
        aws.store.put_version("tabveil-work", f"training/{second}/input/{name}", path)
    arguments = sagemaker.request(ENVIRONMENT, LONG, second, files)
    arguments["CheckpointConfig"]["S3Uri"] = f"s3://tabveil-work/training/{first}/checkpoints"
    client.create_training_job(**arguments)
    described = until(client, second, "Completed", "Failed")
    assert described["TrainingJobStatus"] == "Completed", described.get("FailureReason")
    assert described["CheckpointConfig"] == arguments["CheckpointConfig"]
    sagemaker.fetch_model(aws, described, LONG, tmp_path / "model")
    fit_file(LONG, files["train.parquet"], METADATA).save(tmp_path / "here")
    assert sha256_of(tmp_path / "model") == sha256_of(tmp_path / "here")
    assert kept_keys(aws, second) == []
    assert left_behind(project) == []


class FakeS3:
    """The three calls of a checkpoint folder, in memory."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.puts: list[str] = []

    def put_object(self, *, Bucket: str, Key: str, Body: bytes) -> None:  # noqa: N803 (boto3's names)
        self.objects[f"{Bucket}/{Key}"] = Body
        self.puts.append(Key)

    def list_objects_v2(self, *, Bucket: str, Prefix: str) -> dict[str, Any]:  # noqa: N803
        keys = [place.removeprefix(f"{Bucket}/") for place in sorted(self.objects)]
        return {"Contents": [{"Key": key} for key in keys if key.startswith(Prefix)]}

    def download_file(self, bucket: str, key: str, target: str) -> None:
        Path(target).write_bytes(self.objects[f"{bucket}/{key}"])


@pytest.mark.parametrize("uri", ["s3://work/training/job/checkpoints", "s3://work/training/job/checkpoints/"])
def test_a_checkpoint_folder_follows_what_changes_and_comes_back(tmp_path, uri):
    s3 = FakeS3()
    s3.objects["work/training/job/checkpoints-of-another/x"] = b"not ours"
    first = CheckpointFolder(s3, uri, tmp_path / "first")
    first.download()
    first.upload()
    write_text(tmp_path / "first" / "a", "one")
    write_text(tmp_path / "first" / "b", "two")
    first.upload()
    write_text(tmp_path / "first" / "b", "three")
    first.upload()
    first.upload()
    assert s3.puts == [f"training/job/checkpoints/{name}" for name in ("a", "b", "b")]

    second = CheckpointFolder(s3, uri, tmp_path / "second")
    second.download()
    assert {p.name: p.read_text() for p in (tmp_path / "second").iterdir()} == {"a": "one", "b": "three"}
    second.upload()
    assert len(s3.puts) == 3  # what was brought is not sent back


def test_an_on_demand_job_keeps_nothing(aws, client, files):
    job = sagemaker.job_name("accounts")
    for name, path in files.items():
        aws.store.put_version("tabveil-work", f"training/{job}/input/{name}", path)
    on_demand = dataclasses.replace(ENVIRONMENT.sagemaker, use_spot=False)
    client.create_training_job(
        **sagemaker.request(dataclasses.replace(ENVIRONMENT, sagemaker=on_demand), CONFIG, job, files)
    )
    assert "CheckpointConfig" not in until(client, job, "Completed", "Failed")
    assert kept_keys(aws, job) == []


def test_a_failing_training_shows_its_reason(aws, project, files, tmp_path):
    demanding = dataclasses.replace(CONFIG, min_rows=10_000)
    with pytest.raises(CloudError, match=r"AlgorithmError: the training table must have at least 10000 rows, .*: 200"):
        train_on_sagemaker(aws, demanding, "accounts", files, tmp_path / "model")
    assert not (tmp_path / "model").exists()
    assert left_behind(project) == []


def test_a_job_without_data_fails(client, start):
    described = until(client, start(upload=False), "Failed")
    assert described["TrainingJobStatus"] == "Failed"
    assert "No S3 objects found under S3 URL s3://tabveil-work/training/" in described["FailureReason"]


def test_a_job_that_is_interrupted_here_is_stopped_there(aws, client, files, tmp_path, project, monkeypatch):
    job = sagemaker.job_name("accounts")
    monkeypatch.setattr(sagemaker, "job_name", lambda dataset: job)

    def interrupt(status: str) -> None:
        if status == "Training":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_on_sagemaker(aws, FOREVER, "accounts", files, tmp_path / "model", on_status=interrupt)
    described = until(client, job, "Stopped")
    assert described["TrainingJobStatus"] == "Stopped"
    assert [step["Status"] for step in described["SecondaryStatusTransitions"]][-2:] == ["Stopping", "Stopped"]
    assert not (tmp_path / "model").exists()
    assert left_behind(project) == []
    assert [info.key for info in aws.store.list("tabveil-work", f"training/{job}/input/")] == []
    with pytest.raises(ClientError, match="is in status Stopped"):
        client.stop_training_job(TrainingJobName=job)
    sagemaker.stop(client, job)  # the adapter takes that for done


def test_a_job_that_runs_too_long_is_stopped_and_no_success(client, start, project):
    described = until(client, start(MaxRuntimeInSeconds=1), "MaxRuntimeExceeded")
    assert described["TrainingJobStatus"] == "Stopped"
    with pytest.raises(CloudError, match="ran longer than"):
        sagemaker.require_completed(described)
    assert left_behind(project) == []


def containers(project: Path) -> list[psutil.Process]:
    """Processes that train below a project's folder."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if str(project) in process.environ().get("TABVEIL_ML_ROOT", ""):
                found.append(process)
    return found


def test_no_container_outlives_its_endpoint_and_no_row_the_next_one(tmp_path, files):
    """Even when nobody stops the job: a stage that was killed cannot."""
    with connect_aws(ENVIRONMENT, tmp_path) as connected:
        job = sagemaker.job_name("accounts")
        for name, path in files.items():
            connected.store.put_version("tabveil-work", f"training/{job}/input/{name}", path)
        own = connected.client("sagemaker")
        own.create_training_job(**sagemaker.request(ENVIRONMENT, FOREVER, job, files))
        until(own, job, "Training")
        running = containers(tmp_path)
        assert running
        assert not [name for process in running for name in process.environ() if name.startswith("AWS_")]
    _, alive = psutil.wait_procs(running, timeout=60)
    assert alive == []
    assert containers(tmp_path) == []
    with connect_aws(ENVIRONMENT, tmp_path):
        assert not (tmp_path / ".tabveil" / "aws" / "training").exists()


def test_names_are_used_once_and_unknown_ones_are_told(client, start, files):
    job = start()
    arguments = sagemaker.request(ENVIRONMENT, FOREVER, job, files)
    with pytest.raises(ClientError, match="must be unique") as caught:
        client.create_training_job(**arguments)
    assert caught.value.response["Error"]["Code"] == "ResourceInUse"
    sagemaker.start(client, arguments)  # the adapter takes that for its own first request
    client.stop_training_job(TrainingJobName=job)
    assert job in [summary["TrainingJobName"] for summary in client.list_training_jobs()["TrainingJobSummaries"]]
    with pytest.raises(ClientError, match="not found"):
        client.stop_training_job(TrainingJobName="nobody")
    sagemaker.stop(client, "nobody")
    with pytest.raises(ClientError, match="Could not find"):
        client.describe_training_job(TrainingJobName="nobody")
