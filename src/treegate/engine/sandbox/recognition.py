"""Capture from a private copy: each entry that is there now is known again, or was made.

All of the copy is walked; only what differs is told. What needs all the rest to be known (files with several names,
files written in the place of others) waits until the walk is over.
"""

from __future__ import annotations

import errno
import os
import stat as st
from collections.abc import Iterator
from typing import NamedTuple

from treegate.engine import handles, posix
from treegate.engine.sandbox import findings, marks
from treegate.engine.sandbox.copy import PrivateCopy, is_users
from treegate.engine.sandbox.difference import Changed, Difference, Keeper
from treegate.engine.sandbox.filling import alike, digest_of
from treegate.engine.sandbox.homes import NOBODY, Homes, Looks
from treegate.engine.sandbox.identities import identifier
from treegate.engine.sandbox.originals import Originals
from treegate.model.capture import Entry, Gone, Still
from treegate.model.tree import Kind, kind_of, unpack

_SET_ID = 0o6000
# Nanoseconds: what a plan can say begins with the year 1000 and ends with the year 9999.
_EARLIEST, _LATEST = -30_610_224_000 * 10**9, 253_402_300_800 * 10**9 - 1
_AWAY, _HERE, _ELSEWHERE = 0, 1, 2  # what became of an entry of the cases


class Found(NamedTuple):
    """An entry of the copy as it is now."""

    path: bytes  # begins with the case
    folder: int  # the entry of the cases that its folder is; NOBODY for one that was made
    place: int  # the entry of the case whose place it has; NOBODY where there was none
    facts: os.stat_result
    kind: Kind
    identity: bytes

    @property
    def looks(self) -> Looks:
        return Looks.of(self.facts)


class _Folder(NamedTuple):
    path: bytes
    home: int


