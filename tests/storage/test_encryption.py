"""SSE-KMS: asked for with every write, and believed only when the store says so."""

import boto3
import pytest
from moto import mock_aws

from tabveil.errors import StorageError
from tabveil.storage import Rules, S3Store, upload

BUCKET = "bucket"
LIMIT = 10**8


@pytest.fixture
def account(monkeypatch):
    """S3 and KMS of moto, in this process."""
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    with mock_aws():
        session = boto3.Session("key", "secret", region_name="eu-central-1")
        s3 = session.client("s3")
        place = {"LocationConstraint": "eu-central-1"}
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration=place)
        key = session.client("kms").create_key()["KeyMetadata"]["Arn"]
        yield s3, key


class WithoutChecksums:
    """moto's checksum of an object in parts is of its bytes, S3's is of the parts' checksums."""

    def __init__(self, client):
        self._client = client

    def __getattr__(self, name):
        return getattr(self._client, name)

    def head_object(self, **arguments):
        return {k: v for k, v in self._client.head_object(**arguments).items() if k != "ChecksumSHA256"}


@pytest.mark.parametrize("size", [10, 6 * 2**20], ids=["small", "parts"])
def test_every_write_is_encrypted_by_the_environments_key(account, make_file, tmp_path, monkeypatch, size):
    s3, kms_key = account
    monkeypatch.setattr(upload, "PART_BYTES", 5 * 2**20)
    store = S3Store(WithoutChecksums(s3), Rules(frozenset({BUCKET}), kms_key))
    store.put_version(BUCKET, "object", make_file(b"x" * size))
    head = s3.head_object(Bucket=BUCKET, Key="object")
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", kms_key)
    assert store.get(BUCKET, "object", tmp_path / "back", max_bytes=LIMIT).size_bytes == size


def test_a_store_that_does_not_encrypt_keeps_nothing(store, raw_client, key, make_file):
    """The embedded server has no KMS: either it refuses, or what it wrote is deleted again."""
    asking = S3Store(store._client, Rules(frozenset({"tabveil-landing"}), "arn:aws:kms:eu-central-1:1:key/none"))
    with pytest.raises(StorageError):
        asking.put_version("tabveil-landing", key, make_file(b"x"))
    answer = raw_client.list_object_versions(Bucket="tabveil-landing", Prefix=key)
    assert answer.get("Versions", []) + answer.get("DeleteMarkers", []) == []


def test_a_store_that_only_pretends_is_found_out(account, make_file):
    s3, kms_key = account

    class Pretender:
        def __getattr__(self, name):
            return getattr(s3, name)

        def put_object(self, ServerSideEncryption, SSEKMSKeyId, BucketKeyEnabled, **arguments):  # noqa: N803
            return s3.put_object(**arguments)

    with pytest.raises(StorageError, match=r"must be encrypted by environment\.kms_key_id.*deleted again"):
        S3Store(Pretender(), Rules(frozenset({BUCKET}), kms_key)).put_version(BUCKET, "object", make_file(b"x"))
    assert "Contents" not in s3.list_objects_v2(Bucket=BUCKET)
