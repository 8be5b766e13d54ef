"""/ui/plans/…/picture: what a file looks like, small."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request, Response

from treegate.interfaces.http.identity import Person
from treegate.interfaces.http.service import TheService

router = APIRouter(include_in_schema=False)
HEADERS = {
    "Cache-Control": "private, no-cache",  # kept by the browser that saw it, and asked for again: files change
    "Content-Security-Policy": "default-src 'none'; sandbox",
}


@router.get("/ui/plans/{id}/effects/{effect}/picture")
async def picture(
    id: str, effect: str, request: Request, who: Person, service: TheService, old: bool = False
) -> Response:
    """The first page or the image that an effect is about; `old`: that of the file it replaces. 404 says why not."""
    found = await asyncio.to_thread(service.gate.acting_as(who).content, id, effect, old=old)
    with found.file:
        headers = {**HEADERS, "ETag": f'"{found.mark}"'}
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        return Response(await service.pictures.of(found), 200, headers, "image/webp")
