"""Reading the tree as it is: what folders hold, what entries are, and one digest of everything below a folder.

Nothing here follows a link, opens a FIFO or device, or enters another mount (a case may be one itself).
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import stat as st
import struct
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import BinaryIO, Self

from treegate.engine import contents, handles, posix
from treegate.model.capabilities import Capabilities
from treegate.model.tree import DIR, FILE, LINK, MOUNT_ROOT, OTHER, Kind, Totals

AREA = ".treegate"
HELD = 128  # directory handles kept open at once

_MARKS = struct.Struct("<II8xI8xQ")  # of packed facts: mode, nlink, attrs, size
_FOLDER = struct.Struct("<I4xIIIQ24xq")  # what of a folder does not change when its children do
_FOLDER_KEPT = struct.Struct("<IIIIQq")
_LOOSE = struct.Struct("<IQq")  # kind, size, mtime: what a mount without stable inodes keeps
_SIZE_AND_MTIME = struct.Struct("<Qq")


class DiskTree:
    """`model.tree.Tree` over the folder of cases; a context manager, for it holds handles. One thread at a time.

    `single` names the one case that the folder itself is, where it does not hold cases but is one. `hidden`
    are names that are not seen directly in that folder, besides `.treegate`. `caps` are the capabilities of
    cases: of one whose inodes are not stable, digests leave inodes and change times out. With `of_cases` False
    it is any folder (a run's vault): nothing in it is hidden, and files directly in it are listed.

    Everywhere: FileNotFoundError, NotADirectoryError (a link on the way too), PermissionError (with errno
    EXDEV: the way leads into another mount).
    """

    def __init__(
        self,
        root: str,
        *,
        single: str | None = None,
        hidden: Collection[str] = (),
        caps: Mapping[str, Capabilities] | None = None,
        of_cases: bool = True,
    ) -> None:
        self._root = handles.open_root(root)
        self._of_cases = of_cases
        self._single = single
        self._hidden = frozenset(hidden) | {AREA}
        self._caps = {} if caps is None else caps
        self._held: OrderedDict[str, int] = OrderedDict()
        self._mounted: dict[str, int] = {}  # cases on filesystems of their own

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give all handles back."""
        for fd in (*self._held.values(), *self._mounted.values(), self._root):
            handles.close(fd)
        self._held.clear()
        self._mounted.clear()
        self._root = -1

    # -- the protocol

    def names(self, folder: str) -> dict[str, Kind]:
        """The entries of a folder, in the directory's own order, by d_type; directly in the root only folders."""
        if not folder and self._single is not None:
            return {self._single: DIR}
        with os.scandir(self._fd(folder)) as entries:
            found = {entry.name: FILE if entry.is_file(follow_symlinks=False) else _kind(entry) for entry in entries}
        for name in self._hidden_in(folder):
            found.pop(name, None)
        if not folder and self._of_cases:
            return {name: kind for name, kind in found.items() if kind is DIR}
        return found

    def facts(self, folder: str, name: str) -> bytes | None:
        """The packed facts of one entry, or None if there is none."""
        if not folder and name == self._single:
            return posix.packed_of(self._root)
        try:
            fd = self._held.get(folder)
            if fd is None:
                fd = self._fd(folder)
            if name in self._hidden and name in self._hidden_in(folder):
                return None
            return posix.packed(fd, name)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                return None
            raise

    def target(self, path: str) -> str:
        """Where a symbolic link points."""
        folder, name = _split(path)
        return os.fsdecode(posix.readlink(self._fd(folder), name))

    def sha256(self, path: str) -> str:
        """The hex digest of a file's content as it is now."""
        folder, name = _split(path)
        return contents.sha256(self._fd(folder), name)

    def head(self, path: str, size: int) -> bytes:
        """The first bytes of a file's content as it is now."""
        folder, name = _split(path)
        return contents.head(self._fd(folder), name, size)

    def open(self, path: str) -> BinaryIO:
        """A file's content as it is now, positioned at its start; a link is not followed, a FIFO not waited for."""
        folder, name = _split(path)
        if name in self._hidden_in(folder):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return io.FileIO(handles.open_file(self._fd(folder), name), "rb")

    def totals(self, path: str) -> Totals:
        """What a folder holds."""
        case = path.partition("/")[0]
        exact = self._caps[case].stable_inodes if case in self._caps else True
        hidden = frozenset(os.fsencode(name) for name in self._hidden_in(path))
        return totals_of(self._fd(path), hidden=hidden, exact=exact)

    def walk(self, path: str) -> Iterator[tuple[str, Kind]]:
        """Everything under a folder, each folder before what it holds, names in byte order.

        Yields (path relative to it, kind). A mount inside is named, not entered.
        """
        base = f"{path}/" if path else ""
        todo = [self._sorted(path)]
        prefixes = [""]
        while todo:
            entry = next(todo[-1], None)
            if entry is None:
                todo.pop()
                prefixes.pop()
                continue
            name, kind = entry
            below = prefixes[-1] + name
            yield below, kind
            if kind is DIR:
                todo.append(self._sorted_below(base + below))
                prefixes.append(below + "/")

    # -- how

    def _sorted(self, folder: str) -> Iterator[tuple[str, Kind]]:
        names = self.names(folder)
        return ((name, names[name]) for name in sorted(names, key=os.fsencode))

    def _sorted_below(self, folder: str) -> Iterator[tuple[str, Kind]]:
        try:
            yield from self._sorted(folder)
        except (FileNotFoundError, NotADirectoryError):
            return  # gone since its parent was listed
        except PermissionError as error:
            if error.errno != errno.EXDEV:
                raise

    def _hidden_in(self, folder: str) -> frozenset[str]:
        if not self._of_cases:
            return _NOTHING
        if self._single is not None:
            return self._hidden if folder == self._single else _NOTHING
        if not folder:
            return self._hidden
        return _NOTHING if "/" in folder else _AREA_ONLY

    def _fd(self, folder: str) -> int:
        """The handle of a folder, kept among the last used."""
        if not folder and self._single is None:
            return self._root
        fd = self._held.get(folder)
        if fd is not None:
            self._held.move_to_end(folder)
            return fd
        fd = _in_terms_of_the_protocol(lambda: self._open(folder), folder)
        self._held[folder] = fd
        if len(self._held) > HELD:
            handles.close(self._held.popitem(last=False)[1])
        return fd

    def _open(self, folder: str) -> int:
        if not self._of_cases:
            return handles.open_dir(self._root, folder)
        case, _, rest = folder.partition("/")
        if self._single is not None:
            if case != self._single or rest.partition("/")[0] in self._hidden:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), folder)
            return handles.open_dir(self._root, rest)
        if case in self._hidden or rest.partition("/")[0] == AREA:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), folder)
        try:
            return handles.open_dir(self._root, folder)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
        return handles.open_dir(self._mounted_case(case), rest)

    def _mounted_case(self, case: str) -> int:
        if case not in self._mounted:
            self._mounted[case] = handles.open_mounted(self._root, case)
        return self._mounted[case]


