"""The embedded endpoint's Glue runs, through real boto3 clients: every answer fits botocore's shapes."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from aws_shapes import watch
from botocore.exceptions import ClientError

from tabveil.artifacts import to_json
from tabveil.aws import glue
from tabveil.aws.embedded.context import Context
from tabveil.aws.embedded.glue_runs import log_group
from tabveil.aws.embedded.spark_run import SparkRun
from tabveil.aws.glue import run_on_glue
from tabveil.aws.session import AWS, connect_aws
from tabveil.config import DatasetConfig, EnvironmentConfig, GlueConfig, PreprocessConfig, SourceConfig
from tabveil.errors import CloudError
from tabveil.preprocess import preprocess
from tabveil.schema import ColumnSpec, ColumnType, NullPolicy

ENVIRONMENT = EnvironmentConfig(
    name="embedded",
    embedded_aws=True,
    glue=GlueConfig(role_arn="arn:aws:iam::123456789012:role/tabveil-glue", poll_seconds=0.2),
)
BUCKET = ENVIRONMENT.work_bucket
DATASET = DatasetConfig(
    name="small",
    source=SourceConfig(key="k"),
    columns={
        "k": ColumnSpec(type=ColumnType.integer),
        "v": ColumnSpec(type=ColumnType.decimal, nulls=NullPolicy.impute, clip=True),
        "t": ColumnSpec(type=ColumnType.datetime),
    },
    max_rejected_fraction=1.0,
)
RAW = "k,v,t\n1,2.5,2020-01-01 10:00\n2,x,2020-01-02\n3,,\n1,2.5,2020-01-01T10:00\nbroken\n4,1e3,1969-12-31\n"
SLEEP = "import time\ntime.sleep(600)\n"
FAIL = "import sys\nprint('a value')\nsys.exit('the Spark job failed: AnalysisException X')\n"


@dataclasses.dataclass(frozen=True)
class WatchedAWS(AWS):
    """Every request and answer is judged by botocore's models."""

    def client(self, service: str) -> Any:
        return watch(super().client(service))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("project")


@pytest.fixture(scope="module")
def aws(project: Path) -> Iterator[WatchedAWS]:
    with connect_aws(ENVIRONMENT, project) as connected:
        yield WatchedAWS(connected.environment, connected.store, connected.session, connected.endpoint_url)


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """``script(text)``: what is uploaded instead of spark_job.py."""

    def put(text: str) -> None:
        (tmp_path / "job.py").write_text(text, encoding="utf-8")
        monkeypatch.setattr(glue, "SCRIPT", tmp_path / "job.py")

    return put


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "input").mkdir()
    (tmp_path / "input" / "plan.json").write_text("{}", encoding="utf-8")
    return tmp_path / "input"


def left(aws: AWS) -> list[str]:
    """Keys of the work bucket that hold more than the script."""
    return [info.key for info in aws.store.list(BUCKET, "glue/") if not info.key.startswith("glue/scripts/")]


def test_a_table_is_the_same_as_from_duckdb(aws, tmp_path):
    (tmp_path / "raw").write_text(RAW, encoding="utf-8")
    runs = []
    expected = preprocess(tmp_path / "raw", DATASET, PreprocessConfig())
    found = preprocess(
        tmp_path / "raw",
        DATASET,
        PreprocessConfig(),
        lambda source, target: runs.append(run_on_glue(aws, source, target)),
    )
    pd.testing.assert_frame_equal(found.table, expected.table)
    pd.testing.assert_frame_equal(found.quarantine, expected.quarantine)
    assert to_json(found.profile) == to_json(expected.profile)
    assert runs[0].dpu_seconds == max(runs[0].seconds, 60) * 2
    assert left(aws) == []


def test_a_run_that_fails_says_why_and_leaves_nothing(aws, script, source, tmp_path):
    script(FAIL)
    with pytest.raises(
        CloudError, match=r"it failed \(the Spark job failed: AnalysisException X\); its log: https"
    ) as caught:
        run_on_glue(aws, source, tmp_path / "output")
    assert "a value" not in str(caught.value)
    assert not (tmp_path / "output").exists()
    assert left(aws) == []


def test_an_interrupt_stops_the_run(aws, script, source, tmp_path):
    script(SLEEP)

    def interrupt(state: str) -> None:
        if state == "RUNNING":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        run_on_glue(aws, source, tmp_path / "output", on_status=interrupt)
    assert not hasattr(caught.value, "__notes__")
    newest = aws.client("glue").get_job_runs(JobName=ENVIRONMENT.glue.job_name)["JobRuns"][0]
    assert newest["JobRunState"] == "STOPPED"
    assert left(aws) == []


