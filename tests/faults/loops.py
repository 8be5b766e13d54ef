"""Filesystems on loop devices of their own: made, mounted, cut off from power, mounted anew as another device.

All of it by system calls: a harness that mounts a thousand times cannot wait for programs to start.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

_CONFIGURE, _FREE = 0x4C0A, 0x4C82  # loop(4)
_AUTOCLEAR, _DIRECT_IO = 4, 16
_CONFIG = struct.Struct("<II 5Q 4I 64s64s32s 2Q 8Q")
_SHUTDOWN = 0x8004587D  # FS_IOC_SHUTDOWN, at first XFS_IOC_GOINGDOWN
_FORGET = 0x50009405  # BTRFS_IOC_FORGET_DEV
_DETACH = 2  # of umount2(2): as soon as nobody uses it
_libc = ctypes.CDLL(None, use_errno=True)

LOG_FLUSHED, LOG_DROPPED, AS_IT_IS = 1, 2, 0  # what a cut leaves; the last: the image as it is at that moment


class Kind(NamedTuple):
    """A type of filesystem: its smallest sensible image, how it is made and mounted, which cuts it knows."""

    size: int
    make: tuple[str, ...] = ()
    options: str = ""
    cuts: tuple[int, ...] = (LOG_FLUSHED, LOG_DROPPED)


# Nothing is to become durable by the passing of time, so the logs are written only when that is asked for.
KINDS = {
    "ext4": Kind(32 << 20, ("-q",), "commit=3600"),
    "xfs": Kind(300 << 20, ("-q",), "nouuid"),  # for a mount namespace of somebody else may still hold the last one
    "btrfs": Kind(116 << 20, ("-q",), "commit=3600", (AS_IT_IS,)),
}


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder for images and mounts, in memory where that can be had; all of it is gone afterwards.

    A process of its own sees to that, so that nothing stays mounted when this one is killed.
    """
    shared = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="treegate-", dir=shared))
    reading, writing = os.pipe()
    keeper = os.fork()
    if not keeper:
        _keep(folder, reading, writing)
    os.close(reading)
    try:
        yield folder
    finally:
        os.close(writing)
        os.waitpid(keeper, 0)


def _keep(folder: Path, reading: int, writing: int) -> None:
    """Wait until nobody can write to the pipe any more, then clear the folder away."""
    os.setsid()  # what ends the tests is not to end this
    os.close(writing)
    os.read(reading, 1)
    with open("/proc/self/mounts", "rb") as lines:
        points = [line.split()[1] for line in lines]
    for point in reversed(points):
        if point.startswith(os.fsencode(folder)):
            _libc.umount2(point, _DETACH)
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


