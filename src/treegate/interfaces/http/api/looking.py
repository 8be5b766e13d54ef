"""/plans/{id}/…: what a reviewer wants to see of a plan besides its preview."""

from __future__ import annotations

import asyncio
from typing import Annotated

import msgspec
from fastapi import APIRouter, Path, Query, Request, Response

from treegate.engine.audit import AuditRow
from treegate.engine.store.records import Run, StoredPlan
from treegate.gate.comparing import Comparison, MovedOn
from treegate.gate.decisions import DecisionMade
from treegate.gate.looking import TextDifference
from treegate.gate.overlapping import Overlap
from treegate.gate.reducing import Reduced
from treegate.gate.surveying import Destination, FolderSurvey
from treegate.gate.survivors import Survivors
from treegate.gate.terms import Terms
from treegate.interfaces.http import answers
from treegate.interfaces.http.api.plans import PlanId, document_of
from treegate.interfaces.http.api.shapes import Digest, Reduce, Taken
from treegate.interfaces.http.identity import Who
from treegate.interfaces.http.openapi import documented
from treegate.interfaces.http.service import TheService
from treegate.model.effects import Effect
from treegate.model.explaining import Explained
from treegate.model.plan import Document
from treegate.model.preview import Preview

router = APIRouter(tags=["plans"])
EffectId = Annotated[str, Path(description="An effect's id, such as `e17`.", max_length=32)]
AtPath = Annotated[str, Query(description="A path from the case's name on, as the tree is now.", max_length=4096)]
After = Annotated[int, Query(ge=0, lt=1 << 53, description="Only what was logged after this row.")]
LOOKED = (400, 404, 409)


class ShownPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A stored plan with its newest preview, whose turn it is, and the run of that preview, if there was one."""

    plan: StoredPlan
    preview: Preview
    waiting_for: str
    run: Run | None


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """Whose turn it is, in words; nobody's where it is empty."""

    waiting_for: str


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """How the newest preview differs; null where there is nothing to compare it with, or nothing differs."""

    comparison: Comparison | None


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """Effects drawn by chance, always the same for one reviewer and digest."""

    effects: list[Effect]


class Overlaps(msgspec.Struct, frozen=True, kw_only=True):
    """The other plans that wait and touch what this one touches."""

    overlaps: list[Overlap]


class MovedOnNow(msgspec.Struct, frozen=True, kw_only=True):
    """What of a preview's fingerprints does not hold in the tree as it is now."""

    moved_on: list[MovedOn]


class Logged(msgspec.Struct, frozen=True, kw_only=True):
    """Events of the audit log, oldest first."""

    events: list[AuditRow]


class Decisions(msgspec.Struct, frozen=True, kw_only=True):
    """What reviewers said."""

    decisions: list[DecisionMade]


class Seen(Taken, frozen=True, kw_only=True):
    """What was looked at."""

    digest: Digest


@router.get("/plans/{id}/shown", **documented(gives=ShownPlan, refuses=LOOKED))
async def shown(id: PlanId, who: Who, service: TheService) -> Response:
    """A plan with its newest preview, and where it stands."""
    found = service.gate.acting_as(who).show(id)
    return answers.json(ShownPlan(**found._asdict()))


@router.get("/plans/{id}/waiting-for", **documented(gives=Turn, refuses=LOOKED))
async def waiting_for(id: PlanId, who: Who, service: TheService) -> Response:
    """Whose turn it is."""
    return answers.json(Turn(waiting_for=service.gate.acting_as(who).waiting_for(id)))


@router.get("/plans/{id}/document", **documented(gives=Document, refuses=LOOKED))
async def plan_document(id: PlanId, who: Who, service: TheService) -> Response:
    """The document of a plan, newest revision, byte by byte as it was handed in."""
    found = await asyncio.to_thread(document_of, service.gate.acting_as(who), id)
    return Response(found, media_type="application/json")


@router.get("/plans/{id}/log", **documented(gives=Logged, refuses=LOOKED))
async def plan_log(id: PlanId, who: Who, service: TheService, after: After = 0) -> Response:
    """What is logged of a plan; the first 500 events after `after`."""
    return answers.json(Logged(events=service.gate.acting_as(who).events_of(id, after)))


@router.get("/plans/{id}/decisions", **documented(gives=Decisions, refuses=LOOKED))
async def plan_decisions(id: PlanId, who: Who, service: TheService) -> Response:
    """What reviewers said of a plan, oldest first, and what each word is about."""
    return answers.json(Decisions(decisions=service.gate.acting_as(who).decisions(id)))


