"""One upload, checked at both ends: SHA-256 sent along, conditional on a free key, verified afterwards.

Small files go in one request, larger ones in parts (S3's multipart upload, where nothing is visible before it is
completed). Each upload carries a random token in its metadata, so that a request that was repeated after a lost
answer recognises its own object, and a failed publication deletes only what it wrote itself.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from tabveil.errors import ArtifactError, ChecksumError, ObjectExistsError, ObjectNotFoundError, StorageError
from tabveil.storage.failures import at_border
from tabveil.storage.object_store import ObjectInfo

PART_BYTES = 16 * 2**20
BLOCK_BYTES = 2**20
SHA256_KEY = "sha256"  # of the whole file, hex: a multipart checksum is of the parts' checksums only
TOKEN_KEY = "tabveil-upload"  # noqa: S105


@dataclass(frozen=True)
class Upload:
    """A file on its way to a key."""

    bucket: str
    key: str
    path: Path
    sha256: str
    size_bytes: int
    metadata: dict[str, str]
    only_new: bool

    @property
    def address(self) -> dict[str, str]:
        """boto3's arguments for the key."""
        return {"Bucket": self.bucket, "Key": self.key}

    @property
    def condition(self) -> dict[str, str]:
        """Never overwrite: the server refuses when the key has a current version (RFC 9110, If-None-Match)."""
        return {"IfNoneMatch": "*"} if self.only_new else {}


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, hex.

    Raises:
        ArtifactError: the file cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as err:
        raise ArtifactError(f"cannot read {path} for upload: {err.strerror}") from err


def prepare(bucket: str, key: str, path: Path, metadata: Mapping[str, str] | None = None, *, only_new: bool) -> Upload:
    """Digest a file and describe its upload.

    Raises:
        ArtifactError: the file cannot be read.
    """
    sha256 = file_sha256(path)
    own = {SHA256_KEY: sha256, TOKEN_KEY: secrets.token_hex(16)}
    return Upload(bucket, key, path, sha256, path.stat().st_size, {**(metadata or {}), **own}, only_new)


def describe(client: Any, bucket: str, key: str, version_id: str | None = None) -> ObjectInfo:
    """What the store holds under a key; `sha256` as an upload of ours left it in the metadata.

    Raises:
        ObjectNotFoundError: no such bucket, key or version.
    """
    version = {} if version_id is None else {"VersionId": version_id}
    with at_border("read", bucket, key):
        found = client.head_object(Bucket=bucket, Key=key, **version)
    return _info(bucket, key, found)


def send(client: Any, upload: Upload) -> ObjectInfo:
    """Upload and verify.

    Raises:
        ObjectExistsError: the key is taken (`only_new`).
        ChecksumError: what arrived is not what was sent.
        StorageError: refused, or the connection broke off.
    """
    if upload.only_new:
        _refuse_taken(client, upload)
    try:
        with at_border("write", upload.bucket, upload.key):
            checksum = _send_whole(client, upload) if upload.size_bytes <= PART_BYTES else _send_parts(client, upload)
    except ObjectExistsError:
        checksum = None
        if not is_own(client, upload):  # else: our first request arrived, only its answer was lost
            raise
    return _verify(client, upload, checksum)


def is_own(client: Any, upload: Upload) -> bool:
    """Whether the key's current version was written by this very upload."""
    with at_border("read", upload.bucket, upload.key):
        found = client.head_object(**upload.address)
    return bool(found["Metadata"].get(TOKEN_KEY) == upload.metadata[TOKEN_KEY])


def _refuse_taken(client: Any, upload: Upload) -> None:
    """Look before the upload: saves the bytes, and covers a store that ignores If-None-Match."""
    with contextlib.suppress(ObjectNotFoundError):
        found = describe(client, upload.bucket, upload.key)
        raise ObjectExistsError(f"{found.uri} exists already and is never overwritten: choose another key")


def _send_whole(client: Any, upload: Upload) -> str:
    checksum = base64.b64encode(bytes.fromhex(upload.sha256)).decode("ascii")
    with upload.path.open("rb") as body:
        client.put_object(
            **upload.address, **upload.condition, Body=body, ChecksumSHA256=checksum, Metadata=upload.metadata
        )
    return checksum


def _send_parts(client: Any, upload: Upload) -> str:
    created = client.create_multipart_upload(**upload.address, ChecksumAlgorithm="SHA256", Metadata=upload.metadata)
    identity = {**upload.address, "UploadId": created["UploadId"]}
    try:
        with upload.path.open("rb") as stream:
            parts = [_send_part(client, identity, number, block) for number, block in _numbered_parts(stream)]
        client.complete_multipart_upload(**identity, **upload.condition, MultipartUpload={"Parts": parts})
    except BaseException:
        with contextlib.suppress(StorageError), at_border("abort", upload.bucket, upload.key):
            client.abort_multipart_upload(**identity)  # parts are invisible, but cost space
        raise
    return _composite([part["ChecksumSHA256"] for part in parts])


def _send_part(client: Any, identity: dict[str, str], number: int, block: bytes) -> dict[str, Any]:
    checksum = base64.b64encode(hashlib.sha256(block).digest()).decode("ascii")
    sent = client.upload_part(**identity, PartNumber=number, Body=block, ChecksumSHA256=checksum)
    return {"PartNumber": number, "ETag": sent["ETag"], "ChecksumSHA256": checksum}


def _numbered_parts(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    number = 1
    while block := stream.read(PART_BYTES):
        yield number, block
        number += 1


def _composite(checksums: list[str]) -> str:
    """S3's checksum of a multipart object: the digest of the parts' digests, and their number."""
    digest = hashlib.sha256(b"".join(base64.b64decode(checksum) for checksum in checksums)).digest()
    return f"{base64.b64encode(digest).decode('ascii')}-{len(checksums)}"


def _verify(client: Any, upload: Upload, checksum: str | None) -> ObjectInfo:
    """Ask the store what it holds now; a store that keeps no checksums is judged by length and token."""
    with at_border("verify", upload.bucket, upload.key):
        found = client.head_object(**upload.address, ChecksumMode="ENABLED")
    stored = found.get("ChecksumSHA256")
    same_sum = checksum is None or stored is None or stored == checksum
    if found["Metadata"].get(TOKEN_KEY) != upload.metadata[TOKEN_KEY]:
        raise StorageError(f"s3://{upload.bucket}/{upload.key} was replaced while it was uploaded: try again")
    if found["ContentLength"] != upload.size_bytes or not same_sum:
        raise ChecksumError(
            f"s3://{upload.bucket}/{upload.key}: expected {upload.size_bytes} bytes with the sent checksum, however "
            f"the store holds {found['ContentLength']} bytes; try again"
        )
    return _info(upload.bucket, upload.key, found)


def _info(bucket: str, key: str, found: dict[str, Any]) -> ObjectInfo:
    return ObjectInfo(
        bucket=bucket,
        key=key,
        size_bytes=found["ContentLength"],
        etag=found["ETag"].strip('"'),
        version_id=found.get("VersionId"),
        sha256=found["Metadata"].get(SHA256_KEY),
    )