def needed(kind: str) -> None:
    """Skip a test where no such filesystem can be made and mounted."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount")
    if not os.path.exists("/dev/loop-control"):
        pytest.skip("needs loop devices")
    if shutil.which(f"mkfs.{kind}") is None:
        pytest.skip(f"needs loop devices and mkfs.{kind}")


def everywhere(point: Path) -> None:
    """What was unmounted goes in other namespaces of mounts, too, that began as copies of this one: else a sandbox of
    a test beside this one holds it. A folder takes along what is mounted on it elsewhere (mount_namespaces(7))."""
    with contextlib.suppress(OSError):
        point.rmdir()
        point.mkdir()


class Disk:
    """One image file with a filesystem in it and the folder where it is mounted."""

    def __init__(self, kind: str, image: Path, point: Path, *, direct: bool = False) -> None:
        self.kind, self.image, self.point = kind, image, point
        self._direct = direct
        self._held = -1  # a handle of the loop device, so that the next mounting cannot be given the same one
        self._last = 0  # the device number of the mounting before
        self._mounted = False

    def make(self) -> None:
        """A new, empty filesystem in a new image."""
        with open(self.image, "wb") as file:
            file.truncate(KINDS[self.kind].size)
        made = subprocess.run(
            [f"mkfs.{self.kind}", *KINDS[self.kind].make, str(self.image)], capture_output=True, text=True
        )
        if made.returncode:
            pytest.skip(f"cannot mount: mkfs.{self.kind} failed: {made.stderr.strip()}")
        copy_sparse(self.image, self.image)

    def mount(self) -> None:
        """Mount it, as another device than the time before."""
        self.point.mkdir(parents=True, exist_ok=True)
        self._mount()
        with contextlib.ExitStack() as others:
            while os.stat(self.point).st_dev == self._last:  # btrfs: a number of no device, and the lowest free
                self.unmount()
                others.enter_context(_another_number(self.point.parent))
                self._mount()
        self._last = os.stat(self.point).st_dev

    def _mount(self) -> None:
        device, name = _attach(self.image, self._direct)
        self._release()
        self._held = device
        if self.kind == "btrfs":
            _forget()
        _mount(name, self.point, self.kind, KINDS[self.kind].options)
        self._mounted = True

    def stop(self, cut: int) -> None:
        """Cut the power; the filesystem is of no use any more, and is to be unmounted."""
        if cut == AS_IT_IS:
            copy_sparse(self.image, self.image.with_suffix(".cut"))
            return
        top = os.open(self.point, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(top, _SHUTDOWN, struct.pack("I", cut))
        finally:
            os.close(top)

    def unmount(self) -> None:
        """Unmount it; after a cut the image is what that left."""
        if self._mounted:
            _checked(_libc.umount2(os.fsencode(self.point), 0), self.point)
            everywhere(self.point)
            self._mounted = False
        cut = self.image.with_suffix(".cut")
        if cut.exists():
            self._release()
            os.replace(cut, self.image)

    def sync(self) -> None:
        """Make all of it durable."""
        top = os.open(self.point, os.O_RDONLY | os.O_DIRECTORY)
        _checked(_libc.syncfs(top), self.point)
        os.close(top)

    def close(self) -> None:
        """Give everything back, in whatever state it is."""
        if self._mounted:
            _libc.umount2(os.fsencode(self.point), _DETACH)
            everywhere(self.point)
            self._mounted = False
        self._release()

    def _release(self) -> None:
        if self._held >= 0:
            os.close(self._held)  # the device frees itself when nobody holds it nor has it mounted
            self._held = -1


def _attach(image: Path, direct: bool) -> tuple[int, str]:
    """A free loop device over an image that frees itself: a handle, and its name."""
    with open("/dev/loop-control", "rb") as control, open(image, "r+b") as backing:
        flags = _AUTOCLEAR | (_DIRECT_IO if direct else 0)
        config = _CONFIG.pack(backing.fileno(), 0, *[0] * 5, 0, 0, 0, flags, b"", b"", b"", *[0] * 10)
        while True:
            name = f"/dev/loop{fcntl.ioctl(control, _FREE)}"
            device = os.open(name, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.ioctl(device, _CONFIGURE, config)
                return device, name
            except OSError as error:
                os.close(device)
                if error.errno != errno.EBUSY:  # somebody else was quicker
                    raise


def _mount(source: str, point: Path, kind: str, options: str = "") -> None:
    done = _libc.mount(source.encode(), os.fsencode(point), kind.encode(), 0, options.encode())
    _checked(done, point)


@contextlib.contextmanager
def _another_number(beside: Path) -> Iterator[None]:
    """Takes the device number that would be given next."""
    point = Path(tempfile.mkdtemp(prefix="number-", dir=beside))
    _mount("none", point, "tmpfs")
    try:
        yield
    finally:
        _libc.umount2(os.fsencode(point), _DETACH)
        point.rmdir()


def _forget() -> None:
    """Make btrfs forget what it saw on other devices: an older state of a filesystem it knows would be refused."""
    with contextlib.suppress(OSError), open("/dev/btrfs-control", "r+b", buffering=0) as control:
        fcntl.ioctl(control, _FORGET, bytearray(4096))  # all that is not mounted


def _checked(result: int, path: Path) -> None:
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), str(path))


def copy_sparse(source: Path, target: Path, block: int = 1 << 16) -> None:
    """Put a copy of a file in place of another, with holes where it holds only zeros."""
    fresh = target.with_suffix(".fresh")
    with open(source, "rb") as old, open(fresh, "wb") as new:
        size = os.fstat(old.fileno()).st_size
        new.truncate(size)
        for low, high in _stretches(old.fileno(), size):
            for offset in range(low, high, block):
                data = os.pread(old.fileno(), min(block, high - offset), offset)
                if data.count(0) < len(data):
                    os.pwrite(new.fileno(), data, offset)
    os.replace(fresh, target)


def _stretches(fd: int, size: int) -> Iterator[tuple[int, int]]:
    """From where to where a file has data."""
    low = 0
    while low < size:
        try:
            low = os.lseek(fd, low, os.SEEK_DATA)
        except OSError:  # ENXIO: a hole up to the end
            return
        high = os.lseek(fd, low, os.SEEK_HOLE)
        yield low, high
        low = high
