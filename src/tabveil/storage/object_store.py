"""What the stages may ask of an object store, whichever one it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

MANIFEST_NAME = "manifest.json"


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


class ObjectStore(Protocol):
    """Buckets of versioned objects. Every method raises `tabveil.errors.StorageError` or a subclass."""

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
        """Download one object, verified, all or nothing."""

    def put_new(self, bucket: str, key: str, path: Path, metadata: Mapping[str, str] | None = None) -> ObjectInfo:
        """Upload under a key that is free."""

    def put_version(self, bucket: str, key: str, path: Path, metadata: Mapping[str, str] | None = None) -> ObjectInfo:
        """Upload as the newest version of a key."""

    def publish(self, bucket: str, prefix: str, files: Mapping[str, Path]) -> dict[str, Any]:
        """Upload a folder, manifest last; returns what is where, ready for JSON."""

    def head(self, bucket: str, key: str, version_id: str | None = None) -> ObjectInfo:
        """Describe one object."""

    def exists(self, bucket: str, key: str) -> bool:
        """Whether the key has a current version."""

    def list_objects(self, bucket: str, prefix: str = "") -> list[ObjectInfo]:
        """Current objects below a prefix, sorted by key."""

    def ensure_bucket(self, bucket: str, *, versioned: bool = True) -> None:
        """Create a bucket that is not there."""
