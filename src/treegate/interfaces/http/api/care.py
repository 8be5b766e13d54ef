"""Health, numbers, who one is, and pause and resume."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from treegate.errors import NotFound, TreegateError
from treegate.gate.auditing import Audited
from treegate.gate.waiting import Status
from treegate.interfaces.http import answers, metrics
from treegate.interfaces.http.api.plans import Case, Limit
from treegate.interfaces.http.api.shapes import (
    EventList,
    JsonSchema,
    Myself,
    Paused,
    Said,
    TokenList,
    ToPause,
    ToResume,
    VaultNow,
)
from treegate.interfaces.http.identity import Who
from treegate.interfaces.http.openapi import documented
from treegate.interfaces.http.repeating import Repeatable
from treegate.interfaces.http.service import TheService
from treegate.model import plan as plans
from treegate.model import preview as previews
from treegate.model.actors import Action

router = APIRouter(tags=["care"], route_class=Repeatable)
OfRun = Annotated[str, Query(max_length=64, description="Only what this run has put there.")]
SchemaName = Annotated[str, Path(description="`plan` or `preview`.")]
SCHEMAS = {"plan": plans.schema, "preview": previews.schema}


class NotReady(TreegateError):
    """The service runs, and cannot work now."""

    code, http_status = "not-ready", 503


@router.get("/healthz", **documented(gives=Said, open=True))
async def healthz() -> Response:
    """The process answers."""
    return answers.json(Said("ok"))


@router.get("/readyz", **documented(gives=Said, open=True, refuses=(503,)))
async def readyz(service: TheService) -> Response:
    """The workspace is mounted and the database answers; 503 otherwise."""
    try:
        service.gate.core.workspace.check_marker()
        service.gate.core.store.meta()
    except TreegateError as error:
        raise NotReady(error.message, code=error.code, hint=error.hint, next=error.next) from None
    return answers.json(Said("ready"))


@router.get("/metrics", **documented(media={"text/plain": "The text format of Prometheus."}, open=True))
async def numbers(service: TheService) -> Response:
    """The workspace in numbers, for Prometheus; no names, no paths."""
    return Response(service.metrics.text(), media_type=metrics.MEDIA)


@router.get("/whoami", **documented(gives=Myself))
async def whoami(who: Who) -> Response:
    """Whom the token names, and what they may do."""
    may = sorted(action.value for action in Action if who.may(action))
    return answers.json(Myself(name=who.name, role=who.role, cases=who.cases, may=may))


@router.get("/status", **documented(gives=Status))
async def status(who: Who, service: TheService, case: Case = None) -> Response:
    """What waits for whom, what is paused, which runs are unfinished."""
    return answers.json(service.gate.acting_as(who).status(case))


@router.post("/pause", **documented(repeats=True, takes=ToPause, gives=Paused, refuses=(404, 409)))
async def pause(request: Request, who: Who, service: TheService) -> Response:
    """Keeps runs from beginning on `case`, or anywhere."""
    asked = await answers.taken(request, ToPause)
    gate = service.gate.acting_as(who)
    return answers.json(Paused(await service.desk.do(gate.pause, asked.case or None, asked.comment)))


@router.post("/resume", **documented(repeats=True, takes=ToResume, gives=Paused, refuses=(404, 409)))
async def resume(request: Request, who: Who, service: TheService) -> Response:
    """Lifts the pause of `case`, or that of the whole workspace."""
    asked = await answers.taken(request, ToResume)
    return answers.json(Paused(await service.desk.do(service.gate.acting_as(who).resume, asked.case or None)))


@router.get("/vault", **documented(gives=VaultNow, refuses=(404, 409)))
async def vault(who: Who, service: TheService, run: OfRun = "", case: Case = None) -> Response:
    """What the vault keeps, and when each entry goes."""
    return answers.json(VaultNow(service.gate.acting_as(who).list_vault(run, case)))


@router.get("/audit", **documented(gives=EventList))
async def audit(who: Who, service: TheService, case: Case = None, limit: Limit = 50) -> Response:
    """The newest events, newest first: those that the actor may see."""
    return answers.json(EventList(service.gate.acting_as(who).log(case or "", limit)))


@router.get("/audit/verify", **documented(gives=Audited, refuses=(409,)))
async def verify(who: Who, service: TheService) -> Response:
    """Whether the audit log holds."""
    return answers.json(await service.crew.call(who, "verify_audit"))


@router.get("/tokens", **documented(gives=TokenList))
async def tokens(who: Who, service: TheService) -> Response:
    """All tokens, without their texts."""
    return answers.json(TokenList(service.gate.acting_as(who).list_tokens()))


@router.get("/schemas/{name}", **documented(gives=JsonSchema, open=True, refuses=(404, 422)))
async def schema(name: SchemaName) -> Response:
    """The JSON Schema of a kind of document."""
    if name not in SCHEMAS:
        raise NotFound(f"there is no schema {name!r}", hint="there are: " + ", ".join(SCHEMAS))
    return answers.json(SCHEMAS[name]())
