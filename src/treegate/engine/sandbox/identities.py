"""Identities: by what an entry of a private copy is known again, whatever a command called it since."""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable

from treegate.engine import posix, syscalls

Identify = Callable[[int, bytes], bytes]  # a folder's handle and a name in it -> what is that entry's alone

_BORN = struct.Struct("=QQ")
_NO_HANDLES = (errno.EOPNOTSUPP, errno.ENOSYS, errno.EPERM, errno.EOVERFLOW)


def identifier(folder: int, name: bytes) -> Identify:
    """How entries of a filesystem are told apart, of which one is given.

    By their handles, which say how often an inode was used before; where there are none, by inode and time of birth:
    weaker, for an inode may be used again within one tick of the clock.
    """
    try:
        by_handle(folder, name)
    except OSError as error:
        if error.errno not in _NO_HANDLES:
            raise
        return by_birth
    return by_handle


def by_handle(folder: int, name: bytes) -> bytes:
    """The handle of an entry (all of one filesystem have the same type)."""
    return syscalls.file_handle(folder, name)[1]


def by_birth(folder: int, name: bytes) -> bytes:
    """The inode of an entry, and when it came to be."""
    facts = posix.facts(folder, name)
    return _BORN.pack(facts.ino, facts.btime)
