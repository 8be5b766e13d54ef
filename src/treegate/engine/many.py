"""Renames and looks of very many files at once: by the native part, where it is installed, else in Python."""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter

from treegate.engine import native, posix
from treegate.engine.halting import stuck
from treegate.engine.native import Look, Move

_folders = itemgetter(0, 2)
LISTED = 16  # files in one folder from which on it is cheaper to list it than to look at each


def rename_each(moves: Sequence[Move]) -> tuple[int, OSError | None]:
    """Rename files one after the other, each to a free name, and look whether the known ones have arrived.

    No file is among them twice. Stops at the first that fails, or that is another, which stays where it came to; how
    many are made before it, and its error (None: another).
    """
    if native.rename_each is None:
        return rename_in_python(moves)
    made, number = native.rename_each(moves)
    return made, OSError(number, os.strerror(number), os.fsdecode(moves[made][1])) if number else None


def rename_in_python(moves: Sequence[Move]) -> tuple[int, OSError | None]:
    """What `rename_each` does, in Python: all are renamed, then all are looked at, and what went too far comes back.

    Nothing else is done between the renames: what is done there costs several times what it costs elsewhere, for each
    call of the kernel's takes the processor's caches.

    Raises NeedsRecovery where something cannot come back.
    """
    made, error = _renamed(moves)
    known, lost = _arrived(moves[:made])
    if known == made:
        return made, error
    _take_back(moves[known + 1 : made])
    return known, lost


def _renamed(moves: Sequence[Move]) -> tuple[int, OSError | None]:
    made = 0
    for (src, dst), some in groupby(moves, key=_folders):
        _, names, _, others, _ = zip(*some, strict=True)
        more, error = posix.rename_each(src, names, dst, others)
        made += more
        if error is not None:
            return made, error
    return made, None


def _arrived(moves: Sequence[Move]) -> tuple[int, OSError | None]:
    """How many there are before the first whose file is another, or cannot be looked at: then with the error."""
    known = 0
    for folder, some in groupby(moves, key=itemgetter(2)):
        _, _, _, names, inodes = zip(*some, strict=True)
        decoded = os.fsdecode(b"\0".join(names)).split("\0")
        seen = tuple(map(_listed(folder, len(names)).get, decoded))
        if seen == inodes:
            known += len(names)
            continue
        for name, inode, listed in zip(names, inodes, seen, strict=True):
            try:
                # What a listing says otherwise, and what it does not have, is looked at by itself.
                if listed != inode and os.lstat(name, dir_fd=folder).st_ino != inode:
                    return known, None
            except OSError as error:
                return known, error
            known += 1
    return known, None


def _listed(folder: int, sought: int) -> dict[str, int]:
    """What a folder's listing says of the names in it, as far as that is cheaper than to look at each; or nothing."""
    with contextlib.suppress(OSError):
        if sought >= LISTED:
            return posix.inodes(folder, 2 * sought)
    return {}


def _take_back(moves: Sequence[Move]) -> None:
    try:
        for src_fd, src, dst_fd, dst, _ in reversed(moves):
            posix.rename(dst_fd, dst, src_fd, src)
    except OSError as error:
        raise stuck(error) from error


_looked_at = struct.Struct("<20xQ8xqq8x").unpack  # of packed facts: inode, mtime, ctime


def look_each(looks: Sequence[Look]) -> list[int]:
    """Which of these entries, by number, are not what they were, or cannot be looked at.

    An inode's ctime changes with everything else of it: equal means untouched.
    """
    if native.look_each is None:
        return look_in_python(looks)
    return native.look_each(looks)


def look_in_python(looks: Sequence[Look]) -> list[int]:
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


_INODE, _BORN, _NEVER = slice(20, 28), slice(52, 60), bytes(8)  # of packed facts
_KIND_AT, _KIND = 1, 0xF0  # the byte of the mode, and its bits, that tell a kind


def recognise_each(looks: Sequence[Look]) -> list[int]:
    """Which of these entries, by number, are not plainly the known ones, edited or not: by kind, inode and birth.

    What has no birth time is not plainly anything.
    """
    if native.recognise_each is None:
        return recognise_in_python(looks)
    return native.recognise_each(looks)


def recognise_in_python(looks: Sequence[Look]) -> list[int]:
    """What `recognise_each` does, in Python."""
    look, found = posix.packed_as_listed, []
    for number, (folder, name, facts) in enumerate(looks):
        try:
            now = look(folder, name)
        except OSError:
            found.append(number)
        else:
            same = now[_INODE] == facts[_INODE] and now[_BORN] == facts[_BORN] != _NEVER
            if not same or (now[_KIND_AT] ^ facts[_KIND_AT]) & _KIND:
                found.append(number)
    return found
