"""The lower layer while a view is looked through: the cases as they are, asked for by path, entry by entry."""

from __future__ import annotations

import errno
import os
import stat as st
from collections import OrderedDict
from collections.abc import Iterator

from treegate.engine import handles, posix
from treegate.engine.sandbox import marks

_HELD = 64  # folders whose handles are kept
_AWAY = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EXDEV, errno.ENAMETOOLONG)


class Lower:
    """One case as it is now, by paths within it (bytes); never through a link, never into another mount."""

    def __init__(self, folder: str) -> None:
        self._top = handles.open_root(folder)
        self._held: OrderedDict[bytes, int] = OrderedDict()

    def close(self) -> None:
        """Gives all handles back."""
        for fd in (*self._held.values(), self._top):
            handles.close(fd)
        self._held.clear()

    def stat(self, path: bytes) -> os.stat_result | None:
        """What lstat says of an entry, b"" for the case itself; None where there is none."""
        if not path:
            return os.fstat(self._top)
        above, _, name = path.rpartition(b"/")
        try:
            return os.stat(name, dir_fd=self._folder(above), follow_symlinks=False)
        except OSError as error:
            if error.errno not in _AWAY:
                raise
            return None

    def target(self, path: bytes) -> bytes:
        """Where a link points."""
        above, _, name = path.rpartition(b"/")
        return os.readlink(name, dir_fd=self._folder(above))

    def handle(self, path: bytes) -> bytes | None:
        """The file handle of an entry, as `marks.origin` tells it; None where there is no such entry."""
        above, _, name = path.rpartition(b"/")
        return None if self.stat(path) is None else marks.handle(self._folder(above), name)

    def open(self, path: bytes) -> int:
        """A handle of a file for reading."""
        above, _, name = path.rpartition(b"/")
        return handles.open_file(self._folder(above), name)

    def attributes(self, path: bytes) -> dict[str, bytes]:
        """The extended attributes of an entry that anybody may set, by name."""
        above, _, name = path.rpartition(b"/")
        at = marks.reach(self._folder(above), name)
        return marks.attributes(at, marks.names(at))

    def below(self, path: bytes) -> Iterator[tuple[bytes, os.stat_result]]:
        """Everything in a folder, at any depth, each folder before what it holds; nothing where it is none."""
        todo = [path]
        while todo:
            folder = todo.pop()
            try:
                names = posix.names(self._folder(folder))
            except OSError as error:
                if error.errno not in _AWAY:
                    raise
                continue
            for name in names:
                inside = folder + b"/" + name if folder else name
                facts = self.stat(inside)
                if facts is None:
                    continue
                yield inside, facts
                if st.S_ISDIR(facts.st_mode):
                    todo.append(inside)

    def _folder(self, path: bytes) -> int:
        fd = self._held.get(path)
        if fd is not None:
            self._held.move_to_end(path)
            return fd
        fd = self._held[path] = handles.open_dir(self._top, path)
        if len(self._held) > _HELD:
            handles.close(self._held.popitem(last=False)[1])
        return fd
