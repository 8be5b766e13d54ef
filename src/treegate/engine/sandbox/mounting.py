"""Mounts: the system calls by which a runner gives its command a view of its own.

Linux only, by ctypes; each raises OSError with the kernel's errno. See mount(2), mount_setattr(2), move_mount(2),
open_tree(2), unshare(2) and `linux/mount.h`.
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct
from ctypes import c_char_p, c_int, c_long, c_size_t, c_uint, c_ulong, c_void_p

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mount.argtypes = (c_char_p, c_char_p, c_char_p, c_ulong, c_char_p)
_libc.umount2.argtypes = (c_char_p, c_int)
_libc.unshare.argtypes = (c_int,)
# Each a handle of its own, for prototypes belong to the function object. The numbers are the same everywhere.
_open_tree, _move_mount, _mount_setattr = (ctypes.CDLL(None, use_errno=True).syscall for _ in range(3))
_open_tree.argtypes = (c_long, c_int, c_char_p, c_uint)
_move_mount.argtypes = (c_long, c_int, c_char_p, c_int, c_char_p, c_uint)
_mount_setattr.argtypes = (c_long, c_int, c_char_p, c_uint, c_void_p, c_size_t)
_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442

NEW_MOUNTS, NEW_USER = 0x00020000, 0x10000000  # CLONE_NEWNS, CLONE_NEWUSER
_BIND, _RECURSIVE, _PRIVATE, _SLAVE = 0x1000, 0x4000, 0x40000, 0x80000
NODEV, NOSUID, NOATIME = 4, 2, 1024
_PDEATHSIG = 1
_DETACH = 2  # MNT_DETACH
_AT_FDCWD, _AT_EMPTY_PATH = -100, 0x1000
_CLONE, _CLOEXEC = 1, os.O_CLOEXEC  # OPEN_TREE_*
_FROM_EMPTY_PATH = 4  # MOVE_MOUNT_F_EMPTY_PATH
_ATTR_RDONLY, _ATTR_IDMAP = 0x1, 0x00100000
_ATTR = struct.Struct("=QQQQ")  # struct mount_attr: set, clear, propagation, user namespace


def _checked(result: int, name: str = "") -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), name or None)
    return result


def unshare(what: int) -> None:
    """Gives this process namespaces of its own."""
    _checked(_libc.unshare(what))


def die_with_parent() -> None:
    """Has this process killed when the one that forked it is gone (prctl(2), PR_SET_PDEATHSIG)."""
    _checked(_libc.prctl(_PDEATHSIG, signal.SIGKILL, 0, 0, 0))


def make_slave() -> None:
    """Keeps what is mounted from here on in this process's mount namespace (mount_namespaces(7)).

    What the machine mounts and unmounts comes here, too: a disk that somebody unmounts is not held by who does not
    use it, and a workspace that is mounted anew is seen.
    """
    _checked(_libc.mount(None, b"/", None, _RECURSIVE | _SLAVE, None))


def make_private() -> None:
    """As `make_slave`, and from here on nothing comes from the machine either."""
    _checked(_libc.mount(None, b"/", None, _RECURSIVE | _PRIVATE, None))


def mount(source: str, target: str, kind: str, flags: int = 0, options: str = "") -> None:
    """Mounts a filesystem."""
    given = (os.fsencode(source), os.fsencode(target), kind.encode(), flags, os.fsencode(options) or None)
    _checked(_libc.mount(*given), target)


def unmount(target: str, *, lazily: bool = False) -> None:
    """Unmounts what is mounted at a place; `lazily` also where something of it is still open."""
    _checked(_libc.umount2(os.fsencode(target), _DETACH if lazily else 0), target)


def clone(folder: str) -> int:
    """A mount of a folder that is nowhere yet, as a handle; mounts inside it are not in the clone."""
    return _checked(_open_tree(_OPEN_TREE, _AT_FDCWD, os.fsencode(folder), _CLONE | _CLOEXEC), folder)


def map_owners(mounted: int, namespace: int) -> None:
    """Has a cloned mount show owners as a user namespace maps them; EINVAL where its filesystem cannot."""
    _set_attributes(mounted, _ATTR.pack(_ATTR_IDMAP, 0, 0, namespace))


def make_read_only(mounted: int) -> None:
    """Has nobody change anything by way of a cloned mount."""
    _set_attributes(mounted, _ATTR.pack(_ATTR_RDONLY, 0, 0, 0))


def _set_attributes(mounted: int, attr: bytes) -> None:
    _checked(_mount_setattr(_MOUNT_SETATTR, mounted, b"", _AT_EMPTY_PATH, attr, len(attr)))


def attach(mounted: int, target: str) -> None:
    """Puts a cloned mount at a place."""
    _checked(_move_mount(_MOVE_MOUNT, mounted, b"", _AT_FDCWD, os.fsencode(target), _FROM_EMPTY_PATH), target)
