"""Health, numbers, settings, and pause and resume."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Path, Request, Response

from treegate.engine import receipts
from treegate.engine.probe import Finding
from treegate.errors import NotFound, TreegateError
from treegate.gate.terms import Settings
from treegate.gate.waiting import Status
from treegate.interfaces.http import answers, identity, metrics
from treegate.interfaces.http.api.plans import Case
from treegate.interfaces.http.api.shapes import JsonSchema, Paused, Said, Taken, ToPause, ToResume
from treegate.interfaces.http.identity import Who
from treegate.interfaces.http.openapi import documented
from treegate.interfaces.http.repeating import Repeatable
from treegate.interfaces.http.service import TheService
from treegate.model import plan as plans
from treegate.model import preview as previews

router = APIRouter(tags=["care"], route_class=Repeatable)
SchemaName = Annotated[str, Path(description="`plan`, `preview` or `receipt`.")]
SCHEMAS = {"plan": plans.schema, "preview": previews.schema, "receipt": receipts.schema}


class NotReady(TreegateError):
    """The service runs, and cannot work now."""

    code, http_status = "not-ready", 503


class HowDeep(Taken, frozen=True, kw_only=True):
    """Whether to look at every entry that the agent's OS user may change, too."""

    deep: bool = False


class HowCareful(Taken, frozen=True, kw_only=True):
    """Whether only to look, and write nothing."""

    dry: bool = False


class Findings(msgspec.Struct, frozen=True):
    """What was found, each with what to do about it."""

    findings: list[Finding]


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


@router.get("/metrics", **documented(media={"text/plain": "The text format of Prometheus."}))
async def numbers(request: Request, shown: identity.Shown, service: TheService) -> Response:
    """The workspace in numbers, for Prometheus; no names, no paths. Who may read them, service.metrics says."""
    here = service.config.metrics == "loopback" and metrics.is_loopback(request, service.config)
    if not here and service.config.metrics != "open":
        metrics.require(await identity.who(request, shown, service))
    return Response(service.metrics.text(), media_type=metrics.MEDIA)


@router.get("/status", **documented(gives=Status))
async def status(who: Who, service: TheService, case: Case = None) -> Response:
    """What waits for whom, what is paused, which runs are unfinished."""
    return answers.json(await service.crew.call(who, "status", case))


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


@router.post("/doctor", **documented(takes=HowDeep, gives=Findings, refuses=(409,)))
async def doctor(request: Request, who: Who, service: TheService) -> Response:
    """What may go wrong here, with advice; mounts are tried anew. For reviewers; deep, for operators."""
    asked = await answers.taken(request, HowDeep)
    return answers.json(Findings(await service.crew.call(who, "doctor", deep=asked.deep)))


@router.post("/fsck", **documented(takes=HowCareful, gives=Findings, refuses=(409,)))
async def fsck(request: Request, who: Who, service: TheService) -> Response:
    """Whether store, journals, vaults and tree tell one story; reports that do not are made anew. For reviewers."""
    asked = await answers.taken(request, HowCareful)
    return answers.json(Findings(await service.crew.call(who, "fsck", dry=asked.dry)))


@router.get("/config", **documented(gives=Settings))
async def settings(who: Who, service: TheService) -> Response:
    """Every setting as it holds, and where it comes from. For reviewers."""
    return answers.json(service.gate.acting_as(who).settings())


@router.get("/schemas/{name}", **documented(gives=JsonSchema, open=True, refuses=(404, 422)))
async def schema(name: SchemaName) -> Response:
    """The JSON Schema of a kind of document."""
    if name not in SCHEMAS:
        raise NotFound(f"there is no schema {name!r}", hint="there are: " + ", ".join(SCHEMAS))
    return answers.json(SCHEMAS[name]())
