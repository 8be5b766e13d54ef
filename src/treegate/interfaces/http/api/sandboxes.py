"""/sandboxes: commands that are asked for, decided on, watched; what each did becomes a plan."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Path, Query, Request, Response
from msgspec import Meta

from treegate.gate.sandboxing import streaming
from treegate.gate.sandboxing.events import Finished
from treegate.gate.sandboxing.telling import Command
from treegate.interfaces.http import answers, commandevents, events
from treegate.interfaces.http.api.plans import Case, Cursor, Limit
from treegate.interfaces.http.api.runs import LastEvent
from treegate.interfaces.http.api.shapes import Commented, Decided, Taken
from treegate.interfaces.http.identity import Watches, Who
from treegate.interfaces.http.openapi import documented
from treegate.interfaces.http.repeating import Repeatable
from treegate.interfaces.http.service import TheService
from treegate.model.commands import State
from treegate.model.effects import Text, untagged

router = APIRouter(tags=["sandboxes"], route_class=Repeatable)
SandboxId = Annotated[str, Path(description="A sandbox's id, or a beginning of it that no other has.", max_length=64)]
States = Annotated[list[State] | None, Query(description="Only those in one of these states.")]
ASKS = (400, 404, 409)
Texts = Annotated[list[Text], Meta(max_length=10_000)]


class ToRun(Taken, frozen=True, kw_only=True):
    """A command, word by word, and the cases that it sees."""

    cases: Annotated[list[Text], Meta(min_length=1, max_length=1000, description="One, at /case; or several.")]
    command: Annotated[
        list[Text], Meta(min_length=1, max_length=10_000, description="Its words; no shell reads them.")
    ]
    tools: Annotated[Texts, Meta(description="Of the tools, only these; without any, all.")] = []
    engine: Literal["auto", "bwrap", "docker"] = "auto"
    timeout: Annotated[float, Meta(gt=0, lt=1e9, description="Seconds.")] | None = None
    direct: Annotated[bool, Meta(description="Apply what it did as soon as it ends, where policy allows it.")] = False
    reads: Annotated[bool, Meta(description="Its plan is stale, too, where others changed what it only read.")] = (
        False
    )


class Sandboxes(msgspec.Struct, frozen=True):
    """Some commands, newest first; `next` is the cursor of the page after this one."""

    sandboxes: list[Command]
    next: int | None


@router.post(
    "/sandboxes",
    **documented(repeats=True, takes=ToRun, gives=Command, status=201, refuses=ASKS, headers=("Location",)),
)
async def ask_sandbox(request: Request, who: Who, service: TheService) -> Response:
    """Asks for a command to be run on a view of its cases.

    It runs as soon as there is a place, or, where policy asks for that, once somebody has approved its digest.
    """
    asked = await answers.taken(request, ToRun)
    cases, command, tools = ([untagged(one) for one in words] for words in (asked.cases, asked.command, asked.tools))
    how = {"engine": asked.engine, "direct": asked.direct, "timeout": asked.timeout, "reads": asked.reads}
    made = await service.crew.call(who, "ask_sandbox", cases, command, tools, **how)
    service.commands.ask(made)
    return answers.json(made, 201, {"Location": f"/sandboxes/{made.id}"})


@router.get("/sandboxes", **documented(gives=Sandboxes, refuses=(400, 404)))
async def sandboxes(
    who: Who,
    service: TheService,
    state: States = None,
    case: Case = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """Commands, newest first; `next` is the cursor of the page after this one."""
    found = service.gate.acting_as(who).sandboxes(state or (), case, limit + 1, cursor)
    more = len(found) > limit
    return answers.json(Sandboxes(found[:limit], found[limit - 1].seq if more else None))


@router.get("/sandboxes/{id}", **documented(gives=Command, refuses=ASKS))
async def sandbox(id: SandboxId, who: Who, service: TheService) -> Response:
    """A command as it stands."""
    return answers.json(service.gate.acting_as(who).sandbox(id))


@router.get("/sandboxes/{id}/outcome", **documented(gives=Finished, refuses=(*ASKS, 408)))
async def sandbox_outcome(id: SandboxId, who: Who, service: TheService) -> Response:
    """What came of a command; 408 as long as nothing has."""
    return answers.json(await service.crew.call(who, "sandbox_outcome", id))


@router.get("/sandboxes/{id}/log", **documented(media={"text/plain": "Its report."}, refuses=ASKS))
async def sandbox_log(id: SandboxId, who: Who, service: TheService) -> Response:
    """The report of a command: what it was, what it wrote, what came of it. Each line of it is inert."""
    text = await service.crew.call(who, "sandbox_log", id)
    return Response(text, media_type="text/plain; charset=utf-8")


@router.get("/sandboxes/{id}/events", **documented(streams=streaming.AnyTold, refuses=ASKS))
async def sandbox_events(id: SandboxId, watcher: Watches, service: TheService, last: LastEvent = None) -> Response:
    """Server-sent: what a command writes as it writes it, and what came of it; `finished` is the last event."""
    found = watcher.gate().sandbox(id)
    told = commandevents.of_command(watcher.gate, found.id, events.last_seen(last))
    return events.EventStream(service.streams, watcher.name, told)


@router.post("/sandboxes/{id}/approve", **documented(repeats=True, takes=Decided, gives=Command, refuses=ASKS))
async def approve_sandbox(id: SandboxId, request: Request, who: Who, service: TheService) -> Response:
    """Lets exactly the command run, once, that a digest names."""
    asked = await answers.taken(request, Decided)
    gate = service.gate.acting_as(who)
    made = await service.desk.do(gate.approve_sandbox, id, asked.digest, asked.comment)
    service.commands.allowed(made)
    return answers.json(made)


@router.post("/sandboxes/{id}/reject", **documented(repeats=True, takes=Decided, gives=Command, refuses=ASKS))
async def reject_sandbox(id: SandboxId, request: Request, who: Who, service: TheService) -> Response:
    """Turns a command down before it runs."""
    asked = await answers.taken(request, Decided)
    gate = service.gate.acting_as(who)
    return answers.json(await service.desk.do(gate.reject_sandbox, id, asked.digest, asked.comment))


@router.post("/sandboxes/{id}/cancel", **documented(repeats=True, takes=Commented, gives=Command, refuses=ASKS))
async def cancel_sandbox(id: SandboxId, request: Request, who: Who, service: TheService) -> Response:
    """Ends a command that runs, or takes back one that does not yet; what it did by then is kept."""
    asked = await answers.taken(request, Commented)
    return answers.json(await service.desk.do(service.gate.acting_as(who).cancel_sandbox, id, asked.comment))


@router.post("/sandboxes/{id}/run", **documented(repeats=True, gives=Command, status=202, refuses=ASKS))
async def run_sandbox(id: SandboxId, who: Who, service: TheService) -> Response:
    """Has a command run that was asked for at another door and may run; the service's own it runs by itself."""
    found = service.gate.acting_as(who).to_follow(id)
    service.commands.ask(found)
    return answers.json(found, 202)
