"""/runs: asked for, watched, told of, taken back."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Request, Response

from treegate.errors import NotFound
from treegate.interfaces.http import answers, events
from treegate.interfaces.http.identity import Who
from treegate.interfaces.http.service import TheService

router = APIRouter(tags=["runs"])
LastEvent = Annotated[str | None, Header(alias="Last-Event-ID")]
MOST = 500  # rows of one page


@router.post("/plans/{id}/apply", status_code=202)
async def apply(id: str, who: Who, service: TheService) -> Response:
    """Asks for the run of an approved plan; asked again, the same run."""
    job = await service.desk.do(service.gate.acting_as(who).ask, id)
    service.runner.wake()
    return answers.json({"id": job.plan, "run": job.run, "state": job.state}, 202, {"Location": f"/runs/{job.run}"})


@router.get("/runs")
async def runs(who: Who, service: TheService, case: str | None = None, limit: int = 50) -> Response:
    """Runs, newest first."""
    found = service.gate.acting_as(who).list_runs(case, max(1, min(limit, MOST)))
    return answers.json({"runs": found})


@router.get("/runs/{id}")
async def run(id: str, who: Who, service: TheService) -> Response:
    """How far a run is; of one that ended, what it did."""
    gate = service.gate.acting_as(who)
    now = gate.progress(id)
    ended = gate.run(now.run) if now.state in {"applied", "undone"} else None
    return answers.json({"progress": now, "applied": ended} if ended else {"progress": now})


@router.get("/runs/{id}/receipt")
async def receipt(id: str, who: Who, service: TheService) -> Response:
    """The signed receipt of a run that ended well."""
    gate = service.gate.acting_as(who)
    now = gate.progress(id)
    found = gate.run(now.run).receipt if now.state in {"applied", "undone"} else None
    if found is None:
        raise NotFound(f"run {now.run} has no receipt: it is {now.state}", code="receipt-not-found")
    return answers.json(found)


@router.get("/runs/{id}/events")
async def run_events(id: str, who: Who, service: TheService, last: LastEvent = None) -> Response:
    """Server-sent: how far the run is, until it has ended."""
    gate = service.gate.acting_as(who)
    gate.progress(id)  # what is not there, or not for them, is told before the stream begins
    return events.stream(events.of_run(gate, id, events.last_seen(last)))


@router.get("/plans/{id}/events")
async def plan_events(id: str, who: Who, service: TheService, last: LastEvent = None) -> Response:
    """Server-sent: what is logged of the plan."""
    gate = service.gate.acting_as(who)
    plan = gate.plan(id)
    return events.stream(events.of_plan(gate, plan.id, events.last_seen(last)))


@router.post("/runs/{id}/undo", status_code=201)
async def undo(id: str, request: Request, who: Who, service: TheService) -> Response:
    """Submits the plan that takes a run back, or what it did at some paths."""
    paths = answers.texts(await answers.object_in(request), "paths")
    made = await service.crew.call(who, "undo", id, paths)
    return answers.json(made, 201, {"Location": f"/plans/{made.submitted.id}"})


@router.post("/runs/{id}/recover")
async def recover(id: str, request: Request, who: Who, service: TheService) -> Response:
    """Brings a run that was stopped midway to an end: forward if the tree lets it, or back."""
    asked = await answers.object_in(request)
    return answers.json({"runs": await service.crew.call(who, "recover", id, back=bool(asked.get("back")))})
