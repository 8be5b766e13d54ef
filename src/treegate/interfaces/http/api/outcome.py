"""/cases/{case}/outcome: the tree of a case as it is, or as a plan would leave it; nothing is stored."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Path, Request, Response
from msgspec import UNSET, Meta, UnsetType

from treegate.gate.outcomes import MOST_READ, Entries, Hits, Info, Piece
from treegate.interfaces.http import answers
from treegate.interfaces.http.api.shapes import Short, Taken
from treegate.interfaces.http.identity import Who
from treegate.interfaces.http.openapi import documented
from treegate.interfaces.http.service import TheService
from treegate.model.effects import Text, untagged

router = APIRouter(tags=["cases"])
CaseName = Annotated[str, Path(max_length=1024, description="The name of a case.")]
Most = Annotated[int, Meta(ge=1, le=1000, description="The most that one answer holds.")]
Onward = Annotated[str, Meta(max_length=16_384, description="Where to go on: `next` of the page before.")]
REFUSES = (400, 404, 408, 409)


class After(Taken, frozen=True, kw_only=True):
    """After which plan, as `/check` takes one; without one, the tree as it is."""

    plan: msgspec.Raw | UnsetType = UNSET

    @property
    def document(self) -> bytes | None:
        """The bytes of the plan."""
        return None if self.plan is UNSET else bytes(self.plan)


class InFolder(After, frozen=True, kw_only=True):
    """A folder of the case; "" is the case itself."""

    folder: Text = ""
    cursor: Onward = ""
    limit: Most = 100


class Sought(After, frozen=True, kw_only=True):
    """A glob, as the `match` of a plan."""

    match: Short = "**"
    cursor: Onward = ""
    limit: Most = 100


class OfEntry(After, frozen=True, kw_only=True):
    """An entry, by its path within the case."""

    path: Text


class OfContent(OfEntry, frozen=True, kw_only=True):
    """A piece of a file, in bytes."""

    offset: Annotated[int, Meta(ge=0, lt=1 << 53)] = 0
    length: Annotated[int, Meta(ge=0, le=MOST_READ)] = 1 << 16


class InTexts(After, frozen=True, kw_only=True):
    """A text that is sought, literally, in the files that a glob means."""

    text: Annotated[str, Meta(min_length=1, max_length=4096)]
    match: Short = "**"
    limit: Most = 100


@router.post("/cases/{case}/outcome/list", **documented(takes=InFolder, gives=Entries, refuses=REFUSES))
async def list_outcome(case: CaseName, request: Request, who: Who, service: TheService) -> Response:
    """What a folder would hold, in byte order."""
    asked = await answers.taken(request, InFolder)
    given = (case, untagged(asked.folder), asked.document)
    return answers.json(await service.crew.call(who, "list_outcome", *given, cursor=asked.cursor, limit=asked.limit))


@router.post("/cases/{case}/outcome/find", **documented(takes=Sought, gives=Entries, refuses=REFUSES))
async def find_in_outcome(case: CaseName, request: Request, who: Who, service: TheService) -> Response:
    """What a glob would mean: files and links, or folders where it ends in `/`."""
    asked = await answers.taken(request, Sought)
    given = (case, asked.match, asked.document)
    return answers.json(
        await service.crew.call(who, "find_in_outcome", *given, cursor=asked.cursor, limit=asked.limit)
    )


@router.post("/cases/{case}/outcome/info", **documented(takes=OfEntry, gives=Info, refuses=REFUSES))
async def outcome_info(case: CaseName, request: Request, who: Who, service: TheService) -> Response:
    """All about one entry as it would be."""
    asked = await answers.taken(request, OfEntry)
    return answers.json(await service.crew.call(who, "outcome_info", case, untagged(asked.path), asked.document))


@router.post("/cases/{case}/outcome/read", **documented(takes=OfContent, gives=Piece, refuses=REFUSES))
async def read_outcome(case: CaseName, request: Request, who: Who, service: TheService) -> Response:
    """A piece of what a file would hold; `data` is in base64."""
    asked = await answers.taken(request, OfContent)
    given = (case, untagged(asked.path), asked.document)
    return answers.json(
        await service.crew.call(who, "read_outcome", *given, offset=asked.offset, length=asked.length)
    )


@router.post("/cases/{case}/outcome/seek", **documented(takes=InTexts, gives=Hits, refuses=REFUSES))
async def seek_in_outcome(case: CaseName, request: Request, who: Who, service: TheService) -> Response:
    """The lines of text files that would hold a text."""
    asked = await answers.taken(request, InTexts)
    given = (case, asked.text, asked.match, asked.document)
    return answers.json(await service.crew.call(who, "seek_in_outcome", *given, limit=asked.limit))
