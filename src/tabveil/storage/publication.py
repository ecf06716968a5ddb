"""A folder of objects that counts as a whole or not at all.

The files go first, `manifest.json` with the SHA-256 of each goes last: a prefix without its manifest is not a
publication, whatever lies there.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tabveil.artifacts import to_json
from tabveil.errors import ObjectExistsError, ObjectNotFoundError, StorageError
from tabveil.storage.object_store import MANIFEST_NAME, ObjectInfo, Rules
from tabveil.storage.upload import Upload, delete_own, describe, is_own, prepare, send

MANIFEST_VERSION = 1


def publish(client: Any, rules: Rules, bucket: str, prefix: str, files: Mapping[str, Path]) -> dict[str, Any]:
    """See `tabveil.storage.s3.S3Store.publish`."""
    _check_names(prefix, files)
    uploads = [prepare(rules, bucket, prefix + name, path, only_new=True) for name, path in sorted(files.items())]
    with tempfile.TemporaryDirectory(prefix="tabveil-") as folder:
        path = Path(folder) / MANIFEST_NAME
        path.write_text(_manifest(prefix, uploads), encoding="utf-8")
        manifest = prepare(rules, bucket, prefix + MANIFEST_NAME, path, only_new=True)
        try:
            objects = [_send_or_adopt(client, upload) for upload in uploads]
            return _publication(prefix, objects, _send_or_adopt(client, manifest))
        except BaseException as err:
            left = _withdraw(client, uploads, manifest)
            if left and isinstance(err, StorageError):
                raise type(err)(
                    f"{err}; up to {len(left)} objects below {prefix} could not be deleted again, they do not count "
                    f"as published without {MANIFEST_NAME}"
                ) from err
            raise


def _send_or_adopt(client: Any, upload: Upload) -> ObjectInfo:
    """Upload, unless the same content lies there already."""
    try:
        return send(client, upload)
    except ObjectExistsError:
        found = describe(client, upload.bucket, upload.key)
        if (found.sha256, found.size_bytes) != (upload.sha256, upload.size_bytes):
            raise
        return found


def _withdraw(client: Any, uploads: Iterable[Upload], manifest: Upload) -> list[str]:
    """Delete what these uploads wrote, the manifest first. Returns the keys that may still be there.

    Nothing is deleted below another call's manifest: its publication may have taken over our objects. The first
    answer that does not come ends the attempt: the others would not come either.
    """
    waiting = [manifest, *uploads]
    while waiting:
        upload = waiting[0]
        try:
            own = is_own(client, upload)
            if upload is manifest and not own:
                return []
            if own:
                delete_own(client, upload)
        except ObjectNotFoundError:
            pass  # never arrived
        except StorageError:
            return [upload.key for upload in waiting]
        waiting.pop(0)
    return []


def _publication(prefix: str, objects: Iterable[ObjectInfo], manifest: ObjectInfo) -> dict[str, Any]:
    return {
        "uri": f"s3://{manifest.bucket}/{prefix}",
        "files": {info.key.removeprefix(prefix): _entry(info) for info in objects},
        "manifest": _entry(manifest),
    }


def _entry(info: ObjectInfo) -> dict[str, Any]:
    return {"sha256": info.sha256, "size_bytes": info.size_bytes, "version_id": info.version_id}


def _check_names(prefix: str, files: Mapping[str, Path]) -> None:
    if not files or not prefix.endswith("/"):
        raise StorageError(
            f"a publication needs files and a prefix that ends in '/', however: {len(files)} files, prefix {prefix!r}"
        )
    if MANIFEST_NAME in files:
        raise StorageError(f"{MANIFEST_NAME} is the name of a publication's own list: rename the file")


def _manifest(prefix: str, uploads: Iterable[Upload]) -> str:
    entries = {u.key.removeprefix(prefix): {"sha256": u.sha256, "size_bytes": u.size_bytes} for u in uploads}
    return to_json({"version": MANIFEST_VERSION, "files": entries})
