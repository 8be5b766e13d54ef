"""The net difference: the touched entries of an outcome, sorted by what becomes of them.

However often an entry was moved on the way, it stands here once: with the slot
it has and the slot it is to have. What came back to where it was is left out.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from treegate.model import paths
from treegate.model.forest import Fault, Forest
from treegate.model.simulate import Outcome
from treegate.model.tree import DIR, FILE, Node, Totals

_SIZE_AT = struct.Struct("<Q").unpack_from
_OFFSET = 28  # of `size` in packed facts

NOTHING = Totals(0, 0, 0, (), (), 0, b"")


def size_in(facts: bytes) -> int:
    """The size in packed facts, in bytes."""
    size: int = _SIZE_AT(facts, _OFFSET)[0]
    return size


class Held(NamedTuple):
    """What goes with an entry: files and links, and their bytes."""

    files: int
    size: int


class Net:
    """What a plan does to each entry it touches; every list is in the order in which operations touched them."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self.forest: Forest = outcome.forest
        self.new: list[Node] = []  # made, created, copied, linked
        self.moved: list[Node] = []
        self.moved_besides: list[Node] = []  # of those, what is no file: folders, links
        self.pairs: dict[tuple[Node, Node], list[Node]] = {}  # what moved, by the folders it moved between
        self.restored: list[Node] = []
        self.deleted: list[Node] = []
        self.restored_in_vain: list[Node] = []  # came with a restored folder, and goes away again
        self.set: list[Node] = []
        self.replaced: dict[Node, Node] = {}  # new entry -> the one it replaces, net
        self.totals: dict[Node, Totals] = {}  # of every folder that is moved, deleted, restored or copied as a whole
        self.unreadable: list[tuple[Node, Fault]] = []
        self._folders: dict[Node, str] = {}
        self._settle_replaced()
        for node in outcome.touched:
            self._sort(node)

    def _settle_replaced(self) -> None:
        """A new entry replaces the one that had its slot before the plan, however many had it in between."""
        before = self.outcome.replaced
        for new in before:
            old = before.get(new)
            while old is not None and not (new.parent is old.home and new.name == old.home_name):
                old = before.get(old)
            if old is not None and self.is_removed(old) and self.forest.holds(new):
                self.replaced[new] = old

    def is_removed(self, node: Node) -> bool:
        """Whether an existing entry goes to the vault."""
        return node.parent in self.forest.vaults

    def _sort(self, node: Node) -> None:
        if node.made is not None:
            if not self.inside_copy(node):
                self.new.append(node)
            return
        home, to = node.home, node.parent
        assert home is not None
        assert to is not None
        of_vault = home.where[:1] == "/"
        if to in self.forest.vaults:
            if not of_vault:
                self.deleted.append(node)
            else:
                self.restored_in_vain.append(node)
            return
        if to is not home or node.name != node.home_name:
            if of_vault:
                self.restored.append(node)
            else:
                self.moved.append(node)
                self.pairs.setdefault((home, to), []).append(node)
                if node.kind is not FILE:
                    self.moved_besides.append(node)
        if node.setting is not None:
            self.set.append(node)

    def inside_copy(self, node: Node) -> bool:
        """Whether the entry came as part of a copied folder and still lies in it as it came."""
        above = node.parent
        made = node.made
        return (
            made is not None and made.effect == "copied" and above is not None and above.made is not None
            and above.made.effect == "copied" and made.source is not None and above.made.source is made.source.home
            and made.source.home_name == node.name
        )  # fmt: skip

    @property
    def removed(self) -> list[Node]:
        """All that goes to a vault, or stays in one."""
        return [*self.deleted, *self.restored_in_vain]

    @property
    def gone(self) -> list[Node]:
        """Deleted entries that nothing replaces."""
        replaced = set(self.replaced.values())
        return [node for node in self.deleted if node not in replaced]

    def path(self, node: Node) -> str:
        """The final path of an entry, from `projects/`."""
        if node.parent is None:
            return node.name
        above = self._folders.get(node.parent) or self.folder(node.parent)
        return f"{above}/{node.name}" if above else node.name

    def home(self, node: Node) -> str:
        """Where an entry is before the run, for people: a path, or `vault:RUN/ENTRY` and what is below."""
        path = node.home_path()
        if not path.startswith("/"):
            return path
        area, _, rest = path[1:].partition("/")
        return f"vault:{area.rpartition(':')[2]}/{rest}"

    def case(self, path: str) -> str:
        """The case that a path lies in."""
        return path.partition("/")[0]

    def whole_folders(self) -> list[Node]:
        """The folders that go as a whole: moved, restored or deleted."""
        return [node for node in (*self.moved_besides, *self.restored, *self.deleted) if node.kind is DIR]

    def count_folders(self) -> None:
        """Looks into every folder that goes as a whole: what it holds, less what leaves it on its own."""
        whole = self.whole_folders()
        for node in whole:
            try:
                self.totals[node] = self.forest.tree.totals(node.home_path())
            except OSError as error:
                text = f"{node.home_path()!r} cannot be read: {error.strerror}"
                self.unreadable.append((node, Fault("not-readable", text, path=node.home_path())))
                self.totals[node] = NOTHING
        if whole:
            self._subtract_leavers(set(whole))

    def _subtract_leavers(self, whole: set[Node]) -> None:
        carriers: dict[Node | None, Node | None] = {None: None}
        on_disk = dict(self.totals)
        for node in (*self.moved, *self.restored, *self.deleted):
            carrier = _carrier(node.home, whole, carriers)
            if carrier is not None:
                held, own = self.totals[carrier], on_disk.get(node) or self.held(node)
                left = held._replace(files=held.files - own.files, size=held.size - own.size)
                self.totals[carrier] = left

    def folder(self, node: Node) -> str:
        """The final path of a folder, kept for the next entry in it."""
        path = self._folders.get(node)
        if path is None:
            path = self._folders[node] = node.path() or node.where
        return path

    def held(self, node: Node) -> Held | Totals:
        """The files and bytes that go with an entry: its own, or what the folder holds."""
        if node.kind is DIR:
            if node.made is not None:
                return _held_by_new(node, self)
            return self.totals.get(node, NOTHING)
        made = node.made
        if made is not None:
            return Held(1, made.size if node.kind is FILE else 0)
        # What a link holds is its target, which counts nothing; so it is in the totals of folders too.
        return Held(1, size_in(node.facts) if node.kind is FILE and node.facts is not None else 0)

    def held_by(self, nodes: Iterable[Node]) -> Held:
        """What goes with several entries."""
        files = size = 0
        for node in nodes:
            if node.facts is not None and node.kind is FILE:
                files += 1
                size += _SIZE_AT(node.facts, _OFFSET)[0]
            else:
                held = self.held(node)
                files += held.files
                size += held.size
        return Held(files, size)


