"""What the service may be called: a request for another name is refused, for a page of another site may have sent it.

DNS rebinding makes a browser believe that a name of the attacker's is this machine; its requests still carry it.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from treegate.engine.config import Service
from treegate.errors import Denied, TreegateError, UsageError
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


class HostAmbiguous(UsageError):
    """A request that names more than one host: whoever passed it on may have gone by the other one."""

    code = "host-ambiguous"


class Hosts:
    """Refuses requests for other names, and for several at once (RFC 9112, section 3.2)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        error = _refusal(scope) if scope["type"] == "http" else None
        if error is None:
            await self._app(scope, receive, send)
        else:
            await problems.refuse(scope, receive, send, error)


def _refusal(scope: Scope) -> TreegateError | None:
    """Why a request is refused by the host that it is for; None where it is not."""
    given = Headers(scope=scope).getlist("host")
    if len(given) > 1:
        return HostAmbiguous("this names more than one host", hint="send one Host header")
    if scope["path"] in FREE or name_in("".join(given)) in scope["app"].state.service.names:
        return None
    return HostUnknown(
        "this service goes by another name",
        hint="whoever keeps it can name this one in service.hosts or service.public_url",
    )
