"""Throttling, server faults, dropped connections and expired credentials: success after retries, or one clear line."""

import base64
import hashlib
import inspect
import re

import pytest
from botocore.retries import standard
from hypothesis import given
from hypothesis import strategies as st
from storage_faults import Fault

from tabveil.errors import ConfigError, StorageError
from tabveil.storage import Rules, S3Store, download, failures, upload
from tabveil.storage.connection import ATTEMPTS, client_settings

LANDING = "tabveil-landing"
OUTPUT = "tabveil-output"
LIMIT = 10**9
PART_BYTES = 5 * 2**20
EXPIRED = {"status": 400, "code": "ExpiredToken"}
THROTTLED = {"status": 503, "code": "SlowDown"}


@pytest.fixture(autouse=True)
def small_parts_and_pauses(monkeypatch):
    monkeypatch.setattr(upload, "PART_BYTES", PART_BYTES)
    monkeypatch.setattr(failures, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(standard.ExponentialBackoff, "_MAX_BACKOFF", 0.05, raising=True)
    monkeypatch.setattr(standard.ExponentialBackoff.__init__, "__defaults__", (0.05, lambda: 0.5, None, None))


@pytest.fixture
def small(make_file):
    return make_file(b"s" * 70_000, "small")


@pytest.fixture
def large(make_file):
    return make_file(bytes(range(256)) * 45_000, "large")  # 11.5 MB: three parts


def leftovers(raw_client, bucket: str, key: str) -> list[str]:
    """Versions, delete markers and unfinished uploads below a key."""
    answer = raw_client.list_object_versions(Bucket=bucket, Prefix=key)
    found = [item["Key"] for kind in ("Versions", "DeleteMarkers") for item in answer.get(kind, [])]
    uploads = raw_client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
    return found + [item["Key"] for item in uploads if item["Key"].startswith(key)]


@pytest.mark.parametrize("how", [THROTTLED, {"status": 500}, {"status": 503, "code": "ServiceUnavailable"}])
@pytest.mark.parametrize("operation", ["PutObject", "HeadObject"])
def test_an_upload_survives_passing_faults(faulty, store, key, small, tmp_path, operation, how):
    with faulty(Fault(operation, "answer", times=2, **how)) as (shaky, proxy):
        shaky.put_version(LANDING, key, small)
    assert proxy.count(operation) == 3
    store.get(LANDING, key, tmp_path / "back", max_bytes=LIMIT)
    assert (tmp_path / "back").read_bytes() == small.read_bytes()


@pytest.mark.parametrize("kind", ["answer", "cut", "lose"])
def test_a_small_upload_survives_a_dropped_connection(faulty, store, key, small, kind):
    with faulty(Fault("PutObject", kind)) as (shaky, _):
        info = shaky.put_version(LANDING, key, small)
    assert store.head(LANDING, key).sha256 == info.sha256 == hashlib.sha256(small.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        *(("UploadPart", kind) for kind in ("answer", "cut", "lose")),
        ("CreateMultipartUpload", "answer"),
        *(("CompleteMultipartUpload", kind) for kind in ("answer", "lose")),
    ],
)
def test_a_large_upload_survives_a_dropped_connection(faulty, store, raw_client, key, large, operation, kind):
    with faulty(Fault(operation, kind)) as (shaky, _):
        info = shaky.put_version(LANDING, key, large)
    assert store.head(LANDING, key).sha256 == info.sha256 == hashlib.sha256(large.read_bytes()).hexdigest()
    assert leftovers(raw_client, LANDING, key) == [key]


def test_only_the_broken_part_is_sent_again(faulty, store, key, large):
    """botocore has given up (one attempt): the part is begun anew, its neighbours are not."""
    with faulty(Fault("UploadPart", "cut", times=2), attempts=1) as (shaky, proxy):
        shaky.put_version(LANDING, key, large)
    numbers = [r.query["partNumber"][0] for r in proxy.seen if r.operation == "UploadPart"]
    assert numbers == ["1", "1", "1", "2", "3"]
    assert proxy.count("CreateMultipartUpload") == 1


class WithPartChecksums:
    """A client whose `list_parts` tells checksums, as S3 does and the embedded server does not."""

    def __init__(self, client, path):
        self._client, self._path = client, path

    def __getattr__(self, name):
        return getattr(self._client, name)

    def list_parts(self, **arguments):
        answer = self._client.list_parts(**arguments)
        for part in answer.get("Parts", []):
            with self._path.open("rb") as stream:
                stream.seek((part["PartNumber"] - 1) * PART_BYTES)
                digest = hashlib.sha256(stream.read(PART_BYTES)).digest()
            part["ChecksumSHA256"] = base64.b64encode(digest).decode()
        return answer


