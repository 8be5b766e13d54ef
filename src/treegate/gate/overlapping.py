"""Other plans that wait and touch the same entries: whoever decides on one should know of them."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from treegate.engine.store.records import StoredPlan, StoredPreview
from treegate.gate import plans
from treegate.gate.core import Core
from treegate.gate.surveying import seen
from treegate.model.effects import Effect, Text, untagged
from treegate.model.lifecycle import State
from treegate.model.paths import split

MOST_PLANS = 50  # other plans that are looked at, the newest
_WAITING = (State.PENDING, State.APPROVED)
SHOWN = 3  # entries that are named of each


class Overlap(msgspec.Struct, frozen=True, kw_only=True):
    """Another plan that waits, and how many of its effects touch what this one touches."""

    plan: StoredPlan
    count: int
    examples: list[Text]


class _Touched:
    """The slots that a plan's effects touch, and the folders that they take along whole."""

    def __init__(self, effects: Iterator[Effect]) -> None:
        self._slots: set[str] = set()
        self._whole: set[str] = set()
        self._above: set[str] = set()
        for effect in effects:
            slots = list(slots_of(effect))
            self._slots.update(slots)
            if takes_whole(effect):
                self._whole.update(slots)
            for slot in slots:
                self._climb(slot)

    def _climb(self, slot: str) -> None:
        above, _ = split(slot)
        while above and above not in self._above:
            self._above.add(above)
            above, _ = split(above)

    def by(self, effect: Effect) -> bool:
        """Whether an effect touches any of it."""
        whole = takes_whole(effect)
        return any(self._at(slot, whole) for slot in slots_of(effect))

    def _at(self, slot: str, whole: bool) -> bool:
        if slot in self._slots or (whole and slot in self._above):
            return True
        while slot and self._whole:
            if slot in self._whole:
                return True
            slot, _ = split(slot)
        return False


def slots_of(effect: Effect) -> Iterator[str]:
    """The places of the tree that an effect empties or fills."""
    yield untagged(effect.path)
    if effect.source is not None and effect.effect in ("moved", "replaced"):
        yield untagged(effect.source)


def takes_whole(effect: Effect) -> bool:
    """Whether all that lies in a folder goes with it."""
    return effect.kind == "dir" and effect.effect in ("moved", "deleted")


def overlaps(core: Core, prefix: str) -> list[Overlap]:
    """The other plans that wait, or are approved, and touch what this one touches, newest first."""
    plan, stored = seen(core, prefix)
    others = _others(core, plan)
    if not others:
        return []
    touched = _Touched(plans.effects_in(core, stored))
    found = [(other, _hits(core, touched, core.store.preview(other.id))) for other in others]
    return [Overlap(plan=other, count=len(hits), examples=hits[:SHOWN]) for other, hits in found if hits]


def _others(core: Core, plan: StoredPlan) -> list[StoredPlan]:
    waiting = {
        other.id: other
        for case in plan.cases
        for other in core.store.list_plans(_WAITING, case, MOST_PLANS, within=core.actor.cases)[0]
        if other.id != plan.id
    }
    return sorted(waiting.values(), key=lambda other: -other.seq)[:MOST_PLANS]


def _hits(core: Core, touched: _Touched, stored: StoredPreview | None) -> list[Text]:
    if stored is None:
        return []
    effects = plans.effects_in(core, stored)
    return [effect.path if effect.source is None else effect.source for effect in effects if touched.by(effect)]
