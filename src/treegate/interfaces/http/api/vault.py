"""/vault: what was deleted or replaced, until when it is kept, put back, let go."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, Request, Response
from msgspec import Meta

from treegate.gate import Submitted
from treegate.gate.keeping import Held
from treegate.interfaces.http import answers
from treegate.interfaces.http.api.plans import Case
from treegate.interfaces.http.api.shapes import Short, Taken
from treegate.interfaces.http.identity import Who
from treegate.interfaces.http.openapi import documented
from treegate.interfaces.http.repeating import Repeatable
from treegate.interfaces.http.service import TheService
from treegate.model.effects import Text, untagged

router = APIRouter(tags=["vault"], route_class=Repeatable)
OfRun = Annotated[str, Query(max_length=64, description="Only what this run has put there.")]
Place = Annotated[int, Query(ge=0, lt=1 << 53, description="The position to begin at: `next` of the page before.")]
Rows = Annotated[int, Query(ge=1, le=10_000, description="The most that one page holds.")]


class VaultPage(msgspec.Struct, frozen=True):
    """Some of what the vault keeps, oldest first; `next` is where the next page begins, `total` all there is."""

    vault: list[Held]
    next: int | None
    total: int


class ToRestore(Taken, frozen=True, kw_only=True):
    """Which entries of a run's vault to put back (all, if none is named), and the one of them perhaps elsewhere."""

    run: Annotated[str, Meta(max_length=64)]
    entries: list[int] = []
    to: Text = ""


class ToPrune(Taken, frozen=True, kw_only=True):
    """Whether only to say what would go, and whether the clock is right though later times are on record."""

    dry: bool = False
    trust_clock: bool = False


class PrunedNow(msgspec.Struct, frozen=True):
    """What was let go, and besides: vault folders (volume, run), and files of the state directory, by name."""

    entries: list[Held]
    folders: list[tuple[str, str]]
    files: list[Short]


@router.get("/vault", **documented(gives=VaultPage, refuses=(404, 409)))
async def vault(
    who: Who, service: TheService, run: OfRun = "", case: Case = None, cursor: Place = 0, limit: Rows = 1000
) -> Response:
    """What the vault keeps, and when and why each entry will go."""
    held = await service.crew.call(who, "list_vault", run, case)
    more = cursor + limit
    return answers.json(VaultPage(held[cursor:more], more if more < len(held) else None, len(held)))


@router.post(
    "/vault/restore",
    **documented(
        repeats=True, takes=ToRestore, gives=Submitted, status=201, refuses=(400, 404, 409), headers=("Location",)
    ),
)
async def restore(request: Request, who: Who, service: TheService) -> Response:
    """Submits a plan that puts kept entries back where they were, or one of them elsewhere."""
    asked = await answers.taken(request, ToRestore)
    made = await service.crew.call(who, "restore", asked.run, asked.entries, untagged(asked.to))
    return answers.json(made, 201, {"Location": f"/plans/{made.id}"})


@router.post("/vault/prune", **documented(repeats=True, takes=ToPrune, gives=PrunedNow, refuses=(409,)))
async def prune(request: Request, who: Who, service: TheService) -> Response:
    """Lets go what retention no longer keeps; never what a live plan or an unfinished run names."""
    asked = await answers.taken(request, ToPrune)
    gone, left = await service.crew.call(who, "prune", dry=asked.dry, trust_clock=asked.trust_clock)
    return answers.json(PrunedNow(gone, left.folders, [file.name for file in left.files]))
