"""/blobs: contents that are sent before the plan that names them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from treegate.interfaces.http import answers
from treegate.interfaces.http.api.shapes import Blob
from treegate.interfaces.http.identity import Who
from treegate.interfaces.http.openapi import documented
from treegate.interfaces.http.service import TheService

router = APIRouter(tags=["blobs"])
Sha256 = Annotated[
    str, Path(pattern="^[0-9a-f]{64}$", description="The SHA-256 of the content, in hexadecimal digits.")
]
AT_ONCE = 1 << 20  # bytes that are written at once


@router.put("/blobs/{sha256}", **documented(brings="The content.", gives=Blob, also=(201,), refuses=(400, 409)))
async def upload(sha256: Sha256, request: Request, who: Who, service: TheService) -> Response:
    """Takes a content in: 201 where it is new, 200 where it was there.

    A plan may then name it as `"blob": "sha256:..."`. It is kept for a day, and then as long as a plan that may still
    be carried out names it. What is cut off, or is not what its name says, leaves nothing.
    """
    incoming = service.gate.acting_as(who).upload(sha256)
    with contextlib.closing(incoming):
        async for data in _gathered(request.stream()):
            await asyncio.to_thread(incoming.write, data)
        new = await asyncio.to_thread(incoming.keep)
        return answers.json(Blob(blob=f"sha256:{sha256}", size=incoming.size), 201 if new else 200)


@router.head("/blobs/{sha256}", **documented(refuses=(404,)))
async def blob(sha256: Sha256, who: Who, service: TheService) -> Response:
    """Whether a content was sent; `Content-Length` is its size."""
    size = service.gate.acting_as(who).blob_size(sha256)
    return Response(headers={"Content-Length": str(size)}, media_type="application/octet-stream")


async def _gathered(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes in larger pieces: fewer trips to the disk."""
    held = bytearray()
    async for data in stream:
        held += data
        if len(held) >= AT_ONCE:
            yield bytes(held)
            held.clear()
    yield bytes(held)
