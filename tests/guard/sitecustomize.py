"""Keeps a Python process on this machine: connecting to, sending to or looking up anything but loopback is refused.

Python imports a `sitecustomize` from PYTHONPATH at start, so tests put this folder there for the processes they start;
tests/conftest.py installs it in pytest's own. A refusal is also written to NETWORK_GUARD_LOG, where pytest finds it:
code that swallows the exception does not hide it. Processes that are not Python (SeaweedFS, a JVM, chromium, git) and
the isolated guardian (`python -I -S`) are not covered; the product starts them on 127.0.0.1.
"""

from __future__ import annotations

import functools
import ipaddress
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

LOG_VARIABLE = "NETWORK_GUARD_LOG"


class OutsideLoopbackError(RuntimeError):
    """Not an OSError: nobody takes it for a network that is down."""


def is_here(host: object) -> bool:
    """Whether a host is this machine; names other than localhost are not looked up."""
    if host in (None, "", "localhost", b"localhost", "0.0.0.0", "::"):
        return True
    text = host.decode() if isinstance(host, bytes) else str(host)
    try:
        return ipaddress.ip_address(text.split("%")[0]).is_loopback
    except ValueError:
        return text in (socket.gethostname(), f"{socket.gethostname()}.localdomain") or text.endswith(".localhost")


def refuse(what: str) -> None:
    """Write it down, then raise."""
    log = os.environ.get(LOG_VARIABLE)
    if log:
        with Path(log).open("a", encoding="utf-8") as file:
            file.write(f"{' '.join(sys.argv)[:200]}: {what}\n")
    raise OutsideLoopbackError(f"tests talk to loopback only, however: {what}")


def _checked(name: str, method: Callable[..., Any], address_at: int) -> Callable[..., Any]:
    @functools.wraps(method)
    def guarded(self: socket.socket, *arguments: Any) -> Any:
        address = arguments[address_at]
        internet = self.family in (socket.AF_INET, socket.AF_INET6) and isinstance(address, tuple)
        if internet and not is_here(address[0]):
            refuse(f"{name} {address[0]}:{address[1]}")
        return method(self, *arguments)

    return guarded


def install() -> None:
    """Put the guard before the socket module's ways out; once."""
    if hasattr(socket.socket.connect, "__wrapped__"):
        return
    for name, address_at in (("connect", 0), ("connect_ex", 0), ("sendto", -1)):
        setattr(socket.socket, name, _checked(name, getattr(socket.socket, name), address_at))
    look_up = socket.getaddrinfo

    @functools.wraps(look_up)
    def guarded_look_up(host: object, *arguments: Any, **named: Any) -> Any:
        if not is_here(host) and not _is_address(host):  # an address asks nobody; connecting to it does
            refuse(f"looking up {host!s}")
        return look_up(host, *arguments, **named)

    socket.getaddrinfo = guarded_look_up


def _is_address(host: object) -> bool:
    try:
        ipaddress.ip_address(host.decode() if isinstance(host, bytes) else str(host))
    except ValueError:
        return False
    return True


if __name__ == "sitecustomize":
    install()
