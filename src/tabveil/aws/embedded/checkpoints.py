"""A job's folder `checkpoints/` and its copy in S3: brought when the container starts, followed while it runs."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit


class CheckpointFolder:
    """The two sides of `CheckpointConfig`. What is deleted here stays there: our container deletes nothing.

    Args:
        s3: client of the embedded object store.
        uri: prefix, with or without a slash at its end.
        folder: the container's `/opt/ml/checkpoints`.
    """

    def __init__(self, s3: Any, uri: str, folder: Path) -> None:
        parts = urlsplit(uri)
        self._s3, self._folder = s3, folder
        self._bucket, self._prefix = parts.netloc, parts.path.strip("/") + "/"
        self._copied: dict[str, tuple[int, int]] = {}  # name -> size and time of the file that was copied

    def download(self) -> None:
        """Make the folder, with what S3 holds of it."""
        self._folder.mkdir(parents=True)
        for item in self._s3.list_objects_v2(Bucket=self._bucket, Prefix=self._prefix).get("Contents", []):
            target = self._folder / PurePosixPath(item["Key"]).name
            self._s3.download_file(self._bucket, item["Key"], str(target))
        self._copied = self._seen()

    def upload(self) -> None:
        """Copy the files that have changed, whole or not: nobody tells when one is complete."""
        seen = self._seen()
        for name in [name for name, state in seen.items() if self._copied.get(name) != state]:
            data = (self._folder / name).read_bytes()  # as it is now: its size may change while it is sent
            self._s3.put_object(Bucket=self._bucket, Key=self._prefix + name, Body=data)
        self._copied = seen

    def _seen(self) -> dict[str, tuple[int, int]]:
        states = {path.name: path.stat() for path in sorted(self._folder.iterdir()) if path.is_file()}
        return {name: (state.st_size, state.st_mtime_ns) for name, state in states.items()}
