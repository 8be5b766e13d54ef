"""Listening: a port taken, the service run on it until it is told to stop."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn

from treegate.engine.config import Service as Config
from treegate.errors import UsageError
from treegate.interfaces import logs
from treegate.interfaces.http import oidc, wire
from treegate.interfaces.http.app import create_app
from treegate.interfaces.http.service import Service


def listen(host: str, port: int, more: int = 0, *, next: str = "treegate serve --port 0") -> socket.socket:
    """A socket that is bound to a port, or to one of the `more` after it; port 0 is any. Raises UsageError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for number in range(port, port + more + 1):
        found = socket.socket(family, socket.SOCK_STREAM)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            found.bind((host, number))
        except (OSError, OverflowError) as error:
            found.close()
            last = error
        else:
            return found
    raise UsageError(
        f"port {port} of {host} cannot be had: {last}",
        code="port-taken",
        hint="name another one; 0 is any that is free",
        next=next,
    )


def address_of(found: socket.socket) -> str:
    """The address of the web that a socket is."""
    host, port = found.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(
    root: Path, environ: Mapping[str, str], config: Config, found: socket.socket, said: Callable[[], None]
) -> None:
    """Answers until SIGINT or SIGTERM; `said` is told once it is listened. A second signal takes a run back."""
    signal.signal(signal.SIGTERM, _ended)  # until the server is there to hear of it
    oidc.of(config.oidc, environ)  # what is wrong there is told before anybody is told to come
    logs.begin()
    app = create_app(root, environ)

    def told(times: int) -> None:
        service: Service | None = getattr(app.state, "service", None)
        if service is not None:
            service.told(times)

    found.listen(512)
    said()
    wire.run(app, found, config, told)


def _ended(*_: object) -> NoReturn:
    """To be told to end is no failure."""
    raise SystemExit(0)
