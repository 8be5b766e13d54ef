"""The plan that makes a given change: for undo, and wherever a difference has to become a document again.

A change is said in paths: a source as the tree is now, a target as it is to be.
The order of operations, with temporary names where entries swap places, comes
from the same step compiler that orders a run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

from msgspec import UNSET

from treegate.model import paths
from treegate.model.effects import Effect, untagged
from treegate.model.operations import Copy, Create, Delete, Mkdir, Move, Operation, Restore, Set, Symlink
from treegate.model.steps import Step, compile_steps
from treegate.model.tree import Kind, Node

ChangeKind = Literal["move", "delete", "restore", "mkdir", "create", "copy", "symlink", "set"]
PARKED = "treegate-parked"  # temporary names: no entry keeps one


class Change(NamedTuple):
    """One thing to be different; `source` is a path of the tree as it is, `target` of the tree as it is to be."""

    kind: ChangeKind
    source: str = ""
    target: str = ""
    is_dir: bool = False
    recursive: bool = False  # a deleted folder may hold something
    run: str = ""  # of a restore
    entry: int = -1
    sha256: str = ""  # of a create
    link: str = ""  # of a symlink
    mode: int | None = None
    mtime: int | None = None


def undo_of(effects: Iterable[Effect], run: str) -> list[Change]:
    """What takes effects of a run back."""
    return [change for effect in effects for change in _inverse(effect, run)]


def _inverse(effect: Effect, run: str) -> Iterator[Change]:
    path = untagged(effect.path)
    is_dir = effect.kind == "dir"
    if effect.effect in ("moved", "set") or (effect.effect == "replaced" and not effect.sha256 and effect.source):
        was = untagged(effect.source) if effect.source is not None else path
        if was != path:
            yield Change("move", path, was, is_dir)
        if effect.old_mode is not None or effect.old_mtime is not None:
            mode = None if effect.old_mode is None else int(effect.old_mode, 8)
            mtime = None if effect.old_mtime is None else int(effect.old_mtime)
            yield Change("set", target=was, mode=mode, mtime=mtime)
    elif effect.effect != "deleted":
        yield Change("delete", path, is_dir=is_dir, recursive=effect.effect != "made")
    if effect.vault is not None:
        old = untagged(effect.replaces) if effect.replaces is not None else path
        yield Change("restore", target=old, is_dir=is_dir, run=run, entry=effect.vault)


def plan_of(changes: Iterable[Change]) -> list[Operation]:
    """Operations that make all these changes, in an order in which each finds what it needs."""
    return list(_Draft(list(changes)).operations())


class _Draft:
    """The changed entries as nodes with a home and a final slot, and where each is while operations are written."""

    def __init__(self, changes: list[Change]) -> None:
        self.root = Node(Kind.DIR, None, "")
        self.new, self.vault, self.parking = (Node(Kind.DIR, None, name) for name in ("new", "vault", "park"))
        self._sources: dict[str, Node] = {}
        self._standing: dict[tuple[Node, str], Node] = {}
        self._folders: dict[str, Node] = {}
        self._arriving: dict[str, Node] = {}
        self.changes: dict[Node, Change] = {}
        self.sets = [change for change in changes if change.kind == "set"]
        self.now: dict[Node, tuple[Node, str]] = {}
        self._enter([change for change in changes if change.kind != "set"])

    def _enter(self, changes: list[Change]) -> None:
        entering = []
        for number, change in enumerate(changes):
            kind = Kind.DIR if change.is_dir or change.kind == "mkdir" else Kind.FILE
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
            node = self._standing[parent, name] = Node(Kind.DIR, parent, name, parent, name)
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

    def operations(self) -> Iterator[Operation]:
        """The operations, each with paths as they are when its turn comes."""
        touched = [node for node in self.changes if node.moved]
        for step in compile_steps(touched, lambda node: self.parking, exchange=False):
            yield self._operation(step)
            self.now[step.entry] = (step.dst, step.dst_name)
        for change in self.sets:
            mode = UNSET if change.mode is None else f"{change.mode:04o}"
            mtime = UNSET if change.mtime is None else moment(change.mtime)
            text, raw = _written(change.target)
            yield Set(path=text[0], mode=mode, mtime=mtime, raw=raw)

    def _operation(self, step: Step) -> Operation:
        change = self.changes[step.entry]
        to = self._path(step.dst, step.dst_name, step.entry) if step.dst is not self.vault else ""
        if step.src is self.new:
            return _made(change, to)
        source = self._path(step.src, step.src_name, step.entry)
        if step.dst is self.vault:
            text, raw = _written(source)
            return Delete(path=text[0], recursive=True if change.is_dir and change.recursive else UNSET, raw=raw)
        text, raw = _written(source, to)
        return Move(source=text[0], to=text[1], raw=raw)

    def _path(self, folder: Node, name: str, entry: Node) -> str:
        """The path of a slot as the tree is at this point of the plan."""
        if folder is self.parking:
            case = (self.changes[entry].source or self.changes[entry].target).partition("/")[0]
            return f"{case}/{PARKED}-{name}"
        parts = [name]
        while folder is not self.root:
            if folder is self.parking:
                return "/".join((self._path(folder, parts.pop(), entry), *reversed(parts)))
            above, own = self.now.get(folder) or (folder.home, folder.home_name)
            assert above is not None
            parts.append(own)
            if above is self.parking:
                parked = self._path(above, parts.pop(), folder)
                return "/".join((parked, *reversed(parts)))
            folder = above
        return "/".join(reversed(parts))


def _made(change: Change, to: str) -> Operation:
    """The operation that brings something new to a path."""
    text, raw = _written(to, change.source or to)
    if change.kind == "restore":
        return Restore(run=change.run, entry=change.entry, to=text[0], raw=raw)
    if change.kind == "mkdir":
        return Mkdir(path=text[0], raw=raw)
    if change.kind == "copy":
        return Copy(source=text[1], to=text[0], raw=raw)
    if change.kind == "symlink":
        text, raw = _written(to, change.link)
        return Symlink(path=text[0], target=text[1], raw=raw)
    mode = UNSET if change.mode is None else f"{change.mode:04o}"
    mtime = UNSET if change.mtime is None else moment(change.mtime)
    return Create(path=text[0], blob=f"sha256:{change.sha256}", mode=mode, mtime=mtime, raw=raw)


def _written(*texts: str) -> tuple[list[str], Any]:
    """Paths as a plan writes them: percent-encoded, all of them, where one is not UTF-8 (then with `raw`)."""
    if all(map(paths.is_utf8, texts)):
        return list(texts), UNSET
    return [paths.to_raw(text) for text in texts], True


def moment(nanoseconds: int) -> str:
    """A time as plans write it: UTC, RFC 3339, with all nine digits."""
    from datetime import UTC, datetime, timedelta

    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    when = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    return f"{when:%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def closure(effects: list[Effect], wanted: set[str]) -> set[str]:
    """The ids of effects that have to be undone together with the wanted ones.

    What now lies where something goes back to has to leave; a folder on the way back has to be back itself; and what
    was put into a folder that the run made has to leave it. A folder made only to hold what goes back goes as well.
    """
    by_path = {untagged(effect.path): effect for effect in effects if effect.effect != "deleted"}
    by_source = {_source(effect): effect for effect in effects if _source(effect)}
    inside = _insiders(effects)
    taken: set[str] = set()
    waiting = [effect for effect in effects if effect.id in wanted]
    while waiting:
        effect = waiting.pop()
        if effect.id in taken:
            continue
        taken.add(effect.id)
        waiting += _needed(effect, by_path, by_source)
        if effect.effect in ("made", "copied", "created"):
            waiting += inside.get(untagged(effect.path), [])
    taken |= {
        effect.id
        for effect in effects
        if effect.implied and all(one.id in taken for one in inside.get(untagged(effect.path), []) if not one.implied)
    }
    return taken


def _source(effect: Effect) -> str:
    """Where the entry of an effect goes back to: '' for what has no place to go back to."""
    if effect.effect == "deleted":
        return untagged(effect.path)
    if effect.effect in ("moved", "replaced") and effect.source is not None:
        return untagged(effect.source)
    return ""


def _needed(effect: Effect, by_path: Mapping[str, Effect], by_source: Mapping[str, Effect]) -> Iterator[Effect]:
    back = _source(effect)
    if not back:
        return
    if back in by_path:
        yield by_path[back]
    above = paths.split(back)[0]
    while above:
        if above in by_source:
            yield by_source[above]
        above = paths.split(above)[0]


def _insiders(effects: list[Effect]) -> dict[str, list[Effect]]:
    """Which effects put something into each folder that the run made."""
    made = {
        untagged(effect.path) for effect in effects if effect.effect in ("made", "copied") and effect.kind == "dir"
    }
    inside: dict[str, list[Effect]] = {}
    for effect in effects:
        if effect.effect == "deleted":
            continue
        above = paths.split(untagged(effect.path))[0]
        while above:
            if above in made:
                inside.setdefault(above, []).append(effect)
            above = paths.split(above)[0]
    return inside
