"""Moves on mounts that do not make them in one act: a folder goes entry by entry, and what stopped midway goes on.

A bucket has no folders, only names with slashes, so that a mount moves a folder by copying and removing one object
after the other. Here the same is done in the open, one rename an object: whatever ends it, each object is at its old
place or at its new one, or at both, and then the old one goes only if both read alike.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import stat as st
from collections.abc import Iterator

from treegate.engine import handles, posix
from treegate.engine.handles import Name, raw
from treegate.errors import NeedsRecovery
from treegate.model.tree import Facts

GONE = (errno.ENOTCONN, errno.ECONNABORTED)  # what a mount answers whose program has ended
_BLOCK = 1 << 20  # bytes compared at once


def move(rename: posix.Rename, src: int, old: Name, dst: int, new: Name, *, folder: bool) -> None:
    """Bring a file or a whole folder from its slot to a free one; FileExistsError if that is taken.

    A folder that is not there was empty, for a bucket forgets those: it is made at its new slot. What an error stops
    midway is brought back; raises NeedsRecovery "half-moved" where it cannot be. A mount that is gone (GONE) is left
    alone.
    """
    was = _looked(src, old) if folder else posix.facts(src, old)
    if was is None:
        return posix.mkdir(dst, new)
    if not st.S_ISDIR(was.mode):
        return _move_file(rename, src, old, dst, new, was)
    posix.mkdir(dst, new, st.S_IMODE(was.mode) | 0o700)
    try:
        return _merge(rename, src, old, dst, new)
    except OSError as error:
        if error.errno not in GONE:
            _bring_back(rename, src, old, dst, new, error)
        raise


def finish(rename: posix.Rename, src: int, old: Name, dst: int, new: Name) -> bool:
    """Go on with a move that may have stopped anywhere; whether the entry is at its new slot now.

    Nothing is done where only one of the slots is taken, or where what is at the new one is not a copy, nor the
    beginning of one, of what is at the old. FileExistsError if that is so somewhere inside a folder.
    """
    here, there = _looked(src, old), _looked(dst, new)
    if here is None or there is None or st.S_IFMT(here.mode) != st.S_IFMT(there.mode):
        return here is None and there is not None
    if st.S_ISDIR(here.mode):
        _merge(rename, src, old, dst, new)
        return True
    with contextlib.suppress(FileExistsError):
        _bring(rename, src, old, dst, new)
        return True
    return False


def stand(root: int, path: bytes) -> None:
    """Make the folders of a path below a handle, as far as they are not there."""
    parts = path.split(b"/")
    for depth, name in enumerate(parts):
        above = handles.open_dir(root, b"/".join(parts[:depth]))
        with handles.closing(above), contextlib.suppress(FileExistsError):
            posix.mkdir(above, name)


def _looked(folder: int, name: Name) -> Facts | None:
    try:
        return posix.facts(folder, name)
    except FileNotFoundError:
        return None


def _bring_back(rename: posix.Rename, src: int, old: Name, dst: int, new: Name, why: OSError) -> None:
    try:
        _merge(rename, dst, new, src, old, whole=True)
    except OSError as error:
        raise NeedsRecovery(
            f"the folder {os.fsdecode(old)!r} could be moved only in part ({why}), and not be brought back: {error}",
            code="half-moved",
            hint="nothing of it is lost; put right what the message names, then recover",
            next="treegate recover",
        ) from error


# -- folders


def _stand_like(folder: int, name: Name, like: Facts, whole: bool) -> None:
    """A folder with the mode and owner of another, where the mount keeps them; `whole`: what is there has them."""
    try:
        posix.mkdir(folder, name, st.S_IMODE(like.mode) | 0o700)
    except FileExistsError:
        if whole:
            return
    made = posix.facts(folder, name)
    if (made.uid, made.gid) != (like.uid, like.gid):
        posix.set_owner_of_link(folder, name, like.uid, like.gid)
    if made.mode != like.mode:
        posix.chmod(folder, name, st.S_IMODE(like.mode))


def _merge(rename: posix.Rename, src: int, old: Name, dst: int, new: Name, *, whole: bool = False) -> None:
    """Bring all that a folder holds into another, of any depth, and remove it; FileExistsError for a stranger.

    `whole`: the folders at the other side, where there are any, look as they should already.
    """
    _stand_like(dst, new, posix.facts(src, old), whole)
    with (
        handles.closing(handles.open_child(src, old)) as source,
        handles.closing(handles.open_child(dst, new)) as target,
    ):
        todo = [b""]
        while todo:
            below = list(_folders_left(rename, source, target, todo[-1], whole))
            if not below:
                _remove(source, todo.pop())
            todo += below
    with contextlib.suppress(FileNotFoundError):  # it went with the last file in it
        posix.rmdir(src, old)


def _folders_left(rename: posix.Rename, source: int, target: int, path: bytes, whole: bool) -> Iterator[bytes]:
    """Bring the files of one folder over; the paths of the folders in it, which stand on the other side then."""
    try:
        opened = handles.open_dir(source, path)
    except FileNotFoundError:
        return  # it went with the last file in it
    with handles.closing(opened) as here, handles.closing(handles.open_dir(target, path)) as there:
        for name in sorted(posix.names(here)):
            was = posix.facts(here, name)
            if not st.S_ISDIR(was.mode):
                _bring(rename, here, name, there, name)
                continue
            _stand_like(there, name, was, whole)
            yield path + b"/" + name if path else name


def _remove(top: int, path: bytes) -> None:
    above, _, name = path.rpartition(b"/")
    if name:
        with handles.closing(handles.open_dir(top, above)) as folder, contextlib.suppress(FileNotFoundError):
            posix.rmdir(folder, name)


# -- files


def _bring(rename: posix.Rename, src: int, old: Name, dst: int, new: Name) -> None:
    """Move a file, of which a copy, or the beginning of one, may be at its new slot already."""
    was = posix.facts(src, old)
    if posix.exists(dst, new):
        shared = _shared(src, old, dst, new)
        if shared == was.size == posix.facts(dst, new).size:
            posix.unlink(src, old)
            return keep_time(dst, new, was)
        if shared < posix.facts(dst, new).size:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), os.fsdecode(new))
        posix.unlink(dst, new)  # a copy that was not finished
    return _move_file(rename, src, old, dst, new, was)


def _move_file(rename: posix.Rename, src: int, old: Name, dst: int, new: Name, was: Facts) -> None:
    rename(src, old, dst, new)
    keep_time(dst, new, was)


def keep_time(folder: int, name: Name, was: Facts) -> None:
    """A bucket may date an object by its last copy; where times cannot be set it stays so."""
    if posix.facts(folder, name).mtime != was.mtime:
        with contextlib.suppress(PermissionError):
            posix.utime(folder, name, was.mtime)


def _shared(one: int, name: Name, other: int, other_name: Name) -> int:
    """How many bytes two files have in common from their beginning, each read through a handle of its own."""
    with _read(one, name) as first, _read(other, other_name) as second:
        shared = 0
        while first_block := first.read(_BLOCK):
            second_block = second.read(len(first_block))
            if first_block != second_block:
                return shared + next(
                    n for n in range(len(first_block)) if first_block[n : n + 1] != second_block[n : n + 1]
                )
            shared += len(first_block)
        return shared


@contextlib.contextmanager
def _read(folder: int, name: Name) -> Iterator[io.BufferedReader]:
    with handles.closing(handles.open_file(folder, raw(name))) as fd, open(fd, "rb", closefd=False) as file:
        yield file
