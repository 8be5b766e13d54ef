"""Removing a tree for good: by handles, never through a link, never into another mount."""

from __future__ import annotations

import contextlib
import stat as st

from treegate.engine import handles, posix


def clear_tree(folder: int, name: bytes) -> None:
    """Removes an entry with all that is in it; fine if it is not there.

    Of any depth, for it holds neither handles nor stack frames on the way down. Raises OSError: EXDEV where
    something is mounted inside, EACCES, EPERM; what was removed by then stays removed.
    """
    todo = [name]
    while todo:
        above, _, last = todo[-1].rpartition(b"/")
        with handles.closing(handles.open_dir(folder, above)) as parent:
            below = _remove(parent, last)
        if below:
            todo += [todo[-1] + b"/" + child for child in below]
        else:
            todo.pop()


def _remove(parent: int, name: bytes) -> list[bytes]:
    """Removes an entry; of a folder only what is no folder itself, and gives the names of the folders left."""
    try:
        mode = posix.facts(parent, name).mode
    except FileNotFoundError:
        return []
    if not st.S_ISDIR(mode):
        posix.unlink(parent, name)
        return []
    if mode & 0o700 != 0o700:
        posix.chmod(parent, name, st.S_IMODE(mode) | 0o700)
    with handles.closing(handles.open_child(parent, name)) as folder:
        below = [child for child in posix.names(folder) if not _unlinked(folder, child)]
    if not below:
        posix.rmdir(parent, name)
    return below


def _unlinked(folder: int, name: bytes) -> bool:
    """Removes what is no folder; whether it was none."""
    if st.S_ISDIR(posix.facts(folder, name).mode):
        return False
    with contextlib.suppress(FileNotFoundError):
        posix.unlink(folder, name)
    return True
