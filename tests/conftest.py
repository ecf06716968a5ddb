"""Fixtures for the whole suite."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

REPOSITORY = Path(__file__).resolve().parents[1]
GUARD = REPOSITORY / "tests" / "guard"

_spec = importlib.util.spec_from_file_location("network_guard", GUARD / "sitecustomize.py")
assert _spec is not None
assert _spec.loader is not None
network_guard = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(network_guard)


def pytest_configure() -> None:
    """Keep this process, and the Python processes it starts, on this machine, and without anybody's AWS settings.

    Tests that are about AWS_* variables set them themselves.
    """
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(AWS_CONFIG_FILE=os.devnull, AWS_SHARED_CREDENTIALS_FILE=os.devnull)
    log = Path(tempfile.mkdtemp(prefix="tabveil-network-")) / "refused"
    os.environ[network_guard.LOG_VARIABLE] = str(log)
    inherited = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(GUARD), *([inherited] if inherited else [])])
    network_guard.install()


class Refusals:
    """What the network guard refused, in this process and in those it started."""

    def take(self) -> list[str]:
        """The refusals since the last time."""
        log = Path(os.environ[network_guard.LOG_VARIABLE])
        found = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return found


@pytest.fixture(autouse=True)
def only_loopback() -> Iterator[Refusals]:
    """Fails a test that tried to leave this machine, also where the code under test swallowed the refusal."""
    refusals = Refusals()
    yield refusals
    assert refusals.take() == []


def pythonpath(folder: Path) -> str:
    """PYTHONPATH of a process that runs a clone's own code, guarded."""
    return os.pathsep.join([str(folder / "src"), str(GUARD)])


@pytest.fixture(scope="session")
def repository() -> Path:
    """The checkout under test."""
    return REPOSITORY


def clone_to(folder: Path) -> Path:
    """A git repository in `folder` with the files of this checkout that git tracks or would track."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\0")
    for name in filter(None, listed):
        source = REPOSITORY / name
        if source.is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, folder / name)
    for command in (
        ["init", "-q"],
        ["add", "-A"],
        ["-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-qm", "x"],
    ):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


@pytest.fixture(scope="session")
def make_clone() -> Callable[[Path], Path]:
    """``make_clone(folder)``: a fresh clone in an empty folder."""
    return clone_to


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A fresh clone in an empty folder."""
    return clone_to(tmp_path / "clone")


@pytest.fixture(scope="session")
def clean_environment() -> dict[str, str]:
    """The environment of a shell that knows no AWS account; `make` and PATH use this interpreter's installation."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TABVEIL_", "MLFLOW_"))}
    kept["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
    kept["VENV"] = sys.prefix
    kept["MAKEFLAGS"] = f"-- STAMP={sys.prefix}/pyvenv.cfg"  # a clone must not install itself into it
    return kept


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run_in(clean_environment: dict[str, str]) -> Run:
    """``run_in(folder, "dvc", "repro", check=False)``: run a command with the clone's own code."""

    def run(
        folder: Path, *command: str, check: bool = True, timeout: float = 900.0
    ) -> subprocess.CompletedProcess[str]:
        environment = {**clean_environment, "PYTHONPATH": pythonpath(folder), "OMP_NUM_THREADS": "1"}
        result = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=timeout
        )
        if check and result.returncode != 0:
            pytest.fail(
                f"{' '.join(command)} exited {result.returncode}\n{result.stdout[-4000:]}\n{result.stderr[-4000:]}"
            )
        return result

    return run


CHROMIUM_FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The machine's chromium, headless; without one the test is skipped, but in CI it fails."""
    executable = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if executable is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("no chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=CHROMIUM_FLAGS)
        yield chromium
        chromium.close()
