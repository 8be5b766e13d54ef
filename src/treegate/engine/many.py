"""Renames and looks of very many files at once: by the native part, where it is installed, else in Python."""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence

from treegate.engine import native, posix
from treegate.engine.native import Look, Move


def rename_each(moves: Sequence[Move]) -> tuple[int, OSError | None]:
    """Rename files one after the other, each to a free name, and look each time whether the known one has arrived.

    Stops at the first that fails, or that is another; how many are made before it, and its error (None: another).
    """
    if native.rename_each is None:
        return rename_one_by_one(moves)
    made, number = native.rename_each(moves)
    return made, OSError(number, os.strerror(number), os.fsdecode(moves[made][1])) if number else None


def rename_one_by_one(moves: Sequence[Move]) -> tuple[int, OSError | None]:
    """What `rename_each` does, in Python.

    Nothing else is done between the calls: what is done there costs several times what it costs elsewhere, for each
    call of the kernel's takes the processor's caches.
    """
    rename, lstat, made = posix.rename, os.lstat, 0
    try:
        for src_fd, src, dst_fd, dst, inode in moves:
            rename(src_fd, src, dst_fd, dst)
            if lstat(dst, dir_fd=dst_fd).st_ino != inode:
                return made, None
            made += 1
    except OSError as error:
        return made, error
    return made, None


_looked_at = struct.Struct("<20xQ8xqq8x").unpack  # of packed facts: inode, mtime, ctime


def look_each(looks: Sequence[Look]) -> list[int]:
    """Which of these entries, by number, are not what they were, or cannot be looked at.

    An inode's ctime changes with everything else of it: equal means untouched.
    """
    if native.look_each is None:
        return look_one_by_one(looks)
    return native.look_each(looks)


def look_one_by_one(looks: Sequence[Look]) -> list[int]:
    """What `look_each` does, in Python."""
    lstat, found = os.lstat, []
    for number, (folder, name, facts) in enumerate(looks):
        inode, mtime, ctime = _looked_at(facts)
        try:
            now = lstat(name, dir_fd=folder)
        except OSError:
            found.append(number)
        else:
            if now.st_ctime_ns != ctime or now.st_ino != inode or now.st_mtime_ns != mtime:
                found.append(number)
    return found
