import json

import pytest

from tabveil.errors import ChecksumError, ObjectExistsError, StorageError
from tabveil.storage import publication

OUTPUT = "tabveil-output"


@pytest.fixture
def prefix(key) -> str:
    return f"{key}/"


@pytest.fixture
def files(make_file):
    return {name: make_file(name.encode() * 50, f"out/{name}") for name in ("table.csv", "model/a.bin", "report.html")}


def keys(raw_client, prefix: str) -> list[str]:
    """Every version and delete marker below the prefix."""
    answer = raw_client.list_object_versions(Bucket=OUTPUT, Prefix=prefix)
    found = answer.get("Versions", []) + answer.get("DeleteMarkers", [])
    return sorted(item["Key"].removeprefix(prefix) for item in found)


def test_publish_uploads_all_and_lists_them_in_the_manifest(store, raw_client, prefix, files):
    sent = []
    raw = store._client.meta.events
    raw.register("before-send.s3.PutObject", lambda request, **_: sent.append(request.url), unique_id="order")
    result = store.publish(OUTPUT, prefix, files)
    raw.unregister("before-send.s3.PutObject", unique_id="order")
    assert keys(raw_client, prefix) == ["manifest.json", "model/a.bin", "report.html", "table.csv"]
    assert sent[-1].endswith("manifest.json")
    manifest = json.loads(raw_client.get_object(Bucket=OUTPUT, Key=f"{prefix}manifest.json")["Body"].read())
    assert manifest["files"] == {
        name: {"sha256": entry["sha256"], "size_bytes": entry["size_bytes"]} for name, entry in result["files"].items()
    }
    assert set(result["files"]) == set(files)
    assert result["uri"] == f"s3://{OUTPUT}/{prefix}"
    json.dumps(result)


def test_publishing_the_same_again_changes_nothing(store, raw_client, prefix, files):
    first = store.publish(OUTPUT, prefix, files)
    assert store.publish(OUTPUT, prefix, files) == first
    assert len(keys(raw_client, prefix)) == 4


def test_other_content_under_a_published_prefix_is_refused_and_the_old_stays(store, raw_client, prefix, files):
    first = store.publish(OUTPUT, prefix, files)
    files["table.csv"].write_bytes(b"changed")
    with pytest.raises(ObjectExistsError, match="never overwritten"):
        store.publish(OUTPUT, prefix, files)
    files["table.csv"].write_bytes(b"table.csv" * 50)
    assert store.publish(OUTPUT, prefix, files) == first


def test_another_set_of_files_under_a_published_prefix_is_refused(store, raw_client, prefix, files):
    store.publish(OUTPUT, prefix, files)
    with pytest.raises(ObjectExistsError):
        store.publish(OUTPUT, prefix, {"table.csv": files["table.csv"]})
    assert len(keys(raw_client, prefix)) == 4


def test_a_foreign_object_in_the_way_stays_and_ours_are_deleted_again(store, raw_client, prefix, files):
    raw_client.put_object(Bucket=OUTPUT, Key=f"{prefix}report.html", Body=b"someone else's")
    with pytest.raises(ObjectExistsError):
        store.publish(OUTPUT, prefix, files)
    assert keys(raw_client, prefix) == ["report.html"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, ChecksumError])
@pytest.mark.parametrize("position", range(4))
def test_a_publication_that_stops_in_the_middle_leaves_nothing(
    store, raw_client, prefix, files, monkeypatch, error, position
):
    genuine, count = publication.send, 0

    def stop_at_position(client, upload):
        nonlocal count
        info = genuine(client, upload)
        count += 1
        if count > position:
            raise error("stopped")
        return info

    monkeypatch.setattr(publication, "send", stop_at_position)
    with pytest.raises(error):
        store.publish(OUTPUT, prefix, files)
    assert count == position + 1
    assert keys(raw_client, prefix) == []


def test_what_a_killed_publication_left_is_completed(store, raw_client, prefix, files):
    left = store.put_version(OUTPUT, f"{prefix}model/a.bin", files["model/a.bin"])
    result = store.publish(OUTPUT, prefix, files)
    assert result["files"]["model/a.bin"]["version_id"] == left.version_id
    assert len(keys(raw_client, prefix)) == 4


def test_a_dead_connection_says_what_may_be_left(store, broken_store, raw_client, prefix, files):
    with (
        broken_store(upstream_bytes=3500, attempts=1) as broken,
        pytest.raises(StorageError, match=r"objects below .* do not count as published without manifest\.json"),
    ):
        broken.publish(OUTPUT, prefix, files)
    assert "manifest.json" not in keys(raw_client, prefix)
    store.publish(OUTPUT, prefix, files)
    assert len(keys(raw_client, prefix)) == 4


@pytest.mark.parametrize(("prefix_", "names"), [("no-slash", ["a"]), ("empty/", []), ("own/", ["manifest.json"])])
def test_publish_refuses_bad_arguments(store, make_file, prefix_, names):
    with pytest.raises(StorageError, match=r"prefix|manifest\.json"):
        store.publish(OUTPUT, prefix_, {name: make_file(b"x") for name in names})
