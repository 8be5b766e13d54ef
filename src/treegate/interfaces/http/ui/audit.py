"""/ui/audit: the log searched, checked, taken along."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from treegate.engine import checkpoints
from treegate.errors import UsageError
from treegate.interfaces.http.identity import Person
from treegate.interfaces.http.service import TheService
from treegate.interfaces.http.ui import pages, telling
from treegate.model.actors import Action
from treegate.model.names import visible
from treegate.render import history

router = APIRouter(include_in_schema=False)
PAGE, LINES = 100, 500  # events on one page; lines sent at a time
LONGEST = 200  # characters of words that are sought
Cursor = Annotated[int | None, Query(ge=0, lt=1 << 62)]


@router.get("/ui/audit")
async def audit(
    request: Request,
    who: Person,
    service: TheService,
    q: str = "",
    case: str = "",
    actor: str = "",
    event: str = "",
    since: str = "",
    until: str = "",
    before: Cursor = None,
) -> Response:
    """The events that fit, newest first; days are of UTC, the last one included."""
    known = [line.name for line in service.gate.acting_as(who).list_cases()]
    found = await service.crew.call(
        who,
        "search_log",
        q[:LONGEST],
        case=next((one for one in known if visible(one) == case), case),
        by=actor,
        event=event,
        since=_start(since),
        until=_start(until, 1),
        before=before,
        count=PAGE,
    )
    filters = {"q": q, "case": case, "actor": actor, "event": event, "since": since, "until": until}
    values: dict[str, Any] = {"days": telling.days(found), "next": found.before, "before": before, "filters": filters}
    values |= {"known": known, "events": sorted(history.TOLD), "head": service.gate.audit_head()}
    values |= {"may_sign": who.may(Action.TEND), "may_export": who.cases is None}
    return pages.render(request, who, "audit.html", **values)


def _start(day: str, later: int = 0) -> int | None:
    """When a day begins, or one after it (ms); None for none. Raises UsageError."""
    if not day:
        return None
    try:
        found = date.fromisoformat(day) + timedelta(days=later)
    except (ValueError, OverflowError):
        raise UsageError(f"{day!r} is no day", code="date-invalid", hint="write it as 2026-11-29") from None
    return int(datetime(found.year, found.month, found.day, tzinfo=UTC).timestamp() * 1000)


@router.get("/ui/audit/verify")
async def verify(request: Request, who: Person, service: TheService) -> Response:
    """Whether the log holds, and what vouches for it."""
    return pages.render(request, who, "verified.html", found=await service.crew.call(who, "verify_audit"))


@router.get("/ui/audit/export")
async def export(who: Person, service: TheService) -> Response:
    """The whole log, a line of JSON for each row."""
    rows = service.gate.acting_as(who).export_audit()
    return StreamingResponse(_lines(rows), media_type="application/x-ndjson", headers=_named("audit.jsonl"))


def _lines(rows: Iterator[bytes]) -> Iterator[bytes]:
    while some := list(islice(rows, LINES)):
        yield b"\n".join(some) + b"\n"


@router.post("/ui/audit/checkpoint")
async def checkpoint(who: Person, service: TheService) -> Response:
    """The head of the log, signed: to be kept elsewhere."""
    made = await service.desk.do(service.gate.acting_as(who).checkpoint)
    name = _named(f"checkpoint-{made.seq}.json")
    return Response(checkpoints.encode(made) + b"\n", media_type="application/json", headers=name)


def _named(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"'}
