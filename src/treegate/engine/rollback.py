"""The acts by which `rollback.sh` takes an ended run back without treegate, worked out from its step table.

Not the steps in reverse, but what they come to: where each entry is after the run, and where it was before. Every
act is a rename between two paths of which, at any moment, exactly one is there, so that the script can be cut off
anywhere and go on by looking. Four phases, each durable before the next:

1. settings get their values from before the run;
2. what has a free place to come back to, in folders that stand, moves straight there;
3. the rest is lifted out of the tree, deepest first, and with it what the run made;
4. and put back, highest first.

Most entries of a large run are files that went straight from a folder that stands to a free place: they are
not remembered, but written in phase 2 as the table is read again.

The lines themselves are described in rollback.sh.
"""

from __future__ import annotations

import re
import stat as st
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, groupby
from typing import NamedTuple

from treegate.engine.journal import Entry
from treegate.engine.straight import Straight
from treegate.engine.tablefile import Table
from treegate.model.table import EXCHANGE, ROOT, Setting, Step, between
from treegate.model.tree import Kind, unpack

FORMAT = 1
Slot = tuple[int, bytes]
_ODD = re.compile(rb"[^ -\[\]-~]")
_PLAIN = bytes(range(0x20, 0x5C)) + bytes(range(0x5D, 0x7F))  # all that is not odd
_KINDS, _LETTERS = 0o170000, {st.S_IFREG: b"f", st.S_IFDIR: b"d", st.S_IFLNK: b"l"}  # of what else there is: o
_SECOND = 1_000_000_000
_TOLD = struct.Struct("<I16xQQ24x")  # of packed facts: mode, inode, size
_told, _all_told = _TOLD.unpack, _TOLD.iter_unpack


class Ground(NamedTuple):
    """Where a root of the step table is: on which volume, and its path from that volume's own root."""

    volume: str
    path: bytes


def written(name: bytes) -> bytes:
    """Bytes as they stand in rollback.data: all but printable ASCII, and the backslash, as `\\0ooo` (printf's %b)."""
    return _ODD.sub(lambda odd: b"\\0%03o" % odd[0][0], name)


def _all_written(names: list[bytes]) -> list[bytes]:
    """`written` of each name; most often none has an odd byte, and they stay as they are."""
    return list(map(written, names)) if b"".join(names).translate(None, _PLAIN) else names


class _Paths:
    """The written paths of folders in one of the two trees, and the volumes they are on."""

    def __init__(self, slots: Mapping[int, Slot], moved: Mapping[int, Slot], grounds: Mapping[int, Ground]) -> None:
        self._slots = slots
        self._moved = moved
        self._known = {root: (volume, b"./" + written(path)) for root, (volume, path) in grounds.items()}

    def slot(self, place: int) -> Slot:
        return self._moved.get(place) or self._slots[place]

    def place(self, place: int) -> tuple[str, bytes]:
        """The volume and path of a folder."""
        way: list[Slot] = []
        numbers: list[int] = []
        while place not in self._known:
            numbers.append(place)
            way.append(self.slot(place))
            place = way[-1][0]
        volume, path = self._known[place]
        while way:
            path = path + b"/" + written(way.pop()[1])
            self._known[numbers.pop()] = (volume, path)
        return volume, path

    def of(self, slot: Slot) -> bytes:
        """The path of a slot."""
        known = self._known.get(slot[0]) or self.place(slot[0])
        return known[1] + b"/" + written(slot[1])

    def above(self, places: Iterable[int]) -> set[int]:
        """Each of these folders, and every folder that one of them is under."""
        found: set[int] = set()
        for place in places:
            while place != ROOT and place not in found:
                found.add(place)
                place = self.slot(place)[0]
        return found


