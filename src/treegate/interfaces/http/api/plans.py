"""/check and /plans: handed in, looked at, decided on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Request, Response

from treegate.engine.store.records import StoredPlan
from treegate.errors import Stale
from treegate.gate import Gate, Submitted
from treegate.gate.comparing import Comparison
from treegate.gate.plans import unpreviewed
from treegate.interfaces.http import answers, negotiation
from treegate.interfaces.http.api.shapes import (
    Approving,
    Commented,
    Decided,
    EffectsPage,
    Plans,
    Reduce,
    Revisions,
    SentBack,
)
from treegate.interfaces.http.identity import Who
from treegate.interfaces.http.openapi import documented
from treegate.interfaces.http.repeating import Repeatable
from treegate.interfaces.http.service import Service, TheService
from treegate.model.actors import Actor
from treegate.model.effects import EffectKind
from treegate.model.lifecycle import State
from treegate.model.plan import Document
from treegate.model.preview import Preview
from treegate.render import html, markdown, terminal

router = APIRouter(tags=["plans"], route_class=Repeatable)
PlanId = Annotated[str, Path(description="A plan's id, or a beginning of it that no other has.", max_length=64)]
IfMatch = Annotated[
    str | None, Header(alias="If-Match", description="The `ETag` of the revision that it comes on top of.")
]
IfNoneMatch = Annotated[
    str | None,
    Header(alias="If-None-Match", description="An `ETag` that the caller has: 304 where it is that still."),
]
Revision = Annotated[int | None, Query(ge=1, lt=1 << 31, description="A revision; without one, the newest.")]
From = Annotated[int | None, Query(alias="from", ge=1, lt=1 << 31, description="The revision to compare with.")]
States = Annotated[list[State] | None, Query(description="Only those in one of these states.")]
Case = Annotated[str | None, Query(max_length=255, description="Only what touches this case.")]
Cursor = Annotated[int | None, Query(ge=0, lt=1 << 53, description="Where to go on: `next` of the page before.")]
Limit = Annotated[int, Query(ge=1, le=500, description="The most that one page holds.")]
Draft = Annotated[bool, Query(description="Only store it; `refresh` previews it.")]
Place = Annotated[int, Query(ge=0, lt=1 << 53, description="The position to begin at: `next` of the page before.")]
Rows = Annotated[int, Query(ge=1, le=1000, description="The most that one page holds.")]
Kind = Annotated[EffectKind | None, Query(description="Only effects of this kind.")]
Words = Annotated[str, Query(max_length=200, description="Only those whose paths hold each of these words.")]
FACES = {
    "text/markdown": "The preview as a page of Markdown.",
    "text/html": "The preview as a page that stands for itself.",
    "text/plain": "The preview as a terminal shows it.",
}
_FACES: dict[str, Callable[[Preview], str]] = {
    "text/markdown": markdown.preview,
    "text/html": html.preview,
    "text/plain": partial(terminal.preview, width=100, color=False),
}


@router.post("/check", **documented(takes=Document, gives=Preview, refuses=(400, 404, 409)))
async def check(request: Request, who: Who, service: TheService) -> Response:
    """The preview of a plan, stored nowhere."""
    return answers.json(await service.crew.call(who, "check", await request.body()))


@router.post(
    "/plans",
    **documented(
        repeats=True, takes=Document, gives=Submitted, status=201, refuses=(400, 404, 409), headers=("Location",)
    ),
)
async def submit(request: Request, who: Who, service: TheService, draft: Draft = False) -> Response:
    """Stores a plan and its preview."""
    made = await service.crew.call(who, "submit", await request.body(), draft=draft)
    return answers.json(made, 201, {"Location": f"/plans/{made.id}"})


@router.put(
    "/plans/{id}",
    **documented(repeats=True, takes=Document, gives=Submitted, refuses=(400, 404, 409, 412), headers=("ETag",)),
)
async def revise(id: PlanId, request: Request, who: Who, service: TheService, match: IfMatch = None) -> Response:
    """A new revision of a plan; If-Match names the one before it, and another one is refused."""
    expected = negotiation.revision(match)
    try:
        made = await service.crew.call(who, "revise", id, await request.body(), expected)
    except Stale as error:
        raise _precondition(error) if expected is not None else error from None
    plan = service.gate.acting_as(who).plan(made.id)
    return answers.json(made, 200, {"ETag": negotiation.tag_of(plan)})


@router.get("/plans", **documented(gives=Plans))
async def plans(
    who: Who,
    service: TheService,
    state: States = None,
    case: Case = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """Plans, newest first; `next` is the cursor of the page after this one."""
    found, after = service.gate.acting_as(who).list_plans(state or (), case, limit, cursor)
    return answers.json(Plans(found, after))


@router.get("/plans/{id}", **documented(gives=StoredPlan, refuses=(304, 404, 409), headers=("ETag",)))
async def plan(id: PlanId, request: Request, who: Who, service: TheService, _: IfNoneMatch = None) -> Response:
    """Where a plan stands."""
    return standing(request, service.gate.acting_as(who), id)


def standing(request: Request, gate: Gate, id: str) -> Response:
    """Where a plan stands, under its tag."""
    found = gate.plan(id)
    return negotiation.tagged(request, answers.json(found), negotiation.tag_of(found))


@router.get("/plans/{id}/revisions", **documented(gives=Revisions, refuses=(404, 409)))
async def revisions(id: PlanId, who: Who, service: TheService) -> Response:
    """The revisions of a plan, oldest first."""
    gate = service.gate.acting_as(who)
    return answers.json(Revisions(gate.core.store.revisions(gate.plan(id).id)))


@router.get("/plans/{id}/diff", **documented(gives=Comparison, refuses=(400, 404, 409)))
async def diff(id: PlanId, who: Who, service: TheService, frm: From = None, to: Revision = None) -> Response:
    """How a revision differs from the newest; without `from`, what was approved from the tree as it is now."""
    return answers.json(await service.crew.call(who, "diff", id, frm, to))


@router.get(
    "/plans/{id}/preview",
    **documented(gives=Preview, media=FACES, refuses=(304, 404, 406, 409), headers=("ETag",)),
)
async def preview(id: PlanId, request: Request, who: Who, service: TheService, _: IfNoneMatch = None) -> Response:
    """The preview: JSON, Markdown, HTML or text, by `Accept`."""
    kind = negotiation.best(request, ["application/json", *FACES])
    made = await asyncio.to_thread(_face, service.gate.acting_as(who), id, kind)
    made.headers["Vary"] = "Accept"
    return negotiation.tagged(request, made)


@router.get("/plans/{id}/effects", **documented(gives=EffectsPage, refuses=(404, 409)))
async def effects(
    id: PlanId,
    who: Who,
    service: TheService,
    cursor: Place = 0,
    limit: Rows = 100,
    q: Words = "",
    kind: Kind = None,
) -> Response:
    """The effects in display order, paged; `q`: only those that hold each of its words, `kind`: only of this kind."""
    return await page_of(service, who, id, cursor, limit, q, kind)


async def page_of(
    service: Service, who: Actor, id: str, start: int, count: int, words: str, kind: EffectKind | None
) -> Response:
    """A page of the newest preview's effects; raises WrongState where there is no preview."""
    gate = service.gate.acting_as(who)
    found = gate.plan(id)
    stored = gate.core.store.preview(found.id)
    if stored is None:
        raise unpreviewed(found)
    page = await service.effects.page(stored, start, count, words, kind=kind or "")
    return Response(page.json(), media_type="application/json")


