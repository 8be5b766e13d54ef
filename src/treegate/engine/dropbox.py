"""The folder into which plans are dropped: who lies in it, claimed by one rename, brought from shelf to shelf.

    Database/reorg_queue/NAME.json        dropped by anybody
                         .claimed/ID/NAME taken, and not yet a plan
                         pending/ID/      a plan, and what is said of it
                         done/ID/  failed/ID/  failed/NAME

Nothing is reached through a link, and nothing is replaced. Folders are never renamed, for a bucket cannot do that at
once: what lies in them is moved, file by file, so that whatever a crash leaves is finished by doing it again.
"""

from __future__ import annotations

import errno
import os
import pwd
import stat as st
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, suppress
from pathlib import Path
from typing import NamedTuple

from treegate.engine import handles, posix
from treegate.engine.projections import Where, folder

NAME = "reorg_queue"
CLAIMED, PENDING, DONE, FAILED = ".claimed", "pending", "done", "failed"
SHELVES = (PENDING, DONE, FAILED)
PAUSED = "PAUSED"
ASIDE = ".new"  # the end of a name under which something is written before it is put in place
_LONGEST = 220  # bytes of a name among what failed: its message has a longer one (NAME_MAX is 255)
_ENDING = 10  # characters that an ending has at most
_NO_FLAGS = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)


class Drop(NamedTuple):
    """Something that lies in the folder; `state` differs once it was written to, or is another thing."""

    name: str
    file: bool  # a regular one, and no link
    size: int
    owner: int  # uid
    state: tuple[int, ...]
    since: int  # when it came to lie here, or was written to; milliseconds since the epoch


