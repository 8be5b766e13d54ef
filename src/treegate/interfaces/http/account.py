"""An account of every request: an id, who and from where, how long it took; and an answer, whatever happened."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from treegate.errors import TreegateError
from treegate.interfaces import logs
from treegate.interfaces.http import problems
from treegate.interfaces.http.rates import address_of

GONE = 499  # in log and numbers: whoever asked went away before there was an answer
_TOKEN = re.compile(r"(?<=/)tg_[A-Za-z0-9_-]{20,}")  # sent where an id belongs, to have it revoked
_FIT = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Unforeseen(TreegateError):
    """An error of ours: what it was stands in the log, under the request's id."""

    def __init__(self, id: str) -> None:
        super().__init__(
            "something went wrong here", hint=f"report it with this request's id, {id}: the log has more"
        )


class Account:
    """Gives each request its id, the caller's own where that is fit to be logged, and counts it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        id, began, status = given if _FIT.fullmatch(given) else secrets.token_hex(8), time.perf_counter(), 0
        scope.setdefault("state", {})["id"] = id

        async def told(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = id
            await send(message)

        try:
            await _answered(self._app, scope, receive, told, lambda: status != 0)
        finally:
            _tell(scope, status or GONE, time.perf_counter() - began)


async def _answered(app: ASGIApp, scope: Scope, receive: Receive, send: Send, begun: Callable[[], bool]) -> None:
    """The application's answer; where it has none, the problem document that says so."""
    try:
        await app(scope, receive, send)
    except ClientDisconnect:
        pass
    except Exception as error:
        id = scope["state"]["id"]
        logs.ERRORS.error("a request failed", exc_info=error, extra={"facts": {"id": id}})
        if begun():
            raise  # half an answer is out: the connection is closed, so that nobody takes it for a whole one
        await problems.refuse(scope, receive, send, Unforeseen(id))


def _tell(scope: Scope, status: int, seconds: float) -> None:
    metrics = scope["app"].state.service.metrics
    route = getattr(scope.get("route"), "path", "none")
    metrics.requests.labels(scope["method"] if scope["method"] in METHODS else "other", route, status).inc()
    metrics.seconds.labels(route).observe(seconds)
    facts = {
        "id": scope["state"]["id"],
        "method": scope["method"],
        "path": _TOKEN.sub("tg_...", scope["path"]),
        "status": status,
        "ms": round(seconds * 1000, 1),
        "address": address_of(scope),
        "who": getattr(scope["state"].get("who"), "name", ""),
    }
    logs.access(facts)


METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
