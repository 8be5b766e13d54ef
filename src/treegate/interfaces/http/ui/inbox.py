"""/ui/: what waits, for whom, what is paused or unfinished."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from treegate.interfaces.http.identity import Person
from treegate.interfaces.http.service import TheService
from treegate.interfaces.http.ui import pages

router = APIRouter(include_in_schema=False)


@router.get("/ui/")
async def inbox(request: Request, who: Person, service: TheService) -> Response:
    """What waits for me, oldest first; then what waits for others."""
    found = service.gate.acting_as(who).status()
    mine = [item for item in found.waiting if item.mine]
    others = [item for item in found.waiting if not item.mine]
    return pages.render(request, who, "inbox.html", status=found, mine=mine, others=others)
