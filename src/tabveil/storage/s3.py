"""S3 through boto3: verified downloads, uploads that never overwrite, publications that count as a whole."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Mapping
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
from tabveil.storage.failures import at_border, error_code
from tabveil.storage.object_store import ObjectInfo
from tabveil.storage.publication import publish
from tabveil.storage.upload import BLOCK_BYTES, SHA256_KEY, describe, prepare, send

DOWNLOAD_ATTEMPTS = 3  # botocore repeats requests, but not a body that broke off
BROKEN_BODY = (ConnectionClosedError, IncompleteReadError, ReadTimeoutError, ResponseStreamingError)


class _Address(NamedTuple):
    bucket: str
    key: str

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


class S3Store:
    """Buckets of versioned objects, on a boto3 S3 client (see `tabveil.storage.connection.connect`)."""

    def __init__(self, client: Any) -> None:
        self._client = client

    @property
    def endpoint_url(self) -> str:
        """Where the client sends its requests."""
        return str(self._client.meta.endpoint_url)

    def get(
        self,
        bucket: str,
        key: str,
        destination: Path,
        *,
        max_bytes: int,
        version_id: str | None = None,
        sha256: str | None = None,
    ) -> ObjectInfo:
        """Download one object to `destination`: streamed, verified, all or nothing.

        The SHA-256 of the received bytes is compared with `sha256` and with the one that an upload of ours left in
        the object's metadata; botocore compares the store's own checksum where there is one.

        Args:
            destination: replaced only after everything was verified.
            max_bytes: larger objects are refused, before or while they arrive.
            version_id: None for the current version.
            sha256: expected digest, hex.

        Raises:
            ObjectNotFoundError: no such bucket, key or version.
            ObjectTooLargeError: more than `max_bytes`.
            ChecksumError: the bytes differ from a checksum.
            StorageError: refused, or the connection broke off repeatedly.
        """
        for _ in range(DOWNLOAD_ATTEMPTS):
            with at_border("read", bucket, key):
                answer = self._client.get_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED", **_version(version_id))
            try:
                with atomic(destination) as temporary:
                    return _receive(answer, _Address(bucket, key), temporary, max_bytes, sha256)
            except BROKEN_BODY as err:
                broken = err
        raise StorageError(
            f"cannot read s3://{bucket}/{key}: the connection broke off {DOWNLOAD_ATTEMPTS} times; try again"
        ) from broken

    def put_version(self, bucket: str, key: str, path: Path, metadata: Mapping[str, str] | None = None) -> ObjectInfo:
        """Upload as the newest version of a key; older versions stay in a versioned bucket.

        Raises:
            ChecksumError: what arrived is not what was sent.
            StorageError: no such bucket, refused, or the connection broke off.
            ArtifactError: `path` cannot be read.
        """
        return send(self._client, prepare(bucket, key, path, metadata, only_new=False))

    def head(self, bucket: str, key: str, version_id: str | None = None) -> ObjectInfo:
        """Describe one object.

        Raises:
            ObjectNotFoundError: no such bucket, key or version.
        """
        return describe(self._client, bucket, key, version_id)

    def ensure_bucket(self, bucket: str, *, versioned: bool = True) -> None:
        """Create a bucket that is not there, and switch versioning on if asked."""
        with at_border("create", bucket):
            try:
                self._client.head_bucket(Bucket=bucket)
            except ClientError as err:
                if error_code(err) != "404":
                    raise
                self._create_bucket(bucket)
            if versioned and self._client.get_bucket_versioning(Bucket=bucket).get("Status") != "Enabled":
                self._client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})

    def publish(self, bucket: str, prefix: str, files: Mapping[str, Path]) -> dict[str, Any]:
        """Upload a folder so that it counts as a whole or not at all.

        The files go first, `manifest.json` with the SHA-256 of each goes last: a prefix without its manifest is not
        a publication. When anything fails, what this call uploaded is deleted again. A file of the same content that
        a killed call left behind is taken as it is; publishing the same content twice changes nothing.

        Args:
            prefix: folder, ends in ``/``.
            files: name below the prefix -> local file.

        Returns:
            ``{"uri": "s3://bucket/prefix", "files": {name: {"sha256", "size_bytes", "version_id"}}, "manifest": ...}``,
            where `manifest` describes `manifest.json` like a file.

        Raises:
            ObjectExistsError: the prefix holds another publication, or a file of other content.
            StorageError: the upload failed; the message names what could not be deleted.
        """
        return publish(self._client, bucket, prefix, files)

    def _create_bucket(self, bucket: str) -> None:
        region = self._client.meta.region_name
        place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        try:
            self._client.create_bucket(Bucket=bucket, **place)
        except ClientError as err:
            if error_code(err) != "BucketAlreadyOwnedByYou":  # another process was faster
                raise


def _version(version_id: str | None) -> dict[str, str]:
    return {} if version_id is None else {"VersionId": version_id}


def _receive(answer: dict[str, Any], where: _Address, path: Path, max_bytes: int, sha256: str | None) -> ObjectInfo:
    """Write the body of an answer to `path` and verify it."""
    expected = {value for value in (sha256, answer["Metadata"].get(SHA256_KEY)) if value is not None}
    with contextlib.closing(answer["Body"]) as body, path.open("wb") as file:
        if answer["ContentLength"] > max_bytes:
            raise _too_large(where, max_bytes)
        try:
            size_bytes, digest = _copy(body.iter_chunks(BLOCK_BYTES), file, max_bytes)
        except FlexibleChecksumError as err:
            raise ChecksumError(f"{where.uri}: the bytes differ from the store's own checksum; fetch again") from err
    if size_bytes > max_bytes:
        raise _too_large(where, max_bytes)
    if expected - {digest}:
        raise ChecksumError(
            f"{where.uri}: expected sha256 {', '.join(sorted(expected))}, however {digest}; check the configured "
            "sha256 and version_id, or fetch again"
        )
    version_id, etag = answer.get("VersionId"), answer["ETag"].strip('"')
    return ObjectInfo(where.bucket, where.key, size_bytes, etag, version_id, digest)


def _copy(chunks: Iterable[bytes], file: BinaryIO, max_bytes: int) -> tuple[int, str]:
    """Copy and digest; stops after the chunk that passes `max_bytes`. Returns the bytes read and their SHA-256."""
    digest, total = hashlib.sha256(), 0
    for chunk in chunks:
        total += len(chunk)
        if total > max_bytes:
            break
        file.write(chunk)
        digest.update(chunk)
    return total, digest.hexdigest()


def _too_large(where: _Address, max_bytes: int) -> ObjectTooLargeError:
    return ObjectTooLargeError(
        f"{where.uri} is larger than {max_bytes} bytes: raise environment.max_object_bytes if that is right"
    )
