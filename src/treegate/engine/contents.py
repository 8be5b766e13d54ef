"""Building the entries that a run brings in: contents copied and verified, then modes, owners, ACLs and times.

An entry is built in the new-area, where nobody looks for it, and comes out as if it had been made where it will
lie. Contents stream, whatever their size. Nothing here is synced: that is the caller's, once for many.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import BinaryIO, NamedTuple

from treegate.engine import attributes, handles, posix
from treegate.errors import NotVerified, Stale
from treegate.model.capabilities import Capabilities
from treegate.model.table import Staged
from treegate.model.tree import Facts, Level, same, unpack

OpenBlob = Callable[[str], BinaryIO]  # sha256 hex -> its content, positioned at the start

CHUNK = 1 << 20  # bytes read at once
_BLOCK = 4096  # what the smallest file takes on disk
_RANGE = 1 << 30  # bytes asked of one copy_file_range
# What says that two files cannot share blocks, or that the kernel cannot copy between them.
_CANNOT = (errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ENOSYS, errno.EPERM, errno.ETXTBSY)


class Space(NamedTuple):
    """What building takes of a filesystem."""

    size: int  # bytes, whole blocks
    inodes: int


def sha256(dir_fd: int, name: handles.Name) -> str:
    """The hex digest of a file's content, streamed; errors as `handles.open_file`."""
    with handles.closing(handles.open_file(dir_fd, name)) as fd:
        return _sha256_of(fd)


def head(dir_fd: int, name: handles.Name, size: int) -> bytes:
    """The first bytes of a file's content; errors as `handles.open_file`."""
    with handles.closing(handles.open_file(dir_fd, name)) as fd, io.FileIO(fd, closefd=False) as file:
        return file.read(size) or b""


