"""One run of the `/opt/ml` contract: download, ``tabveil train`` in a subprocess, upload; a thread of the endpoint."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
import tarfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from tabveil.artifacts import write_json
from tabveil.aws.embedded.checkpoints import CheckpointFolder
from tabveil.aws.embedded.context import Context
from tabveil.container import ROOT_VARIABLE, Folders
from tabveil.storage import guardian

PASSED_ON = ("PATH", "HOME", "LANG", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV", "OMP_NUM_THREADS")  # no AWS_*: isolated
COPY_SECONDS = 1.0  # between two looks for new checkpoints
RUNNING, STOPPING = "InProgress", "Stopping"
MESSAGES = {
    "Starting": "Preparing the instances for training",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Uploading": "Uploading generated training model",
    "Stopping": "Stopping the training job",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
}


@dataclass(frozen=True)
class JobRequest:
    """The part of `CreateTrainingJob` that decides what runs."""

    name: str
    hyperparameters: dict[str, str]
    channels: list[dict[str, Any]]
    input_mode: str
    output_uri: str
    instance_type: str
    max_runtime_seconds: int
    checkpoint_uri: str | None = None


class TrainingContainer:
    """A job from *Starting* to its end; safe to ask and to stop from other threads."""

    def __init__(self, context: Context, request: JobRequest) -> None:
        self.status = RUNNING
        self._context = context
        self._request = request
        self._folder = context.folder / "training" / request.name
        self._ml = Folders(self._folder / "ml")
        uri = request.checkpoint_uri
        self._checkpoints = CheckpointFolder(context.s3(), uri, self._ml.checkpoints) if uri else None
        self._lock = threading.Lock()
        self._stop_asked = threading.Event()
        self._guardian: subprocess.Popen[bytes] | None = None
        self._reason: str | None = None
        self._steps: list[dict[str, Any]] = []
        self._began: datetime | None = None
        self._ended: datetime | None = None
        self._step("Starting")

    def start(self) -> None:
        """Run the job in a thread."""
        threading.Thread(target=self._run, name=self._request.name, daemon=True).start()

    def stop(self) -> bool:
        """Send SIGTERM. Returns whether the job was still running."""
        with self._lock:
            if self.status != RUNNING:
                return False
            self._stop_asked.set()
            self._step("Stopping", STOPPING)
            self._terminate()
        return True

    def described(self) -> dict[str, Any]:
        """Everything about the run in `DescribeTrainingJob`."""
        with self._lock:
            steps = [dict(step) for step in self._steps]
            state: dict[str, Any] = {
                "TrainingJobStatus": self.status,
                "SecondaryStatus": steps[-1]["Status"],
                "SecondaryStatusTransitions": steps,
                "LastModifiedTime": steps[-1]["StartTime"],
                "FailureReason": self._reason,
                "TrainingStartTime": self._began,
                "TrainingEndTime": self._ended,
            }
            if self._began and self._ended:
                seconds = math.ceil((self._ended - self._began).total_seconds())
                state |= {"TrainingTimeInSeconds": seconds, "BillableTimeInSeconds": seconds}
        return {name: value for name, value in state.items() if value is not None}

    def _run(self) -> None:
        end, reason = "Failed", "InternalServerError: We encountered an internal error. Please try again."
        try:
            end, reason = self._lifecycle()
        except (BotoCoreError, ClientError) as err:
            reason = f"ClientError: Data download or upload failed: {' '.join(str(err).split())}"
        finally:  # whatever happens, nobody waits for a job that has ended
            shutil.rmtree(self._folder, ignore_errors=True)
            with self._lock:
                self._ended = _now()
                self._reason = reason if end == "Failed" else None
                self._step(end, "Stopped" if end == "MaxRuntimeExceeded" else end)

    def _lifecycle(self) -> tuple[str, str]:
        """The final secondary status, and the reason of a failure."""
        self._advance("Downloading")
        self._write_config()
        missing = [uri for channel in self._request.channels if (uri := self._download(channel))]
        if missing:
            return "Failed", f"ClientError: Data download failed: No S3 objects found under S3 URL {missing[0]}"
        if self._checkpoints is not None:
            self._checkpoints.download()
        self._advance("Training")
        code = self._train()
        self._copy_checkpoints()
        if self._stop_asked.is_set():
            return "Stopped", ""
        if code is None:
            return "MaxRuntimeExceeded", ""
        if code != 0:
            return "Failed", f"AlgorithmError: {self._failure()}, exit code: {code}"
        self._advance("Uploading")
        self._upload(self._ml.model, "model.tar.gz")
        self._upload(self._ml.output_data, "output.tar.gz")
        return ("Stopped" if self._stop_asked.is_set() else "Completed"), ""

    def _advance(self, secondary: str) -> None:
        with self._lock:
            if self.status == RUNNING:
                self._step(secondary)

    def _step(self, secondary: str, status: str | None = None) -> None:
        """Record a secondary status; the caller holds the lock."""
        now = _now()
        if self._steps:
            self._steps[-1]["EndTime"] = now
        self._steps.append({"Status": secondary, "StartTime": now, "StatusMessage": MESSAGES[secondary]})
        self.status = status or self.status

    def _write_config(self) -> None:
        """`input/config` as SageMaker writes it."""
        request = self._request
        hosts = {"current_host": "algo-1", "hosts": ["algo-1"], "current_instance_type": request.instance_type}
        channels = {
            channel["ChannelName"]: {
                "TrainingInputMode": channel.get("InputMode", request.input_mode),
                "S3DistributionType": "FullyReplicated",
                "RecordWrapperType": "None",
            }
            for channel in request.channels
        }
        write_json(self._ml.config / "hyperparameters.json", request.hyperparameters)
        write_json(self._ml.config / "resourceconfig.json", {**hosts, "network_interface_name": "lo"})
        write_json(self._ml.config / "inputdataconfig.json", channels)
        for folder in (self._ml.model, self._ml.output_data):
            folder.mkdir(parents=True)

    def _download(self, channel: dict[str, Any]) -> str | None:
        """Fetch a channel's objects. Returns its address if there are none."""
        uri = channel["DataSource"]["S3DataSource"]["S3Uri"]
        bucket, prefix = _address(uri)
        folder = self._ml.root / "input" / "data" / channel["ChannelName"]
        folder.mkdir(parents=True)
        s3 = self._context.s3()
        found = s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
        for item in found:
            target = folder / Path(item["Key"]).name
            s3.download_file(bucket, item["Key"], str(target))
        return None if found else uri

    def _train(self) -> int | None:
        """Exit code of the container; None when its time was up."""
        with self._lock:
            if self._stop_asked.is_set():
                return None
            self._began = _now()
            running = self._guardian = self._launch()
        deadline = time.monotonic() + self._request.max_runtime_seconds
        try:
            while (left := deadline - time.monotonic()) > 0:
                with suppress(subprocess.TimeoutExpired):
                    return running.wait(min(left, COPY_SECONDS))
                self._copy_checkpoints()
            return None
        finally:  # also when its time is up, or its checkpoints cannot be copied
            self._terminate()
            running.wait()

    def _copy_checkpoints(self) -> None:
        if self._checkpoints is not None:
            self._checkpoints.upload()

    def _launch(self) -> subprocess.Popen[bytes]:
        """The container under a guardian, so that it ends with this process."""
        environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        command = [sys.executable, "-m", "tabveil", "train"]
        with (self._context.folder / "training.log").open("ab") as log:
            return subprocess.Popen(
                [
                    sys.executable,
                    "-I",
                    "-S",
                    guardian.__file__,
                    str(self._folder / "run.json"),
                    json.dumps([]),
                    *command,
                ],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                env=environment | {ROOT_VARIABLE: str(self._ml.root)},
            )

    def _terminate(self) -> None:
        """Closing its input tells the guardian to send SIGTERM, and SIGKILL when that is not heard."""
        if self._guardian is not None and self._guardian.stdin is not None:
            with suppress(BrokenPipeError):
                self._guardian.stdin.close()

    def _failure(self) -> str:
        if not self._ml.failure.is_file():
            return "Please check the container's log"
        return self._ml.failure.read_text(encoding="utf-8").strip()

    def _upload(self, folder: Path, name: str) -> None:
        """Pack a folder's content, as `tar -C folder -czf name .` does, and put it below the output path."""
        archive = self._folder / name
        with tarfile.open(archive, "w:gz") as tar:
            tar.add(folder, arcname=".")
        bucket, prefix = _address(self._request.output_uri)
        key = "/".join(part for part in (prefix.strip("/"), self._request.name, "output", name) if part)
        self._context.s3().upload_file(str(archive), bucket, key)


def _address(uri: str) -> tuple[str, str]:
    parts = urlsplit(uri)
    return parts.netloc, parts.path.lstrip("/")


def _now() -> datetime:
    return datetime.now(UTC)
