"""Health, numbers, who one is, and pause and resume."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from treegate.errors import NotFound, TreegateError
from treegate.interfaces.http import answers, metrics
from treegate.interfaces.http.identity import Who
from treegate.interfaces.http.service import TheService
from treegate.model import plan as plans
from treegate.model import preview as previews
from treegate.model.actors import Action

router = APIRouter(tags=["care"])
SCHEMAS = {"plan": plans.schema, "preview": previews.schema}


class NotReady(TreegateError):
    """The service runs, and cannot work now."""

    code, http_status = "not-ready", 503


@router.get("/healthz")
async def healthz() -> Response:
    """The process answers."""
    return answers.json({"status": "ok"})


@router.get("/readyz")
async def readyz(service: TheService) -> Response:
    """The workspace is mounted and the database answers; 503 otherwise."""
    try:
        service.gate.core.workspace.check_marker()
        service.gate.core.store.meta()
    except TreegateError as error:
        raise NotReady(error.message, code=error.code, hint=error.hint, next=error.next) from None
    return answers.json({"status": "ready"})


@router.get("/metrics")
async def numbers(service: TheService) -> Response:
    """The workspace in numbers, for Prometheus; no names, no paths."""
    return Response(service.metrics.text(), media_type=metrics.MEDIA)


@router.get("/whoami")
async def whoami(who: Who) -> Response:
    """Whom the token names, and what they may do."""
    may = sorted(action.value for action in Action if who.may(action))
    return answers.json({"name": who.name, "role": who.role, "cases": who.cases, "may": may})


@router.get("/status")
async def status(who: Who, service: TheService, case: str | None = None) -> Response:
    """What waits for whom, what is paused, which runs are unfinished."""
    return answers.json(service.gate.acting_as(who).status(case))


@router.post("/pause")
async def pause(request: Request, who: Who, service: TheService) -> Response:
    """Keeps runs from beginning on `case`, or anywhere."""
    asked = await answers.object_in(request)
    case, comment = answers.text(asked, "case") or None, answers.text(asked, "comment")
    return answers.json({"paused": await service.desk.do(service.gate.acting_as(who).pause, case, comment)})


@router.post("/resume")
async def resume(request: Request, who: Who, service: TheService) -> Response:
    """Lifts the pause of `case`, or that of the whole workspace."""
    asked = await answers.object_in(request)
    case = answers.text(asked, "case") or None
    return answers.json({"paused": await service.desk.do(service.gate.acting_as(who).resume, case)})


@router.get("/vault")
async def vault(who: Who, service: TheService, run: str = "", case: str | None = None) -> Response:
    """What the vault keeps, and when each entry goes."""
    return answers.json({"vault": service.gate.acting_as(who).list_vault(run, case)})


@router.get("/audit")
async def audit(who: Who, service: TheService, case: str = "", limit: int = 50) -> Response:
    """The newest events, newest first: those that the actor may see."""
    return answers.json({"events": service.gate.acting_as(who).log(case, max(1, min(limit, 500)))})


@router.get("/audit/verify")
async def verify(who: Who, service: TheService) -> Response:
    """Whether the audit log holds."""
    return answers.json(await service.crew.call(who, "verify_audit"))


@router.get("/tokens")
async def tokens(who: Who, service: TheService) -> Response:
    """All tokens, without their texts."""
    return answers.json({"tokens": service.gate.acting_as(who).list_tokens()})


@router.get("/schemas/{name}")
async def schema(name: str) -> Response:
    """The JSON Schema of a kind of document."""
    if name not in SCHEMAS:
        raise NotFound(f"there is no schema {name!r}", hint="there are: " + ", ".join(SCHEMAS))
    return answers.json(SCHEMAS[name]())
