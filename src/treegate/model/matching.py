"""Globs in operations: what they match in the tree as it is at that point, carried out entry by entry."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import UNSET

from treegate.model import paths
from treegate.model.forest import Fault
from treegate.model.globs import Glob, PatternError, Template
from treegate.model.operations import Copy, Delete, Move
from treegate.model.simulate import Simulation
from treegate.model.transfer import transfer
from treegate.model.tree import Kind, Node

_MTIME = 7  # index in packed facts
MOST_FAULTS = 1000  # of one glob; the count of the others is told


def transfer_all(sim: Simulation, operation: Move | Copy) -> None:
    """Moves or copies everything that the operation's glob matches, each to what its template makes of it."""
    try:
        template = Template.parse(operation.to)
    except PatternError as error:
        raise Fault("bad-glob", f"the template {operation.to!r}: {error}", key="to") from None
    faults = 0
    for n, node in enumerate(_matched(sim, operation), 1):
        try:
            transfer(sim, node, _filled(sim, template, node, n), operation)
        except Fault as fault:
            faults += 1
            fault.changes = None  # it would change the whole operation, not this entry
            if faults <= MOST_FAULTS:
                sim.report(fault, None)
    if faults > MOST_FAULTS:
        text = f"{faults - MOST_FAULTS:,} more entries of this glob have such faults"
        raise Fault("same-target", text, key="match")


def _filled(sim: Simulation, template: Template, node: Node, n: int) -> str:
    above = node.parent
    parent = sim.shown(above.path()) if above is not None and "parent" in template.placeholders else ""
    mtime = 0
    if "mtime" in template.placeholders and node.made is None:
        mtime = sim.forest.facts(node)[_MTIME]
    try:
        return template.fill(node.name, parent, mtime, n)
    except ValueError as error:
        raise Fault("bad-glob", f"{sim.shown(node.path())!r}: {error}", key="to", path=node.path()) from None


def delete_all(sim: Simulation, operation: Delete) -> None:
    """Deletes everything that the operation's glob matches."""
    for node in _matched(sim, operation):
        try:
            delete(sim, node, operation)
        except Fault as fault:
            sim.report(fault, None)


def delete(sim: Simulation, node: Node, operation: Delete) -> None:
    """Takes one entry away; a folder that holds something only if the operation says `recursive`."""
    if node.kind is Kind.DIR and operation.recursive is not True and sim.forest.names(node):
        held = len(sim.forest.names(node))
        text = f"the folder {sim.shown(node.path())!r} holds {held:,} {'entry' if held == 1 else 'entries'}"
        raise Fault("folder-not-empty", text, key="recursive", path=node.path(), changes={"recursive": True})
    if node.made is None:
        sim.forest.packed(node)
    sim.forest.remove(node, sim.number)


def _matched(sim: Simulation, operation: Move | Copy | Delete) -> list[Node]:
    """The entries that a glob matches now, in byte order of their paths; raises Fault for none or a wrong count."""
    assert operation.match is not UNSET
    glob = _parsed(operation.match, "match")
    excluded = [] if operation.exclude is UNSET else [_parsed(pattern, "except") for pattern in operation.exclude]
    found = [
        node
        for node, path in _walk(sim, glob)
        if not any(other.matches(path, node.kind is Kind.DIR) for other in excluded)
    ]
    if not found:
        raise Fault("no-match", f"{operation.match!r} matches nothing", key="match")
    if operation.count is not UNSET and len(found) != operation.count:
        text = f"{operation.match!r} matches {len(found):,} entries, not {operation.count:,}"
        raise Fault("wrong-count", text, key="count", changes={"count": len(found)})
    return found


def _parsed(pattern: str, key: str) -> Glob:
    try:
        return Glob.parse(pattern)
    except PatternError as error:
        raise Fault("bad-glob", f"the glob {pattern!r}: {error}", key=key) from None


def _walk(sim: Simulation, glob: Glob) -> Iterator[tuple[Node, str]]:
    """(entry, its path as the plan writes it) of what a glob matches, only going where something can match."""
    prefix = glob.literal_prefix
    start = paths.joined(sim.base, prefix) if prefix else sim.base
    try:
        if start:
            yield from _below(sim, glob, sim.forest.folder(start), prefix)
            return
        for case in paths.in_byte_order(list(sim.forest.cases)):
            if glob.may_match_below(case):
                yield from _below(sim, glob, sim.forest.case(case), case)
    except Fault as fault:
        if fault.code != "parent-missing":
            raise


def _below(sim: Simulation, glob: Glob, folder: Node, path: str) -> Iterator[tuple[Node, str]]:
    forest = sim.forest
    names = forest.names(folder)
    for name in paths.in_byte_order(list(names)):
        kind = names[name]
        if isinstance(kind, Node):
            kind = kind.kind
        below = f"{path}/{name}" if path else name
        is_dir = kind is Kind.DIR
        if kind is not Kind.OTHER and glob.matches(below, is_dir):
            node = forest.child(folder, name)
            assert node is not None
            yield node, below
        elif is_dir and glob.may_match_below(below):
            node = forest.child(folder, name)
            assert node is not None
            yield from _below(sim, glob, forest.entered(node, below), below)