def _sha256_of(fd: int) -> str:
    os.lseek(fd, 0, os.SEEK_SET)
    with io.FileIO(fd, closefd=False) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Stager:
    """Builds staged entries of one volume, one `build` a row, parents before children.

    `open_place` gives the handle of a place by number, staged folders among them; `blob` opens a stored
    content by its hash.
    """

    def __init__(self, open_place: attributes.OpenPlace, blob: OpenBlob, caps: Capabilities) -> None:
        self._open_place = open_place
        self._blob = blob
        self._caps = caps
        self._dresser = attributes.Dresser(open_place, caps)
        self._copies = [_copy_by_reflink, _copy_in_kernel, _copy_through][0 if caps.reflinks else 1 :]

    def build(self, row: Staged) -> tuple[Facts, str]:
        """Make one entry; its facts when ready, and the sha256 of a file's content ("" for others).

        Raises Stale (the source changed), NotVerified (a blob that is not its name's, or a staged file that
        does not read back equal), Denied (an owner or group that may not be given), OSError (ENOSPC and the
        like). After an error nothing of the entry is left.
        """
        make = {"file": self._file, "dir": self._folder, "link": self._link}[row.kind]
        return make(row, self._open_place(row.parent))

    def space_needed(self, rows: Iterable[Staged]) -> Space:
        """What building these rows takes; copies that share blocks count as one block each."""
        size = inodes = 0
        for row in rows:
            inodes += 1
            size += _BLOCK + (self._length(row) + _BLOCK - 1) // _BLOCK * _BLOCK
        return Space(size, inodes)

    def _length(self, row: Staged) -> int:
        if row.blob:
            with self._blob(row.blob) as file:
                return file.seek(0, os.SEEK_END)
        if row.kind == "file" and row.source_facts and (row.full or not self._caps.reflinks):
            return unpack(row.source_facts).size
        return len(row.target)

    # -- files

    def _file(self, row: Staged, parent: int) -> tuple[Facts, str]:
        fd = posix.make_file(parent, row.name, 0o600)
        try:
            try:
                digest = self._fill(row, fd)
            finally:
                handles.close(fd)  # before it is read back: some mounts store a content only then
            return self._verified(row, parent, digest), digest
        except BaseException:
            posix.unlink(parent, row.name)
            raise

    def _fill(self, row: Staged, fd: int) -> str:
        return self._fill_from_source(row, fd) if row.source else self._fill_from_blob(row, fd)

    def _fill_from_blob(self, row: Staged, fd: int) -> str:
        hasher = hashlib.sha256()
        with self._blob(row.blob) as file:
            while chunk := file.read(CHUNK):
                hasher.update(chunk)
                posix.write(fd, chunk)
        if hasher.hexdigest() != row.blob:
            raise NotVerified(
                f"stored content {row.blob[:12]} is damaged: its hash is {hasher.hexdigest()[:12]}",
                code="blob-damaged",
                hint="upload the content again and refresh the plan",
            )
        return row.blob

    def _fill_from_source(self, row: Staged, fd: int) -> str:
        assert row.source is not None
        folder, name = self._open_place(row.source[0]), row.source[1]
        with self._opened_source(folder, name) as source:
            self._check_source(row, posix.facts_of(source), name)
            (_copy_through if row.full else self._copy)(source, fd)
            digest = _sha256_of(source)
            self._check_source(row, _facts_or_stale(folder, name), name)
        return digest

    def _opened_source(self, folder: int, name: bytes) -> AbstractContextManager[int]:
        try:
            return handles.closing(handles.open_file(folder, name))
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ELOOP, errno.EISDIR, errno.EINVAL):
                raise _stale(name) from error
            raise

    def _check_source(self, row: Staged, now: Facts, name: bytes) -> None:
        if self._caps.stable_inodes:
            holds = same(row.source_facts, now, Level.EXACT)
        else:
            was = unpack(row.source_facts)
            holds = (was.size, was.mtime, was.kind) == (now.size, now.mtime, now.kind)
        if not holds:
            raise _stale(name)

    def _copy(self, source: int, fd: int) -> None:
        while True:
            try:
                return self._copies[0](source, fd)
            except OSError as error:
                if error.errno not in _CANNOT or len(self._copies) == 1:
                    raise
            del self._copies[0]  # it will not work for the next file either
            posix.truncate(fd, 0)

    def _verified(self, row: Staged, parent: int, digest: str) -> Facts:
        with handles.closing(handles.open_file(parent, row.name)) as fd:
            if _sha256_of(fd) != digest:
                raise NotVerified(
                    f"the copy of {os.fsdecode(row.name)!r} does not read back equal",
                    code="copy-not-verified",
                    hint="check the disk; nothing was changed",
                )
            self._dresser.dress(row, fd)
            return posix.facts_of(fd)

    # -- folders and links

    def _folder(self, row: Staged, parent: int) -> tuple[Facts, str]:
        posix.mkdir(parent, row.name, 0o700)
        try:
            with handles.closing(handles.open_child(parent, row.name)) as fd:
                self._dresser.dress(row, fd)
                return posix.facts_of(fd), ""
        except BaseException:
            posix.rmdir(parent, row.name)
            raise

    def _link(self, row: Staged, parent: int) -> tuple[Facts, str]:
        posix.symlink(row.target, parent, row.name)
        try:
            self._dresser.dress_link(row, parent)
            return posix.facts(parent, row.name), ""
        except BaseException:
            posix.unlink(parent, row.name)
            raise


def _copy_by_reflink(source: int, fd: int) -> None:
    posix.reflink(source, fd)


def _copy_in_kernel(source: int, fd: int) -> None:
    while posix.copy_range(source, fd, _RANGE):
        pass


def _copy_through(source: int, fd: int) -> None:
    os.lseek(source, 0, os.SEEK_SET)
    os.lseek(fd, 0, os.SEEK_SET)
    while chunk := os.read(source, CHUNK):
        posix.write(fd, chunk)


def _facts_or_stale(folder: int, name: bytes) -> Facts:
    try:
        return posix.facts(folder, name)
    except FileNotFoundError as error:
        raise _stale(name) from error


def _stale(name: bytes) -> Stale:
    path = os.fsdecode(name)
    return Stale(f"{path!r} changed since the preview, or while it was copied", hint="refresh the plan", path=path)
