"""Tangles: entries in each other's way, in sets so small that the fewest steps for each can be searched for.

Folders that are, before or after, around what is around themselves are a *knot*. A knot with the chains of slots
it is in makes a tangle.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from treegate.model.board import Board
from treegate.model.tree import DIR, Node

EXACT = 6  # entries of a tangle up to which the fewest steps are searched for (25 ms at worst), not only approached
SEARCHES = 200  # tangles of one plan for which that is done


def tangles_of(board: Board, knots: dict[Node, set[Node]], heirs: dict[Node, Node]) -> list[list[Node]]:
    """Sets of entries that are best solved exactly, each by itself; those that are too large are left out.

    A tangle is the folders of one knot with all that is in their chains of slots: what follows a folder into its
    slot can help it out of the way, and where the last of a chain goes there is room to turn.
    Tangles of one filesystem are solved together if few, since one exchange can help two of them; and a plan so
    small is solved as a whole.
    """
    ties: dict[Node, list[Node]] = {}
    chained: set[Node] = set()
    for entry in knots:
        others = [] if entry in chained else list(_chained(board, heirs, entry))
        chained.update(others)
        _tie(ties, entry, *knots[entry], *others)
    small = knots and len(board.entries) <= EXACT
    areas: dict[Node, list[list[Node]]] = {}
    for part in [[entry] for entry in board.entries] if small else _parts(ties, board.entries):
        areas.setdefault(board.park(part[0]), []).append(part)
    together = [[list(chain(*area))] if sum(map(len, area)) <= EXACT else area for area in areas.values()]
    tangles = [tangle for area in together for tangle in area if len(tangle) <= EXACT]
    return [tangle for tangle in tangles if not knots.keys().isdisjoint(tangle)][:SEARCHES]


def knots_of(board: Board) -> dict[Node, set[Node]]:
    """The folders that are, before or after, around what is around themselves; with those right around each."""
    around = {entry: _around(board, entry) for entry in board.entries if entry.kind is DIR}
    for _ in range(2):  # from the top, then from the bottom: what does not lead in, then what does not lead out
        around = _peel(around)
        below: dict[Node, set[Node]] = {entry: set() for entry in around}
        for entry, folders in around.items():
            for folder in folders:
                below[folder].add(entry)
        around = below
    return around


def _around(board: Board, entry: Node) -> set[Node]:
    return {each for each in (board.unplaced(entry.home), board.unplaced(entry.parent)) if each is not None}


def _peel(leads: dict[Node, set[Node]]) -> dict[Node, set[Node]]:
    """Take out, again and again, the nodes that lead to none."""
    back: dict[Node, list[Node]] = {}
    for node, others in leads.items():
        for other in others:
            back.setdefault(other, []).append(node)
    ends = [node for node, others in leads.items() if not others]
    while ends:
        end = ends.pop()
        del leads[end]
        for node in back.get(end, ()):
            leads[node].remove(end)
            if not leads[node]:
                ends.append(node)
    return leads


def heirs_of(board: Board) -> dict[Node, Node]:
    """Who shall have the slot that an entry holds."""
    blockers = ((board.blocker(entry), entry) for entry in board.entries)
    return {blocker: entry for blocker, entry in blockers if blocker is not None}


def _chained(board: Board, heirs: dict[Node, Node], entry: Node) -> Iterator[Node]:
    """All that take each other's slots, one after the other, up to an entry and on from it."""
    for follow in (board.blocker, heirs.get):
        other = follow(entry)
        while other is not None and other is not entry:
            yield other
            other = follow(other)


def _tie(ties: dict[Node, list[Node]], entry: Node, *others: Node) -> None:
    ties.setdefault(entry, []).extend(others)
    for other in others:
        ties.setdefault(other, []).append(entry)


def _parts(ties: dict[Node, list[Node]], order: list[Node]) -> list[list[Node]]:
    """The connected parts, each in the given order."""
    part: dict[Node, list[Node]] = {}
    parts: list[list[Node]] = []
    for entry in (each for each in order if each in ties):
        if entry not in part:
            parts.append([])
            todo = [entry]
            while todo:
                found = todo.pop()
                if found not in part:
                    part[found] = parts[-1]
                    todo.extend(ties[found])
        part[entry].append(entry)
    return parts
