"""Every path a stage reads or writes, exactly once, and the atomic writers.

`Artifacts` maps names to paths below `artifacts/<stage>/`; a file is written in a temporary folder beside it and
renamed, so that a killed stage leaves nothing half written. JSON is sorted and ends in a newline, Parquet is
written with fixed settings: same content, same bytes, stable DVC hashes.
"""

from __future__ import annotations

import fcntl
import glob
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tabveil.errors import ArtifactError, TabVeilError

STAGES = ("preflight", "pull", "preprocess", "verify", "train", "sample", "evaluate", "publish")
PREPARATION_STAGES = STAGES[:4]
TEMPORARY = ".tmp"


@dataclass(frozen=True)
class Artifacts:
    """Paths of one pipeline run.

    Args:
        root: folder of the DVC outputs, `artifacts/`.
        trial: when given, stages after `verify` live here instead (a sweep's own folder), so that a sweep reads
            what DVC made and never overwrites it.
    """

    root: Path
    trial: Path | None = None

    def stage(self, name: str) -> Path:
        """Folder of one stage."""
        if name not in STAGES:
            raise ArtifactError(f"no stage '{name}'; there are: {', '.join(STAGES)}")
        base = self.root if self.trial is None or name in PREPARATION_STAGES else self.trial
        return base / name

    # preflight
    @property
    def place(self) -> Path:
        """Where the run reads and publishes: environment, Region, buckets, key."""
        return self.stage("preflight") / "place.json"

    # pull
    @property
    def raw(self) -> Path:
        """The raw file, byte for byte as in S3."""
        return self.stage("pull") / "raw"

    @property
    def source(self) -> Path:
        """Where the raw file came from: uri, version id, sha256, size in bytes."""
        return self.stage("pull") / "source.json"

    # preprocess
    @property
    def table(self) -> Path:
        """Typed table, still with personal data."""
        return self.stage("preprocess") / "table.parquet"

    @property
    def profile(self) -> Path:
        """Fitted statistics and row counts."""
        return self.stage("preprocess") / "profile.json"

    @property
    def quarantine(self) -> Path:
        """Rejected rows, each with its reason."""
        return self.stage("preprocess") / "quarantine.parquet"

    @property
    def sql(self) -> Path:
        """The SQL that made the table."""
        return self.stage("preprocess") / "transform.sql"

    # verify
    @property
    def train_data(self) -> Path:
        """Clean rows a model may see."""
        return self.stage("verify") / "train.parquet"

    @property
    def holdout_data(self) -> Path:
        """Clean rows no model sees; the yardstick."""
        return self.stage("verify") / "holdout.parquet"

    @property
    def metadata(self) -> Path:
        """`tabveil.schema.Metadata` of the clean table."""
        return self.stage("verify") / "metadata.json"

    @property
    def findings(self) -> Path:
        """PII findings before and after the policy, in Macie's shape."""
        return self.stage("verify") / "findings.json"

    @property
    def identity_digests(self) -> Path:
        """Keyed digests of real identity values, so that no invented value equals one."""
        return self.stage("verify") / "identity_digests.parquet"

    # train
    @property
    def model(self) -> Path:
        """Model folder: safetensors and JSON."""
        return self.stage("train") / "model"

    @property
    def loss_curve(self) -> Path:
        """CSV with columns step, train, validation."""
        return self.stage("train") / "loss.csv"

    @property
    def run(self) -> Path:
        """Ids of the MLflow run and model that later stages go on with."""
        return self.stage("train") / "run.json"

    # sample
    @property
    def synthetic_parquet(self) -> Path:
        """Synthetic table, typed, snake_case names."""
        return self.stage("sample") / "synthetic.parquet"

    @property
    def synthetic_csv(self) -> Path:
        """Synthetic table with the original header names and order."""
        return self.stage("sample") / "synthetic.csv"

    @property
    def sample_info(self) -> Path:
        """Rows asked, drawn and rejected, by reason."""
        return self.stage("sample") / "sample.json"

    # evaluate
    @property
    def metrics(self) -> Path:
        """All scores, flat: DVC metrics."""
        return self.stage("evaluate") / "metrics.json"

    @property
    def gate(self) -> Path:
        """The verdict: every check with measured and asked values."""
        return self.stage("evaluate") / "gate.json"

    @property
    def report(self) -> Path:
        """One self-contained HTML page."""
        return self.stage("evaluate") / "report.html"

    @property
    def plots(self) -> Path:
        """PNG pictures and the CSV files behind DVC plots."""
        return self.stage("evaluate") / "plots"

    # publish
    @property
    def published(self) -> Path:
        """What was uploaded where, with checksums."""
        return self.stage("publish") / "published.json"

    def scanned_files(self) -> tuple[Path, ...]:
        """What `verify` writes and its report vouches for."""
        return (self.train_data, self.holdout_data, self.metadata, self.identity_digests)

    def judged_files(self) -> tuple[Path, ...]:
        """What the verdict of `evaluate` is about (files, and the model's folder); nothing else is published."""
        return (self.synthetic_csv, self.synthetic_parquet, self.model, self.report, self.metrics)


