"""Simulation: a plan's operations carried out in order on a virtual tree.

The result is not a list of commands but an `Outcome`: each touched entry with
the slot it has and the slot it is to have. One bad operation does not hide
those after it, and what rests on a bad one is not told a second time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import msgspec
from msgspec import UNSET

from treegate.model import paths
from treegate.model.capabilities import Capabilities
from treegate.model.forest import Fault, Forest, Ghostly
from treegate.model.names import NameCheck, nearest
from treegate.model.operations import Expect, Operation
from treegate.model.plan import Plan
from treegate.model.problems import Problem, problem
from treegate.model.tree import APPEND, IMMUTABLE, Kind, Made, Node, Tree

MOST_PROBLEMS = 10_000  # beyond this a list helps nobody; the last one says how many more there are
_ATTRS, _SIZE = 4, 6  # indices in packed facts


class Kept(NamedTuple):
    """A vault entry as `restore` finds it: its packed facts and the volume that its vault is on."""

    facts: bytes
    volume: str
    case: str


class World(Protocol):
    """What a simulation may ask of the world; every answer is a plain value."""

    cases: Mapping[str, Capabilities]
    volumes: Mapping[str, str]
    reserved: frozenset[str]  # names at the top of a case that are treegate's own

    @property
    def tree(self) -> Tree:
        """The tree on disk."""
        ...

    def kept(self, run: str, entry: int) -> Kept | None:
        """An entry of a run's vault, if it is still there."""
        ...

    def blob_size(self, sha256: str) -> int | None:
        """The size of a stored blob in bytes, or None."""
        ...


class Outcome(NamedTuple):
    """The tree that the operations would produce: the touched entries, and what was noticed on the way."""

    plan: Plan
    forest: Forest
    touched: list[Node]
    problems: list[Problem]
    replaced: dict[Node, Node]  # the new entry -> the one whose place it took
    expected: dict[Node, str]  # entry -> the SHA-256 that `expect` asks of it


