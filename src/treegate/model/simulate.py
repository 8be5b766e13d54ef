"""Simulation: a plan's operations carried out in order on a virtual tree.

The result is not a list of commands but an `Outcome`: each touched entry with
the slot it has and the slot it is to have. One bad operation does not hide
those after it, and what rests on a bad one is not told a second time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, Protocol

from msgspec import UNSET

from treegate.model import paths
from treegate.model.capabilities import Capabilities
from treegate.model.forest import Fault, Forest, Ghostly
from treegate.model.names import Finding, NameCheck
from treegate.model.operations import Delete, Expect, Operation, Replace, Set
from treegate.model.paths import is_plain_name
from treegate.model.plan import Plan
from treegate.model.problems import MOST_PROBLEMS, Problem, Severity, problem
from treegate.model.repair import suggested
from treegate.model.search import Gone, Search
from treegate.model.tree import APPEND, DIR, FILE, IMMUTABLE, MOUNT_ROOT, OTHER, Made, Node, Tree

PATIENCE = 256 * 1024 * 1024  # bytes read to say whether two files are identical; then that is no longer said
_SIZE = 6  # index in packed facts


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
        self.raw = False
        self.problems: list[Problem] = []
        self.replaced: dict[Node, Node] = {}
        self.expected: dict[Node, str] = {}
        self.kept: dict[tuple[str, int], Node] = {}  # (run, entry) -> what `restore` found
        self.claims: dict[str, list[tuple[int, str]]] = {}  # destination -> (operation, who) that could not have it
        self.patience = PATIENCE
        self._untold = 0
        self._checks: dict[str, NameCheck] = {}
        self.search = Search(self.forest, self.base)

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
            except OSError as error:
                self.report(unreadable(error), operation)
        return self._outcome()

    def _outcome(self) -> Outcome:
        if self._untold:
            self.problems.append(problem("more-problems", f"{self._untold:,} more problems are not listed"))
        touched = [node for node in self.forest.touched if node.parent is not None]
        return Outcome(self.plan, self.forest, touched, self.problems, self.replaced, self.expected)

    def _case_exists(self) -> bool:
        try:
            self.forest.case(self.base)
        except Fault as fault:
            near = fault.changes["case"] if fault.changes else ""
            hint = f'the nearest is {near!r}: write "case": "{near}"' if near else ""
            better = {"case": near} if near else None
            self.problems.append(
                problem(fault.code, fault.message, None, "/case", path=self.base, hint=hint, suggestion=better)
            )
            return False
        return True

    # Telling

    def report(self, fault: Fault, operation: Operation | None) -> None:
        """Makes a problem of a fault, with its suggestion, and remembers what will now be missing."""
        if operation is not None:
            haunt_destination(self, operation)
        suggestion = fault.instead
        if fault.changes and operation is not None:
            suggestion = suggested(operation, self.search.all_changes(operation, fault.changes))
        self._tell(fault, None, suggestion)

    def warn(self, fault: Fault) -> None:
        """Notes something worth a look that does not stop the plan."""
        self._tell(fault, "warning", None)

    def _tell(self, fault: Fault, severity: Severity | None, suggestion: dict[str, Any] | None) -> None:
        if len(self.problems) >= MOST_PROBLEMS:
            self._untold += 1
            return
        self.problems.append(
            problem(
                fault.code,
                fault.message,
                self.number,
                f"/operations/{self.number - 1}" + (f"/{fault.key}" if fault.key else ""),
                path=fault.path,
                hint=fault.hint,
                severity=severity,
                suggestion=suggestion,
                drop=fault.drop,
                also=fault.also,
            )
        )

    # Looking

    def text(self, given: str, key: str) -> str:
        """A path of the plan as a path from `projects/`; raises Fault where it is malformed."""
        try:
            path = paths.from_raw(given) if self.raw else given
            paths.check(path)
        except paths.Malformed as error:
            better = paths.from_case(error.better, self.base)
            raise Fault(error.code, error.message, key=key, path=given, better=better) from None
        return f"{self.base}/{path}" if self.base else path

    def parted(self, given: str, key: str) -> tuple[Node | None, str, str]:
        """(folder if it was looked up already, name, folder's path) of a path of the plan; raises Fault."""
        path = f"{self.base}/{given}" if self.base else given
        above, _, name = path.rpartition("/")
        folder = self.forest.known(above)
        if folder is not None and is_plain_name(name) and not self.raw:
            return folder, name, above
        path = self.text(given, key)
        above, name = paths.split(path)
        if not above:
            raise Fault("case-untouchable", f"{path!r} is a case itself, not something in one", key=key, path=path)
        return self.forest.known(above), name, above

    def _folder(self, above: str, name: str, key: str) -> Node:
        """The folder at a path, which has to exist; `name` is what a path of the plan names in it."""
        try:
            return self.forest.folder(above)
        except Fault as fault:
            path = paths.joined(above, name)
            if self.forest.haunted(path):
                raise Ghostly from None
            if fault.code == "parent-missing":
                raise self.missing(path, key) from None
            raise self._with_case(fault, path, key) from None

    def _with_case(self, fault: Fault, path: str, key: str) -> Fault:
        """A fault of a path, which may be that its first component is no case."""
        if fault.code == "unknown-case":
            fault.key = key
            better = self.search.from_case(path)
            fault.changes = {key: better} if better != path else None
        return fault.at(key)

    def existing(self, given: str, key: str) -> Node:
        """The entry that a path of the plan names at this point; raises Fault where there is none."""
        known, name, above = self.parted(given, key)
        node = self.forest.child(known or self._folder(above, name, key), name)
        if node is None:
            path = paths.joined(above, name)
            if self.forest.haunted(path):
                raise Ghostly
            raise self.missing(path, key)
        if node.kind is OTHER:
            raise Fault("special-file", f"{given!r} is a FIFO, a socket or a device", key=key, path=node.path())
        if node.made is None and (marks := self.forest.marks(node)):
            self._refuse_marked(marks, node, key)
        return node

    def _refuse_marked(self, marks: int, node: Node, key: str) -> None:
        path = node.path()
        if marks & (IMMUTABLE | APPEND):
            raise Fault("immutable", f"{self.shown(path)!r} is marked immutable or append-only", key=key, path=path)
        if marks & MOUNT_ROOT:
            text = f"another filesystem is mounted at {self.shown(path)!r}"
            raise Fault("mount-inside", text, key=key, path=path)

    def missing(self, path: str, key: str) -> Fault:
        """The fault of a path that names nothing: taken by an earlier operation, or misspelled."""
        shown = self.shown(path)
        gone = self.search.gone(path)
        if gone is not None:
            return self._taken(gone, shown, path, key)
        text = f"there is nothing at {shown!r}"
        if near := self.search.meant(path):
            hint = "paths start at the case"
            return Fault("near-miss", text, key=key, path=path, better=self.shown(near), hint=hint)
        if near := self.search.nearest(path):
            hint = f"the nearest name is {self.shown(near)!r}"
            return Fault("source-missing", text, key=key, path=path, better=self.shown(near), hint=hint)
        return Fault("source-missing", text, key=key, path=path)

    def _taken(self, gone: Gone, shown: str, path: str, key: str) -> Fault:
        node, rest = gone
        by = node.operations
        who = f"by operation {by[-1]}" if len(by) == 1 else f"by operations {', '.join(map(str, by[-3:]))}"
        if not self.forest.holds(node):
            what = f"{shown!r}" if not rest else f"{shown!r} went with its folder, which"
            return Fault("source-taken", f"{what} was deleted {who}", key=key, path=path, also=by)
        now = self.shown(node.path() + rest)
        text = f"{shown!r} was moved to {now!r} {who}"
        return Fault("source-taken", text, key=key, path=path, better=now, also=by)

    def left(self, node: Node) -> None:
        """Notes that something which the plan made is about to leave its place."""
        self.search.former[node.path()] = node

    def shown(self, path: str) -> str:
        """A path from `projects/` as the plan writes it."""
        return path[len(self.base) + 1 :] if self.base else path

    def expect(self, node: Node, expect: Expect | Any, given: str) -> None:
        """Holds an operation's source against what the plan expects of it."""
        if expect is UNSET:
            return
        if node.kind is not FILE:
            raise Fault(
                "type-mismatch", f"{given!r} is not a file; `expect` describes one", key="expect", path=node.path()
            )
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

    def destination(self, given: str, key: str) -> tuple[Node, str, str]:
        """(folder, name, path) of a slot to be filled, its folder made together with what is missing above it."""
        known, name, above = self.parted(given, key)
        return known or self.folder_made(above, key, name), name, paths.joined(above, name)

    def folder_made(self, path: str, key: str, rest: str) -> Node:
        """The folder at a path, made together with what is missing above it; `rest` is what goes into it."""
        forest = self.forest
        case, *parts = path.split("/")
        try:
            node, so_far = forest.case(case), case
            for index, name in enumerate(parts):
                so_far = f"{so_far}/{name}"
                child = forest.child(node, name)
                if child is None:
                    rest_of_it = "/".join((*parts[index + 1 :], rest))
                    node = self._implied(node, name, so_far, key, rest_of_it)
                else:
                    node = forest.entered(child, so_far)
        except Fault as fault:
            raise self._with_case(fault, f"{path}/{rest}", key) from None
        forest.remember(path, node)
        return node

    def _implied(self, above: Node, name: str, path: str, key: str, rest: str) -> Node:
        forest = self.forest
        if forest.haunted(path):
            raise Ghostly
        if above.parent is forest.root and name in (self.base, "projects"):
            text = f"paths start at the case, and {self.shown(path)!r} would be a new folder in it"
            raise Fault("near-miss", text, key=key, path=path, better=paths.from_case(f"{name}/{rest}", self.base))
        try:
            self.check_name(above, name, path, key)
        except Fault as fault:
            if fault.changes:
                fault.changes = {key: f"{fault.changes[key]}/{rest}"}
            raise
        made = Made("made")
        made.implied = True
        node = forest.make(DIR, above, name, made)
        forest.touch(node, self.number)
        return node

    def check_name(self, folder: Node, name: str, path: str, key: str, known: str = "") -> None:
        """Holds a name that the plan makes against the rules of the place it goes to; `known` is one it had there."""
        case = path.partition("/")[0]
        check = self._checks.get(case)
        if check is None:
            mount = self.forest.cases[case]
            check = self._checks[case] = NameCheck(mount.name_rules, mount)
        found = check.name(name) if name != known else ()
        if len(path) > check.plain_path:
            found = (*found, *check.path(path))
        if found:
            self._judge(found, name, path, key)
        if folder.parent is self.forest.root and name in self.world.reserved:
            raise Fault("path-reserved", f"{self.shown(path)!r} is treegate's own", key=key, path=path)

    def _judge(self, found: Iterable[Finding], name: str, path: str, key: str) -> None:
        for finding in found:
            better = finding.suggestion or ""
            if better and key != "name":
                better = paths.joined(paths.split(self.shown(path))[0], better)
            fault = Fault(finding.code, f"{name!r}: {finding.sentence}", key=key, path=path, better=better)
            if finding.severity == "error":
                raise fault
            self.warn(fault)


def unreadable(error: OSError) -> Fault:
    """The fault of something on disk that could not be read."""
    name = error.filename if isinstance(error.filename, str) else None
    reason = error.strerror or str(error)
    return Fault("not-readable", f"{name!r} cannot be read: {reason}" if name else reason, path=name)


def haunt_destination(sim: Simulation, operation: Operation) -> None:
    """Remembers the path that an operation would have filled, had it been carried out."""
    if isinstance(operation, Delete | Replace | Set):
        return  # their path is a source; whoever names it too has the same to mend
    anew = sim.search.restated(operation)
    for key in ("to", "path"):
        given = anew.get(key, getattr(operation, key, UNSET))
        if isinstance(given, str):
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
