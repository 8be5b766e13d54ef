"""Globs in operations: what they match in the tree as it is at that point, carried out entry by entry."""

from __future__ import annotations

from typing import Self

from msgspec import UNSET

from treegate.model import nearglob, paths
from treegate.model.forest import Fault, Ghostly
from treegate.model.globs import Glob, PatternError
from treegate.model.matches import matches, start_of
from treegate.model.operations import Copy, Delete, Move
from treegate.model.simulate import Simulation
from treegate.model.templates import Template
from treegate.model.transfer import transfer
from treegate.model.tree import DIR, Node

_MTIME = 7  # index in packed facts
MOST_FAULTS = 1000  # of one glob; the count of the others is told


def transfer_all(sim: Simulation, operation: Move | Copy) -> None:
    """Moves or copies everything that the operation's glob matches, each to what its template makes of it."""
    try:
        template = Template.parse(operation.to)
    except PatternError as error:
        raise Fault("bad-glob", f"the template {operation.to!r}: {error}", key="to", path=operation.to) from None
    found = _matched(sim, operation)
    nearglob.refuse_restated(sim, operation)
    with _Faults(sim) as faults:
        for n, node in enumerate(found, 1):
            to = ""
            try:
                to = _filled(sim, template, node, n)
                if not sim.forest.holds(node):
                    text = f"{node.home_name or node.name!r} was replaced by another match of the same glob"
                    raise Fault("source-taken", text, key="match", path=to)
                transfer(sim, node, to, operation)
            except Fault as fault:
                faults.tell(fault, paths.joined(sim.base, to + node.name if to.endswith("/") else to))


class _Faults:
    """What goes wrong with single entries of a glob: each is told, up to a bound; the others go on."""

    def __init__(self, sim: Simulation) -> None:
        self._sim = sim
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def tell(self, fault: Fault, destination: str = "") -> None:
        """Reports a fault of one entry; no suggestion, for it would change the whole operation."""
        self._count += 1
        fault.changes = None
        if destination:
            self._sim.forest.haunt(destination)
        if self._count <= MOST_FAULTS:
            self._sim.report(fault, None)

    def __exit__(self, *_: object) -> None:
        if self._count > MOST_FAULTS:
            text = f"{self._count - MOST_FAULTS:,} more entries of this glob have such faults"
            self._sim.report(Fault("more-problems", text, key="match"), None)


def _filled(sim: Simulation, template: Template, node: Node, n: int) -> str:
    above = node.parent
    parent = above.path().partition("/")[2] if above is not None and "parent" in template.placeholders else ""
    mtime = _mtime(sim, node) if "mtime" in template.placeholders else 0
    try:
        return template.fill(node.name, parent, mtime, n)
    except ValueError as error:
        raise Fault("bad-glob", f"{sim.shown(node.path())!r}: {error}", key="to", path=node.path()) from None


def _mtime(sim: Simulation, node: Node) -> int:
    """An entry's mtime as it is at this operation; raises Fault for what the plan makes without one."""
    made = node.made
    told = made.mtime if made is not None else node.setting[1] if node.setting is not None else None
    if told is not None:
        return told
    if made is not None and made.source is None:
        text = f"{sim.shown(node.path())!r} is made by this plan and has no time yet"
        raise Fault("bad-glob", text, key="to", path=node.path(), hint="give it an `mtime`, or use no {mtime} here")
    return int(sim.forest.facts(node if made is None or made.source is None else made.source)[_MTIME])


def delete_all(sim: Simulation, operation: Delete) -> None:
    """Deletes everything that the operation's glob matches."""
    found = _matched(sim, operation)
    with _Faults(sim) as faults:
        for node in found:
            try:
                delete(sim, node, operation)
            except Fault as fault:
                faults.tell(fault)


def delete(sim: Simulation, node: Node, operation: Delete) -> None:
    """Takes one entry away; a folder that holds something only if the operation says `recursive`."""
    if node.kind is DIR and operation.recursive is not True and sim.forest.names(node):
        held = len(sim.forest.names(node))
        text = f"the folder {sim.shown(node.path())!r} holds {held:,} {'entry' if held == 1 else 'entries'}"
        raise Fault("folder-not-empty", text, key="recursive", path=node.path(), changes={"recursive": True})
    if node.made is None:
        sim.forest.packed(node)
    else:
        sim.left(node)
    sim.forest.remove(node, sim.number)


def _matched(sim: Simulation, operation: Move | Copy | Delete) -> list[Node]:
    """The entries that a glob matches now, in byte order of their paths; raises Fault for none or a wrong count."""
    assert operation.match is not UNSET
    glob = _parsed(sim, operation, operation.match, "match")
    excluded = [_parsed(sim, operation, each, "except") for each in operation.exclude or ()]
    try:
        found = list(matches(sim, glob, excluded))
    except Fault as fault:
        if fault.code == "parent-missing" and sim.forest.haunted(start_of(sim, glob)):
            raise Ghostly from None
        if fault.code not in ("parent-missing", "unknown-case"):
            raise fault.at("match") from None
        found = []
    if not found:
        raise nearglob.no_match(sim, operation)
    if operation.count is not UNSET and len(found) != operation.count:
        text = f"{operation.match!r} matches {len(found):,} entries, not {operation.count:,}"
        path = paths.joined(sim.base, operation.match)
        raise Fault("wrong-count", text, key="count", path=path, changes={"count": len(found)})
    return found


def _parsed(sim: Simulation, operation: Move | Copy | Delete, pattern: str, key: str) -> Glob:
    try:
        return Glob.parse(pattern)
    except PatternError as error:
        fault = Fault("bad-glob", f"the glob {pattern!r}: {error}", key=key, path=pattern)
        if pattern.startswith("/"):
            fault.hint, fault.changes = "paths start at the case", sim.search.restated(operation)
        raise fault from None
