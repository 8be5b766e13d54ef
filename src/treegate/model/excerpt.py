"""The excerpt: what of the full list of effects a preview itself carries, whatever its size."""

from __future__ import annotations

from collections.abc import Iterator

from treegate.model.effects import Text, tagged
from treegate.model.lines import Lines, Shape
from treegate.model.net import Net
from treegate.model.preview import SHOWN, Oddity, Pattern, Section
from treegate.model.tree import Node

MOST_PATTERNS = 200  # the rarest, and the largest few; the others are counted
MOST_LARGEST = 10


def sections(lines: Lines) -> list[Section]:
    """The first of each grave class."""
    grave = (("deletions", lines.deletions), ("replacements", lines.replacements), ("crossings", lines.crossings))
    found, first = [], 1
    for kind, nodes in grave:
        if nodes:
            effects = [lines.effect(node, number) for number, node in enumerate(nodes[:SHOWN], first)]
            found.append(Section(kind=kind, count=len(nodes), effects=effects))
        first += len(nodes)
    return found


def oddities(lines: Lines) -> list[Oddity]:
    """The first of each code, so that a flood of one does not hide the others."""
    found: list[Oddity] = []
    counts: dict[str, int] = {}
    for number, (node, code, note) in enumerate(lines.oddities, lines.graver + 1):
        counts[code] = counts.get(code, 0) + 1
        if counts[code] <= SHOWN:
            found.append(Oddity(code=code, note=note, effect=lines.effect(node, number)))
    return found


def patterns(lines: Lines) -> Iterator[Pattern]:
    """The patterns that are told, each with its first examples."""
    first = lines.graver + len(lines.oddities)
    for index, (shape, nodes) in enumerate(lines.patterns):
        if index < MOST_PATTERNS - MOST_LARGEST or index >= len(lines.patterns) - MOST_LARGEST:
            yield _pattern(lines, f"p{index + 1}", shape, nodes, first)
        first += len(nodes)


def _pattern(lines: Lines, id: str, shape: Shape, nodes: list[Node], first: int) -> Pattern:
    """A pattern, whose effects begin at position `first`, counted from 0."""
    held = lines.net.held_by(nodes)
    return Pattern(
        id=id,
        effect=shape.effect,
        source=None if shape.source is None else tagged(_glob(shape.source, shape.ext)),
        to=tagged(_into(lines.net, shape)),
        count=len(nodes),
        files=held.files,
        size=held.size,
        first=first,
        examples=[lines.effect(node, number) for number, node in enumerate(nodes[:3], first + 1)],
    )


def _glob(source: Node, ext: str) -> str:
    """Where the effects of a pattern come from, as a glob."""
    folder = "vault" if source.where.startswith("/") else source.where
    tail = "*/" if ext == "/" else f"*{ext}" if ext else "*"
    return f"{folder}/{tail}" if folder else tail


def _into(net: Net, shape: Shape) -> str:
    if shape.to is None:
        return ""
    return (net.path(shape.to) if shape.to.parent is not None else shape.to.name) + "/"


def implied(net: Net) -> tuple[list[Text], int]:
    """The first folders that are made only because something is put into them, and how many there are."""
    found = [node for node in net.new if node.made is not None and node.made.implied]
    return [tagged(net.path(node)) for node in found[:SHOWN]], len(found)
