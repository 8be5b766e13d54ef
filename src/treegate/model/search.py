"""What became of a path that names nothing: taken by an earlier operation, written from elsewhere, or misspelled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from msgspec import UNSET

from treegate.model import paths
from treegate.model.forest import Fault, Forest
from treegate.model.likeness import nearest
from treegate.model.operations import Operation
from treegate.model.tree import DIR, Node

PATIENCE = 5_000_000  # names that one simulation compares in search of near ones; then it suggests none
SEARCHES = 10  # of the whole tree in one simulation, for what a glob may have meant
_STATED = {"from": "source", "to": "to", "path": "path", "match": "match", "except": "exclude"}  # key -> attribute


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
        self._near_cases: dict[str, str] = {}
        self._noted = 0
        self._patience = PATIENCE
        self._searches = SEARCHES

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

    def meant(self, path: str) -> str:
        """The existing path that one means which names `projects/` or the case once more, or ''."""
        if not self.base:
            return ""
        inside = path[len(self.base) + 1 :]
        better = paths.joined(self.base, self.from_case(inside))
        return better if better != path and (self.is_there(better) or self.forest.haunted(better)) else ""

    def from_case(self, given: str) -> str:
        """A path or pattern of the plan as it is written from the case on; without one, from a case that there is."""
        plain = given.lstrip("/")
        first = plain.partition("/")[0]
        if not self.base:
            return self._from_any_case(paths.from_case(plain, "")) or given
        if plain == given and (first not in ("projects", self.base) or self.is_there(f"{self.base}/{first}")):
            return given
        return paths.from_case(plain, self.base) or given

    def _from_any_case(self, path: str) -> str:
        case, slash, rest = path.partition("/")
        if case not in self.forest.cases:
            if case not in self._near_cases:
                self._near_cases[case] = nearest(case, self.forest.cases) or ""
            case = self._near_cases[case]
        return f"{case}{slash}{rest}" if case else ""

    def restated(self, operation: Operation) -> dict[str, Any]:
        """The keys of an operation whose paths start above the case, with these as the plan writes them."""
        found: dict[str, Any] = {}
        for key, name in _STATED.items() if operation.raw is not True else ():
            given = getattr(operation, name, UNSET)
            if given is UNSET:
                continue
            several = [given] if isinstance(given, str) else given
            better = [self.from_case(each) for each in several]
            if better != several:
                found[key] = better[0] if isinstance(given, str) else better
        return found

    def all_changes(self, operation: Operation, changes: Mapping[str, Any]) -> dict[str, Any]:
        """A fault's changes to an operation, and those that its other paths need, where they start above the case."""
        anew = self.restated(operation)
        into = {"to": anew["to"]} if "to" in anew else {}  # a destination keeps the `/` that it ends in
        return {**anew, **changes, **into}

    def is_there(self, path: str) -> bool:
        """Whether there is something at a path."""
        above, name = paths.split(path)
        try:
            return bool(above) and self.forest.child(self.forest.folder(above), name) is not None
        except Fault:
            return False

    def now_at(self, path: str) -> str:
        """Where an earlier operation took what was at a path, or ''."""
        gone = self.gone(path)
        return gone.node.path() + gone.rest if gone is not None and self.forest.holds(gone.node) else ""

    def may_search(self) -> bool:
        """Whether the whole tree may be looked through once more, for the sake of a suggestion."""
        self._searches -= 1
        return self._searches >= 0

    def nearest(self, path: str) -> str:
        """An existing path that looks like this one, or like what it is from the case on; or ''."""
        found = self._nearest(path)
        if not found and self.base:
            better = paths.joined(self.base, self.from_case(path[len(self.base) + 1 :]))
            found = self._nearest(better) if better != path else ""
        return found

    def _nearest(self, path: str) -> str:
        """The nearest path, component by component, or ''."""
        case, *parts = path.split("/")
        if case not in self.forest.cases:
            return ""
        folder, found = self.forest.case(case), case
        for index, part in enumerate(parts):
            name = self._nearest_in(folder, part)
            node = self.forest.child(folder, name) if name else None
            if node is None or (index < len(parts) - 1 and node.kind is not DIR):
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
