"""Folders before and after: how many entries each one holds, as the effects of a plan leave it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from treegate.model.effects import Effect, Text, tagged, untagged
from treegate.model.paths import split

_LEAVES = frozenset({"moved", "deleted"})  # the slot that it had is free afterwards
_COMES = frozenset({"made", "moved", "copied", "created", "restored", "linked"})


class Folder(msgspec.Struct, frozen=True, kw_only=True):
    """One folder whose own entries change; folders below it are entries of it, and have lines of their own."""

    path: Text  # where it finally is; of one that goes away, where it was
    was: Text | None = None  # where it is now, if elsewhere; None too for one that is new
    before: int | None = None  # entries that it has now; None: it is new, or nobody counted
    after: int | None = None  # entries that it will have; None: it goes away, or nobody counted
    left: int = 0  # entries that go from it
    came: int = 0


class Folders:
    """The folders that some effects touch, keyed by where each is now, or will be if it is new."""

    def __init__(self, effects: Iterable[Effect]) -> None:
        self.left: dict[str, int] = {}
        self.came: dict[str, int] = {}
        self.gone: set[str] = set()
        self._home: dict[str, str] = {}  # final path -> path now, of folders that move
        self._final: dict[str, str] = {}
        self.new: set[str] = set()
        came: list[str] = []
        for effect in effects:
            self._take(effect, came)
        for path in came:
            above = self.home(split(path)[0])
            self.came[above] = self.came.get(above, 0) + 1

    def _take(self, effect: Effect, came: list[str]) -> None:
        path, source = untagged(effect.path), untagged(effect.source) if effect.source is not None else ""
        old = source if effect.effect == "moved" else path
        if effect.effect in _LEAVES:
            above = split(old)[0]
            self.left[above] = self.left.get(above, 0) + 1
        if effect.effect in _COMES:
            came.append(path)
        if effect.effect == "replaced":
            self._take_replaced(effect, source, came)
        if effect.kind == "dir":
            self._take_folder(effect.effect, path, source)

    def _take_replaced(self, effect: Effect, source: str, came: list[str]) -> None:
        """The slot at its path stays taken, unless what is replaced was elsewhere."""
        emptied = [source] if source and not source.startswith("vault:") else []
        if effect.replaces is not None:
            emptied.append(untagged(effect.replaces))
            came.append(untagged(effect.path))
        for slot in emptied:
            above = split(slot)[0]
            self.left[above] = self.left.get(above, 0) + 1

    def _take_folder(self, effect: str, path: str, source: str) -> None:
        if effect == "moved":
            self._home[path], self._final[source] = source, path
        elif effect == "deleted":
            self.gone.add(path)
        elif effect in _COMES:
            self.new.add(path)

    def home(self, path: str) -> str:
        """Where a folder that will be at a path is now; the path itself where it does not move, or is new."""
        return relocated(path, self._home)

    def final(self, path: str) -> str:
        """Where a folder that is at a path now will be."""
        return relocated(path, self._final)

    def rows(self) -> Iterator[Folder]:
        """A line for each folder, in the order of where they will be; nobody has counted yet."""
        touched = (self.left.keys() | self.came.keys() | self.gone | self._final.keys()) - {""}
        for home in sorted(touched, key=self.final):
            final = home if home in self.gone else self.final(home)
            yield Folder(
                path=tagged(final),
                was=tagged(home) if final != home else None,
                left=self.left.get(home, 0),
                came=self.came.get(home, 0),
            )

    def counted(self, row: Folder, before: int | None) -> Folder:
        """A line with the entries that its folder has now (None: it is not there) counted."""
        path = untagged(row.path)
        after = None if path in self.gone else (before or 0) - row.left + row.came
        return msgspec.structs.replace(row, before=before, after=after)


def relocated(path: str, moved: dict[str, str]) -> str:
    """A path, with what moves at it, or nearest above it, put at its other place."""
    above, rest = path, ""
    while above and moved:
        if above in moved:
            return moved[above] + rest
        above, name = split(above)
        rest = f"/{name}{rest}"
    return path
