"""The virtual tree: the real one, read lazily, with the plan's changes laid over it.

A folder's listing is read the first time something in it is looked up; its
untouched entries stay plain kinds, and become nodes only when one is needed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import Any

from treegate.model import paths
from treegate.model.capabilities import Capabilities
from treegate.model.likeness import nearest
from treegate.model.tree import DIR, LINK, MOUNT_ROOT, PACKED, Kind, Made, Node, Tree

_ATTRS_IN, _ATTRS_AT = struct.Struct("<I").unpack_from, 16  # `attrs` in packed facts


class Fault(Exception):
    """Why one operation cannot be carried out: what becomes a Problem, once the operation is known.

    `key` is the operation's key at fault; `better` a new value for it, from which a suggestion is made; `changes`
    are further keys of the suggestion, `instead` is the whole of it where it is another operation.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        key: str = "",
        path: str | None = None,
        better: str = "",
        changes: dict[str, Any] | None = None,
        drop: bool = False,
        hint: str = "",
        also: tuple[int, ...] = (),
        instead: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.key = key
        self.path = path
        self.changes = {key: better, **(changes or {})} if better else changes
        self.drop = drop
        self.hint = hint
        self.also = also
        self.instead = instead

    def at(self, key: str) -> Fault:
        """The same, with the operation's key at fault where it was not known yet."""
        self.key = self.key or key
        return self


class Ghostly(Exception):
    """The operation rests on what a faulty one would have made; it is passed over without a word of its own."""


