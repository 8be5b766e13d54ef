"""/ui/: what waits, for whom, what is paused or unfinished."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from treegate.interfaces.http.identity import Person
from treegate.interfaces.http.service import TheService
from treegate.interfaces.http.ui import pages

router = APIRouter(include_in_schema=False)
PAGE = 100  # plans of one list
Place = Annotated[int, Query(ge=0, lt=1 << 31)]


@router.get("/")
@router.get("/ui")
async def front() -> Response:
    """Whoever comes with a browser wants the pages."""
    return RedirectResponse("/ui/", 303)


@router.get("/ui/")
async def inbox(
    request: Request, who: Person, service: TheService, at: Place = 0, others: Place = 0, seen: int = -1
) -> Response:
    """What waits for me, oldest first; then for others. `seen` is the event up to which the asker knows all: 204."""
    head = service.gate.audit_head()  # before the rest: what comes in meanwhile is told the next time
    if seen == head:
        return Response(status_code=204)
    found = await service.crew.call(who, "status")
    mine = [item for item in found.waiting if item.mine]
    rest = [item for item in found.waiting if not item.mine]
    lists: dict[str, Any] = {"mine": mine, "others": rest, "at": at, "others_at": others}
    lists |= {"asks": [one for one in found.commands if one.mine]}
    lists |= {"running": [one for one in found.commands if not one.mine]}
    return pages.render(request, who, "inbox.html", status=found, head=head, page=PAGE, **lists)
