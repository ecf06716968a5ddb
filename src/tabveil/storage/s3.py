"""S3 through boto3: verified downloads, uploads that never overwrite, publications that count as a whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from tabveil.errors import StorageError
from tabveil.storage.download import Wanted, fetch
from tabveil.storage.failures import at_border, error_code
from tabveil.storage.object_store import ObjectInfo, Rules
from tabveil.storage.publication import publish
from tabveil.storage.upload import delete_version, describe, prepare, send


class S3Store:
    """Buckets of versioned objects, on a boto3 S3 client (see `tabveil.storage.connection.connect`).

    Every method refuses a bucket or key outside `rules` before any request: a StorageError.

    Args:
        client: boto3's.
        rules: the environment's buckets, encryption and tags.
        requests: filled with the number of requests by operation, where the client counts them.
    """

    def __init__(self, client: Any, rules: Rules, requests: Counter[str] | None = None) -> None:
        self._client = client
        self._rules = rules
        self.requests: Counter[str] = Counter() if requests is None else requests

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

        A connection that breaks off is continued at the byte where it broke, of the same version. The SHA-256 of the
        received bytes is compared with `sha256` and with the one that an upload of ours left in the object's metadata;
        botocore compares the store's own checksum where there is one.

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
        self._rules.check(bucket, key)
        return fetch(self._client, Wanted(bucket, key, max_bytes, version_id, sha256), destination)

    def put_version(self, bucket: str, key: str, path: Path, metadata: Mapping[str, str] | None = None) -> ObjectInfo:
        """Upload as the newest version of a key; older versions stay in a versioned bucket.

        Encrypted and tagged as the environment asks; files above 16 MiB go in parts, each with a checksum.

        Raises:
            ChecksumError: what arrived is not what was sent.
            StorageError: no such bucket, refused, or the connection broke off.
            ArtifactError: `path` cannot be read.
        """
        return send(self._client, prepare(self._rules, bucket, key, path, metadata, only_new=False))

    def head(self, bucket: str, key: str, version_id: str | None = None) -> ObjectInfo:
        """Describe one object.

        Raises:
            ObjectNotFoundError: no such bucket, key or version.
        """
        self._rules.check(bucket, key)
        return describe(self._client, bucket, key, version_id)

    def locate(self, uri: str) -> tuple[str, str]:
        """``s3://bucket/key`` as (bucket, key).

        Raises:
            StorageError: not such a URI, or outside the environment's buckets.
        """
        return self._rules.locate(uri)

    def list(self, bucket: str, prefix: str) -> list[ObjectInfo]:
        """The current objects below a prefix, by key; without their SHA-256.

        Raises:
            ObjectNotFoundError: no such bucket.
        """
        self._rules.check(bucket, prefix)
        with at_border("list", bucket, prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
            found = [item for page in pages for item in page.get("Contents", [])]
        return [ObjectInfo(bucket, item["Key"], item["Size"], item["ETag"].strip('"')) for item in found]

    def delete_prefix(self, bucket: str, prefix: str) -> int:
        """Delete every version of every object below a prefix, and the delete markers.

        Returns:
            How many versions and markers were deleted.

        Raises:
            StorageError: an empty prefix; refused, or the connection broke off.
        """
        self._rules.check(bucket, prefix)
        if not prefix:
            raise StorageError(f"expected a prefix to delete in s3://{bucket}, however it is empty")
        with at_border("list", bucket, prefix):
            pages = self._client.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix)
            found = [item for page in pages for kind in ("Versions", "DeleteMarkers") for item in page.get(kind, [])]
        for item in found:
            delete_version(self._client, bucket, item["Key"], item["VersionId"])
        return len(found)

    def ensure_bucket(self, bucket: str, *, versioned: bool = True) -> None:
        """Create a bucket that is not there, and switch versioning on if asked."""
        self._rules.check(bucket)
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
        return publish(self._client, self._rules, bucket, prefix, files)

    def _create_bucket(self, bucket: str) -> None:
        region = self._client.meta.region_name
        place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        try:
            self._client.create_bucket(Bucket=bucket, **place)
        except ClientError as err:
            if error_code(err) != "BucketAlreadyOwnedByYou":  # another process was faster
                raise
