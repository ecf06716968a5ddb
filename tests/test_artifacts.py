"""tabveil.artifacts: paths exist once, writes are all or nothing, same content gives same bytes."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabveil.artifacts import (
    PREPARATION_STAGES,
    STAGES,
    Artifacts,
    atomic,
    atomic_folder,
    read_json,
    read_parquet,
    require,
    to_json,
    write_json,
    write_parquet,
    write_text,
)
from tabveil.errors import ArtifactError

PATHS = [name for name, value in vars(Artifacts).items() if isinstance(value, property)]


def test_every_path_is_its_own_and_below_its_stage(tmp_path: Path):
    artifacts = Artifacts(tmp_path)
    paths = [getattr(artifacts, name) for name in PATHS]
    assert len(set(paths)) == len(paths)
    assert {path.relative_to(tmp_path).parts[0] for path in paths} == set(STAGES)


def test_a_trial_reads_what_dvc_made_and_writes_elsewhere(tmp_path: Path):
    artifacts = Artifacts(tmp_path / "artifacts", trial=tmp_path / "trial")
    for stage in STAGES:
        base = "artifacts" if stage in PREPARATION_STAGES else "trial"
        assert artifacts.stage(stage) == tmp_path / base / stage
    with pytest.raises(ArtifactError, match="no stage 'x'"):
        artifacts.stage("x")


def test_a_missing_artifact_names_the_stage_that_makes_it(tmp_path: Path):
    with pytest.raises(ArtifactError, match="run the stage 'train' first"):
        require(tmp_path / "model", "train")


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path):
    path = tmp_path / "a.txt"
    write_text(path, "old\n")

    def fail_half_way() -> None:
        with atomic(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert path.read_text() == "old\n"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_folder_leaves_the_old_folder(tmp_path: Path):
    folder = tmp_path / "model"
    with atomic_folder(folder) as temporary:
        (temporary / "old").touch()

    def fail_half_way() -> None:
        with atomic_folder(folder) as temporary:
            (temporary / "new").touch()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert [path.name for path in folder.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [folder]


@given(st.dictionaries(st.text(), st.one_of(st.integers(), st.text(), st.booleans(), st.none())))
def test_json_does_not_depend_on_the_order_of_keys(data):
    assert to_json(data) == to_json(dict(reversed(data.items())))


def test_json_refuses_nan(tmp_path: Path):
    with pytest.raises(ValueError, match="Out of range"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_parquet_is_byte_stable_and_round_trips(tmp_path: Path):
    table = pd.DataFrame({"a": pd.array([1, None], "Int64"), "b": ["x", None]})
    write_parquet(tmp_path / "1.parquet", table)
    write_parquet(tmp_path / "2.parquet", table.copy())
    assert (tmp_path / "1.parquet").read_bytes() == (tmp_path / "2.parquet").read_bytes()
    assert read_parquet(tmp_path / "1.parquet", "x")["b"].tolist() == ["x", None]


@pytest.mark.parametrize("reader", [read_json, read_parquet])
def test_a_corrupt_artifact_says_which_stage_to_repeat(tmp_path: Path, reader):
    path = tmp_path / "broken"
    path.write_bytes(b"{broken")
    with pytest.raises(ArtifactError, match="run the stage 'verify' again"):
        reader(path, "verify")


@pytest.mark.parametrize("content", ["[1]", "{}", "3"])
def test_json_of_another_shape_says_which_stage_to_repeat(tmp_path: Path, content: str):
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(ArtifactError, match="run the stage 'train' again"):
        read_json(tmp_path / "run.json", "train", "run_id")


def test_what_a_killed_process_left_is_removed_by_the_next_write(tmp_path: Path):
    path = tmp_path / "raw"
    code = (
        "import os, sys; from pathlib import Path; from tabveil.artifacts import atomic\n"
        "with atomic(Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_text('real rows'); os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert len(list(tmp_path.iterdir())) == 1
    write_text(path, "new\n")
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_leaves_the_temporary_file_of_a_living_process_alone(tmp_path: Path):
    path = tmp_path / "a"
    with atomic(path) as first:
        first.write_text("1")
        with atomic(path) as second:
            second.write_text("2")
        assert first.exists()
    assert path.read_text() == "1"


def test_permissions_follow_the_umask(tmp_path: Path):
    before = os.umask(0o077)
    try:
        write_text(tmp_path / "private", "x")
        with atomic_folder(tmp_path / "folder") as folder:
            (folder / "inside").touch()
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("private", "folder", "folder/inside")]
    assert modes == [0o600, 0o700, 0o600]


@pytest.mark.parametrize("call", [1, 2, 3, 4])
def test_a_kill_while_a_folder_is_replaced_leaves_the_old_or_the_new_one(tmp_path: Path, call: int):
    path = tmp_path / "model"
    path.mkdir()
    for name in ("a", "b"):
        (path / name).write_text("old")
    code = (
        "import os, sys; from pathlib import Path; from tabveil.artifacts import atomic_folder\n"
        "calls = 0\n"
        "def watched(function):\n"
        "    def run(*arguments, **options):\n"
        "        global calls\n"
        "        calls += 1\n"
        "        if calls == int(sys.argv[2]): os.kill(os.getpid(), 9)\n"
        "        return function(*arguments, **options)\n"
        "    return run\n"
        "with atomic_folder(Path(sys.argv[1])) as folder:\n"
        "    for name in ('a', 'b'): (folder / name).write_text('new')\n"
        "    os.unlink, os.rmdir = watched(os.unlink), watched(os.rmdir)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(path), str(call)], check=False)
    assert {file.read_text() for file in path.iterdir()} == {"new"}
    assert len(list(path.iterdir())) == 2
    with atomic_folder(path) as folder:
        (folder / "a").write_text("newer")
    assert [file.name for file in tmp_path.iterdir()] == ["model"]


def test_a_link_to_a_folder_is_replaced_not_followed(tmp_path: Path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "kept").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    with atomic_folder(tmp_path / "link") as folder:
        (folder / "a").write_text("new")
    assert not (tmp_path / "link").is_symlink()
    assert (tmp_path / "elsewhere" / "kept").read_text() == "x"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "link"]


def test_what_a_process_left_is_removed_though_its_number_lives_on(tmp_path: Path):
    """As another process, or as a zombie where nobody waits for it."""
    path = tmp_path / "a[1].csv"
    write = (
        "import os, sys; from pathlib import Path; from tabveil.artifacts import {0}\nwith {0}(Path(sys.argv[1])) as t:"
    )
    killed = [
        subprocess.Popen([sys.executable, "-c", f"{write.format(kind)} os.kill(os.getpid(), 9)", str(path)])
        for kind in ("atomic", "atomic_folder")
    ]
    for process in killed:  # not waited for: zombies
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    left_file = tmp_path / f".a[1].csv.{os.getpid()}-xyz.tmp"
    left_file.write_text("real rows")
    assert all(Path(f"/proc/{process.pid}").exists() for process in killed) or sys.platform != "linux"
    write_text(path, "new\n")
    assert list(tmp_path.iterdir()) == [path]
    assert [process.wait() for process in killed] == [-9, -9]


def test_a_folder_that_another_process_took_for_a_stale_one_is_made_anew(tmp_path: Path, monkeypatch):
    made = []

    def make(**options: str) -> str:
        made.append(mkdtemp(**options))
        if len(made) == 1:
            Path(made[0]).rmdir()
        return made[-1]

    mkdtemp = tempfile.mkdtemp
    monkeypatch.setattr(tempfile, "mkdtemp", make)
    write_text(tmp_path / "a", "new\n")
    assert len(made) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_writers_of_one_file_side_by_side_leave_one_whole_file(tmp_path: Path):
    path, texts = tmp_path / "a", [f"{number}\n" * 10_000 for number in range(8)]
    with ThreadPoolExecutor(max_workers=8) as pool:
        for _ in range(3):
            list(pool.map(lambda text: write_text(path, text), texts))
            assert path.read_text() in texts
            assert list(tmp_path.iterdir()) == [path]


def test_without_locks_files_are_written_and_nothing_is_taken_for_stale(tmp_path: Path, monkeypatch):
    def no_locks(handle: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    path = tmp_path / "a"
    with atomic(path) as first:
        write_text(path, "2")
        first.write_text("1")
    assert path.read_text() == "1"
    assert list(tmp_path.iterdir()) == [path]
