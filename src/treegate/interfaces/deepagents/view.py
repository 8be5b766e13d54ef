"""Views: a case as it would be after some changes; asked by paths within it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

from treegate.client import Client
from treegate.errors import NotFound
from treegate.gate import Gate
from treegate.gate.outcomes import MOST_READ, Entry, Hit
from treegate.model import paths

FILE, FOLDER, OTHER = "file", "dir", "other"
MOST_WHOLE = 1 << 26  # bytes of a file that is read as a whole
_PAGE = 1000  # entries, or a service's lines, of one answer: it gives no more
_SECONDS = 10.0  # for one walk
_MAGIC = re.compile(r"[*?\[]")
_PLAIN = re.compile(r"(?!.*\*\*)[^/\[\]{}\\]+")  # a pattern of names that both sides read alike


class View:
    """One case after a plan, or as it is (None)."""

    def __init__(self, door: Gate | Client, case: str, plan: bytes | None) -> None:
        self._door, self._case, self._plan = door, case, plan

    def kind(self, path: str) -> str | None:
        """What is at a path: FILE, FOLDER, OTHER (a link, a pipe, what may not be read); None: nothing."""
        if not path:
            return FOLDER
        try:
            self._door.read_outcome(self._case, path, self._plan, length=1)
        except NotFound as error:
            return None if error.code == "file-not-found" else self._folder_or_other(path)
        return FILE

    def _folder_or_other(self, path: str) -> str:
        try:
            self._door.list_outcome(self._case, path, self._plan, limit=1)
        except NotFound:
            return OTHER
        return FOLDER

    def entries(self, folder: str) -> Iterator[Entry]:
        """All that a folder holds; raises NotFound."""
        yield from self._paged(self._door.list_outcome, folder)

    def whole(self, path: str, most: int = MOST_WHOLE) -> tuple[Entry, bytes]:
        """A file and what it holds; one that is longer is not read on. Raises NotFound."""
        piece = self._door.read_outcome(self._case, path, self._plan, length=min(most, MOST_READ))
        entry, data = piece.entry, bytearray(piece.data)
        while piece.data and len(data) < min(entry.size, most):
            piece = self._door.read_outcome(self._case, path, self._plan, offset=len(data), length=MOST_READ)
            data += piece.data
        return entry, bytes(data)

    def files(self, base: str) -> Walk:
        """The regular files below a folder, hidden ones, too."""
        return Walk(self, base)

    def lines(self, text: str, base: str, names: str | None, most: int) -> Lines:
        """The lines below a folder (or in a file) that hold a text."""
        return Lines(self, text, base, names, most)

    def found(self, match: str) -> Iterator[Entry]:
        """What a glob means."""
        yield from self._paged(self._door.find_in_outcome, match)

    def any(self, match: str) -> bool:
        """Whether a glob means anything."""
        return bool(self._door.find_in_outcome(self._case, match, self._plan, limit=1).entries)

    def sought(self, text: str, match: str, limit: int) -> tuple[list[Hit], bool]:
        """Lines of the files that a glob means, and whether those are all."""
        most = min(limit, _PAGE) if isinstance(self._door, Client) else limit
        hits = self._door.seek_in_outcome(self._case, text, match, self._plan, limit=most)
        return hits.hits, hits.complete

    def _paged(self, ask: Callable[..., Any], what: str) -> Iterator[Entry]:
        cursor: str | None = ""
        while cursor is not None:
            page = ask(self._case, what, self._plan, cursor=cursor, limit=_PAGE)
            yield from page.entries
            cursor = page.next


class Walk:
    """An iterator over files; `cut` where its time ran out."""

    def __init__(self, view: View, base: str) -> None:
        self.cut = False
        self._view, self._base = view, base

    def __iter__(self) -> Iterator[Entry]:
        end = time.monotonic() + _SECONDS
        for level in levels(self._view, self._base):
            for match in (level, f"{level}/.*"):
                for entry in self._view.found(match):
                    if time.monotonic() > end:
                        self.cut = True
                        return
                    if entry.kind == FILE:
                        yield entry


class Lines:
    """An iterator over lines; `cut` where there may be more of them."""

    def __init__(self, view: View, text: str, base: str, names: str | None, most: int) -> None:
        self.cut = False
        self._view, self._text, self._base, self._names, self._most = view, text, base, names, most

    def __iter__(self) -> Iterator[Hit]:
        for match in self._matches():
            hits, complete = self._view.sought(self._text, match, self._most)
            self.cut = self.cut or not complete
            yield from hits

    def _matches(self) -> Iterator[str]:
        """Globs for the files to be looked through; a pattern of names narrows them where it can be written so."""
        if self._view.kind(self._base) == FILE:
            yield _escaped(self._base)
            return
        narrow = self._names if self._names and _PLAIN.fullmatch(self._names) else None
        for level in levels(self._view, self._base):
            yield from (level, f"{level}/.*") if narrow is None else (f"{level}/{narrow}",)


def levels(view: View, base: str) -> Iterator[str]:
    """Globs for all that is below a folder, by how many hidden folders one has to go through to reach it.

    In a plan's globs `*` and `**` mean no name that begins with a dot.
    """
    while not paths.is_utf8(base):  # no glob names that: whoever asked leaves out what lies elsewhere
        base = base.rpartition("/")[0]
    level = f"{_escaped(base)}/**" if base else "**"
    yield level
    while view.any(f"{level}/.*/"):
        level = f"{level}/.*/**"
        yield level


def _escaped(path: str) -> str:
    return _MAGIC.sub(r"[\g<0>]", path)
