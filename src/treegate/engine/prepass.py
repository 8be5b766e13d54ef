"""The last look before the first step: is every entry as it was previewed, and would every step be allowed?

One lstat a source, one listing a destination folder. All that does not hold is found, not only the first.
"""

from __future__ import annotations

import os
import stat as st
import struct
from collections.abc import Sequence
from itertools import chain, groupby
from typing import NamedTuple

from treegate.engine import handles, posix
from treegate.engine.context import RunContext
from treegate.engine.places import Places, Slot
from treegate.engine.staging import stop_if_cancelled
from treegate.errors import Denied, Stale
from treegate.model.table import EXCHANGE, Check, Step, between
from treegate.model.tree import APPEND, IMMUTABLE, Facts, Kind, Level, same, unpack

SHOWN = 20  # findings named in an error's message
_LISTED = 200_000  # names of destination folders kept at once
_FIXED = IMMUTABLE | APPEND
_ANEW = "refresh the plan: it is previewed on the tree as it is now, and decided on again"
_attrs_in = struct.Struct("<16xI40x").iter_unpack  # of packed facts


class Finding(NamedTuple):
    """One thing that does not hold, or (`denied`) that would not be allowed."""

    path: str  # for people
    text: str
    entry: int  # its number in the table, -1 if it has none
    denied: bool = False
    place: int = -1  # where it is, as the table has it: a place's number and a name there, b"" for the place itself
    name: bytes = b""


def raise_found(found: list[Finding]) -> None:
    """Raise Stale, or Denied if nothing is stale, for what was found, naming the first twenty."""
    if not found:
        return
    stale = [f for f in found if not f.denied]
    shown = stale or found
    lines = [f"{f.path}: {f.text}" for f in shown[:SHOWN]]
    if len(shown) > SHOWN:
        lines.append(f"and {len(shown) - SHOWN} more")
    text = "\n  ".join(["nothing was changed, because", *lines])
    if stale:
        raise Stale(text, hint=_ANEW, next="treegate refresh ID", path=shown[0].path)
    raise Denied(text, code="no-permission", hint="give the rights, and apply again", path=shown[0].path)


