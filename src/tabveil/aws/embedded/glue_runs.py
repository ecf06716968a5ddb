"""Glue job runs that really run: moto keeps the records, local PySpark is the cluster.

A run downloads the job's script and what its arguments name in S3, runs the script in a subprocess, and uploads what
it wrote. Its states, its error and its times are the process's; one that runs longer than its limit ends as TIMEOUT.
`UpdateJob` and `BatchStopJobRun`, which moto does not know, are added.
"""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from typing import Any

from moto.core.responses import ActionResult
from moto.glue import models
from moto.glue.exceptions import AlreadyExistsException
from moto.glue.responses import GlueResponse

from tabveil.aws.embedded.context import Context
from tabveil.aws.embedded.spark_run import SparkRun

FOLDER = "glue"  # below the endpoint's own
UPDATED = {  # member of JobUpdate -> attribute of moto's job
    "Role": "role",
    "Command": "command",
    "GlueVersion": "glue_version",
    "WorkerType": "worker_type",
    "NumberOfWorkers": "number_of_workers",
    "ExecutionClass": "execution_class",
    "ExecutionProperty": "execution_property",
    "Timeout": "timeout",
    "MaxRetries": "max_retries",
    "DefaultArguments": "default_arguments",
    "SecurityConfiguration": "security_configuration",
}
DEFAULT_TIMEOUT_MINUTES = 480
DEFAULT_LOGS = "/aws-glue/jobs"


def install(context: Context) -> None:
    """Let moto's job runs run, and add the operations that it lacks."""
    shutil.rmtree(context.folder / FOLDER, ignore_errors=True)  # rows that a killed endpoint left

    class JobRun(models.FakeJobRun):
        """moto's record of a run, with a process that is it."""

        spark: SparkRun | None = None  # set by `begin`, right after moto's constructor

        def begin(self, job: Any) -> None:
            """Start the process."""
            self.glue_version, self.execution_class = job.glue_version, job.execution_class
            minutes = self.timeout or DEFAULT_TIMEOUT_MINUTES
            self.spark = SparkRun(
                context,
                context.folder / FOLDER / self.job_run_id,
                script_uri=job.command["ScriptLocation"],
                arguments=self.arguments or {},
                timeout_seconds=minutes * 60,
            )
            self.spark.start()

        @property
        def status(self) -> str | None:
            """What moto asks for before it starts another run."""
            return "STARTING" if self.spark is None else self.spark.state

        @status.setter
        def status(self, value: str) -> None:
            """Ignore moto, whose runs succeed by being looked at."""

        def as_dict(self) -> dict[str, Any]:
            """The run as Glue describes it."""
            return described(self)

    replaced: Any = models
    replaced.FakeJobRun = JobRun
    _begin_runs()
    _refuse_taken_names()
    answers: Any = GlueResponse
    answers.update_job = update_job
    answers.batch_stop_job_run = batch_stop_job_run


def described(run: Any) -> dict[str, Any]:
    """`JobRun` of the service model; members without a value are left out."""
    members = {
        "Id": run.job_run_id,
        "Attempt": 0,
        "JobName": run.job_name,
        "StartedOn": run.started_on,
        "LastModifiedOn": run.spark.modified,
        "CompletedOn": run.spark.completed,
        "JobRunState": run.spark.state,
        "Arguments": run.arguments,
        "ErrorMessage": run.spark.error,
        "PredecessorRuns": [],
        "ExecutionTime": run.spark.execution_seconds,
        "Timeout": run.timeout,
        "WorkerType": run.worker_type,
        "NumberOfWorkers": run.number_of_workers,
        "SecurityConfiguration": run.security_configuration,
        "LogGroupName": log_group(run.glue_version, run.arguments),
        "GlueVersion": run.glue_version,
        "ExecutionClass": run.execution_class,
    }
    return {name: value for name, value in members.items() if value is not None}


def log_group(glue_version: str | None, arguments: dict[str, str]) -> str:
    """Where a run logs: Glue 5.0 and later know a prefix of two groups, `error` and `output`, and no longer the name of
    one (docs.aws.amazon.com/glue/latest/dg/monitor-continuous-logging.html).
    """
    old = glue_version is not None and int(glue_version.split(".")[0]) < 5
    return arguments.get("--continuous-log-logGroup" if old else "--custom-logGroup-prefix", DEFAULT_LOGS)


def update_job(response: GlueResponse) -> ActionResult:
    """`UpdateJob` (docs.aws.amazon.com/glue/latest/webapi/API_UpdateJob.html): what is not named is unset."""
    name = response._get_param("JobName")
    job, update = response.glue_backend.get_job(name), response._get_param("JobUpdate")
    for member, attribute in UPDATED.items():
        setattr(job, attribute, update.get(member))
    job.default_arguments = job.default_arguments or {}
    job.execution_property = job.execution_property or {}
    job.last_modified_on = datetime.now(UTC)
    return ActionResult({"JobName": name})


def batch_stop_job_run(response: GlueResponse) -> ActionResult:
    """`BatchStopJobRun` (docs.aws.amazon.com/glue/latest/webapi/API_BatchStopJobRun.html)."""
    name = response._get_param("JobName")
    runs: dict[str, Any] = {run.job_run_id: run for run in response.glue_backend.get_job(name).job_runs}
    stopped, errors = [], []
    for run_id in response._get_param("JobRunIds"):
        named = {"JobName": name, "JobRunId": run_id}
        if run_id in runs and runs[run_id].spark.stop():
            stopped.append(named)
        else:
            code = "InvalidInputException" if run_id in runs else "EntityNotFoundException"
            detail = {"ErrorCode": code, "ErrorMessage": "the run has ended, or there is none"}
            errors.append({**named, "ErrorDetail": detail})
    return ActionResult({"SuccessfulSubmissions": stopped, "Errors": errors})


def _begin_runs() -> None:
    start = models.FakeJob.start_job_run

    def start_job_run(self: models.FakeJob, **arguments: Any) -> str:
        run_id = start(self, **arguments)
        runs: list[Any] = self.job_runs
        next(run for run in runs if run.job_run_id == run_id).begin(self)
        runs.sort(key=lambda run: run.started_on, reverse=True)  # Glue lists the newest first
        return run_id

    job: Any = models.FakeJob
    job.start_job_run = start_job_run


def _refuse_taken_names() -> None:
    """Let a name be used once, as Glue does; moto overwrites the job."""
    create = models.GlueBackend.create_job

    def create_job(self: models.GlueBackend, name: str, **others: Any) -> None:
        if name in self.jobs:
            raise AlreadyExistsException("Job")
        create(self, name=name, **others)

    backend: Any = models.GlueBackend
    backend.create_job = create_job
