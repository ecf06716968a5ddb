import hashlib
import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabveil.config import DatasetConfig, EnvironmentConfig, SourceConfig
from tabveil.errors import ArtifactError, ConfigError, ObjectNotFoundError, StorageError
from tabveil.schema import ColumnSpec
from tabveil.storage import connect, seed_landing
from tabveil.storage.connection import is_loopback

LANDING = "tabveil-landing"
NONSENSE = {
    "AWS_ACCESS_KEY_ID": "nonsense",
    "AWS_SECRET_ACCESS_KEY": "nonsense",
    "AWS_SESSION_TOKEN": "nonsense",
    "AWS_PROFILE": "no-such-profile",
    "AWS_REGION": "nowhere",
    "AWS_DEFAULT_REGION": "nowhere",
    "AWS_CONFIG_FILE": "/no/such/file",
    "AWS_SHARED_CREDENTIALS_FILE": "/no/such/file",
    "AWS_ENDPOINT_URL": "http://192.0.2.1:1",
    "AWS_ENDPOINT_URL_S3": "http://192.0.2.1:1",
    "AWS_MAX_ATTEMPTS": "many",
    "AWS_RETRY_MODE": "nonsense",
    "AWS_CA_BUNDLE": "/no/such/bundle.pem",
    "AWS_USE_FIPS_ENDPOINT": "true",
    "AWS_REQUEST_CHECKSUM_CALCULATION": "nonsense",
    "HTTP_PROXY": "http://192.0.2.1:1",
    "http_proxy": "http://192.0.2.1:1",
}


def dataset(seed_file: str | None = "data/table.csv") -> DatasetConfig:
    return DatasetConfig(
        name="small", source=SourceConfig(key="raw/small.csv", seed_file=seed_file), columns={"a": ColumnSpec()}
    )


def test_nonsense_in_the_environment_does_not_disturb_the_embedded_server(tmp_path, monkeypatch, make_file):
    for name, value in NONSENSE.items():
        monkeypatch.setenv(name, value)
    with connect(EnvironmentConfig(), tmp_path) as store:
        assert is_loopback(store.endpoint_url)
        store.put_version(LANDING, "key", make_file(b"content"))
        assert store.get(LANDING, "key", tmp_path / "back", max_bytes=100).size_bytes == 7
    assert {name: os.environ[name] for name in NONSENSE} == NONSENSE


@pytest.mark.parametrize("bucket", ["tabveil-landing", "tabveil-output"])
def test_embedded_environment_has_both_versioned_buckets(raw_client, bucket):
    assert raw_client.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"


@pytest.mark.parametrize("how", ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "endpoint_url"])
def test_another_loopback_endpoint_is_used_without_a_proxy(store, credentials, monkeypatch, tmp_path, how):
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # where nobody listens
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", credentials.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", credentials.secret_key)
    named = None
    if how == "endpoint_url":
        named = store.endpoint_url
    else:
        monkeypatch.setenv(how, store.endpoint_url)
    environment = EnvironmentConfig(name="embedded", embedded_s3=False, endpoint_url=named)
    with connect(environment, tmp_path) as other:
        assert other.endpoint_url == store.endpoint_url
        with pytest.raises(ObjectNotFoundError):
            other.head(LANDING, "no-such-key")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "url", ["http://192.0.2.1:9000", "https://s3.example.com", "http://127.0.0.1.example.com", None]
)
def test_foreign_endpoints_are_refused_outside_aws(tmp_path, url):
    environment = EnvironmentConfig(name="local", embedded_s3=False, endpoint_url=url)
    with pytest.raises(ConfigError, match="may talk to this machine only"), connect(environment, tmp_path):
        pass


def test_a_foreign_endpoint_from_the_environment_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://storage.example.com")
    environment = EnvironmentConfig(name="local", embedded_s3=False)
    with pytest.raises(ConfigError, match=re.escape("storage.example.com")), connect(environment, tmp_path):
        pass


def test_without_an_endpoint_nothing_is_advised_that_does_not_exist(tmp_path, repository):
    options = {path.stem for path in (repository / "conf" / "environment").glob("*.yaml")}
    environment = EnvironmentConfig(name="local", embedded_s3=False)
    with pytest.raises(ConfigError, match=r"environment\.embedded_s3=true") as caught, connect(environment, tmp_path):
        pass
    assert set(re.findall(r"environment=(\w+)", str(caught.value))) <= options


