"""The lines of the difference: every effect, in the order in which a reviewer should meet them.

Deletions, replacements and moves between cases first; then oddities; then
patterns, rarest first. The order is settled on nodes; an `Effect` is made only
when its line is written, so a million of them never stand in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count
from typing import NamedTuple

from treegate.model.effects import By, Effect, EffectKind, Text, tagged
from treegate.model.net import Net, size_in
from treegate.model.notice import Notice
from treegate.model.paths import extension
from treegate.model.tree import DIR, FILE, Node

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
        shapes: dict[Shape, list[Node]] = {}
        for (home, to), nodes in self.net.pairs.items():
            plain = nodes if not self.net.replaced else [node for node in nodes if node not in self.net.replaced]
            if self._crosses(home, to):
                self.crossings += plain
            else:
                self._sort_moves(home, to, self._without_odd(plain), shapes)
        new = [node for node in (*self.net.restored, *self.net.new) if node not in self.net.replaced]
        for node in self._without_odd(new):
            shapes.setdefault(self.shape(node), []).append(node)
        self._break_patterns(shapes)
        self.patterns = sorted(shapes.items(), key=lambda item: len(item[1]))
        told = {*self.net.moved, *self.net.restored} if self.net.set else set()
        self.settings += [node for node in self.net.set if node not in told]

    def _sort_moves(self, home: Node, to: Node, nodes: list[Node], shapes: dict[Shape, list[Node]]) -> None:
        """Sorts what moves between two folders by extension."""
        groups: dict[str, list[Node]] = {}
        for node in nodes:
            ext = "/" if node.kind is DIR else extension(node.home_name)
            group = groups.get(ext)
            if group is None:
                group = groups[ext] = shapes.setdefault(Shape("moved", home, ext.casefold(), to), [])
            group.append(node)

    def _without_odd(self, nodes: list[Node]) -> list[Node]:
        """Notes which are odd, and gives the others."""
        if not self.odd:
            return nodes
        for node in nodes:
            if node in self.odd:
                first = self.odd[node][0]
                self.oddities.append((node, first.code, first.message))
        return [node for node in nodes if node not in self.odd]

    def _crosses(self, home: Node, to: Node) -> bool:
        """Whether two folders lie in different cases."""
        return self.net.case(home.where) != self.net.case(self.net.folder(to))

    def shape(self, node: Node) -> Shape:
        """The pattern that an entry's effect belongs to."""
        kind = self.effect_of(node)
        source = node.home
        name = node.home_name or node.name
        if node.made is not None:
            source = node.made.source.home if node.made.source is not None else None
            name = node.name
        ext = "/" if node.kind is DIR else extension(name).casefold()
        return Shape(kind, source, ext, node.parent)

    def effect_of(self, node: Node) -> EffectKind:
        """The word for what becomes of an entry."""
        net, home, to = self.net, node.home, node.parent
        if net.replaced and node in net.replaced:
            return "replaced"
        if node.made is not None:
            return node.made.effect
        if to in net.forest.vaults:
            return "deleted"
        if to is home and node.name == node.home_name:
            return "set"
        return "restored" if home is not None and home.where[:1] == "/" else "moved"

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

    @property
    def graver(self) -> int:
        """How many effects come before the oddities."""
        return len(self.deletions) + len(self.replacements) + len(self.crossings)

    def __iter__(self) -> Iterator[Effect]:
        """Every effect, numbered e1, e2, ... as it is displayed."""
        numbers = count(1)
        yield from map(self.effect, self._first(), numbers)
        for shape, nodes in self.patterns:
            plain = shape.effect == "moved" and not self.net.set
            yield from map(self._move if plain else self.effect, nodes, numbers)
        yield from map(self.effect, self.settings, numbers)

    def nodes(self) -> Iterator[Node]:
        """The entries behind the lines, in display order."""
        yield from self._first()
        for _, nodes in self.patterns:
            yield from nodes
        yield from self.settings

    def _first(self) -> Iterator[Node]:
        """The entries that come before the patterns."""
        yield from self.deletions
        yield from self.replacements
        yield from self.crossings
        for node, _, _ in self.oddities:
            yield node

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
            kind=node.kind,
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
        kind, facts, ops = node.kind, node.facts, node.ops
        if kind is FILE and facts is not None:
            files, size = 1, size_in(facts)
        else:
            held = self.net.held(node)
            files, size = held.files, held.size
        path, source = self.net.path(node), node.home_path()
        return Effect(
            id=f"e{number}",
            effect="moved",
            path=path if path.isascii() else tagged(path),
            kind=kind,
            source=source if source.isascii() else tagged(source),
            operations=(ops,) if type(ops) is int else node.operations,
            files=files,
            size=size,
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
