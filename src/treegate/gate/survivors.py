"""Survivors: whether what a plan deletes is still there afterwards, as an identical copy elsewhere in its case."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from itertools import islice

import msgspec

from treegate.engine.world import DiskWorld
from treegate.gate import plans
from treegate.gate.core import Core
from treegate.gate.surveying import seen
from treegate.model.effects import Effect, Text, tagged, untagged
from treegate.model.folders import relocated
from treegate.model.footprint import takes_whole
from treegate.model.paths import joined, split
from treegate.model.preview import SHOWN
from treegate.model.tree import Kind, unpack

MOST_FILES = 500  # deleted ones that are looked for
MOST_ENTRIES = 300_000  # of a case that are looked at
MOST_BYTES = 2 << 30  # that are read to compare


class Survivor(msgspec.Struct, frozen=True, kw_only=True):
    """What remains of a deletion: of `files` files, `kept` have a copy that stays; where the first will be."""

    effect: str  # its id
    files: int
    kept: int
    copy: Text | None = None


class Survivors(msgspec.Struct, frozen=True, kw_only=True):
    """What remains of the deletions that a preview names; `note` says what was not looked at, if anything."""

    deletions: list[Survivor]
    note: str = ""


class _Lost:
    """What a plan takes away: such a place holds no surviving copy."""

    def __init__(self, effects: Iterator[Effect]) -> None:
        self.deletions: list[Effect] = []
        self._gone: set[str] = set()
        self._folders: set[str] = set()
        self._moved: dict[str, str] = {}
        for effect in effects:
            if effect.effect == "moved" and effect.source is not None:
                self._moved[untagged(effect.source)] = untagged(effect.path)
            if effect.effect not in ("deleted", "replaced"):
                continue
            place = untagged(effect.path if effect.replaces is None else effect.replaces)
            self._gone.add(place)
            if takes_whole(effect):
                self._folders.add(place)
            if effect.effect == "deleted" and len(self.deletions) < SHOWN:
                self.deletions.append(effect)

    def afterwards(self, path: str) -> str:
        """Where what is at a path will be."""
        return relocated(path, self._moved)

    def has(self, path: str) -> bool:
        """Whether what is at a path goes away."""
        if path in self._gone:
            return True
        while path and self._folders:
            if path in self._folders:
                return True
            path, _ = split(path)
        return False


class _Search:
    """One search through the cases that lose something."""

    def __init__(self, world: DiskWorld, lost: _Lost) -> None:
        self._tree, self._lost = world.tree, lost
        self._read = 0
        self.bounded = False
        self._wanted = {effect.id: list(self._files(effect)) for effect in lost.deletions}
        self._sizes = {size for files in self._wanted.values() for _, size in files}
        self._places: dict[int, list[str]] = {}

    def _files(self, effect: Effect) -> Iterator[tuple[str, int]]:
        """The files that a deletion takes, with their sizes."""
        path = untagged(effect.path)
        inside = [path] if effect.kind == "file" else []
        if effect.kind == "dir":
            with contextlib.suppress(OSError):
                found = (name for name, kind in self._tree.walk(path) if kind is Kind.FILE)
                inside = [joined(path, name) for name in islice(found, MOST_FILES)]
                self.bounded |= effect.files > len(inside)
        for file in inside:
            if (size := self._size(file)) is not None:
                yield file, size

    def _size(self, path: str) -> int | None:
        with contextlib.suppress(OSError):
            packed = self._tree.facts(*split(path))
            return unpack(packed).size if packed is not None else None
        return None

    def look_through(self, case: str) -> None:
        """Notes the files of a case that are as large as a deleted one, and stay."""
        for name, kind in islice(self._tree.walk(case), MOST_ENTRIES + 1):
            path = joined(case, name)
            if kind is Kind.FILE and (size := self._size(path)) in self._sizes and not self._lost.has(path):
                self._places.setdefault(size, []).append(path)

    def result(self) -> Iterator[Survivor]:
        """What remains of each deletion."""
        for id, files in self._wanted.items():
            copies = [copy for path, size in files if (copy := self._copy(path, size)) is not None]
            yield Survivor(
                effect=id,
                files=len(files),
                kept=len(copies),
                copy=tagged(self._lost.afterwards(copies[0])) if copies else None,
            )

    def _copy(self, path: str, size: int) -> str | None:
        for other in self._places.get(size, ()):
            self._read += 2 * size
            if self._read > MOST_BYTES:
                self.bounded = True
                return None
            with contextlib.suppress(OSError):
                if self._tree.sha256(path) == self._tree.sha256(other):
                    return other
        return None


def survivors(core: Core, prefix: str) -> Survivors:
    """What remains of what a plan deletes; contents are compared, so it may take a while."""
    _, stored = seen(core, prefix)
    lost = _Lost(plans.effects_in(core, stored))
    with core.world() as world:
        search = _Search(world, lost)
        for case in sorted({untagged(effect.path).partition("/")[0] for effect in lost.deletions}):
            with contextlib.suppress(OSError):
                search.look_through(case)
        found = list(search.result())
    return Survivors(deletions=found, note="not all of it was looked at: it is too much" if search.bounded else "")
