"""From an environment's settings to a connected `S3Store`, and the embedded landing bucket's first object."""

from __future__ import annotations

import ipaddress
import logging
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config as BotoConfig
from botocore.exceptions import BotoCoreError

from tabveil.config import DatasetConfig, EnvironmentConfig
from tabveil.errors import ArtifactError, ConfigError, ObjectNotFoundError
from tabveil.storage.embedded import EmbeddedS3, Endpoint
from tabveil.storage.object_store import ObjectInfo, Rules
from tabveil.storage.s3 import S3Store
from tabveil.storage.upload import file_sha256

AWS_ENVIRONMENT = "aws"
EMBEDDED_FOLDER = Path(".tabveil") / "s3"
CONNECT_TIMEOUT_SECONDS = 5
READ_TIMEOUT_SECONDS = 60
ATTEMPTS = 4
DUMMY_KEYS = {"test", "testing", "dummy", "fake", "foo", "mock_access_key", "akiaiosfodnn7example"}
NO_METADATA = "AWS_EC2_METADATA_DISABLED"


@contextmanager
def connect(environment: EnvironmentConfig, root: Path) -> Iterator[S3Store]:
    """The environment's object store.

    With `embedded_s3` the server below `root/.tabveil/s3/` runs for the length of the block, has all buckets, and
    the caller's AWS_* variables and profiles play no part. Otherwise the endpoint is `endpoint_url`, else what boto3
    finds (AWS_ENDPOINT_URL_S3, a profile), else AWS.

    Raises:
        ConfigError: an endpoint that is not loopback outside the environment 'aws', and the reverse; a broken AWS
            profile; no credentials, or a test double's, in 'aws'.
        ServerError: the embedded server does not start, or another process keeps it.
    """
    if environment.embedded_s3:
        with EmbeddedS3(root / EMBEDDED_FOLDER, environment.wait_seconds) as endpoint:
            store = _store(_embedded_client(endpoint, environment.region), environment)
            for bucket in sorted(rules_of(environment).buckets):
                store.ensure_bucket(bucket)
            yield store
    else:
        store = _store(_configured_client(environment), environment)
        refuse_foreign(store.endpoint_url, environment.name)
        yield store


def seed_landing(
    store: S3Store, environment: EnvironmentConfig, dataset: DatasetConfig, root: Path
) -> ObjectInfo | None:
    """Put the dataset's `source.seed_file` into the landing bucket, unless its newest version has the same content.

    Returns:
        The object in the landing bucket; None when the dataset names no seed file.

    Raises:
        ArtifactError: the seed file is missing.
        StorageError: the upload failed.
    """
    source = dataset.source
    if source.seed_file is None:
        return None
    path = root / source.seed_file
    if not path.is_file():
        raise ArtifactError(
            f"{path} is missing: run `make data` for the sample, or copy your table to {source.seed_file} "
            f"(source.seed_file of dataset '{dataset.name}')"
        )
    try:
        present = store.head(environment.landing_bucket, source.key)
        if present.sha256 == file_sha256(path):
            return present
    except ObjectNotFoundError:
        pass  # nothing there yet
    return store.put_version(environment.landing_bucket, source.key, path)


def rules_of(environment: EnvironmentConfig) -> Rules:
    """The environment's three buckets, and the encryption and tags of what is written there.

    Raises:
        ConfigError: more tags than S3 takes.
    """
    buckets = (environment.landing_bucket, environment.work_bucket, environment.output_bucket)
    return Rules(frozenset(buckets), environment.kms_key_id, environment.tags)


def _store(client: Any, environment: EnvironmentConfig) -> S3Store:
    requests: Counter[str] = Counter()

    def count(model: Any, **_: Any) -> None:
        requests[model.name] += 1

    client.meta.events.register("before-call.s3", count)
    return S3Store(client, rules_of(environment), requests)


def _embedded_client(endpoint: Endpoint, region: str) -> Any:
    with without_aws_settings():
        session = boto3.Session(
            aws_access_key_id=endpoint.credentials.access_key,
            aws_secret_access_key=endpoint.credentials.secret_key,
            region_name=region,
        )
        return session.client("s3", endpoint_url=endpoint.url, config=client_settings(endpoint.url))


