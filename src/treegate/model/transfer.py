"""Moves and copies: one entry given another slot, or made again at one."""

from __future__ import annotations

from msgspec import UNSET

from treegate.model import paths
from treegate.model.forest import Fault
from treegate.model.operations import Copy, Create, Move, Rename, Symlink
from treegate.model.simulate import Simulation
from treegate.model.tree import Kind, Made, Node

_SIZE = 6  # index in packed facts
COMPARED = 256 * 1024 * 1024  # bytes; larger files of one size are not read to say whether they are identical


def transfer(sim: Simulation, node: Node, to: str, operation: Move | Copy | Rename) -> None:
    """Moves or copies an entry to where `to` says: into a folder if it ends in `/`, else to that very path."""
    key = "name" if isinstance(operation, Rename) else "to"
    into = to.endswith("/")
    path = sim.text(to[:-1] if into else to, key)
    if into:
        name = node.name
        path = paths.joined(path, name)
    else:
        name = path.rpartition("/")[2]
    above = path[: -len(name) - 1]
    if not above:
        raise Fault("case-untouchable", f"{path!r} would be a case itself", key=key, path=path)
    if node.kind is Kind.DIR:
        _refuse_into_itself(sim, node, path, to, key)
    folder = sim.forest._folders.get(above) or sim.folder_made(above, key)
    there = sim.forest.child(folder, name)
    if there is not None:
        if there is node and not isinstance(operation, Copy):
            sim.warn(Fault("nothing-to-do", f"{to!r} is where it is already", key=key, path=path, drop=True))
            return
        if there.kind is Kind.DIR:
            raise _folder_in_the_way(sim, node, to, into, path, key)
        name = make_room(sim, there, folder, name, operation, node, key)
    sim.check_name(folder, name, path, key)
    _across(sim, node, folder, path, isinstance(operation, Copy))
    if isinstance(operation, Copy):
        new = copied(sim, node, folder, name)
    else:
        new = node
        if node.made is None:
            sim.forest.packed(node)
        sim.forest.put(node, folder, name)
    sim.forest.touch(new, sim.number)
    if there is not None and there.parent is not folder:
        sim.replaced[new] = there


def _refuse_into_itself(sim: Simulation, node: Node, path: str, to: str, key: str) -> None:
    own = node.path()
    if path.startswith(own + "/"):
        raise Fault("folder-into-itself", f"{to!r} lies inside {sim.shown(own)!r}", key=key, path=path)


def _folder_in_the_way(sim: Simulation, node: Node, to: str, into: bool, path: str, key: str) -> Fault:
    if into or node.kind is Kind.DIR:
        return Fault("folders-never-merge", f"there is a folder at {sim.shown(path)!r}", key=key, path=path)
    text = f"{to!r} is a folder"
    if key == "name":
        return Fault("destination-is-folder", text, key=key, path=path, hint="choose another name")
    return Fault("destination-is-folder", text, key=key, path=path, better=to + "/")


def make_room(
    sim: Simulation,
    there: Node,
    folder: Node,
    name: str,
    operation: Move | Copy | Rename | Create | Symlink,
    node: Node | None,
    key: str,
) -> str:
    """The name to use where something is at the slot already, as `if_exists` says; raises Fault."""
    wish = getattr(operation, "if_exists", UNSET)
    if wish == "number":
        return numbered(sim, folder, name)
    if wish == "replace" and there.kind is Kind.FILE and there is not node:
        if there.made is None:
            sim.forest.packed(there)
        sim.forest.remove(there, sim.number)
        return name
    raise _occupied(sim, there, folder, name, node, key, wish is UNSET)


def _occupied(
    sim: Simulation, there: Node, folder: Node, name: str, node: Node | None, key: str, may_number: bool
) -> Fault:
    path = paths.joined(folder.path(), name)
    shown = sim.shown(path)
    changes = {"if_exists": "number"} if may_number else None
    if there.ops and (there.made is not None or there.moved):
        by = there.operations[-1]
        who = sim.shown(node.path()) if node is not None else f"operation {sim.number}"
        first = sim.shown(there.home_path()) if there.made is None else f"operation {by}"
        text = f"both {first!r} (operation {by}) and {who!r} would lie at {shown!r}"
        return Fault("same-target", text, key=key, path=path, changes=changes, also=(by,))
    kind = {Kind.FILE: "a file", Kind.LINK: "a link", Kind.OTHER: "a special file"}.get(there.kind, "a folder")
    text = f"there is {kind} at {shown!r} already{_compared(sim, node, there)}"
    return Fault("destination-exists", text, key=key, path=path, changes=changes)


def _compared(sim: Simulation, node: Node | None, there: Node) -> str:
    """Whether the two are identical, as a clause."""
    if node is None or node.kind is not Kind.FILE or there.kind is not Kind.FILE:
        return ""
    if node.made is not None or there.made is not None:
        return ""
    size, other = sim.forest.facts(node)[_SIZE], sim.forest.facts(there)[_SIZE]
    if size != other:
        return f", and it is different ({other:,} bytes, not {size:,})"
    if size > COMPARED:
        return f", of the same size ({size:,} bytes; not compared further)"
    tree = sim.world.tree
    same = tree.sha256(node.home_path()) == tree.sha256(there.home_path())
    return ", and the two are identical" if same else ", and it is different (of the same size)"


def numbered(sim: Simulation, folder: Node, name: str) -> str:
    """The first of `name (2).ext`, `name (3).ext`, ... that is free in the folder."""
    names = sim.forest.names(folder)
    ext = paths.extension(name)
    stem = name[: len(name) - len(ext)]
    number = 2
    while f"{stem} ({number}){ext}" in names:
        number += 1
    return f"{stem} ({number}){ext}"


def _across(sim: Simulation, node: Node, folder: Node, path: str, copying: bool) -> None:
    """Refuses a move to another filesystem, which could not be one act."""
    volumes = sim.world.volumes
    if copying or len(set(volumes.values())) < 2 or node.made is not None:
        return
    if sim.forest.volume_of_home(node) != sim.forest.volume(folder):
        raise Fault("other-filesystem", f"{sim.shown(path)!r} is on another filesystem", key="to", path=path)


def copied(sim: Simulation, node: Node, folder: Node, name: str) -> Node:
    """A copy of an entry, content as it is at this operation; of a folder, of all it holds."""
    forest = sim.forest
    if node.kind is Kind.OTHER:
        raise Fault("special-file", f"{sim.shown(node.path())!r} cannot be copied", key="from", path=node.path())
    if node.kind is not Kind.DIR:
        return forest.make(node.kind, folder, name, _copy_of(sim, node))
    children = list(forest.children(node))
    new = forest.make(Kind.DIR, folder, name, _copy_of(sim, node))
    for child in children:
        copied(sim, child, new, child.name)
    return new


def _copy_of(sim: Simulation, node: Node) -> Made:
    made = Made("copied")
    if node.made is not None:
        was = node.made
        made.blob, made.size, made.source, made.target = was.blob, was.size, was.source, was.target
        made.mode, made.mtime = was.mode, was.mtime
        return made
    facts = sim.forest.facts(node)
    made.source = node
    made.size = facts[_SIZE] if node.kind is Kind.FILE else 0
    if node.setting is not None:
        made.mode, made.mtime = node.setting
    if node.kind is Kind.LINK:
        made.target = sim.world.tree.target(node.home_path())
        made.mtime = facts[7]
    if node.kind is Kind.DIR:
        made.mode = made.mode if made.mode is not None else facts[0] & 0o7777
    return made