class Reversal:
    """What takes a run back: made once from its table, then written volume by volume.

    `ground` says where a root key of the table is. `built` are the facts of what the run made (context.Result).
    """

    def __init__(self, run: str, table: Table, built: Mapping[int, Entry], ground: Callable[[bytes], Ground]) -> None:
        self._table = table
        self._run = run.encode()
        self._slots: dict[int, Slot] = {row.number: (row.parent, row.name) for row in table.places}
        self._roots = {row.number: row.name for row in table.places if row.parent == ROOT}
        self._folders = {row.number: row.facts for row in table.places if row.facts}
        self._home: dict[int, Slot] = {}
        self._at: dict[int, Slot] = {}
        self._facts: dict[int, bytes] = {}
        self._made: set[int] = set()
        self._left: set[int] = set()  # the folders that files leave straight, and those that they come to
        self._entered: set[int] = set()
        self._learn(built)
        grounds = {number: ground(key) for number, key in self._roots.items()}
        self._before = _Paths(self._slots, self._home, grounds)
        self._after = _Paths(self._slots, self._at, grounds)
        homes = (slot[0] for number, slot in self._home.items() if number not in self._made)
        self._above_after = self._after.above(chain(self._entered, (slot[0] for slot in self._at.values())))
        self._above_before = self._before.above(chain(self._left, homes))
        self._taken = set(self._at.values())
        self._steady = {ROOT: True}
        self._sort()

    def _learn(self, built: Mapping[int, Entry]) -> None:
        ways = Straight(self._table.chunks(), self._slots, {row.number for row in self._table.staged})
        for steps in self._table.chunks():
            straight, others = ways.parted(steps)
            self._left.update([step.src for step in straight])
            self._entered.update([step.dst for step in straight])
            for step in others:
                self._travel(step.entry, step.facts, (step.src, step.src_name), (step.dst, step.dst_name))
                if step.kind == EXCHANGE:
                    self._travel(step.other, step.other_facts, (step.dst, step.dst_name), (step.src, step.src_name))
        for number in self._made:
            self._facts[number] = built[number].facts

    def _travel(self, entry: int, facts: bytes, src: Slot, dst: Slot) -> None:
        if entry not in self._home:
            self._home[entry] = src
            self._facts[entry] = facts
            if not facts:
                self._made.add(entry)
        self._at[entry] = dst

    # -- which entry goes which way

    def _sort(self) -> None:
        """Parts the entries by how they go back, each list in an order in which its paths hold."""
        self._direct: list[int] = []
        self._lifted: list[int] = []
        self._placed: list[int] = []
        for number, at in self._at.items():
            if number in self._made:
                self._lifted.append(number)
            elif self._is_direct(number) and self._is_steady(self._home[number][0]):
                self._direct.append(number)
            else:
                self._placed.append(number)
                if not self._in_vault(at):
                    self._lifted.append(number)
        # Those of one folder stand together, for the script moves them with one call where they keep their names.
        self._direct.sort(key=lambda number: _by_depth(self._before.place(self._home[number][0])[1]))
        self._placed.sort(key=lambda number: self._before.place(self._home[number][0])[1].count(b"/"))
        self._lifted.sort(key=lambda number: -self._after.place(self._at[number][0])[1].count(b"/"))

    def _is_direct(self, number: int) -> bool:
        """Whether an entry's slot is free to come back to, and nothing touched is under it: then its own paths and
        all below it hold while others move."""
        return number not in self._above_after and self._home[number] not in self._taken

    def _is_steady(self, place: int) -> bool:
        """Whether a folder is where it was before the run, or comes back there directly, and all above it too."""
        way: list[int] = []
        while place not in self._steady:
            way.append(place)
            place = self._before.slot(place)[0]
        steady = self._steady[place]
        while way:
            place = way.pop()
            steady = steady and (place not in self._at or (place not in self._made and self._is_direct(place)))
            self._steady[place] = steady
        return steady

    def _in_vault(self, slot: Slot) -> bool:
        return self._roots.get(slot[0], b"").startswith(b"vault:")

    # -- as lines

    def volumes(self) -> list[str]:
        """The volumes on which there is something to take back."""
        places = (
            {slot[0] for slot in self._at.values()} | self._entered | {row.place for row in self._table.settings()}
        )
        return sorted({self._after.place(place)[0] for place in places})

    def lines(self, volume: str, *, stable: bool) -> Iterator[bytes]:
        """The lines of rollback.data for a volume; without `stable` inode numbers only kind and size are checked."""
        yield b"treegate-rollback\t%d\t%s\n" % (FORMAT, self._run)
        yield from self._checks(volume, stable)
        yield from self._settings(volume, stable)
        yield from self._straight(volume, stable)
        for number in self._on(volume, self._direct):
            yield self._move(b"d", number, self._here(number), self._back(number), stable)
        for number in self._on(volume, self._lifted):
            letter = b"m" if number in self._made else b"l"
            yield self._move(letter, number, self._here(number), self._undone(number), stable)
        for number in self._on(volume, self._placed):
            vaulted = self._in_vault(self._at[number])
            src = self._here(number) if vaulted else self._undone(number)
            yield self._move(b"v" if vaulted else b"p", number, src, self._back(number), stable)
        yield b"end\n"

    def _straight(self, volume: str, stable: bool) -> Iterator[bytes]:
        """What goes straight back, as many lines at a time as the table has steps together of one folder."""
        known = self._home
        for steps in self._table.chunks() if self._entered else ():
            straight = [step for step in steps if step.entry not in known] if known else steps
            for (src, dst), some in groupby(straight, key=between):
                where, here = self._after.place(dst)
                if where == volume:
                    yield _straight_lines(list(some), here, self._before.place(src)[1], stable)

    def _on(self, volume: str, numbers: Iterable[int]) -> Iterator[int]:
        return (number for number in numbers if self._after.place(self._at[number][0])[0] == volume)

    def _here(self, number: int) -> bytes:
        return self._after.of(self._at[number])

    def _back(self, number: int) -> bytes:
        return self._before.of(self._home[number])

    def _undone(self, number: int) -> bytes:
        return b"./.treegate/vault/%s/undone/%d" % (self._run, number)

    def _move(self, letter: bytes, number: int, src: bytes, dst: bytes, stable: bool) -> bytes:
        return b"%s\t%s\t%s\t%s\n" % (letter, src, dst, _identity(self._facts[number], stable))

    def _checks(self, volume: str, stable: bool) -> Iterator[bytes]:
        for place in (self._above_after | self._above_before) - self._at.keys():
            facts = self._folders.get(place)
            where, path = self._after.place(place)
            if facts and where == volume:
                yield b"c\t%s\t-\t%s\n" % (path, _identity(facts, stable))
        direct = set(self._direct)
        for number in self._on(volume, (n for n in self._home if n not in self._made)):
            home = self._home[number]
            # A place taken by an entry of the run is left before; what moves straight back looks itself.
            stays = self._after.place(home[0]) == self._before.place(home[0])
            if home not in self._taken and not (stays and number in direct):
                yield b"x\t%s\t-\n" % self._after.of(home)

    def _settings(self, volume: str, stable: bool) -> Iterator[bytes]:
        for row in self._table.settings():
            if self._after.place(row.place)[0] == volume:
                path = self._after.of((row.place, row.name))
                yield b"s\t%s\t-\t%s\t%s\n" % (path, _sizeless(row.facts, stable), _values(row))
        for staged in self._table.staged:
            # What was moved into a new folder that may not be written to has to come out again.
            if staged.kind == "dir" and staged.mode is not None and ~staged.mode & 0o700:
                where, path = self._after.place(staged.number)
                if where == volume:
                    mode = b"%o\t%05o" % (staged.mode, staged.mode | 0o700)
                    yield b"s\t%s\t-\td\t-\t-\t%s\t-\t-\n" % (path, mode)


