"""Which steps go straight: the only one of a file, from a folder that stands to a place that is free.

In a large run nearly all do. Such a step can be made or taken back at any time and in any order, and its file is at
one of two places, so that neither a way back nor a recovery has to remember the way of each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set

from treegate.engine.places import Slot
from treegate.model.table import EXCHANGE, ROOT, Step


class Straight:
    """Tells the steps of a table that go straight; `slots` are its places, `new` the folders that its run makes."""

    def __init__(self, chunks: Iterable[Sequence[Step]], slots: Mapping[int, Slot], new: Set[int]) -> None:
        self._slots = slots
        self._entries: set[int] = set()  # of the other steps
        self._movers: set[int] = set()  # folders that move
        self._vacated: set[Slot] = set()  # slots that one entry has before, and another after the run
        self._stands = {ROOT: True}
        for steps in chunks:
            for step in [step for step in steps if not step.free or _is_more(step)]:
                follows = not step.free and step.dst not in new
                if follows or _is_more(step):
                    self._note(step, follows)

    def _note(self, step: Step, follows: bool) -> None:
        self._entries |= {step.entry, step.other}
        if follows:
            self._vacated |= {(step.src, step.src_name), (step.dst, step.dst_name)}
        if step.is_dir:
            self._movers.add(step.entry)
        if step.other_is_dir:
            self._movers.add(step.other)

    def parted(self, steps: list[Step]) -> tuple[list[Step], list[Step]]:
        """These steps in two: those that go straight, and the others."""
        if self.all_go(steps):
            return steps, []
        straight: list[Step] = []
        others: list[Step] = []
        for step in steps:
            (straight if self.goes(step) else others).append(step)
        return straight, others

    def all_go(self, steps: Sequence[Step]) -> bool:
        """Whether all of these plainly go straight."""
        return not (self._entries or self._vacated) and all(map(self._does_stand, {step.src for step in steps}))

    def goes(self, step: Step) -> bool:
        """Whether a step goes straight."""
        known = step.entry in self._entries or (step.src, step.src_name) in self._vacated
        return not known and self._does_stand(step.src)

    def _does_stand(self, place: int) -> bool:
        """Whether a folder stands, and all above it."""
        way: list[int] = []
        while place not in self._stands:
            way.append(place)
            place = self._slots[place][0]
        stands = self._stands[place]
        for place in reversed(way):
            stands = self._stands[place] = stands and place not in self._movers
        return stands


def _is_more(step: Step) -> bool:
    """Whether a step is more than the only one of a file that was there before."""
    return step.is_dir or not step.level or step.kind == EXCHANGE or not step.facts