class Simulation:
    """The state of one simulation; the acts (model.acts, model.matching) work on it."""

    def __init__(self, plan: Plan, world: World) -> None:
        self.plan = plan
        self.world = world
        self.forest = Forest(world.tree, world.cases, world.volumes)
        self.base = plan.case or ""
        self.number = 0
        self.problems: list[Problem] = []
        self.replaced: dict[Node, Node] = {}
        self.expected: dict[Node, str] = {}
        self._checks: dict[Capabilities, NameCheck] = {}
        self._departed: dict[str, Node] = {}
        self._departed_count = 0
        self._untold = 0
        self.raw = False

    def run(self, acts: Mapping[type, Callable[[Simulation, Any], None]]) -> Outcome:
        """Carries out every operation; problems are gathered, in operation order."""
        if self.base and not self._case_exists():
            return self._outcome()
        for number, operation in enumerate(self.plan.operations, 1):
            self.number = number
            self.raw = operation.raw is True
            try:
                acts[type(operation)](self, operation)
            except Fault as fault:
                self.report(fault, operation)
            except Ghostly:
                haunt_destination(self, operation)
        return self._outcome()

    def _outcome(self) -> Outcome:
        touched = [node for node in self.forest.touched if node.parent is not None]
        return Outcome(self.plan, self.forest, touched, self.problems, self.replaced, self.expected)

    def _case_exists(self) -> bool:
        try:
            self.forest.case(self.base)
        except Fault as fault:
            near = fault.changes["case"] if fault.changes else ""
            hint = f'the nearest is {near!r}: write "case": "{near}"' if near else ""
            self.problems.append(problem(fault.code, fault.message, None, "/case", path=self.base, hint=hint))
            return False
        return True

    # Telling

    def report(self, fault: Fault, operation: Operation | None) -> None:
        """Makes a problem of a fault, with its suggestion, and remembers what will now be missing."""
        if len(self.problems) >= MOST_PROBLEMS:
            self._untold += 1
            return
        suggestion = None
        if fault.changes and operation is not None:
            suggestion = suggested(operation, fault.changes)
        pointer = f"/operations/{self.number - 1}" + (f"/{fault.key}" if fault.key else "")
        self.problems.append(
            problem(
                fault.code,
                fault.message,
                self.number,
                pointer,
                path=fault.path,
                hint=fault.hint,
                suggestion=suggestion,
                drop=fault.drop,
                also=fault.also,
            )
        )
        if operation is not None:
            haunt_destination(self, operation)

    # Looking

    def text(self, given: str, key: str) -> str:
        """A path of the plan as a path from `projects/`; raises Fault where it is malformed."""
        try:
            path = paths.from_raw(given) if self.raw else given
            paths.check(path)
        except paths.Malformed as error:
            better = error.better
            for prefix in ("projects/", f"{self.base}/" if self.base else ""):
                better = better.removeprefix(prefix) if prefix else better
            raise Fault(error.code, error.message, key=key, path=given, better=better) from None
        return f"{self.base}/{path}" if self.base else path

    def slot(self, given: str, key: str) -> tuple[Node, str, str]:
        """(folder, name, folder's path) that a path of the plan names; the folder has to exist."""
        path = self.text(given, key)
        above, name = paths.split(path)
        if not above:
            raise Fault("case-untouchable", f"{path!r} is a case itself", key=key, path=path)
        try:
            return self.forest.folder(above), name, above
        except Fault as fault:
            if self.forest.haunted(path):
                raise Ghostly from None
            if fault.code == "parent-missing":
                raise self.missing(path, key) from None
            fault.key = fault.key if fault.code != "unknown-case" else key
            if fault.code == "unknown-case" and fault.changes:
                rest = path.partition("/")[2]
                fault.changes = {key: f"{fault.changes['case']}/{rest}"}
            raise

    def existing(self, given: str, key: str) -> Node:
        """The entry that a path of the plan names at this point; raises Fault where there is none."""
        folder, name, above = self.slot(given, key)
        node = self.forest.child(folder, name)
        if node is None:
            path = paths.joined(above, name)
            if self.forest.haunted(path):
                raise Ghostly
            raise self.missing(path, key)
        if node.kind is Kind.OTHER:
            raise Fault("special-file", f"{given!r} is a FIFO, a socket or a device", key=key, path=node.path())
        if node.made is None and self.forest.facts(node)[_ATTRS] & (IMMUTABLE | APPEND):
            raise Fault("immutable", f"{given!r} is marked immutable or append-only", key=key, path=node.path())
        return node

    def missing(self, path: str, key: str) -> Fault:
        """The fault of a path that names nothing: taken by an earlier operation, or misspelled."""
        shown = self.shown(path)
        gone = self._gone(path)
        if gone is not None:
            return self._taken(gone, shown, path, key)
        near = self._nearest(path)
        text = f"there is nothing at {shown!r}"
        if near:
            hint = f"the nearest name is {self.shown(near)!r}"
            return Fault("source-missing", text, key=key, path=path, better=self.shown(near), hint=hint)
        return Fault("source-missing", text, key=key, path=path)

    def _taken(self, gone: Node, shown: str, path: str, key: str) -> Fault:
        by = gone.operations[0]
        if gone.parent is None or (gone.parent.parent is None and gone.parent is not self.forest.root):
            text = f"{shown!r} was deleted by operation {by}"
            return Fault("source-taken", text, key=key, path=path, also=(by,))
        now = self.shown(gone.path())
        text = f"{shown!r} was moved to {now!r} by operation {by}"
        return Fault("source-taken", text, key=key, path=path, better=now, also=(by,))

    def _gone(self, path: str) -> Node | None:
        """The entry that was at a path before the plan and was taken from there."""
        touched = self.forest.touched
        for node in touched[self._departed_count :]:
            if node.home is not None:
                self._departed[paths.joined(node.home.where, node.home_name)] = node
        self._departed_count = len(touched)
        return self._departed.get(path)

    def _nearest(self, path: str) -> str:
        """An existing path that looks like this one, component by component, or ''."""
        forest = self.forest
        case, *parts = path.split("/")
        if case not in forest.cases:
            return ""
        folder, found = forest.case(case), case
        for index, part in enumerate(parts):
            try:
                names = forest.names(folder)
            except Fault:
                return ""
            name = part if part in names else nearest(part, names)
            node = forest.child(folder, name) if name else None
            if node is None or name is None:
                return ""
            found = f"{found}/{name}"
            if index < len(parts) - 1:
                if node.kind is not Kind.DIR:
                    return ""
                folder = node
        return found

    def shown(self, path: str) -> str:
        """A path from `projects/` as the plan writes it."""
        return path[len(self.base) + 1 :] if self.base else path

    def expect(self, node: Node, expect: Expect | Any, given: str) -> None:
        """Holds an operation's source against what the plan expects of it."""
        if expect is UNSET:
            return
        if node.kind is not Kind.FILE:
            raise Fault("type-mismatch", f"{given!r} is not a file; `expect` describes one", key="expect")
        size, sha256 = self._content_of(node, expect.sha256 is not UNSET)
        if expect.size is not UNSET and size != expect.size:
            text = f"{given!r} has {size:,} bytes, not {expect.size:,}"
            raise Fault("expect-mismatch", text, key="expect/size", path=node.path())
        if expect.sha256 is not UNSET and sha256 != expect.sha256:
            text = f"the content of {given!r} is {sha256[:12]}…, not {expect.sha256[:12]}…"
            raise Fault("expect-mismatch", text, key="expect/sha256", path=node.path())
        if node.made is None and expect.sha256 is not UNSET:
            self.expected[node] = expect.sha256

    def _content_of(self, node: Node, hashed: bool) -> tuple[int, str]:
        made = node.made
        if made is not None and made.source is None:
            return made.size, made.blob
        real = made.source if made is not None and made.source is not None else node
        sha256 = self.world.tree.sha256(real.home_path()) if hashed else ""
        return self.forest.facts(real)[_SIZE], sha256

    # Making room

    def folder_made(self, path: str, key: str) -> Node:
        """The folder at a path, made together with what is missing above it."""
        forest = self.forest
        node = forest._folders.get(path)
        if node is not None:
            return node
        above, name = paths.split(path)
        if not above:
            return forest.case(path)
        parent = self.folder_made(above, key)
        node = forest.child(parent, name)
        if node is not None:
            return forest.entered(node, path)
        if forest.haunted(path):
            raise Ghostly
        self.check_name(parent, name, path, key)
        made = Made("made")
        made.implied = True
        node = forest.make(Kind.DIR, parent, name, made)
        forest.touch(node, self.number)
        return node

    def check_name(self, folder: Node, name: str, path: str, key: str) -> None:
        """Holds a name that the plan makes against the rules of the place it goes to."""
        case = path.partition("/")[0]
        capabilities = self.forest.cases.get(case)
        if capabilities is None:
            return
        check = self._checks.get(capabilities)
        if check is None:
            check = self._checks[capabilities] = NameCheck(capabilities.name_rules, capabilities)
        for finding in (*check.name(name), *check.path(path)):
            better = paths.joined(paths.split(self.shown(path))[0], finding.suggestion) if finding.suggestion else ""
            fault = Fault(finding.code, f"{name!r}: {finding.sentence}", key=key, path=path, better=better)
            if finding.severity == "error":
                raise fault
            self.warn(fault)
        if folder.parent is self.forest.root and name in self.world.reserved:
            raise Fault("path-reserved", f"{self.shown(path)!r} is treegate's own", key=key, path=path)

    def warn(self, fault: Fault) -> None:
        """Notes something worth a look that does not stop the plan."""
        pointer = f"/operations/{self.number - 1}" + (f"/{fault.key}" if fault.key else "")
        self.problems.append(
            problem(
                fault.code,
                fault.message,
                self.number,
                pointer,
                path=fault.path,
                hint=fault.hint,
                severity="warning",
                drop=fault.drop,
                also=fault.also,
            )
        )


