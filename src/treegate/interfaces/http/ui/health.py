"""/ui/health: what the workspace needs, what is under way, held, paused or stopped."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from treegate.gate import Gate
from treegate.interfaces.http.identity import Person
from treegate.interfaces.http.service import TheService
from treegate.interfaces.http.ui import pages
from treegate.model.actors import Action
from treegate.model.names import visible

router = APIRouter(include_in_schema=False)
Text = Annotated[str, Form()]
MAY = {"may_pause": Action.PAUSE, "may_recover": Action.RECOVER}


@router.get("/ui/health")
async def health(request: Request, who: Person, service: TheService, stories: bool = False) -> Response:
    """How the workspace does; `stories`: also whether store, journals, vaults and tree tell one story."""
    gate = service.gate.acting_as(who)
    asked = ["condition", "doctor"] if who.cases is None else ["condition"]
    now, *findings = await asyncio.gather(*(service.crew.call(who, one) for one in asked))
    told = await service.crew.call(who, "fsck", dry=True) if stories else None
    values: dict[str, Any] = {"now": now, "findings": findings[0] if findings else [], "told": told}
    values["whole"] = who.cases is None
    values |= {name: who.may(action) for name, action in MAY.items()}
    return pages.render(request, who, "health.html", known=_pausable(gate), **values)


@router.post("/ui/health/pause")
async def pause(who: Person, service: TheService, case: Text = "", comment: Text = "") -> Response:
    """Keeps runs from beginning on a case, or anywhere."""
    gate = service.gate.acting_as(who)
    await service.desk.do(gate.pause, _named(gate, case), comment.strip())
    return RedirectResponse("/ui/health#pauses", 303)


@router.post("/ui/health/resume")
async def resume(who: Person, service: TheService, case: Text = "") -> Response:
    """Lifts the pause of a case, or that of the whole workspace."""
    gate = service.gate.acting_as(who)
    await service.desk.do(gate.resume, _named(gate, case))
    service.runner.wake()
    return RedirectResponse("/ui/health#pauses", 303)


def _pausable(gate: Gate) -> list[str]:
    return [line.name for line in gate.list_cases() if line.there and line.paused is None]


def _named(gate: Gate, shown: str) -> str | None:
    """The case that a form names, written as the pages show names; None for the whole workspace."""
    if not shown:
        return None
    return next((line.name for line in gate.list_cases() if visible(line.name) == shown), shown)
