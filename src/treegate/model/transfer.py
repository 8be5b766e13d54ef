"""Moves and copies: one entry given another slot, or made again at one."""

from __future__ import annotations

from itertools import count
from typing import Any

from msgspec import UNSET

from treegate.model import paths
from treegate.model.forest import Fault
from treegate.model.operations import Copy, Create, Move, Rename, Symlink
from treegate.model.simulate import Simulation
from treegate.model.tree import DIR, FILE, LINK, OTHER, Made, Node

_SIZE, _MTIME = 6, 7  # indices in packed facts
_NAMED = 20  # claimants of one path that a message names


def transfer(sim: Simulation, node: Node, to: str, operation: Move | Copy | Rename) -> None:
    """Moves or copies an entry to where `to` says: into a folder if it ends in `/`, else to that very path."""
    forest, kind = sim.forest, type(operation)
    key, copying = "name" if kind is Rename else "to", kind is Copy
    into = to[-1:] == "/"
    if into:
        name, above = node.name, sim.text(to[:-1], key)
        known = forest.known(above)
    else:
        known, name, above = sim.parted(to, key)
    path = f"{above}/{name}"
    if name == node.name:
        name = node.name  # the same object: of a million names that stay, one copy each is enough
    if node.kind is DIR:
        _refuse_into_itself(sim, node, path, to, key)
    folder = known or sim.folder_made(above, key, name)
    there = forest.child(folder, name)
    if there is not None:
        if there is node and not copying:
            sim.warn(Fault("nothing-to-do", f"{to!r} is where it is already", key=key, path=path, drop=True))
            return
        if there.kind is DIR:
            raise _folder_in_the_way(sim, node, to, into, path, key)
        name = make_room(sim, there, folder, name, operation, node, key)
    sim.check_name(folder, name, path, key, node.name)
    if forest.several_volumes and not copying:
        _across(sim, node, folder, path)
    if there is not None and name == there.name:
        forest.remove(there, sim.number)
    new = copied(sim, node, folder, name) if copying else _moved(sim, node, folder, name)
    forest.touch(new, sim.number)
    if there is not None and there.parent is not folder:
        sim.replaced[new] = there


def _moved(sim: Simulation, node: Node, folder: Node, name: str) -> Node:
    if node.made is not None:
        sim.left(node)
    elif node.facts is None:
        sim.forest.packed(node)
    sim.forest.put(node, folder, name)
    return node


def _refuse_into_itself(sim: Simulation, node: Node, path: str, to: str, key: str) -> None:
    own = node.path()
    if path.startswith(own + "/"):
        raise Fault("folder-into-itself", f"{to!r} lies inside {sim.shown(own)!r}", key=key, path=path)


def _folder_in_the_way(sim: Simulation, node: Node, to: str, into: bool, path: str, key: str) -> Fault:
    if into or node.kind is DIR:
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
    """The name to use where something is at the slot already, as `if_exists` says; raises Fault.

    The same name means that what is there has to go, which is left to the caller: other checks come first.
    """
    wish = getattr(operation, "if_exists", UNSET)
    if wish == "number":
        return numbered(sim, folder, name)
    if wish == "replace" and there is not node:
        if there.kind is FILE and (node is None or node.kind is not DIR):
            if there.made is None:
                sim.forest.packed(there)
            else:
                sim.left(there)
            return name
        path = paths.joined(folder.path(), name)
        text = f"{sim.shown(path)!r} is {_A[there.kind]}; only a file is replaced, and not by a folder"
        raise Fault("type-mismatch", text, key=key, path=path, hint="delete it first, or choose another name")
    may_number = wish is UNSET and hasattr(operation, "if_exists")
    raise _occupied(sim, there, folder, name, node, key, may_number)


_A = {FILE: "a file", LINK: "a link", OTHER: "a special file", DIR: "a folder"}


def _occupied(
    sim: Simulation, there: Node, folder: Node, name: str, node: Node | None, key: str, may_number: bool
) -> Fault:
    path = paths.joined(folder.path(), name)
    shown = sim.shown(path)
    changes: dict[str, Any]
    if may_number:
        changes = {"if_exists": "number"}
    else:
        better = numbered(sim, folder, name)
        changes = {key: better if key == "name" else sim.shown(paths.joined(folder.path(), better))}
    if there.ops and (there.made is not None or there.moved):
        return _same_target(sim, there, node, path, key, changes)
    text = f"there is {_A[there.kind]} at {shown!r} already{_compared(sim, node, there)}"
    return Fault("destination-exists", text, key=key, path=path, changes=changes)


