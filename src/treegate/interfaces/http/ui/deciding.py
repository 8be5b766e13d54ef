"""The decisions that the review page sends: each on the digest that it showed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from treegate.errors import PlanError
from treegate.gate import Gate
from treegate.interfaces.http.identity import Person
from treegate.interfaces.http.service import TheService
from treegate.interfaces.http.ui import pages
from treegate.render import words

router = APIRouter(include_in_schema=False)
Text = Annotated[str, Form()]
Ids = Annotated[list[str] | None, Form()]


@router.post("/ui/plans/{id}/approve")
async def approve(
    id: str,
    request: Request,
    who: Person,
    service: TheService,
    digest: Text = "",
    comment: Text = "",
    sample: Text = "",
    typed: Text = "",
    leave: Ids = None,
) -> Response:
    """Approves what the page showed; says so instead where something is ticked, or the tree moved on meanwhile."""
    if leave:
        text = f"something is ticked ({words.number(len(leave))}), and would be approved with the rest"
        hint = "go back and leave out what is ticked, or untick it; nothing was decided"
        raise PlanError(text, code="still-ticked", hint=hint)
    gate = service.gate.acting_as(who)
    moved_on = await service.crew.call(who, "moved_on", id)
    if moved_on:
        return pages.render(request, who, "moved.html", 409, shown=gate.show(id), moved_on=moved_on)
    plan = await service.desk.do(
        gate.approve_and_ask, id, digest, comment, sample=_count(sample), typed=_count(typed)
    )
    service.runner.wake()
    return RedirectResponse(_run_page(gate, plan.id) or f"/ui/plans/{plan.id}", 303)


@router.post("/ui/plans/{id}/reject")
async def reject(id: str, who: Person, service: TheService, digest: Text = "", comment: Text = "") -> Response:
    """Turns down what the page showed."""
    return _back((await service.desk.do(service.gate.acting_as(who).reject, id, digest, comment)).id)


@router.post("/ui/plans/{id}/request-changes")
async def request_changes(
    id: str, who: Person, service: TheService, digest: Text = "", comment: Text = "", leave: Ids = None
) -> Response:
    """Sends what the page showed back to its author; what is ticked is what the comment is about."""
    gate = service.gate.acting_as(who)
    return _back((await service.desk.do(gate.request_changes, id, digest, comment, leave or [])).id)


@router.post("/ui/plans/{id}/revoke")
async def revoke(id: str, who: Person, service: TheService, digest: Text = "", comment: Text = "") -> Response:
    """Takes one's own approval back."""
    return _back((await service.desk.do(service.gate.acting_as(who).revoke, id, digest, comment)).id)


@router.post("/ui/plans/{id}/withdraw")
async def withdraw(id: str, who: Person, service: TheService) -> Response:
    """Takes the whole plan back."""
    return _back((await service.desk.do(service.gate.acting_as(who).withdraw, id)).id)


@router.post("/ui/plans/{id}/seen")
async def seen(id: str, who: Person, service: TheService, digest: Text = "") -> Response:
    """Notes that what the page showed was read."""
    await service.desk.do(service.gate.acting_as(who).note_seen, id, digest)
    return _back(id)


@router.post("/ui/plans/{id}/refresh")
async def refresh(id: str, who: Person, service: TheService) -> Response:
    """Previews the plan on the tree as it is now."""
    return _back((await service.crew.call(who, "refresh", id)).id)


@router.post("/ui/plans/{id}/apply")
async def apply(id: str, who: Person, service: TheService) -> Response:
    """Asks for the run of what was approved."""
    job = await service.desk.do(service.gate.acting_as(who).ask, id)
    service.runner.wake()
    return RedirectResponse(f"/ui/runs/{job.run}", 303)


@router.post("/ui/plans/{id}/leave-out")
async def leave_out(
    id: str, request: Request, who: Person, service: TheService, digest: Text = "", leave: Ids = None
) -> Response:
    """What leaving things out comes to, to be confirmed."""
    if not leave:
        raise PlanError("nothing is ticked", code="nothing-ticked", hint="go back and tick what to leave out")
    found = await service.crew.call(who, "reduction", id, leave or [], digest)
    return pages.render(request, who, "reduce.html", reduced=found, leave=leave or [])


@router.post("/ui/plans/{id}/reduce")
async def reduce(id: str, who: Person, service: TheService, digest: Text = "", leave: Ids = None) -> Response:
    """A new revision without them."""
    return _back((await service.crew.call(who, "reduce", id, leave or [], digest)).id)


def _count(text: str) -> int | None:
    """A number that a person or the page itself wrote; None for anything else."""
    plain = "".join(char for char in text if char not in " ,.'\u202f\u00a0")
    return int(plain) if plain.isascii() and plain.isdigit() and len(plain) < 16 else None


def _run_page(gate: Gate, plan: str) -> str:
    """Where the run is watched that the last approval began; "" where it began none."""
    job = gate.asked(plan)
    return f"/ui/runs/{job.run}" if job is not None else ""


def _back(id: str) -> Response:
    return RedirectResponse(f"/ui/plans/{id}", 303)
