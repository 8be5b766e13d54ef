"""Ancestry: which folders were above all that a command touched, and where there is another one by now.

What was captured is named by paths. Whoever puts another folder in the place of one further up changes what those
paths mean, and nothing of what lies there tells of it by its dates; so it is kept which folder each of them was.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

from treegate.engine.sandbox import dating
from treegate.engine.sandbox.order import Case


def beside(document: str) -> str:
    """Where it is kept of a plan's document."""
    return f"{document}.folders"


class Ancestry:
    """The folders above what a command touched, gathered while that is looked through."""

    def __init__(self, cases: Sequence[Case]) -> None:
        self._cases = {case.name: case.folder for case in cases}
        self._folders: set[str] = set()
        self._began = dating.now()

    def note(self, path: str) -> None:
        """Something at this path of the cases, as they were, was touched, or put there."""
        above = path.rpartition("/")[0]
        while above and above not in self._folders:
            self._folders.add(above)
            above = above.rpartition("/")[0]

    def write(self, path: str) -> Iterator[str]:
        """Keeps which folders they are; tells of those that others have changed since this looks."""
        with open(path, "wb") as file:
            for folder in sorted(self._folders):
                case, _, rest = folder.partition("/")
                try:
                    facts = os.lstat(os.path.join(self._cases[case], rest).rstrip("/"))
                except OSError:
                    yield folder
                    continue
                if facts.st_ctime_ns >= self._began:
                    yield folder
                file.write(b"%d %s\0" % (facts.st_ino, os.fsencode(folder)))


def replaced(path: str, place: Callable[[str], str]) -> Iterator[str]:
    """The folders that are not those that were noted there, or are none; `place` says where a path of a case is."""
    with suppress(FileNotFoundError), open(path, "rb") as file:
        for line in file.read().split(b"\0")[:-1]:
            number, _, folder = line.partition(b" ")
            name = os.fsdecode(folder)
            try:
                same = os.lstat(place(name)).st_ino == int(number)
            except OSError:
                same = False
            if not same:
                yield name
