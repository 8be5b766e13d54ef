"""Changes written down as operations, in an order in which each finds what it needs.

A change is said in paths: a source as the tree is now, a target as it is to be. The order, with temporary names
where entries swap places, comes from the same step compiler that orders a run; here, where every operation has to
make sense by paths, what is inside a folder leaves it before it is deleted, and a new folder is there before
something goes into it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple

from msgspec import UNSET, structs

from treegate.model import paths
from treegate.model.board import Slot
from treegate.model.operations import (
    Copy,
    Create,
    Delete,
    Mkdir,
    Move,
    Operation,
    Replace,
    Restore,
    Set,
    Symlink,
)
from treegate.model.steps import compile_steps
from treegate.model.tree import DIR, FILE, Node

ChangeKind = Literal["move", "delete", "restore", "mkdir", "create", "replace", "copy", "symlink", "set"]
PARKED = "treegate-parked"  # temporary names: no entry keeps one


class Change(NamedTuple):
    """One thing to be different; `source` is a path of the tree as it is, `target` of the tree as it is to be.

    A `set` names its entry by either of them. `replaced` is the path, in the tree as it is, of a file whose place is
    taken and which goes away by that. `effect` is the id of the effect that the change makes or takes back.
    """

    kind: ChangeKind
    source: str = ""
    target: str = ""
    is_dir: bool = False
    recursive: bool = False  # a deleted folder may hold something
    run: str = ""  # of a restore
    entry: int = -1
    sha256: str = ""  # of a create or replace
    link: str = ""  # of a symlink
    mode: int | None = None
    mtime: int | None = None
    replaced: str = ""
    effect: str = ""


Written = tuple[Operation, Change]


def plan_of(changes: Iterable[Change]) -> list[Operation]:
    """Operations that make all these changes."""
    return [operation for operation, _ in written(changes)]


def written(changes: Iterable[Change]) -> Iterator[Written]:
    """The same operations, each with the change that it serves."""
    return _Draft(list(changes)).operations()


class _Draft:
    """The changed entries as nodes with a home and a final slot, and where each is while operations are written."""

    def __init__(self, changes: list[Change]) -> None:
        self.root = Node(DIR, None, "")
        self.new, self.vault, self.parking = (Node(DIR, None, name) for name in ("new", "vault", "park"))
        self._sources: dict[str, Node] = {}
        self._standing: dict[Slot, Node] = {}
        self._folders: dict[str, Node] = {}
        self._arriving: dict[str, Node] = {}
        self.changes: dict[Node, Change] = {}
        self._at: dict[Node, Slot] = {}  # where everything is that exists at this point
        self._inside: dict[Node, dict[Node, None]] = {}
        self._parked = 0
        self._first = [change for change in changes if change.kind == "set" and change.source]
        self._last = [change for change in changes if change.kind == "set" and not change.source]
        self._rewritten = [change for change in changes if change.kind == "replace"]
        self._enter([change for change in changes if change.kind not in ("set", "replace")])
        self._given = changes

    # -- where things are, and where they go

    def _enter(self, changes: list[Change]) -> None:
        entering = []
        for number, change in enumerate(changes):
            kind = DIR if change.is_dir or change.kind == "mkdir" else FILE
            if change.kind in ("move", "delete"):
                node = self._entry(change.source)
                node.kind = kind
            else:
                node = Node(kind, None, "", self.new, str(number))
            self.changes[node] = change
            entering.append((node, change, number))
            if change.target:
                self._arriving[change.target] = node
        for node, change, number in entering:
            if change.kind == "delete":
                node.parent, node.name = self.vault, str(number)
            else:
                above, node.name = paths.split(change.target)
                node.parent = self._folder(above)

    def _entry(self, path: str) -> Node:
        """The entry at a path of the tree as it is."""
        node = self._sources.get(path)
        if node is None:
            above, name = paths.split(path)
            node = self._sources[path] = self._child(self._entry(above) if above else self.root, name)
        return node

    def _child(self, parent: Node, name: str) -> Node:
        node = self._standing.get((parent, name))
        if node is None:
            node = self._standing[parent, name] = Node(DIR, parent, name, parent, name)
            self._stand(node, (parent, name))
        return node

    def _folder(self, path: str) -> Node:
        """The folder at a path of the tree as it is to be: one that comes there, or one that stands there."""
        if not path:
            return self.root
        node = self._folders.get(path)
        if node is None:
            node = self._arriving.get(path)
            if node is None:
                above, name = paths.split(path)
                node = self._child(self._folder(above), name)
            self._folders[path] = node
        return node

    def _stand(self, node: Node, slot: Slot | None) -> None:
        """Notes where an entry is from now on; None for away."""
        before = self._at.pop(node, None)
        if before is not None:
            del self._inside[before[0]][node]
        if slot is not None:
            self._at[node] = slot
            self._inside.setdefault(slot[0], {})[node] = None

    def _path(self, slot: Slot) -> str:
        """The path of a slot at this point of the plan."""
        folder, name = slot
        parts = [name]
        while folder is not self.root:
            folder, name = self._at[folder]
            parts.append(name)
        return "/".join(reversed(parts))

    def _aside(self, entry: Node) -> Slot:
        """A temporary slot in the entry's own case; as one name under the root."""
        change = self.changes[entry]
        case = (change.source if entry.home is not self.new else change.target).partition("/")[0]
        self._parked += 1
        return self.root, f"{case}/{PARKED}-{self._parked}"

    # -- operations

    def operations(self) -> Iterator[Written]:
        """The operations, each with paths as they are when its turn comes."""
        for change in self._first:
            yield _set(change, change.source), change
        yield from self._early_copies()
        touched = [node for node in self.changes if node.moved]
        for step in compile_steps(touched, lambda node: self.parking, exchange=False):
            yield from self._carry_out(step.entry, step.dst, step.dst_name)
        for change in self._rewritten:
            yield _replace(change), change
        for change in self._last:
            yield _set(change, change.target), change

    def _early_copies(self) -> Iterator[Written]:
        """Copies from where something changes come first."""
        copies = [node for node, change in self.changes.items() if change.kind == "copy"]
        if not copies:
            return
        unsteady = _Unsteady(self._given)
        for node in copies:
            if unsteady.concerns(self.changes[node].source):
                yield self._move(node, self._aside(node))

    def _carry_out(self, entry: Node, folder: Node, name: str) -> Iterator[Written]:
        if folder is self.vault and entry.parent is self.vault:
            yield from self._take_away(entry)
        elif folder not in (self.new, self.vault, self.parking):
            yield from self._ready(folder)
            yield from self._bring(entry, (folder, name))
        elif not self._is_aside(entry):  # a step may park an entry in any area
            yield self._move(entry, self._aside(entry))

    def _is_aside(self, entry: Node) -> bool:
        return entry in self._at and self._at[entry][0] is self.root

    def _take_away(self, entry: Node) -> Iterator[Written]:
        """Deletes an entry, after what does not go with it has left it."""
        if entry not in self._at:
            return
        for node in self._guests(entry):
            if node.parent is self.vault:
                yield from self._take_away(node)
            else:
                yield self._move(node, self._aside(node))
        change = self.changes[entry]
        text, raw = written_paths(self._path(self._at[entry]))
        self._stand(entry, None)
        yield Delete(path=text[0], recursive=True if change.is_dir and change.recursive else UNSET, raw=raw), change

    def _guests(self, folder: Node) -> list[Node]:
        """The changed entries in a folder, at any depth, but not those in one another."""
        found: list[Node] = []
        looked = [folder]
        for each in looked:
            for node in self._inside.get(each, ()):
                (found if node in self.changes else looked).append(node)
        return found

    def _ready(self, folder: Node) -> Iterator[Written]:
        """Sees to it that a folder exists, if only at a temporary place."""
        while folder is not self.root:
            if folder not in self._at:
                yield self._move(folder, self._aside(folder))
            folder = self._at[folder][0]

    def _bring(self, entry: Node, slot: Slot) -> Iterator[Written]:
        """The operations that give an entry a slot; what cannot take another's place itself is moved there."""
        change = self.changes[entry]
        if change.replaced and entry not in self._at and change.kind in ("restore", "symlink"):
            yield self._move(entry, self._aside(entry))
        yield self._move(entry, slot)

    def _move(self, entry: Node, slot: Slot) -> Written:
        """One operation that makes an entry at a slot, or moves it there."""
        change = self.changes[entry]
        final = slot == (entry.parent, entry.name)
        if_exists: Any = "replace" if change.replaced and final else UNSET
        to = self._path(slot)
        if entry not in self._at:
            operation = _made(change, to, if_exists)
        else:
            text, raw = written_paths(self._path(self._at[entry]), to)
            operation = Move(source=text[0], to=text[1], if_exists=if_exists, raw=raw)
        self._stand(entry, slot)
        return operation, change


