"""Backups before moves: which files a plan moves, so that a copy of each can be laid into the run's vault first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from treegate.model.net import Net, size_in
from treegate.model.paths import split
from treegate.model.preview import Backup
from treegate.model.problems import Problem, problem
from treegate.model.tree import DIR, FILE, Node


class Backups(NamedTuple):
    """The files to be copied, as they are before the run, and whether as full copies or sharing their blocks."""

    mode: str = "off"
    files: tuple[Node, ...] = ()

    @property
    def full(self) -> bool:
        return self.mode == "copy"

    def by_case(self, net: Net) -> dict[str, list[Node]]:
        """The files by the case that they are in."""
        found: dict[str, list[Node]] = {}
        for node in self.files:
            found.setdefault(net.case(node.home_path()), []).append(node)
        return found


def backups(net: Net, mode: str) -> Backups:
    """The backups that a mode of `policy.backup.before_moves` asks for; raises OSError (a folder is unreadable)."""
    return Backups(mode, () if mode == "off" else tuple(_moving(net)))


def size_of(nodes: list[Node]) -> int:
    """The bytes that files hold."""
    return sum(size_in(node.facts) for node in nodes if node.facts is not None)


def told(net: Net, made: Backups) -> Backup | None:
    """What a preview says of the backups; None where policy asks for none."""
    if made.mode == "off":
        return None
    cases = made.by_case(net)
    free = min((net.forest.tree.free(case)[0] for case in cases), default=0)
    return Backup(mode=made.mode, files=len(made.files), size=size_of(list(made.files)), free=free)


def not_shared(net: Net, made: Backups) -> Iterator[Problem]:
    """The cases whose mount cannot share blocks, where that is what policy asks for."""
    for case in made.by_case(net) if made.mode == "reflink" else ():
        mount = net.forest.cases[case]
        if not mount.reflinks:
            text = (
                f"policy asks for a backup of each file that moves by reflink, and {mount.filesystem} has none here"
            )
            yield problem("no-reflink", text, path=case)


def _moving(net: Net) -> Iterator[Node]:
    """Every file that moves: on its own, or in a folder that does, unless it leaves that on its own."""
    leaving = {node.home_path() for node in (*net.moved, *net.deleted)}
    folders = {node.home.where: node.home for node in (*net.moved, *net.deleted) if node.home is not None}
    for node in net.moved:
        if node.kind is FILE:
            net.forest.packed(node)
            yield node
        elif node.kind is DIR:
            yield from _inside(net, node, leaving, folders)


def _inside(net: Net, top: Node, leaving: set[str], folders: Mapping[str, Node]) -> Iterator[Node]:
    tree, here = net.forest.tree, {"": top}
    for path, kind in tree.walk(top.home_path()):
        within, name = split(path)
        above = here.get(within)
        full = f"{top.home_path()}/{path}"
        if above is None or full in leaving:
            continue
        if kind is DIR:
            here[path] = folders.get(full) or _folder(net, above, name, full)
        elif kind is FILE:
            facts = tree.facts(above.home_path(), name)
            if facts is not None:
                yield Node(FILE, above, name, above, name, facts)


def _folder(net: Net, above: Node, name: str, where: str) -> Node:
    node = Node(DIR, above, name, above, name, net.forest.tree.facts(above.home_path(), name))
    node.where = where
    return node
