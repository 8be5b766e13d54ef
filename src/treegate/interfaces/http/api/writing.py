"""/cases/{case}/worksheet and /moves: plans written by people who would rather not write JSON."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Path, Request, Response
from msgspec import Meta

from treegate.gate.writing import Pair
from treegate.interfaces.http import answers
from treegate.interfaces.http.api.shapes import Taken
from treegate.interfaces.http.identity import Who
from treegate.interfaces.http.openapi import documented
from treegate.interfaces.http.service import TheService
from treegate.model import worksheet
from treegate.model.effects import Text, untagged
from treegate.model.plan import Document

router = APIRouter(tags=["plans"])
CaseName = Annotated[str, Path(description="A case's name.", max_length=255)]
SHEET = {"text/plain": "A line for each entry: its number, a tab, its path; a folder ends in `/`."}


class Wanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"source": "from"}):
    """Something that is to be somewhere else: a path within the case, and where it goes."""

    source: Text
    to: Text


class WantedMoves(Taken, frozen=True, kw_only=True):
    """What a plan is to move."""

    pairs: Annotated[list[Wanted], Meta(min_length=1)]
    title: str = ""
    reason: str = ""


@router.get("/cases/{case}/worksheet", **documented(media=SHEET, refuses=(404,)))
async def case_worksheet(case: CaseName, who: Who, service: TheService) -> Response:
    """The tree of a case as a sheet, for people to edit."""
    rows = await service.crew.call(who, "worksheet", case)
    return Response("".join(worksheet.sheet(rows, f"The case {case}")), media_type="text/plain; charset=utf-8")


@router.post("/cases/{case}/moves", **documented(takes=WantedMoves, gives=Document, refuses=(400, 404)))
async def write_moves(case: CaseName, request: Request, who: Who, service: TheService) -> Response:
    """The document of a plan that moves things in a case, all at once; nothing is stored."""
    asked = await answers.taken(request, WantedMoves)
    pairs = [Pair(untagged(one.source), untagged(one.to)) for one in asked.pairs]
    made = await service.crew.call(who, "write_moves", case, pairs, asked.title, asked.reason)
    return Response(made, media_type="application/json")
