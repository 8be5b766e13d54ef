"""What a glob matches in the virtual tree, found by going only where something can match."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from treegate.model import paths
from treegate.model.globs import Glob
from treegate.model.simulate import Simulation
from treegate.model.tree import DIR, OTHER, Node


def matches(sim: Simulation, glob: Glob, excluded: Sequence[Glob] = ()) -> Iterator[Node]:
    """The entries that a glob matches and no other excludes, in byte order of their paths; raises Fault."""
    for node, path in _walk(sim, glob, start_of(sim, glob)):
        if not excluded or not any(other.matches(path, node.kind is DIR) for other in excluded):
            yield node


def start_of(sim: Simulation, glob: Glob) -> str:
    """The folder that all matches of a glob lie under, from `projects/` on; '' if that may be several cases."""
    return paths.joined(sim.base, glob.literal_prefix).removesuffix("/")


def _walk(sim: Simulation, glob: Glob, start: str) -> Iterator[tuple[Node, str]]:
    """(entry, its path as the plan writes it) of what a glob matches, only going where something can match."""
    if start:
        yield from _below(sim, glob, sim.forest.folder(start), sim.shown(start) if start != sim.base else "")
        return
    for case in paths.in_byte_order(list(sim.forest.cases)):
        if glob.may_match_below(case):
            yield from _below(sim, glob, sim.forest.case(case), case)


def _below(sim: Simulation, glob: Glob, top: Node, prefix: str) -> Iterator[tuple[Node, str]]:
    """What matches below a folder, in byte order; folders that match are not entered."""
    forest = sim.forest
    todo: list[Iterator[tuple[Node, str]]] = [_here(sim, glob, top, prefix)]
    while todo:
        found = next(todo[-1], None)
        if found is None:
            todo.pop()
        elif glob.matches(found[1], found[0].kind is DIR):
            yield found
        else:
            todo.append(_here(sim, glob, forest.entered(*found), found[1]))


def _here(sim: Simulation, glob: Glob, folder: Node, path: str) -> Iterator[tuple[Node, str]]:
    """Of one folder: what matches, and the folders below which something may."""
    forest = sim.forest
    names = forest.names(folder)
    for name in paths.in_byte_order(list(names)):
        found = names[name]
        kind = found.kind if isinstance(found, Node) else found
        below = f"{path}/{name}" if path else name
        is_dir = kind is DIR
        if (kind is not OTHER and glob.matches(below, is_dir)) or (is_dir and glob.may_match_below(below)):
            node = forest.child(folder, name)
            assert node is not None
            yield node, below