class _Unsteady:
    """The paths at which something changes: what is copied from there has to be copied first."""

    def __init__(self, changes: list[Change]) -> None:
        ends = [change.source for change in changes if change.kind in ("move", "delete")]
        ends += [end for change in changes for end in (change.target, change.replaced) if end]
        self._ends = set(ends)
        self._above = {above for end in self._ends for above in folders_above(end)}

    def concerns(self, path: str) -> bool:
        """Whether something changes at a path, in it, or above it."""
        return path in self._ends or path in self._above or any(a in self._ends for a in folders_above(path))


def folders_above(path: str) -> Iterator[str]:
    """The folders in which a path lies, innermost first."""
    above = paths.split(path)[0]
    while above:
        yield above
        above = paths.split(above)[0]


def _made(change: Change, to: str, if_exists: Any) -> Operation:
    """The operation that brings something new to a path."""
    text, raw = written_paths(to, change.source or change.link or to)
    if change.kind == "restore":
        return Restore(run=change.run, entry=change.entry, to=text[0], raw=raw)
    if change.kind == "mkdir":
        return Mkdir(path=text[0], raw=raw)
    if change.kind == "copy":
        return Copy(source=text[1], to=text[0], if_exists=if_exists, raw=raw)
    if change.kind == "symlink":
        return Symlink(path=text[0], target=text[1], raw=raw)
    mode, mtime = _looks(change)
    blob = f"sha256:{change.sha256}"
    return Create(path=text[0], blob=blob, mode=mode, mtime=mtime, if_exists=if_exists, raw=raw)


