"""Homes: every entry of the cases as they were when they were copied, and how to know its copy again.

Packed, for there may be a million of them. Entries have numbers: the cases first, what a folder holds in one row and
in byte order.
"""

from __future__ import annotations

import os
import struct
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from treegate.model.tree import Kind, kind_of

NOBODY = -1  # the number of what was not there

_LOOKS = struct.Struct("<IQqqq")


class Looks(NamedTuple):
    """What a copy was when it was ready; times in nanoseconds."""

    mode: int
    size: int
    mtime: int
    ctime: int
    atime: int

    @classmethod
    def of(cls, facts: os.stat_result) -> Looks:
        """These of what `os.stat` said."""
        return cls(facts.st_mode, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_atime_ns)


class Homes:
    """The entries, by number, by place and by identity."""

    def __init__(self, cases: Sequence[str]) -> None:
        self.names: list[bytes] = [os.fsencode(case) for case in cases]
        self._parents = array("q", [NOBODY] * len(cases))
        self._facts: list[bytes] = [b""] * len(cases)
        self._looks: list[bytes] = [b""] * len(cases)
        self._rows: dict[int, tuple[int, int]] = {}  # folder -> its first entry, and how many there are
        self._known: dict[bytes, int] = {}
        self._links: dict[int, list[int]] = {}  # the first name of a file -> its further names
        self.targets: dict[int, bytes] = {}
        self.digests: dict[int, bytes] = {}

    def __len__(self) -> int:
        return len(self.names)

    # -- filling

    def add(self, folder: int, entries: Sequence[tuple[bytes, bytes]]) -> range:
        """Takes in what a folder holds, as (name, packed facts) in byte order; their numbers."""
        numbers = range(len(self.names), len(self.names) + len(entries))
        self._rows[folder] = numbers.start, len(entries)
        for name, facts in entries:
            self.names.append(name)
            self._parents.append(folder)
            self._facts.append(facts)
            self._looks.append(b"")
        return numbers

    def set_facts(self, number: int, facts: bytes) -> None:
        """Notes the facts of a case's own folder."""
        self._facts[number] = facts

    def copied(self, number: int, looks: Looks, identity: bytes) -> None:
        """Notes what the copy of an entry is; of a second name of the same file, too."""
        self._looks[number] = _LOOKS.pack(*looks)
        first = self._known.setdefault(identity, number)
        if first != number and number not in (further := self._links.setdefault(first, [])):
            further.append(number)

    # -- asking

    def facts(self, number: int) -> bytes:
        """The packed facts of an entry of the case, as it was before it was copied."""
        return self._facts[number]

    def has_copy(self, number: int) -> bool:
        """Whether an entry is in the copy: FIFOs, sockets and devices are not."""
        return bool(self._looks[number])

    def looks(self, number: int) -> Looks:
        """What its copy was."""
        return Looks(*_LOOKS.unpack(self._looks[number]))

    def kind(self, number: int) -> Kind:
        """The kind of an entry."""
        return kind_of(self.looks(number).mode)

    def known(self, identity: bytes) -> int:
        """The entry whose copy has this identity; of a file with several names the first."""
        return self._known.get(identity, NOBODY)

    def names_of(self, first: int) -> list[int]:
        """All entries that are the same file."""
        return [first, *self._links.get(first, ())]

    def at(self, folder: int, name: bytes) -> int:
        """The entry of a name in a folder."""
        start, count = self._rows.get(folder, (0, 0))
        number = bisect_left(self.names, name, start, start + count)
        here = number < start + count and self.names[number] == name and self.has_copy(number)
        return number if here else NOBODY

    def parent(self, number: int) -> int:
        """The folder that an entry is in; NOBODY for a case."""
        return self._parents[number]

    def case(self, number: int) -> int:
        """The case that an entry is in."""
        while self._parents[number] != NOBODY:
            number = self._parents[number]
        return number

    def path(self, number: int) -> bytes:
        """The path of an entry; it begins with the case."""
        parts = []
        while number != NOBODY:
            parts.append(self.names[number])
            number = self._parents[number]
        return b"/".join(reversed(parts))

    def within(self, number: int) -> bytes:
        """The path of an entry in its case; "" for the case itself."""
        return self.path(number).partition(b"/")[2]

    def by_size(self) -> dict[int, array[int]]:
        """The files that hold something, by how much."""
        found: dict[int, array[int]] = {}
        for number in self._files():
            size = self.looks(number).size
            if size:
                found.setdefault(size, array("q")).append(number)
        return found

    def _files(self) -> Iterator[int]:
        return (n for n in range(len(self)) if self.has_copy(n) and self.kind(n) is Kind.FILE)