@router.post("/plans/{id}/validate", **documented(gives=Preview, refuses=(400, 404, 409)))
async def validate(id: PlanId, who: Who, service: TheService) -> Response:
    """The preview of a plan on the tree as it is now, stored nowhere."""
    document = await asyncio.to_thread(document_of, service.gate.acting_as(who), id)
    return answers.json(await service.crew.call(who, "check", document))


@router.post(
    "/plans/{id}/approve", **documented(repeats=True, takes=Approving, gives=StoredPlan, refuses=(400, 404, 409))
)
async def approve(id: PlanId, request: Request, who: Who, service: TheService) -> Response:
    """Approves exactly what `digest` names; with the last approval the run is asked for, where policy says so."""
    asked = await answers.taken(request, Approving)
    gate = service.gate.acting_as(who)
    found = await service.desk.do(
        gate.approve_and_ask, id, asked.digest, asked.comment, sample=asked.sample, typed=asked.typed
    )
    service.runner.wake()
    return answers.json(found)


@router.post(
    "/plans/{id}/reduce",
    **documented(
        repeats=True, takes=Reduce, gives=Submitted, status=201, refuses=(400, 404, 409), headers=("Location",)
    ),
)
async def reduce(id: PlanId, request: Request, who: Who, service: TheService) -> Response:
    """A new revision without the effects and patterns in `leave_out`, and what depends on them."""
    asked = await answers.taken(request, Reduce)
    made = await service.crew.call(who, "reduce", id, asked.leave_out, asked.digest)
    return answers.json(made, 201, {"Location": f"/plans/{made.id}"})