def _replace(change: Change) -> Operation:
    text, raw = written_paths(change.target)
    mode, mtime = _looks(change)
    return Replace(path=text[0], blob=f"sha256:{change.sha256}", mode=mode, mtime=mtime, raw=raw)


def _set(change: Change, path: str) -> Operation:
    text, raw = written_paths(path)
    mode, mtime = _looks(change)
    return Set(path=text[0], mode=mode, mtime=mtime, raw=raw)


def _looks(change: Change) -> tuple[Any, Any]:
    mode = UNSET if change.mode is None else f"{change.mode:04o}"
    return mode, UNSET if change.mtime is None else moment(change.mtime)


def written_paths(*texts: str) -> tuple[list[str], Any]:
    """Paths as a plan writes them: percent-encoded, all of them, where one is not UTF-8 (then with `raw`)."""
    if all(map(paths.is_utf8, texts)):
        return list(texts), UNSET
    return [paths.to_raw(text) for text in texts], True


def within(case: str, operation: Operation) -> Operation:
    """An operation whose paths begin with the case, with paths that start in it."""
    head = f"{paths.to_raw(case) if operation.raw is True else case}/"
    given = {key: getattr(operation, key, UNSET) for key in ("source", "path", "to")}
    return structs.replace(operation, **{key: v.removeprefix(head) for key, v in given.items() if v is not UNSET})


def moment(nanoseconds: int) -> str:
    """A time as plans write it: UTC, RFC 3339, with all nine digits."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    when = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    return f"{when:%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"
