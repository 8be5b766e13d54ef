"""Listening: a port taken, the service run on it until it is told to stop."""

from __future__ import annotations

import logging
import signal
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn

import uvicorn

from treegate.errors import UsageError
from treegate.interfaces.http.app import create_app


def listen(host: str, port: int, more: int = 0) -> socket.socket:
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
        next="treegate serve --port 0",
    )


def serve(root: Path, environ: Mapping[str, str], found: socket.socket, said: Callable[[str], None]) -> None:
    """Answers until SIGINT or SIGTERM; `said` is told the address once it is listened at."""
    host, port = found.getsockname()[:2]
    logging.getLogger("treegate").setLevel(logging.INFO)
    config = uvicorn.Config(
        create_app(root, environ),
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=5,
        timeout_keep_alive=30,
    )
    signal.signal(signal.SIGTERM, _ended)  # uvicorn ends what is under way, then raises the signal once more
    found.listen(512)
    said(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")
    uvicorn.Server(config).run([found])


def _ended(*_: object) -> NoReturn:
    """To be told to end is no failure."""
    raise SystemExit(0)
