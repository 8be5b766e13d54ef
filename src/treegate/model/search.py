"""What became of a path that names nothing: taken by an earlier operation, written from elsewhere, or misspelled."""

from __future__ import annotations

from typing import NamedTuple

from treegate.model import paths
from treegate.model.forest import Fault, Forest
from treegate.model.names import nearest
from treegate.model.tree import Kind, Node

PATIENCE = 5_000_000  # names that one simulation compares in search of near ones; then it suggests none


class Gone(NamedTuple):
    """An entry that left its place, and the path asked for from there on ('' or '/...')."""

    node: Node
    rest: str


class Search:
    """Looks around in a forest for what a path may have meant; `former` is filled by the simulation."""

    def __init__(self, forest: Forest, base: str) -> None:
        self.forest = forest
        self.base = base
        self.former: dict[str, Node] = {}  # where something that the plan made was before it left
        self._departed: dict[str, Node] = {}  # touched entries by their home paths
        self._noted = 0
        self._patience = PATIENCE

    def gone(self, path: str) -> Gone | None:
        """The entry that was at a path, or around it, and that the plan took away."""
        touched = self.forest.touched
        for node in touched[self._noted :]:
            if node.home is not None:
                self._departed[node.home_path()] = node
        self._noted = len(touched)
        rest = ""
        while path:
            left = self._departed.get(path)
            if left is not None and left.moved:
                return Gone(left, rest)
            made = self.former.get(path)
            if made is not None and (made.parent is None or made.path() != path):
                return Gone(made, rest)
            path, name = paths.split(path)
            rest = f"/{name}{rest}"
        return None

    def restated(self, path: str) -> str:
        """The existing path that one means which names `projects/` or the case once more, or ''."""
        if not self.base:
            return ""
        inside = path[len(self.base) + 1 :]
        better = paths.joined(self.base, paths.from_case(inside, self.base))
        return better if better != path and self.is_there(better) else ""

    def is_there(self, path: str) -> bool:
        """Whether there is something at a path."""
        above, name = paths.split(path)
        try:
            return bool(above) and self.forest.child(self.forest.folder(above), name) is not None
        except Fault:
            return False

    def nearest(self, path: str) -> str:
        """An existing path that looks like this one, component by component, or ''."""
        case, *parts = path.split("/")
        if case not in self.forest.cases:
            return ""
        folder, found = self.forest.case(case), case
        for index, part in enumerate(parts):
            name = self._nearest_in(folder, part)
            node = self.forest.child(folder, name) if name else None
            if node is None or (index < len(parts) - 1 and node.kind is not Kind.DIR):
                return ""
            folder, found = node, f"{found}/{name}"
        return found

    def _nearest_in(self, folder: Node, name: str) -> str:
        try:
            names = self.forest.names(folder)
        except Fault:
            return ""
        if name in names:
            return name
        self._patience -= len(names)
        return (nearest(name, names) or "") if self._patience > 0 else ""
