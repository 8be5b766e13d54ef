"""/ui/plans/…: a plan as it is reviewed, and the decisions on it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import RedirectResponse

from treegate.gate import Gate, Shown
from treegate.interfaces.http.identity import Person
from treegate.interfaces.http.service import TheService
from treegate.interfaces.http.ui import pages
from treegate.model.actors import Action, Actor
from treegate.model.lifecycle import State
from treegate.model.preview import Counts
from treegate.render import grave, words

router = APIRouter(include_in_schema=False)
PAGE = 100  # rows of effects
Text = Annotated[str, Form()]
Ids = Annotated[list[str] | None, Form()]


@router.get("/ui/plans/{id}")
async def review(
    id: str, request: Request, who: Person, service: TheService, at: Annotated[int, Query(ge=0, lt=1 << 31)] = 0
) -> Response:
    """The plan: what it would do, gravest first; `at` is where the table of all effects begins."""
    gate = service.gate.acting_as(who)
    shown = gate.show(id)
    return pages.render(
        request,
        who,
        "review.html",
        shown=shown,
        preview=shown.preview,
        lots=grave.lots(shown.preview),
        effects=list(gate.effects(shown.plan.id, at, PAGE)),
        at=at,
        page=PAGE,
        decides=_decides(who, shown),
        approves=approves(shown.preview.counts),
        words=words,
        decisions=gate.core.store.decisions(shown.plan.id),
    )


@router.post("/ui/plans/{id}/approve")
async def approve(id: str, who: Person, service: TheService, digest: Text = "", comment: Text = "") -> Response:
    """Approves what the page showed; goes on to the run, where that began one."""
    gate = service.gate.acting_as(who)
    plan = gate.approve_and_ask(id, digest, comment)
    service.runner.wake()
    return RedirectResponse(_run_page(gate, plan.id) or f"/ui/plans/{plan.id}", 303)


@router.post("/ui/plans/{id}/reject")
async def reject(id: str, who: Person, service: TheService, digest: Text = "", comment: Text = "") -> Response:
    """Turns down what the page showed."""
    return _back(service.gate.acting_as(who).reject(id, digest, comment).id)


@router.post("/ui/plans/{id}/request-changes")
async def request_changes(
    id: str, who: Person, service: TheService, digest: Text = "", comment: Text = ""
) -> Response:
    """Sends what the page showed back to its author."""
    return _back(service.gate.acting_as(who).request_changes(id, digest, comment).id)


@router.post("/ui/plans/{id}/refresh")
async def refresh(id: str, who: Person, service: TheService) -> Response:
    """Previews the plan on the tree as it is now."""
    return _back((await service.crew.call(who, "refresh", id)).id)


@router.post("/ui/plans/{id}/apply")
async def apply(id: str, who: Person, service: TheService) -> Response:
    """Asks for the run of what was approved."""
    job = service.gate.acting_as(who).ask(id)
    service.runner.wake()
    return RedirectResponse(f"/ui/runs/{job.run}", 303)


@router.post("/ui/plans/{id}/leave-out")
async def leave_out(
    id: str, request: Request, who: Person, service: TheService, digest: Text = "", leave: Ids = None
) -> Response:
    """What leaving things out comes to, to be confirmed."""
    found = await service.crew.call(who, "reduction", id, leave or [], digest)
    return pages.render(request, who, "reduce.html", reduced=found, leave=leave or [])


@router.post("/ui/plans/{id}/reduce")
async def reduce(id: str, who: Person, service: TheService, digest: Text = "", leave: Ids = None) -> Response:
    """A new revision without them."""
    return _back((await service.crew.call(who, "reduce", id, leave or [], digest)).id)


@router.get("/ui/plans/{id}/effects/{effect}")
async def difference(id: str, effect: str, request: Request, who: Person, service: TheService) -> Response:
    """What an effect does to the content of its file."""
    found = await service.crew.call(who, "text_difference", id, effect)
    return pages.render(request, who, "difference.html", id=id, difference=found)


def approves(counts: Counts) -> str:
    """What the button says that it does: "4,998 moves, 2 replacements"."""
    named = [
        (counts.deleted, "deletion"),
        (counts.replaced, "replacement"),
        (counts.moved, "move"),
        (counts.copied, "copy"),
        (counts.created + counts.made + counts.linked, "new entry"),
        (counts.restored, "restored entry"),
        (counts.set, "change of mode or time"),
    ]
    plurals = {"copy": "copies", "new entry": "new entries", "restored entry": "restored entries"}
    told = [words.plural(count, one, plurals.get(one, "")) for count, one in named if count]
    return ", ".join(told) or "no change"


def _decides(who: Actor, shown: Shown) -> bool:
    """Whether to offer decisions; the gate says no to whoever sends them nevertheless."""
    waits = shown.plan.state in {State.PENDING, State.APPROVED, State.CHANGES_REQUESTED}
    return waits and who.may(Action.DECIDE, shown.plan.cases)


def _run_page(gate: Gate, plan: str) -> str:
    shown = gate.show(plan)
    if shown.run is not None:
        return f"/ui/runs/{shown.run.id}"
    return (
        f"/ui/runs/{gate.ask(plan).run}" if shown.plan.state is State.APPROVED and gate.applies_on_approval() else ""
    )


def _back(id: str) -> Response:
    return RedirectResponse(f"/ui/plans/{id}", 303)
