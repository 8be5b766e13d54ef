"""Stopping: streams end at once, other requests are finished, and what comes too late is told so."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from treegate.errors import Busy
from treegate.interfaces.crew.crew import Stopped
from treegate.interfaces.http import problems

MOST_OF_ONE = 16  # streams of events that one name has open


class TooManyStreams(Busy):
    """Somebody watches too much at a time."""

    code, http_status, retry_after = "too-many-streams", 429, 30
    headers: ClassVar = {"Connection": "close"}  # kept open, refused ones would take the places of others

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} has {MOST_OF_ONE} streams of events open", hint="end one of them, then ask again")


class Streams:
    """The requests that are answered by a stream, which would never end by itself; nobody has all the places."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._of: Counter[str] = Counter()  # how many each has, by name
        self.ended = False

    @contextmanager
    def place(self, name: str) -> Iterator[None]:
        """One of somebody's places, while a stream lasts; raises TooManyStreams where they have none left."""
        if self._of[name] >= MOST_OF_ONE:
            raise TooManyStreams(name)
        self._of[name] += 1
        try:
            yield
        finally:
            self._of -= Counter((name,))  # whoever has none left is forgotten

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
