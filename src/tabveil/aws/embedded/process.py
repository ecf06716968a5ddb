"""The embedded AWS endpoint as a context manager: started when a stage needs it, stopped with it.

It runs under the guardian that also keeps the embedded S3 server, so that it never outlives its stage. It listens on
127.0.0.1 only and opens for one access key.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from types import TracebackType

from tabveil.errors import ServerError
from tabveil.storage.guarded import GuardedProcess
from tabveil.storage.server_state import Credentials, private_folder

HOST = "127.0.0.1"
START_SECONDS = 60.0
POLL_SECONDS = 0.05
PASSED_ON = ("PATH", "HOME", "LANG", "TMPDIR", "JAVA_HOME", "PYTHONPATH", "VIRTUAL_ENV")


class EmbeddedAWS:
    """Context manager: the running endpoint's URL.

    Args:
        folder: where its log, state and working files live; made if missing.
        project: the project's root, for executors that run its code.
        s3_endpoint: URL of the object store that the executors read and write.
        credentials: the key pair of that store; the endpoint opens for the same one.
        region: of the executors' clients.

    Raises:
        ServerError: on entry, when it does not start; the message ends with the last lines of its log.
    """

    def __init__(self, folder: Path, project: Path, s3_endpoint: str, credentials: Credentials, region: str) -> None:
        self._folder = folder.resolve()
        self._project = project
        self._s3_endpoint = s3_endpoint
        self._credentials = credentials
        self._region = region
        self._server = GuardedProcess(self._folder, self._folder / "endpoint.log")

    def __enter__(self) -> str:
        private_folder(self._folder)
        self._state.unlink(missing_ok=True)
        try:
            self._launch()
            return f"http://{HOST}:{self._wait_for_port()}"
        except BaseException:
            self._server.stop()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop()

    @property
    def _state(self) -> Path:
        return self._folder / "endpoint.json"

    def _launch(self) -> None:
        server = [sys.executable, "-m", "tabveil.aws.embedded.server", str(self._folder)]
        environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        environment |= {
            "AWS_ACCESS_KEY_ID": self._credentials.access_key,
            "AWS_SECRET_ACCESS_KEY": self._credentials.secret_key,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_ENDPOINT_URL_S3": self._s3_endpoint,
            "AWS_DEFAULT_REGION": self._region,
            "TABVEIL_ROOT": str(self._project),
        }
        self._server.start(server, environment, [str(self._state)])

    def _wait_for_port(self) -> int:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if not self._server.is_running:
                raise ServerError(f"the embedded AWS endpoint ended while it started: {self._server.log_tail()}")
            if self._state.exists():
                return int(json.loads(self._state.read_text(encoding="utf-8"))["port"])
            time.sleep(POLL_SECONDS)
        raise ServerError(
            f"the embedded AWS endpoint was not up after {START_SECONDS:.0f} s: {self._server.log_tail()}"
        )
