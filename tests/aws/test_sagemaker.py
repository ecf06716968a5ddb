"""tabveil.aws.sagemaker against botocore's stubs: every end of a job, what is refused, what is left behind."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import http.server
import json
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from aws_shapes import service_model, watch
from botocore.config import Config
from botocore.retries import standard
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as st

from tabveil.artifacts import write_json, write_text
from tabveil.aws import sagemaker
from tabveil.aws.polling import poll
from tabveil.aws.sagemaker import train_on_sagemaker
from tabveil.config import EnvironmentConfig, SageMakerConfig, SDVConfig, TVAEConfig
from tabveil.errors import CloudError, ConfigError, CostError, ModelFileError, ObjectNotFoundError, StorageError
from tabveil.provenance import sha256_of
from tabveil.synthesizers.model_folder import FORMAT_VERSION

JOB = "tabveil-loans-20261124-110203-1f2e3d"
ROLE = "arn:aws:iam::123456789012:role/tabveil-sagemaker"
IMAGE = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/tabveil:1"
CONFIG = TVAEConfig(max_steps=10)
OWN = SageMakerConfig(role_arn=ROLE, image_uri=IMAGE, poll_seconds=0.001)
ENVIRONMENT = EnvironmentConfig(name="embedded", sagemaker=OWN)
ARTIFACT = f"s3://tabveil-work/training/{JOB}/output/model.tar.gz"
WEIGHTS_SHA256 = hashlib.sha256(b"weights").hexdigest()
UNSHAREABLE = json.dumps(
    {
        "format": "tabveil-synthesizer",
        "version": FORMAT_VERSION,
        "kind": "sdv_tvae",
        "files": {"weights.safetensors": WEIGHTS_SHA256},
    }
).encode()
NOW = datetime(2026, 11, 24, 11, 2, 3, tzinfo=UTC)


class FakeStore:
    """An object store in memory, with the calls that the adapter makes."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.broken = False

    def put_version(self, bucket: str, key: str, path: Path) -> None:
        self.objects[f"s3://{bucket}/{key}"] = path.read_bytes()

    def get(self, bucket: str, key: str, destination: Path, *, max_bytes: int) -> None:
        uri = f"s3://{bucket}/{key}"
        if uri not in self.objects:
            raise ObjectNotFoundError(f"cannot read {uri}: no such object")
        assert len(self.objects[uri]) <= max_bytes
        destination.write_bytes(self.objects[uri])

    def delete_prefix(self, bucket: str, prefix: str) -> int:
        if self.broken:
            raise StorageError("the store refused")
        gone = [uri for uri in self.objects if uri.startswith(f"s3://{bucket}/{prefix}")]
        for uri in gone:
            del self.objects[uri]
        return len(gone)


@dataclasses.dataclass
class FakeAWS:
    """`tabveil.aws.session.AWS` with a client of the test's."""

    environment: EnvironmentConfig
    store: FakeStore
    sagemaker: Any

    def client(self, service: str) -> Any:
        assert service == "sagemaker"
        return self.sagemaker


SESSION = boto3.Session("AKIATEST", "secret", region_name="eu-central-1")


def make_client(**settings: Any) -> Any:
    return watch(SESSION.client("sagemaker", **settings))


@pytest.fixture
def aws() -> FakeAWS:
    return FakeAWS(ENVIRONMENT, FakeStore(), make_client())


@pytest.fixture(autouse=True)
def known_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sagemaker, "job_name", lambda dataset: JOB)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    made = {name: tmp_path / "verify" / name for name in ("train.parquet", "metadata.json")}
    for path in made.values():
        write_text(path, path.name)
    return made


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """An older model, which only a good one may replace."""
    write_text(tmp_path / "train" / "model" / "old.json", "{}")
    return tmp_path / "train" / "model"


@pytest.fixture
def archive(tmp_path: Path) -> Callable[..., bytes]:
    """``archive(config)``: model.tar.gz as the container leaves it."""

    def make(config: TVAEConfig = CONFIG, **changes: bytes) -> bytes:
        folder = tmp_path / "trained"
        write_text(folder / "weights.safetensors", "weights")
        manifest = {"format": "tabveil-synthesizer", "version": FORMAT_VERSION, "kind": config.name, "shareable": True}
        checksums = {"weights.safetensors": sha256_of(folder / "weights.safetensors")}
        write_json(folder / "synthesizer.json", manifest | {"files": checksums, "config": dataclasses.asdict(config)})
        for name, content in changes.items():
            (folder / name.replace("__", ".")).write_bytes(content)
        return Path(shutil.make_archive(str(tmp_path / "model"), "gztar", folder)).read_bytes()

    return make


