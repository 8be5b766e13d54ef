"""Parts of the review page that cost more than the page itself: each found in a worker, at an address of its own.

The page of a small plan holds them from the start; that of a large one fetches each when it is there, by script, or
by a link where there is none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from treegate.gate import Shown
from treegate.interfaces.http.service import Service
from treegate.model.actors import Actor
from treegate.model.effects import Effect

INLINE = 2_000  # effects up to which a page holds its parts from the start
MOST_DIFFERENCES = 5

Found = dict[str, Any]  # what a part's template wants
Part = Callable[[Service, Actor, Shown], Awaitable[Found]]


async def standing(service: Service, who: Actor, shown: Shown) -> Found:
    """What stands in the way: entries that moved on since, other plans that wait for the same ones."""
    moved_on, overlaps = await asyncio.gather(
        service.crew.call(who, "moved_on", shown.plan.id), service.crew.call(who, "overlaps", shown.plan.id)
    )
    return {"moved_on": moved_on, "overlaps": overlaps}


async def copies(service: Service, who: Actor, shown: Shown) -> Found:
    """Whether what is deleted stays as an identical copy."""
    found = await service.crew.call(who, "survivors", shown.plan.id)
    return {"survivors": found, "deleted": {one.id: one for one in section(shown, "deletions")}}


async def sample(service: Service, who: Actor, shown: Shown) -> Found:
    """Some effects drawn by chance, with the first lines or a picture of each."""
    drawn: list[Effect] = await service.crew.call(who, "sample", shown.plan.id)
    texts = await service.crew.call(who, "excerpts", shown.plan.id, [one.id for one in drawn if one.kind == "file"])
    return {"sample": drawn, "texts": texts}


async def folders(service: Service, who: Actor, shown: Shown) -> Found:
    """The folders before and after."""
    return {"survey": await service.crew.call(who, "folders", shown.plan.id)}


async def differences(service: Service, who: Actor, shown: Shown) -> Found:
    """What becomes of the text of the first files that are replaced."""
    replaced = section(shown, "replacements")[:MOST_DIFFERENCES]
    calls = (service.crew.call(who, "text_difference", shown.plan.id, one.id) for one in replaced)
    return {"differences": await asyncio.gather(*calls)}


async def since(service: Service, who: Actor, shown: Shown) -> Found:
    """What is different from the preview that the reader saw last."""
    return {"since": await service.crew.call(who, "since_seen", shown.plan.id)}


PARTS: dict[str, Part] = {
    "standing": standing,
    "copies": copies,
    "sample": sample,
    "folders": folders,
    "differences": differences,
    "since": since,
}
SEARCHING = frozenset({"copies"})  # parts that read whole cases, however small the plan


def section(shown: Shown, kind: str) -> list[Effect]:
    """The effects of one grave class that the preview itself holds."""
    return next((one.effects for one in shown.preview.sections if one.kind == kind), [])


def wanted(shown: Shown) -> list[str]:
    """The parts that this plan has."""
    kinds = {one.kind for one in shown.preview.sections}
    needs = {"copies": "deletions", "differences": "replacements"}
    return [name for name in PARTS if name not in needs or needs[name] in kinds]


async def inline(service: Service, who: Actor, shown: Shown) -> dict[str, Found]:
    """The parts that the page holds from the start."""
    if shown.preview.counts.effects > INLINE:
        return {}
    names = [name for name in wanted(shown) if name not in SEARCHING]
    found = await asyncio.gather(*(PARTS[name](service, who, shown) for name in names))
    return dict(zip(names, found, strict=True))
