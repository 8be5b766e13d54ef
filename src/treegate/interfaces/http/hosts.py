"""What the service may be called: a request for another name is refused, for a page of another site may have sent it.

DNS rebinding makes a browser believe that a name of the attacker's is this machine; its requests still carry it.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from treegate.engine.config import Service
from treegate.errors import Denied
from treegate.interfaces.http import problems

ALWAYS = frozenset({"localhost", "127.0.0.1", "::1"})
ANY = frozenset({"0.0.0.0", "::"})
_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(:\d*)?")
FREE = frozenset({"/healthz", "/readyz"})  # asked by machines that know an address only; they tell nothing


class HostUnknown(Denied):
    """A request for a name that is not the service's."""

    code, http_status = "host-unknown", 421


def names(config: Service) -> frozenset[str]:
    """All that the service may be called, without ports, in lower case."""
    public = urlsplit(config.public_url).hostname if config.public_url else None
    given = {name.strip("[]").lower() for name in (*config.hosts, config.host, public or "")}
    return ALWAYS | (given - ANY - {""})


def name_in(host: str) -> str:
    """The name in a Host header (RFC 9110, section 7.2), without its port; "" for none that can be read."""
    found = _HOST.fullmatch(host)
    return found[1].strip("[]").lower() if found else ""


class Hosts:
    """Refuses requests for other names."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in FREE or self._ours(scope):
            await self._app(scope, receive, send)
            return
        error = HostUnknown(
            "this service goes by another name",
            hint="whoever keeps it can name this one in service.hosts or service.public_url",
        )
        await problems.refuse(scope, receive, send, error)

    def _ours(self, scope: Scope) -> bool:
        return name_in(Headers(scope=scope).get("host", "")) in scope["app"].state.service.names
