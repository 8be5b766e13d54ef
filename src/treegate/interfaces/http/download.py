"""Files sent as they are: streamed, in part where a part is asked for, and never shown by a browser in our name."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator
from typing import BinaryIO
from urllib.parse import quote

from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from treegate.errors import UsageError
from treegate.gate.files import Opened
from treegate.interfaces.http.negotiation import unchanged

CHUNK = 256 << 10  # bytes read at once
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


class OutOfRange(UsageError):
    """The file does not reach as far as is asked."""

    code, http_status = "range-not-satisfiable", 416


class Download(StreamingResponse):
    """An open file on its way out; however that ends, it is closed."""

    def __init__(self, file: BinaryIO, part: range, status: int, headers: dict[str, str]) -> None:
        super().__init__(_chunks(file, part), status, headers, "application/octet-stream")
        self._file = file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._file.close()


def send(request: Request, found: Opened) -> Response:
    """A file as an attachment, whole or the one part that `Range` asks for (RFC 9110, 14); raises OutOfRange."""
    try:
        headers = {
            "ETag": f'"{found.mark}"',
            "Accept-Ranges": "bytes",
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(found.name, errors='replace')}",
        }
        if unchanged(request, found.mark):
            found.file.close()
            return Response(status_code=304, headers=headers)
        part = _part(request, found)
        told = {**headers, "Content-Length": str(len(part or range(found.size)))}
        if part is None:
            return Download(found.file, range(found.size), 200, told)
        told["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{found.size}"
        return Download(found.file, part, 206, told)
    except BaseException:
        found.file.close()
        raise


def _part(request: Request, found: Opened) -> range | None:
    """The bytes that are asked for; None for all of them, as also where several parts are, or it is another file."""
    asked = _RANGE.fullmatch(request.headers.get("range", "").replace(" ", ""))
    if (
        asked is None
        or asked.group() == "bytes=-"
        or request.headers.get("if-range", f'"{found.mark}"') != f'"{found.mark}"'
    ):
        return None
    first, last = asked.groups()
    if not first:
        start, stop = max(0, found.size - int(last)), found.size
    else:
        start, stop = int(first), min(int(last) + 1 if last else found.size, found.size)
    if first and last and int(last) < int(first):
        return None  # no range at all (14.1.1), so it is as if there were none
    if start >= stop:
        text = f"the file has {found.size:,} bytes"
        raise OutOfRange(text, hint="ask for a part that it has, or for all of it")
    return range(start, stop)


async def _chunks(file: BinaryIO, part: range) -> AsyncIterator[bytes]:
    """The bytes of a part; it ends early where the file became shorter meanwhile, which the length then shows."""
    at = part.start
    while at < part.stop:
        data = await asyncio.to_thread(os.pread, file.fileno(), min(CHUNK, part.stop - at), at)
        if not data:
            return
        at += len(data)
        yield data
