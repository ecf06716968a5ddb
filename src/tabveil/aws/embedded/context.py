"""What every executor of the embedded endpoint is given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config as BotoConfig


@dataclass(frozen=True)
class Context:
    """Where executors read and write.

    Args:
        s3_endpoint: URL of the embedded object store; its credentials are this process's AWS_* variables.
        region: of every client.
        folder: the endpoint's own folder (mode 0700) for logs and working files.
        project: the project's root folder.
    """

    s3_endpoint: str
    region: str
    folder: Path
    project: Path

    def s3(self) -> Any:
        """A boto3 client of the embedded object store."""
        settings = BotoConfig(s3={"addressing_style": "path"}, proxies={})
        return boto3.client("s3", endpoint_url=self.s3_endpoint, region_name=self.region, config=settings)
