"""/runs: asked for, watched, told of, taken back."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Request, Response
from msgspec import UNSET

from treegate.engine.audit import AuditRow
from treegate.engine.receipts import Receipt
from treegate.errors import NotFound
from treegate.gate import Undo
from treegate.gate.jobs import Progress
from treegate.interfaces.http import answers, events, negotiation
from treegate.interfaces.http.api.plans import Case, Cursor, IfNoneMatch, Limit, PlanId, States
from treegate.interfaces.http.api.shapes import AskedRun, Recover, Recovered, RunNow, Runs, UndoPart
from treegate.interfaces.http.identity import Watches, Who
from treegate.interfaces.http.openapi import documented
from treegate.interfaces.http.repeating import Repeatable
from treegate.interfaces.http.service import TheService

router = APIRouter(tags=["runs"], route_class=Repeatable)
RunId = Annotated[str, Path(description="A run's id, or a beginning of it that no other has.", max_length=64)]
OfPlan = Annotated[str | None, Query(max_length=64, description="Only those of this plan.")]
LastEvent = Annotated[
    str | None,
    Header(alias="Last-Event-ID", description="The id of the event that was seen last: what follows is sent."),
]


@router.post(
    "/plans/{id}/apply",
    **documented(repeats=True, gives=AskedRun, status=202, refuses=(404, 409), headers=("Location",)),
)
async def apply(id: PlanId, who: Who, service: TheService) -> Response:
    """Asks for the run of an approved plan; asked again, the same run."""
    job = await service.desk.do(service.gate.acting_as(who).ask, id)
    service.runner.wake()
    return answers.json(AskedRun(id=job.plan, run=job.run, state=job.state), 202, {"Location": f"/runs/{job.run}"})


@router.get("/runs", **documented(gives=Runs, refuses=(400, 404)))
async def runs(
    who: Who,
    service: TheService,
    state: States = None,
    plan: OfPlan = None,
    case: Case = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """Runs, newest first; `next` is the cursor of the page after this one."""
    found, after = service.gate.acting_as(who).page_runs(state or (), plan, case, limit, cursor)
    return answers.json(Runs(found, after))


@router.get("/runs/{id}", **documented(gives=RunNow, refuses=(404, 409)))
async def run(id: RunId, who: Who, service: TheService) -> Response:
    """How far a run is; of one that ended, what it did."""
    gate = service.gate.acting_as(who)
    now = gate.progress(id)
    ended = gate.applied(now.run) if now.state in {"applied", "undone"} else None
    return answers.json(RunNow(progress=now, applied=ended or UNSET))


@router.get("/runs/{id}/receipt", **documented(gives=Receipt, refuses=(304, 404, 409), headers=("ETag",)))
async def receipt(id: RunId, request: Request, who: Who, service: TheService, _: IfNoneMatch = None) -> Response:
    """The signed receipt of a run that ended well."""
    gate = service.gate.acting_as(who)
    now = gate.progress(id)
    found = gate.applied(now.run).receipt if now.state in {"applied", "undone"} else None
    if found is None:
        raise NotFound(f"run {now.run} has no receipt: it is {now.state}", code="receipt-not-found")
    return negotiation.tagged(request, answers.json(found))


@router.get("/runs/{id}/events", **documented(streams=Progress, refuses=(404, 409)))
async def run_events(id: RunId, watcher: Watches, service: TheService, last: LastEvent = None) -> Response:
    """Server-sent: how far the run is, until it has ended."""
    watcher.gate().progress(id)  # what is not there, or not for them, is told before the stream begins
    found = events.of_run(watcher.gate, id, events.last_seen(last))
    return events.EventStream(service.streams, watcher.name, found)


@router.get("/plans/{id}/events", **documented(streams=AuditRow, refuses=(404, 409)))
async def plan_events(id: PlanId, watcher: Watches, service: TheService, last: LastEvent = None) -> Response:
    """Server-sent: what is logged of the plan."""
    plan = watcher.gate().plan(id)
    found = events.of_plan(watcher.gate, plan.id, events.last_seen(last))
    return events.EventStream(service.streams, watcher.name, found)


@router.post(
    "/runs/{id}/undo",
    **documented(
        repeats=True, takes=UndoPart, gives=Undo, status=201, refuses=(400, 404, 409), headers=("Location",)
    ),
)
async def undo(id: RunId, request: Request, who: Who, service: TheService) -> Response:
    """Submits the plan that takes a run back, or what it did at some paths."""
    asked = await answers.taken(request, UndoPart)
    made = await service.crew.call(who, "undo", id, asked.paths)
    return answers.json(made, 201, {"Location": f"/plans/{made.submitted.id}"})


@router.post("/runs/{id}/recover", **documented(repeats=True, takes=Recover, gives=Recovered, refuses=(404, 409)))
async def recover(id: RunId, request: Request, who: Who, service: TheService) -> Response:
    """Brings a run that was stopped midway to an end: forward if the tree lets it, or back."""
    asked = await answers.taken(request, Recover)
    return answers.json(Recovered(await service.crew.call(who, "recover", id, back=asked.back)))
