"""Preprocessing on AWS Glue: one Spark job of ours, its script and input in the work bucket, its output fetched.

A run has a prefix of its own, ``glue/<run>/``: the compiled SQL and the raw rows go to `input/`, the job writes to
`output/`. Whatever way it ends, the prefix is deleted, since it holds real rows; what a process that was killed left
behind, the next run deletes. The job is `spark_job.py`, the file that also runs on a laptop.

Sources: the service model of botocore; https://docs.aws.amazon.com/glue/latest/webapi/API_StartJobRun.html and
https://docs.aws.amazon.com/glue/latest/dg/aws-glue-programming-etl-glue-arguments.html; of the log groups:
https://docs.aws.amazon.com/glue/latest/dg/monitor-continuous-logging.html
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from botocore.exceptions import ClientError, HTTPClientError

from tabveil.artifacts import atomic_folder
from tabveil.aws.charges import dollars, glue_charge, glue_dpu_seconds
from tabveil.aws.failures import aws_border, error_code
from tabveil.aws.polling import cancelling, poll, tidying
from tabveil.aws.session import AWS
from tabveil.config import EnvironmentConfig
from tabveil.errors import CloudError, ConfigError, CostError, StorageError
from tabveil.preprocess.local_spark import SCRIPT
from tabveil.storage.upload import file_sha256

PREFIX = "glue"  # in the work bucket
STAMP = "%Y%m%d-%H%M%S"  # UTC; begins a run's name
STALE = timedelta(hours=24)  # longer than a run can last: 480 minutes, and its start
SERVICE = "Glue"
ACTIVE_STATES = {"WAITING", "STARTING", "RUNNING", "STOPPING"}
FINAL_STATES = {"SUCCEEDED", "STOPPED", "FAILED", "TIMEOUT", "ERROR", "EXPIRED"}
START_SECONDS = 1800  # beyond the run's own limit: workers may have to be waited for
STOP_SECONDS = 60
STARTS = 2  # a start without an answer is repeated once, if nothing runs
REASON_CHARACTERS = 600
ENDINGS = {
    "STOPPED": "it was stopped by someone else",
    "FAILED": "it failed",
    "TIMEOUT": "it ran longer than environment.glue.timeout_minutes: raise it, or number_of_workers",
    "ERROR": "Glue itself broke off: run it again",
    "EXPIRED": "no workers became free in time: run it again, or set environment.glue.execution_class=STANDARD",
}
OnStatus = Callable[[str], None]


@dataclass(frozen=True)
class GlueRun:
    """A run that succeeded.

    Args:
        run_id: Glue's.
        seconds: that the job ran, starting up not included.
        dpu_seconds: what Glue bills.
    """

    job_name: str
    run_id: str
    seconds: int
    dpu_seconds: float


def run_on_glue(aws: AWS, source: Path, target: Path, *, on_status: OnStatus = lambda status: None) -> GlueRun:
    """Run `spark_job.py` on Glue with the files of `source`, and fetch what it wrote to `target`.

    Args:
        target: a new folder; there only after everything arrived.
        on_status: called with the run's state whenever it changes.

    Raises:
        ConfigError: no role is configured, or an unknown worker type.
        CostError: a run could cost more than `environment.max_cost_usd`.
        CloudError: Glue refused, or the run did not succeed; the message holds its reason and where its log is.
        StorageError: the object store refused or broke off.
    """
    environment, client = aws.environment, aws.client("glue")
    require_ready(environment)
    prefix = f"{PREFIX}/{datetime.now(UTC):{STAMP}}-{secrets.token_hex(3)}"
    output = f"s3://{environment.work_bucket}/{prefix}/output"
    sweep(aws)
    with tidying(aws.store, environment.work_bucket, f"{prefix}/"):
        for path in sorted(path for path in source.rglob("*") if path.is_file()):
            aws.store.put_version(
                environment.work_bucket, f"{prefix}/input/{path.relative_to(source).as_posix()}", path
            )
        ensure_job(client, job_definition(environment, upload_script(aws)), environment)
        with cancelling(lambda: stop(client, environment, output)):
            run_id = start(client, environment, f"s3://{environment.work_bucket}/{prefix}/input", output)
            described = wait(client, environment, run_id, on_status)
        require_succeeded(described, environment)
        fetch(aws, f"{prefix}/output/", target)
    return _summary(described, environment)


def require_ready(environment: EnvironmentConfig) -> None:
    """Refuse what can only fail later, or cost too much.

    Raises:
        ConfigError: no role, or an unknown worker type.
        CostError: see `max_cost_usd`.
    """
    own = environment.glue
    if not own.role_arn:
        raise ConfigError("environment.glue.role_arn must be set, however it is not: set TABVEIL_GLUE_ROLE")
    highest = glue_charge(environment.prices, glue_dpu_seconds(environment, own.timeout_minutes * 60)).usd
    if highest > environment.max_cost_usd:
        raise CostError(
            f"a Glue run may cost at most environment.max_cost_usd={environment.max_cost_usd:g} USD, however "
            f"{own.timeout_minutes} minutes on {own.number_of_workers} {own.worker_type} cost up to {dollars(highest)} "
            "USD: lower environment.glue.timeout_minutes, or raise max_cost_usd"
        )


def sweep(aws: AWS) -> None:
    """Delete the prefixes of runs that began more than a day ago: killed processes left them, with real rows.

    Raises:
        StorageError: the object store refused or broke off.
    """
    bucket, newest = aws.environment.work_bucket, datetime.now(UTC) - STALE
    runs = {info.key.split("/")[1] for info in aws.store.list(bucket, f"{PREFIX}/2")}  # years; not the scripts
    for run in sorted(run for run in runs if re.fullmatch(r"\d{8}-\d{6}-[0-9a-f]+", run)):
        if datetime.strptime(run[:15], STAMP).replace(tzinfo=UTC) < newest:
            aws.store.delete_prefix(bucket, f"{PREFIX}/{run}/")


def upload_script(aws: AWS) -> str:
    """Put `spark_job.py` where Glue finds it, under a name that follows from its content. Returns its URI."""
    bucket, key = aws.environment.work_bucket, f"{PREFIX}/scripts/spark_job-{file_sha256(SCRIPT)[:16]}.py"
    aws.store.put_version(bucket, key, SCRIPT)
    return f"s3://{bucket}/{key}"


def job_definition(environment: EnvironmentConfig, script: str) -> dict[str, Any]:
    """The job as `create_job` and `update_job` take it, without its name."""
    own = environment.glue
    definition = {
        "Role": own.role_arn,
        "Command": {"Name": "glueetl", "PythonVersion": "3", "ScriptLocation": script},
        "GlueVersion": own.version,
        "WorkerType": own.worker_type,
        "NumberOfWorkers": own.number_of_workers,
        "ExecutionClass": own.execution_class,
        "ExecutionProperty": {"MaxConcurrentRuns": 1},  # a start that was repeated unnoticed is refused
        "Timeout": own.timeout_minutes,
        "MaxRetries": 0,
        "DefaultArguments": {"--custom-logGroup-prefix": own.log_group_prefix},  # Glue 5.0 and later
    }
    if own.security_configuration:
        definition["SecurityConfiguration"] = own.security_configuration
    return definition


def ensure_job(client: Any, definition: dict[str, Any], environment: EnvironmentConfig) -> None:
    """Create the job, or make it what it must be.

    Raises:
        CloudError: Glue refused.
    """
    name = environment.glue.job_name
    with aws_border(SERVICE, f"set up job {name}"):
        try:
            present = client.get_job(JobName=name)["Job"]
        except ClientError as err:
            if error_code(err) != "EntityNotFoundException":
                raise
            client.create_job(Name=name, Tags=environment.tags, **definition)
            return
        if any(present.get(key) != value for key, value in definition.items()):
            client.update_job(JobName=name, JobUpdate=definition)


def start(client: Any, environment: EnvironmentConfig, source: str, output: str) -> str:
    """Start a run and return its id; a run that began although its answer was lost is found again.

    Raises:
        CloudError: Glue refused, or another run of the job is active.
    """
    name = environment.glue.job_name
    with aws_border(SERVICE, f"start job {name}"):
        for attempt in range(1, STARTS + 1):
            try:
                arguments = {"--input": source, "--output": output}
                return str(client.start_job_run(JobName=name, Arguments=arguments)["JobRunId"])
            except (ClientError, HTTPClientError) as err:
                refused = isinstance(err, ClientError)
                if refused and error_code(err) != "ConcurrentRunsExceededException":
                    raise
                found = find_run(client, name, output)
                if found is not None:
                    return str(found["Id"])
                if refused:
                    raise CloudError(
                        f"{SERVICE} must start job {name}, however another run of it is active: wait for its end"
                    ) from err
                if attempt == STARTS:
                    raise
    raise AssertionError("unreachable: the last attempt returns or raises")


def find_run(client: Any, name: str, output: str) -> dict[str, Any] | None:
    """The run that writes to `output`, if it was started: each run has an output of its own."""
    runs: list[dict[str, Any]] = client.get_job_runs(JobName=name)["JobRuns"]  # the newest come first
    return next((run for run in runs if run.get("Arguments", {}).get("--output") == output), None)


def stop(client: Any, environment: EnvironmentConfig, output: str) -> None:
    """Stop the run that writes to `output`, and wait until it no longer does; one that never began is none.

    Raises:
        CloudError: Glue refused, or the run goes on.
    """
    name = environment.glue.job_name
    with aws_border(SERVICE, f"stop the run of job {name}"):
        run = find_run(client, name, output)
        if run is None or run["JobRunState"] in FINAL_STATES:
            return
        answer = client.batch_stop_job_run(JobName=name, JobRunIds=[run["Id"]])
    described = _wait(client, environment, run["Id"], lambda status: None, STOP_SECONDS)
    if described["JobRunState"] not in FINAL_STATES:
        codes = {error["ErrorDetail"]["ErrorCode"] for error in answer.get("Errors", [])}
        raise CloudError(f"{SERVICE} must stop run {run['Id']}, however it goes on {', '.join(sorted(codes))}")


def wait(client: Any, environment: EnvironmentConfig, run_id: str, on_status: OnStatus) -> dict[str, Any]:
    """Describe the run until it has ended.

    Raises:
        CloudError: Glue refused, the run outlived its limits, or is in a state that nobody knows.
    """
    return _wait(client, environment, run_id, on_status, environment.glue.timeout_minutes * 60 + START_SECONDS)


def _wait(
    client: Any, environment: EnvironmentConfig, run_id: str, on_status: OnStatus, timeout_seconds: float
) -> dict[str, Any]:
    name, told = environment.glue.job_name, ""

    def look() -> dict[str, Any]:
        nonlocal told
        with aws_border(SERVICE, f"describe run {run_id}"):
            described: dict[str, Any] = client.get_job_run(JobName=name, RunId=run_id)["JobRun"]
        if described["JobRunState"] != told:
            told = described["JobRunState"]
            on_status(told)
        return described

    return poll(
        look,
        lambda described: described["JobRunState"] not in ACTIVE_STATES,
        what=f"{SERVICE} run {run_id}",
        timeout_seconds=timeout_seconds,
        every_seconds=environment.glue.poll_seconds,
    )


def require_succeeded(described: dict[str, Any], environment: EnvironmentConfig) -> None:
    """Refuse every end but success.

    Raises:
        CloudError: with Glue's reason, or with what to change, and where the log is.
    """
    state = described["JobRunState"]
    if state == "SUCCEEDED":
        return
    why = ENDINGS.get(state, f"its state is {state}, which this version does not know")
    reason = " ".join(described.get("ErrorMessage", "").split())[:REASON_CHARACTERS]
    raise CloudError(
        f"{SERVICE} run {described['Id']} of job {described['JobName']} must succeed, however {why}"
        f"{f' ({reason})' if reason else ''}; its log: {log_link(described['Id'], environment)}"
    )


def log_link(run_id: str, environment: EnvironmentConfig) -> str:
    """The run's streams of Spark's own log in the CloudWatch console, whose addresses escape ``%`` as ``$25``.

    What the script itself prints is in the group `output` beside it.
    """
    region, name = environment.region, f"{environment.glue.log_group_prefix}/error"
    group = quote(quote(name, safe=""), safe="").replace("%", "$")
    return (
        f"https://{region}.console.aws.amazon.com/cloudwatch/home?region={region}#logsV2:log-groups/log-group/{group}"
        f"$3FlogStreamNameFilter$3D{run_id}"
    )


def fetch(aws: AWS, prefix: str, target: Path) -> None:
    """Download everything below a prefix; `target` is there only after all of it arrived.

    Raises:
        StorageError: refused, broken off, or a key that would be written elsewhere.
    """
    bucket, limit = aws.environment.work_bucket, aws.environment.max_object_bytes
    with atomic_folder(target) as folder:
        for info in aws.store.list(bucket, prefix):
            name = PurePosixPath(info.key.removeprefix(prefix))
            if info.size_bytes == 0:  # `_SUCCESS`, and the folders that some writers leave
                continue
            if name.is_absolute() or ".." in name.parts:
                raise StorageError(f"a key below s3://{bucket}/{prefix} must name a file there, however one does not")
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            aws.store.get(bucket, info.key, folder / name, max_bytes=limit)


def _summary(described: dict[str, Any], environment: EnvironmentConfig) -> GlueRun:
    seconds = int(described.get("ExecutionTime", 0))
    billed = described.get("DPUSeconds") or glue_dpu_seconds(environment, seconds)
    return GlueRun(described["JobName"], described["Id"], seconds, float(billed))
