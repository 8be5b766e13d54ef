"""Image files whose every write and flush is written down in order: what disks did, to be done again up to any point.

As a script it serves the files of one folder at another, through FUSE, and writes the log:

    python tests/faults/blocklog.py IMAGES MOUNTPOINT LOG

A loop device over such a file, with direct access, hands on what the filesystem above it tells its disk. A file
FAILING beside the log names what fails from now on: "write", or "flush".
"""

from __future__ import annotations

import contextlib
import errno
import os
import struct
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

try:
    import mfusepy
except (ImportError, OSError):  # the package, or the library that it loads
    mfusepy = None

_HEAD = struct.Struct("<8sQI")  # file, offset, length of what was written; a flush has no length
FAILING = "failing"


class Event(NamedTuple):
    """A write to one of the files, or, without data, a flush of it."""

    file: str
    offset: int
    data: bytes

    @property
    def is_flush(self) -> bool:
        return not self.data


def read(log: Path) -> list[Event]:
    """All that happened, in order."""
    events, content, at = [], memoryview(log.read_bytes()), 0
    while at < len(content):
        name, offset, length = _HEAD.unpack_from(content, at)
        at += _HEAD.size
        events.append(Event(name.rstrip(b"\0").decode(), offset, bytes(content[at : at + length])))
        at += length
    return events


def replay(events: Iterable[Event], images: dict[str, Path]) -> None:
    """Do to the images what happened to the files."""
    with contextlib.ExitStack() as stack:
        files = {name: stack.enter_context(open(path, "r+b", buffering=0)) for name, path in images.items()}
        for event in events:
            os.pwrite(files[event.file].fileno(), event.data, event.offset)


def unsynced(events: list[Event]) -> list[int]:
    """The numbers of the writes that no flush of their file follows."""
    found, flushed = [], set()
    for number in range(len(events) - 1, -1, -1):
        event = events[number]
        if event.is_flush:
            flushed.add(event.file)
        elif event.file not in flushed:
            found.append(number)
    return found[::-1]


def needed() -> None:
    """Skip a test where no such files can be served."""
    if not os.path.exists("/dev/fuse"):
        pytest.skip("needs /dev/fuse")
    if mfusepy is None:
        pytest.skip("needs /dev/fuse, libfuse and the package mfusepy")


@contextlib.contextmanager
def recording(images: Path, point: Path, log: Path) -> Iterator[None]:
    """The files of a folder, served at another, what is done to them written down."""
    from tests.faults.loops import everywhere  # not at the top: a script does not find it

    point.mkdir(exist_ok=True)
    (log.parent / FAILING).write_text("")
    command = [sys.executable, __file__, str(images), str(point), str(log)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as server:
        try:
            if server.stdout.readline() != b"served\n":
                pytest.skip("cannot mount a filesystem through /dev/fuse")
            yield
        finally:
            subprocess.run(["fusermount3", "-u", "-z", str(point)], check=False, capture_output=True)
            everywhere(point)
            server.wait(10)


if mfusepy is not None:

    class _Recorder(mfusepy.Operations):
        """The files of one folder."""

        use_ns = True

        def __init__(self, images: Path, log: Path) -> None:
            self._images, self._failing = images, log.parent / FAILING
            self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)

        def _file(self, path: str) -> str:
            return f"{self._images}{path}"

        def _tell(self, what: str, path: str, offset: int, data: bytes) -> None:
            if self._failing.read_text() == what:
                raise mfusepy.FuseOSError(errno.EIO)
            os.write(self._log, _HEAD.pack(path[1:].encode(), offset, len(data)) + data)

        def init(self, path: str) -> None:
            print("served", flush=True)

        def getattr(self, path: str, fh: int | None = None) -> dict[str, int]:
            try:
                found = os.lstat(self._file(path))
            except OSError as error:
                raise mfusepy.FuseOSError(error.errno) from error
            return {name: getattr(found, name) for name in ("st_mode", "st_size", "st_nlink", "st_uid", "st_gid")}

        def readdir(self, path: str, fh: int) -> list[str]:
            return [".", "..", *os.listdir(self._images)]

        def open(self, path: str, flags: int) -> int:
            return os.open(self._file(path), os.O_RDWR)

        def release(self, path: str, fh: int) -> int:
            os.close(fh)
            return 0

        def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
            return os.pread(fh, size, offset)

        def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
            self._tell("write", path, offset, data)
            return os.pwrite(fh, data, offset)

        def fsync(self, path: str, datasync: int, fh: int) -> int:
            self._tell("flush", path, 0, b"")
            return 0


def main(images: str, point: str, log: str) -> None:
    """Serve until unmounted; one request after the other, so that the log has one order."""
    mfusepy.FUSE(_Recorder(Path(images), Path(log)), point, foreground=True, nothreads=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
