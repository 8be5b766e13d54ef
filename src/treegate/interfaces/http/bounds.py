"""Bounds on what a request may bring: a body that is too large is refused before it is held."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from treegate.errors import UsageError
from treegate.gate import uploading
from treegate.interfaces.http import problems

MOST = 256 << 20  # bytes: a plan of a million operations
BLOBS = "/blobs/"  # whose bodies are never held: they have a bound of their own


class TooLarge(UsageError):
    """More than a request may bring."""

    code, http_status = "body-too-large", 413

    def __init__(self, most: int) -> None:
        super().__init__(f"the body has more than {most:,} bytes", hint="split the plan, or send contents as blobs")


class Bounds:
    """Counts a body as it comes in, whatever it says of its own length."""

    def __init__(self, app: ASGIApp, most: int = MOST) -> None:
        self._app, self._most = app, most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        length = Headers(scope=scope).get("content-length", "0")
        most = uploading.MOST if scope["path"].startswith(BLOBS) else self._most
        if length.isdigit() and int(length) > most:
            await problems.answer(TooLarge(most))(scope, receive, send)
            return
        came = 0

        async def counted() -> Message:
            nonlocal came
            message = await receive()
            came += len(message.get("body", b""))
            if came > most:
                raise TooLarge(most)
            return message

        await self._app(scope, counted, send)
