"""tabveil.aws.model_archive: whatever an archive holds, nothing is written outside the folder."""

from __future__ import annotations

import contextlib
import gzip
import io
import tarfile
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabveil.aws.model_archive import MAX_FILES, unpack
from tabveil.errors import ModelFileError

Member = tuple[tarfile.TarInfo, bytes]


def member(name: str, content: bytes = b"x", kind: bytes = tarfile.REGTYPE, target: str = "") -> Member:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    info.size = len(content) if kind == tarfile.REGTYPE else 0
    return info, content


def packed(*members: Member) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content) if info.isreg() else None)
    return buffer.getvalue()


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return tmp_path / "model.tar.gz"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "outside" / "model"
    made.mkdir(parents=True)
    return made


GOOD = [member("synthesizer.json", b"{}"), member("weights.safetensors", b"w" * 5000)]


def test_plain_files_are_unpacked(archive, folder):
    archive.write_bytes(packed(*GOOD))
    unpack(archive, folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {i.name: content for i, content in GOOD}


def test_the_layout_of_tar_c_folder_dot_is_accepted(archive, folder):
    archive.write_bytes(packed(member(".", kind=tarfile.DIRTYPE), member("./loss.csv", b"step")))
    unpack(archive, folder)
    assert (folder / "loss.csv").read_bytes() == b"step"


@pytest.mark.parametrize(
    "bad",
    [
        member("../escaped"),
        member("./../escaped"),
        member("/tmp/escaped"),
        member("deep/escaped"),
        member("..", kind=tarfile.DIRTYPE),
        member("folder", kind=tarfile.DIRTYPE),
        member(".hidden"),
        member("a\\b"),
        member("a\nb"),
        member("link", kind=tarfile.SYMTYPE, target="/etc/passwd"),
        member("link", kind=tarfile.SYMTYPE, target="synthesizer.json"),
        member("hard", kind=tarfile.LNKTYPE, target="synthesizer.json"),
        member("pipe", kind=tarfile.FIFOTYPE),
        member("device", kind=tarfile.CHRTYPE),
        member("synthesizer.json", b"a second one"),
    ],
    ids=lambda bad: f"{bad[0].name!r}-{bad[0].type.decode()}",
)
def test_anything_but_plain_files_is_refused(archive, folder, bad):
    archive.write_bytes(packed(*GOOD, bad))
    with pytest.raises(ModelFileError, match="must hold up to 64 plain files"):
        unpack(archive, folder)
    assert [path.name for path in folder.parent.iterdir()] == ["model"]
    assert all(path.is_file() and not path.is_symlink() for path in folder.iterdir())
    assert not Path("/tmp/escaped").exists()


def test_too_many_files_are_refused(archive, folder):
    archive.write_bytes(packed(*(member(f"f{i}") for i in range(MAX_FILES + 1))))
    with pytest.raises(ModelFileError, match="up to 64 plain files"):
        unpack(archive, folder)


def test_a_bomb_is_refused_before_it_is_unpacked(archive, folder):
    archive.write_bytes(packed(member("weights.safetensors", bytes(2_000_000))))
    assert archive.stat().st_size < 10_000
    with pytest.raises(ModelFileError, match="at most 1000000 bytes"):
        unpack(archive, folder, max_bytes=1_000_000)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    "content",
    [b"", b"no gzip", packed(*GOOD)[:60], packed(*GOOD)[:-9], gzip.compress(b"no tar"), b"\x1f\x8b"],
    ids=["empty", "no gzip", "beginning", "end missing", "no tar", "magic only"],  # gzip writes the time: not an id
)
def test_a_damaged_archive_is_refused(archive, folder, content):
    archive.write_bytes(content)
    with pytest.raises(ModelFileError, match="damaged"):
        unpack(archive, folder)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_an_archive_with_flipped_bytes_never_writes_elsewhere(data):
    """Either it is refused, or every file is a plain one inside the folder."""
    plain = bytearray(gzip.decompress(packed(*GOOD)))
    for _ in range(data.draw(st.integers(1, 8))):
        plain[data.draw(st.integers(0, 1600))] = data.draw(st.integers(0, 255))
    with tempfile.TemporaryDirectory() as scratch:
        archive, folder = Path(scratch) / "model.tar.gz", Path(scratch) / "model"
        archive.write_bytes(gzip.compress(bytes(plain)))
        folder.mkdir()
        before = set(Path(scratch).iterdir())
        with contextlib.suppress(ModelFileError):
            unpack(archive, folder)
        assert set(Path(scratch).iterdir()) == before
        assert all(path.is_file() and not path.is_symlink() for path in folder.iterdir())
