"""Watching folders in which nothing may happen: every event below them, by inotify(7)."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)
_HEAD = struct.Struct("iIII")  # struct inotify_event: watch, mask, cookie, length of the name
_SHOWN = {
    0x002: "written",
    0x004: "given other attributes",
    0x008: "closed after writing",
    0x020: "opened",
    0x040: "moved away",
    0x080: "moved here",
    0x100: "made",
    0x200: "removed",
    0x400: "gone itself",
    0x800: "moved itself",
}
_WANTED = sum(_SHOWN)
_SHOWN[0x4000] = "more than can be told below"  # the queue was too short for all events


class Watch:
    """What happens below a folder from now on, to the folder itself also; it may not get new folders meanwhile."""

    def __init__(self, top: Path) -> None:
        self._fd = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        self._folders = {self._added(folder): folder for folder, _, _ in os.walk(top)}
        self._drained()  # the walk itself

    def _added(self, folder: str) -> int:
        number = _libc.inotify_add_watch(self._fd, os.fsencode(folder), _WANTED)
        if number < 0:
            raise OSError(ctypes.get_errno(), "cannot be watched", folder)
        return number

    def _drained(self) -> bytes:
        found = b""
        while True:
            try:
                found += os.read(self._fd, 1 << 16)
            except BlockingIOError:
                return found

    def seen(self) -> list[str]:
        """What happened since this was asked last: "written /outside/file"."""
        return [f"{shown} {path}" for mask, path in self._events() for bit, shown in _SHOWN.items() if mask & bit]

    def _events(self) -> Iterator[tuple[int, str]]:
        data, at = self._drained(), 0
        while at < len(data):
            watch, mask, _, length = _HEAD.unpack_from(data, at)
            at += _HEAD.size + length
            name = data[at - length : at].rstrip(b"\0")
            yield mask, os.path.join(self._folders.get(watch, ""), os.fsdecode(name))

    def close(self) -> None:
        os.close(self._fd)
