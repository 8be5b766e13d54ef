"""/ui/plans/…: a plan as it is reviewed: the page, its parts, its rows."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Request, Response

from treegate.errors import NotFound
from treegate.gate import Gate, Shown
from treegate.gate.deciding import pins_of
from treegate.interfaces.http.identity import Person
from treegate.interfaces.http.service import Service, TheService
from treegate.interfaces.http.ui import pages, parts
from treegate.model.actors import Action, Actor
from treegate.model.effects import Effect
from treegate.model.lifecycle import LIVE, State
from treegate.model.preview import Counts
from treegate.render import grave, words

router = APIRouter(include_in_schema=False)
PAGE = 100  # rows of effects
_DECIDABLE = frozenset({State.PENDING, State.APPROVED, State.CHANGES_REQUESTED})
_EFFECTS = msgspec.json.Decoder(Effect)


class Seeking(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows are wanted: those that hold some words, of a kind, of a pattern; and from which on."""

    q: str = ""
    kind: str = ""
    pattern: str = ""
    at: int = 0


@router.get("/ui/plans/{id}")
async def review(id: str, request: Request, who: Person, service: TheService) -> Response:
    """The plan: what it would do, gravest first, then all that helps to decide."""
    gate = service.gate.acting_as(who)
    if gate.plan(id).preview is None:
        plan = gate.plan(id)
        return pages.render(request, who, "draft.html", plan=plan, withdraws=gate.may_withdraw(plan))
    shown = gate.show(id)
    inline = await parts.inline(service, who, shown)
    return pages.render(
        request,
        who,
        "review.html",
        lots=grave.lots(shown.preview),
        wanted=parts.wanted(shown),
        inline=inline,
        approves=approves(shown.preview.counts),
        own=gate.is_own(shown.plan),
        withdraws=gate.may_withdraw(shown.plan),
        typed=gate.asks_to_type(shown.preview.counts.deleted_files),
        undoable_until=gate.undoable_until(),
        waits=shown.plan.state in _DECIDABLE,
        live=shown.plan.state in LIVE and shown.plan.state is not State.INVALID,
        failure=gate.failure(shown.plan) if shown.plan.state is State.APPROVED else None,
        decisions=[(one, pins_of(one)) for one in gate.core.store.decisions(shown.plan.id)],
        **_shown(who, shown),
        **await _rows(service, gate, shown, Seeking()),
    )


@router.get("/ui/plans/{id}/parts/{name}")
async def part(id: str, name: str, request: Request, who: Person, service: TheService) -> Response:
    """One part of the page: alone for a script, within a page of its own for a reader without one."""
    shown = service.gate.acting_as(who).show(id)
    if name not in parts.PARTS:
        raise NotFound(f"the review page has no part {name!r}", code="not-found")
    found = await parts.PARTS[name](service, who, shown)
    bare = _scripted(request)
    return pages.render(request, who, "part.html", part=name, found=found, bare=bare, **_shown(who, shown))


@router.get("/ui/plans/{id}/rows")
async def rows(
    id: str,
    request: Request,
    who: Person,
    service: TheService,
    q: Annotated[str, Query(max_length=200)] = "",
    kind: Annotated[str, Query(max_length=20)] = "",
    pattern: Annotated[str, Query(max_length=20)] = "",
    at: Annotated[int, Query(ge=0, lt=1 << 31)] = 0,
) -> Response:
    """Effects, row by row: all of them, or those that are sought."""
    gate = service.gate.acting_as(who)
    shown = gate.show(id)
    seeking = Seeking(q=q, kind=kind, pattern=pattern, at=at)
    found = await _rows(service, gate, shown, seeking)
    return pages.render(request, who, "rows.html", bare=_scripted(request), **_shown(who, shown), **found)


@router.get("/ui/plans/{id}/where")
async def where(
    id: str, request: Request, who: Person, service: TheService, path: Annotated[str, Query(max_length=4096)] = ""
) -> Response:
    """What becomes of the entry at a path."""
    found = await service.crew.call(who, "destination", id, path) if path.strip("/ ") else None
    return pages.render(request, who, "where.html", id=id, destination=found, bare=_scripted(request))


@router.get("/ui/plans/{id}/effects/{effect}")
async def difference(id: str, effect: str, request: Request, who: Person, service: TheService) -> Response:
    """What an effect does to the content of its file."""
    found = await service.crew.call(who, "text_difference", id, effect)
    return pages.render(request, who, "difference.html", id=id, difference=found)


def approves(counts: Counts) -> str:
    """What the button says that it does: "4,998 moves, 2 replacements"."""
    named = [
        (counts.deleted, "deletion"),
        (counts.replaced, "replacement"),
        (counts.moved, "move"),
        (counts.copied, "copy"),
        (counts.created + counts.made + counts.linked, "new entry"),
        (counts.restored, "restored entry"),
        (counts.set, "change of mode or time"),
    ]
    plurals = {"copy": "copies", "new entry": "new entries", "restored entry": "restored entries"}
    told = [words.plural(count, one, plurals.get(one, "")) for count, one in named if count]
    return ", ".join(told) or "no change"


def decides(who: Actor, shown: Shown) -> bool:
    """Whether to offer decisions; the gate says no to whoever sends them nevertheless."""
    return shown.plan.state in _DECIDABLE and who.may(Action.DECIDE, shown.plan.cases)


def _shown(who: Actor, shown: Shown) -> dict[str, Any]:
    """What each of these pages shows."""
    return {"shown": shown, "preview": shown.preview, "words": words, "decides": decides(who, shown)}


async def _rows(service: Service, gate: Gate, shown: Shown, seeking: Seeking) -> dict[str, Any]:
    stored = gate.core.store.preview(shown.plan.id)
    assert stored is not None  # it is shown
    found = await service.effects.page(
        stored, seeking.at, PAGE, seeking.q, kind=seeking.kind, within=_within(shown, seeking.pattern)
    )
    effects = [_EFFECTS.decode(raw) for raw in found.effects]
    return {"seeking": seeking, "effects": effects, "total": found.total, "next": found.next, "page": PAGE}


def _within(shown: Shown, pattern: str) -> range | None:
    """The positions of a pattern's effects, which stand together; None where none is named."""
    found = next((one for one in shown.preview.patterns if one.id == pattern), None)
    return None if found is None else range(found.first, found.first + found.count)


def _scripted(request: Request) -> bool:
    """Whether a script asked, which wants the fragment alone."""
    return "hx-request" in request.headers
