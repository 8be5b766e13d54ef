"""Capture from an overlay: what a command did to one case, read from the upper layer's marks and the case below.

The view itself is never read: it says what is there, and not where it came from. In proportion to what was changed.
What needs all the rest to be known (files with several names, files that lost their way back, files written over
others) waits until the walk is over.
"""

from __future__ import annotations

import os
import stat as st
from collections.abc import Iterator
from typing import NamedTuple

from treegate.engine import handles, posix
from treegate.engine.sandbox import findings, marks
from treegate.engine.sandbox.difference import Changed, Difference, Keeper
from treegate.engine.sandbox.lower import Lower
from treegate.engine.sandbox.teller import Found, Teller
from treegate.engine.sandbox.view import Layer
from treegate.errors import NotVerified
from treegate.model.capture import Gone, Still

_NO_NAMES = frozenset((b"", b".", b".."))
_LONGEST = 3800  # bytes of a folder's path that leave room for a name: the kernel takes 4,095


class _Folder(NamedTuple):
    """A folder of the upper layer: its path in the view, and the folder of the case that shows through it, if any."""

    path: bytes
    home: bytes | None


class OverlayCapture:
    """What happened to one case; iterated once, and closed.

    `since` is when the command began, as `dating.after` tells it; `opened` are the files of the case that it opened,
    where that is known: what was made may be a copy of one.
    """

    def __init__(
        self, layer: Layer, keeper: Keeper, since: int, opened: frozenset[bytes] = frozenset(), *, reads: bool = False
    ) -> None:
        self._lower = Lower(layer.lower)
        self._upper = handles.open_root(layer.upper)
        self._top = os.fsencode(layer.upper)
        self._tell = Teller(layer.case.name, self._lower, self._upper, keeper, since, opened)
        self._case = layer.case.name
        self._read = opened if reads else frozenset()
        self._hidden = frozenset(map(os.fsencode, layer.case.hidden))
        # Places that may have been something's and are empty or another's now, and the folder of the view.
        self._vacated: dict[bytes, bytes] = {}
        self._homes: dict[bytes, bytes | None] = {}  # of the folders of the upper layer
        self._groups: dict[int, list[Found]] = {}  # by inode
        self._strays: list[Found] = []
        self._over: list[Found] = []

    def close(self) -> None:
        """Gives all handles back."""
        self._lower.close()
        handles.close(self._upper)

    def __iter__(self) -> Iterator[Difference]:
        yield from self._case_folder()
        todo = [_Folder(b"", b"")]
        while todo:
            yield from self._folder(todo.pop(), todo)
        for group in self._groups.values():
            yield from self._group(group)
        yield from self._find_strays()
        for found in self._over:
            yield from self._written_over(found)
        yield from self._gone()
        yield from self._still()
        yield from self._of_reads()

    def _of_reads(self) -> Iterator[Difference]:
        """What others changed of what was only read; a folder above it, too, for then it may be another's content."""
        above: set[bytes] = set()
        for path in sorted(self._read):
            if self._lower.stat(path) is None:  # it was made by the command, or has another place there
                continue
            yield from self._tell.changed(path)
            folder = path.rpartition(b"/")[0]
            while folder and folder not in above:
                above.add(folder)
                yield from self._tell.changed(folder)
                folder = folder.rpartition(b"/")[0]

    # -- the walk

    def _case_folder(self) -> Iterator[Difference]:
        was = self._lower.stat(b"")
        if was is not None and st.S_IMODE(os.fstat(self._upper).st_mode) != st.S_IMODE(was.st_mode):
            yield findings.case_folder(self._case)

    def _folder(self, folder: _Folder, todo: list[_Folder]) -> Iterator[Difference]:
        below: list[_Folder] = []
        with handles.closing(handles.open_dir(self._upper, folder.path)) as fd:
            above = self._reach(folder.path, fd)
            for name in sorted(posix.names(fd)):
                facts = os.stat(name, dir_fd=fd, follow_symlinks=False)
                low = None if folder.home is None else _joined(folder.home, name)
                if _is_whiteout(facts):
                    self._vacate(low, _joined(folder.path, name))
                    continue
                found = self._found(above + name, _joined(folder.path, name), low, facts, folder.home)
                if st.S_ISDIR(facts.st_mode):
                    home = self._home_of_folder(found, folder.home)
                    below.append(_Folder(found.path, home))
                    self._homes[found.path] = home
                    yield from self._swapped(found, home)
                    yield from self._at(found, home)
                else:
                    yield from self._leaf(found)
        todo.extend(reversed(below))

    def _reach(self, folder: bytes, fd: int) -> bytes:
        """What a name in a folder of the upper layer goes after: its path, which is quicker than its handle's.

        Nobody but this process makes anything there any more, so no link lies on the way.
        """
        path = b"%s/%s" % (self._top, folder) if folder else self._top
        return b"%s/" % path if len(path) < _LONGEST else marks.reach(fd, b"")

    def _swapped(self, found: Found, home: bytes | None) -> Iterator[Difference]:
        """Says so, where others have put another folder in the place of one: what is in it is not what was there."""
        origin = None if home is None else marks.origin(found.at, found.names)
        if home is not None and origin is not None and self._lower.handle(home) not in (None, origin):
            yield Changed(self._tell.path(home))

    def _home_of_folder(self, found: Found, above: bytes | None) -> bytes | None:
        if marks.is_new_folder(found.at, found.names):
            return None
        redirect = marks.redirect(found.at, found.names)
        if redirect is not None:
            return _redirected(redirect, above)
        was = None if found.low is None else self._lower.stat(found.low)
        return found.low if was is not None and st.S_ISDIR(was.st_mode) else None

    def _found(self, at: bytes, path: bytes, low: bytes | None, facts: os.stat_result, above: bytes | None) -> Found:
        """An entry with all that its marks say, put together once: there may be very many."""
        names, below, origin = marks.names(at), None, None
        if st.S_ISREG(facts.st_mode) and marks.has_lower_content(names):
            redirect = marks.redirect(at, names)
            below = low if redirect is None else _redirected(redirect, above)
        elif not st.S_ISDIR(facts.st_mode):
            origin = marks.origin(at, names)
        return Found(path, low, facts, names, at, below, origin)

    def _leaf(self, found: Found) -> Iterator[Difference]:
        if not (st.S_ISREG(found.facts.st_mode) or found.is_link):
            yield findings.special(self._tell.path(found.path), found.facts.st_mode)
            self._vacate(found.low, found.path)
            return
        if found.facts.st_nlink > 1:
            self._groups.setdefault(found.facts.st_ino, []).append(found._replace(at=b""))
        else:
            yield from self._single(found)

    def _single(self, found: Found) -> Iterator[Difference]:
        """A file or link with one name."""
        if found.below is not None:
            yield from self._at(found, found.below)
        elif found.origin is None:
            yield from self._newcomer(found)
        elif found.low is not None and self._lower.handle(found.low) == found.origin:
            yield from self._at(found, found.low)
        else:
            self._strays.append(found._replace(at=b""))
            self._vacate(found.low, found.path)

    def _newcomer(self, found: Found) -> Iterator[Difference]:
        """What came from nowhere: new, or what was written beside an entry and then put in its place."""
        was = None if found.low is None else self._lower.stat(found.low)
        if was is not None and not found.is_link and st.S_ISREG(was.st_mode):
            self._over.append(found._replace(at=b""))
        else:
            yield from self._at(found, None)

    def _at(self, found: Found, home: bytes | None) -> Iterator[Difference]:
        """An entry of which it is known what it was."""
        if home != found.low:
            self._vacate(found.low, found.path)
        yield from self._tell.entry(found, home)

    def _vacate(self, low: bytes | None, path: bytes) -> None:
        """Notes that what had a place of the case, if anything, is not there any more."""
        if low is not None and low not in self._hidden:
            self._vacated[low] = path.rpartition(b"/")[0]

    # -- what waited

    def _group(self, group: list[Found]) -> Iterator[Difference]:
        """One file with several names: it is the one of the case at one of them, and copies of it at the others."""
        first = next((found for found in group if self._is_at_home(found)), group[0])
        if first.below is None and first.origin is not None and not self._is_at_home(first):
            self._strays.append(first)
            self._vacate(first.low, first.path)
        else:
            yield from self._single(first)
        for found in group:
            if found is not first:
                self._vacate(found.low, found.path)
                yield from self._tell.linked(found, first)

    def _is_at_home(self, found: Found) -> bool:
        if found.low is None:
            return False
        if found.below is not None:
            return found.below == found.low
        return found.origin is not None and self._lower.handle(found.low) == found.origin

    def _find_strays(self) -> Iterator[Difference]:
        """Files that were moved and written anew: only a handle says which of the vacated places they had."""
        if not self._strays:
            return
        homes = self._vacated_handles({found.origin for found in self._strays})
        for found in self._strays:
            yield from self._tell.entry(found, homes.pop(found.origin, None))

    def _vacated_handles(self, wanted: set[bytes | None]) -> dict[bytes | None, bytes]:
        found: dict[bytes | None, bytes] = {}
        for place in self._vacated:
            inside = (path for path, facts in self._lower.below(place) if not st.S_ISDIR(facts.st_mode))
            for path in (place, *inside):
                handle = self._lower.handle(path)
                if handle in wanted and path not in self._tell.claimed:
                    found.setdefault(handle, path)
                    if len(found) == len(wanted):
                        return found
        return found

    def _written_over(self, found: Found) -> Iterator[Difference]:
        """What has the place of a file that was there before: that file written anew, unless it is elsewhere now."""
        assert found.low is not None
        if found.low in self._tell.claimed:
            yield from self._at(found, None)
        else:
            yield from self._tell.entry(found, found.low)

    def _gone(self) -> Iterator[Difference]:
        """What is not where it was, nor anywhere else; and what others changed of all that was deleted."""
        for place, folder in self._vacated.items():
            claimed = place in self._tell.claimed
            was = None if claimed else self._lower.stat(place)
            if claimed or was is not None:
                self._tell.stirred.add(folder)
            if was is None:
                continue
            yield Gone(self._tell.path(place), st.S_ISDIR(was.st_mode), st.S_ISREG(was.st_mode))
            for path, facts in ((place, was), *self._lower.below(place)):
                if self._tell.is_changed(facts):
                    yield Changed(self._tell.path(path))

    def _still(self) -> Iterator[Difference]:
        """The folders that have their old time although something in them changed."""
        for path in sorted(self._tell.stirred):
            home = self._homes.get(path)  # the case's own time is nobody's to set
            was = self._lower.stat(home) if home else None
            if was is None:
                continue
            with handles.closing(handles.open_dir(self._upper, path)) as fd:
                mtime = os.fstat(fd).st_mtime_ns
            if was.st_mtime_ns == mtime:
                yield Still(self._tell.path(path), mtime)


def _is_whiteout(facts: os.stat_result) -> bool:
    """Whether this only says that a name of the lower layer was vacated."""
    return st.S_ISCHR(facts.st_mode) and facts.st_rdev == 0


def _joined(above: bytes, name: bytes) -> bytes:
    return above + b"/" + name if above else name


def _redirected(redirect: bytes, above: bytes | None) -> bytes:
    """The place that a mark names: from the top of the case, or beside, in the folder that shows through.

    Raises NotVerified for a mark that no overlay makes, and that might name a place outside the case.
    """
    if b"\0" in redirect or not _NO_NAMES.isdisjoint(redirect.removeprefix(b"/").split(b"/")):
        text = f"a mark in the view of the command names no place of the case: {os.fsdecode(redirect[:100])!r}"
        raise NotVerified(text, hint="see to the disk that the sandbox works on, and run the command again")
    return redirect[1:] if redirect.startswith(b"/") else _joined(above or b"", redirect)
