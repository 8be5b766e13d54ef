"""Where each folder of a run is now, and handles of the few that are in use.

A place keeps its number while it moves: its slot is the one its last step gave it. Handles are opened from the
root of its tree, never through a link or mount, and the folder found must be the one the table names.
"""

from __future__ import annotations

import os
import stat as st
from collections.abc import Callable, Iterable

from treegate.engine import handles, piecemeal, posix
from treegate.errors import Stale
from treegate.model.table import ROOT, Place
from treegate.model.tree import Level, same, unpack

OpenRoot = Callable[[bytes], int]  # root key of the step table -> a handle, the caller's to close
Slot = tuple[int, bytes]
MOST = 256  # handles held at once, beside the roots


def volume_of(key: bytes, volumes: Iterable[str]) -> str:
    """The volume that a root key of the step table lies on: "" or the name of a case with a filesystem of its own."""
    kind, _, name = key.partition(b":")
    volume = os.fsdecode(name.partition(b":")[0] if kind == b"vault" else name)
    return volume if volume in volumes else ""


class Places:
    """The folders of one run; `close` gives all handles back."""

    def __init__(self, rows: Iterable[Place], open_root: OpenRoot) -> None:
        self._slots: dict[int, Slot] = {}
        self._facts: dict[int, bytes] = {}
        self._roots: dict[int, bytes] = {}
        self._open_root = open_root
        self._handles: dict[int, int] = {}
        self.unstable: set[int] = set()  # roots whose mounts have no lasting inode numbers
        self.piecemeal: set[int] = set()  # those of them whose mounts move a folder entry by entry
        self.linked: set[int] = set()  # roots whose mounts rename by a second name and the removal of the first
        self.doubling: set[int] = set()  # roots where a rename that was cut off may have left both its names
        self.folding: set[int] = set()  # roots whose mounts take names for one that differ in case or Unicode form
        self.held = self._handles.get  # place number -> handle or None, for loops that cannot afford more
        for row in rows:
            self._slots[row.number] = (row.parent, row.name)
            if row.parent == ROOT:
                self._roots[row.number] = row.name
            elif row.facts:
                self._facts[row.number] = row.facts

    # -- where

    def __contains__(self, number: int) -> bool:
        return number in self._slots

    def roots(self) -> dict[int, bytes]:
        """The number and key of every root."""
        return self._roots

    def numbers(self) -> Iterable[int]:
        """All places, parents before what was in them before the run."""
        return self._slots

    def slot(self, number: int) -> Slot:
        """Where a place is now; (ROOT, key) for a root."""
        return self._slots[number]

    def expect(self, number: int, facts: bytes) -> None:
        """Say which folder the run made for a place."""
        self._facts[number] = facts

    def moved(self, number: int, parent: int, name: bytes) -> None:
        """A step gave a folder this slot."""
        if number in self._slots:
            self._slots[number] = (parent, name)

    def path(self, number: int) -> tuple[int, bytes]:
        """The root a place is under, and its path from there."""
        parts: list[bytes] = []
        while number not in self._roots:
            number, name = self._slots[number]
            parts.append(name)
            if len(parts) > len(self._slots):
                raise ValueError("a place that lies in itself")
        return number, b"/".join(reversed(parts))

    def root(self, number: int) -> int:
        """The root that a place is under now."""
        return self.path(number)[0]

    def shown(self, number: int, name: bytes = b"") -> str:
        """A slot for people: the case, then the path in it; or which area of treegate's own."""
        root, path = self.path(number)
        kind, _, label = self._roots[root].partition(b":")
        first = label if kind == b"case" else b"(" + kind + b")"
        return os.fsdecode(b"/".join(filter(None, (first, path, name))))

    # -- handles

    def handle(self, number: int) -> int:
        """A handle of a place, ours to close, soon if many others are asked for.

        Raises OSError, or Stale if another folder is there now.
        """
        handle = self._handles.pop(number, None)
        if handle is None:
            handle = self._opened(number)
            while len(self._handles) >= MOST:
                handles.close(self._handles.pop(next(iter(self._handles))))
        self._handles[number] = handle  # at the end, away from what is closed next
        return handle

    def pair(self, one: int, other: int) -> tuple[int, int]:
        """Handles of two places that a step is between."""
        return self._standing(one), self._standing(other)

    def _standing(self, number: int) -> int:
        """A handle of a place; a bucket forgets an empty folder, which is then made anew."""
        try:
            return self.handle(number)
        except FileNotFoundError:
            root, path = self.path(number)
            if root not in self.unstable or root == number:
                raise
            piecemeal.stand(self.handle(root), path)
            return self.handle(number)

    def _opened(self, number: int) -> int:
        root, path = self.path(number)
        if number == root:
            handle = self._open_root(self._roots[root])
            self._facts.setdefault(root, posix.packed_of(handle))  # a root opened again must be the same folder
        else:
            handle = handles.open_dir(self.handle(root), path)
        expected = self._facts.get(number)
        if expected is not None and not self._is(expected, handle, root):
            handles.close(handle)
            raise Stale(
                f"another folder is at {self.shown(number)} now", code="place-changed", path=self.shown(number)
            )
        return handle

    def _is(self, expected: bytes, handle: int, root: int) -> bool:
        if root in self.unstable:
            return st.S_IFMT(unpack(expected).mode) == st.S_IFDIR
        return same(expected, posix.facts_of(handle), Level.IDENTITY)

    def forget(self) -> None:
        """Give back all handles but the roots': what is opened next is verified anew."""
        for number in [n for n in self._handles if n not in self._roots]:
            handles.close(self._handles.pop(number))

    def close(self) -> None:
        """Give back every handle."""
        while self._handles:
            handles.close(self._handles.popitem()[1])
