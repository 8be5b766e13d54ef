"""The private copy: what a command sees of its cases where no overlay can be had, and the map that goes with it.

An ordinary user's overlay (overlayfs, `userxattr`) does not tell what was renamed. A copy does, with a note of what
each file in it is a copy of: a file is the same whatever it is called (see `identities`). It costs time and room in
proportion to the case, so there is a limit to what is copied.
"""

from __future__ import annotations

import errno
import os
import stat as st
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import NamedTuple, Self

from treegate.engine import handles, posix
from treegate.engine.mounts import mount_of
from treegate.engine.sandbox import dating
from treegate.engine.sandbox.filling import Filler, fill_and_hash
from treegate.engine.sandbox.homes import Homes, Looks
from treegate.engine.sandbox.identities import by_birth, identifier
from treegate.engine.sandbox.order import Case, Finding
from treegate.errors import Denied, UsageError
from treegate.model.tree import MOUNT_ROOT, Facts, Kind, unpack

ENTRY = 4096  # bytes that an entry counts for, besides what it holds
_TICK = 10_000_000  # nanoseconds: no clock that dates changes is coarser
_UNDATED = ("tmpfs", "ramfs")  # what is written through memory that was read first (mmap(2)) leaves the times alone
_AWAY = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EISDIR, errno.EINVAL)


class _Folder(NamedTuple):
    """A folder that is still to be copied."""

    number: int
    path: bytes  # from where the cases are, or their copies


