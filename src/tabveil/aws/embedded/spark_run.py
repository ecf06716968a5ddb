"""One run of a Glue job: download, a PySpark script in a subprocess, upload; a thread of the endpoint."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from tabveil.aws.embedded.context import Context
from tabveil.errors import TabVeilError
from tabveil.preprocess.local_spark import is_small, reason, start_script, stop_script
from tabveil.storage import guardian

SCHEME = "s3"
POLL_SECONDS = 0.1


class SparkRun:
    """A run from STARTING to its end; safe to ask and to stop from other threads.

    Args:
        folder: its private folder; deleted at the end but for the log.
        script_uri: `Command.ScriptLocation`.
        arguments: of the run, merged with the job's; values that are S3 URIs become local folders.
    """

    def __init__(
        self, context: Context, folder: Path, *, script_uri: str, arguments: dict[str, str], timeout_seconds: float
    ) -> None:
        self.state = "STARTING"
        self.error: str | None = None
        self.modified = datetime.now(UTC)
        self.completed: datetime | None = None
        self._context, self._folder = context, folder
        self._script_uri, self._arguments, self._timeout_seconds = script_uri, arguments, timeout_seconds
        self._running_since: float | None = None
        self._ran_seconds: float | None = None
        self._stop_asked = threading.Event()
        self._lock = threading.Lock()

    @property
    def execution_seconds(self) -> int:
        """How long the script has run, or ran."""
        if self._running_since is None:
            return 0
        return math.ceil(time.monotonic() - self._running_since if self._ran_seconds is None else self._ran_seconds)

    def start(self) -> None:
        """Begin, in a thread."""
        threading.Thread(target=self._run, daemon=True).start()

    def stop(self) -> bool:
        """Ask it to stop. Returns whether it had not ended."""
        with self._lock:
            if self.completed is not None:
                return False
            self.state = "STOPPING"
            self._stop_asked.set()
            return True

    def _run(self) -> None:
        self._folder.mkdir(parents=True, mode=0o700)
        try:
            self._end(*self._attempt())
        except (BotoCoreError, ClientError) as err:
            self._end("FAILED", f"the object store refused or broke off ({type(err).__name__})")
        except (OSError, TabVeilError) as err:
            self._end("ERROR", f"the run could not be executed: {type(err).__name__}")
        finally:
            for path in self._folder.iterdir():
                shutil.rmtree(path) if path.is_dir() else None

    def _attempt(self) -> tuple[str, str | None]:
        """Returns the final state and its error."""
        s3 = self._context.s3()
        bucket, key = _address(self._script_uri)
        script = self._folder / "script" / "job.py"
        script.parent.mkdir()
        s3.download_file(bucket, key, str(script))
        places = {value: self._folder / name.strip("-") for name, value in self._arguments.items() if _is_s3(value)}
        present = {uri: self._download(uri, folder) for uri, folder in places.items()}
        state, error = self._execute(script, places)
        if state == "SUCCEEDED":
            for uri, folder in places.items():
                self._upload(uri, folder, present[uri])
        return state, error

    def _download(self, uri: str, folder: Path) -> set[Path]:
        """Fetch what is below a URI; returns the files."""
        bucket, prefix = _address(uri.rstrip("/") + "/")
        fetched = set()
        s3 = self._context.s3()
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for item in page.get("Contents", []):
                path = folder / item["Key"].removeprefix(prefix)
                path.parent.mkdir(parents=True, exist_ok=True)
                s3.download_file(bucket, item["Key"], str(path))
                fetched.add(path)
        return fetched

    def _upload(self, uri: str, folder: Path, present: set[Path]) -> None:
        bucket, prefix = _address(uri.rstrip("/") + "/")
        for path in sorted(set(folder.rglob("*")) - present):
            if path.is_file() and not path.name.endswith(".crc"):  # S3 has checksums of its own
                self._context.s3().upload_file(str(path), bucket, prefix + path.relative_to(folder).as_posix())

    def _execute(self, script: Path, places: dict[str, Path]) -> tuple[str, str | None]:
        scratch, log = self._folder / "scratch", self._folder / "driver.log"
        scratch.mkdir()
        pairs = [(name, str(places.get(value, value))) for name, value in self._arguments.items()]
        arguments = [part for pair in pairs for part in pair]
        record = json.dumps([])
        keeper = [sys.executable, "-I", "-S", guardian.__file__, str(scratch / "process.json"), record]
        process = start_script(script, arguments, scratch, log, keeper=keeper, small=is_small(self._folder))
        try:
            self._begin_running()
            state = self._watch(process)
        finally:
            stop_script(process)
            self._ran_seconds = time.monotonic() - (self._running_since or time.monotonic())
        if state is not None:
            return state, "the run was longer than its timeout" if state == "TIMEOUT" else None
        return ("SUCCEEDED", None) if process.returncode == 0 else ("FAILED", reason(log, process.returncode))

    def _begin_running(self) -> None:
        with self._lock:
            self._running_since = time.monotonic()
            self.modified = datetime.now(UTC)
            if self.state == "STARTING":
                self.state = "RUNNING"

    def _watch(self, process: subprocess.Popen[bytes]) -> str | None:
        """Until the process has ended (None), or must (the run's final state)."""
        deadline = time.monotonic() + self._timeout_seconds
        while process.poll() is None:
            if self._stop_asked.wait(POLL_SECONDS):
                return "STOPPED"
            if time.monotonic() > deadline:
                return "TIMEOUT"
        return None

    def _end(self, state: str, error: str | None) -> None:
        with self._lock:
            self.state, self.error = ("STOPPED", None) if self._stop_asked.is_set() else (state, error)
            self.modified = self.completed = datetime.now(UTC)


def _is_s3(value: str) -> bool:
    return value.startswith(f"{SCHEME}://")


def _address(uri: str) -> tuple[str, str]:
    parts = urlsplit(uri)
    return parts.netloc, parts.path.lstrip("/")