@pytest.mark.parametrize(("told", "numbers"), [(True, ["1", "2", "3"]), (False, ["1", "1", "2", "3"])])
def test_a_part_that_is_known_to_have_arrived_is_not_sent_again(faulty, store, key, large, told, numbers):
    with faulty(Fault("UploadPart", "lose"), attempts=1) as (shaky, proxy):
        client = WithPartChecksums(shaky._client, large) if told else shaky._client
        S3Store(client, Rules(frozenset({LANDING}))).put_version(LANDING, key, large)
    assert [r.query["partNumber"][0] for r in proxy.seen if r.operation == "UploadPart"] == numbers
    assert proxy.count("ListParts") == 1
    assert store.head(LANDING, key).sha256 == hashlib.sha256(large.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("how", "message"),
    [
        (THROTTLED, r"throttled repeatedly \(SlowDown\); wait"),
        ({"status": 500}, "the service answered InternalError"),
        (EXPIRED, r"credentials have expired \(ExpiredToken\); log in again"),
        ({"status": 403, "code": "AccessDenied"}, r"access refused \(AccessDenied\)"),
    ],
)
@pytest.mark.parametrize("operation", ["PutObject", "UploadPart"])
def test_faults_that_stay_end_in_one_line_and_leave_nothing(
    faulty, raw_client, key, small, large, operation, how, message
):
    path = small if operation == "PutObject" else large
    with (
        faulty(Fault(operation, "answer", times=100, **how), attempts=2) as (shaky, proxy),
        pytest.raises(StorageError, match=message) as caught,
    ):
        shaky.put_version(LANDING, key, path)
    assert "\n" not in str(caught.value)
    assert leftovers(raw_client, LANDING, key) == []
    passing = how is THROTTLED or how["status"] == 500
    assert proxy.count(operation) == (1 if not passing else 2 if operation == "PutObject" else 6)


def test_credentials_that_expire_between_the_parts_end_the_upload(faulty, raw_client, key, large):
    plan = [Fault("UploadPart", "answer", **EXPIRED), Fault("AbortMultipartUpload", "answer", **EXPIRED)]
    with faulty(*plan) as (shaky, _), pytest.raises(StorageError, match="expired"):
        shaky.put_version(LANDING, key, large)
    assert raw_client.list_object_versions(Bucket=LANDING, Prefix=key).get("Versions", []) == []


def test_expired_credentials_are_named_where_a_head_has_no_code(faulty, key):
    with faulty(Fault("HeadObject", "answer", **EXPIRED)) as (shaky, _), pytest.raises(StorageError, match="expired"):
        shaky.head(LANDING, key)


def test_a_publication_that_is_throttled_for_good_withdraws_what_it_wrote(faulty, raw_client, key, make_file):
    files = {name: make_file(name.encode() * 9, f"out/{name}") for name in ("a.csv", "b.csv")}
    first = [False]

    def only_the_second() -> None:
        first[0] = True

    with faulty(Fault("PutObject", "answer", times=0), attempts=1) as (shaky, proxy):
        events = shaky._client.meta.events
        sent = []

        def block(request, **_):
            sent.append(request.url)
            if len(sent) == 2:
                proxy._plan["PutObject"].append(Fault("PutObject", "answer", before=only_the_second, **THROTTLED))

        events.register("before-send.s3.PutObject", block)
        with pytest.raises(StorageError, match="throttled"):
            shaky.publish(OUTPUT, f"{key}/", files)
    assert first == [True]
    assert leftovers(raw_client, OUTPUT, f"{key}/") == []


def test_a_broken_download_goes_on_where_it_broke(faulty, store, key, large, tmp_path):
    info = store.put_version(LANDING, key, large)
    with faulty(Fault("GetObject", "truncate", times=3)) as (shaky, proxy):
        got = shaky.get(LANDING, key, tmp_path / "raw", max_bytes=LIMIT)
    assert (tmp_path / "raw").read_bytes() == large.read_bytes()
    assert got == info
    asked = [request for request in proxy.seen if request.operation == "GetObject"]
    starts = [int(re.fullmatch(r"bytes=(\d+)-", request.headers["Range"])[1]) for request in asked[1:]]
    assert starts == sorted(starts)
    assert starts[0] > large.stat().st_size // 3
    assert {request.headers["If-Match"] for request in asked[1:]} == {f'"{info.etag}"'}
    assert {request.query["versionId"][0] for request in asked[1:]} == {info.version_id}


