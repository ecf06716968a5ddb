"""One process at a time has the embedded server; the others wait, and are told for whom."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from filelock import FileLock, Timeout

from tabveil.artifacts import to_json
from tabveil.errors import ServerError
from tabveil.storage.server_state import write_private


class ServerLock:
    """An operating-system lock (gone with its process) beside a note on who holds it.

    Args:
        folder: the server's folder.
        wait_seconds: how long `acquire` waits.
    """

    def __init__(self, folder: Path, wait_seconds: float) -> None:
        self._lock = FileLock(folder / "lock")
        self._note = folder / "holder.json"
        self._wait_seconds = wait_seconds

    def acquire(self) -> None:
        """Wait for the lock.

        Raises:
            ServerError: another process still has it; the message names it.
        """
        try:
            self._lock.acquire(timeout=self._wait_seconds)
        except Timeout as err:
            raise ServerError(
                f"the embedded S3 server is in use by {self._holder()}: waited {self._wait_seconds:g} s; let that "
                "process end, or raise environment.wait_seconds"
            ) from err
        program = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])[:120]
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        write_private(self._note, to_json({"pid": os.getpid(), "program": program, "since": since}))

    def release(self) -> None:
        """Give the lock back; harmless when it is not held."""
        if self._lock.is_locked:
            self._note.unlink(missing_ok=True)
            self._lock.release()

    def _holder(self) -> str:
        try:
            note = json.loads(self._note.read_text(encoding="utf-8"))
            return f"process {note['pid']} ({note['program']}, since {note['since']})"
        except (OSError, ValueError, KeyError):
            return "another process"
