"""What an object store knows about one object."""

from __future__ import annotations

from dataclasses import dataclass

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