class Dropbox:
    """The folder, by its place below the workspace's root. Raises OSError, but for what is gone meanwhile."""

    def __init__(self, root: Path, database: Where) -> None:
        self._root = root
        self.where: Where = (*database, NAME)

    @property
    def path(self) -> Path:
        """Where it is, for people and for whoever watches it."""
        return self._root.joinpath(*self.where)

    def make(self) -> None:
        """Makes the folder and its shelves, where they are missing."""
        for shelf in SHELVES:
            with self._folder(shelf, make=True):
                pass

    def drops(self) -> list[Drop]:
        """What was dropped and is not taken yet, by name; hidden names are still being written by somebody."""
        try:
            with self._folder() as fd:
                names = [name for name in os.listdir(fd) if not _ours(name)]
                found = [_drop(fd, name) for name in sorted(names, key=os.fsencode)]
        except FileNotFoundError:
            return []
        return [one for one in found if one is not None]

    def paused(self) -> bool:
        """Whether a PAUSED lies in it."""
        try:
            with self._folder() as fd:
                return posix.exists(fd, PAUSED)
        except FileNotFoundError:
            return False

    def put_paused(self, data: bytes) -> None:
        """Puts a PAUSED there, which says why."""
        with self._folder(make=True) as fd:
            _put(fd, PAUSED, data)

    def unpause(self) -> None:
        """Takes the PAUSED away."""
        with self._folder() as fd, suppress(FileNotFoundError):
            posix.unlink(fd, PAUSED)

    def read(self, drop: Drop) -> bytes | None:
        """The content of a dropped file as it was when it was looked at; None if it changed since, or is gone."""
        try:
            with self._folder() as fd, handles.closing(handles.open_file(fd, drop.name)) as file:
                return _whole(file, drop)
        except FileNotFoundError:
            return None

    def claim(self, drops: Mapping[str, Drop]) -> set[str]:
        """Takes what was dropped, each for the plan that is to have that id; of which of them it was there still."""
        found: dict[str, int] = {}
        with ExitStack() as held:
            fd = held.enter_context(self._folder(make=True))
            for id, drop in drops.items():
                mine = held.enter_context(self._folder(CLAIMED, id, make=True))
                with suppress(FileNotFoundError):
                    _rename(fd, drop.name, mine, drop.name)
                    found[id] = mine
            _keep(*found.values(), fd)
        for id in drops.keys() - found:
            self.let_go(id)
        return set(found)

    def claims(self) -> list[str]:
        """The ids under which something is claimed, oldest name first."""
        return self._listed(CLAIMED)

    def claimed(self, id: str) -> Drop | None:
        """What is claimed under an id; None where that is nothing."""
        try:
            with self._folder(CLAIMED, id) as fd:
                return next((drop for name in os.listdir(fd) if (drop := _drop(fd, name)) is not None), None)
        except FileNotFoundError:
            return None

    def read_claimed(self, id: str, drop: Drop) -> bytes | None:
        """The content of what is claimed under an id; None if it changed since it was looked at."""
        with self._folder(CLAIMED, id) as fd, handles.closing(handles.open_file(fd, drop.name)) as file:
            return _whole(file, drop)

    def let_go(self, id: str, drop: Drop | None = None) -> None:
        """Ends a claim; a `drop` that lies there goes, for what it said is kept elsewhere."""
        with suppress(FileNotFoundError):
            if drop is not None:
                with self._folder(CLAIMED, id) as fd, suppress(FileNotFoundError):
                    posix.unlink(fd, drop.name)
            with self._folder(CLAIMED) as fd:
                posix.rmdir(fd, id)

    def refuse(self, id: str, drop: Drop, why: bytes) -> str:
        """Puts what is claimed among what failed, and a message beside it; the name that it has there.

        The message comes first: nothing lies there, not even after a crash, of which nobody can tell why.
        """
        with self._folder(CLAIMED, id) as mine, self._folder(FAILED, make=True) as failed:
            for name in _names(drop.name):
                if posix.exists(failed, name):
                    continue
                _put(failed, f"{name}.txt", why)
                with suppress(FileExistsError):
                    _rename(mine, drop.name, failed, name)
                    break
        self.let_go(id)
        return name

    # -- shelves

    def shelf_of(self, id: str) -> str | None:
        """The shelf that a plan is on, after a crash the first of two; None for one that did not come in here."""
        # A link in its place, say, is no shelf: nothing is said there then.
        return next((shelf for shelf in SHELVES if self.lies(shelf, id)), None)

    def lies(self, shelf: str, id: str) -> bool:
        """Whether a plan lies on a shelf."""
        with suppress(OSError), self._folder(shelf, id):
            return True
        return False

    def shelved(self, shelf: str) -> list[str]:
        """The plans on a shelf, by id."""
        return [name for name in self._listed(shelf) if name.startswith("pl_")]

    def stamps(self, shelf: str, name: str, ids: Iterable[str] | None = None) -> dict[str, tuple[int, ...]]:
        """Of plans on a shelf (None: all), what changes as soon as somebody writes a file of theirs; () for none."""
        found: dict[str, tuple[int, ...]] = {}
        for id in self.shelved(shelf) if ids is None else ids:
            try:
                seen = os.lstat(self.path / shelf / id / name)
                found[id] = (seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns)
            except OSError:
                found[id] = ()
        return found

    def shelve(self, id: str) -> Where:
        """The plan's place on the first shelf, made; where it is."""
        with self._folder(PENDING, id, make=True):
            return self.place(PENDING, id)

    def place(self, shelf: str, id: str) -> Where:
        """Where a plan's files are, on a shelf."""
        return (*self.where, shelf, id)

    def move(self, id: str, old: str, new: str) -> None:
        """Brings a plan's files to another shelf; one that is there already is an older version of the same."""
        try:
            with self._folder(old, id) as source, self._folder(new, id, make=True) as target:
                for name in os.listdir(source):
                    with suppress(FileNotFoundError):
                        if name.endswith(ASIDE):  # half written when somebody was killed
                            posix.unlink(source, name)
                        else:
                            _bring(source, target, name)
            with self._folder(old) as fd:
                posix.rmdir(fd, id)
        except FileNotFoundError:
            pass  # another process was there first

    def read_file(self, shelf: str, id: str, name: str, most: int) -> bytes | None:
        """The beginning of one of a plan's files, up to `most` bytes and one more; None where there is none."""
        try:
            with self._folder(shelf, id) as fd, handles.closing(handles.open_file(fd, name)) as file:
                return os.read(file, most + 1)
        except FileNotFoundError:
            return None

    def append(self, shelf: str, id: str, name: str, line: bytes) -> None:
        """Adds a line to one of a plan's files."""
        with self._folder(shelf, id) as folder:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
            with handles.closing(os.open(name, flags, 0o644, dir_fd=folder)) as fd:
                posix.write(fd, line)

    def replace(self, shelf: str, id: str, name: str, data: bytes, mode: int) -> bytes | None:
        """Puts a whole file in place; what was there, as far as `exchange` lets that be known for certain.

        Whoever edits the file may save it in between: where a mount can exchange names, that is what comes back.
        """
        aside = aside_of(name)
        with self._folder(shelf, id) as fd:
            with suppress(FileNotFoundError):
                posix.unlink(fd, aside)
            with handles.closing(posix.make_file(fd, aside)) as file:
                posix.write(file, data)
                with suppress(OSError):
                    os.fchmod(file, mode)
            return _swapped(fd, aside, name)

    def discard(self, shelf: str, id: str, name: str) -> None:
        """Takes away one of a plan's files."""
        with suppress(FileNotFoundError), self._folder(shelf, id) as fd:
            posix.unlink(fd, name)

    def _listed(self, *below: str) -> list[str]:
        try:
            with self._folder(*below) as fd:
                return sorted(os.listdir(fd))
        except FileNotFoundError:
            return []

    def _folder(self, *below: str, make: bool = False) -> AbstractContextManager[int]:
        """A handle of a folder below this one."""
        return folder(self._root, (*self.where, *below), make=make)


