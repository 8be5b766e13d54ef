"""/ui/runs: what is under way, what was done, and how to take it back."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import RedirectResponse

from treegate.errors import PlanError
from treegate.interfaces.http.identity import Person
from treegate.interfaces.http.service import TheService
from treegate.interfaces.http.ui import pages
from treegate.model.actors import Action
from treegate.model.effects import Effect
from treegate.model.lifecycle import State
from treegate.model.names import visible

router = APIRouter(include_in_schema=False)
PAGE = 100  # effects of a run on one page, which can be picked there; runs, too
STATES = [State.APPLYING, State.NEEDS_RECOVERY, State.APPLIED, State.UNDONE, State.ROLLED_BACK, State.STALE]
KINDS = ["made", "moved", "copied", "created", "replaced", "deleted", "restored", "linked", "set"]
Place = Annotated[int, Query(ge=0, lt=1 << 31)]
Cursor = Annotated[int | None, Query(ge=0, lt=1 << 62)]
Ids = Annotated[list[str] | None, Form()]


@router.get("/ui/runs")
async def runs(
    request: Request, who: Person, service: TheService, case: str = "", state: str = "", before: Cursor = None
) -> Response:
    """Runs, newest first; `case` is written as the pages show it."""
    gate = service.gate.acting_as(who)
    known = [line.name for line in gate.list_cases()]
    name = next((one for one in known if visible(one) == case), case)
    found = gate.runs_page(name, state, before, PAGE)
    filters: dict[str, Any] = {"case": case, "wanted": state, "states": STATES, "known": known}
    lists: dict[str, Any] = {"runs": found.runs, "titles": found.titles, "before": before, "next": found.before}
    return pages.render(request, who, "runs.html", **lists, **filters)


@router.get("/ui/runs/{id}")
async def run(
    id: str, request: Request, who: Person, service: TheService, at: Place = 0, q: str = "", kind: str = ""
) -> Response:
    """How far a run is; then what it did, a page of its effects at a time."""
    gate = service.gate.acting_as(who)
    now, record = gate.progress(id), gate.run_record(id)
    ended = gate.applied(now.run) if now.state in {"applied", "undone"} else None
    values: dict[str, Any] = {"now": now, "record": record, "plan": record.plan, "applied": ended}
    if ended is not None:
        found = await service.effects.page(record.preview, at, PAGE, q, kind=kind if kind in KINDS else "")
        effects = [msgspec.json.decode(one, type=Effect) for one in found.effects]
        values |= {"effects": effects, "total": found.total, "next": found.next, "plain": _plain}
    values |= {"may_recover": who.may(Action.RECOVER, record.plan.cases), "at": at, "q": q, "kind": kind}
    return pages.render(request, who, "run.html", kinds=KINDS, page=PAGE, **values)


def _plain(effect: Effect) -> bool:
    """Whether a form can send the effect's path as it is; else its id stands for it."""
    return isinstance(effect.path, str) and visible(effect.path) == effect.path


@router.post("/ui/runs/{id}/undo")
async def undo(
    id: str,
    request: Request,
    who: Person,
    service: TheService,
    what: Annotated[str, Form()] = "",
    path: Ids = None,
    pick: Ids = None,
) -> Response:
    """Submits the plan that takes it back, or what was ticked of it; tells what falls with that, else goes there."""
    if what != "all" and not path and not pick:
        raise PlanError("nothing is ticked", code="nothing-ticked", hint="tick what to undo, or undo all of it")
    named = [] if what == "all" else [*(path or []), *service.gate.acting_as(who).places_of(id, pick or [])]
    made = await service.crew.call(who, "undo", id, named)
    if made.also:
        return pages.render(request, who, "undo.html", undo=made, most=PAGE)
    return RedirectResponse(f"/ui/plans/{made.submitted.id}", 303)


@router.post("/ui/runs/{id}/recover")
async def recover(id: str, who: Person, service: TheService, back: Annotated[str, Form()] = "") -> Response:
    """Brings a run that was stopped midway to an end."""
    await service.crew.call(who, "recover", id, back=bool(back))
    return RedirectResponse(f"/ui/runs/{id}", 303)
