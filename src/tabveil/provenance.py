"""What leads from a result back to code and data: digests of files and folders, git and DVC tags."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import tabveil


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file's bytes, or of a folder's relative names and file digests."""
    if path.is_dir():
        return sha256_of_files({p.relative_to(path).as_posix(): p for p in path.rglob("*") if p.is_file()})
    return _digest(path, "sha256")


def sha256_of_files(files: dict[str, Path]) -> str:
    """Hex SHA-256 over names and file digests, in the order of the names."""
    total = hashlib.sha256()
    for name, path in sorted(files.items()):
        total.update(f"{name}\0{sha256_of(path)}\n".encode())
    return total.hexdigest()


def md5_of(path: Path) -> str:
    """Hex md5 of a file's bytes: DVC's digest of it, no protection."""
    return _digest(path, "md5")


def _digest(path: Path, algorithm: str) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()


def provenance_tags(root: Path) -> dict[str, str]:
    """Git commit, DVC stage and experiment, package version: tags of a tracked run."""
    tags = {"tabveil.version": tabveil.__version__}
    commit = _git(root, "rev-parse", "HEAD")
    if commit:
        tags["git.commit"] = commit
        tags["git.dirty"] = str(bool(_git(root, "status", "--porcelain", "--untracked-files=no"))).lower()
    for variable, tag in (("DVC_STAGE", "dvc.stage"), ("DVC_EXP_NAME", "dvc.experiment")):
        if os.environ.get(variable):
            tags[tag] = os.environ[variable]
    lock = root / "dvc.lock"
    if lock.exists():
        tags["dvc.lock_md5"] = md5_of(lock)
    return tags


def _git(root: Path, *arguments: str) -> str:
    try:
        result = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    except FileNotFoundError:  # no git: a container
        return ""
    return result.stdout.strip() if result.returncode == 0 else ""
