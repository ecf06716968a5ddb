import hashlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tabveil.errors import (
    ArtifactError,
    ChecksumError,
    ObjectExistsError,
    ObjectNotFoundError,
    ObjectTooLargeError,
    StorageError,
)
from tabveil.storage import ObjectInfo, Rules, S3Store, upload

LANDING = "tabveil-landing"
RULES = Rules(frozenset({LANDING, "no-such-bucket", "another-bucket", "plain-bucket"}))
LIMIT = 10**9
MANY_PARTS = 2 * upload.PART_BYTES + 5


def put_new(store: S3Store, bucket: str, key: str, path: Path, metadata: dict[str, str] | None = None) -> ObjectInfo:
    """Upload under a key that is free, as a publication does."""
    return upload.send(store._client, upload.prepare(RULES, bucket, key, path, metadata, only_new=True))


@pytest.fixture
def wide(store) -> S3Store:
    """The store, for an environment with more buckets."""
    return S3Store(store._client, RULES)


def versions(raw_client, key: str) -> list[str]:
    answer = raw_client.list_object_versions(Bucket=LANDING, Prefix=key)
    return [item["VersionId"] for item in answer.get("Versions", []) + answer.get("DeleteMarkers", [])]


def unfinished_uploads(raw_client, key: str) -> list[str]:
    uploads = raw_client.list_multipart_uploads(Bucket=LANDING).get("Uploads", [])
    return [item["UploadId"] for item in uploads if item["Key"] == key]


@pytest.mark.parametrize("size", [0, 1, 70_000, MANY_PARTS], ids=["empty", "byte", "small", "parts"])
def test_put_and_get_return_the_same_bytes(store, key, make_file, tmp_path, size):
    content = bytes(range(256)) * (size // 256 + 1)
    path = make_file(content[:size])
    put = put_new(store, LANDING, key, path)
    got = store.get(LANDING, key, tmp_path / "back", max_bytes=LIMIT)
    assert (tmp_path / "back").read_bytes() == content[:size]
    assert put == got
    assert put.sha256 == hashlib.sha256(content[:size]).hexdigest()
    assert put.version_id is not None
    assert put.size_bytes == size
    assert put.uri == f"s3://{LANDING}/{key}"


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=2000), name=st.text("abcXYZ019-_. äß日", min_size=1, max_size=20))
def test_any_bytes_under_any_key_survive_the_round_trip(store, tmp_path, content, name):
    path = tmp_path / "content"
    path.write_bytes(content)
    key = f"round-trip/{name}!"
    put = store.put_version(LANDING, key, path)
    store.get(LANDING, key, tmp_path / "back", max_bytes=LIMIT, version_id=put.version_id)
    assert (tmp_path / "back").read_bytes() == content


@pytest.mark.parametrize("size", [100, MANY_PARTS], ids=["small", "parts"])
def test_put_new_never_overwrites(store, raw_client, key, make_file, tmp_path, size):
    first = put_new(store, LANDING, key, make_file(b"first"))
    with pytest.raises(ObjectExistsError, match="never overwritten"):
        put_new(store, LANDING, key, make_file(b"2" * size))
    assert store.head(LANDING, key) == first
    assert len(versions(raw_client, key)) == 1
    assert unfinished_uploads(raw_client, key) == []


@pytest.mark.parametrize("size", [100, MANY_PARTS], ids=["small", "parts"])
def test_put_new_loses_a_race_it_did_not_see(store, raw_client, key, make_file, monkeypatch, size):
    """The look before the upload finds nothing; the condition on the request itself decides."""
    put_new(store, LANDING, key, make_file(b"the other's"))
    monkeypatch.setattr(upload, "_refuse_taken", lambda client, wanted: None)
    with pytest.raises(ObjectExistsError):
        put_new(store, LANDING, key, make_file(b"2" * size))
    assert len(versions(raw_client, key)) == 1
    assert unfinished_uploads(raw_client, key) == []


def test_put_version_keeps_the_older_one(store, key, make_file, tmp_path):
    old = store.put_version(LANDING, key, make_file(b"old"))
    new = store.put_version(LANDING, key, make_file(b"new"))
    assert old.version_id != new.version_id
    for wanted, content in ((None, b"new"), (new.version_id, b"new"), (old.version_id, b"old")):
        store.get(LANDING, key, tmp_path / "back", max_bytes=LIMIT, version_id=wanted)
        assert (tmp_path / "back").read_bytes() == content


