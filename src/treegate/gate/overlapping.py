"""Other plans that wait and touch the same entries: whoever decides on one should know of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import partial

import msgspec

from treegate.engine import footprints
from treegate.engine.store.records import StoredPlan, StoredPreview
from treegate.gate import origins, plans
from treegate.gate.core import Core
from treegate.gate.plans import Shown
from treegate.gate.surveying import seen
from treegate.model.effects import Effect, Text
from treegate.model.footprint import MOST, TOLD, climb, slots_of, takes_whole
from treegate.model.paths import split
from treegate.model.preview import Other

MOST_PLANS = 50  # other plans that are looked at, the oldest
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
                climb(slot, self._above)

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


def overlaps(core: Core, prefix: str) -> list[Overlap]:
    """The other plans that wait, or are approved, and touch what this one touches, newest first."""
    plan, stored = seen(core, prefix)
    others = [other for other in _beside(core, plan, MOST_PLANS) if core.actor.sees(other.cases)]
    if not others:
        return []
    touched = _Touched(plans.effects_in(core, stored))
    found = [(other, _hits(core, touched, core.store.preview(other.id))) for other in reversed(others)]
    examples = [(other, [_at(effect) for effect in hits]) for other, hits in found if hits]
    return [Overlap(plan=other, count=len(hits), examples=hits[:SHOWN]) for other, hits in examples]


def told(core: Core, plan: StoredPlan, within: Collection[str] | None = None) -> list[Other]:
    """The same in a few words, oldest first, of none but the cases `within`: what a preview says of other plans.

    Only plans of few effects are read; of a larger one it is told that it works in the same folders.
    """
    return core.store.recalled(("others", plan.id, plan.preview, within), partial(_told, core, plan, within))


def shown(core: Core, prefix: str) -> Shown:
    """A stored plan and its newest preview, with what there is to say of other plans."""
    found = plans.show(core, prefix)
    others, origin = told(core, found.plan, core.actor.cases), origins.of(core, found.plan.id)
    if not others and origin is None:
        return found
    return found._replace(preview=msgspec.structs.replace(found.preview, others=others, origin=origin))


def _told(core: Core, plan: StoredPlan, within: Collection[str] | None) -> list[Other]:
    others = _beside(core, plan, TOLD + 1)
    stored = core.store.preview(plan.id) if others else None
    if stored is None:
        return []
    touched = _Touched(plans.effects_in(core, stored)) if stored.effects <= MOST else None
    found = (_other(core, touched, other) for other in others if within is None or set(other.cases) <= set(within))
    return [one for one in found if one is not None]


def _other(core: Core, touched: _Touched | None, other: StoredPlan) -> Other | None:
    stored = core.store.preview(other.id)
    about = Other(plan=other.id, title=other.title, state=other.state.value)
    if touched is None or stored is None or stored.effects > MOST:
        return about
    hits = _hits(core, touched, stored)
    if not hits:
        return None
    return msgspec.structs.replace(about, effect=hits[0].effect, path=_at(hits[0]), count=len(hits))


def _beside(core: Core, plan: StoredPlan, most: int) -> list[StoredPlan]:
    return [core.store.plan(id) for id in footprints.beside(core.store, plan.seq, most)]


def _hits(core: Core, touched: _Touched, stored: StoredPreview | None) -> list[Effect]:
    if stored is None:
        return []
    return [effect for effect in plans.effects_in(core, stored) if touched.by(effect)]


def _at(effect: Effect) -> Text:
    return effect.path if effect.source is None else effect.source