class PrePass:
    """Looks at everything a table names; `found` holds what is wrong.

    `built` says whether the new entries are there yet; before that, new folders cannot be looked into.
    """

    def __init__(self, ctx: RunContext, places: Places, *, built: bool = True) -> None:
        self._ctx = ctx
        self._places = places
        self._allowed = set() if built else {row.number for row in ctx.table.staged}  # folders looked at
        self._sticky: set[int] = set()  # folders where only an entry's owner may rename it
        self._listed: dict[int, set[bytes]] = {}
        self._longest: dict[int, int] = {}  # place -> longest name put into it
        self._moved: dict[int, Slot] = {}  # folders that move, with their final slots
        self.found: list[Finding] = []

    def all(self) -> list[Finding]:
        """Look at checks, steps and settings; what was found."""
        for check in self._ctx.table.checks:
            self.check(check)
        settled: set[int] = set()
        for chunk in self._ctx.table.chunks():
            stop_if_cancelled(self._ctx)
            self.steps(chunk)
            if self._ctx.table.header.settings:
                settled.update(number for step in chunk for number in (step.entry, step.other))
        for row in self._ctx.table.settings():
            if row.entry not in settled:
                self.entry(row.entry, row.place, row.name, row.facts, Level.CONTENT)
        self._paths()
        return self.found

    # -- steps

    def steps(self, steps: Sequence[Step]) -> None:
        """Look at what these steps move, and where it goes."""
        self._sources(steps)
        self._targets(steps)

    def _sources(self, steps: Sequence[Step]) -> None:
        """Whether what is moved is as it was; looked at together, as far as it is between the same two folders."""
        for (src, _), some in groupby(steps, key=between):
            same = list(some)
            self._folders(same[0])
            known = [step for step in same if step.level]
            try:
                folder = self._places.handle(src)
            except (OSError, Stale) as error:
                for step in known:
                    self._find(src, step.src_name, f"cannot be looked at: {error}", step.entry)
            else:
                self._look(folder, known)

    def _look(self, folder: int, steps: Sequence[Step]) -> None:
        """Look at what these steps move out of one folder."""
        facts = [step.facts for step in steps]
        names = [step.src_name for step in steps]
        touched = self._ctx.aide.look_each(folder, names, facts)
        for step in map(steps.__getitem__, touched):
            self.entry(step.entry, step.src, step.src_name, step.facts, step.level)
        if self._sticky or any(map(_FIXED.__and__, chain.from_iterable(_attrs_in(b"".join(facts))))):
            seen = set(touched)
            for number, step in enumerate(steps):
                if number not in seen:
                    self._may_move(step, unpack(step.facts))

    def _targets(self, steps: Sequence[Step]) -> None:
        """Whether what must be free is free, and what an exchange brings back is as it was."""
        longest, longest_of, listed = self._longest, self._longest.get, self._listed.get
        for step in steps:
            dst, name = step.dst, step.dst_name
            if step.kind == EXCHANGE and step.other_level:
                self.entry(step.other, dst, name, step.other_facts, step.other_level)
            if step.free:
                taken = listed(dst)
                if name in (self._names(dst) if taken is None else taken):
                    self._find(dst, name, "another entry is there now", step.entry)
            if step.is_dir or step.other_is_dir:
                self._folder_moves(step)
            if len(name) > longest_of(dst, 0):
                longest[dst] = len(name)

    def entry(self, number: int, place: int, name: bytes, facts: bytes, level: int) -> None:
        """Look at one entry: whether it is there, the same, and may be moved."""
        try:
            now = posix.facts(self._places.handle(place), name)
        except FileNotFoundError:
            return self._find(place, name, "is not there any more", number)
        except (OSError, Stale) as error:
            return self._find(place, name, f"cannot be looked at: {error}", number)
        if not self._same(place, facts, now, level):
            return self._find(place, name, "was changed", number)
        if now.attrs & _FIXED:
            self._find(place, name, "is marked immutable or append-only", number, denied=True)
        return None

    def _same(self, place: int, facts: bytes, now: Facts, level: int) -> bool:
        if self._places.unstable and self._places.root(place) in self._places.unstable:
            was = unpack(facts)
            return was.kind == now.kind and (was.kind == Kind.DIR or (was.size, was.mtime) == (now.size, now.mtime))
        return same(facts, now, Level(level))

    def _may_move(self, step: Step, now: Facts) -> None:
        if now.attrs & _FIXED:
            self._find(step.src, step.src_name, "is marked immutable or append-only", step.entry, denied=True)
        if step.src in self._sticky and now.uid != os.geteuid():
            self._find(
                step.src, step.src_name, "belongs to someone else, in a sticky folder", step.entry, denied=True
            )

    # -- folders

    def _folders(self, step: Step) -> None:
        for place in (step.src, step.dst):
            if place not in self._allowed:
                self._allowed.add(place)
                try:
                    self._folder(place, step.entry)
                except (OSError, Stale) as error:
                    self._find(place, b"", f"cannot be opened: {error}", step.entry)

    def _folder(self, place: int, entry: int) -> None:
        handle = self._places.handle(place)
        now = posix.facts_of(handle)
        if now.attrs & _FIXED:
            self._find(place, b"", "the folder is marked immutable or append-only", entry, denied=True)
        if not os.access(".", os.W_OK | os.X_OK, dir_fd=handle, effective_ids=True):
            self._find(place, b"", "no permission to change what is in the folder", entry, denied=True)
        if now.mode & st.S_ISVTX and os.geteuid() not in (0, now.uid):
            self._sticky.add(place)

    def _folder_moves(self, step: Step) -> None:
        self._moved[step.entry] = (step.dst, step.dst_name)
        if step.other >= 0:
            self._moved[step.other] = (step.src, step.src_name)
        if step.level and step.is_dir and step.src != step.dst:
            # A folder that goes to another has its `..` changed, which takes the right to write it.
            try:
                handle = self._places.handle(step.src)
            except (OSError, Stale):
                return  # told by `_folder` already
            if not os.access(step.src_name, os.W_OK, dir_fd=handle, effective_ids=True, follow_symlinks=False):
                self._find(step.src, step.src_name, "no permission to move this folder", step.entry, denied=True)

    def _names(self, place: int) -> set[bytes]:
        try:
            names = set(posix.names(self._places.handle(place)))
        except (OSError, Stale):
            return set()  # told by `_folder` already
        if sum(map(len, self._listed.values())) + len(names) > _LISTED:
            self._listed.clear()
        self._listed[place] = names
        return names

    def _paths(self) -> None:
        """Names and paths that would be longer than the mount takes, where everything has come to lie."""
        for place, longest in self._longest.items():
            root, length = self._final(place)
            caps = self._ctx.caps(self._places.roots()[root])
            above = len(os.fsencode(os.readlink(f"/proc/self/fd/{self._places.handle(root)}")))
            if longest > caps.name_max or above + length + longest >= caps.path_max:
                self._find(place, b"", "a name or path in it would be too long for this mount", -1, denied=True)

    def _final(self, place: int) -> tuple[int, int]:
        """The root that a place will be under, and the length of its path there."""
        length = 1
        while place not in self._places.roots():
            place, name = self._moved.get(place) or self._places.slot(place)
            length += len(name) + 1
        return place, length

    # -- checks

    def check(self, row: Check) -> None:
        """Look at one thing that must hold beyond the steps' own sources."""
        before = len(self.found)
        self.entry(-1, row.place, row.name, row.facts, row.level)
        if len(self.found) > before:
            return
        folder = self._places.handle(row.place)
        if row.sha256 and self._ctx.sha256(folder, row.name) != row.sha256:
            self._find(row.place, row.name, "its content is not the expected one", -1)
        if row.digest:
            with handles.closing(handles.open_child(folder, row.name)) as handle:
                if self._ctx.totals(handle).digest != row.digest:
                    self._find(row.place, row.name, "what the folder holds was changed", -1)

    def _find(self, place: int, name: bytes, text: str, entry: int, denied: bool = False) -> None:
        self.found.append(Finding(self._places.shown(place, name), text, entry, denied, place, name))
