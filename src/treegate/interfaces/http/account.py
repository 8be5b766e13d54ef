"""An account of every request: an id, how long it took, a line of JSON; never a content, a query or a token."""

from __future__ import annotations

import json
import logging
import re
import secrets
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_log = logging.getLogger("treegate.access")
_FIT = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Account:
    """Gives each request its id, the caller's own where that is fit to be logged, and counts it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        id, began, status = given if _FIT.fullmatch(given) else secrets.token_hex(8), time.perf_counter(), 500

        async def told(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = id
            await send(message)

        try:
            await self._app(scope, receive, told)
        finally:
            seconds = time.perf_counter() - began
            metrics = scope["app"].state.service.metrics
            metrics.requests.labels(status).inc()
            metrics.seconds.observe(seconds)
            told_of = {"id": id, "method": scope["method"], "path": scope["path"], "status": status}
            _log.info(json.dumps({**told_of, "ms": round(seconds * 1000, 1)}))