def description(status: str, secondary: str, **more: Any) -> dict[str, Any]:
    return {
        "TrainingJobName": JOB,
        "TrainingJobArn": f"arn:aws:sagemaker:eu-central-1:123456789012:training-job/{JOB}",
        "ModelArtifacts": {"S3ModelArtifacts": ARTIFACT},
        "TrainingJobStatus": status,
        "SecondaryStatus": secondary,
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        "CreationTime": NOW,
        **more,
    }


COMPLETED = description("Completed", "Completed", BillableTimeInSeconds=120, TrainingTimeInSeconds=300)
CREATED = {"TrainingJobArn": f"arn:aws:sagemaker:eu-central-1:123456789012:training-job/{JOB}"}


@contextmanager
def stubbed(aws: FakeAWS, *described: dict[str, Any], stops: bool = False) -> Iterator[Stubber]:
    with Stubber(aws.sagemaker) as stub:
        stub.add_response("create_training_job", CREATED)
        for answer in described:
            stub.add_response("describe_training_job", answer, {"TrainingJobName": JOB})
        if stops:
            stub.add_response("stop_training_job", {}, {"TrainingJobName": JOB})
        yield stub
        stub.assert_no_pending_responses()


def train(aws: FakeAWS, files: dict[str, Path], model: Path, **others: Any) -> sagemaker.TrainingRun:
    return train_on_sagemaker(aws, CONFIG, "loans", files, model, **others)


def test_a_completed_job_brings_its_model_and_its_bill(aws, files, model, archive):
    aws.store.objects[ARTIFACT] = archive()
    other = "s3://tabveil-work/training/tabveil-loans-other/input/train.parquet"
    aws.store.objects[other] = b"of another job"
    told: list[str] = []

    def tell(status: str) -> None:
        told.append(status)
        assert aws.store.objects[f"s3://tabveil-work/training/{JOB}/input/train.parquet"] == b"train.parquet"
        assert aws.store.objects[f"s3://tabveil-work/training/{JOB}/input/metadata.json"] == b"metadata.json"

    steps = ["Starting", "Starting", "Downloading", "Training", "Training", "Uploading"]
    with stubbed(aws, *(description("InProgress", step) for step in steps), COMPLETED):
        run = train(aws, files, model, on_status=tell)
    assert run == sagemaker.TrainingRun(JOB, "ml.c5.xlarge", True, 120, round(120 / 3600 * 0.233, 6))
    assert told == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert sorted(path.name for path in model.iterdir()) == ["synthesizer.json", "weights.safetensors"]
    assert aws.store.objects == {other: b"of another job"}  # neither rows nor archive stay


def test_a_model_is_brought_although_the_rows_could_not_be_deleted_and_that_is_an_error(aws, files, model, archive):
    aws.store.objects[ARTIFACT], aws.store.broken = archive(), True
    with stubbed(aws, COMPLETED), pytest.raises(StorageError, match="the store refused"):
        train(aws, files, model)
    assert "weights.safetensors" in [path.name for path in model.iterdir()]


def test_a_job_whose_bill_is_unknown_is_still_a_job(aws, files, model, archive):
    aws.store.objects[ARTIFACT] = archive()
    with stubbed(aws, description("Completed", "Completed")):
        run = train(aws, files, model)
    assert (run.billable_seconds, run.cost_usd) == (None, None)


ENDS = [
    ("Failed", "Failed", "AlgorithmError: too few\n rows, exit code: 2", "it failed: AlgorithmError: too few rows"),
    ("Failed", "Failed", None, "it failed: SageMaker gives no reason"),
    ("Stopped", "MaxRuntimeExceeded", None, "it ran longer than environment.sagemaker.max_runtime_seconds"),
    ("Stopped", "MaxWaitTimeExceeded", None, "it waited longer than environment.sagemaker.max_wait_seconds"),
    ("Stopped", "Interrupted", None, "its spot instance was taken back"),
    ("Stopped", "Stopped", None, "it was stopped by someone else"),
    ("Deleting", "Stopped", None, "it was stopped by someone else"),
    ("Completed", "MaxRuntimeExceeded", None, "it ran longer than"),
]


