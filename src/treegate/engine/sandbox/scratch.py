"""Scratch space of a limited size: a filesystem in a file that has no name, gone with the last who holds it.

What a command writes to its view lands here, and a command that fills it meets "no space left" (ENOSPC) and nobody
else does. All its blocks are taken from the disk at once (fallocate(2)): a sparse file on a full disk would take
writes and lose them.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import struct
import subprocess
import time

from treegate.engine import handles
from treegate.engine.sandbox import mounting
from treegate.engine.sandbox.order import Limits

# linux/loop.h: LOOP_CTL_GET_FREE, LOOP_CONFIGURE; struct loop_config has a loop_info64 of 232 bytes at 8.
_GET_FREE, _CONFIGURE = 0x4C82, 0x4C0A
_CONFIG = struct.Struct("=II232s64x")
_FLAGS_AT, _AUTOCLEAR = 52, 4  # of loop_info64: lo_flags; the device is free again once it is unmounted
_INODE = 1024  # bytes: extended attributes of the overlay fit into it, so that a renamed file costs no block
_MKFS = ("-q", "-F", "-O", "^has_journal", "-I", str(_INODE), "-m", "0", "-E", "lazy_itable_init=1,nodiscard")
_TRIES = 50


def make(folder: str, limits: Limits) -> None:
    """Mounts a filesystem at a folder that holds what a command may write and as many entries; raises OSError."""
    size = room(limits) + limits.entries * _INODE
    path = os.path.join(os.path.dirname(folder), "scratch.img")
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with handles.closing(fd):
            os.posix_fallocate(fd, 0, size)
            _format(path, limits.entries)
            device = _attach(fd)
            with handles.closing(device):
                _mount(f"/dev/loop{_number(device)}", folder)
            os.rmdir(os.path.join(folder, "lost+found"))
    finally:
        os.unlink(path)


def room(limits: Limits) -> int:
    """How many bytes of content there is room for: somewhat more than may be written, for what goes along with it."""
    return limits.written + limits.written // 32 + (8 << 20)


def _format(path: str, entries: int) -> None:
    tool = shutil.which("mkfs.ext4", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if tool is None:
        raise FileNotFoundError(errno.ENOENT, "mkfs.ext4 is not installed")
    done = subprocess.run(
        [tool, *_MKFS, "-N", str(entries + 64), path], capture_output=True, stdin=subprocess.DEVNULL
    )
    if done.returncode:
        raise OSError(errno.EIO, f"mkfs.ext4: {done.stderr.decode('utf-8', 'replace').strip()}")


def _attach(backing: int) -> int:
    """A handle of a loop device with a file behind it, which lets go of it by itself once nobody uses it."""
    info = bytearray(232)
    struct.pack_into("=I", info, _FLAGS_AT, _AUTOCLEAR)
    config = _CONFIG.pack(backing, 0, bytes(info))
    with handles.closing(os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)) as control:
        for _ in range(_TRIES):
            number = fcntl.ioctl(control, _GET_FREE)
            device = os.open(f"/dev/loop{number}", os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.ioctl(device, _CONFIGURE, config)
                return device
            except OSError as error:
                handles.close(device)
                if error.errno != errno.EBUSY:  # else: somebody else took it first
                    raise
                time.sleep(0.01)
    raise OSError(errno.EBUSY, "no loop device could be had")


def _number(device: int) -> int:
    return os.minor(os.fstat(device).st_rdev)


def _mount(device: str, folder: str) -> None:
    # The error is looked for at once where a write fails: there is nothing in it that anybody could repair.
    mounting.mount(device, folder, "ext4", mounting.NODEV | mounting.NOSUID | mounting.NOATIME, "errors=remount-ro")