def test_a_newer_version_does_not_end_up_in_a_broken_download(faulty, store, key, large, make_file, tmp_path):
    """The rest is asked of the version that the download began with."""
    store.put_version(LANDING, key, large)
    newer = make_file(b"N" * large.stat().st_size, "newer")
    replace = Fault("GetObject", "truncate", before=lambda: None)
    with faulty(replace) as (shaky, proxy):
        proxy._plan["GetObject"].append(
            Fault("GetObject", "truncate", before=lambda: store.put_version(LANDING, key, newer))
        )
        shaky.get(LANDING, key, tmp_path / "raw", max_bytes=LIMIT)
    assert (tmp_path / "raw").read_bytes() == large.read_bytes()


def test_an_object_that_is_replaced_in_a_bucket_without_versions_is_refused(
    faulty, store, raw_client, key, large, make_file, tmp_path
):
    bucket = "unversioned"
    rules = Rules(frozenset({bucket}))
    wide = S3Store(store._client, rules)
    wide.ensure_bucket(bucket, versioned=False)
    wide.put_version(bucket, key, large)
    newer = make_file(b"N" * large.stat().st_size, "newer")
    with faulty(Fault("GetObject", "truncate")) as (shaky, proxy):
        proxy._plan["GetObject"].append(
            Fault("GetObject", "truncate", before=lambda: wide.put_version(bucket, key, newer))
        )
        with pytest.raises(StorageError, match="replaced while it was downloaded"):
            S3Store(shaky._client, rules).get(bucket, key, tmp_path / "raw", max_bytes=LIMIT)
    assert not (tmp_path / "raw").exists()


def test_without_a_digest_to_judge_by_a_broken_download_starts_again(faulty, raw_client, key, large, tmp_path):
    raw_client.put_object(Bucket=LANDING, Key=key, Body=large.read_bytes())
    with faulty(Fault("GetObject", "truncate")) as (shaky, proxy):
        shaky.get(LANDING, key, tmp_path / "raw", max_bytes=LIMIT)
    assert (tmp_path / "raw").read_bytes() == large.read_bytes()
    assert ["Range" in r.headers for r in proxy.seen if r.operation == "GetObject"] == [False, False]


@pytest.mark.parametrize("known", [True, False], ids=["resumed", "repeated"])
def test_a_download_without_progress_is_given_up(faulty, store, raw_client, key, small, tmp_path, known):
    if known:
        store.put_version(LANDING, key, small)
    else:
        raw_client.put_object(Bucket=LANDING, Key=key, Body=small.read_bytes())
    earlier = tmp_path / "folder" / "raw"
    earlier.parent.mkdir()
    earlier.write_bytes(b"earlier")
    with (
        faulty(Fault("GetObject", "truncate", times=100)) as (shaky, proxy),
        pytest.raises(StorageError, match="broke off 3 times; try again"),
    ):
        shaky.get(LANDING, key, earlier, max_bytes=LIMIT)
    assert proxy.count("GetObject") == download.DOWNLOAD_ATTEMPTS
    assert earlier.read_bytes() == b"earlier"
    assert list(earlier.parent.iterdir()) == [earlier]


@pytest.mark.parametrize(
    ("how", "message"), [(THROTTLED, "throttled"), ({"status": 500}, "InternalError"), (EXPIRED, "expired")]
)
def test_faults_that_stay_end_a_download_in_one_line(faulty, store, key, small, tmp_path, how, message):
    store.put_version(LANDING, key, small)
    with (
        faulty(Fault("GetObject", "answer", times=100, **how), attempts=2) as (shaky, _),
        pytest.raises(StorageError, match=message),
    ):
        shaky.get(LANDING, key, tmp_path / "raw", max_bytes=LIMIT)
    assert not (tmp_path / "raw").exists()


def test_a_store_that_ignores_ranges_is_not_believed(key, tmp_path):
    """The rest of a download is not what was asked for: nothing is glued together."""

    class Body:
        def iter_chunks(self, size):
            yield b"half"
            raise download.IncompleteReadError(actual_bytes=4, expected_bytes=8)

        def close(self):
            pass

    class Ignorant:
        def get_object(self, **_):
            metadata = {"sha256": hashlib.sha256(b"halfhalf").hexdigest()}
            return {"ContentLength": 8, "Metadata": metadata, "ETag": '"e"', "Body": Body()}

    with pytest.raises(StorageError, match="does not continue a download"):
        S3Store(Ignorant(), Rules(frozenset({LANDING}))).get(LANDING, key, tmp_path / "raw", max_bytes=LIMIT)
    assert list(tmp_path.iterdir()) == []