class CopyCapture:
    """What happened to a private copy; iterated once. With `reads`, what was only read must not have changed, either.

    A file counts as read if its time of access moved on since it was copied; it does, the first time.
    """

    def __init__(self, copy: PrivateCopy, keeper: Keeper, *, reads: bool = False) -> None:
        self._copy, self._keeper, self._reads = copy, keeper, reads
        self._homes: Homes = copy.homes
        self._originals = Originals(copy)
        self._identify = identifier(copy.top, copy.homes.names[0])
        self._became = bytearray(len(self._homes))
        self._where: dict[int, bytes] = {}  # folders that moved, and where to
        self._stirred: set[int] = set()  # folders in which something comes, goes, or is replaced
        self._groups: dict[bytes, list[Found]] = {}
        self._over: list[Found] = []

    def __iter__(self) -> Iterator[Difference]:
        todo = [_Folder(self._homes.names[number], number) for number in reversed(range(len(self._copy.cases)))]
        for folder in todo:
            self._became[folder.home] = _HERE
            yield from self._case_folder(folder)
        while todo:
            yield from self._folder(todo.pop(), todo)
        for group in self._groups.values():
            yield from self._group(group)
        for found in self._over:
            yield from self._written_over(found)
        yield from self._gone()
        yield from self._still()

    # -- the walk

    def _case_folder(self, case: _Folder) -> Iterator[Difference]:
        mode = os.stat(case.path, dir_fd=self._copy.top).st_mode
        if st.S_IMODE(mode) != st.S_IMODE(self._homes.looks(case.home).mode):
            yield findings.case_folder(os.fsdecode(case.path))

    def _folder(self, folder: _Folder, todo: list[_Folder]) -> Iterator[Difference]:
        below: list[_Folder] = []
        with handles.closing(self._open_folder(folder.path)) as fd:
            for name in sorted(posix.names(fd)):
                facts = os.stat(name, dir_fd=fd, follow_symlinks=False)
                path = folder.path + b"/" + name
                place = self._homes.at(folder.home, name)
                found = Found(path, folder.home, place, facts, kind_of(facts.st_mode), self._identify(fd, name))
                number = self._known(found)
                if found.kind is Kind.DIR:
                    below.append(_Folder(path, number))
                yield from self._look(found, number, fd)
        todo.extend(reversed(below))

    def _open_folder(self, path: bytes) -> int:
        """A handle of a folder of the copy, also of one that its owner may not read."""
        try:
            return handles.open_dir(self._copy.top, path)
        except PermissionError as error:
            if error.errno != errno.EACCES:
                raise
        above, _, name = path.rpartition(b"/")
        with handles.closing(handles.open_dir(self._copy.top, above)) as folder:
            posix.chmod(folder, name, 0o700)
            return handles.open_child(folder, name)

    def _known(self, found: Found) -> int:
        number = self._homes.known(found.identity)
        return number if number != NOBODY and self._homes.kind(number) is found.kind else NOBODY

    def _look(self, found: Found, number: int, fd: int) -> Iterator[Difference]:
        if found.kind is Kind.OTHER:
            yield findings.special(os.fsdecode(found.path), found.facts.st_mode)
        elif found.kind is not Kind.DIR and (found.facts.st_nlink > 1 or self._has_names(number)):
            self._groups.setdefault(found.identity, []).append(found)
        elif number != NOBODY:
            yield from self._stayed(found, number, fd)
        else:
            yield from self._newcomer(found, fd)

    def _has_names(self, number: int) -> bool:
        """Whether a file of the cases had several names."""
        return number != NOBODY and unpack(self._homes.facts(number)).nlink > 1

    # -- entries that were there

    def _stayed(self, found: Found, number: int, fd: int) -> Iterator[Difference]:
        """An entry that is known again, wherever it is."""
        moved = found.place != number
        self._became[number] = _ELSEWHERE if moved else _HERE
        if moved and found.kind is Kind.DIR:
            self._where[number] = found.path
        was, now = self._looks(number, found), found.looks
        entry = self._bare(found)._replace(
            home=self._path(number), was_mode=st.S_IMODE(was.mode), was_mtime=was.mtime
        )
        if found.kind is Kind.FILE and self._rewritten(found, number, was, fd):
            entry = self._with_content(found, entry, fd)
            if self._has_names(number):
                yield findings.link_broken(entry.path)
        if entry.differs(moved=moved):
            yield from self._oddities(found, was, fd)
            yield from self._changed(number)
            if moved or entry.sha256:
                self._stirred.add(found.folder)
            yield entry
        elif now.ctime != was.ctime:
            yield from self._oddities(found, was, fd)
        elif self._reads and now.atime != was.atime:
            yield from self._changed(number)

    def _looks(self, number: int, found: Found) -> Looks:
        """What a known entry was; of a file with several names its first one says it."""
        first = self._homes.known(found.identity)
        return self._homes.looks(number if first == NOBODY else first)

    def _rewritten(self, found: Found, number: int, was: Looks, fd: int) -> bool:
        """Whether a file holds something else than it did."""
        now = found.looks
        if now.size != was.size:
            return True
        if now.ctime == was.ctime and not self._copy.hashed:
            return False
        digest = self._homes.digests.get(self._homes.known(found.identity))
        with handles.closing(self._open_file(found, fd)) as file:
            if digest is not None:
                return digest_of(file) != digest
            return not self._is_like_home(file, number)

    def _is_like_home(self, file: int, number: int) -> bool:
        """Whether a file holds what its home does; where that was changed meanwhile nobody can tell."""
        home = self._originals.open(number)
        if home is None:
            return False
        with handles.closing(home):
            return alike(file, home) and self._originals.unchanged(number)

    # -- entries that were made

    def _newcomer(self, found: Found, fd: int) -> Iterator[Difference]:
        """What nobody knows: new, or what was written beside an entry and then put in its place."""
        place = found.place
        if place != NOBODY and found.kind is self._homes.kind(place) and self._may_be_written_over(found, fd):
            self._over.append(found)
        else:
            yield from self._made(found, fd)

    def _may_be_written_over(self, found: Found, fd: int) -> bool:
        if found.kind is Kind.LINK:  # a link that points elsewhere is another one
            name = found.path.rpartition(b"/")[2]
            return not self._has_names(found.place) and posix.readlink(fd, name) == self._homes.targets[found.place]
        return found.kind is Kind.FILE

    def _made(self, found: Found, fd: int) -> Iterator[Difference]:
        yield from self._oddities(found, None, fd)
        entry = self._with_content(found, self._bare(found), fd)
        if entry.copied:
            yield from self._changed(self._originals.last)
        self._stirred.add(found.folder)
        yield entry

    def _written_over(self, found: Found) -> Iterator[Difference]:
        """What has the place of an entry: that entry written anew, unless it is elsewhere now."""
        with handles.closing(self._open_above(found)) as fd:
            if self._became[found.place] != _AWAY:
                yield from self._made(found, fd)
                return
            self._became[found.place] = _HERE
            was = self._homes.looks(found.place)
            entry = self._bare(found)._replace(
                home=self._path(found.place), was_mode=st.S_IMODE(was.mode), was_mtime=was.mtime
            )
            if found.kind is Kind.FILE and (self._has_names(found.place) or not self._holds_what_was(found, was, fd)):
                entry = self._with_content(found, entry, fd)
            if entry.differs(moved=False):
                yield from self._oddities(found, was, fd)
                yield from self._changed(found.place)
                if entry.sha256:
                    self._stirred.add(found.folder)
                yield entry

    def _holds_what_was(self, found: Found, was: Looks, fd: int) -> bool:
        """Whether a file that was put in another's place has the same content."""
        if found.facts.st_size != was.size:
            return False
        digest = self._homes.digests.get(found.place)
        with handles.closing(self._open_file(found, fd)) as file:
            return digest_of(file) == digest if digest is not None else self._is_like_home(file, found.place)

    # -- files with several names

    def _group(self, group: list[Found]) -> Iterator[Difference]:
        """One file at several names: at each it is the one that was there, or moved there, or a copy of one."""
        first = self._known(group[0])
        left = set(self._homes.names_of(first)) if first != NOBODY else set()
        strangers = []
        for found in group:
            if found.place in left:
                left.discard(found.place)
                yield from self._named(found, found.place)
            else:
                strangers.append(found)
        movable = sorted(left, reverse=True)
        for found in strangers:
            yield from self._named(found, movable.pop() if movable else NOBODY, group[0])

    def _named(self, found: Found, number: int, other: Found | None = None) -> Iterator[Difference]:
        with handles.closing(self._open_above(found)) as fd:
            if number != NOBODY:
                yield from self._stayed(found, number, fd)
                return
            if other is not None and other is not found:
                yield findings.linked(os.fsdecode(found.path), os.fsdecode(other.path))
                yield from self._made(found, fd)
            else:
                yield from self._newcomer(found, fd)

    # -- what is gone

    def _gone(self) -> Iterator[Difference]:
        """What is nowhere any more: all but what was in folders that are gone themselves."""
        homes = self._homes
        for number in range(len(homes)):
            if self._became[number] == _HERE or not homes.has_copy(number):
                continue
            self._stirred.add(homes.parent(number))
            if self._became[number] == _AWAY:
                if self._became[homes.parent(number)] != _AWAY:
                    kind = homes.kind(number)
                    yield Gone(self._path(number), kind is Kind.DIR, kind is Kind.FILE)
                yield from self._changed(number)

    def _still(self) -> Iterator[Difference]:
        """The folders that have their old time although something in them changed."""
        for number in sorted(self._stirred):
            if number < len(self._copy.cases) or self._became[number] == _AWAY:
                continue  # made, or gone; and a case's own time is nobody's to set
            path, was = self._now(number), self._homes.looks(number)
            with handles.closing(handles.open_dir(self._copy.top, path)) as folder:
                if os.fstat(folder).st_mtime_ns == was.mtime:
                    yield Still(os.fsdecode(path), was.mtime)

    def _now(self, number: int) -> bytes:
        """Where a folder of the cases is in the copy by now."""
        parts: list[bytes] = []
        while number != NOBODY and number not in self._where:
            parts.append(self._homes.names[number])
            number = self._homes.parent(number)
        if number != NOBODY:
            parts.append(self._where[number])
        return b"/".join(reversed(parts))

    def _changed(self, number: int) -> Iterator[Changed]:
        """Says so, where somebody else changed an entry of the case since it was copied."""
        if not self._originals.unchanged(number):
            yield Changed(self._path(number))

    # -- how it is told

    def _path(self, number: int) -> str:
        return os.fsdecode(self._homes.path(number))

    def _bare(self, found: Found) -> Entry:
        facts = found.facts
        mtime = min(max(facts.st_mtime_ns, _EARLIEST), _LATEST)
        return Entry(os.fsdecode(found.path), found.kind, st.S_IMODE(facts.st_mode), mtime)

    def _with_content(self, found: Found, entry: Entry, fd: int) -> Entry:
        """An entry with what it holds; a file's content is kept."""
        if found.kind is Kind.DIR:
            return entry
        if found.kind is Kind.LINK:
            return entry._replace(target=os.fsdecode(posix.readlink(fd, found.path.rpartition(b"/")[2])))
        with handles.closing(self._open_file(found, fd)) as file:
            copied = "" if entry.home else self._originals.copied(file, found.facts)
            if copied:
                return entry._replace(copied=copied, size=found.facts.st_size)
            sha256, size = self._keeper.keep(file)
        return entry._replace(sha256=sha256, size=size)

    def _oddities(self, found: Found, was: Looks | None, fd: int) -> Iterator[Difference]:
        """What of an entry no plan can do."""
        before = 0 if was is None else was.mode
        path = os.fsdecode(found.path)
        if not _EARLIEST <= found.facts.st_mtime_ns <= _LATEST:
            yield findings.time(path)
        if found.kind is Kind.FILE and found.facts.st_mode & _SET_ID & ~before:
            yield findings.set_id(path)
        if found.kind is not Kind.LINK and _has_attributes(marks.reach(fd, found.path.rpartition(b"/")[2])):
            yield findings.attributes(path)

    # -- reaching it

    def _open_above(self, found: Found) -> int:
        return handles.open_dir(self._copy.top, found.path.rpartition(b"/")[0])

    def _open_file(self, found: Found, fd: int) -> int:
        """A handle of a file of the copy, also of one that its owner may not read."""
        name = found.path.rpartition(b"/")[2]
        try:
            return handles.open_file(fd, name)
        except PermissionError:
            posix.chmod(fd, name, 0o600)
            return handles.open_file(fd, name)


def _has_attributes(path: bytes) -> bool:
    """Whether an entry has extended attributes that a user can set: its copy had none."""
    try:
        return any(is_users(name) for name in os.listxattr(path, follow_symlinks=False))
    except OSError as error:
        if error.errno not in (errno.ENOTSUP, errno.ENOSYS):
            raise
        return False