def aside_of(name: str) -> str:
    """The name beside a file under which the next one is written, and the last one lies for an instant."""
    return f".{name}{ASIDE}"


def owner(uid: int) -> str:
    """The name of a user of the operating system."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def _ours(name: str) -> bool:
    return name in SHELVES or name == PAUSED or name.startswith(".")


def _drop(fd: int, name: str) -> Drop | None:
    try:
        seen = os.lstat(name, dir_fd=fd)
    except FileNotFoundError:
        return None
    state = (seen.st_ino, seen.st_size, seen.st_mtime_ns)
    since = seen.st_ctime_ns // 1_000_000  # not mtime, which a file keeps from where it was copied or moved from
    return Drop(name, st.S_ISREG(seen.st_mode), seen.st_size, seen.st_uid, state, since)


def _whole(file: int, drop: Drop) -> bytes | None:
    """All of a file that is still as it was when it was looked at."""
    with open(file, "rb", closefd=False) as reader:
        data = reader.read(drop.size + 1)
    seen = os.fstat(file)
    return data if (seen.st_ino, seen.st_size, seen.st_mtime_ns) == drop.state and len(data) == drop.size else None


def _names(name: str) -> Iterator[str]:
    """A name, then others like it: what failed before may have it already; shorter than it, if it is very long."""
    while len(os.fsencode(name)) > _LONGEST:
        stem, dot, ending = name.rpartition(".")
        name = f"{stem[:-1]}.{ending}" if dot and len(ending) < _ENDING else name[:-1]
    yield name
    stem, dot, ending = name.rpartition(".")
    for n in range(2, 10_000):
        yield f"{stem} ({n}).{ending}" if dot else f"{name} ({n})"


def _rename(src: int, old: str, dst: int, new: str) -> None:
    """A rename that replaces nothing, as far as the mount lets that be."""
    try:
        posix.rename(src, old, dst, new)
    except OSError as error:
        if error.errno not in _NO_FLAGS:
            raise
        posix.rename_checked(src, old, dst, new)


def _bring(source: int, target: int, name: str) -> None:
    """Moves a file; where both names are links to one, a rename would leave both (rename(2)), and this one goes."""
    with suppress(FileNotFoundError):
        if os.path.samestat(os.lstat(name, dir_fd=source), os.lstat(name, dir_fd=target)):
            posix.unlink(source, name)
            return
    os.rename(name, name, src_dir_fd=source, dst_dir_fd=target)


def _keep(*folders: int) -> None:
    """Makes a rename durable: after a power cut the drop must not lie there again, when its plan is in the store."""
    for fd in folders:
        with suppress(OSError):  # not every mount can; what is dropped twice finds its files moved already
            posix.fsync(fd)


def _put(fd: int, name: str, data: bytes) -> None:
    """A whole file under a name; what was there is replaced."""
    aside = aside_of(name)
    with suppress(FileNotFoundError):
        posix.unlink(fd, aside)
    with handles.closing(posix.make_file(fd, aside)) as file:
        posix.write(file, data)
    os.rename(aside, name, src_dir_fd=fd, dst_dir_fd=fd)


def _swapped(fd: int, aside: str, name: str) -> bytes | None:
    """Brings `aside` to `name`; what was there before, None if nothing was, or nobody can say for certain."""
    try:
        posix.exchange(fd, aside, fd, name)
    except FileNotFoundError:
        os.rename(aside, name, src_dir_fd=fd, dst_dir_fd=fd)
        return None
    except OSError as error:
        if error.errno not in _NO_FLAGS:
            raise
        os.rename(aside, name, src_dir_fd=fd, dst_dir_fd=fd)
        return None
    try:
        with handles.closing(handles.open_file(fd, aside)) as file:
            return os.read(file, 1 << 20)
    except OSError:
        return None
    finally:
        with suppress(OSError):
            posix.unlink(fd, aside)