class PrivateCopy:
    """Copies of cases, each in a folder of its name below `into`; a context manager that holds handles of both.

    `limit` is how many bytes they may come to. With an `owner` (uid, gid) all that is copied is theirs. Where the
    filesystem does not date every change of a file, contents are remembered by their SHA-256 (`hashed`).

    Raises UsageError "case-too-large-to-copy" and "case-has-mount", Denied "not-readable", OSError.
    """

    def __init__(
        self,
        cases: Sequence[Case],
        into: str,
        limit: int,
        *,
        owner: tuple[int, int] | None = None,
    ) -> None:
        self.cases, self.into = tuple(cases), into
        mount = mount_of(into)
        self.hashed = mount.type in _UNDATED
        self.tells_reads = not mount.options & {"noatime", "nodiratime"}  # whether a file that is read is dated
        self.homes = Homes([case.name for case in cases])
        self.findings: list[Finding] = []
        self.size = 0  # bytes; each entry counts for ENTRY besides what it holds
        self._limit, self._owner = limit, owner
        self._first: dict[tuple[int, int], int] = {}  # files with several names
        self._counted: set[tuple[int, int]] = set()
        self._attributes_said = False
        self._filler = Filler()
        self._held = ExitStack()
        with self._held:  # what is held is let go where the copy cannot be made
            self.top = self._hold(into)
            self.roots = [self._hold(case.folder) for case in cases]
            self._make()
            self._held = self._held.pop_all()

    def _hold(self, folder: str) -> int:
        return self._held.enter_context(handles.closing(handles.open_root(folder)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Gives all handles back; the copy itself stays."""
        self._held.close()

    def folder(self, case: Case) -> str:
        """Where the copy of a case is."""
        return os.path.join(self.into, case.name)

    # -- the walk

    def _make(self) -> None:
        todo = [_Folder(number, self.homes.names[number]) for number in range(len(self.cases))]
        for folder in todo:
            posix.mkdir(self.top, folder.path, 0o700)
        self._identify = identifier(self.top, todo[0].path)
        if self._identify is by_birth:
            self._say("sandbox-weak-identities", "", "this filesystem has no file handles")
        made = []
        while todo:
            folder = todo.pop()
            made.append(folder)
            self._copy_folder(folder, todo)
        if self.size > self._limit:
            raise self._too_large()
        self._finish(made)
        self._settle()

    def _copy_folder(self, folder: _Folder, todo: list[_Folder]) -> None:
        source = self._opened(folder.path, lambda: self.open_home(folder.number))
        if source is None:
            return None
        with handles.closing(source):
            if folder.number < len(self.cases):
                self.homes.set_facts(folder.number, posix.packed_of(source))
            self._look_at_attributes(source, folder.path)
            numbers = self.homes.add(folder.number, self._list(folder, source))
            if self.size > self._limit:  # then all is only counted
                return self._push(folder, numbers, todo)
            with handles.closing(handles.open_dir(self.top, folder.path)) as target:
                for number in numbers:
                    self._copy(number, folder, source, target)
        return self._push(folder, numbers, todo)

    def _push(self, folder: _Folder, numbers: range, todo: list[_Folder]) -> None:
        for number in numbers:
            if self._kind(number) is Kind.DIR:
                todo.append(_Folder(number, folder.path + b"/" + self.homes.names[number]))

    def _kind(self, number: int) -> Kind:
        return unpack(self.homes.facts(number)).kind

    def open_home(self, number: int) -> int:
        """A handle of a folder of the cases themselves; raises OSError."""
        return handles.open_dir(self.roots[self.homes.case(number)], self.homes.within(number))

    def _opened(self, path: bytes, opening: Callable[[], int]) -> int | None:
        """A handle of something in a case; None where it is gone, or another kind of thing, since it was listed."""
        with self._refusals(path):
            try:
                return opening()
            except OSError as error:
                if error.errno not in _AWAY:
                    raise
                return None

    def _list(self, folder: _Folder, source: int) -> list[tuple[bytes, bytes]]:
        with self._refusals(folder.path):
            names = sorted(posix.names(source))
        if folder.number < len(self.cases):
            hidden = frozenset(map(os.fsencode, self.cases[folder.number].hidden))
            names = [name for name in names if name not in hidden]
        found = []
        for name in names:
            try:
                facts = _facts(source, name)
            except FileNotFoundError:
                continue  # gone since the folder was listed
            self._count(unpack(facts), folder.path + b"/" + name)
            found.append((name, facts))
        return found

    def _count(self, facts: Facts, path: bytes) -> None:
        if facts.attrs & MOUNT_ROOT:
            raise has_mount(path)
        if facts.kind is Kind.FILE and facts.nlink > 1:
            if (facts.ino, facts.btime) in self._counted:
                return
            self._counted.add((facts.ino, facts.btime))
        self.size += ENTRY + (facts.size if facts.kind is Kind.FILE else 0)

    # -- one entry

    def _copy(self, number: int, folder: _Folder, source: int, target: int) -> None:
        facts, name = unpack(self.homes.facts(number)), self.homes.names[number]
        path = folder.path + b"/" + name
        if facts.kind is Kind.OTHER:
            return self._say("sandbox-special-file", path, "is a FIFO, socket or device: it is not in the copy")
        if facts.kind is Kind.DIR:
            return posix.mkdir(target, name, 0o700)
        if facts.nlink > 1 and self._linked(number, facts, path, target):
            return None
        if facts.kind is Kind.LINK:
            return self._copy_link(number, name, facts, source, target)
        original = self._opened(path, lambda: handles.open_file(source, name))
        if original is not None:
            with handles.closing(original):
                self._copy_file(number, name, facts, original, target)
        return None

    def _linked(self, number: int, facts: Facts, path: bytes, target: int) -> bool:
        """Makes a further name of a file that is copied already; notes the first name of one that is not."""
        first = self._first.setdefault((facts.ino, facts.btime), number)
        if first == number:
            return False
        if not self.homes.has_copy(first):
            return False
        self._say("several-hard-links", path, f"is the same file as {os.fsdecode(self.homes.path(first))}")
        name = self.homes.names[number]
        above, _, other = self.homes.path(first).rpartition(b"/")
        with handles.closing(handles.open_dir(self.top, above)) as folder:
            posix.link(folder, other, target, name)
        if first in self.homes.targets:
            self.homes.targets[number] = self.homes.targets[first]
        for each in (first, number):
            self._note(each, target, name)
        return True

    def _copy_link(self, number: int, name: bytes, facts: Facts, source: int, target: int) -> None:
        try:
            pointed = self.homes.targets[number] = posix.readlink(source, name)
        except OSError as error:
            if error.errno not in _AWAY:
                raise
            return
        posix.symlink(pointed, target, name)
        if self._owner is not None:
            posix.set_owner_of_link(target, name, *self._owner)
        posix.utime(target, name, facts.mtime)
        self._note(number, target, name)

    def _copy_file(self, number: int, name: bytes, facts: Facts, original: int, target: int) -> None:
        with handles.closing(posix.make_file(target, name, 0o600)) as copy:
            self._look_at_attributes(original, self.homes.path(number))
            self._fill(number, original, copy, facts.size)
            self._dress(copy, facts)
        self._note(number, target, name)

    def _fill(self, number: int, original: int, copy: int, size: int) -> None:
        if self.hashed:
            self.homes.digests[number] = fill_and_hash(original, copy, size)
        elif size:
            self._filler.fill(original, copy, size)

    def _dress(self, copy: int, facts: Facts) -> None:
        """Owner, mode, time: each may undo the one after it."""
        if self._owner is not None:
            posix.set_owner(copy, *self._owner)
        posix.set_mode(copy, st.S_IMODE(facts.mode))
        posix.set_mtime(copy, facts.mtime)

    def _note(self, number: int, folder: int, name: bytes) -> None:
        looks = Looks.of(os.stat(name, dir_fd=folder, follow_symlinks=False))
        self.homes.copied(number, looks, self._identify(folder, name))

    # -- the end

    def _finish(self, made: list[_Folder]) -> None:
        """Gives folders their modes and times, the innermost first: what they hold is in them now."""
        for folder in reversed(made):
            above, _, name = folder.path.rpartition(b"/")
            with handles.closing(handles.open_dir(self.top, folder.path)) as copy:
                self._dress(copy, unpack(self.homes.facts(folder.number)))
            with handles.closing(handles.open_dir(self.top, above)) as parent:
                self._note(folder.number, parent, name)

    def _settle(self) -> None:
        """Waits until the clock that dates changes has moved on: what comes now is dated otherwise."""
        began = max((self.homes.looks(n).ctime for n in range(len(self.cases))), default=0)
        fd = handles.open_root(self.folder(self.cases[0]))
        with handles.closing(fd):
            while dating.now() <= began + _TICK // 10:
                time.sleep(0.001)

    # -- what is said

    def _say(self, code: str, path: bytes | str, text: str) -> None:
        told = os.fsdecode(path)
        self.findings.append(Finding(code, told, f"{told}: {text}" if told else text))

    def _look_at_attributes(self, fd: int, path: bytes) -> None:
        if self._attributes_said:
            return
        if any(is_users(name) for name in _attributes(fd)):
            self._attributes_said = True
            self._say("sandbox-xattr", path, "has extended attributes; the copy that the command sees has none")

    @contextmanager
    def _refusals(self, path: bytes) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno == errno.EXDEV:
                raise has_mount(path) from None
            if not isinstance(error, PermissionError):
                raise
            told = os.fsdecode(path)
            text = f"{told} cannot be read, so there can be no private copy of its case"
            raise Denied(text, code="not-readable", hint="see to its permissions", path=told) from None

    def _too_large(self) -> UsageError:
        entries = sum(1 for n in range(len(self.homes)))
        return UsageError(
            f"a private copy of {_named(self.cases)} would take {self.size:,} bytes ({entries:,} entries); "
            f"{self._limit:,} is the limit",
            code="case-too-large-to-copy",
            hint="raise sandbox.copied, or run the command as root, where no copy is needed",
        )


def _facts(folder: int, name: bytes) -> bytes:
    """The packed facts of an entry, such that whatever is done to it from now on will change them."""
    facts = posix.packed_as_listed(folder, name)
    age = dating.now() - unpack(facts).ctime
    if 0 <= age < _TICK:  # else another change within the same tick could not be seen
        time.sleep(_TICK / 1e9)
        facts = posix.packed_as_listed(folder, name)
    return facts


def _attributes(fd: int) -> Iterable[str]:
    try:
        return os.listxattr(fd)
    except OSError as error:
        if error.errno not in (errno.ENOTSUP, errno.ENOSYS):
            raise
        return ()


def is_users(name: str) -> bool:
    """Whether an extended attribute is one that users set."""
    return name.startswith(("user.", "system.posix_acl"))


def has_mount(path: bytes) -> UsageError:
    """What is said of a case in which something is mounted: a view would show an empty folder there."""
    told = os.fsdecode(path)
    return UsageError(
        f"another filesystem is mounted at {told}, inside the case",
        code="case-has-mount",
        hint="unmount it, or move it out of the case, and run the command again",
        path=told,
    )


def _named(cases: Sequence[Case]) -> str:
    return " and ".join(case.name for case in cases)