@pytest.mark.parametrize(("status", "secondary", "reason", "message"), ENDS)
def test_every_other_end_is_an_error_that_says_why(
    aws, files, model, archive, status: str, secondary: str, reason: str | None, message: str
):
    aws.store.objects[ARTIFACT] = archive()  # a stopped job may leave one: it does not count
    end = description(status, secondary, **({"FailureReason": reason} if reason else {}))
    with stubbed(aws, description("Stopping", "Stopping"), end), pytest.raises(CloudError) as caught:
        train(aws, files, model)
    said = str(caught.value)
    assert message in said
    assert f"{JOB} must complete" in said
    assert f"status {status}, {secondary}" in said
    assert len(said.splitlines()) == 1
    assert [path.name for path in model.iterdir()] == ["old.json"]
    assert aws.store.objects == {}


def test_every_status_of_the_service_model_is_handled():
    members = service_model("sagemaker").operation_model("DescribeTrainingJob").output_shape.members
    statuses = set(members["TrainingJobStatus"].enum)
    assert statuses == sagemaker.FINAL_STATES | {"InProgress", "Stopping"}
    assert set(sagemaker.STOPPED) <= set(members["SecondaryStatus"].enum)
    assert statuses - {"InProgress", "Stopping"} == {"Completed"} | {status for status, *_ in ENDS}


@pytest.mark.parametrize("signal", [KeyboardInterrupt(), SystemExit(143), ValueError("broken")])
def test_an_interrupt_stops_the_job(aws, files, model, signal: BaseException):
    def interrupt(status: str) -> None:
        raise signal

    with stubbed(aws, description("InProgress", "Training"), stops=True), pytest.raises(type(signal)) as caught:
        train(aws, files, model, on_status=interrupt)
    assert not hasattr(caught.value, "__notes__")
    assert aws.store.objects == {}
    assert [path.name for path in model.iterdir()] == ["old.json"]


@pytest.mark.parametrize("code", ["ResourceNotFound", "ValidationException"])
def test_stopping_a_job_that_has_ended_or_never_began_is_no_error(aws, code: str):
    with Stubber(aws.sagemaker) as stub:
        stub.add_client_error("stop_training_job", code, "The request was rejected because of its status")
        sagemaker.stop(aws.sagemaker, JOB)


def test_a_stop_that_fails_is_told_beside_the_reason(aws, files, model):
    with Stubber(aws.sagemaker) as stub:
        stub.add_response("create_training_job", CREATED)
        stub.add_client_error("describe_training_job", "ExpiredTokenException", "expired")
        stub.add_client_error("stop_training_job", "ExpiredTokenException", "expired")
        with pytest.raises(CloudError, match="the credentials have expired") as caught:
            train(aws, files, model)
    assert "could not be cancelled" in caught.value.__notes__[0]


def test_a_job_that_outlives_its_limits_is_stopped(aws, files, model, monkeypatch):
    ticks = iter(range(0, 10**9, 5000))
    impatient = functools.partial(poll, clock=lambda: float(next(ticks)), sleep=lambda seconds: None)
    monkeypatch.setattr(sagemaker, "poll", impatient)
    running = [description("InProgress", "Training")] * 2
    with stubbed(aws, *running, stops=True), pytest.raises(CloudError, match="must end within 9000 s"):
        train(aws, files, model)


def test_a_lost_answer_to_create_is_not_an_error(aws, files, model, archive):
    """botocore sends the request again, and SageMaker knows the name from the first time."""
    aws.store.objects[ARTIFACT] = archive()
    with Stubber(aws.sagemaker) as stub:
        stub.add_client_error("create_training_job", "ResourceInUse", "names must be unique")
        stub.add_response("describe_training_job", COMPLETED)
        assert train(aws, files, model).job_name == JOB


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("AccessDeniedException", "access was refused"),
        ("ResourceLimitExceeded", "it answered ResourceLimitExceeded: the quota is 0 instances"),
        ("ValidationException", "it answered ValidationException"),
    ],
)
def test_a_refused_job_is_told_with_sagemakers_own_words(aws, files, model, code: str, message: str):
    with Stubber(aws.sagemaker) as stub:
        stub.add_client_error("create_training_job", code, "the quota is 0 instances")
        stub.add_client_error("stop_training_job", "ResourceNotFound", "no such job")
        with pytest.raises(CloudError, match=message):
            train(aws, files, model)


# what is asked for


def asked(environment: EnvironmentConfig, files: dict[str, Path]) -> dict[str, Any]:
    """The request, judged by the service model."""
    made = sagemaker.request(environment, CONFIG, JOB, files)
    client = make_client()
    with Stubber(client) as stub:
        stub.add_response("create_training_job", CREATED, made)
        sagemaker.start(client, made)
    return made