def _by_depth(path: bytes) -> tuple[int, bytes]:
    return path.count(b"/"), path


def _straight_lines(steps: Sequence[Step], here: bytes, back: bytes, stable: bool) -> bytes:
    """The lines of files that go straight from one folder back to another: all by one formatting."""
    names, homes = [step.dst_name for step in steps], [step.src_name for step in steps]
    one = b"d\t%s/%%b\t%s/%%b\t%%b\n" % (here.replace(b"%", b"%%"), back.replace(b"%", b"%%"))
    each = zip(_all_written(names), _all_written(homes), _identities(steps, stable), strict=True)
    return one * len(steps) % tuple(chain.from_iterable(each))


def _identities(steps: Sequence[Step], stable: bool) -> list[bytes]:
    """`_identity` of what each step moves; most often all are plain files that can be known by their inodes."""
    told = _all_told(b"".join([step.facts for step in steps]))
    files = [b"f\t%d\t%d" % (inode, size) for mode, inode, size in told if mode & _KINDS == st.S_IFREG]
    plain = stable and len(files) == len(steps)
    return files if plain else [_identity(step.facts, stable) for step in steps]


def _identity(facts: bytes, stable: bool) -> bytes:
    """Kind, inode and size, as far as they can be counted on; a folder's size says nothing."""
    mode, inode, size = _told(facts)
    letter = _LETTERS.get(mode & _KINDS, b"o")
    if letter == b"d":
        return b"d\t%d\t-" % inode if stable else b"d\t-\t-"
    return b"%s\t%d\t%d" % (letter, inode, size) if stable else b"%s\t-\t%d" % (letter, size)


def _sizeless(facts: bytes, stable: bool) -> bytes:
    return _identity(facts, stable).rpartition(b"\t")[0] + b"\t-"


def _values(row: Setting) -> bytes:
    """Mode after and before, mtime after and before.

    The mode before has five digits: with fewer, chmod of GNU leaves a folder's setgid bit as it is.
    """
    was = unpack(row.facts)
    mode, mtime = b"-\t-", b"-\t-"
    if row.mode is not None and was.kind is not Kind.LINK:
        mode = b"%o\t%05o" % (row.mode, st.S_IMODE(was.mode))
    if row.mtime is not None:
        mtime = b"%s\t%s" % (_seconds(row.mtime), _seconds(was.mtime))
    return mode + b"\t" + mtime


def _seconds(time: int) -> bytes:
    sign, time = (b"-", -time) if time < 0 else (b"", time)
    return b"%s%d.%09d" % (sign, time // _SECOND, time % _SECOND)
