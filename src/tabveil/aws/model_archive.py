"""The model.tar.gz of a training job: unpacked and judged as if a stranger had packed it.

Only plain files with plain names are accepted: no folders, links, devices or paths, so that nothing can be written
outside the folder. Decompressed bytes are limited before they are parsed.
"""

from __future__ import annotations

import gzip
import re
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import IO, BinaryIO

from tabveil.config import SynthesizerConfig
from tabveil.errors import ModelFileError
from tabveil.synthesizers import is_shareable
from tabveil.synthesizers.model_folder import check_folder, read_manifest

MAX_BYTES = 2**29  # decompressed; our models are a few MB
MAX_FILES = 64
BLOCK_BYTES = 2**20
PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


def unpack(archive: Path, folder: Path, *, max_bytes: int = MAX_BYTES) -> None:
    """Unpack the files of an archive into an empty folder.

    Args:
        archive: a gzipped tar file.
        folder: exists and is empty; use a temporary one, since it may be half full after an error.
        max_bytes: of all decompressed bytes.

    Raises:
        ModelFileError: not a gzipped tar file, truncated, larger than `max_bytes`, or holding anything but plain
            files with plain names, each once.
    """
    with tempfile.TemporaryFile() as plain:
        _decompress(archive, plain, max_bytes)
        plain.seek(0)
        try:
            with tarfile.open(fileobj=plain, mode="r:") as tar:
                for member in _accepted(tar, archive):
                    _write(tar.extractfile(member), folder / _name(member))
        except (tarfile.TarError, EOFError, OverflowError, UnicodeError) as err:
            raise ModelFileError(f"{archive.name} must be a tar file, however it is damaged: train again") from err


def require_own_model(folder: Path, synthesizer: SynthesizerConfig) -> None:
    """Hold a model folder against its manifest, and the manifest against what was asked for.

    Raises:
        ModelFileError: not intact, of a kind that may not leave a machine, or of other settings.
    """
    check_folder(folder)
    if not is_shareable(folder):
        raise ModelFileError("the training job's model must be one that may leave a machine, however it is not")
    manifest = read_manifest(folder)
    if manifest["kind"] != synthesizer.name or manifest.get("config") != asdict(synthesizer):
        raise ModelFileError(
            "the training job must return a model of the configured synthesizer, however its settings differ: check "
            "that environment.sagemaker.image_uri holds this version of TabVeil"
        )


def _decompress(archive: Path, plain: BinaryIO | IO[bytes], max_bytes: int) -> None:
    """Gunzip into a temporary file that ends with the process."""
    total = 0
    try:
        with gzip.open(archive, "rb") as packed:
            while block := packed.read(BLOCK_BYTES):
                total += len(block)
                if total > max_bytes:
                    raise ModelFileError(f"{archive.name} must hold at most {max_bytes} bytes, however it holds more")
                plain.write(block)
    except (gzip.BadGzipFile, EOFError, zlib.error) as err:
        raise ModelFileError(f"{archive.name} must be gzipped, however it is damaged: train again") from err


def _accepted(tar: tarfile.TarFile, archive: Path) -> Iterator[tarfile.TarInfo]:
    seen: set[str] = set()
    for member in tar:
        if member.isdir() and member.name in (".", "./"):
            continue  # `tar -C folder -czf model.tar.gz .` begins with it
        name = _name(member)
        if not member.isreg() or not PLAIN_NAME.fullmatch(name) or name in seen or len(seen) == MAX_FILES:
            raise ModelFileError(
                f"{archive.name} must hold up to {MAX_FILES} plain files at its top, each once, however member "
                f"{len(seen) + 1} is something else: nothing was unpacked"
            )
        seen.add(name)
        yield member


def _name(member: tarfile.TarInfo) -> str:
    return member.name.removeprefix("./")


def _write(source: IO[bytes] | None, path: Path) -> None:
    if source is None:
        raise ModelFileError(f"{path.name} must be a plain file, however it has no content: train again")
    with source, path.open("xb") as target:
        shutil.copyfileobj(source, target, BLOCK_BYTES)
