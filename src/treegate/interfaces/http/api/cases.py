"""/cases: which there are, what their folders hold, what is in a file."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from treegate.gate.files import Files
from treegate.interfaces.http import answers, download
from treegate.interfaces.http.api.plans import IfNoneMatch
from treegate.interfaces.http.api.shapes import Cases
from treegate.interfaces.http.identity import Who
from treegate.interfaces.http.openapi import documented
from treegate.interfaces.http.service import TheService

router = APIRouter(tags=["cases"])
CaseName = Annotated[str, Path(max_length=1024, description="The name of a case.")]
Prefix = Annotated[str, Query(max_length=8192, description="A folder of the case; without one, the case itself.")]
FilePath = Annotated[str, Query(min_length=1, max_length=8192, description="The path of a file within the case.")]
After = Annotated[str, Query(max_length=1024, description="Where to go on: `next` of the page before.")]
Most = Annotated[int, Query(ge=1, le=1000, description="The most that one page holds.")]
AsBytes = Annotated[
    bool, Query(alias="raw", description="Case and path are percent-encoded bytes, for other names than UTF-8.")
]
BYTES = {"application/octet-stream": "The bytes of the file."}


@router.get("/cases", **documented(gives=Cases))
async def cases(who: Who, service: TheService) -> Response:
    """The cases that the actor sees, with the plans that wait there."""
    return answers.json(Cases(service.gate.acting_as(who).cases()))


@router.get("/cases/{case}/files", **documented(gives=Files, refuses=(404, 409)))
async def files(
    case: CaseName,
    who: Who,
    service: TheService,
    prefix: Prefix = "",
    cursor: After = "",
    limit: Most = 100,
    raw: AsBytes = False,
) -> Response:
    """What one folder of a case holds, in byte order."""
    gate = service.gate.acting_as(who)
    return answers.json(await asyncio.to_thread(gate.files, case, prefix, cursor=cursor, limit=limit, raw=raw))


@router.get(
    "/cases/{case}/content",
    **documented(media=BYTES, also=(206,), refuses=(304, 404, 409, 416), headers=("ETag",)),
)
async def content(
    case: CaseName,
    path: FilePath,
    request: Request,
    who: Who,
    service: TheService,
    raw: AsBytes = False,
    _: IfNoneMatch = None,
) -> Response:
    """The bytes of a regular file, always as an attachment; one `Range` is honoured.

    No link is followed, neither of the file nor on the way to it.
    """
    gate = service.gate.acting_as(who)
    return download.send(request, await asyncio.to_thread(gate.open_file, case, path, raw=raw))
