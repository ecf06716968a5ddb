"""The model folder, which describes itself: its manifest, and the checksums that bind every other file to it.

`synthesizer.json` (kind, format version, configuration, checksums of the other files), `metadata.json`, `loss.csv`, and
the files of the kind.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tabveil.artifacts import to_json
from tabveil.errors import ModelFileError, TabVeilError
from tabveil.provenance import sha256_of

FORMAT = "tabveil-synthesizer"
FORMAT_VERSION = 4
MANIFEST, METADATA, LOSSES = "synthesizer.json", "metadata.json", "loss.csv"
DAMAGE = (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, OSError, RuntimeError, TabVeilError)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Whatever is wrong with what a file says becomes one `ModelFileError` that names it.

    Args:
        path: the file, or the folder where it may be one of several.
    """
    try:
        yield
    except ModelFileError:
        raise
    except DAMAGE as err:  # not the error's own text: it may show a value of the table
        raise ModelFileError(f"{path} is not a complete model's ({type(err).__name__}): train again") from None


def write_manifest(folder: Path, model: Mapping[str, Any]) -> None:
    """Write `synthesizer.json`, the last file of a folder that is complete otherwise.

    Args:
        model: what the manifest says of the model, `kind` included; format and checksums come on top.
    """
    files = {path.name: sha256_of(path) for path in sorted(folder.iterdir())}
    manifest = {"format": FORMAT, "version": FORMAT_VERSION, **model, "files": files}
    (folder / MANIFEST).write_text(to_json(manifest), encoding="utf-8")


def read_manifest(folder: Path) -> dict[str, Any]:
    """`synthesizer.json` of a model folder, its format checked.

    Raises:
        ModelFileError: missing, not JSON, foreign, or of another version than this one reads.
    """
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except OSError as err:
        raise ModelFileError(
            f"{folder} must hold a model, however {MANIFEST} cannot be read: run the stage 'train'"
        ) from err
    except (ValueError, RecursionError) as err:
        raise ModelFileError(f"{path} must be JSON, however it is damaged: train again") from err
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise ModelFileError(f"{path} must describe a TabVeil model, however it was written by something else")
    version = manifest.get("version")
    if type(version) is not int or version != FORMAT_VERSION:
        newer = type(version) is int and version > FORMAT_VERSION
        raise ModelFileError(
            f"{path} must have format version {FORMAT_VERSION}, however: {version!r}: "
            f"{'upgrade TabVeil' if newer else 'train again'}"
        )
    if not isinstance(manifest.get("kind"), str) or not isinstance(manifest.get("files"), dict):
        raise ModelFileError(f"{path} must name the model's kind and files, however one is missing: train again")
    return manifest


def check_folder(folder: Path) -> None:
    """Hold every file of a model folder against the checksums of its manifest, without loading the model.

    Raises:
        ModelFileError: no model, or a file is missing, differs, or is there without being listed.
    """
    verify(folder, read_manifest(folder)["files"])


def model_files(folder: Path) -> list[Path]:
    """Every file of a model: those that its manifest lists, and the manifest.

    Raises:
        ModelFileError: as `check_folder`.
    """
    files = read_manifest(folder)["files"]
    verify(folder, files)
    return [folder / name for name in sorted([*files, MANIFEST])]


def verify(folder: Path, files: dict[str, str]) -> None:
    """Hold the files of a folder against the checksums `files`, name -> SHA-256.

    Raises:
        ModelFileError: a file is missing, differs, or is there without being listed.
    """
    for name, expected in sorted(files.items()):
        path = folder / name
        if Path(name).name != name or not path.is_file():
            raise ModelFileError(f"{folder} must hold the file {name}, however it is missing: train again")
        with reading(path):
            found = sha256_of(path)
        if found != expected:
            raise ModelFileError(f"{path} must have the checksum of {MANIFEST}, however it differs: train again")
    foreign = sum(path.name not in files and path.name != MANIFEST for path in folder.iterdir())
    if foreign:
        raise ModelFileError(
            f"{folder} must hold the files of {MANIFEST} and nothing else, however it holds {foreign} more: remove "
            "them, or train again"
        )