def test_metadata_travels_beside_our_own(store, raw_client, key, make_file):
    info = put_new(store, LANDING, key, make_file(b"x"), {"dataset": "loans"})
    metadata = raw_client.head_object(Bucket=LANDING, Key=key)["Metadata"]
    assert metadata["dataset"] == "loans"
    assert metadata["sha256"] == info.sha256


def test_get_refuses_a_wrong_checksum_and_keeps_the_old_file(store, key, make_file, tmp_path):
    put_new(store, LANDING, key, make_file(b"content"))
    target = make_file(b"earlier", "target/raw")
    with pytest.raises(ChecksumError, match="expected sha256 0000"):
        store.get(LANDING, key, target, max_bytes=LIMIT, sha256="0" * 64)
    assert target.read_bytes() == b"earlier"
    assert list(target.parent.iterdir()) == [target]


def test_get_refuses_bytes_that_differ_from_the_uploaded_sha256(store, raw_client, key, tmp_path):
    raw_client.put_object(Bucket=LANDING, Key=key, Body=b"swapped", Metadata={"sha256": "1" * 64})
    with pytest.raises(ChecksumError, match="expected sha256 1111"):
        store.get(LANDING, key, tmp_path / "raw", max_bytes=LIMIT)
    assert not (tmp_path / "raw").exists()


def test_get_reads_what_others_uploaded_without_metadata(store, raw_client, key, tmp_path):
    raw_client.put_object(Bucket=LANDING, Key=key, Body=b"plain")
    info = store.get(LANDING, key, tmp_path / "raw", max_bytes=5)
    assert info.sha256 == hashlib.sha256(b"plain").hexdigest()
    assert store.head(LANDING, key).sha256 is None


def test_get_refuses_an_object_above_the_limit(store, key, make_file, tmp_path):
    put_new(store, LANDING, key, make_file(b"123456"))
    with pytest.raises(ObjectTooLargeError, match=r"larger than 5 bytes.*max_object_bytes"):
        store.get(LANDING, key, tmp_path / "raw", max_bytes=5)
    assert not (tmp_path / "raw").exists()
    assert store.get(LANDING, key, tmp_path / "raw", max_bytes=6).size_bytes == 6


class LyingBody:
    """A body that is longer than its answer said."""

    def iter_chunks(self, size):
        yield from (b"a" * 4, b"b" * 4, b"c" * 4)

    def close(self):
        pass


class LyingClient:
    def get_object(self, **_):
        return {"ContentLength": 4, "Metadata": {}, "ETag": '"e"', "Body": LyingBody()}


def test_get_stops_when_more_bytes_arrive_than_were_announced(tmp_path):
    with pytest.raises(ObjectTooLargeError):
        S3Store(LyingClient(), RULES).get(LANDING, "key", tmp_path / "raw", max_bytes=6)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("bucket", "version_id", "missing"),
    [(LANDING, None, "object"), ("no-such-bucket", None, "bucket"), (LANDING, "no-such-version", "version")],
)
def test_get_names_what_is_missing(wide, key, make_file, tmp_path, bucket, version_id, missing):
    if version_id is not None:
        put_new(wide, LANDING, key, make_file(b"x"))
    with pytest.raises(ObjectNotFoundError, match=f"no such {missing}; check") as caught:
        wide.get(bucket, key, tmp_path / "raw", max_bytes=LIMIT, version_id=version_id)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "raw").exists()


def test_a_deleted_object_is_not_there(store, raw_client, key, make_file, tmp_path):
    info = put_new(store, LANDING, key, make_file(b"x"))
    raw_client.delete_object(Bucket=LANDING, Key=key)
    with pytest.raises(ObjectNotFoundError):
        store.head(LANDING, key)
    with pytest.raises(ObjectNotFoundError):
        store.get(LANDING, key, tmp_path / "raw", max_bytes=LIMIT)
    store.get(LANDING, key, tmp_path / "raw", max_bytes=LIMIT, version_id=info.version_id)


def test_put_into_no_bucket_and_of_no_file(wide, key, make_file, tmp_path):
    with pytest.raises(ObjectNotFoundError, match="no such bucket"):
        put_new(wide, "no-such-bucket", key, make_file(b"x"))
    with pytest.raises(ArtifactError, match="cannot read"):
        put_new(wide, LANDING, key, tmp_path / "absent")
    with pytest.raises(ObjectNotFoundError):
        wide.head("no-such-bucket", key)