def haunt_destination(sim: Simulation, operation: Operation) -> None:
    """Remembers the path that an operation would have filled, had it been carried out."""
    for key in ("to", "path"):
        given = getattr(operation, key, UNSET)
        if isinstance(given, str) and not (key == "path" and hasattr(operation, "recursive")):
            try:
                path = sim.text(given.rstrip("/"), key)
            except Fault:
                continue
            name = getattr(operation, "name", None)
            source = getattr(operation, "source", UNSET)
            if isinstance(name, str):
                path = paths.joined(paths.split(path)[0], name)
            elif given.endswith("/") and isinstance(source, str):
                path = paths.joined(path, paths.split(source)[1])
            sim.forest.haunt(path)


_PATH_KEYS = ("from", "to", "path", "name", "target")


def suggested(operation: Operation, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The operation with some keys changed, ready to take the place of the faulty one.

    Where a changed path holds bytes that are not UTF-8, all its paths are percent-encoded and `raw` says so.
    """
    made: dict[str, Any] = msgspec.to_builtins(operation)
    was_raw = made.get("raw") is True
    texts = [value for value in changes.values() if isinstance(value, str)]
    raw = was_raw or not all(paths.is_utf8(text) for text in texts)
    if raw and not was_raw:
        made = {key: paths.to_raw(value) if key in _PATH_KEYS else value for key, value in made.items()} | {
            "raw": True
        }
    for key, value in changes.items():
        made[key] = paths.to_raw(value) if raw and key in _PATH_KEYS else value
    return made


def sha256_of(data: bytes) -> str:
    """The hex SHA-256 of bytes."""
    return hashlib.sha256(data).hexdigest()
