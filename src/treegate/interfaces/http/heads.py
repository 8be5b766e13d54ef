"""HEAD: what GET would say, without its body (RFC 9110, section 9.3.2)."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

OWN = "/blobs/"  # whose HEAD is an operation of its own


class Heads:
    """Asks as GET, and ends once the head of the answer is there."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD" or scope["path"].startswith(OWN):
            await self._app(scope, receive, send)
            return
        asked = {**scope, "method": "GET"}

        async def tell(message: Message) -> None:
            await send(message)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            raise _Told

        try:
            await self._app(asked, receive, tell)
        except* _Told:  # a stream's comes in a group
            pass
        finally:
            scope["route"] = asked.get("route")


class _Told(Exception):
    """All that was asked for is said."""
