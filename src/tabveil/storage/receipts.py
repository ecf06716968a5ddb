"""Do the buckets still hold what a stage's receipt says: `source.json` of `pull`, `published.json` of `publish`?

A bucket is asked object by object (HEAD, no download). The embedded store need not be started for an answer that is
known: only the stages write to it, so while the files of a bucket are as they were when a receipt was last true, it
still is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tabveil.artifacts import to_json
from tabveil.config import DatasetConfig, EnvironmentConfig
from tabveil.errors import ObjectNotFoundError
from tabveil.storage.connection import EMBEDDED_FOLDER
from tabveil.storage.object_store import MANIFEST_NAME, ObjectInfo
from tabveil.storage.s3 import S3Store
from tabveil.storage.server_state import write_private

KNOWN_FILE = "receipts.json"  # below the embedded store's folder, so that it goes with it


Receipt = Mapping[str, Any]


def publications(environment: EnvironmentConfig, dataset: DatasetConfig) -> str:
    """The prefix in the output bucket below which a dataset's publications are, one folder each."""
    return f"{environment.output_prefix}{dataset.name}/"


def landing_holds(store: S3Store, environment: EnvironmentConfig, dataset: DatasetConfig, receipt: Receipt) -> bool:
    """Whether the object to pull is still the version that `source.json` names.

    Args:
        receipt: ``{"uri", "version_id", "sha256", "size_bytes"}``.

    Raises:
        StorageError: refused, or the connection broke off.
    """
    bucket, source = environment.landing_bucket, dataset.source
    if receipt["uri"] != f"s3://{bucket}/{source.key}":
        return False
    try:
        return _is(store.head(bucket, source.key, source.version_id), receipt)
    except ObjectNotFoundError:
        return False


def publication_holds(store: S3Store, environment: EnvironmentConfig, dataset: DatasetConfig, receipt: Receipt) -> bool:
    """Whether every object that `published.json` names, the manifest included, is the current one under its key.

    Args:
        receipt: what `S3Store.publish` returned.

    Raises:
        StorageError: refused, or the connection broke off.
    """
    bucket = f"s3://{environment.output_bucket}/"
    if not str(receipt["uri"]).startswith(bucket + publications(environment, dataset)):
        return False
    folder = str(receipt["uri"]).removeprefix(bucket)
    entries = {**receipt["files"], MANIFEST_NAME: receipt["manifest"]}
    try:
        return all(_is(store.head(environment.output_bucket, folder + name), entry) for name, entry in entries.items())
    except ObjectNotFoundError:
        return False


def _is(found: ObjectInfo, entry: Receipt) -> bool:
    """The same version; where the bucket keeps none, the same digest (an upload that is not ours has none: no)."""
    if found.version_id is None or entry["version_id"] is None:
        return found.sha256 is not None and found.sha256 == entry["sha256"]
    return bool(found.version_id == entry["version_id"])


def remember(environment: EnvironmentConfig, dataset: DatasetConfig, root: Path, bucket: str, receipt: Path) -> None:
    """Note that a receipt is true of the embedded store's bucket as it is now; call it while the server is down."""
    if environment.embedded_s3:
        known = {**_known(root), bucket: _state(environment, dataset, root, bucket, receipt)}
        write_private(root / EMBEDDED_FOLDER / KNOWN_FILE, to_json(known))


def is_known(environment: EnvironmentConfig, dataset: DatasetConfig, root: Path, bucket: str, receipt: Path) -> bool:
    """Whether `remember` noted this receipt, and nothing changed in the embedded store's bucket since."""
    if not environment.embedded_s3:
        return False
    return bool(_known(root).get(bucket) == _state(environment, dataset, root, bucket, receipt))


def _known(root: Path) -> dict[str, Any]:
    try:
        known = json.loads((root / EMBEDDED_FOLDER / KNOWN_FILE).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _state(
    environment: EnvironmentConfig, dataset: DatasetConfig, root: Path, bucket: str, receipt: Path
) -> dict[str, Any]:
    """The bucket's volumes (SeaweedFS only appends to them) and its index; what is asked, and the receipt."""
    source = dataset.source
    data = root / EMBEDDED_FOLDER / "data"
    index = data / "filerldb2"
    return {
        "volumes": {path.name: path.stat().st_size for path in sorted(data.glob(f"{bucket}_*.dat"))},
        "asked": [source.key, source.version_id, publications(environment, dataset)],
        "index": index.stat().st_ino if index.is_dir() else None,
        "receipt": hashlib.sha256(receipt.read_bytes()).hexdigest(),
    }