def test_the_aws_environment_may_talk_to_aws(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDREALISH")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    environment = EnvironmentConfig(name="aws", embedded_s3=False, region="eu-west-1")
    with connect(environment, tmp_path) as store:
        assert store.endpoint_url == "https://s3.eu-west-1.amazonaws.com"


def test_missing_credentials_are_one_clear_line(tmp_path, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    environment = EnvironmentConfig(name="local", embedded_s3=False, endpoint_url="http://127.0.0.1:9")
    with connect(environment, tmp_path) as store, pytest.raises(StorageError, match="no complete AWS credentials"):
        store.head(LANDING, "key")


def test_no_server_at_the_endpoint_is_one_clear_line(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    environment = EnvironmentConfig(name="local", embedded_s3=False, endpoint_url="http://127.0.0.1:9")
    with connect(environment, tmp_path) as store, pytest.raises(StorageError, match="is the server running"):
        store.get(LANDING, "key", tmp_path / "raw", max_bytes=1)


def test_a_broken_profile_is_a_config_error(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    environment = EnvironmentConfig(name="aws", embedded_s3=False)
    with pytest.raises(ConfigError, match="no-such-profile"), connect(environment, tmp_path):
        pass


@given(st.integers(0, 2**24 - 1), st.integers(1, 65535))
def test_every_address_of_127_8_is_loopback(low, port):
    address = f"127.{low >> 16}.{low >> 8 & 255}.{low & 255}"
    assert is_loopback(f"http://{address}:{port}/path")


@given(st.ip_addresses(v=4).filter(lambda address: not address.is_loopback))
def test_no_other_address_is_loopback(address):
    assert not is_loopback(f"http://{address}:9000")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://localhost:1", True),
        ("http://[::1]:1", True),
        ("http://[2001:db8::1]:1", False),
        ("http://localhost.example.com", False),
        ("http://127.0.0.1@example.com", False),
        ("", False),
    ],
)
def test_is_loopback_judges_the_host(url, expected):
    assert is_loopback(url) is expected


def test_seed_landing_uploads_once_and_again_after_a_change(store, tmp_path):
    environment, root = EnvironmentConfig(), tmp_path
    (root / "data").mkdir()
    table = root / "data" / "table.csv"
    table.write_bytes(b"a\n1\n")
    first = seed_landing(store, environment, dataset(), root)
    again = seed_landing(store, environment, dataset(), root)
    assert first == again
    assert first.sha256 == hashlib.sha256(b"a\n1\n").hexdigest()
    table.write_bytes(b"a\n2\n")
    changed = seed_landing(store, environment, dataset(), root)
    assert changed.version_id != first.version_id
    assert store.head(LANDING, "raw/small.csv", first.version_id) == first
    assert store.head(LANDING, "raw/small.csv") == changed


def test_seed_landing_without_a_seed_file_does_nothing(store, tmp_path):
    assert seed_landing(store, EnvironmentConfig(), dataset(seed_file=None), tmp_path) is None


def test_seed_landing_says_how_to_get_the_file(store, tmp_path):
    with pytest.raises(ArtifactError, match=r"make data.*copy your table to data/table\.csv"):
        seed_landing(store, EnvironmentConfig(), dataset(), tmp_path)


def test_the_account_is_not_asked_with_the_credentials_of_a_test_double(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    environment = EnvironmentConfig(name="aws", embedded_s3=False)
    with pytest.raises(ConfigError, match="is a dummy"), connect(environment, tmp_path):
        pass


def test_the_account_is_not_asked_without_credentials(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")  # tests must not
    environment = EnvironmentConfig(name="aws", embedded_s3=False)
    with pytest.raises(ConfigError, match="none were found"), connect(environment, tmp_path):
        pass


def test_the_environment_aws_has_no_endpoint_on_this_machine(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDREALISH")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    environment = EnvironmentConfig(name="aws", embedded_s3=False)
    with pytest.raises(ConfigError, match="must not have an endpoint on this machine"), connect(environment, tmp_path):
        pass
