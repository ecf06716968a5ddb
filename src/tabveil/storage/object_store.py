"""What an object store knows about one object, and what an environment allows and asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from tabveil.errors import ConfigError, StorageError

MANIFEST_NAME = "manifest.json"
MAX_TAGS = 10  # of one object: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html


@dataclass(frozen=True)
class ObjectInfo:
    """One version of one object."""

    bucket: str
    key: str
    size_bytes: int
    etag: str
    version_id: str | None = None  # None: the bucket keeps no versions
    sha256: str | None = None  # hex; None: not known without reading the object

    @property
    def uri(self) -> str:
        """``s3://bucket/key``."""
        return f"s3://{self.bucket}/{self.key}"


@dataclass(frozen=True)
class Rules:
    """Where an environment may read and write, and what every object it writes must have.

    Args:
        buckets: the only ones that are ever named in a request.
        kms_key_id: id or ARN of the KMS key that encrypts what is written; None: the bucket's default decides.
        tags: of every object.

    Raises:
        ConfigError: more tags than S3 takes.
    """

    buckets: frozenset[str]
    kms_key_id: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.tags) > MAX_TAGS:
            raise ConfigError(f"environment.tags must be at most {MAX_TAGS}, however: {len(self.tags)}")

    @property
    def write_arguments(self) -> dict[str, Any]:
        """boto3's arguments of ``put_object`` and ``create_multipart_upload``."""
        arguments: dict[str, Any] = {"Tagging": urlencode(self.tags)} if self.tags else {}
        if self.kms_key_id is not None:
            arguments |= {
                "ServerSideEncryption": "aws:kms",
                "SSEKMSKeyId": self.kms_key_id,
                "BucketKeyEnabled": True,
            }
        return arguments

    def check(self, bucket: str, key: str = "") -> None:
        """Refuse what is outside, before any request.

        Raises:
            StorageError: another bucket, or a key with a segment ``.`` or ``..``, which a server or proxy may resolve.
        """
        if bucket not in self.buckets:
            raise StorageError(
                f"s3://{bucket}/{key} must be in a bucket of the environment ({', '.join(sorted(self.buckets))}), "
                "however it is not: correct environment.*_bucket in conf/environment/"
            )
        if {".", ".."}.intersection(key.split("/")):
            raise StorageError(f"s3://{bucket}/{key} must be a plain key, however it has a segment '.' or '..'")

    def locate(self, uri: str) -> tuple[str, str]:
        """``s3://bucket/key`` as a checked (bucket, key).

        Raises:
            StorageError: not such a URI, or outside.
        """
        parts = urlsplit(uri, allow_fragments=False)
        if parts.scheme != "s3" or not parts.netloc or parts.query:
            raise StorageError(f"expected s3://bucket/key, however: {uri}")
        self.check(parts.netloc, parts.path[1:])
        return parts.netloc, parts.path[1:]