def _carrier(folder: Node | None, whole: set[Node], known: dict[Node | None, Node | None]) -> Node | None:
    """The nearest folder, from this one upwards on disk, that goes as a whole."""
    way = []
    while folder not in known and folder is not None:
        way.append(folder)
        if folder in whole:
            known[folder] = folder
            break
        folder = folder.home
    found = known[folder]
    known.update(dict.fromkeys(way, found))
    return found


def _held_by_new(folder: Node, net: Net) -> Held | Totals:
    """What a copied folder will hold of its own; a made one holds nothing that was not put there on its own."""
    if folder.made is None or folder.made.effect != "copied":
        return NOTHING
    files = size = 0
    for child in new_below(folder):
        if child.kind is not DIR and (not child.ops or net.inside_copy(child)):
            held = net.held(child)
            files += held.files
            size += held.size
    return Held(files, size)


def new_below(folder: Node) -> Iterator[Node]:
    """What the plan itself makes in a new folder, all the way down; nothing for what is no folder."""
    folders = [folder]
    for each in folders:
        for child in new_children(each):
            yield child
            if child.kind is DIR:
                folders.append(child)


def new_children(folder: Node) -> Iterator[Node]:
    """The entries of a new folder that the plan itself makes there, in byte order."""
    names = folder.names or {}
    for name in paths.in_byte_order(list(names)):
        child = names[name]
        if isinstance(child, Node) and child.made is not None:
            yield child
