"""The footprint of a plan: which places of the tree it empties, fills or reads, by which two plans are compared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import NamedTuple, Protocol

from treegate.model.effects import EffectKind, Text, untagged
from treegate.model.paths import split

MOST = 1_000  # places that are known one by one: a plan that touches more counts for the folders that it works in

TOLD = 10  # other plans that a plan tells of, the oldest; of further ones only that there are more


class Mark(IntEnum):
    """How a plan has to do with a path."""

    SLOT = 0  # it empties or fills it
    WHOLE = 1  # all that is below goes with it
    ABOVE = 2  # something is below that it has to do with
    READ = 3  # it makes a copy of what is there


class Print(NamedTuple):
    """One path, and what a plan has to do with it."""

    mark: Mark
    path: str


class Touching(Protocol):
    """What must be known of an effect."""

    @property
    def effect(self) -> EffectKind: ...
    @property
    def path(self) -> Text: ...
    @property
    def kind(self) -> str: ...
    @property
    def source(self) -> Text | None: ...


class Prints:
    """A footprint of bounded size: places are cut to so few names that no more than MOST of them are left.

    Where a path was cut, the folder that is left counts as if it were taken whole.
    """

    def __init__(self, effects: Iterable[Touching] = ()) -> None:
        self._found: set[Print] = set()  # but for what is above
        self._deepest = 0  # names that a path may have; 0 for any number
        self._covered: set[str] = set()  # folders so deep that what is in them is cut to what is found already
        self.add(effects)

    def add(self, effects: Iterable[Touching]) -> None:
        """Takes in some effects."""
        for effect in effects:
            mark = Mark.WHOLE if takes_whole(effect) else Mark.SLOT
            for slot in slots_of(effect):
                self._take(mark, slot)
            if effect.effect == "copied" and effect.source is not None:
                self._take(Mark.READ, untagged(effect.source))
            while len(self._found) > MOST and self._deepest != 1:
                self._deepest = max(one.path.count("/") for one in self._found)
                self._found = {self._cut(one) for one in self._found}

    def _take(self, mark: Mark, path: str) -> None:
        folder, _ = split(path)
        if folder in self._covered:
            return
        one = self._cut(Print(mark, path))
        self._found.add(one)
        if one.path != path:
            if len(self._covered) >= MOST:
                self._covered.clear()
            self._covered.add(folder)

    def _cut(self, one: Print) -> Print:
        if not self._deepest or one.path.count("/") < self._deepest:
            return one
        return Print(Mark.WHOLE, "/".join(one.path.split("/", self._deepest)[: self._deepest]))

    def all(self) -> Iterator[Print]:
        """Each once; what is taken whole is also a place that is emptied or filled."""
        yield from self._found
        yield from {Print(Mark.SLOT, path) for mark, path in self._found if mark is Mark.WHOLE} - self._found
        above: set[str] = set()
        for _, path in self._found:
            climb(path, above)
        yield from (Print(Mark.ABOVE, path) for path in above)


def climb(path: str, above: set[str]) -> None:
    """Adds the folders above a path to those that are known."""
    folder, _ = split(path)
    while folder and folder not in above:
        above.add(folder)
        folder, _ = split(folder)


def slots_of(effect: Touching) -> Iterator[str]:
    """The places of the tree that an effect empties or fills."""
    yield untagged(effect.path)
    if effect.source is not None and effect.effect in ("moved", "replaced"):
        yield untagged(effect.source)


def takes_whole(effect: Touching) -> bool:
    """Whether all that lies in a folder goes with it."""
    return effect.kind == "dir" and effect.effect in ("moved", "deleted")