class Untouchable:
    """A client that must not be asked."""

    def __getattr__(self, name):
        raise AssertionError(f"a request was made: {name}")


@pytest.mark.parametrize(
    ("bucket", "key"),
    [("another-bucket", "key"), ("", "key"), (LANDING, "a/../../other/key"), (LANDING, ".."), (LANDING, "./a")],
)
def test_paths_outside_the_buckets_are_refused_before_any_request(make_file, tmp_path, bucket, key):
    store, path = S3Store(Untouchable(), Rules(frozenset({LANDING, OUTPUT}))), make_file(b"x")
    calls = [
        lambda: store.get(bucket, key, tmp_path / "raw", max_bytes=1),
        lambda: store.put_version(bucket, key, path),
        lambda: store.head(bucket, key),
        lambda: store.list(bucket, key),
        lambda: store.delete_prefix(bucket, key),
        lambda: store.publish(bucket, "p/", {key: path}),
        lambda: store.locate(f"s3://{bucket}/{key}"),
    ]
    calls += [lambda: store.ensure_bucket(bucket)] if bucket != LANDING else []
    for call in calls:
        with pytest.raises(StorageError, match=r"must be|expected s3://"):
            call()
    public = {name for name, _ in inspect.getmembers(S3Store, inspect.isfunction) if not name.startswith("_")}
    assert public == {"get", "put_version", "head", "list", "delete_prefix", "publish", "locate", "ensure_bucket"}


@pytest.mark.parametrize(
    "uri", ["https://tabveil-landing/a", "s3:///a", "tabveil-landing/a", "s3://tabveil-landing/a?x"]
)
def test_locate_wants_an_s3_uri(uri):
    with pytest.raises(StorageError, match="expected s3://bucket/key"):
        Rules(frozenset({LANDING})).locate(uri)


def test_locate_splits_bucket_and_key():
    assert Rules(frozenset({LANDING})).locate("s3://tabveil-landing/a/b#c.csv") == (LANDING, "a/b#c.csv")


def test_deleting_a_prefix_takes_versions_and_markers_and_nothing_else(store, raw_client, key, small):
    for name in (f"{key}/a", f"{key}/a", f"{key}/b", f"{key}-other"):
        store.put_version(LANDING, name, small)
    raw_client.delete_object(Bucket=LANDING, Key=f"{key}/b")
    assert [info.key for info in store.list(LANDING, f"{key}/")] == [f"{key}/a"]
    assert store.delete_prefix(LANDING, f"{key}/") == 4
    assert leftovers(raw_client, LANDING, key) == [f"{key}-other"]
    with pytest.raises(StorageError, match="it is empty"):
        store.delete_prefix(LANDING, "")


def test_every_object_bears_the_tags(store, raw_client, key, small, large):
    tagged = S3Store(store._client, Rules(frozenset({LANDING}), tags={"project": "tab veil", "cost-centre": "ä&="}))
    for path in (small, large):
        tagged.put_version(LANDING, f"{key}/{path.name}", path)
        tags = raw_client.get_object_tagging(Bucket=LANDING, Key=f"{key}/{path.name}")["TagSet"]
        assert {tag["Key"]: tag["Value"] for tag in tags} == {"project": "tab veil", "cost-centre": "ä&="}


def test_more_tags_than_s3_takes_are_refused():
    with pytest.raises(ConfigError, match="at most 10, however: 11"):
        Rules(frozenset(), tags={str(number): "" for number in range(11)})


@given(st.integers(1, 60))
def test_a_pause_is_jittered_and_never_longer_than_its_bounds(attempt):
    slept: list[float] = []
    failures.pause(attempt, slept.append)
    assert 0 <= slept[0] <= min(failures.PAUSE_SECONDS * 2**attempt, failures.MAX_PAUSE_SECONDS)


def test_botocore_repeats_with_full_jitter():
    """Retry mode `standard`: rand(0, 1) * min(2^i, 20) seconds, four attempts in all."""
    assert client_settings("https://s3.eu-central-1.amazonaws.com").retries == {
        "mode": "standard",
        "total_max_attempts": ATTEMPTS,
    }

    class Context:
        attempt_number = 3

    for drawn in (0.0, 0.5, 1.0):
        backoff = standard.ExponentialBackoff(max_backoff=20, random=lambda drawn=drawn: drawn)
        assert backoff.delay_amount(Context()) == pytest.approx(drawn * 4)
