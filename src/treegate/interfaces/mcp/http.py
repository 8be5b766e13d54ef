"""Over streamable HTTP: many agents, each by the token that every request of theirs carries; no session is kept."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from typing import Any

from mcp.server.transport_security import TransportSecuritySettings

from treegate.engine.config import Service
from treegate.interfaces import logs
from treegate.interfaces.http import wire
from treegate.interfaces.http.headers import Headers
from treegate.interfaces.mcp.guard import PATH, SEAT, Guard
from treegate.interfaces.mcp.seat import Ending
from treegate.interfaces.mcp.seats import Seats
from treegate.interfaces.mcp.server import create

MOST_BODY = 16 << 20  # bytes: a plan of some 100,000 operations


def app_of(seats: Seats, names: Iterable[str]) -> Any:
    """The ASGI application, for requests to one of these hosts."""
    server = create(lambda request: request.scope[SEAT])
    inner = server.streamable_http_app(
        streamable_http_path=PATH,
        stateless_http=True,
        max_request_body_size=MOST_BODY,
        transport_security=_hosts(names),
    )
    return Headers(Guard(inner, seats))


def serve(
    seats: Seats,
    ending: Ending,
    found: socket.socket,
    config: Service,
    names: Iterable[str],
    said: Callable[[], None],
) -> None:
    """Answers on a socket until a signal comes; a second one has runs taken back. `said` is told once it listens."""
    logs.begin()
    found.listen(512)
    said()
    wire.run(app_of(seats, names), found, config, ending.told)
    ending.begun.set()
    seats.finish()


def _hosts(names: Iterable[str]) -> TransportSecuritySettings:
    """What a Host or Origin header may name: DNS rebinding makes a browser believe that any name is this machine."""
    written = [f"[{name}]" if ":" in name else name for name in sorted(names)]
    hosts = [form for name in written for form in (name, f"{name}:*")]
    origins = [f"{scheme}://{host}" for scheme in ("http", "https") for host in hosts]
    return TransportSecuritySettings(
        enable_dns_rebinding_protection=True, allowed_hosts=hosts, allowed_origins=origins
    )
