"""Stopping: streams end at once, other requests are finished, and what comes too late is told so."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from treegate.errors import Busy
from treegate.interfaces.http import problems


class Stopped(Busy):
    """The service is being stopped."""

    code, http_status = "stopping", 503

    def __init__(self) -> None:
        super().__init__("the service is being stopped", hint="ask again once it is back; nothing was done")


class Streams:
    """The requests that are answered by a stream, which would never end by itself."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self.ended = False

    def end(self) -> None:
        """Ends them all, and each that is still to come."""
        self.ended = True
        for task in self._tasks:
            task.cancel()

    def add(self, task: asyncio.Task[Any]) -> None:
        self._tasks.add(task)
        if self.ended:
            task.cancel()

    def remove(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)


class Stopping:
    """Lets streams end as if they were over; a client that comes back goes on behind what it saw."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        task = asyncio.current_task()
        if scope["type"] != "http" or task is None:
            await self._app(scope, receive, send)
            return
        streams: Streams = scope["app"].state.service.streams
        begun = False

        async def told(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                if (b"content-type", b"text/event-stream; charset=utf-8") in message["headers"]:
                    streams.add(task)
            await send(message)

        try:
            await self._app(scope, receive, told)
        except asyncio.CancelledError:
            if not streams.ended:
                raise
            if begun:
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            else:
                await problems.refuse(scope, receive, send, Stopped())
        finally:
            streams.remove(task)
