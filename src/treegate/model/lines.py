"""The lines of the difference: every effect, in the order in which a reviewer should meet them.

Deletions, replacements and moves between cases first; then oddities; then
patterns, rarest first. The order is settled on nodes; an `Effect` is made only
when its line is written, so a million of them never stand in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from treegate.model import paths
from treegate.model.effects import By, Effect, EffectKind, Text, tagged
from treegate.model.net import Net
from treegate.model.notice import Notice
from treegate.model.tree import Kind, Node

RARE = 20  # a pattern this many times rarer than its sibling breaks it


class Shape(NamedTuple):
    """What makes effects one pattern: what happens, from which folder, with which extension, to which folder."""

    effect: EffectKind
    source: Node | None
    ext: str
    to: Node | None


class Lines:
    """All effects of a net difference in display order."""

    def __init__(self, net: Net, found: Iterable[Notice]) -> None:
        self.net = net
        self.odd: dict[Node, list[Notice]] = {}
        for notice in found:
            self.odd.setdefault(notice.node, []).append(notice)
        self.deletions = net.gone
        self.replacements = list(net.replaced)
        self.crossings: list[Node] = []
        self.oddities: list[tuple[Node, str, str]] = []
        self.patterns: list[tuple[Shape, list[Node]]] = []
        self.settings: list[Node] = []
        self._sort()

    def _sort(self) -> None:
        groups: dict[tuple[Node | None, Node | None, str], list[Node]] = {}  # of moves, which most effects are
        shapes: dict[Shape, list[Node]] = {}
        crossing = self._crossing()
        graver, odd = self.net.replaced, self.odd
        for node in (*self.net.moved, *self.net.restored, *self.net.new):
            if node in graver:
                continue
            home, to = node.home, node.parent
            if (home, to) in crossing:
                self.crossings.append(node)
            elif node in odd:
                first = odd[node][0]
                self.oddities.append((node, first.code, first.message))
            elif node.made is None:
                ext = "/" if node.kind is Kind.DIR else paths.extension(node.home_name).casefold()
                group = groups.get((home, to, ext))
                if group is None:
                    groups[home, to, ext] = shapes[self.shape(node)] = [node]
                else:
                    group.append(node)
            else:
                shapes.setdefault(self.shape(node), []).append(node)
        self._break_patterns(shapes)
        self.patterns = sorted(shapes.items(), key=lambda item: len(item[1]))
        told = {*self.net.moved, *self.net.restored} if self.net.set else set()
        for node in self.net.set:
            if node not in told:
                self.settings.append(node)

    def _crossing(self) -> set[tuple[Node | None, Node | None]]:
        """The pairs of folders, of those that moves go between, that lie in different cases."""
        pairs = {(node.home, node.parent) for node in self.net.moved}
        case, path = self.net.case, self.net.path
        return {(home, to) for home, to in pairs if home and to and case(home.where) != case(path(to))}

    def shape(self, node: Node) -> Shape:
        """The pattern that an entry's effect belongs to."""
        kind = self.effect_of(node)
        source = node.home
        name = node.home_name or node.name
        if node.made is not None:
            source = node.made.source.home if node.made.source is not None else None
            name = node.name
        ext = "/" if node.kind is Kind.DIR else paths.extension(name).casefold()
        return Shape(kind, source, ext, node.parent)

    def effect_of(self, node: Node) -> EffectKind:
        """The word for what becomes of an entry."""
        if node in self.net.replaced:
            return "replaced"
        if node.made is not None:
            return node.made.effect
        if self.net.is_removed(node):
            return "deleted"
        if not node.moved:
            return "set"
        home = node.home
        return "restored" if home is not None and home.where.startswith("/") else "moved"

    def _break_patterns(self, shapes: dict[Shape, list[Node]]) -> None:
        """Takes out the lone ones that go elsewhere than all others of their folder and extension."""
        siblings: dict[tuple[Node | None, str], int] = {}
        for shape, nodes in shapes.items():
            if shape.effect == "moved":
                key = (shape.source, shape.ext)
                siblings[key] = max(siblings.get(key, 0), len(nodes))
        for shape in list(shapes):
            most = siblings.get((shape.source, shape.ext), 0) if shape.effect == "moved" else 0
            if len(shapes[shape]) * RARE <= most:
                note = f"{most:,} others of this folder go elsewhere together"
                self.oddities += [(node, "pattern-broken", note) for node in shapes.pop(shape)]

    def __iter__(self) -> Iterator[Effect]:
        """Every effect, numbered e1, e2, ... as it is displayed."""
        for number, node in enumerate(self.nodes(), 1):
            yield self.effect(node, number)

    def nodes(self) -> Iterator[Node]:
        """The entries behind the lines, in display order."""
        yield from self.deletions
        yield from self.replacements
        yield from self.crossings
        for node, _, _ in self.oddities:
            yield node
        for _, nodes in self.patterns:
            yield from nodes
        yield from self.settings

    def effect(self, node: Node, number: int) -> Effect:
        """One line."""
        kind = self.effect_of(node)
        if kind == "moved" and node.setting is None:
            return self._move(node, number)
        net, made = self.net, node.made
        held = net.held(node)
        mode, mtime = (made.mode, made.mtime) if made is not None else node.setting or (None, None)
        old = net.replaced.get(node)
        vault = old.number if old is not None else node.number if kind == "deleted" else None
        return Effect(
            id=f"e{number}",
            effect=kind,
            path=tagged(node.home_path() if kind == "deleted" else net.path(node)),
            kind=node.kind.value,
            source=self._source(node, kind),
            operations=node.operations,
            files=held.files,
            size=held.size,
            sha256=made.blob if made is not None else "",
            target=tagged(made.target) if made is not None and made.target else None,
            mode=None if mode is None else f"{mode:04o}",
            mtime=None if mtime is None else str(mtime),
            old_mode=None if node.setting is None or mode is None else f"{net.forest.facts(node)[0] & 0o7777:04o}",
            old_mtime=None if node.setting is None or mtime is None else str(net.forest.facts(node)[7]),
            replaces=_elsewhere(old, net.path(node)) if old is not None else None,
            by=_by(node) if old is not None else "",
            implied=made.implied if made is not None else False,
            vault=vault,
            entry=node.number,
        )

    def _move(self, node: Node, number: int) -> Effect:
        """The line of a move and no more: nearly all lines are."""
        held = self.net.held(node)
        return Effect(
            id=f"e{number}",
            effect="moved",
            path=tagged(self.net.path(node)),
            kind=node.kind.value,
            source=tagged(node.home_path()),
            operations=node.operations,
            files=held.files,
            size=held.size,
            entry=node.number,
        )

    def _source(self, node: Node, kind: EffectKind) -> Text | None:
        if node.made is not None:
            source = node.made.source
            return tagged(source.home_path()) if source is not None else None
        if kind == "restored":
            return tagged(self.net.home(node))
        return tagged(node.home_path()) if node.moved and kind != "deleted" else None


def _by(node: Node) -> By:
    """How an entry came that takes another's place; `replace` keeps the mode, owner and attributes of the old one."""
    made = node.made
    if made is None:
        return "move"
    if made.source is not None:
        return "copy"
    return "create" if made.like is None else "replace"


def _elsewhere(old: Node, path: str) -> Text | None:
    """Where a replaced file was before the plan, if the folder it was in moves."""
    return tagged(old.home_path()) if old.home_path() != path else None
