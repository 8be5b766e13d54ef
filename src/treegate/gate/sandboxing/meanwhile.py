"""Meanwhile: what others changed of what a command's plan touches, until the plan was previewed.

The runner tells what was changed until it looked; from there to the preview, which has to wait for whoever has the
cases, some time can pass. Looked for once the preview's fingerprints are taken, so that nothing is missed: what is
changed later does not fit them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from treegate.engine.world import DiskWorld
from treegate.model.draft import folders_above
from treegate.model.effects import Effect, untagged
from treegate.model.inverse import homes
from treegate.model.paths import joined, split
from treegate.model.tree import unpack


def changed(world: DiskWorld, effects: Iterable[Effect], since: int) -> Iterator[str]:
    """Where in the cases something was changed after a time (nanoseconds, as files are dated) that effects touch."""
    found = list(effects)
    moved = {
        untagged(effect.path): untagged(effect.source)
        for effect in found
        if effect.kind == "dir" and effect.effect == "moved" and effect.source is not None
    }
    for effect in found:
        for place in _touched(effect, moved):
            yield from _changed_at(world, place, since, deep=effect.effect == "deleted" and effect.kind == "dir")


def _touched(effect: Effect, moved: dict[str, str]) -> set[str]:
    """The places, as the cases are now, of what an effect takes, gives another look, or copies."""
    places = set(homes(effect))
    if effect.effect == "deleted":
        places.add(untagged(effect.path))
    elif effect.effect == "set":
        places.add(_home(untagged(effect.path), moved))
    elif effect.effect == "copied" and effect.source is not None:
        places.add(untagged(effect.source))
    return {place for place in places if not place.startswith("/")}  # else: in a vault


def _home(path: str, moved: dict[str, str]) -> str:
    for above in (path, *folders_above(path)):
        if above in moved:
            return moved[above] + path[len(above) :]
    return path


def _changed_at(world: DiskWorld, place: str, since: int, *, deep: bool) -> Iterator[str]:
    inside = (joined(place, path) for path, _ in world.tree.walk(place)) if deep else ()
    for path in (place, *inside):
        facts = world.tree.facts(*split(path))
        if facts is None or unpack(facts).ctime >= since:
            yield path