def _configured_client(environment: EnvironmentConfig) -> Any:
    session, named = own_session(environment), environment.endpoint_url
    try:
        with without_instance_metadata(environment.name):
            resolved = named or session.client("s3").meta.endpoint_url  # a variable or a profile may name loopback
            return session.client("s3", endpoint_url=named, config=client_settings(resolved))
    except (BotoCoreError, ValueError) as err:
        raise _cannot_set_up(environment, err) from err


def own_session(environment: EnvironmentConfig) -> boto3.Session:
    """The caller's own AWS session: their variables, profile and region.

    Raises:
        ConfigError: a broken profile; in the environment 'aws', no credentials or a test double's.
    """
    logging.getLogger("botocore.credentials").setLevel(logging.WARNING)  # it tells at INFO where it found them
    try:
        with without_instance_metadata(environment.name):
            session = boto3.Session(region_name=environment.region)
            credentials = session.get_credentials()
    except (BotoCoreError, ValueError) as err:
        raise _cannot_set_up(environment, err) from err
    if environment.name != AWS_ENVIRONMENT:
        return session
    if credentials is None:
        raise ConfigError("environment 'aws' needs credentials, however none were found: log in, or set AWS_PROFILE")
    if str(credentials.access_key).lower() in DUMMY_KEYS:
        raise ConfigError("environment 'aws' needs real credentials, however AWS_ACCESS_KEY_ID is a dummy: unset it")
    return session


def _cannot_set_up(environment: EnvironmentConfig, err: Exception) -> ConfigError:
    return ConfigError(
        f"boto3 cannot be set up for environment '{environment.name}': {err}; check AWS_* and the profile"
    )


def client_settings(url: str) -> BotoConfig:
    """For the endpoint that is really used: timeouts and retries; no proxy on the way to this machine, and paths there,
    since a loopback host has no subdomains.
    """
    local = is_loopback(url)
    return BotoConfig(
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        read_timeout=READ_TIMEOUT_SECONDS,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        request_checksum_calculation="when_supported",
        response_checksum_validation="when_supported",
        proxies={} if local else None,
        s3={"addressing_style": "path" if local else "auto"},
    )


def refuse_foreign(url: str, name: str) -> None:
    """Let the environment 'aws', and no other one, talk to another machine.

    Raises:
        ConfigError: the endpoint `url` of environment `name` is elsewhere; or that of 'aws' is on this machine.
    """
    if name == AWS_ENVIRONMENT and is_loopback(url):
        raise ConfigError(
            "environment 'aws' must not have an endpoint on this machine, however it has: unset "
            "environment.endpoint_url and AWS_ENDPOINT_URL*, or choose environment=embedded"
        )
    if name != AWS_ENVIRONMENT and not is_loopback(url):
        raise ConfigError(
            f"environment '{name}' may talk to this machine only, however its endpoint is {urlsplit(url).hostname}: "
            "set environment.embedded_s3=true, or environment.endpoint_url or AWS_ENDPOINT_URL_S3 to a loopback "
            "address, or choose environment=aws"
        )


def is_loopback(url: str) -> bool:
    """Whether a URL's host is this machine: localhost, 127.0.0.0/8 or ::1 (by name, nothing is looked up)."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@contextmanager
def without_instance_metadata(name: str) -> Iterator[None]:
    """While a client is built: ask no EC2 instance for credentials outside the environment 'aws'.

    The service that boto3 asks when it finds none, 169.254.169.254, is not on this machine.
    """
    before = os.environ.get(NO_METADATA)
    if name != AWS_ENVIRONMENT:
        os.environ[NO_METADATA] = "true"
    try:
        yield
    finally:
        os.environ.pop(NO_METADATA, None)
        if before is not None:
            os.environ[NO_METADATA] = before


@contextmanager
def without_aws_settings() -> Iterator[None]:
    """Hide the caller's AWS_* variables, profiles and configuration files while a client is built."""
    hidden = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("AWS_")}
    os.environ.update(AWS_CONFIG_FILE=os.devnull, AWS_SHARED_CREDENTIALS_FILE=os.devnull)
    try:
        yield
    finally:
        del os.environ["AWS_CONFIG_FILE"], os.environ["AWS_SHARED_CREDENTIALS_FILE"]
        os.environ.update(hidden)
