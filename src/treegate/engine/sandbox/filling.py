"""Filling a copy with what a file holds: by shared blocks or in the kernel where that can be, holes kept as holes."""

from __future__ import annotations

import errno
import hashlib
import io
import os
from collections.abc import Callable, Iterator
from typing import Protocol

from treegate.engine import posix

_CHUNK = 1 << 20
# What says that two files cannot share blocks, or that the kernel cannot copy between them.
_CANNOT = (errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ENOSYS, errno.EPERM, errno.ETXTBSY)


class Hasher(Protocol):
    """What a SHA-256 is made with."""

    def update(self, data: bytes, /) -> None: ...


class Filler:
    """Fills one file after the other; a way that did not work once is not tried again."""

    def __init__(self) -> None:
        self._ways: list[Callable[[int, int, int], None]] = [_by_reflink, _in_kernel, _through]

    def fill(self, source: int, fd: int, size: int) -> None:
        """Gives an empty file the content of another, as far as the kernel can without bringing it here."""
        while True:
            try:
                return self._ways[0](source, fd, size)
            except OSError as error:
                if error.errno not in _CANNOT or len(self._ways) == 1:
                    raise
            del self._ways[0]
            posix.truncate(fd, 0)


def fill_and_hash(source: int, fd: int, size: int) -> bytes:
    """Gives an empty file the content of another; its SHA-256."""
    hasher = hashlib.sha256()
    _through(source, fd, size, hasher)
    return hasher.digest()


def digest_of(fd: int) -> bytes:
    """The SHA-256 of what a handle holds."""
    os.lseek(fd, 0, os.SEEK_SET)
    with io.FileIO(fd, closefd=False) as file:
        return hashlib.file_digest(file, "sha256").digest()


def alike(one: int, other: int) -> bool:
    """Whether two files hold the same."""
    at = 0
    while True:
        data = os.pread(one, _CHUNK, at)
        if data != _exactly(other, len(data) or 1, at):
            return False
        if not data:
            return True
        at += len(data)


def _exactly(fd: int, count: int, at: int) -> bytes:
    """So many bytes, or all that are left: one read may give fewer."""
    data = os.pread(fd, count, at)
    while data and len(data) < count and (more := os.pread(fd, count - len(data), at + len(data))):
        data += more
    return data


def _by_reflink(source: int, fd: int, size: int) -> None:
    posix.reflink(source, fd)


def _in_kernel(source: int, fd: int, size: int) -> None:
    for start, end in _stretches(source, size):
        os.lseek(source, start, os.SEEK_SET)
        os.lseek(fd, start, os.SEEK_SET)
        while start < end and (done := posix.copy_range(source, fd, end - start)):
            start += done
    posix.truncate(fd, os.fstat(source).st_size)


def _through(source: int, fd: int, size: int, hasher: Hasher | None = None) -> None:
    at = 0
    for start, end in _stretches(source, size):
        if hasher is not None:
            _hash_hole(hasher, start - at)
        os.lseek(fd, start, os.SEEK_SET)
        at = start
        while at < end and (data := os.pread(source, min(_CHUNK, end - at), at)):
            posix.write(fd, data)
            at += len(data)
            if hasher is not None:
                hasher.update(data)
    if at < size:
        if hasher is not None:
            _hash_hole(hasher, size - at)
        posix.truncate(fd, size)


def _hash_hole(hasher: Hasher, size: int) -> None:
    for _ in range(size // _CHUNK):
        hasher.update(_ZEROS)
    hasher.update(_ZEROS[: size % _CHUNK])


_ZEROS = bytes(_CHUNK)
_SMALL = 1 << 16  # what is smaller is copied as if it had no holes


def _stretches(fd: int, size: int) -> Iterator[tuple[int, int]]:
    """Where a file holds data, as (start, end); all of it where the filesystem does not say."""
    end = 0
    if size < _SMALL:
        yield 0, size
        return
    while end < size:
        try:
            start = os.lseek(fd, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # only a hole is left
                return
            start, end = end, size
        else:
            end = os.lseek(fd, start, os.SEEK_HOLE)
        yield start, min(end, size)
