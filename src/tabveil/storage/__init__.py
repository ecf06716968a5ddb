"""The object store: S3 through boto3, and the embedded server that speaks it on loopback.

`connect` gives an `S3Store` for an environment; nothing behind it asks whether the endpoint is local.
"""

from tabveil.storage.connection import connect, seed_landing
from tabveil.storage.object_store import ObjectInfo, Rules
from tabveil.storage.s3 import S3Store

__all__ = ["ObjectInfo", "Rules", "S3Store", "connect", "seed_landing"]
