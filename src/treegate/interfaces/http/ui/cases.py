"""/ui/cases: each case with what happened there, where its files went, and what the vault keeps of it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import RedirectResponse

from treegate.errors import NotFound, PlanError, TreegateError
from treegate.gate import Gate
from treegate.gate.casebook import CaseLine
from treegate.interfaces.http.identity import Person
from treegate.interfaces.http.service import TheService
from treegate.interfaces.http.ui import pages, telling
from treegate.model.actors import Action
from treegate.model.names import visible
from treegate.render import history

router = APIRouter(include_in_schema=False)
PAGE, EVENTS, CASES = 100, 50, 200  # entries of the vault, events, cases on one page
Text = Annotated[str, Form()]
Place = Annotated[int, Query(ge=0, lt=1 << 31)]
Cursor = Annotated[int | None, Query(ge=0, lt=1 << 62)]


@router.get("/ui/cases")
async def cases(request: Request, who: Person, service: TheService, q: str = "", at: Place = 0) -> Response:
    """The cases, by name; `q`: those whose name holds it."""
    found = service.gate.acting_as(who).list_cases()
    fits = [line for line in found if q.lower() in visible(line.name).lower()]
    some = fits[at : at + CASES]
    return pages.render(request, who, "cases.html", cases=some, total=len(fits), q=q, at=at, page=CASES)


@router.get("/ui/cases/{case}")
async def case(
    case: str,
    request: Request,
    who: Person,
    service: TheService,
    path: str = "",
    at: Place = 0,
    before: Cursor = None,
) -> Response:
    """One case: what happened, newest first; `path` asks where that file went, and where it came from."""
    line = _line(service.gate.acting_as(who), case)
    log = await service.crew.call(who, "search_log", case=line.name, before=before, count=EVENTS)
    kept, total = await service.crew.call(who, "vault_page", line.name, at, PAGE)
    values: dict[str, Any] = {"line": line, "days": telling.days(log), "next": log.before, "kept": kept}
    values |= await _lives(service, who, line, path.strip()) if path.strip() else {"lives": None, "unknown": ""}
    values |= {"total": total, "at": at, "page": PAGE, "asked": path, "before": before}
    values |= {"may_pause": who.may(Action.PAUSE, [line.name]), "may_restore": who.may(Action.PROPOSE, [line.name])}
    return pages.render(request, who, "case.html", **values)


async def _lives(service: TheService, who: Person, line: CaseLine, path: str) -> dict[str, Any]:
    """The lives of the files that were at a path, as rows of when and what."""
    try:
        found = await service.crew.call(who, "history", path, line.name)
    except TreegateError as error:
        return {"lives": [], "unknown": error.message}
    return {"lives": [list(history.life(one)) for one in found], "unknown": ""}


@router.post("/ui/cases/{case}/restore")
async def restore(
    case: str,
    who: Person,
    service: TheService,
    entry: Annotated[list[str] | None, Form()] = None,
    to: Text = "",
) -> Response:
    """Submits the plan that puts what was ticked back; goes on to its review."""
    _line(service.gate.acting_as(who), case)
    picked = [one.partition("/") for one in entry or []]
    runs = {run for run, _, _ in picked}
    if not picked:
        raise PlanError("nothing is ticked", code="nothing-ticked", hint="tick what to put back")
    if len(runs) > 1:
        text, hint = (
            "what is ticked was kept by several runs",
            "put back what one run kept, then what the next one did",
        )
        raise PlanError(text, code="several-runs", hint=hint)
    if not all(number.isascii() and number.isdigit() and len(number) < 10 for _, _, number in picked):
        raise PlanError("this is no entry of the vault", code="request-invalid")
    made = await service.crew.call(who, "restore", runs.pop(), [int(number) for _, _, number in picked], to.strip())
    return RedirectResponse(f"/ui/plans/{made.id}", 303)


@router.post("/ui/cases/{case}/pause")
async def pause(case: str, who: Person, service: TheService, comment: Text = "") -> Response:
    """Keeps runs from beginning on the case."""
    gate = service.gate.acting_as(who)
    line = _line(gate, case)
    await service.desk.do(gate.pause, line.name, comment.strip())
    return RedirectResponse(pages.case_page(line.name), 303)


@router.post("/ui/cases/{case}/resume")
async def resume(case: str, who: Person, service: TheService) -> Response:
    """Lifts the pause of the case."""
    gate = service.gate.acting_as(who)
    line = _line(gate, case)
    await service.desk.do(gate.resume, line.name)
    service.runner.wake()
    return RedirectResponse(pages.case_page(line.name), 303)


def _line(gate: Gate, shown: str) -> CaseLine:
    """The case that an address names, written as the pages show names; raises NotFound, or Denied."""
    found = next((line for line in gate.list_cases() if visible(line.name) == shown), None)
    if found is None:
        gate.actor.require(Action.READ, [shown])
        raise NotFound(f"there is no case {shown!r}", code="case-not-found", hint="see what there is")
    return found