def test_the_container_is_isolated_and_limited(files):
    made = asked(ENVIRONMENT, files)
    assert made["EnableNetworkIsolation"] is True
    assert made["EnableInterContainerTrafficEncryption"] is True
    assert made["ResourceConfig"] == {"InstanceType": "ml.c5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 10}
    assert made["StoppingCondition"] == {"MaxRuntimeInSeconds": 3600, "MaxWaitTimeInSeconds": 7200}
    assert made["EnableManagedSpotTraining"] is True
    assert made["Tags"] == [{"Key": "project", "Value": "tabveil"}]
    assert made["HyperParameters"]["train_sha256"] == sha256_of(files["train.parquet"])
    assert made["HyperParameters"]["max_steps"] == "10"


def test_an_unfinished_training_waits_beside_the_rows_it_was_fitted_to(files):
    made = asked(ENVIRONMENT, files)
    kept = made["CheckpointConfig"]
    assert kept == {"S3Uri": f"s3://tabveil-work/training/{JOB}/checkpoints", "LocalPath": "/opt/ml/checkpoints"}
    (channel,) = made["InputDataConfig"]
    beside = channel["DataSource"]["S3DataSource"]["S3Uri"]
    assert kept["S3Uri"].rpartition("/")[0] == beside.rstrip("/").rpartition("/")[0]  # what `tidying` deletes
    assert not beside.startswith(kept["S3Uri"])  # a checkpoint is no input


def test_weights_that_are_kept_go_with_the_rows_however_the_job_ends(aws, files, model):
    def interrupted(status: str) -> None:
        aws.store.objects[f"s3://tabveil-work/training/{JOB}/checkpoints/training-0.zip"] = b"weights"

    ends = [description("InProgress", "Training"), description("Stopped", "MaxWaitTimeExceeded")]
    with stubbed(aws, *ends), pytest.raises(CloudError, match="must complete"):
        train(aws, files, model, on_status=interrupted)
    assert aws.store.objects == {}


def test_an_on_demand_job_has_no_waiting_time_and_nothing_to_wait_for(files):
    made = asked(dataclasses.replace(ENVIRONMENT, sagemaker=dataclasses.replace(OWN, use_spot=False)), files)
    assert made["EnableManagedSpotTraining"] is False
    assert "CheckpointConfig" not in made
    assert made["StoppingCondition"] == {"MaxRuntimeInSeconds": 3600}


def test_a_key_encrypts_volume_and_model(files):
    key = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    made = asked(dataclasses.replace(ENVIRONMENT, kms_key_id=key), files)
    assert made["ResourceConfig"]["VolumeKmsKeyId"] == key
    assert made["OutputDataConfig"] == {"S3OutputPath": "s3://tabveil-work/training", "KmsKeyId": key}


@pytest.mark.parametrize("wrong", [{"role_arn": "tabveil"}, {"instance_type": "ml.c5.tiny"}])
def test_the_judge_notices_a_request_that_sagemaker_would_refuse(files, wrong: dict[str, str]):
    with pytest.raises(AssertionError, match=r"does not match|is not one of"):
        asked(dataclasses.replace(ENVIRONMENT, sagemaker=dataclasses.replace(OWN, **wrong)), files)


@given(dataset=st.from_regex(r"[a-z][a-z0-9_]{0,80}", fullmatch=True))
def test_job_names_are_sagemakers(dataset: str):
    pattern = service_model("sagemaker").shape_for("TrainingJobName").metadata["pattern"]
    name = JOB_NAME(dataset)
    assert len(name) <= 63
    assert re.fullmatch(pattern, name)


JOB_NAME = sagemaker.job_name


# what is refused before anything is sent


@pytest.mark.parametrize(
    ("environment", "config", "error", "message"),
    [
        (ENVIRONMENT, SDVConfig(name="sdv_ctgan"), ConfigError, "synthesizer.name=sdv_ctgan saves a pickle"),
        (
            {"role_arn": None},
            CONFIG,
            ConfigError,
            "role_arn must be set, however it is not: set TABVEIL_SAGEMAKER_ROLE",
        ),
        ({"image_uri": None}, CONFIG, ConfigError, "image_uri must be set, however it is not: set TABVEIL_IMAGE"),
        ({"instance_type": "ml.p5.48xlarge"}, CONFIG, ConfigError, "must have a price for ml.p5.48xlarge"),
        (
            {"max_runtime_seconds": 36_000, "max_wait_seconds": 36_000},
            CONFIG,
            CostError,
            r"at most environment.max_cost_usd=1 USD, however 36000 s on ml.c5.xlarge cost up to 2.33 USD",
        ),
    ],
)
def test_what_cannot_work_is_refused_before_a_row_leaves(aws, files, model, environment, config, error, message):
    if isinstance(environment, dict):
        environment = dataclasses.replace(ENVIRONMENT, sagemaker=dataclasses.replace(OWN, **environment))
    refusing = FakeAWS(environment, aws.store, None)
    with pytest.raises(error, match=message):
        train_on_sagemaker(refusing, config, "loans", files, model)
    assert aws.store.objects == {}


# what comes back


def test_a_model_elsewhere_is_not_fetched(aws, files, model, archive):
    aws.store.objects[ARTIFACT] = archive()
    foreign = {**COMPLETED, "ModelArtifacts": {"S3ModelArtifacts": "s3://elsewhere/model.tar.gz"}}
    with stubbed(aws, foreign), pytest.raises(CloudError, match="however it names s3://elsewhere/"):
        train(aws, files, model)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"weights__safetensors": b"other weights"}, "checksum"),
        ({"model__pkl": b"a pickle"}, "nothing else"),
        ({"synthesizer__json": b"{}"}, "must describe a TabVeil model"),
        ({"synthesizer__json": UNSHAREABLE}, "must be one that may leave a machine"),
    ],
)
def test_a_corrupt_model_is_refused_and_the_old_one_stays(aws, files, model, archive, content, message):
    aws.store.objects[ARTIFACT] = archive(**content)
    with stubbed(aws, COMPLETED), pytest.raises(ModelFileError, match=message):
        train(aws, files, model)
    assert [path.name for path in model.iterdir()] == ["old.json"]
    assert [path.name for path in model.parent.iterdir()] == ["model"]


