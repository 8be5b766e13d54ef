"""Originals: the cases themselves, asked while a private copy is looked through: what changed, what is a copy."""

from __future__ import annotations

import os
from array import array

from treegate.engine import handles, posix
from treegate.engine.mounts import mount_of
from treegate.engine.sandbox.copy import PrivateCopy
from treegate.engine.sandbox.difference import MOST_COPIES
from treegate.engine.sandbox.filling import digest_of
from treegate.engine.sandbox.homes import NOBODY
from treegate.model.tree import Facts, Kind, unpack

_MOST = 1000  # files of one size among which an original is looked for


class Originals:
    """The cases as they are now, by the numbers of their entries."""

    def __init__(self, copy: PrivateCopy) -> None:
        self._copy, self._homes = copy, copy.homes
        self._loose = [mount_of(case.folder).is_fuse for case in copy.cases]
        self._sizes: dict[int, array[int]] | None = None
        self._by_digest: dict[int, dict[bytes, int]] = {}
        self._left = MOST_COPIES
        self.last = NOBODY  # the entry that `copied` named last

    # -- what others changed

    def unchanged(self, number: int) -> bool:
        """Whether an entry of a case is still what it was when it was copied."""
        now = self._facts(number)
        was = self._homes.facts(number)
        if now is None:
            return False
        if not self._loose[self._homes.case(number)]:
            return now == was
        return _loosely(unpack(now)) == _loosely(unpack(was))  # inodes of such mounts come and go

    def _facts(self, number: int) -> bytes | None:
        parent = self._homes.parent(number)
        try:
            if parent == NOBODY:
                return posix.packed_of(self._copy.roots[number])
            with handles.closing(self._copy.open_home(parent)) as folder:
                return posix.packed_as_listed(folder, self._homes.names[number])
        except OSError:
            return None

    def open(self, number: int) -> int | None:
        """A handle of a file of a case for reading; None if it cannot be read any more."""
        try:
            with handles.closing(self._copy.open_home(self._homes.parent(number))) as folder:
                return handles.open_file(folder, self._homes.names[number])
        except OSError:
            return None

    # -- what is a copy

    def copied(self, file: int, facts: os.stat_result) -> str:
        """The file of the cases that has the content of a new one, if it was neither moved nor changed; else ""."""
        if not facts.st_size or not self._left:
            return ""
        if self._sizes is None:
            self._sizes = self._homes.by_size()
        if facts.st_size not in self._sizes:
            return ""
        self.last = self._of_size(facts.st_size).get(digest_of(file), NOBODY)
        if self.last == NOBODY:
            return ""
        self._left -= 1
        return os.fsdecode(self._homes.path(self.last))

    def _of_size(self, size: int) -> dict[bytes, int]:
        """The files of one size by what they hold."""
        found = self._by_digest.get(size)
        if found is None:
            assert self._sizes is not None
            found = self._by_digest[size] = {}
            for number in self._sizes[size][:_MOST]:
                digest = self._digest(number)
                if digest is not None:
                    found.setdefault(digest, number)
        return found

    def _digest(self, number: int) -> bytes | None:
        """The SHA-256 of a file of the cases as it was; None if nobody knows."""
        if number in self._homes.digests:
            return self._homes.digests[number]
        file = self.open(number)
        if file is None:
            return None
        with handles.closing(file):
            digest = digest_of(file)
        return digest if self.unchanged(number) else None


def _loosely(facts: Facts) -> tuple[Kind, int, int]:
    if facts.kind is Kind.DIR:
        return facts.kind, 0, 0
    return facts.kind, facts.size, facts.mtime
