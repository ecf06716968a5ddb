"""An HTTP proxy on loopback that answers, delays or breaks S3 requests by plan, and passes on all others."""

from __future__ import annotations

import http.client
import http.server
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding"}


@dataclass(frozen=True)
class Request:
    """What the proxy saw of a request."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]

    @property
    def operation(self) -> str:
        """S3's operation, of those that the store uses."""
        if self.method == "PUT":
            return "UploadPart" if "partNumber" in self.query else "PutObject"
        if self.method == "POST":
            return "CompleteMultipartUpload" if "uploadId" in self.query else "CreateMultipartUpload"
        if self.method == "DELETE":
            return "AbortMultipartUpload" if "uploadId" in self.query else "DeleteObject"
        if self.method == "GET":
            return "ListParts" if "uploadId" in self.query else "GetObject"
        return "HeadObject"


@dataclass(frozen=True)
class Fault:
    """What happens to the requests of one operation.

    Args:
        operation: of which.
        kind: ``answer`` an error; ``cut`` the connection after half of the request; ``lose`` the answer of a request
            that arrived; ``truncate`` the answer's body at half.
        times: how often; the requests that follow pass.
        status, code: of an ``answer``.
        before: called once before it happens, to change the world.
    """

    operation: str
    kind: str
    times: int = 1
    status: int = 500
    code: str = "InternalError"
    before: Callable[[], object] = bool


class FaultyProxy(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port: int, plan: list[Fault]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.port = port
        self.seen: list[Request] = []
        self._plan = {fault.operation: deque([fault] * fault.times) for fault in plan}
        self._lock = threading.Lock()

    def fault_of(self, request: Request) -> Fault | None:
        with self._lock:
            self.seen.append(request)
            waiting = self._plan.get(request.operation)
            return waiting.popleft() if waiting else None

    def count(self, operation: str) -> int:
        return sum(request.operation == operation for request in self.seen)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FaultyProxy

    def handle_any(self) -> None:
        parts = urlsplit(self.path)
        query = parse_qs(parts.query, keep_blank_values=True)
        fault = self.server.fault_of(Request(self.command, parts.path, query, dict(self.headers)))
        length = int(self.headers.get("Content-Length") or 0)
        if fault is not None:
            fault.before()
        if fault is not None and fault.kind == "cut":
            self.rfile.read(length // 2)
            self.close_connection = True
            return
        body = self.rfile.read(length)
        if fault is not None and fault.kind == "answer":
            self._answer_error(fault)
            return
        status, headers, content = self._forward(body)
        if fault is not None and fault.kind == "lose":
            self.close_connection = True
            return
        kept = len(content) // 2 if fault is not None and fault.kind == "truncate" else len(content)
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content[:kept])
        self.close_connection = kept < len(content)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any  # noqa: N815

    def _answer_error(self, fault: Fault) -> None:
        text = f"<Error><Code>{fault.code}</Code><Message>as planned</Message></Error>".encode()
        self.send_response(fault.status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    def _forward(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        upstream = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)
        upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in {*HOP_BY_HOP, "expect"}:
                upstream.putheader(name, value)
        upstream.endheaders(body)
        answer = upstream.getresponse()
        content = answer.read()
        headers = answer.getheaders()
        upstream.close()
        return answer.status, headers, content

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def faulty_proxy(port: int, plan: list[Fault]) -> Iterator[FaultyProxy]:
    """The proxy in front of a local port, for the length of the block."""
    with FaultyProxy(port, plan) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
            thread.join()
