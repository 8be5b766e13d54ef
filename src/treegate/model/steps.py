"""The step compiler: from where entries are and where they shall be to the fewest renames and exchanges between.

Slots are (parent entry, name), so only two things can stand in a step's way: another entry that still holds the
target slot, and an entry's own inside (a folder cannot go under itself). Hence three kinds of entries:

1. Files whose slots nobody else wants or holds go in groups of one folder pair, once their target folder stands.
2. All else waits for what must be done before it: the folder it goes into, then the entry that holds its slot.
   A folder whose target stands at its final place is never refused; a ring of entries that only wait for each
   other's slots is turned by exchanges, one fewer than its length.
3. Folders that are, before or after, around what is around themselves are a *knot*. A knot with the chains of
   slots it is in makes a tangle. Small tangles are solved exactly (`model.tangles`, `model.placements`) as soon
   as all that is free of them is done; large ones go entry by entry, parking only where nothing else is allowed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from treegate.model import placements
from treegate.model.board import Board, Group, Row, Slot, Steps, goal_of
from treegate.model.placements import PARKED
from treegate.model.tangles import heirs_of, knots_of, tangles_of
from treegate.model.tree import DIR, Node

Pair = tuple[Node, Node]


def compile_steps(touched: Sequence[Node], park: Callable[[Node], Node], *, exchange: bool) -> Steps:
    """The steps that bring every touched entry from its home slot to its final slot, in an order that works.

    `park` names the parking area to use for an entry; entries that share one lie on one filesystem. Without
    `exchange` there are only renames. The given order is kept within a pair of folders. Both configurations have
    to be forests, and no final slot may be held by an entry that is not touched.
    """
    contested = _contested(touched)
    groups, knotted = _sort(touched, contested)
    order = _Order(Board(knotted, contested, park, exchange), _vaults(touched))
    for pair, entries in groups.items():
        order.release(pair, entries)
    order.run()
    return order.board.steps


def _contested(touched: Sequence[Node]) -> dict[Node, Row]:
    """The entry at each slot that one touched entry leaves and another takes, as parent -> name -> entry."""
    parents = {entry.parent for entry in touched} & {entry.home for entry in touched}
    if not parents:
        return {}
    wanted: dict[Node | None, set[str]] = {parent: set() for parent in parents}
    for entry in touched:
        if entry.parent in parents:
            wanted[entry.parent].add(entry.name)
    contested: dict[Node, Row] = {}
    for entry in touched:
        if entry.home in parents and entry.home_name in wanted[entry.home] and entry.home is not None:
            contested.setdefault(entry.home, {})[entry.home_name] = entry
    return contested


def _sort(touched: Sequence[Node], contested: dict[Node, Row]) -> tuple[dict[Pair, list[Node]], list[Node]]:
    """What moves in plain groups by folder pair, and what must be put in order: folders first, then by pair."""
    plain: dict[Pair, list[Node]] = {}
    chained: dict[Pair, list[Node]] = {}
    folders: list[Node] = []
    none: Row = {}
    for entry in touched:
        src, dst = entry.home, entry.parent
        if src is None or dst is None:
            raise ValueError(f"an area never moves: {entry!r}")
        if entry.kind is DIR:
            folders.append(entry)
            continue
        tied = contested and (entry.name in contested.get(dst, none) or entry.home_name in contested.get(src, none))
        groups = chained if tied else plain
        group = groups.get((src, dst))
        if group is None:
            groups[src, dst] = [entry]
        else:
            group.append(entry)
    return plain, folders + [entry for group in chained.values() for entry in group]


def _vaults(touched: Sequence[Node]) -> set[Node]:
    """The vault areas: nodes without a parent that something goes to and nothing comes from."""
    ends = {entry.parent for entry in touched if entry.parent is not None and entry.parent.parent is None}
    return {end for end in ends if end is not None} - {_top(home) for home in {entry.home for entry in touched}}


def _top(node: Node | None) -> Node | None:
    """The area or root that an entry lies in before the run."""
    while node is not None and node.home is not None:
        node = node.home
    return node


class _Order:
    """Decides what comes next: an entry's step is written once nothing it waits for is left."""

    def __init__(self, board: Board, vaults: set[Node]) -> None:
        self.board = board
        self._removed = {entry for entry in board.entries if entry.parent in vaults}
        self._last = {entry for entry in self._removed if entry.kind is DIR}  # once emptied of what leaves them
        self._heirs = heirs_of(board)
        self._knots = knots_of(board)
        self._tangles = tangles_of(board, self._knots, self._heirs)
        held = {entry for tangle in self._tangles for entry in tangle}
        self._last -= held
        self._queue = deque(entry for entry in board.entries if entry not in self._last and entry not in held)
        self._waits: dict[Node, Node] = {}
        self._waiting: dict[Node, list[Node]] = {}  # the reverse of _waits
        self._groups: dict[Node, list[tuple[Pair, list[Node]]]] = {}  # plain groups by the folder they wait for
        self._hasty: set[Node] = set()  # those that no longer wait for the folder they go into

    def release(self, pair: Pair, entries: list[Node]) -> None:
        """Write the renames of a plain group, or keep it until the folder it goes into stands."""
        folder = self.board.unplaced(pair[1])
        if folder is not None and folder not in self._last:
            self._groups.setdefault(folder, []).append((pair, entries))
            return
        self.board.steps.parts.append(Group(entries, *pair))

    def run(self) -> None:
        """Write all steps."""
        self._drain()
        for tangle in self._tangles:
            self._solve(tangle)
        self._drain()
        for entry in self.board.entries:
            while entry in self.board.left and entry not in self._last:
                self._untie(entry)
                self._drain()
        removals = [entry for entry in self.board.left if entry in self._last]
        for entry in sorted(removals, key=_depth, reverse=True):  # inner before outer, else as given
            self._rename(entry)

    def _drain(self) -> None:
        while self._queue:
            entry = self._queue.popleft()
            if entry not in self.board.left:
                continue
            obstacle = self._obstacle(entry)
            if obstacle is None:
                self._step(entry)
            elif self._waits.get(entry) is not obstacle:
                self._waits[entry] = obstacle
                self._waiting.setdefault(obstacle, []).append(entry)

    def _obstacle(self, entry: Node) -> Node | None:
        """What has to move before an entry may."""
        if entry in self._removed:
            heir = self._heirs.get(entry)
            return heir if heir is not None and self._relieves(heir, entry) else None
        if self._awaits_folder(entry):
            return self.board.unplaced(entry.parent)
        blocker = self.board.blocker(entry)
        return None if blocker is None or self._relieves(entry, blocker) else blocker

    def _relieves(self, heir: Node, old: Node) -> bool:
        """Whether an entry takes its predecessor's place by exchange, so that the path is never missing."""
        files = heir.kind is not DIR and old.kind is not DIR
        return self.board.can_exchange and files and old in self._removed

    def _step(self, entry: Node) -> None:
        """Write the step that brings an entry to its final slot."""
        blocker = self.board.blocker(entry)
        if blocker is None:
            self._rename(entry)
        else:
            self._exchange(entry, blocker)

    def _rename(self, entry: Node, to: Slot | None = None) -> None:
        if to is None:
            self.board.place(entry)
        else:
            self.board.rename(entry, to)
        self._heirs.pop(entry, None)
        self._wake(entry)

    def _exchange(self, entry: Node, other: Node) -> None:
        self.board.exchange(entry, other)
        heir = self._heirs.pop(entry, None)
        self._heirs.pop(other, None)
        if heir is not None:
            self._heirs[other] = heir
        self._wake(entry)
        self._wake(other)

    def _wake(self, moved: Node) -> None:
        """Look again at all that waited for an entry, and at itself."""
        for entry in self._waiting.pop(moved, ()):
            if self._waits.get(entry) is moved:
                del self._waits[entry]
                self._queue.append(entry)
        if moved in self.board.left:
            self._queue.append(moved)
            return
        for pair, entries in self._groups.pop(moved, ()):
            self.release(pair, entries)

    def _untie(self, entry: Node) -> None:
        """Find what keeps an entry from its turn, and do one thing about it."""
        path: dict[Node, int] = {}
        while entry not in path:
            if entry in self._last:  # nothing keeps a removal but the wish to come last
                self._last.remove(entry)
                self._queue.append(entry)
                return
            path[entry] = len(path)
            entry = self._waits[entry]
        ring = list(path)[path[entry] :]
        early = [each for each in ring if self._awaits_folder(each)]
        hasty = next((each for each in early if each not in self._knots and each not in self._hasty), None)
        if hasty is not None:
            self._hasty.add(hasty)
            self._queue.append(hasty)
        elif not early and self.board.can_exchange:
            self._turn(ring)
        else:
            self._approach(ring)

    def _awaits_folder(self, entry: Node) -> bool:
        """Whether an entry holds back because the folder it goes into is not in place; in a knot it has to."""
        if self.board.unplaced(entry.parent) is None:
            return False
        return entry not in self._hasty or self.board.inside(entry.parent, entry)

    def _turn(self, ring: list[Node]) -> None:
        """Let entries that each wait for the slot of the next one change places, at the slot of one of them."""
        folders = [each for each in ring if each.kind is DIR]
        for entry in ring:
            place = self.board.slot(entry)[0]
            if not any(self.board.inside(place, folder) for folder in folders):
                break
        else:
            self._put_aside(ring[0])
            return
        while entry in self.board.left:
            other = self.board.blocker(entry)
            if other is None or not self.board.apart(entry, other):
                self._put_aside(entry)  # where parked and exchanged entries of a large tangle stand in the way
                return
            self._exchange(entry, other)
            entry = other

    def _solve(self, tangle: list[Node]) -> None:
        """Write the fewest steps for a tangle; parking places are taken as needed."""
        slots = list(dict.fromkeys([self.board.slot(each) for each in tangle] + [goal_of(each) for each in tangle]))
        number = {slot: place for place, slot in enumerate(slots)}
        self.board.contest(tangle)
        start = tuple(number[self.board.slot(each)] for each in tangle)
        goal = tuple(number[goal_of(each)] for each in tangle)
        around = [self._holder(slot[0], tangle) for slot in slots]
        moves = placements.fewest(start, goal, around, self.board.can_exchange)
        for move in placements.never_missing(moves, self._replaced(tangle), goal):
            entry = tangle[move.entry]
            if move.other >= 0:
                self._exchange(entry, tangle[move.other])
            elif move.slot == PARKED:
                self._put_aside(entry)
            else:
                self._rename(entry, slots[move.slot])

    def _replaced(self, tangle: list[Node]) -> dict[int, int]:
        """Which files of a tangle go to the vault, and which take their slots, by number."""
        pairs = [(old, self._heirs.get(old)) for old in tangle if old in self._removed]
        return {
            tangle.index(old): tangle.index(heir)
            for old, heir in pairs
            if heir is not None and self._relieves(heir, old)
        }

    def _holder(self, node: Node | None, tangle: list[Node]) -> int:
        """The number of the nearest folder of a tangle that a node is or lies in; -1 if none."""
        while node is not None and node not in tangle:
            node = self.board.above(node)
        return -1 if node is None else tangle.index(node)

    def _approach(self, ring: list[Node]) -> None:
        """One step that frees a ring: a move that happens to be allowed, or an exchange, or parking."""
        for entry in ring:
            if self.board.blocker(entry) is None and not self.board.inside(entry.parent, entry):
                return self._rename(entry)
        blocked = [entry for entry in ring if not self._awaits_folder(entry)]
        for entry in blocked:
            other = self._waits[entry]
            if self.board.can_exchange and self.board.apart(entry, other):
                return self._exchange(entry, other)
        return self._put_aside(self._waits[blocked[0]])

    def _put_aside(self, entry: Node) -> None:
        self._rename(entry, self.board.parking(entry))


def _depth(entry: Node) -> int:
    """How deep an entry lies before the run."""
    depth, node = 0, entry.home
    while node is not None:
        depth, node = depth + 1, node.home
    return depth
