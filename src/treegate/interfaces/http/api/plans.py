"""/check and /plans: handed in, looked at, decided on."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response

from treegate.errors import NotFound, UsageError
from treegate.interfaces.http import answers
from treegate.interfaces.http.identity import Who
from treegate.interfaces.http.service import TheService
from treegate.model.lifecycle import State
from treegate.render import markdown, terminal

router = APIRouter(tags=["plans"])
IfMatch = Annotated[str | None, Header(alias="If-Match")]
From = Annotated[int | None, Query(alias="from")]


@router.post("/check")
async def check(request: Request, who: Who, service: TheService) -> Response:
    """The preview of a plan, stored nowhere."""
    return answers.json(await service.crew.call(who, "check", await request.body()))


@router.post("/plans", status_code=201)
async def submit(request: Request, who: Who, service: TheService, draft: bool = False) -> Response:
    """Stores a plan and its preview."""
    made = await service.crew.call(who, "submit", await request.body(), draft=draft)
    return answers.json(made, 201, {"Location": f"/plans/{made.id}"})


@router.put("/plans/{id}")
async def revise(id: str, request: Request, who: Who, service: TheService, match: IfMatch = None) -> Response:
    """A new revision of a plan; If-Match names the one before it, and another one is refused."""
    made = await service.crew.call(who, "revise", id, await request.body(), _revision(match))
    return answers.json(made, 200, {"ETag": f'"{made.revision}"'})


@router.get("/plans")
async def plans(
    who: Who,
    service: TheService,
    state: Annotated[list[State] | None, Query()] = None,
    case: str | None = None,
    cursor: Annotated[int | None, Query(ge=0, lt=1 << 53)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> Response:
    """Plans, newest first; `next` is the cursor of the page after this one."""
    found, after = service.gate.acting_as(who).list_plans(state or (), case, limit, cursor)
    return answers.json({"plans": found, "next": after})


@router.get("/plans/{id}")
async def plan(id: str, who: Who, service: TheService) -> Response:
    """Where a plan stands."""
    found = service.gate.acting_as(who).plan(id)
    return answers.json(found, 200, {"ETag": f'"{found.revision}"'})


@router.get("/plans/{id}/revisions")
async def revisions(id: str, who: Who, service: TheService) -> Response:
    """The revisions of a plan, oldest first."""
    gate = service.gate.acting_as(who)
    return answers.json({"revisions": gate.core.store.revisions(gate.plan(id).id)})


@router.get("/plans/{id}/diff")
async def diff(id: str, who: Who, service: TheService, frm: From = None, to: int | None = None) -> Response:
    """How a revision differs from the newest; without `from`, what was approved from the tree as it is now."""
    return answers.json(await service.crew.call(who, "diff", id, frm, to))


@router.get("/plans/{id}/preview")
async def preview(id: str, request: Request, who: Who, service: TheService) -> Response:
    """The preview: JSON, Markdown or text, by Accept."""
    shown = service.gate.acting_as(who).show(id)
    headers = {"Vary": "Accept", "ETag": f'"{shown.preview.digest}"'}
    wanted = request.headers.get("accept", "*/*")
    if "text/markdown" in wanted:
        return Response(markdown.preview(shown.preview), 200, headers, "text/markdown; charset=utf-8")
    if "text/plain" in wanted:
        return Response(
            terminal.preview(shown.preview, width=100, color=False), 200, headers, "text/plain; charset=utf-8"
        )
    return answers.json(shown.preview, 200, headers)


@router.get("/plans/{id}/effects")
async def effects(
    id: str,
    who: Who,
    service: TheService,
    cursor: Annotated[int, Query(ge=0, lt=1 << 53)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    q: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """The effects in display order, paged; `q`: only those that hold each of its words."""
    gate = service.gate.acting_as(who)
    stored = gate.core.store.preview(gate.plan(id).id)
    if stored is None:
        raise NotFound(f"plan {id} was never previewed", code="not-previewed", next=f"treegate refresh {id}")
    return answers.json(await service.effects.page(stored, cursor, limit, q))


@router.post("/plans/{id}/validate")
async def validate(id: str, who: Who, service: TheService) -> Response:
    """The preview of a plan on the tree as it is now, stored nowhere."""
    document = service.gate.acting_as(who).document(id).document
    return answers.json(await service.crew.call(who, "check", document))


@router.post("/plans/{id}/approve")
async def approve(id: str, request: Request, who: Who, service: TheService) -> Response:
    """Approves exactly what `digest` names; with the last approval the run is asked for, where policy says so."""
    digest, comment = await _decision(request)
    found = await service.desk.do(service.gate.acting_as(who).approve_and_ask, id, digest, comment)
    service.runner.wake()
    return answers.json(found)


@router.post("/plans/{id}/reduce", status_code=201)
async def reduce(id: str, request: Request, who: Who, service: TheService) -> Response:
    """A new revision without the effects and patterns in `leave_out`, and what depends on them."""
    asked = await answers.object_in(request)
    leave = answers.texts(asked, "leave_out")
    return answers.json(await service.crew.call(who, "reduce", id, leave, answers.text(asked, "digest")), 201)


@router.post("/plans/{id}/refresh")
async def refresh(id: str, who: Who, service: TheService) -> Response:
    """Previews a plan on the tree as it is now."""
    return answers.json(await service.crew.call(who, "refresh", id))


@router.post("/plans/{id}/withdraw")
async def withdraw(id: str, request: Request, who: Who, service: TheService) -> Response:
    """Takes a plan back before a run began on it."""
    comment = answers.text(await answers.object_in(request), "comment")
    return answers.json(await service.crew.call(who, "withdraw", id, comment))


@router.post("/plans/{id}/reject")
async def reject(id: str, request: Request, who: Who, service: TheService) -> Response:
    """Turns down what `digest` names; the comment says why, and the same is refused from then on."""
    digest, comment = await _decision(request)
    return answers.json(await service.desk.do(service.gate.acting_as(who).reject, id, digest, comment))


@router.post("/plans/{id}/request-changes")
async def request_changes(id: str, request: Request, who: Who, service: TheService) -> Response:
    """Sends what `digest` names back to its author; the comment says what to change."""
    digest, comment = await _decision(request)
    return answers.json(await service.desk.do(service.gate.acting_as(who).request_changes, id, digest, comment))


@router.post("/plans/{id}/revoke")
async def revoke(id: str, request: Request, who: Who, service: TheService) -> Response:
    """Takes one's own approval of what `digest` names back, as long as no run has begun on it."""
    digest, comment = await _decision(request)
    return answers.json(await service.desk.do(service.gate.acting_as(who).revoke, id, digest, comment))


async def _decision(request: Request) -> tuple[str, str]:
    """The digest and the comment that a decision brings."""
    asked = await answers.object_in(request)
    return answers.text(asked, "digest"), answers.text(asked, "comment")


def _revision(match: str | None) -> int | None:
    """The revision that If-Match names; raises Precondition for one that cannot be one of ours."""
    if match is None or match.strip() == "*":
        return None
    number = match.strip().removeprefix("W/").strip('"')
    if not (number.isascii() and number.isdigit() and len(number) < 10):
        raise UsageError("If-Match names no revision", code="request-invalid", hint='send the plan\'s ETag, like "2"')
    return int(number)
