"""Bounds on what a request may bring: a body that is too large, or comes too slowly, is refused before it is held."""

from __future__ import annotations

import asyncio
import re
import time

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from treegate.engine.config import Service
from treegate.errors import TreegateError, UsageError
from treegate.gate import uploading
from treegate.interfaces.http import problems

BLOBS = "/blobs/"  # whose bodies are never held: they have a bound of their own
SMALL = 4 << 20  # bytes: a decision, or a form in which 100,000 rows are ticked
MOST_FIELDS = 100_100  # of a form: those ticks, and what else it holds
PATIENCE = 30.0  # seconds: the longest silence within a body, and the time before its pace is looked at
_LARGE = re.compile(r"POST /(check|plans|policy/explain|cases/[^/]+/[a-z-]+)|PUT /plans/[^/]+")  # plans, or sheets


class TooLarge(UsageError):
    """More than a request may bring."""

    code, http_status = "body-too-large", 413

    def __init__(self, most: int) -> None:
        super().__init__(f"the body has more than {most:,} bytes", hint="split the plan, or send contents as blobs")


class TooSlow(UsageError):
    """A body that does not come in as fast as it must."""

    code, http_status = "upload-too-slow", 408

    def __init__(self, pace: int) -> None:
        text = f"the body stopped, or comes in at less than {pace:,} bytes a second"
        super().__init__(text, hint="send it again over a better line; nothing of it was kept")


class Bounds:
    """Counts a body as it comes in, whatever it says of its own length."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        config: Service = scope["app"].state.service.config
        most = _most(scope, config)
        length = Headers(scope=scope).get("content-length", "0")
        if length.isdigit() and int(length) > most:
            await problems.refuse(scope, receive, send, TooLarge(most))
            return
        body = _Body(receive, send, most, config.upload_pace)
        await self._app(scope, body.receive, body.send)
        if body.refused is not None and not body.answered:
            await problems.refuse(scope, receive, send, body.refused)


def _most(scope: Scope, config: Service) -> int:
    """How many bytes a body may have, by what it is sent to."""
    if scope["path"].startswith(BLOBS):
        return uploading.MOST
    return config.body if _LARGE.fullmatch(f"{scope['method']} {scope['path']}") else min(SMALL, config.body)


class _Body:
    """One body on its way in. Once it is refused, what the application makes of that is not sent."""

    def __init__(self, receive: Receive, send: Send, most: int, pace: int) -> None:
        self._receive, self._send, self._most, self._pace = receive, send, most, pace
        self._came, self._waited, self._whole = 0, 0.0, False
        self.refused: TreegateError | None = None
        self.answered = False

    async def receive(self) -> Message:
        if self._whole:  # only a disconnect can come now, and may take as long as the answer does
            return await self._receive()
        began = time.monotonic()
        try:
            message = await asyncio.wait_for(self._receive(), PATIENCE)
        except TimeoutError:
            raise self._refuse(TooSlow(self._pace)) from None
        self._waited += time.monotonic() - began
        self._came += len(message.get("body", b""))
        self._whole = not message.get("more_body", False)
        if self._came > self._most:
            raise self._refuse(TooLarge(self._most))
        if not self._whole and self._waited > PATIENCE and self._came < self._pace * self._waited:
            raise self._refuse(TooSlow(self._pace))
        return message

    async def send(self, message: Message) -> None:
        if self.refused is None or self.answered:
            self.answered = True
            await self._send(message)

    def _refuse(self, error: TreegateError) -> TreegateError:
        self.refused = error
        return error
