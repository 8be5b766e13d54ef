"""Who may come in over HTTP: POST to one path, with the token of an author; all else is answered here."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from treegate.errors import Denied, NotFound, TreegateError, UsageError
from treegate.interfaces.http import problems
from treegate.interfaces.http.identity import Unknown
from treegate.interfaces.http.rates import bearer_alone
from treegate.interfaces.mcp.seat import Seat
from treegate.interfaces.mcp.seats import Seats

PATH = "/mcp"
SEAT = "treegate.seat"  # of a request's scope
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class OnlyPost(UsageError):
    """No session is kept, so there is nothing to GET or to DELETE."""

    code, http_status = "method-not-allowed", 405
    headers = {"Allow": "POST"}


class Guard:
    """Finds the seat of whoever asks, before anything of the request is read."""

    def __init__(self, app: App, seats: Seats) -> None:
        self._app, self._seats = app, seats

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                scope[SEAT] = await self._admitted(scope)
            except TreegateError as error:
                await problems.answer(error)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def _admitted(self, scope: Scope) -> Seat:
        if scope["path"] != PATH:
            raise NotFound("there is nothing here", code="not-found", hint=f"the server is at {PATH}")
        token = bearer_alone(scope)
        try:
            seat = await asyncio.to_thread(self._seats.of, token)  # a service may be asked
        except Denied as error:
            if error.code == "agent-not-author":
                raise
            raise Unknown(error.message, code=error.code, hint=error.hint, next=error.next) from None
        if scope["method"] != "POST":
            raise OnlyPost("no session is kept here", hint="every request is a POST")
        return seat