@router.get("/plans/{id}/since-approved", **documented(gives=Compared, refuses=LOOKED))
async def since_approved(id: PlanId, who: Who, service: TheService) -> Response:
    """How the newest preview differs from the one that was approved."""
    return answers.json(Compared(comparison=await service.crew.call(who, "since_approved", id)))


@router.get("/plans/{id}/since-seen", **documented(gives=Compared, refuses=LOOKED))
async def since_seen(id: PlanId, who: Who, service: TheService) -> Response:
    """How the newest preview differs from the one that was seen last by whoever asks."""
    return answers.json(Compared(comparison=await service.crew.call(who, "since_seen", id)))


@router.post("/plans/{id}/seen", **documented(takes=Seen, gives=Seen, refuses=LOOKED))
async def note_seen(id: PlanId, request: Request, who: Who, service: TheService) -> Response:
    """Notes that whoever asks has seen what `digest` names."""
    asked = await answers.taken(request, Seen)
    await service.crew.call(who, "note_seen", id, asked.digest)
    return answers.json(asked)


@router.get("/plans/{id}/effects/{effect}/text", **documented(gives=TextDifference, refuses=LOOKED))
async def text_difference(id: PlanId, effect: EffectId, who: Who, service: TheService) -> Response:
    """What an effect does to the content of its file."""
    return answers.json(await service.crew.call(who, "text_difference", id, effect))


@router.post("/plans/{id}/reduction", **documented(takes=Reduce, gives=Reduced, refuses=LOOKED))
async def reduction(id: PlanId, request: Request, who: Who, service: TheService) -> Response:
    """What leaving effects or patterns out would come to; nothing is stored."""
    asked = await answers.taken(request, Reduce)
    return answers.json(await service.crew.call(who, "reduction", id, asked.leave_out, asked.digest))


@router.get("/plans/{id}/folders", **documented(gives=FolderSurvey, refuses=LOOKED))
async def folders(id: PlanId, who: Who, service: TheService) -> Response:
    """The folders whose entries a plan changes, with how many each holds before and after."""
    return answers.json(await service.crew.call(who, "folders", id))


@router.get("/plans/{id}/destination", **documented(gives=Destination, refuses=LOOKED))
async def destination(id: PlanId, path: AtPath, who: Who, service: TheService) -> Response:
    """What becomes of the entry that is at a path now."""
    return answers.json(await service.crew.call(who, "destination", id, path))


@router.get("/plans/{id}/sample", **documented(gives=Sample, refuses=LOOKED))
async def sample(id: PlanId, who: Who, service: TheService) -> Response:
    """Effects drawn by chance, always the same for one reviewer and digest."""
    return answers.json(Sample(effects=await service.crew.call(who, "sample", id)))


@router.get("/plans/{id}/overlaps", **documented(gives=Overlaps, refuses=LOOKED))
async def overlaps(id: PlanId, who: Who, service: TheService) -> Response:
    """The other plans that wait and touch what this one touches."""
    return answers.json(Overlaps(overlaps=await service.crew.call(who, "overlaps", id)))


@router.get("/plans/{id}/survivors", **documented(gives=Survivors, refuses=LOOKED))
async def survivors(id: PlanId, who: Who, service: TheService) -> Response:
    """Whether what a plan deletes is still there afterwards, as an identical copy."""
    return answers.json(await service.crew.call(who, "survivors", id))


@router.get("/plans/{id}/moved-on", **documented(gives=MovedOnNow, refuses=LOOKED))
async def moved_on(id: PlanId, who: Who, service: TheService) -> Response:
    """What of a preview's fingerprints does not hold in the tree as it is now."""
    return answers.json(MovedOnNow(moved_on=await service.crew.call(who, "moved_on", id)))


@router.get("/plans/{id}/explain", **documented(gives=Explained, refuses=LOOKED))
async def explain(id: PlanId, who: Who, service: TheService) -> Response:
    """What policy says of a plan: each rule, each limit, who approved and who still may."""
    return answers.json(await service.crew.call(who, "explain", id))


@router.post("/policy/explain", **documented(takes=Document, gives=Explained, refuses=LOOKED))
async def explain_document(request: Request, who: Who, service: TheService) -> Response:
    """What policy would say of a plan that is not handed in."""
    return answers.json(await service.crew.call(who, "explain_document", await request.body()))


@router.get("/policy", **documented(gives=Terms))
async def terms(who: Who, service: TheService) -> Response:
    """What holds for everybody here: how it is decided, and how long things are kept."""
    return answers.json(service.gate.acting_as(who).terms())
