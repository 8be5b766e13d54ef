"""/runs/{id}/…: what came of a run; runs proved by content, taken back and recovered by whatever is the last."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request, Response
from msgspec import Meta

from treegate.gate import Applied, Undo
from treegate.interfaces.http import answers
from treegate.interfaces.http.api.plans import PlanId
from treegate.interfaces.http.api.runs import RunId
from treegate.interfaces.http.api.shapes import Recover, Recovered, UndoPart
from treegate.interfaces.http.identity import Who
from treegate.interfaces.http.openapi import documented
from treegate.interfaces.http.repeating import Repeatable
from treegate.interfaces.http.service import TheService

router = APIRouter(tags=["runs"], route_class=Repeatable)
ENDS = (400, 404, 408, 409)


class UndoWhich(UndoPart, frozen=True, kw_only=True):
    """Which run to take back (the last one, if none is named), and what of it."""

    run: Annotated[str, Meta(max_length=64)] = ""


@router.get("/runs/{id}/applied", **documented(gives=Applied, refuses=(404, 409)))
async def applied(id: RunId, who: Who, service: TheService) -> Response:
    """What is to be said of a run, however far it is."""
    return answers.json(service.gate.acting_as(who).applied(id))


@router.get("/runs/{id}/outcome", **documented(gives=Applied, refuses=ENDS))
async def outcome(id: RunId, who: Who, service: TheService) -> Response:
    """What came of a run that was asked for: what it did, or why it failed, as a problem document.

    408 as long as it goes on.
    """
    return answers.json(service.gate.acting_as(who).outcome(id))


@router.post("/plans/{id}/apply-verified", **documented(repeats=True, gives=Applied, refuses=ENDS))
async def apply_verified(id: PlanId, who: Who, service: TheService) -> Response:
    """Carries out what was approved, and proves by content that nothing was lost; answers when it is done."""
    return answers.json(await service.crew.call(who, "apply", id, verify=True))


@router.post(
    "/undo", **documented(repeats=True, takes=UndoWhich, gives=Undo, status=201, headers=("Location",), refuses=ENDS)
)
async def undo_last(request: Request, who: Who, service: TheService) -> Response:
    """Submits the plan that takes a run back: the last one, if none is named."""
    asked = await answers.taken(request, UndoWhich)
    made = await service.crew.call(who, "undo", asked.run, asked.paths)
    return answers.json(made, 201, {"Location": f"/plans/{made.submitted.id}"})


@router.post("/recover", **documented(repeats=True, takes=Recover, gives=Recovered, refuses=ENDS))
async def recover_all(request: Request, who: Who, service: TheService) -> Response:
    """Brings every unfinished run to an end: forward if the tree lets it, or back."""
    asked = await answers.taken(request, Recover)
    return answers.json(Recovered(await service.crew.call(who, "recover", back=asked.back)))
