"""What the conditions of policy are weighed against: a plan's net difference, in the words of conditions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from treegate.model.conditions import CLASSES, CROSSING, Subject
from treegate.model.globs import PathRule, PathRules
from treegate.model.lines import Lines
from treegate.model.net import Net
from treegate.model.preview import Counts
from treegate.model.tree import DIR, Node


class _Touched(NamedTuple):
    """A path that a plan touches; `whole` if all that lies under it goes or comes with it."""

    path: str
    whole: bool


def subject_of(lines: Lines, counts: Counts, author: str, cases: Sequence[str], weak: bool) -> Subject:
    """A plan as conditions see it; paths are looked at only if one asks about them."""
    net = lines.net
    crossings = counts.crossing + _crossing_replacements(net)
    return Subject(
        figures={
            "deletes": counts.deleted_files,
            "delete_bytes": counts.deleted_bytes,
            "replacements": counts.replaced,
            "files": counts.files,
            "bytes": counts.bytes,
            "operations": len(net.outcome.plan.operations),
            "effects": counts.effects,
            "crossings": crossings,
            "cases": len(cases),
        },
        classes=_classes(net, counts, crossings),
        cases=tuple(cases),
        author=author,
        weak=weak,
        touching=lambda patterns: _touching(net, patterns),
        outside=lambda patterns: _outside(net, patterns),
    )


def _crossing_replacements(net: Net) -> int:
    """Files that take another's place by a move from another case."""
    new = (node for node in net.replaced if node.made is None and node.home is not None)
    return sum(_case(node.home_path()) not in ("", net.case(net.path(node))) for node in new)


def _case(home: str) -> str:
    """The case of a path before the run; "" for what comes out of a vault."""
    return home.partition("/")[0]


def _classes(net: Net, counts: Counts, crossings: int) -> frozenset[str]:
    found = {kind for kind in CLASSES if kind != CROSSING and getattr(counts, kind)}
    if counts.moved == counts.crossing:
        found.discard("moved")
    if crossings:
        found.add(CROSSING)
    if net.set:  # what is moved or restored may be set too
        found.add("set")
    return frozenset(found)


def _touched(net: Net) -> Iterator[_Touched]:
    """Every path that something comes to, goes from or is copied from."""
    for node in net.new:
        yield _Touched(net.path(node), _is_folder(node))
        if node.made is not None and node.made.source is not None:
            yield from _before(node.made.source)
    for node in (*net.moved, *net.restored):
        yield _Touched(net.path(node), _is_folder(node))
        yield from _before(node)
    for node in net.deleted:
        yield from _before(node)
    for node in net.set:
        yield _Touched(net.path(node), False)


def _before(node: Node) -> Iterator[_Touched]:
    home = node.home_path()
    if not home.startswith("/"):  # else in a vault, where no rule of paths reaches
        yield _Touched(home, _is_folder(node))


def _is_folder(node: Node) -> bool:
    return node.kind is DIR and (node.made is None or node.made.effect == "copied")


def _touching(net: Net, patterns: tuple[str, ...]) -> str | None:
    rules = PathRules(PathRule.parse(pattern, itself=True) for pattern in patterns)
    for path, whole in _touched(net):
        if rules.covering(path) is not None or (whole and rules.may_cover_below(path)):
            return path
    return None


def _outside(net: Net, patterns: tuple[str, ...]) -> str | None:
    rules = PathRules(PathRule.parse(pattern, itself=False) for pattern in patterns)
    return next((path for path, _ in _touched(net) if rules.covering(path) is None), None)
