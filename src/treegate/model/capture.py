"""Capture: what a command did to a view of its cases, as the operations of a plan that does the same to the cases.

Whoever looked at the view says of each entry that differs where it is now and where it was; what is told by two
numbers alone, a mode or a time, is a difference, too. Entries that went along with a folder that moved are not
spoken of unless they themselves differ.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from msgspec import UNSET

from treegate.model import paths
from treegate.model.draft import Change, folders_above, moment, plan_of, written_paths
from treegate.model.operations import Create, Mkdir, Operation, Replace, Set, Symlink
from treegate.model.tree import DIR, FILE, LINK, Kind

_PLAIN = 0o1777  # what of a mode a plan may give


class Entry(NamedTuple):
    """One entry that differs from the cases as they were: `path` is where it is in the view, from projects/.

    `home` is where it was; "" where the command made it. An entry whose `home` is not its path moved with its folder
    or by itself: the folders above say which. Times are in nanoseconds, modes the lower twelve bits.
    """

    path: str
    kind: Kind
    mode: int
    mtime: int
    home: str = ""
    was_mode: int = 0  # of the entry at `home`, and so is `was_mtime`
    was_mtime: int = 0
    sha256: str = ""  # of a file that was made, or written anew: its content, which is among the blobs
    size: int = 0
    target: str = ""  # of a link that was made: where it points
    copied: str = ""  # of a file that was made: a file of the cases as they were that has the same content

    def differs(self, *, moved: bool) -> bool:
        """Whether anything about an entry that was there before is otherwise than it was."""
        if moved or self.sha256 or self.target:
            return True
        return self.mtime != self.was_mtime or (self.mode != self.was_mode and self.kind is not LINK)


class Gone(NamedTuple):
    """A place of the cases as they were where its entry is no more: it moved (some Entry's home) or was deleted."""

    path: str
    is_dir: bool
    is_file: bool = False  # a regular file: only such a one can be replaced by what takes its place


class Still(NamedTuple):
    """A folder whose time is what it was, although something in it is not: carrying that out would date it anew."""

    path: str
    mtime: int


class Captured:
    """What a command did, taken in difference by difference.

    What stands by itself is given back as operations at once, in the order in which it is taken: they have to come
    after those of `first`, which bring what was there before to its new places, and clear those of others.
    """

    def __init__(self) -> None:
        self._gone: dict[str, Gone] = {}
        self._moved: list[Entry] = []
        self._copied: list[Entry] = []
        self._homes: dict[str, str] = {}  # of folders that moved or were made ("")

    def take(self, difference: Entry | Gone | Still) -> Iterator[Operation]:
        """Takes one in, a folder before what it holds."""
        if isinstance(difference, Gone):
            self._gone[difference.path] = difference
        elif isinstance(difference, Still):
            text, raw = written_paths(difference.path)
            yield Set(path=text[0], mtime=moment(difference.mtime), raw=raw)
        elif difference.home and not (difference.kind is LINK and difference.target):
            yield from self._kept(difference)
        else:
            yield from self._made(difference)

    def _kept(self, entry: Entry) -> Iterator[Operation]:
        """An entry that was there before: moved, written anew, or with another mode or time."""
        moved = self.home(entry.path) != entry.home
        if moved:
            self._moved.append(entry)
        if entry.kind is DIR and (moved or entry.home != entry.path):
            self._homes[entry.path] = entry.home
        same_mode = entry.kind is LINK or _plain(entry.mode) == _plain(entry.was_mode)
        mode = UNSET if same_mode else f"{_plain(entry.mode):04o}"
        mtime = UNSET if entry.mtime == entry.was_mtime else moment(entry.mtime)
        text, raw = written_paths(entry.path)
        if entry.sha256:
            yield Replace(path=text[0], blob=f"sha256:{entry.sha256}", mode=mode, mtime=moment(entry.mtime), raw=raw)
        elif mode is not UNSET or mtime is not UNSET:
            yield Set(path=text[0], mode=mode, mtime=mtime, raw=raw)

    def _made(self, entry: Entry) -> Iterator[Operation]:
        if entry.home:  # a link that points elsewhere now: it is another one
            self._gone[entry.home] = Gone(entry.home, False)
        text, raw = written_paths(entry.path, entry.target)
        path, mode, mtime = text[0], f"{_plain(entry.mode):04o}", moment(entry.mtime)
        if entry.copied:
            self._copied.append(entry)
            yield Set(path=path, mode=mode, mtime=mtime, raw=raw)
        elif entry.kind is DIR:
            self._homes[entry.path] = ""
            yield mkdir(entry.path)
            yield Set(path=path, mode=mode, mtime=mtime, raw=raw)
        elif entry.kind is LINK:
            yield Symlink(path=path, target=text[1], raw=raw)
            yield Set(path=path, mtime=mtime, raw=raw)
        else:
            yield Create(path=path, blob=f"sha256:{entry.sha256}", mode=mode, mtime=mtime, raw=raw)

    def home(self, path: str) -> str:
        """Where the entry at a path of the view was, if it was in its folder then; "" if the folder was made."""
        if not self._homes:
            return path
        above, _ = paths.split(path)
        while above:
            home = self._homes.get(above)
            if home is not None:
                return home and home + path[len(above) :]
            above, _ = paths.split(above)
        return path

    def first(self) -> tuple[list[Operation], set[str]]:
        """The operations that come before all that were given back, and the folders that these make themselves."""
        folders = self._entered()
        moves = list(self._moves())
        replaced = {change.replaced for change in moves if change.replaced}
        changes = [*(Change("mkdir", target=path, is_dir=True) for path in folders), *moves]
        changes += [Change("copy", entry.copied, entry.path) for entry in self._copied]
        return plan_of([*changes, *self._deletions(replaced)]), folders

    def _entered(self) -> set[str]:
        """The made folders into which something moves or is copied, at any depth."""
        found: set[str] = set()
        seen: set[str] = set()
        for entry in (*self._moved, *self._copied):
            above, _ = paths.split(entry.path)
            while above and above not in seen:
                seen.add(above)
                if self._homes.get(above) == "":
                    found.add(above)
                above, _ = paths.split(above)
        return found

    def _moves(self) -> Iterator[Change]:
        claimed = {entry.home for entry in self._moved}
        for entry in self._moved:
            place = self.home(entry.path)
            gone = self._gone.get(place)
            taken = gone is not None and gone.is_file and entry.kind is FILE and place not in claimed
            yield Change("move", entry.home, entry.path, entry.kind is DIR, replaced=place if taken else "")

    def _deletions(self, replaced: set[str]) -> Iterator[Change]:
        """What is nowhere any more; what was in a folder that is deleted goes with it."""
        claimed = {entry.home for entry in self._moved}
        left = {path: gone for path, gone in self._gone.items() if path not in claimed and path not in replaced}
        for path, gone in left.items():
            above = next((above for above in folders_above(path) if above in left or above in claimed), "")
            if above not in left:
                yield Change("delete", path, is_dir=gone.is_dir, recursive=gone.is_dir)


def mkdir(path: str) -> Mkdir:
    """The operation that makes a folder."""
    text, raw = written_paths(path)
    return Mkdir(path=text[0], raw=raw)


def _plain(mode: int) -> int:
    return mode & _PLAIN
