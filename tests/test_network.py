"""The suite's own guard: nothing it runs leaves this machine, and nothing in it depends on AWS_* variables."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

OUTSIDE = "192.0.2.1"  # TEST-NET-1 (RFC 5737): nobody is there
NONSENSE = {
    "AWS_ACCESS_KEY_ID": "nonsense",
    "AWS_SECRET_ACCESS_KEY": "nonsense",
    "AWS_SESSION_TOKEN": "nonsense",
    "AWS_PROFILE": "no-such-profile",
    "AWS_REGION": "nowhere",
    "AWS_DEFAULT_REGION": "nowhere",
    "AWS_CONFIG_FILE": "/no/such/file",
    "AWS_SHARED_CREDENTIALS_FILE": "/no/such/file",
    "AWS_ENDPOINT_URL": f"http://{OUTSIDE}:1",
    "AWS_ENDPOINT_URL_S3": f"http://{OUTSIDE}:1",
    "AWS_CA_BUNDLE": "/no/such/bundle.pem",
    "AWS_RETRY_MODE": "nonsense",
    "AWS_MAX_ATTEMPTS": "many",
}


def connect() -> None:
    with socket.socket() as open_socket:
        open_socket.connect((OUTSIDE, 80))


def connect_ex() -> None:
    with socket.socket() as open_socket:
        open_socket.connect_ex((OUTSIDE, 80))


def send() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as open_socket:
        open_socket.sendto(b"x", (OUTSIDE, 53))


def look_up() -> None:
    socket.getaddrinfo("example.com", 80)


def swallowed() -> None:
    """As libraries do that report home."""
    try:
        connect()
    except Exception as err:
        raise RuntimeError("loopback") from err


@pytest.mark.parametrize("way_out", [connect, connect_ex, send, look_up, swallowed])
def test_every_way_out_is_closed_and_remembered(only_loopback, way_out):
    with pytest.raises(RuntimeError, match="loopback"):
        way_out()
    assert len(only_loopback.take()) == 1


def test_loopback_is_open(only_loopback):
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname(), timeout=5).close()
        socket.create_connection(("localhost", server.getsockname()[1]), timeout=5).close()
    assert only_loopback.take() == []


def test_processes_that_tests_start_are_guarded_as_well(only_loopback):
    script = f"import socket; socket.create_connection(('{OUTSIDE}', 80), timeout=1)"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "OutsideLoopbackError" in result.stderr
    assert only_loopback.take() == [f"-c: connect {OUTSIDE}:80"]


def test_boto3_cannot_reach_aws(only_loopback):
    import boto3
    from botocore.config import Config
    from botocore.exceptions import HTTPClientError

    session = boto3.Session("key", "secret", region_name="eu-central-1")
    client = session.client("s3", config=Config(retries={"total_max_attempts": 1}), endpoint_url="https://example.com")
    with pytest.raises((HTTPClientError, RuntimeError)):
        client.list_buckets()
    assert only_loopback.take() != []


@pytest.mark.parametrize("variables", [NONSENSE, {}], ids=["nonsense", "unset"])
def test_a_stage_runs_whatever_aws_variables_say(clone: Path, clean_environment, variables):
    (clone / "accounts.csv").write_text("Account,Balance\n" + "".join(f"{n},{n * 7 % 101}.5\n" for n in range(300)))
    path = f"{clone / 'src'}:{clean_environment['PYTHONPATH']}"
    environment = {**clean_environment, **variables, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    for command in (["tabveil.new_dataset", "accounts.csv"], ["tabveil.stages.pull", "dataset=accounts"]):
        result = subprocess.run(
            [sys.executable, "-m", *command], cwd=clone, env=environment, capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, result.stderr
    assert (clone / "artifacts" / "pull" / "raw").read_bytes() == (clone / "accounts.csv").read_bytes()
