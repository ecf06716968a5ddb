"""Runs a server for as long as another process lives: `python guardian.py RECORD LEFTOVERS COMMAND...`.

The other process holds the write end of this one's standard input. When that closes, on purpose or because the
process was killed, the server gets SIGTERM, and SIGKILL if it does not listen; then the files in LEFTOVERS, a JSON
list, are removed. RECORD is a JSON file with pids and leftovers while the server runs, so that even a server whose
guardian was killed can be found and ended later.

Standard library only: it runs as a script, isolated from the environment's packages, and starts in milliseconds.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

POLL_SECONDS = 0.1
STOP_SECONDS = 10.0


def main(record: str, leftovers: str, *command: str) -> int:
    """Start the command, wait for either side to end, end the other. Returns the server's exit code."""
    parent = os.getppid()
    released = threading.Event()
    threading.Thread(target=_wait_for_end_of_input, args=(released,), daemon=True).start()
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        pids = {"server_pid": server.pid, "guardian_pid": os.getpid()}
        _write(Path(record), {**pids, "leftovers": json.loads(leftovers)})
        while server.poll() is None and os.getppid() == parent and not released.wait(POLL_SECONDS):
            pass
    finally:
        code = _stop(server)
        for path in json.loads(leftovers):
            Path(path).unlink(missing_ok=True)
        Path(record).unlink(missing_ok=True)
    return code


def _wait_for_end_of_input(released: threading.Event) -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    released.set()


def _write(path: Path, record: dict[str, object]) -> None:
    temporary = path.with_name(f"{path.name}.tmp")
    temporary.write_text(json.dumps(record), encoding="utf-8")
    temporary.replace(path)


def _stop(server: subprocess.Popen[bytes]) -> int:
    if server.poll() is None:
        server.terminate()
    try:
        return server.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        return server.wait()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