@router.post("/plans/{id}/refresh", **documented(repeats=True, gives=Submitted, refuses=(400, 404, 409)))
async def refresh(id: PlanId, who: Who, service: TheService) -> Response:
    """Previews a plan on the tree as it is now."""
    return answers.json(await service.crew.call(who, "refresh", id))


@router.post(
    "/plans/{id}/withdraw", **documented(repeats=True, takes=Commented, gives=StoredPlan, refuses=(400, 404, 409))
)
async def withdraw(id: PlanId, request: Request, who: Who, service: TheService) -> Response:
    """Takes a plan back before a run began on it."""
    asked = await answers.taken(request, Commented)
    return answers.json(await service.crew.call(who, "withdraw", id, asked.comment))


@router.post(
    "/plans/{id}/reject", **documented(repeats=True, takes=Decided, gives=StoredPlan, refuses=(400, 404, 409))
)
async def reject(id: PlanId, request: Request, who: Who, service: TheService) -> Response:
    """Turns down what `digest` names; the comment says why, and the same is refused from then on."""
    asked = await answers.taken(request, Decided)
    return answers.json(await service.desk.do(service.gate.acting_as(who).reject, id, asked.digest, asked.comment))


@router.post(
    "/plans/{id}/request-changes",
    **documented(repeats=True, takes=SentBack, gives=StoredPlan, refuses=(400, 404, 409)),
)
async def request_changes(id: PlanId, request: Request, who: Who, service: TheService) -> Response:
    """Sends what `digest` names back to its author; the comment says what to change."""
    asked = await answers.taken(request, SentBack)
    gate = service.gate.acting_as(who)
    return answers.json(await service.desk.do(gate.request_changes, id, asked.digest, asked.comment, asked.pins))


@router.post(
    "/plans/{id}/revoke", **documented(repeats=True, takes=Decided, gives=StoredPlan, refuses=(400, 404, 409))
)
async def revoke(id: PlanId, request: Request, who: Who, service: TheService) -> Response:
    """Takes one's own approval of what `digest` names back, as long as no run has begun on it."""
    asked = await answers.taken(request, Decided)
    return answers.json(await service.desk.do(service.gate.acting_as(who).revoke, id, asked.digest, asked.comment))


def document_of(gate: Gate, id: str) -> bytes:
    """The document of a plan, newest revision, as it was handed in: nothing of it is read."""
    plan = gate.plan(id)
    return gate.core.store.document(plan.id, plan.revision)


def _face(gate: Gate, id: str, kind: str) -> Response:
    """The preview of a plan as it is asked for; one of a large plan takes a while to be read and written."""
    shown = gate.show(id).preview
    return answers.json(shown) if kind == "application/json" else Response(_FACES[kind](shown), media_type=kind)


def _precondition(error: Stale) -> Stale:
    """The same refusal where it was If-Match that did not hold: RFC 9110 has a status of its own for that."""
    if error.code != negotiation.NotMatched.code:
        return error
    return negotiation.NotMatched(error.message, hint=error.hint, next=error.next)
