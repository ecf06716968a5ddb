"""Ending a server whose stage and guardian were killed: found by its record, recognised by its command line."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

from tabveil.errors import ServerError
from tabveil.storage.guardian import STOP_SECONDS

POLL_SECONDS = 0.05
SOCKET_FOLDER = Path("/tmp")  # noqa: S108 (the server's choice; only sockets of our ports are touched)
SOCKET_OWNERS = ("admin", "filer", "master", "s3", "volume")


def end_stale_server(record: Path, data: Path) -> None:
    """End what `record` names if it is a server on `data`; a process of another kind with that pid is left alone.

    Raises:
        ServerError: it does not end.
    """
    if not record.exists():
        return
    with contextlib.suppress(ValueError, KeyError, TypeError):
        found = json.loads(record.read_text(encoding="utf-8"))
        for pid in (int(found["guardian_pid"]), int(found["server_pid"])):
            _end(pid, f"-dir={data}")
        for path in found["leftovers"]:
            Path(path).unlink(missing_ok=True)
    record.unlink(missing_ok=True)


def sockets(folder: Path, ports: Iterable[int]) -> list[str]:
    """Unix sockets that a server may leave (it names those of gRPC after the port, in /tmp)."""
    grpc = [SOCKET_FOLDER / f"seaweedfs-{owner}-grpc-{port}.sock" for port in ports for owner in SOCKET_OWNERS]
    return [str(path) for path in (folder / "s3.sock", folder / "filer.sock", *grpc)]


def _end(pid: int, mark: str) -> None:
    for number, patience in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, STOP_SECONDS)):
        deadline = time.monotonic() + patience
        if not _is_ours(pid, mark):
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        while time.monotonic() < deadline:
            if not _is_ours(pid, mark):
                return
            time.sleep(POLL_SECONDS)
    raise ServerError(f"process {pid}, an embedded S3 server that was left over, does not end: end it by hand")


def _is_ours(pid: int, mark: str) -> bool:
    """Whether the process lives and serves our data folder (a zombie has no command line)."""
    return mark in _arguments(pid)


def _arguments(pid: int) -> list[str]:
    if Path("/proc/self/cmdline").exists():
        try:
            return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8", errors="replace").split("\0")
        except (FileNotFoundError, PermissionError, ProcessLookupError):  # gone, or another user's
            return []
    listed = subprocess.run(
        ["ps", "-ww", "-p", str(pid), "-o", "command="], capture_output=True, text=True, check=False
    )
    return listed.stdout.split()
