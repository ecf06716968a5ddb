"""The pseudonymisation key: from the environment, or a file only its owner can read. It is never logged."""

from __future__ import annotations

import binascii
import os
import secrets
import stat
from pathlib import Path

from tabveil.errors import KeyUnavailableError

MIN_BYTES = 32


def load_key(env_name: str, key_file: Path) -> bytes:
    """The key, made at first use.

    Args:
        env_name: environment variable with the key in hexadecimal; wins over the file.
        key_file: file with the key in hexadecimal, mode 0600; created with random bytes when it does not exist.

    Returns:
        At least 32 bytes.

    Raises:
        KeyUnavailableError: not hexadecimal, too short, a file that others may read, or one that cannot be made.
    """
    if text := os.environ.get(env_name):
        return _decode(text, f"environment variable {env_name}")
    try:
        _create_once(key_file)
        return _decode(_read_private(key_file), f"key file {key_file}")
    except OSError as err:
        if isinstance(err, KeyUnavailableError):
            raise
        raise KeyUnavailableError(
            f"the key file {key_file} cannot be read or made ({type(err).__name__}): set {env_name} or pii.key_file"
        ) from err


def _decode(text: str, where: str) -> bytes:
    try:
        key = binascii.unhexlify(text.strip().encode("ascii"))
    except (binascii.Error, UnicodeEncodeError) as err:
        raise KeyUnavailableError(f"{where} must hold the key in hexadecimal, however it does not") from err
    if len(key) < MIN_BYTES:
        raise KeyUnavailableError(f"{where} must hold at least {MIN_BYTES} bytes, however it holds {len(key)}")
    return key


def _create_once(path: Path) -> None:
    """Write a new key unless there is one; two processes at once end up with the same file."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(os.urandom(MIN_BYTES).hex() + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)
        except FileExistsError:
            return  # another process was first; its key counts
    finally:
        temporary.unlink()


def _read_private(path: Path) -> str:
    with path.open(encoding="ascii", errors="replace") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        if mode & 0o077:
            raise KeyUnavailableError(
                f"the key file {path} must have mode 0600, however it has {mode:04o}: chmod 600 it, and if others "
                "could have read it, delete it and run verify again"
            )
        return file.read()
