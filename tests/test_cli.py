"""tabveil.cli: errors are one line without values, exit codes are stable."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tabveil.cli import process_border
from tabveil.errors import DataError


@pytest.fixture(autouse=True)
def same_signals():
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def border(error: BaseException, capsys) -> tuple[int, str]:
    with pytest.raises(SystemExit) as caught, process_border():
        raise error
    return caught.value.code, capsys.readouterr().err


def test_an_error_on_purpose_is_its_message(capsys):
    assert border(DataError("expected 3 columns, however: 2"), capsys) == (2, "error: expected 3 columns, however: 2\n")


@pytest.mark.parametrize(
    ("error", "said"), [(DataError("too few"), "error: too few"), (KeyboardInterrupt(), "interrupted")]
)
def test_what_could_not_be_undone_is_told_in_the_same_line(error, said, capsys):
    error.add_note("the job could not be cancelled: refused")
    assert border(error, capsys)[1] == f"{said}; the job could not be cancelled: refused\n"


def test_an_unforeseen_error_shows_its_place_but_not_its_text(capsys):
    code, said = border(ValueError("secret-value"), capsys)
    assert code == 2
    assert said.startswith("error: unexpected ValueError at test_cli.py:")
    assert "secret-value" not in said
    assert len(said.splitlines()) == 1


def test_an_error_of_the_operating_system_names_the_file(capsys):
    assert (
        border(PermissionError(13, "Permission denied", "/some/file"), capsys)[1]
        == "error: Permission denied: /some/file\n"
    )


def test_an_interrupt_is_no_traceback(capsys):
    assert border(KeyboardInterrupt(), capsys) == (130, "interrupted\n")


def test_whoever_asks_for_it_sees_the_traceback(monkeypatch):
    monkeypatch.setenv("TABVEIL_DEBUG", "1")
    with pytest.raises(ZeroDivisionError), process_border():
        raise ZeroDivisionError


def test_a_terminated_process_takes_its_half_written_file_back(tmp_path: Path):
    code = (
        "import sys, time; from pathlib import Path; from tabveil.artifacts import atomic\n"
        "from tabveil.cli import process_border\n"
        "with process_border(), atomic(Path(sys.argv[1])):\n"
        "    Path(sys.argv[2]).touch(); time.sleep(60)\n"
    )
    folder, ready = tmp_path / "out", tmp_path / "ready"
    process = subprocess.Popen([sys.executable, "-c", code, str(folder / "a"), str(ready)])
    while not ready.exists():
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(timeout=30) == 128 + signal.SIGTERM
    assert list(folder.iterdir()) == []