def require(path: Path, made_by: str) -> Path:
    """The path, if it exists.

    Raises:
        ArtifactError: it does not; the message names the stage that makes it.
    """
    if not path.exists():
        raise ArtifactError(f"{path} is missing: run the stage '{made_by}' first (dvc repro {made_by})")
    return path


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary file to write to; takes the place of `path` when the block ends without an error.

    What a killed process left beside `path` is removed first. Permissions follow the umask.
    """
    with _workplace(path) as folder:
        temporary = folder / path.name
        temporary.touch()
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """A temporary folder to fill; takes the place of `path` when the block ends without an error.

    What was at `path` is renamed, then removed: it is there as a whole, or its successor is. Only a kill between two
    renames that follow each other leaves neither there.
    """
    with _workplace(path) as folder:
        temporary, replaced = folder / path.name, folder / f"{path.name}-replaced"
        temporary.mkdir()
        yield temporary
        for inside in [temporary, *temporary.rglob("*")]:
            inside.chmod((0o777 if inside.is_dir() else 0o666) & ~_umask())
        if path.exists():
            path.rename(replaced)
        temporary.replace(path)


@contextmanager
def _workplace(path: Path) -> Iterator[Path]:
    """A folder of our own beside `path`, only for its owner, locked while the block runs and removed after it.

    The lock (`flock`) ends with the process, however that ends, while its number may live on: as another process, or as
    a zombie where nobody waits for it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_stale(path)
    folder, lock = _make_locked(path)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # what cannot be removed, the next write tries again
        os.close(lock)


def _make_locked(path: Path) -> tuple[Path, int]:
    while True:
        folder = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=TEMPORARY))
        with suppress(FileNotFoundError):  # another process took it for a stale one before it was locked
            lock = os.open(folder, os.O_RDONLY)
            _lock(lock, fcntl.LOCK_EX)
            if folder.exists():
                return folder, lock
            os.close(lock)


def _remove_stale(path: Path) -> None:
    """Remove workplaces of `path` that nobody holds: a killed stage may leave real rows.

    Raises:
        OSError: one cannot be removed.
    """
    for left in path.parent.glob(f".{glob.escape(path.name)}.*{TEMPORARY}"):
        with suppress(FileNotFoundError):  # another process removed it meanwhile
            lock = os.open(left, os.O_RDONLY)
            try:
                if _lock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB):
                    _remove(left)
            finally:
                os.close(lock)


def _lock(handle: int, operation: int) -> bool:
    """Whether the lock is ours; never on a file system without locks, where nothing is taken for stale."""
    try:
        fcntl.flock(handle, operation)
    except OSError:
        return False
    return True


def _remove(path: Path) -> None:
    """Remove a file, link or folder."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def to_json(data: Any) -> str:
    """Sorted, indented, newline-terminated JSON."""
    return json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def write_json(path: Path, data: Any) -> None:
    """Write JSON atomically (see `to_json`)."""
    with atomic(path) as temporary:
        temporary.write_text(to_json(data), encoding="utf-8")


def read_json(path: Path, made_by: str, *keys: str) -> dict[str, Any]:
    """Read a JSON object.

    Args:
        keys: what it must have.

    Raises:
        ArtifactError: missing, not JSON, no object, or without one of `keys`.
    """
    try:
        data = json.loads(require(path, made_by).read_text(encoding="utf-8"))
    except ValueError as err:
        raise ArtifactError(f"{path} must be JSON, however it is damaged: run the stage '{made_by}' again") from err
    missing = [key for key in keys if key not in data] if isinstance(data, dict) else [*keys] or ["a JSON object"]
    if missing:
        raise ArtifactError(
            f"{path} must hold {', '.join(missing)}, however it does not: run the stage '{made_by}' again"
        )
    return cast(dict[str, Any], data)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_parquet(path: Path, table: pd.DataFrame) -> None:
    """Write a frame atomically as Parquet (zstd, no index, no pandas-only metadata: same rows, same bytes)."""
    arrow = pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata(None)
    with atomic(path) as temporary:
        pq.write_table(arrow, temporary, compression="zstd")


def read_parquet(path: Path, made_by: str) -> pd.DataFrame:
    """Read Parquet.

    Raises:
        ArtifactError: missing or corrupt.
    """
    try:
        table: pd.DataFrame = pq.read_table(require(path, made_by)).to_pandas()
        return table
    except TabVeilError:
        raise
    except (OSError, pa.ArrowInvalid) as err:
        raise ArtifactError(f"{path} cannot be read: run the stage '{made_by}' again ({type(err).__name__})") from err