def test_ensure_bucket_can_be_repeated(wide, raw_client):
    for _ in range(2):
        wide.ensure_bucket("another-bucket")
    assert raw_client.get_bucket_versioning(Bucket="another-bucket")["Status"] == "Enabled"
    wide.ensure_bucket("plain-bucket", versioned=False)
    assert "Status" not in raw_client.get_bucket_versioning(Bucket="plain-bucket")


def test_a_bucket_without_versions_gives_none(wide, key, make_file, tmp_path):
    wide.ensure_bucket("plain-bucket", versioned=False)
    info = put_new(wide, "plain-bucket", key, make_file(b"x"))
    assert info.version_id in (None, "null")
    assert wide.get("plain-bucket", key, tmp_path / "raw", max_bytes=1).sha256 == info.sha256
    with pytest.raises(ObjectExistsError):
        put_new(wide, "plain-bucket", key, make_file(b"y"))


def test_a_file_that_changes_while_it_is_sent_is_refused(store, raw_client, key, make_file, monkeypatch):
    path = make_file(b"before")
    monkeypatch.setattr(upload, "file_sha256", lambda _: hashlib.sha256(b"promised").hexdigest())
    with pytest.raises(ChecksumError, match="other bytes than were sent"):
        put_new(store, LANDING, key, path)
    assert versions(raw_client, key) == []


@pytest.mark.parametrize("size", [3_000_000, MANY_PARTS], ids=["small", "parts"])
def test_an_interrupted_upload_leaves_nothing_visible(broken_store, raw_client, key, make_file, size):
    with (
        broken_store(upstream_bytes=min(size * 2 // 3, upload.PART_BYTES // 2)) as broken,
        pytest.raises(StorageError, match=r"connection broke off|no answer"),
    ):
        put_new(broken, LANDING, key, make_file(b"z" * size))
    assert versions(raw_client, key) == []


@pytest.mark.parametrize("attempts", [1, 3])
def test_a_lost_answer_is_not_mistaken_for_a_taken_key(broken_store, raw_client, key, make_file, monkeypatch, attempts):
    """The first PUT arrives, its answer does not; the repetition finds the key taken, by this very upload."""
    monkeypatch.setattr(upload, "_refuse_taken", lambda client, wanted: None)  # the PUT is the first request
    path = make_file(b"once")
    interim_answer = b"HTTP/1.1 100 Continue\r\n\r\n"  # passes; the answer proper is cut
    with broken_store(downstream_bytes=len(interim_answer) + 1, cuts=1, attempts=attempts) as broken:
        if attempts == 1:
            with pytest.raises(StorageError, match="connection broke off"):
                put_new(broken, LANDING, key, path)
        else:
            assert put_new(broken, LANDING, key, path).sha256 is not None
    assert len(versions(raw_client, key)) == 1


def test_a_download_that_breaks_off_is_repeated(store, broken_store, key, make_file, tmp_path):
    content = b"q" * 2_000_000
    put_new(store, LANDING, key, make_file(content))
    with broken_store(downstream_bytes=1_000_000, cuts=1) as broken:
        broken.get(LANDING, key, tmp_path / "raw", max_bytes=LIMIT)
    assert (tmp_path / "raw").read_bytes() == content


def test_a_download_that_keeps_breaking_off_leaves_nothing(store, broken_store, key, make_file, tmp_path):
    path = make_file(b"q" * 2_000_000, "folder/source")
    put_new(store, LANDING, key, path)
    target = tmp_path / "target" / "raw"
    with broken_store(downstream_bytes=300_000) as broken, pytest.raises(StorageError, match="broke off 3 times"):
        broken.get(LANDING, key, target, max_bytes=LIMIT)
    assert list(Path(target.parent).iterdir()) == []


def test_wrong_credentials_are_named_without_the_secret(store, credentials, key, tmp_path):
    import boto3

    session = boto3.Session(credentials.access_key, "not-the-secret", region_name="eu-central-1")
    stranger = S3Store(session.client("s3", endpoint_url=store.endpoint_url), RULES)
    with pytest.raises(StorageError, match="access refused") as caught:
        stranger.get(LANDING, key, tmp_path / "raw", max_bytes=LIMIT)
    assert "not-the-secret" not in str(caught.value)
    assert credentials.secret_key not in repr(credentials)
