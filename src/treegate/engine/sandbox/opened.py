"""Which files a command opened: what it made may be a copy of one, and what it did may rest on what it read.

The kernel tells of every open on the view's filesystem (fanotify(7)). Where it cannot, nothing is known, and nothing
is taken for a copy.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Iterator

from treegate.engine import handles

_libc = ctypes.CDLL(None, use_errno=True)
_libc.fanotify_init.argtypes = (ctypes.c_uint, ctypes.c_uint)
_libc.fanotify_mark.argtypes = (ctypes.c_int, ctypes.c_uint, ctypes.c_uint64, ctypes.c_int, ctypes.c_char_p)

# linux/fanotify.h
_CLOEXEC, _NONBLOCK, _UNLIMITED_QUEUE = 0x1, 0x2, 0x10
_ADD, _FILESYSTEM = 0x1, 0x100
_OPEN = 0x20
_EVENT = struct.Struct("=IBBHQii")  # struct fanotify_event_metadata: length, version, …, mask, handle, process
_READ = 1 << 16
_MOST = 200_000  # paths that are remembered


class Opened:
    """What is opened on the filesystem of a view, by paths within it; raises OSError where the kernel does not tell.

    `inside` is where the command sees it: that is how the kernel calls what the command opened.
    """

    def __init__(self, seen: str, inside: str) -> None:
        self._prefix = os.fsencode(inside) + b"/"
        self.paths: set[bytes] = set()
        self.complete = True
        flags = os.O_RDONLY | os.O_LARGEFILE | os.O_CLOEXEC | os.O_NOATIME
        self._fd = _checked(_libc.fanotify_init(_CLOEXEC | _NONBLOCK | _UNLIMITED_QUEUE, flags))
        try:
            _checked(_libc.fanotify_mark(self._fd, _ADD | _FILESYSTEM, _OPEN, -100, os.fsencode(seen)))
        except OSError:
            handles.close(self._fd)
            raise

    def fileno(self) -> int:
        """A handle that can be read from when there is something to `take`."""
        return self._fd

    def take(self) -> None:
        """Notes what was opened since the last time."""
        while events := self._read():
            for fd in _handles(events):
                with handles.closing(fd):
                    self._note(fd)

    def _note(self, fd: int) -> None:
        try:
            path = os.readlink(b"/proc/self/fd/%d" % fd)
        except OSError:  # it lies deeper than any path is long
            self.complete = False
            return
        if len(self.paths) < _MOST:
            self.paths.add(path.removeprefix(self._prefix).lstrip(b"/"))
        else:
            self.complete = False

    def _read(self) -> bytes:
        try:
            return os.read(self._fd, _READ)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EINTR):
                self.complete = False  # a file that could not be opened for us: of what, nobody knows
                return self._read() if error.errno == errno.EACCES else b""
            return b""

    def close(self) -> None:
        """Ends it."""
        handles.close(self._fd)


def _handles(events: bytes) -> Iterator[int]:
    place = 0
    while place < len(events):
        length, _, _, _, _, fd, _ = _EVENT.unpack_from(events, place)
        if fd >= 0:
            yield fd
        place += length


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