class Forest:
    """All cases of a workspace as one virtual tree under the root `projects/`."""

    def __init__(self, tree: Tree, cases: Mapping[str, Capabilities], volumes: Mapping[str, str]) -> None:
        self.tree = tree
        self.cases = cases
        self.volumes = volumes  # case -> the name of its volume, "" for the workspace's own
        self.root = Node(DIR, None, "")
        self.root.names = {}
        self.several_volumes = len(set(volumes.values())) > 1
        self.touched: list[Node] = []
        self.ghosts: set[str] = set()
        self._folders: dict[str, Node] = {}
        self.known = self._folders.get  # the folder at a path, if it was looked up since a folder last moved
        self._cases: dict[str, Node] = {}
        self._areas: dict[str, Node] = {}
        self._listed: list[Node] = []
        self.vaults: set[Node] = set()  # where what goes away goes; not those that `restore` takes from

    # Looking

    def case(self, name: str) -> Node:
        """The node of a case; Fault `unknown-case` with the nearest name where there is none."""
        node = self._cases.get(name)
        if node is None:
            if name not in self.cases:
                near = nearest(name, self.cases) or ""
                raise Fault("unknown-case", f"there is no case {name!r}", key="case", path=name, better=near)
            node = Node(DIR, self.root, name, self.root, name)
            node.where = name
            node.facts = self.tree.facts("", name)
            self._cases[name] = node
        return node

    def remember(self, path: str, folder: Node) -> None:
        """Keeps a folder for `known`."""
        self._folders[path] = folder

    def folder(self, path: str) -> Node:
        """The folder at a path as it is at this point of the plan; raises Fault."""
        node = self._folders.get(path)
        if node is not None:
            return node
        case, *parts = path.split("/")
        node, so_far = self.case(case), case
        for name in parts:
            so_far = f"{so_far}/{name}"
            child = self.child(node, name)
            if child is None:
                raise Fault("parent-missing", f"there is no folder {so_far!r}", path=so_far)
            node = self.entered(child, so_far)
        self._folders[path] = node
        return node

    def entered(self, node: Node, path: str) -> Node:
        """The node, if one may go into it: a folder that no other filesystem covers."""
        if node.kind is LINK:
            raise Fault("link-in-path", f"{path!r} is a symbolic link", path=path)
        if node.kind is not DIR:
            raise Fault("parent-is-file", f"{path!r} is not a folder", path=path)
        if node.home is not None:
            self.not_mounted(node, path)
        return node

    def not_mounted(self, node: Node, path: str) -> None:
        """Raises Fault for an existing folder that another filesystem is mounted on."""
        if self.marks(node) & MOUNT_ROOT:
            raise Fault("mount-inside", f"another filesystem is mounted at {path!r}", path=path)

    def names(self, folder: Node) -> dict[str, Kind | Node]:
        """A folder's entries at this point, by name; read from disk the first time."""
        names = folder.names
        if names is None:
            try:
                names = folder.names = dict(self.tree.names(folder.where))
                self._listed.append(folder)
            except PermissionError:
                text = f"the folder {folder.where!r} cannot be read"
                raise Fault("not-readable", text, path=folder.where) from None
            except (FileNotFoundError, NotADirectoryError):
                text = f"the folder {folder.where!r} went away"
                raise Fault("source-missing", text, path=folder.where) from None
        return names

    def child(self, folder: Node, name: str) -> Node | None:
        """The entry of that name, or None."""
        names = folder.names
        if names is None:
            names = self.names(folder)
        found = names.get(name)
        if found is None or isinstance(found, Node):
            return found
        node = Node(found, folder, name, folder, name)
        if found is DIR:
            node.where = f"{folder.where}/{name}"
        names[name] = node
        return node

    def children(self, folder: Node) -> Iterator[Node]:
        """A folder's entries in byte order."""
        for name in paths.in_byte_order(list(self.names(folder))):
            node = self.child(folder, name)
            if node is not None:
                yield node

    def facts(self, node: Node) -> tuple[Any, ...]:
        """What lstat says of an existing entry, as the fields of `tree.Facts`."""
        packed = node.facts
        if packed is None:
            packed = self.packed(node)
        return PACKED.unpack(packed)

    def marks(self, node: Node) -> int:
        """The attributes of an existing entry (STATX_ATTR_* bits, see model.tree)."""
        marks: int = _ATTRS_IN(node.facts or self.packed(node), _ATTRS_AT)[0]
        return marks

    def packed(self, node: Node) -> bytes:
        """The packed facts of an existing entry, read from disk the first time."""
        facts = node.facts
        if facts is None:
            home = node.home
            assert home is not None, "only what exists has facts"
            facts = node.facts = self.tree.facts(home.where, node.home_name)
            if facts is None:
                gone = paths.joined(home.where, node.home_name)
                raise Fault("source-missing", f"{gone!r} went away just now", path=gone)
        return facts

    def volume(self, node: Node) -> str:
        """The name of the volume an entry is on, or is to be on."""
        above: Node | None = node
        while above is not None:
            if above.parent is self.root:
                return self.volumes.get(above.name, "")
            if above.parent is None:
                return above.where.split(":")[1] if above.where else ""
            above = above.parent
        return ""

    def holds(self, node: Node) -> bool:
        """Whether an entry is in the tree: neither deleted nor forgotten."""
        above: Node | None = node
        while above is not None and above is not self.root:
            above = above.parent
        return above is self.root

    def area(self, key: str) -> Node:
        """The node of one of treegate's own folders, by its key in the step table (model.table.Place)."""
        node = self._areas.get(key)
        if node is None:
            node = self._areas[key] = Node(DIR, None, key)
            node.where = f"/{key}"
        return node

    # Changing

    def touch(self, node: Node, operation: int) -> None:
        """Notes that an operation had part in an entry's fate."""
        ops = node.ops
        if ops == 0:
            self.touched.append(node)
            node.ops = operation
        elif isinstance(ops, tuple):
            if ops[-1] != operation:
                node.ops = (*ops, operation)
        elif ops != operation:
            node.ops = (ops, operation)

    def put(self, node: Node, folder: Node, name: str) -> None:
        """Gives an entry a slot, taking it from the one it has."""
        left = node.parent
        if left is not None and left.names is not None:
            left.names.pop(node.name, None)
        node.parent = folder
        node.name = name
        (folder.names if folder.names is not None else self.names(folder))[name] = node
        if node.kind is DIR:
            self._folders.clear()

    def make(self, kind: Kind, folder: Node, name: str, made: Made) -> Node:
        """A new entry in a slot that is free."""
        node = Node(kind, folder, name)
        node.made = made
        if kind is DIR:
            node.names = {}
            self._listed.append(node)
        self.names(folder)[name] = node
        return node

    def remove(self, node: Node, operation: int) -> None:
        """Takes an entry out of the tree: what exists goes to the vault, what the plan made is forgotten."""
        if node.kind is DIR:
            self._folders.clear()
            for stranger in self._strangers(node):
                self._drop(stranger, operation)
        self._drop(node, operation)

    def _strangers(self, top: Node) -> list[Node]:
        """What came into a folder that goes away, at any depth, inner ones first: on disk it is not in it."""
        found = []
        folders = [top]
        for folder in folders:
            for child in (folder.names or {}).values():
                if not isinstance(child, Node):
                    continue
                child.setting = None  # what goes with its folder goes as it is
                if child.home is not folder or child.home_name != child.name:
                    found.append(child)
                if child.kind is DIR:
                    folders.append(child)
        return found[::-1]

    def _drop(self, node: Node, operation: int) -> None:
        self._detach(node)
        node.setting = None
        if node.made is not None:  # it was never there
            return
        self.touch(node, operation)
        home = node.home
        if home is not None and home.parent is None and home.where:  # restored, and not wanted after all: it stays
            node.parent, node.name = home, node.home_name
        else:
            node.parent = self.area(f"vault:{self.volume_of_home(node)}")
            self.vaults.add(node.parent)

    def _detach(self, node: Node) -> None:
        if node.parent is not None and node.parent.names is not None:
            node.parent.names.pop(node.name, None)
        node.parent, node.name = None, ""

    def volume_of_home(self, node: Node) -> str:
        """The name of the volume an existing entry is on now."""
        above: Node | None = node
        while above is not None and above.home is not None:
            if above.home is self.root:
                return self.volumes.get(above.home_name, "")
            above = above.home
        return above.where.split(":")[1] if above is not None and above.where else ""

    def dissolve(self) -> None:
        """Lets go of all entries once nobody asks any more: folders and what they hold keep each other alive."""
        for folder in (self.root, *self._listed):
            folder.names = None

    # Ghosts

    def haunt(self, path: str) -> None:
        """Remembers what a faulty operation would have made, so that one fault is told once."""
        self.ghosts.add(path)

    def haunted(self, path: str) -> bool:
        """Whether a path rests on what a faulty operation would have made."""
        while path and self.ghosts:
            if path in self.ghosts:
                return True
            path = paths.split(path)[0]
        return False
