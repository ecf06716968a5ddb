"""A function in a process of its own: its memory is its own, and its crash ends nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

from tabveil.cli import foreign
from tabveil.errors import TabVeilError

ROOT = Path(__file__).resolve().parents[2]
_running: set[subprocess.Popen[bytes]] = set()


class FailedError(TabVeilError, RuntimeError):
    """The process did not bring a result; the message says why, in one line and without values of a table."""


def run_isolated(target: str, job: dict[str, Any]) -> dict[str, Any]:
    """What `target` ("module:function"), called with the job's entries as keywords, returns; both JSON.

    Raises:
        FailedError: the function raised, or the process ended without a result.
    """
    paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    with tempfile.TemporaryDirectory(prefix="tabveil-bench-") as folder:
        given, answered = Path(folder) / "job.json", Path(folder) / "result.json"
        given.write_text(json.dumps(job))
        command = [sys.executable, "-m", "benchmarks.engine.process", target, str(given), str(answered)]
        code = _run(command, {**os.environ, "PYTHONPATH": paths})
        if not answered.exists():
            raise FailedError(how_it_ended(code))
        result: dict[str, Any] = json.loads(answered.read_text())
    if "error" in result:
        raise FailedError(result["error"])
    return result


def _run(command: list[str], environment: dict[str, str]) -> int:
    """The exit code; an exception in this thread ends the process, as `end_running` in another one does."""
    nothing, shown = subprocess.DEVNULL, None if os.environ.get("TABVEIL_DEBUG") else subprocess.DEVNULL
    with subprocess.Popen(command, env=environment, stdin=nothing, stdout=nothing, stderr=shown) as process:
        _running.add(process)
        try:
            return process.wait()
        except BaseException:
            process.kill()
            raise
        finally:
            _running.discard(process)


def end_running() -> None:
    """End the processes that other threads wait for in `run_isolated`."""
    for process in list(_running):
        process.kill()


def how_it_ended(code: int) -> str:
    """An exit code in words."""
    if code >= 0:
        return f"the process ended with exit code {code} and without a result"
    return f"the process was ended by signal {-code}" + (" (too little memory?)" if code == -9 else "")


def main() -> None:
    target, given, answered = sys.argv[1:4]
    module, function = target.split(":")
    try:
        result = getattr(import_module(module), function)(**json.loads(Path(given).read_text()))
    except TabVeilError as err:
        result = {"error": str(err)}
    except Exception as err:
        result = {"error": foreign(err)}
    Path(answered).write_text(json.dumps(result))


if __name__ == "__main__":
    main()