def test_one_run_at_a_time_and_what_has_ended_cannot_be_stopped(aws, script, source):
    client, name = aws.client("glue"), ENVIRONMENT.glue.job_name
    script(SLEEP)
    glue.ensure_job(client, glue.job_definition(ENVIRONMENT, glue.upload_script(aws)), ENVIRONMENT)
    run_id = client.start_job_run(JobName=name)["JobRunId"]
    run = client.get_job_run(JobName=name, RunId=run_id)["JobRun"]
    assert run["LogGroupName"] == ENVIRONMENT.glue.log_group_prefix
    with pytest.raises(ClientError, match="ConcurrentRunsExceededException"):
        client.start_job_run(JobName=name)
    assert client.batch_stop_job_run(JobName=name, JobRunIds=[run_id])["Errors"] == []
    glue._wait(client, ENVIRONMENT, run_id, lambda state: None, 30)
    again = client.batch_stop_job_run(JobName=name, JobRunIds=[run_id, "jr_unknown"])["Errors"]
    assert [error["ErrorDetail"]["ErrorCode"] for error in again] == [
        "InvalidInputException",
        "EntityNotFoundException",
    ]
    with pytest.raises(ClientError, match="AlreadyExistsException"):
        client.create_job(Name=name, Role=ENVIRONMENT.glue.role_arn, Command={"Name": "glueetl"})
    job = client.get_job(JobName=name)["Job"]
    assert (job["GlueVersion"], job["Timeout"], job["MaxRetries"]) == ("5.1", 30, 0)


def test_glue_5_knows_a_prefix_of_log_groups_and_no_longer_a_name():
    arguments = {"--continuous-log-logGroup": "/name", "--custom-logGroup-prefix": "/prefix"}
    assert log_group("4.0", arguments) == "/name"
    assert {log_group(version, arguments) for version in ("5.0", "5.1", "6.0", None)} == {"/prefix"}
    assert log_group("5.1", {"--continuous-log-logGroup": "/name"}) == "/aws-glue/jobs"


def run_to_end(aws: AWS, tmp_path: Path, script: str | None, timeout_seconds: float) -> SparkRun:
    os.environ.setdefault("TMPDIR", str(tmp_path))
    context = Context(aws.store.endpoint_url, ENVIRONMENT.region, tmp_path, tmp_path)
    if script is not None:
        (tmp_path / "script.py").write_text(script, encoding="utf-8")
        aws.store.put_version(BUCKET, "glue/scripts/test.py", tmp_path / "script.py")
    uri = f"s3://{BUCKET}/glue/scripts/{'test' if script else 'missing'}.py"
    run = SparkRun(context, tmp_path / "run", script_uri=uri, arguments={}, timeout_seconds=timeout_seconds)
    run.start()
    deadline = time.monotonic() + 30
    while run.completed is None and time.monotonic() < deadline:
        time.sleep(0.05)
    return run


@pytest.fixture
def own_credentials(aws: AWS, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process's AWS_* variables, as the endpoint's process has them."""
    known = aws.session.get_credentials()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", known.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", known.secret_key)


def test_a_run_that_is_too_long_times_out(aws, tmp_path, own_credentials):
    run = run_to_end(aws, tmp_path, SLEEP, 0.5)
    assert (run.state, run.error) == ("TIMEOUT", "the run was longer than its timeout")
    assert run.execution_seconds >= 1
    assert not run.stop()


def test_a_run_without_its_script_fails(aws, tmp_path, own_credentials):
    run = run_to_end(aws, tmp_path, None, 60)
    assert (run.state, run.error) == ("FAILED", "the object store refused or broke off (ClientError)")


CTRL_C = """
import sys
from functools import partial
from pathlib import Path
from tabveil.aws import glue
from tabveil.aws.session import connect_aws
from tabveil.config import EnvironmentConfig, GlueConfig
root = Path(sys.argv[1])
glue.SCRIPT = root / "job.py"
own = GlueConfig(role_arn="arn:aws:iam::123456789012:role/tabveil-glue", poll_seconds=0.2)
with connect_aws(EnvironmentConfig(name="embedded", embedded_aws=True, glue=own), root) as aws:
    try:
        glue.run_on_glue(aws, root / "input", root / "output", on_status=partial(print, flush=True))
    finally:
        runs = aws.client("glue").get_job_runs(JobName=own.job_name)["JobRuns"]
        print([run["JobRunState"] for run in runs], [info.key for info in aws.store.list("tabveil-work", "glue/2")])
"""


def test_ctrl_c_stops_the_run_and_leaves_nothing(tmp_path, source):
    (tmp_path / "job.py").write_text(SLEEP, encoding="utf-8")
    (tmp_path / "main.py").write_text(CTRL_C, encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "main.py"), str(tmp_path)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    while process.stdout.readline().strip() != "RUNNING":
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert out.splitlines()[-1] == "['STOPPED'] []"
    assert "KeyboardInterrupt" in err
    assert not (tmp_path / "output").exists()
