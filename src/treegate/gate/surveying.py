"""Surveys of a preview for those who decide on it: its folders before and after, where one entry goes, a sample."""

from __future__ import annotations

import contextlib
import hashlib
import random
from collections.abc import Iterator

import msgspec

from treegate.engine.store.records import StoredPlan, StoredPreview
from treegate.engine.world import DiskWorld
from treegate.gate import plans
from treegate.gate.core import Core
from treegate.model.actors import Action
from treegate.model.effects import Effect, untagged
from treegate.model.folders import Folder, Folders
from treegate.model.lifecycle import AS_PREVIEWED, UNFINISHED
from treegate.model.paths import split

SAMPLE = 20  # effects drawn by chance
MOST_FOLDERS = 300  # that are told; those in which most changes


class FolderSurvey(msgspec.Struct, frozen=True, kw_only=True):
    """The folders whose entries change, in the order of their paths; `count` is how many there are in all."""

    folders: list[Folder]
    count: int


class Destination(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of the entry at a path, by which effect on it or on a folder above it, and where it will be."""

    path: str
    effect: Effect | None  # None: nothing happens to it
    to: str  # "": it goes away


def seen(core: Core, prefix: str) -> tuple[StoredPlan, StoredPreview]:
    """A plan that the actor may read, and its newest preview; raises WrongState "not-previewed"."""
    plan = core.find_plan(prefix)
    core.actor.require(Action.READ, plan.cases)
    stored = core.store.preview(plan.id)
    if stored is None:
        raise plans.unpreviewed(plan)
    return plan, stored


def folders(core: Core, prefix: str) -> FolderSurvey:
    """The folders whose entries a plan changes; how many each holds now is told while the plan may still be run."""
    plan, stored = seen(core, prefix)
    found = Folders(plans.effects_in(core, stored))
    rows = sorted(found.rows(), key=lambda row: -(row.left + row.came))
    told = sorted(rows[:MOST_FOLDERS], key=lambda row: untagged(row.path))
    if plan.state in AS_PREVIEWED - UNFINISHED:
        with core.world() as world:
            told = [found.counted(row, _entries(world, untagged(row.was or row.path))) for row in told]
    return FolderSurvey(folders=told, count=len(rows))


def _entries(world: DiskWorld, folder: str) -> int | None:
    with contextlib.suppress(OSError):
        return len(world.tree.names(folder))
    return None


def destination(core: Core, prefix: str, path: str) -> Destination:
    """What becomes of the entry that is at a path (from the case's name on) now."""
    _, stored = seen(core, prefix)
    path = path.strip("/")
    nearest: Effect | None = None
    at = ""
    above = set(_above(path))
    for effect in plans.effects_in(core, stored):
        home = _home(effect)
        if home in above and len(home) > len(at):
            nearest, at = effect, home
    if nearest is None:
        return Destination(path=path, effect=None, to=path)
    to = "" if nearest.effect == "deleted" else untagged(nearest.path) + path[len(at) :]
    return Destination(path=path, effect=nearest, to=to)


def _home(effect: Effect) -> str:
    """Where what an effect is about is now; "" for what is not there yet."""
    if effect.effect in ("deleted", "set"):
        return untagged(effect.path)
    if effect.effect in ("moved", "replaced") and effect.source is not None:
        return untagged(effect.source)
    return ""


def _above(path: str) -> Iterator[str]:
    while path:
        yield path
        path, _ = split(path)


def sample(core: Core, prefix: str) -> list[Effect]:
    """Effects drawn by chance: for one reviewer and one digest always the same, and for nobody else to foresee."""
    _, stored = seen(core, prefix)
    words = f"sample\n{stored.digest}\n{core.actor.name}".encode("utf-8", "surrogateescape")
    drawn = random.Random(hashlib.sha256(core.key().sign(words).encode()).digest())
    places = sorted(drawn.sample(range(stored.effects), min(SAMPLE, stored.effects)))
    return [effect for place in places for effect in plans.effects_in(core, stored, place, 1)]
