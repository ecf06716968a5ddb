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

from botocore.exceptions import BotoCoreError, ClientError

from tabveil.errors import ArtifactError, ChecksumError, ObjectExistsError, ObjectNotFoundError, StorageError
from tabveil.storage.failures import at_border, is_passing, pause
from tabveil.storage.object_store import ObjectInfo, Rules

PART_BYTES = 16 * 2**20
PART_ATTEMPTS = 3  # each of as many requests as botocore repeats
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
    rules: Rules

    @property
    def address(self) -> dict[str, str]:
        """boto3's arguments for the key."""
        return {"Bucket": self.bucket, "Key": self.key}

    @property
    def condition(self) -> dict[str, str]:
        """Never overwrite: the server refuses when the key has a current version (RFC 9110, If-None-Match)."""
        return {"IfNoneMatch": "*"} if self.only_new else {}

    @property
    def terms(self) -> dict[str, Any]:
        """boto3's arguments for what the object must have: metadata, encryption, tags."""
        return {"Metadata": self.metadata, **self.rules.write_arguments}


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


def prepare(
    rules: Rules, bucket: str, key: str, path: Path, metadata: Mapping[str, str] | None = None, *, only_new: bool
) -> Upload:
    """Digest a file and describe its upload.

    Raises:
        StorageError: the key is outside the environment's buckets.
        ArtifactError: the file cannot be read.
    """
    rules.check(bucket, key)
    sha256 = file_sha256(path)
    own = {SHA256_KEY: sha256, TOKEN_KEY: secrets.token_hex(16)}
    return Upload(bucket, key, path, sha256, path.stat().st_size, {**(metadata or {}), **own}, only_new, rules)


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
    except (ObjectExistsError, ObjectNotFoundError):
        checksum = None
        if not _arrived(client, upload):  # else: our first request arrived, only its answer was lost
            raise
    return _verify(client, upload, checksum)


def is_own(client: Any, upload: Upload) -> bool:
    """Whether the key's current version was written by this very upload."""
    with at_border("read", upload.bucket, upload.key):
        found = client.head_object(**upload.address)
    return bool(found["Metadata"].get(TOKEN_KEY) == upload.metadata[TOKEN_KEY])


def delete_own(client: Any, upload: Upload) -> None:
    """Delete the version that this upload wrote, so that not even a delete marker stays.

    Raises:
        ObjectNotFoundError: the key has no version.
        StorageError: refused, or the connection broke off.
    """
    delete_version(client, upload.bucket, upload.key, describe(client, upload.bucket, upload.key).version_id)


def delete_version(client: Any, bucket: str, key: str, version_id: str | None) -> None:
    """Delete one version for good; None where the bucket keeps none.

    Raises:
        StorageError: refused, or the connection broke off.
    """
    version = {} if version_id is None else {"VersionId": version_id}
    with at_border("delete", bucket, key):
        client.delete_object(Bucket=bucket, Key=key, **version)


def _arrived(client: Any, upload: Upload) -> bool:
    try:
        return is_own(client, upload)
    except ObjectNotFoundError:
        return False


def _refuse_taken(client: Any, upload: Upload) -> None:
    """Look before the upload: saves the bytes, and covers a store that ignores If-None-Match."""
    with contextlib.suppress(ObjectNotFoundError):
        found = describe(client, upload.bucket, upload.key)
        raise ObjectExistsError(f"{found.uri} exists already and is never overwritten: choose another key")


def _send_whole(client: Any, upload: Upload) -> str:
    checksum = base64.b64encode(bytes.fromhex(upload.sha256)).decode("ascii")
    with upload.path.open("rb") as body:
        client.put_object(**upload.address, **upload.condition, **upload.terms, Body=body, ChecksumSHA256=checksum)
    return checksum


def _send_parts(client: Any, upload: Upload) -> str:
    created = client.create_multipart_upload(**upload.address, ChecksumAlgorithm="SHA256", **upload.terms)
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
    """One part. botocore repeats the request; when it gives up, the part alone is begun anew, unless it arrived."""
    checksum = base64.b64encode(hashlib.sha256(block).digest()).decode("ascii")
    for attempt in range(1, PART_ATTEMPTS + 1):
        try:
            if attempt == 1 or (etag := _etag_of_part(client, identity, number, checksum)) is None:
                etag = client.upload_part(**identity, PartNumber=number, Body=block, ChecksumSHA256=checksum)["ETag"]
            return {"PartNumber": number, "ETag": etag, "ChecksumSHA256": checksum}
        except (BotoCoreError, ClientError) as err:
            if attempt == PART_ATTEMPTS or not is_passing(err):
                raise
            pause(attempt)
    raise AssertionError("unreachable")


def _etag_of_part(client: Any, identity: dict[str, str], number: int, checksum: str) -> str | None:
    """The ETag of a part that is there with this checksum: its answer was lost, it need not be sent again."""
    listed = client.list_parts(**identity, PartNumberMarker=number - 1, MaxParts=1).get("Parts", [])
    same = [p for p in listed if p["PartNumber"] == number and p.get("ChecksumSHA256") == checksum]
    return str(same[0]["ETag"]) if same else None


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
    if found["Metadata"].get(TOKEN_KEY) != upload.metadata[TOKEN_KEY]:
        raise StorageError(f"s3://{upload.bucket}/{upload.key} was replaced while it was uploaded: try again")
    fault = _fault(found, upload, checksum)
    if fault is not None:
        delete_own(client, upload)
        raise fault
    return _info(upload.bucket, upload.key, found)


def _fault(found: dict[str, Any], upload: Upload, checksum: str | None) -> StorageError | None:
    where, stored = f"s3://{upload.bucket}/{upload.key}", found.get("ChecksumSHA256")
    same_sum = checksum is None or stored is None or stored == checksum
    if found["ContentLength"] != upload.size_bytes or not same_sum:
        return ChecksumError(
            f"{where}: expected {upload.size_bytes} bytes with the sent checksum, however the store holds "
            f"{found['ContentLength']} bytes; try again"
        )
    if upload.rules.kms_key_id is not None and found.get("ServerSideEncryption") != "aws:kms":
        return StorageError(
            f"{where} must be encrypted by environment.kms_key_id, however the store did not: it was deleted again; "
            "use a store with SSE-KMS, or set kms_key_id to null"
        )
    return None


def _info(bucket: str, key: str, found: dict[str, Any]) -> ObjectInfo:
    return ObjectInfo(
        bucket=bucket,
        key=key,
        size_bytes=found["ContentLength"],
        etag=found["ETag"].strip('"'),
        version_id=found.get("VersionId"),
        sha256=found["Metadata"].get(SHA256_KEY),
    )
