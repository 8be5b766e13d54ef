"""/ui/runs: what is under way, what was done, and how to take it back."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from treegate.errors import PlanError
from treegate.interfaces.http.identity import Person
from treegate.interfaces.http.service import TheService
from treegate.interfaces.http.ui import pages
from treegate.model.actors import Action
from treegate.render import words

router = APIRouter(include_in_schema=False)
SHOWN = 100  # effects of a run that its page lists, and which can be picked


@router.get("/ui/runs")
async def runs(request: Request, who: Person, service: TheService) -> Response:
    """Runs, newest first."""
    return pages.render(request, who, "runs.html", runs=service.gate.acting_as(who).list_runs())


@router.get("/ui/runs/{id}")
async def run(id: str, request: Request, who: Person, service: TheService) -> Response:
    """How far a run is; then what it did."""
    gate = service.gate.acting_as(who)
    now = gate.progress(id)
    ended = gate.run(now.run) if now.state in {"applied", "undone"} else None
    effects = list(gate.effects(now.plan, 0, SHOWN)) if ended else []
    may_recover = who.may(Action.RECOVER) and now.state == "needs-recovery"
    values: dict[str, Any] = {"now": now, "plan": gate.plan(now.plan), "applied": ended, "effects": effects}
    return pages.render(request, who, "run.html", may_recover=may_recover, words=words, **values)


@router.post("/ui/runs/{id}/undo")
async def undo(
    id: str,
    who: Person,
    service: TheService,
    what: Annotated[str, Form()] = "",
    path: Annotated[list[str] | None, Form()] = None,
) -> Response:
    """Submits the plan that takes it back, or what was ticked of it; goes on to its review."""
    if what != "all" and not path:
        raise PlanError("nothing is ticked", code="nothing-ticked", hint="tick what to undo, or undo all of it")
    made = await service.crew.call(who, "undo", id, [] if what == "all" else path)
    return RedirectResponse(f"/ui/plans/{made.submitted.id}", 303)


@router.post("/ui/runs/{id}/recover")
async def recover(id: str, who: Person, service: TheService, back: Annotated[str, Form()] = "") -> Response:
    """Brings a run that was stopped midway to an end."""
    await service.crew.call(who, "recover", id, back=bool(back))
    return RedirectResponse(f"/ui/runs/{id}", 303)
