"""Telling: what was found in the upper layer of a view, as the entry that it became and what it was."""

from __future__ import annotations

import os
import stat as st
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from treegate.engine import handles
from treegate.engine.sandbox import findings, marks
from treegate.engine.sandbox.difference import MOST_COPIES, Changed, Difference, Keeper
from treegate.engine.sandbox.lower import Lower
from treegate.model.capture import Entry
from treegate.model.tree import Kind

_SPECIAL = 0o6000  # set-user-ID and set-group-ID


class Found(NamedTuple):
    """Something in the upper layer, with what its marks say."""

    path: bytes  # in the view
    low: bytes | None  # the place of the case that it has; None in a folder that was made
    facts: os.stat_result
    names: list[str]  # of its extended attributes
    at: bytes  # a path by which this process reaches it; "" once its folder is not held any more
    below: bytes | None = None  # the entry of the case whose content it shows, where it has none of its own
    origin: bytes | None = None  # the handle of the entry of the case that it was made from, where it has content

    @property
    def is_link(self) -> bool:
        return st.S_ISLNK(self.facts.st_mode)

    @property
    def kind(self) -> Kind:
        return Kind.DIR if st.S_ISDIR(self.facts.st_mode) else Kind.LINK if self.is_link else Kind.FILE


class Teller:
    """Says of one case what its entries became.

    `claimed` are the homes of those that have another place now, `stirred` the folders (in the view) in which
    something comes, goes or is replaced.
    """

    def __init__(
        self, case: str, lower: Lower, upper: int, keeper: Keeper, since: int, opened: frozenset[bytes]
    ) -> None:
        self.claimed: set[bytes] = set()
        self.stirred: set[bytes] = set()
        self._case, self._lower, self._upper, self._keeper = case, lower, upper, keeper
        self._since = since
        self._copies_left = MOST_COPIES
        self._sizes = _by_size(lower, opened)

    def path(self, path: bytes) -> str:
        """A path within the case, from projects/."""
        return f"{self._case}/{os.fsdecode(path)}"

    def entry(self, found: Found, home: bytes | None) -> Iterator[Difference]:
        """An entry of the view that was at `home`, or was made."""
        was = None if home is None else self._lower.stat(home)
        if was is not None and st.S_IFMT(was.st_mode) != st.S_IFMT(found.facts.st_mode):
            was = None
        if home is not None and was is None:  # others took it away meanwhile, or put something else in its place
            yield Changed(self.path(home))
            if found.below is not None:
                return  # and with it its content
        if home is None or was is None:
            yield from self._made(found)
            return
        if home != found.low:
            self.claimed.add(home)
        same = found.below is not None or found.kind is Kind.DIR or self._has_content_of(found, home, was)
        yield from self._kept(found, home, was, same)

    def linked(self, found: Found, first: Found) -> Iterator[Difference]:
        """A further name of a file, as a file of its own."""
        yield findings.linked(self.path(found.path), self.path(first.path))
        if found.below is not None:
            self._stir(found)
            yield self._bare(found)._replace(copied=self.path(found.below), size=found.facts.st_size)
        else:
            yield from self._made(found)

    def changed(self, home: bytes) -> Iterator[Difference]:
        """Says so, where somebody else changed an entry of the case since the command began."""
        facts = self._lower.stat(home)
        if facts is None or self.is_changed(facts):
            yield Changed(self.path(home))

    def is_changed(self, facts: os.stat_result) -> bool:
        """Whether an entry of the case was changed since the command began."""
        return facts.st_ctime_ns >= self._since

    # -- entries that were there

    def _kept(self, found: Found, home: bytes, was: os.stat_result, same: bool) -> Iterator[Difference]:
        entry = self._bare(found, self.path(home), was)
        alone = was.st_nlink == 1 or found.kind is Kind.DIR
        if not same or (not alone and entry.differs(moved=False)):
            entry = self._with_content(found, entry)
            if not alone:
                yield findings.link_broken(entry.path)
        yield from self._attributes(found, home)
        if not entry.differs(moved=home != found.low):
            return
        if self.is_changed(was):
            yield Changed(entry.home)
        if entry.mode & _SPECIAL & ~entry.was_mode and entry.kind is Kind.FILE:
            yield findings.set_id(entry.path)
        if entry.sha256 or home != found.low:
            self._stir(found)
        yield entry

    def _has_content_of(self, found: Found, home: bytes, was: os.stat_result) -> bool:
        """Whether a file or link with content of its own holds the same as before: it may only have been opened."""
        if found.is_link:
            return st.S_ISLNK(was.st_mode) and self._target(found) == self._lower.target(home)
        if not st.S_ISREG(was.st_mode) or found.facts.st_size != was.st_size:
            return False
        with self._opened(found) as mine, handles.closing(self._lower.open(home)) as other:
            return _equal(mine, other)

    def _attributes(self, found: Found, home: bytes) -> Iterator[Difference]:
        """What cannot be told: attributes other than those of the entry before."""
        if found.below is not None and not marks.has_others(found.names):
            return  # what shows a file's content has its attributes, unless all were taken away
        with self._reaching(found) as at:
            mine = marks.attributes(at, found.names)
        if mine != self._lower.attributes(home):
            yield findings.attributes(self.path(found.path))

    # -- entries that were made

    def _made(self, found: Found) -> Iterator[Difference]:
        entry = self._with_content(found, self._bare(found))
        if entry.mode & _SPECIAL and entry.kind is Kind.FILE:
            yield findings.set_id(entry.path)
        if any(name.startswith("user.") for name in found.names):
            yield findings.attributes(entry.path)
        self._stir(found)
        yield entry

    def _stir(self, found: Found) -> None:
        self.stirred.add(found.path.rpartition(b"/")[0])

    def _bare(self, found: Found, home: str = "", was: os.stat_result | None = None) -> Entry:
        facts = found.facts
        mode, mtime = (0, 0) if was is None else (st.S_IMODE(was.st_mode), was.st_mtime_ns)
        path = self.path(found.path)
        return Entry(path, found.kind, st.S_IMODE(facts.st_mode), facts.st_mtime_ns, home, mode, mtime)

    def _with_content(self, found: Found, entry: Entry) -> Entry:
        """An entry with what it holds; a file's content is kept."""
        if entry.kind is Kind.DIR:
            return entry
        if entry.kind is Kind.LINK:
            return entry._replace(target=os.fsdecode(self._target(found)))
        with self._opened(found) as fd:
            copied = "" if entry.home else self._copied(fd, found.facts.st_size)
            if copied:
                return entry._replace(copied=copied, size=found.facts.st_size)
            sha256, size = self._keeper.keep(fd)
        return entry._replace(sha256=sha256, size=size)

    def _copied(self, fd: int, size: int) -> str:
        """The file of the case that has the same content, if it is one that the command opened."""
        for home in self._sizes.get(size, ()) if size and self._copies_left else ():
            with handles.closing(self._lower.open(home)) as other:
                if _equal(fd, other):
                    self._copies_left -= 1
                    return self.path(home)
        return ""

    # -- reaching what was found

    def _target(self, found: Found) -> bytes:
        with self._reaching(found) as at:
            return os.readlink(at)

    @contextmanager
    def _opened(self, found: Found) -> Iterator[int]:
        """A handle of a file's content, wherever that is."""
        if found.below is not None:
            fd = self._lower.open(found.below)
        else:
            with self._reaching(found) as at:
                fd = os.open(at, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with handles.closing(fd):
            yield fd

    @contextmanager
    def _reaching(self, found: Found) -> Iterator[bytes]:
        """A path by which this process reaches what was found, for a block."""
        if found.at:
            yield found.at
            return
        above, _, name = found.path.rpartition(b"/")
        with handles.closing(handles.open_dir(self._upper, above)) as folder:
            yield marks.reach(folder, name)


def _by_size(lower: Lower, opened: frozenset[bytes]) -> dict[int, list[bytes]]:
    """Files that were opened, by their size."""
    sizes: dict[int, list[bytes]] = {}
    for path in sorted(opened):
        facts = lower.stat(path)
        if facts is not None and st.S_ISREG(facts.st_mode):
            sizes.setdefault(facts.st_size, []).append(path)
    return sizes


_CHUNK = 1 << 20


def _equal(one: int, other: int) -> bool:
    """Whether two files of one size hold the same."""
    place = 0
    while True:
        mine, its = os.pread(one, _CHUNK, place), os.pread(other, _CHUNK, place)
        if mine != its:
            return False
        if not mine:
            return True
        place += len(mine)
