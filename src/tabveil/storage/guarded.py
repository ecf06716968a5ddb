"""A server that never outlives the process that needs it: started under the guardian, stopped with its caller."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tabveil.storage import guardian

STOP_SECONDS = guardian.STOP_SECONDS + 5
LOG_TAIL_LINES = 4


class GuardedProcess:
    """One server process, its guardian, and its log.

    Args:
        folder: its working directory; holds the record of running pids.
        log: where its output goes, readable by the owner only; written anew at every start.
    """

    def __init__(self, folder: Path, log: Path) -> None:
        self._folder = folder
        self._log = log
        self._guardian: subprocess.Popen[bytes] | None = None

    @property
    def record(self) -> Path:
        """The pids of server and guardian while they run; JSON, see `tabveil.storage.guardian`."""
        return self._folder / "server.json"

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._guardian is not None and self._guardian.poll() is None

    @property
    def was_started(self) -> bool:
        """Whether there is something to stop."""
        return self._guardian is not None

    def start(self, command: Sequence[str], environment: Mapping[str, str], leftovers: Sequence[str] = ()) -> None:
        """Start it.

        Args:
            environment: all of its environment.
            leftovers: files that are removed once it has ended.
        """
        own = [sys.executable, "-I", "-S", guardian.__file__]  # isolated: it starts in milliseconds
        watched = [*own, str(self.record), json.dumps(list(leftovers)), *command]
        with self._log.open("wb") as log:
            self._log.chmod(0o600)
            self._guardian = subprocess.Popen(
                watched,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                env=dict(environment),
                start_new_session=True,  # Ctrl-C reaches the caller, which then stops the server in order
            )

    def stop(self) -> None:
        """Let the guardian end it; harmless when nothing runs."""
        running, self._guardian = self._guardian, None
        if running is None or running.stdin is None:
            return
        with contextlib.suppress(BrokenPipeError):
            running.stdin.close()
        try:
            running.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()

    def log_tail(self) -> str:
        """The last lines of the log, for an error message."""
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        tail = " | ".join(line.strip() for line in lines[-LOG_TAIL_LINES:] if line.strip())
        return f"{tail or 'its log is empty'} (see {self._log})"
