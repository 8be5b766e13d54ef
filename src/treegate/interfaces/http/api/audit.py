"""/audit and /history: what happened, whether anybody changed the log, and the whole life of a file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from itertools import islice
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from treegate.engine.audit import AuditRow
from treegate.engine.checkpoints import Checkpoint
from treegate.gate.auditing import Audited
from treegate.gate.chronicle import History
from treegate.interfaces.http import answers
from treegate.interfaces.http.api.plans import Case, Cursor, Limit
from treegate.interfaces.http.api.shapes import Short, Taken
from treegate.interfaces.http.identity import Who
from treegate.interfaces.http.openapi import documented
from treegate.interfaces.http.repeating import Repeatable
from treegate.interfaces.http.service import TheService

router = APIRouter(tags=["audit"], route_class=Repeatable)
After = Annotated[int, Query(ge=0, lt=1 << 53, description="Only the rows after this one.")]
EverAt = Annotated[str, Query(description="Where a file is, or was; from the case's name on.", max_length=4096)]
LINES = {"application/jsonl": "A row a line, as JSON, with its hash."}
AT_ONCE = 500  # rows that are written before others have their turn


class Events(msgspec.Struct, frozen=True):
    """Events of the audit log, newest first; `next` is the cursor of the page after this one."""

    events: list[AuditRow]
    next: int | None


class Head(msgspec.Struct, frozen=True):
    """The number of the newest row."""

    seq: int


class GivenCheckpoint(msgspec.Struct, frozen=True):
    """A checkpoint that was kept elsewhere, and what to call it."""

    name: Short
    checkpoint: Checkpoint


class Against(Taken, frozen=True, kw_only=True):
    """Checkpoints that the log is held against, besides the stored ones."""

    checkpoints: Annotated[list[GivenCheckpoint], msgspec.Meta(max_length=100)] = []


class PublicKey(msgspec.Struct, frozen=True):
    """The public half of the key that signs here."""

    public_key: str


class Lives(msgspec.Struct, frozen=True):
    """The whole lives of the files that were ever at a path."""

    lives: list[History]


@router.get("/audit", **documented(gives=Events))
async def audit(
    who: Who, service: TheService, case: Case = None, cursor: Cursor = None, limit: Limit = 50
) -> Response:
    """The newest events, newest first: those that the actor may see."""
    found = await service.crew.call(who, "log", case or "", limit, cursor)
    return answers.json(Events(found, found[-1].seq if len(found) == limit else None))


@router.get("/audit/head", **documented(gives=Head))
async def audit_head(who: Who, service: TheService) -> Response:
    """How long the log is."""
    return answers.json(Head(service.gate.acting_as(who).audit_head()))


@router.get("/audit/verify", **documented(gives=Audited, refuses=(409,)))
async def verify(who: Who, service: TheService) -> Response:
    """Whether the log holds: in itself, and against its own checkpoints."""
    return answers.json(await service.crew.call(who, "verify_audit"))


@router.post("/audit/verify", **documented(takes=Against, gives=Audited, refuses=(409,)))
async def verify_against(request: Request, who: Who, service: TheService) -> Response:
    """Whether the log holds against checkpoints that were kept elsewhere, too."""
    asked = await answers.taken(request, Against)
    given = [(one.name, one.checkpoint) for one in asked.checkpoints]
    return answers.json(await service.crew.call(who, "verify_audit", given))


@router.post("/audit/checkpoint", **documented(repeats=True, gives=Checkpoint, refuses=(409,)))
async def checkpoint(who: Who, service: TheService) -> Response:
    """Signs the head of the log. Kept elsewhere, the checkpoint proves all that came before it."""
    return answers.json(await service.crew.call(who, "checkpoint"))


@router.post("/audit/rekey", **documented(gives=PublicKey, refuses=(409,)))
async def rekey(who: Who, service: TheService) -> Response:
    """Makes a new signing key where the old one is lost or damaged; one that works stays."""
    return answers.json(PublicKey(await service.crew.call(who, "rekey")))


@router.get("/audit/export", **documented(media=LINES))
async def export(who: Who, service: TheService, after: After = 0) -> Response:
    """The log as JSON lines, one row each with its hash."""
    return StreamingResponse(_pieces(service.gate.acting_as(who).export_audit(after)), media_type="application/jsonl")


async def _pieces(lines: Iterator[bytes]) -> AsyncIterator[bytes]:
    while piece := b"".join(line + b"\n" for line in islice(lines, AT_ONCE)):
        yield piece
        await asyncio.sleep(0)


@router.get("/history", **documented(gives=Lives, refuses=(404, 409)))
async def history(path: EverAt, who: Who, service: TheService, case: Case = None) -> Response:
    """The whole lives of the files that were ever at a path, in this case and others."""
    return answers.json(Lives(await service.crew.call(who, "history", path, case or "")))
