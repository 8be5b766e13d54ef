"""Projections: files written for people below the workspace, whole or not at all, and never through a link.

A projection is only ever a copy of what the state directory knows, so nothing here is synced: what a power cut takes
is written again (`treegate fsck`). Whatever stands in a projection's place is replaced, but for a folder; a link on
the way to it is not followed.
"""

from __future__ import annotations

import errno
import os
import stat as st
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from treegate.engine import handles, posix
from treegate.engine.pieces import blocks

Where = tuple[str, ...]  # a path from the workspace's root, by components


class Projection(NamedTuple):
    """One content under some names; `pieces` gives it anew each time, and None where these names should be free."""

    places: Sequence[Where]
    pieces: Callable[[], Iterable[bytes]] | None


class Found(NamedTuple):
    """A place that was not as it should be: how (`it was missing`), and why it could not be put right, if not."""

    place: Where
    how: str
    error: OSError | None = None


def bring(root: Path, projection: Projection, *, dry: bool = False) -> Iterator[Found]:
    """Puts right what does not say what it should (`dry`: only tells); raises nothing but what `pieces` raises.

    A content that has several places is written once and linked to the others, where the mount can do that.
    """
    with ExitStack() as held:
        bringing = _Bringing(root, projection.pieces, dry, held)
        for place in projection.places:
            try:
                how = bringing.put_right(place)
            except OSError as error:
                yield Found(place, error.strerror or str(error), error)
                continue
            if how:
                yield Found(place, how)


class _Twin(NamedTuple):
    """A file that has the content already, by which others get it: its folder, its name, and what it is."""

    folder: int
    name: str
    seen: os.stat_result

    def stands(self) -> bool:
        """Whether it is still there; somebody may have taken it away, or put another in its place."""
        with suppress(OSError):
            return _same(os.lstat(handles.raw(self.name), dir_fd=self.folder), self.seen)
        return False


def _same(one: os.stat_result, two: os.stat_result) -> bool:
    """Whether two looks were at one file; once it is gone its inode may be used again, so size and time count too."""
    return os.path.samestat(one, two) and (one.st_size, one.st_mtime_ns) == (two.st_size, two.st_mtime_ns)


class _Bringing:
    """Brings one content to its places, one after the other; what it holds open meanwhile, `held` gives back."""

    def __init__(self, root: Path, pieces: Callable[[], Iterable[bytes]] | None, dry: bool, held: ExitStack) -> None:
        self._root = root
        self._pieces = pieces
        self._dry = dry
        self._held = held
        self._twin: _Twin | None = None

    def put_right(self, place: Where) -> str:
        """How a place is not as it should be, as the end of a sentence; "" where it is. Unless `dry`, it is then."""
        try:
            with folder(self._root, place[:-1], make=self._pieces is not None and not self._dry) as where:
                how = self._difference(where, place[-1])
                if how and not self._dry:
                    self._put(where, place[-1])
                if self._pieces is not None and self._twin is None and not (how and self._dry):
                    self._note_twin(where, place[-1])
                return how
        except FileNotFoundError:
            return "" if self._pieces is None else "it was missing"

    def _note_twin(self, where: int, name: str) -> None:
        with suppress(OSError):  # no handle to be had: the next place is written by itself
            kept = self._held.enter_context(handles.closing(os.dup(where)))
            self._twin = _Twin(kept, name, os.lstat(handles.raw(name), dir_fd=kept))

    def _difference(self, folder: int, name: str) -> str:
        try:
            now = os.lstat(handles.raw(name), dir_fd=folder)
            if self._pieces is None:
                return "it does not belong there any more"
            if not st.S_ISREG(now.st_mode):
                return "it was a link" if st.S_ISLNK(now.st_mode) else "it was no file"
            if self._twin is not None and _same(self._twin.seen, now):
                return ""
            with handles.closing(handles.open_file(folder, name)) as fd:
                return "" if _says(fd, self._pieces()) else "it did not say what the store says"
        except FileNotFoundError:
            return "" if self._pieces is None else "it was missing"
        except PermissionError:
            return "it could not be read"

    def _put(self, folder: int, name: str) -> None:
        """Puts the whole content in place, written or linked aside and renamed; or takes away what is there."""
        if self._pieces is None:
            posix.unlink(folder, name)
            return
        aside = f"{name}.new"
        with suppress(FileNotFoundError):
            posix.unlink(folder, aside)  # left by a crash
        try:
            if self._twin is None or not self._twin.stands() or not _linked(self._twin, folder, aside):
                _write(folder, aside, self._pieces())
            _rename(folder, aside, name)
        except BaseException:
            with suppress(OSError):
                posix.unlink(folder, aside)
            raise


def _says(fd: int, pieces: Iterable[bytes]) -> bool:
    with open(fd, "rb", closefd=False) as file:
        return all(file.read(len(block)) == block for block in blocks(pieces)) and not file.read(1)


def _write(folder: int, name: str, pieces: Iterable[bytes]) -> None:
    with handles.closing(posix.make_file(folder, name)) as fd:
        for block in blocks(pieces):
            posix.write(fd, block)


def _rename(folder: int, aside: str, name: str) -> None:
    try:
        os.rename(aside, name, src_dir_fd=folder, dst_dir_fd=folder)
    except IsADirectoryError as error:
        raise OSError(error.errno, "a folder is in its place") from None


def _linked(twin: _Twin, where: int, aside: str) -> bool:
    """Whether a second name for what was just written could be made; not every mount has them."""
    try:
        posix.link(twin.folder, twin.name, where, aside)
    except OSError:
        return False
    return True


@contextmanager
def folder(root: Path, where: Where, *, make: bool = False) -> Iterator[int]:
    """A handle of a folder below a root, reached through no link; made where it is missing, if `make`."""
    fd = handles.open_root(str(root))
    try:
        above, fd = fd, _reached(fd, where, make=make)
        handles.close(above)
        yield fd
    finally:
        handles.close(fd)


def _reached(root: int, where: Where, *, make: bool) -> int:
    """A handle of a folder: in one call where it is there, else step by step, which also tells why not."""
    with suppress(OSError):
        return handles.open_below(root, b"/".join(map(handles.raw, where)) or b".")
    if not where:
        return os.dup(root)
    with handles.closing(_reached(root, where[:-1], make=make)) as above:
        if make:
            with suppress(FileExistsError):
                posix.mkdir(above, where[-1])
        return _below(above, where[-1])


def _below(fd: int, name: str) -> int:
    try:
        return handles.open_mounted(fd, name)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENOTDIR):
            raise
        is_link = st.S_ISLNK(os.lstat(handles.raw(name), dir_fd=fd).st_mode)
        what = "a link, and nothing is written through it" if is_link else "no folder"
        raise OSError(error.errno, f"{name!r} is {what}") from None
