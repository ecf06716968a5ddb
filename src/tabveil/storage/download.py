"""One download: streamed, verified, and continued where it broke off.

botocore repeats requests, but not a body that breaks off. What is missing is then asked for by a range of the very
same version (RFC 9110: Range, If-Match). That needs a SHA-256 to judge the whole by; without one, botocore's check of
the store's own checksum is all there is, and it wants the whole body: such a download starts again.
"""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    FlexibleChecksumError,
    IncompleteReadError,
    ReadTimeoutError,
    ResponseStreamingError,
)

from tabveil.artifacts import atomic
from tabveil.errors import ChecksumError, ObjectTooLargeError, StorageError
from tabveil.storage.failures import at_border, error_code, pause
from tabveil.storage.object_store import ObjectInfo
from tabveil.storage.upload import SHA256_KEY

DOWNLOAD_ATTEMPTS = 3  # in a row, without progress
CHUNK_BYTES = 256 * 2**10
PROGRESS_BYTES = 2**20  # what a connection must bring before it may break off without being counted
BROKEN_BODY = (ConnectionClosedError, IncompleteReadError, ReadTimeoutError, ResponseStreamingError)
CHANGED_CODES = {"412", "PreconditionFailed"}


class Wanted(NamedTuple):
    """What is to be fetched, and what it must be."""

    bucket: str
    key: str
    max_bytes: int
    version_id: str | None
    sha256: str | None

    @property
    def uri(self) -> str:
        """``s3://bucket/key``."""
        return f"s3://{self.bucket}/{self.key}"


def fetch(client: Any, wanted: Wanted, destination: Path) -> ObjectInfo:
    """See `tabveil.storage.s3.S3Store.get`."""
    with atomic(destination) as temporary, temporary.open("wb") as file:
        return _Download(client, wanted, file).run()


class _Download:
    """A body on its way to a file: what has arrived, and of which version of the object."""

    def __init__(self, client: Any, wanted: Wanted, file: BinaryIO) -> None:
        self._client, self._wanted, self._file = client, wanted, file
        self._first: dict[str, Any] = {}  # the answer that the download began with
        self._restart()

    def run(self) -> ObjectInfo:
        breaks = 0
        while True:
            before = self._size_bytes
            try:
                self._receive(self._ask())
                return self._verified()
            except BROKEN_BODY as err:
                breaks = 1 if self._resumable and self._size_bytes >= before + PROGRESS_BYTES else breaks + 1
                if breaks == DOWNLOAD_ATTEMPTS:
                    raise StorageError(
                        f"cannot read {self._wanted.uri}: the connection broke off {breaks} times; try again"
                    ) from err
            pause(breaks)
            if not self._resumable:
                self._restart()

    @property
    def _promised(self) -> set[str]:
        """SHA-256 digests that the whole must have."""
        given = (self._wanted.sha256, self._first.get("Metadata", {}).get(SHA256_KEY))
        return {digest for digest in given if digest is not None}

    @property
    def _resumable(self) -> bool:
        return bool(self._promised)

    def _restart(self) -> None:
        self._file.seek(0)
        self._file.truncate()
        self._size_bytes, self._digest = 0, hashlib.sha256()

    def _ask(self) -> dict[str, Any]:
        address = {"Bucket": self._wanted.bucket, "Key": self._wanted.key}
        version_id = self._wanted.version_id or (self._first.get("VersionId") if self._size_bytes else None)
        version = {} if version_id is None else {"VersionId": version_id}
        with at_border("read", self._wanted.bucket, self._wanted.key):
            if self._size_bytes == 0:
                self._first = self._client.get_object(**address, **version, ChecksumMode="ENABLED")
                return self._first
            return self._ask_for_rest({**address, **version})

    def _ask_for_rest(self, address: dict[str, str]) -> dict[str, Any]:
        start, total = self._size_bytes, self._first["ContentLength"]
        try:
            answer: dict[str, Any] = self._client.get_object(
                **address, Range=f"bytes={start}-", IfMatch=self._first["ETag"]
            )
        except ClientError as err:
            if error_code(err) in CHANGED_CODES:
                raise StorageError(f"{self._wanted.uri} was replaced while it was downloaded: fetch again") from err
            raise
        if answer.get("ContentRange") != f"bytes {start}-{total - 1}/{total}":
            raise StorageError(f"{self._wanted.uri}: the store does not continue a download at a byte: fetch again")
        return answer

    def _receive(self, answer: dict[str, Any]) -> None:
        with contextlib.closing(answer["Body"]) as body:
            self._refuse_large(self._first["ContentLength"])
            try:
                for chunk in body.iter_chunks(CHUNK_BYTES):
                    self._refuse_large(self._size_bytes + len(chunk))
                    self._file.write(chunk)
                    self._digest.update(chunk)
                    self._size_bytes += len(chunk)
            except FlexibleChecksumError as err:
                raise ChecksumError(
                    f"{self._wanted.uri}: the bytes differ from the store's own checksum; fetch again"
                ) from err

    def _refuse_large(self, size_bytes: int) -> None:
        if size_bytes > self._wanted.max_bytes:
            raise ObjectTooLargeError(
                f"{self._wanted.uri} is larger than {self._wanted.max_bytes} bytes: raise "
                "environment.max_object_bytes if that is right"
            )

    def _verified(self) -> ObjectInfo:
        digest = self._digest.hexdigest()
        if self._promised - {digest}:
            raise ChecksumError(
                f"{self._wanted.uri}: expected sha256 {', '.join(sorted(self._promised))}, however {digest}; check the "
                "configured sha256 and version_id, or fetch again"
            )
        etag, version_id = self._first["ETag"].strip('"'), self._first.get("VersionId")
        return ObjectInfo(self._wanted.bucket, self._wanted.key, self._size_bytes, etag, version_id, digest)