def test_a_model_of_other_settings_is_refused(aws, files, model, archive):
    aws.store.objects[ARTIFACT] = archive(TVAEConfig(max_steps=11))
    with stubbed(aws, COMPLETED), pytest.raises(ModelFileError, match="its settings differ"):
        train(aws, files, model)
    assert [path.name for path in model.iterdir()] == ["old.json"]


def test_a_missing_model_is_refused(aws, files, model):
    with stubbed(aws, COMPLETED), pytest.raises(ObjectNotFoundError, match="no such object"):
        train(aws, files, model)
    assert [path.name for path in model.iterdir()] == ["old.json"]


# a service that does not answer as it should


@contextmanager
def flaky_service(*plan: tuple[int, str] | None) -> Iterator[str]:
    """A SageMaker on loopback that follows a plan: (status, error code); None cuts the connection; then it answers."""
    waiting = list(plan)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            step = waiting.pop(0) if waiting else (200, "")
            if step is None:
                self.connection.close()
                return
            status, code = step
            answer = {"__type": code, "message": "slow down"} if code else {**COMPLETED, "CreationTime": 0}
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> Config:
    """botocore's retries without its pauses."""
    monkeypatch.setattr(standard.ExponentialBackoff, "delay_amount", lambda self, context: 0.01)
    return Config(retries={"mode": "standard", "total_max_attempts": 4}, read_timeout=5, proxies={})


def describe_once(client: Any) -> dict[str, Any]:
    return sagemaker.wait(client, JOB, ENVIRONMENT, lambda status: None)


THROTTLED = (400, "ThrottlingException")
BROKEN = (500, "InternalFailure")


@pytest.mark.parametrize("plan", [[THROTTLED, THROTTLED], [BROKEN, BROKEN], [None, None], [THROTTLED, None, BROKEN]])
def test_a_service_that_stumbles_is_asked_again(quick_retries, plan):
    with flaky_service(*plan) as url:
        described = describe_once(make_client(endpoint_url=url, config=quick_retries))
    assert described["TrainingJobStatus"] == "Completed"


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ([THROTTLED] * 4, "it was throttled repeatedly"),
        ([BROKEN] * 4, "it answered InternalFailure"),
        ([None] * 4, "the connection broke off"),
        ([(400, "ExpiredTokenException")], "the credentials have expired"),
    ],
)
def test_a_service_that_stays_down_is_one_clear_line(quick_retries, plan, message):
    with flaky_service(*plan) as url, pytest.raises(CloudError, match=message) as caught:
        describe_once(make_client(endpoint_url=url, config=quick_retries))
    assert len(str(caught.value).splitlines()) == 1


def test_a_service_that_is_not_there_is_named(quick_retries):
    with flaky_service() as url:
        pass
    with pytest.raises(CloudError, match=r"http://127\.0\.0\.1:\d+.* does not answer"):
        describe_once(make_client(endpoint_url=url, config=quick_retries))
