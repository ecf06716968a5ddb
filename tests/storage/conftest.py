"""One real embedded server for the session, and proxies that break connections and answer errors on demand."""

import importlib.util
import socket
import socketserver
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

from tabveil.config import EnvironmentConfig
from tabveil.storage import Rules, S3Store, connect
from tabveil.storage.server_state import Credentials, load_credentials

_spec = importlib.util.spec_from_file_location("storage_faults", Path(__file__).with_name("faults.py"))
assert _spec is not None
assert _spec.loader is not None
faults = importlib.util.module_from_spec(_spec)
sys.modules["storage_faults"] = faults
_spec.loader.exec_module(faults)

LANDING = "tabveil-landing"
OUTPUT = "tabveil-output"
RULES = Rules(frozenset({LANDING, OUTPUT}))


@pytest.fixture(scope="session")
def project(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("project")


@pytest.fixture(scope="session")
def store(project) -> Iterator[S3Store]:
    with connect(EnvironmentConfig(), project) as connected:
        yield connected


@pytest.fixture(scope="session")
def credentials(store, project) -> Credentials:
    return load_credentials(project / ".tabveil" / "s3" / "credentials.json")


def client(endpoint_url: str, credentials: Credentials, attempts: int = 1):
    """A plain boto3 client, to look at the store from outside."""
    session = boto3.Session(credentials.access_key, credentials.secret_key, region_name="eu-central-1")
    return session.client(
        "s3",
        endpoint_url=endpoint_url,
        config=Config(
            retries={"mode": "standard", "total_max_attempts": attempts}, connect_timeout=2, read_timeout=5, proxies={}
        ),
    )


@pytest.fixture(scope="session")
def raw_client(store, credentials):
    return client(store.endpoint_url, credentials)


@pytest.fixture
def key(request) -> str:
    """A key that no other test uses."""
    return f"tests/{request.node.name}"


@pytest.fixture
def make_file(tmp_path):
    def make(content: bytes, name: str = "file.bin") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    return make


class BreakingProxy(socketserver.ThreadingTCPServer):
    """Forwards to a local port until its budget of bytes in one direction is used up, then cuts the connection.

    Args:
        upstream_bytes, downstream_bytes: cut after so many bytes in this direction; None: never.
        cuts: how many connections are cut; later ones pass.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int, upstream_bytes: int | None, downstream_bytes: int | None, cuts: int) -> None:
        super().__init__(("127.0.0.1", 0), _Relay)
        self.port = port
        self.limits = {"up": upstream_bytes, "down": downstream_bytes}
        self.budgets = dict(self.limits)
        self.cuts_left = cuts
        self.lock = threading.Lock()

    def spend(self, direction: str, count: int) -> bool:
        """Whether this connection is to be cut now."""
        with self.lock:
            budget = self.budgets[direction]
            if budget is None or self.cuts_left == 0:
                return False
            self.budgets[direction] = budget - count
            if budget - count > 0:
                return False
            self.cuts_left -= 1
            self.budgets = dict(self.limits)
            return True


class _Relay(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        with socket.create_connection(("127.0.0.1", self.server.port)) as upstream:
            back = threading.Thread(target=self._pump, args=(upstream, self.request, "down"), daemon=True)
            back.start()
            self._pump(self.request, upstream, "up")
            back.join(5)

    def _pump(self, source: socket.socket, sink: socket.socket, direction: str) -> None:
        with suppress(OSError):
            while chunk := source.recv(65536):
                if self.server.spend(direction, len(chunk)):
                    break
                sink.sendall(chunk)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def broken_store(store, credentials):
    """A store behind a proxy that cuts connections."""

    @contextmanager
    def make(
        *, upstream_bytes: int | None = None, downstream_bytes: int | None = None, cuts: int = 1000, attempts: int = 1
    ) -> Iterator[S3Store]:
        port = int(store.endpoint_url.rsplit(":", 1)[1])
        with BreakingProxy(port, upstream_bytes, downstream_bytes, cuts) as proxy:
            thread = threading.Thread(target=proxy.serve_forever, args=(0.02,), daemon=True)
            thread.start()
            yield S3Store(client(f"http://127.0.0.1:{proxy.server_address[1]}", credentials, attempts), RULES)
            proxy.shutdown()
            thread.join()

    return make


@pytest.fixture
def faulty(store, credentials):
    """``with faulty(Fault(...), attempts=3) as (store, proxy)``: a store behind a proxy with a plan of faults."""

    @contextmanager
    def make(*plan: faults.Fault, attempts: int = 3) -> Iterator[tuple[S3Store, faults.FaultyProxy]]:
        port = int(store.endpoint_url.rsplit(":", 1)[1])
        with faults.faulty_proxy(port, list(plan)) as proxy:
            yield S3Store(client(proxy.url, credentials, attempts), RULES), proxy

    return make
