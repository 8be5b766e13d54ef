"""The wire: connections that are let in only so long and so much, and a server that is told to stop twice.

The parser itself has no limit to what comes before a body, nor to how long that takes.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from http import HTTPStatus
from types import FrameType
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from treegate.engine.config import Service
from treegate.errors import TreegateError, UsageError
from treegate.interfaces.http import problems

MOST_HEAD = 64 << 10  # bytes of a request line and its headers
LONGEST_TARGET = 65_535  # bytes of a request's target that the parser can take apart
PATIENCE = 30.0  # seconds: until a head is whole, and until the next request on a connection begins
LINGER = 5.0  # seconds: for what is left of a body that was answered before it had come in
MOST_CONNECTIONS = 500


class Malformed(UsageError):
    """What came is no request."""

    code = "malformed-request"

    def __init__(self) -> None:
        super().__init__("this cannot be read as HTTP/1.1", hint="send a request as RFC 9112 has it")


class HeadTooLarge(UsageError):
    """More before the body than a request may have."""

    code, http_status = "head-too-large", 431

    def __init__(self) -> None:
        text = f"the request line and its headers have more than {MOST_HEAD:,} bytes"
        super().__init__(text, hint="send less of them: what is long belongs into a body")


class Connection(HttpToolsProtocol):
    """One connection; closed when a head is too large or too slow, or a body goes on after its answer."""

    _deadline: asyncio.TimerHandle | None = None
    _in_head = False
    _came = 0

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._close_after(PATIENCE)

    def connection_lost(self, exc: Exception | None) -> None:
        self._close_after(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._in_head:
            self._came += len(data)
            if self._came > MOST_HEAD and not self.transport.is_closing():
                self._refuse(HeadTooLarge())

    def send_400_response(self, msg: str) -> None:
        """What the parser stumbles over is told as everything else is."""
        self._refuse(HeadTooLarge() if len(self.url or b"") >= LONGEST_TARGET else Malformed())

    def _refuse(self, error: TreegateError) -> None:
        """A problem document, and the end of the connection: where the next request would begin, nobody knows."""
        answer = problems.answer(error)
        head = [f"HTTP/1.1 {error.http_status} {HTTPStatus(error.http_status).phrase}".encode()]
        head += [name + b": " + value for name, value in (*answer.raw_headers, (b"connection", b"close"))]
        self.transport.write(b"\r\n".join(head) + b"\r\n\r\n" + bytes(answer.body))
        self.transport.close()

    def on_message_begin(self) -> None:
        self._in_head, self._came = True, 0
        self._close_after(PATIENCE)
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._close_after(None)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        over = self.cycle is not None and self.cycle.response_complete and self.cycle.more_body
        super().on_message_complete()
        if over:
            self.transport.close()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if (
            self.cycle.response_complete and self.cycle.more_body
        ):  # closed at once, the answer would be lost with what is still on its way here
            self._close_after(LINGER)

    def _close_after(self, seconds: float | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if seconds is not None:
            self._deadline = self.loop.call_later(seconds, lambda: self.transport.close())


class Server(uvicorn.Server):
    """Stops when told to; told again, cuts off the requests that are still being answered."""

    def __init__(self, config: uvicorn.Config, told: Callable[[int], None]) -> None:
        super().__init__(config)
        self._told, self._times = told, 0

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Nothing is left for the signal's own effect: to be told to end is no failure."""
        self._times += 1
        self.should_exit = True
        if self._times > 1:
            for task in list(self.server_state.tasks):
                task.get_loop().call_soon_threadsafe(task.cancel)
        self._told(self._times)


def run(app: ASGIApp, found: socket.socket, config: Service, told: Callable[[int], None]) -> None:
    """Answers on a socket until told to stop; `told` hears of it, each time, in a signal handler."""
    server(app, config, told).run([found])


def server(app: ASGIApp, config: Service, told: Callable[[int], None]) -> Server:
    """What answers, with its limits; not begun yet."""
    settings = uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(config.proxies),
        forwarded_allow_ips=list(config.proxies),
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=max(1, config.shutdown_grace // 1000),
        timeout_keep_alive=int(PATIENCE),
    )
    return Server(settings, told)
