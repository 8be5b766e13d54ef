"""/ui/commands: what runs in sandboxes, what waits for somebody to let it, and what came of each."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import RedirectResponse

from treegate.errors import Waiting
from treegate.gate import Gate
from treegate.gate.sandboxing.events import Finished
from treegate.gate.sandboxing.telling import Command
from treegate.interfaces.http.identity import Person
from treegate.interfaces.http.service import TheService
from treegate.interfaces.http.ui import pages
from treegate.model.actors import Action
from treegate.model.commands import BEGIN_BY_THEMSELVES, CUT_SHORT, OVER, State
from treegate.model.effects import untagged
from treegate.model.names import visible

router = APIRouter(include_in_schema=False)
PAGE = 100  # commands on one page
TOOLS = 20  # tools that are listed from the start
Cursor = Annotated[int | None, Query(ge=0, lt=1 << 53)]
Text = Annotated[str, Form()]


@router.get("/ui/commands")
async def commands(
    request: Request, who: Person, service: TheService, case: str = "", state: str = "", before: Cursor = None
) -> Response:
    """Commands, newest first; `case` is written as the pages show it."""
    gate = service.gate.acting_as(who)
    known = [line.name for line in gate.list_cases()]
    name = next((one for one in known if visible(one) == case), case)
    states = [State(state)] if state in set(State) else []
    found = gate.sandboxes(states, name or None, PAGE + 1, before)
    next_ = found[PAGE - 1].seq if len(found) > PAGE else None
    filters: dict[str, Any] = {"case": case, "wanted": state, "states": list(State), "known": known}
    return pages.render(request, who, "commands.html", found=found[:PAGE], before=before, next=next_, **filters)


@router.get("/ui/commands/{id}")
async def command(id: str, request: Request, who: Person, service: TheService) -> Response:
    """One command: what it is, what it writes as it writes it, what came of it."""
    gate = service.gate.acting_as(who)
    found = gate.sandbox(id)
    written = await service.crew.call(who, "sandbox_output", found.id)
    plan = None if found.plan is None else gate.plan(found.plan)
    values: dict[str, Any] = {"written": written, "outcome": _outcome(gate, found), "over": found.state in OVER}
    values |= {"plan": plan, "waits": "" if plan is None else gate.waiting_for(plan.id), "cut_short": CUT_SHORT}
    values |= {"begins": BEGIN_BY_THEMSELVES}
    values |= {"decides": _decides(gate, found), "ends": _ends(gate, found), "most": TOOLS}
    values |= {"cases": [untagged(case) for case in found.cases]}
    return pages.render(request, who, "command.html", found=found, **values)


def _outcome(gate: Gate, found: Command) -> Finished | None:
    """What came of it; None as long as nothing has."""
    try:
        return gate.sandbox_outcome(found.id) if found.state in OVER else None
    except Waiting:
        return None


def _decides(gate: Gate, found: Command) -> bool:
    """Whether to offer a decision; the gate says no to whoever sends one nevertheless."""
    return found.state is State.WAITING and gate.actor.may(Action.DECIDE, [untagged(case) for case in found.cases])


def _ends(gate: Gate, found: Command) -> bool:
    """Whether to offer its end."""
    return found.state not in OVER and gate.may_end(found.id)


@router.post("/ui/commands/{id}/approve")
async def approve(id: str, who: Person, service: TheService, digest: Text = "", comment: Text = "") -> Response:
    """Lets exactly what the page showed run, once."""
    made = await service.desk.do(service.gate.acting_as(who).approve_sandbox, id, digest, comment)
    service.commands.allowed(made)
    return _back(made.id)


@router.post("/ui/commands/{id}/reject")
async def reject(id: str, who: Person, service: TheService, digest: Text = "", comment: Text = "") -> Response:
    """Turns down what the page showed."""
    return _back((await service.desk.do(service.gate.acting_as(who).reject_sandbox, id, digest, comment)).id)


@router.post("/ui/commands/{id}/cancel")
async def cancel(id: str, who: Person, service: TheService, comment: Text = "") -> Response:
    """Ends a command that runs, or takes back one that does not yet."""
    return _back((await service.desk.do(service.gate.acting_as(who).cancel_sandbox, id, comment)).id)


def _back(id: str) -> Response:
    return RedirectResponse(f"/ui/commands/{id}", 303)
