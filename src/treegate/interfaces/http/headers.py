"""What every response says to browsers: nothing from elsewhere, nothing inline, never in a frame."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
ALWAYS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_ALWAYS = [(name.lower().encode(), value.encode()) for name, value in ALWAYS.items()]
_KEPT_BY_NOBODY = [*_ALWAYS, (b"cache-control", b"no-store")]


class Headers:
    """Adds them to every response; what is not a file of the pages is not kept by anybody either."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                said = {name for name, _ in message["headers"]}
                also = _ALWAYS if scope["path"].startswith("/ui/static/") else _KEPT_BY_NOBODY
                message["headers"] = [*message["headers"], *(one for one in also if one[0] not in said)]
            await send(message)

        await self._app(scope, receive, told)
