"""Files of the embedded server that only their owner may read: folder, credentials, configuration."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from tabveil.artifacts import to_json
from tabveil.errors import ServerError


@dataclass(frozen=True)
class Credentials:
    """An S3 key pair. The secret is not shown in tracebacks and logs."""

    access_key: str
    secret_key: str

    def __repr__(self) -> str:
        return f"Credentials(access_key={self.access_key!r}, secret_key=...)"


def private_folder(folder: Path) -> None:
    """Make the folder, open to its owner only.

    Raises:
        ServerError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
    except OSError as err:
        raise ServerError(f"cannot make {folder} for the embedded S3 server: {err.strerror}") from err


def write_private(path: Path, text: str) -> None:
    """Write atomically, readable by the owner only from the first byte on."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    temporary.replace(path)


def load_credentials(path: Path) -> Credentials:
    """The project's key pair; made at random when there is none.

    Raises:
        ServerError: the file is there but holds no key pair.
    """
    if not path.exists():
        made = Credentials(f"TABVEIL{secrets.token_hex(6).upper()}", secrets.token_urlsafe(30))
        write_private(path, to_json({"access_key": made.access_key, "secret_key": made.secret_key}))
        return made
    path.chmod(0o600)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return Credentials(str(data["access_key"]), str(data["secret_key"]))
    except (ValueError, KeyError, TypeError) as err:
        raise ServerError(f"{path} holds no credentials: delete it, new ones are made at the next start") from err