_NOTHING: frozenset[str] = frozenset()
_AREA_ONLY = frozenset((AREA,))


def totals_of(dir_fd: int, *, hidden: Collection[bytes] = (), exact: bool = True) -> Totals:
    """What a folder holds, all the way down, without the names `hidden` directly in it.

    The digest changes when any entry below is added, removed, edited, renamed or replaced, and does not when
    nothing happened; the folder's own facts are no part of it. With `exact` it covers inode and change time,
    else (unstable inodes) kind, size and mtime. Of folders size, link count and times are left out: they
    follow from what is in them. Raises PermissionError for a folder below that may not be read.
    """
    counting = _Counting(dir_fd, exact)
    counting.count(b"", hidden)
    while counting.todo:
        counting.count(counting.todo.pop(), ())
    return counting.totals()


class _Counting:
    """One count under way: what was seen so far, and the folders still to be read."""

    def __init__(self, top: int, exact: bool) -> None:
        self.todo: list[bytes] = []
        self._top = top
        self._device = posix.device(top)
        self._kept: Callable[[bytes, int], bytes] = _exact if exact else _loose
        self._hasher = hashlib.sha256()
        self._files = self._folders = self._size = self._multilinks = 0
        self._mounts: list[bytes] = []
        self._specials: list[bytes] = []

    def count(self, folder: bytes, hidden: Collection[bytes]) -> None:
        """Take in one folder's entries, and put its folders on the list."""
        try:
            fd = handles.open_dir(self._top, folder)
        except (FileNotFoundError, NotADirectoryError):
            return  # gone since its parent was read: the digest differs from one made before or after
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.ELOOP):
                raise
            self._mounts.append(folder)
            return
        with handles.closing(fd):
            if posix.device(fd) != self._device:
                self._mounts.append(folder)
                return
            names = posix.names(fd)
            self._take(folder, fd, sorted(name for name in names if name not in hidden) if hidden else sorted(names))

    def _take(self, folder: bytes, fd: int, names: list[bytes]) -> None:
        # Names hold no NUL, and what follows one has a fixed length for its kind: no two trees read alike.
        parts = [b"%d %s\0%d\0" % (len(folder), folder, len(names))]
        prefix = folder + b"/" if folder else b""
        folders = []
        files = size = 0
        for name in names:
            try:
                facts = posix.packed_as_listed(fd, name)
            except FileNotFoundError:
                continue
            mode, nlink, attrs, length = _MARKS.unpack_from(facts)
            kind = mode & _KIND
            parts.append(name + b"\0" + self._kept(facts, kind))
            if attrs & MOUNT_ROOT:
                self._mounts.append(prefix + name)
                self._folders += kind == _DIR
            elif kind == _REG:
                files += 1
                size += length
                self._multilinks += nlink > 1
            elif kind == _DIR:
                folders.append(prefix + name)
            elif kind == _LNK:
                files += 1
            else:
                self._specials.append(prefix + name)
        self._hasher.update(b"".join(parts))
        self._files += files
        self._size += size
        self._folders += len(folders)
        self.todo.extend(reversed(folders))

    def totals(self) -> Totals:
        """All of it."""
        return Totals(
            files=self._files,
            folders=self._folders,
            size=self._size,
            mounts=tuple(map(os.fsdecode, self._mounts)),
            specials=tuple(map(os.fsdecode, self._specials)),
            multilinks=self._multilinks,
            digest=self._hasher.digest(),
        )


