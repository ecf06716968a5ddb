"""The embedded endpoint's process: ``python -m tabveil.aws.embedded.server FOLDER``.

moto answers every service; the modules named in `EXECUTORS` replace what moto only pretends to do. It writes its port
to FOLDER/endpoint.json once it listens.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from tabveil.artifacts import write_json
from tabveil.aws.embedded.context import Context

# modules of this package with an `install(context)`
EXECUTORS: tuple[str, ...] = ("glue_runs", "macie_jobs", "training_jobs")
HOST = "127.0.0.1"
WSGI = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def main(folder: str) -> None:
    """Install the executors, listen on a free port of loopback, serve until terminated."""
    context = Context(
        s3_endpoint=os.environ["AWS_ENDPOINT_URL_S3"],
        region=os.environ["AWS_DEFAULT_REGION"],
        folder=Path(folder),
        project=Path(os.environ["TABVEIL_ROOT"]),
    )
    for name in EXECUTORS:
        import_module(f"tabveil.aws.embedded.{name}").install(context)
    app = for_one_key(DomainDispatcherApplication(create_backend_app), os.environ["AWS_ACCESS_KEY_ID"])
    server = make_server(HOST, 0, app, threaded=True, request_handler=QuietHandler)
    write_json(context.folder / "endpoint.json", {"port": server.server_port})
    server.serve_forever()


class QuietHandler(MotoRequestHandler):
    """Logs errors only: request lines would hold names of objects."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""


def for_one_key(app: WSGI, access_key: str) -> WSGI:
    """`app` for requests that name this access key; everyone else on the machine gets 403.

    moto checks no signature: this keeps strangers out who do not know the key, which is in a file of mode 0600.
    """

    def guarded(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if f"Credential={access_key}/" in environ.get("HTTP_AUTHORIZATION", ""):
            return app(environ, start_response)
        start_response("403 Forbidden", [("Content-Type", "application/json"), ("x-amzn-ErrorType", "AccessDenied")])
        return [b'{"__type": "AccessDeniedException", "message": "this endpoint opens for its own key only"}']

    return guarded


if __name__ == "__main__":
    main(sys.argv[1])