def _same_target(
    sim: Simulation, there: Node, node: Node | None, path: str, key: str, changes: dict[str, Any]
) -> Fault:
    """Everyone who would lie at one path: who is there, those who wanted to before, and who wants to now."""
    by = there.operations[-1]
    first = f"{sim.shown(there.home_path())!r}" if there.made is None else f"what operation {by} makes"
    earlier = sim.claims.setdefault(path, [(by, first)])
    who = repr(sim.shown(node.path())) if node is not None else f"what operation {sim.number} makes"
    others = [f"{claimant} (operation {number})" if "operation" not in claimant else claimant
              for number, claimant in earlier[:_NAMED]]  # fmt: skip
    more = f", {len(earlier) - _NAMED:,} others" if len(earlier) > _NAMED else ""
    text = f"{', '.join(others)}{more} and {who} would lie at {sim.shown(path)!r}"
    also = tuple(dict.fromkeys(number for number, _ in earlier[:_NAMED]))
    earlier.append((sim.number, who))
    return Fault("same-target", text, key=key, path=path, changes=changes, also=also)


def _compared(sim: Simulation, node: Node | None, there: Node) -> str:
    """Whether the two are identical, as a clause."""
    if node is None or node.kind is not FILE or there.kind is not FILE:
        return ""
    if node.made is not None or there.made is not None:
        return ""
    size, other = sim.forest.facts(node)[_SIZE], sim.forest.facts(there)[_SIZE]
    if size != other:
        return f", and it is different ({other:,} bytes, not {size:,})"
    sim.patience -= size
    if sim.patience < 0:
        return f", of the same size ({size:,} bytes; not compared further)"
    tree = sim.world.tree
    same = tree.sha256(node.home_path()) == tree.sha256(there.home_path())
    return ", and the two are identical" if same else ", and it is different (of the same size)"


def numbered(sim: Simulation, folder: Node, name: str) -> str:
    """The first of `name (2).ext`, `name (3).ext`, ... that is free in the folder."""
    names = sim.forest.names(folder)
    ext = paths.extension(name)
    stem = name[: len(name) - len(ext)]
    for number in count(2):
        if (better := f"{stem} ({number}){ext}") not in names:
            return better
    raise AssertionError("there is always a free number")


def _across(sim: Simulation, node: Node, folder: Node, path: str) -> None:
    """Refuses a move to another filesystem, which could not be one act."""
    if node.made is not None:
        return
    if sim.forest.volume_of_home(node) != sim.forest.volume(folder):
        raise Fault("other-filesystem", f"{sim.shown(path)!r} is on another filesystem", key="to", path=path)


def copied(sim: Simulation, node: Node, folder: Node, name: str) -> Node:
    """A copy of an entry, content as it is at this operation; of a folder, of all it holds."""
    forest = sim.forest
    inside = [node]
    if node.kind is DIR:
        inside += _held(sim, node)
    for each in inside:
        if each.kind is OTHER:
            path = each.path()
            raise Fault("special-file", f"{sim.shown(path)!r} cannot be copied", key="from", path=path)
        if each.kind is DIR and each.home is not None:
            forest.not_mounted(each, each.path())
    top = forest.make(node.kind, folder, name, _copy_of(sim, node))
    made = {node: top}
    for each in inside[1:]:
        assert each.parent is not None
        made[each] = forest.make(each.kind, made[each.parent], each.name, _copy_of(sim, each))
    return top


def _held(sim: Simulation, top: Node) -> list[Node]:
    """Everything below a folder at this point, each folder before what it holds."""
    found: list[Node] = []
    folders = [top]
    for folder in folders:
        children = list(sim.forest.children(folder))
        found += children
        folders += [child for child in children if child.kind is DIR]
    return found


def _copy_of(sim: Simulation, node: Node) -> Made:
    made = Made("copied")
    if node.made is not None:
        was = node.made
        made.blob, made.size, made.source, made.target = was.blob, was.size, was.source, was.target
        made.mode, made.mtime = was.mode, was.mtime
        if made.mode is None and was.like is not None:
            made.mode = sim.forest.facts(was.like)[0] & 0o7777
        return made
    facts = sim.forest.facts(node)
    made.source = node
    made.mode, made.mtime = node.setting or (None, None)
    if node.kind is FILE:
        made.size = facts[_SIZE]
        return made
    if made.mtime is None:
        made.mtime = facts[_MTIME]
    if node.kind is LINK:
        made.target = sim.world.tree.target(node.home_path())
    elif made.mode is None:
        made.mode = facts[0] & 0o7777
    return made