_KIND, _REG, _DIR, _LNK = 0o170000, st.S_IFREG, st.S_IFDIR, st.S_IFLNK


def _exact(facts: bytes, kind: int) -> bytes:
    if kind != _DIR:
        return facts
    mode, uid, gid, attrs, ino, born = _FOLDER.unpack(facts)
    return _FOLDER_KEPT.pack(mode, uid, gid, attrs, ino, born)


def _loose(facts: bytes, kind: int) -> bytes:
    size, mtime = _SIZE_AND_MTIME.unpack_from(facts, 28)
    return _LOOSE.pack(kind, size, mtime) if kind != _DIR else _LOOSE.pack(kind, 0, 0)


def _kind(entry: os.DirEntry[str]) -> Kind:
    """What an entry is that is no file: files, of which there are most, are told without a call."""
    if entry.is_dir(follow_symlinks=False):
        return DIR
    return LINK if entry.is_symlink() else OTHER


def _split(path: str) -> tuple[str, str]:
    folder, _, name = path.rpartition("/")
    return folder, name


def _in_terms_of_the_protocol(call: Callable[[], int], path: str) -> int:
    try:
        return call()
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise NotADirectoryError(errno.ENOTDIR, "a link is not followed", path) from error
        if error.errno == errno.EXDEV:
            raise PermissionError(errno.EXDEV, "another filesystem is mounted there", path) from error
        if error.errno == errno.ENAMETOOLONG:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path) from error
        raise
