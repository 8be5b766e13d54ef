"""The step compiler: from where entries are and where they shall be to the fewest renames and exchanges between.

Slots are (parent entry, name), so only two things can stand in a step's way: another entry that still holds the
target slot, and an entry's own inside (a folder cannot go under itself). Hence three stages:

1. Files whose slots nobody else wants or holds go in groups of one folder pair, once their target folder stands.
2. All else waits for what must be done before it: the folder it goes into, then the entry that holds its slot.
   A folder whose target stands at its final place is never refused; a ring of entries that only wait for each
   other's slots is turned by exchanges, one fewer than its length.
3. What still waits is a *tangle*: folders that each wait, at last, for themselves. Small ones are solved exactly
   (a best-first search, `_fewest`), larger ones entry by entry, parking only where nothing else is allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from treegate.model.table import EXCHANGE, RENAME
from treegate.model.tree import Kind, Node

EXACT = 6  # entries of a tangle up to which the fewest steps are searched for, not only approached

Slot = tuple[Node, str]
Pair = tuple[Node, Node]
Row = dict[str, Node | None]


class Step(NamedTuple):
    """One rename of an entry from slot to slot, or one exchange of two; becomes a `table.Step` when sealed."""

    kind: int  # table.RENAME or table.EXCHANGE
    entry: Node
    src: Node
    src_name: str
    dst: Node
    dst_name: str
    free: bool  # the target slot was free before the run
    first: bool  # the entry's first step: `src` is its home slot
    other: Node | None = None  # exchange: the entry at the target slot, which goes to the source slot
    other_first: bool = False


def compile_steps(touched: Sequence[Node], park: Callable[[Node], Node], *, exchange: bool) -> list[Step]:
    """The steps that bring every touched entry from its home slot to its final slot, in an order that works.

    `park` names the parking area to use for an entry; entries that share one lie on one filesystem. Without
    `exchange` there are only renames. The given order is kept within a pair of folders. Both configurations have
    to be forests, and no final slot may be held by an entry that is not touched.
    """
    contested = _contested(touched)
    groups, knotted = _sort(touched, contested)
    order = _Order(_Board(knotted, contested, park, exchange), _vaults(touched))
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
        if entry.kind is Kind.DIR:
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


class _Board:
    """Where every entry stands while the steps are written down; carries them out one by one."""

    def __init__(
        self, entries: list[Node], held: dict[Node, Row], park: Callable[[Node], Node], exchange: bool
    ) -> None:
        self.entries = entries
        self.left = dict.fromkeys(entries)  # not at their final slots yet
        self.held = held  # contested slots: who is there now, None once vacated
        self.park = park
        self.can_exchange = exchange
        self.steps: list[Step] = []
        self._away: dict[Node, Slot] = {}  # neither at home nor at their final slots
        self._parked = 0

    def slot(self, entry: Node) -> Slot:
        """Where an entry that is left stands now."""
        away = self._away.get(entry)
        if away is not None:
            return away
        assert entry.home is not None
        return entry.home, entry.home_name

    def inside(self, node: Node | None, folder: Node) -> bool:
        """Whether a node is a folder, or lies in it, as things stand now."""
        while node is not None and node is not folder:
            node = self.slot(node)[0] if node in self.left else node.parent
        return node is folder

    def unplaced(self, node: Node | None) -> Node | None:
        """The nearest folder, from a node upwards, that is not at its final slot yet."""
        while node is not None and node not in self.left:
            node = node.parent
        return node

    def blocker(self, entry: Node) -> Node | None:
        """Who holds the slot that an entry shall have."""
        assert entry.parent is not None
        row = self.held.get(entry.parent)
        return row.get(entry.name) if row else None

    def place(self, entry: Node) -> None:
        """Write the step to an entry's final slot, which is free."""
        assert entry.parent is not None
        self.rename(entry, (entry.parent, entry.name))

    def put_aside(self, entry: Node) -> None:
        """Write the step to a parking place."""
        self.rename(entry, (self.park(entry), str(self._parked)))
        self._parked += 1

    def rename(self, entry: Node, to: Slot) -> None:
        """Write one rename."""
        src, first = self.slot(entry), entry not in self._away
        free = to[1] not in self.held.get(to[0], ())
        self.steps.append(Step(RENAME, entry, *src, *to, free, first))
        self._hold(src, None)
        self._stand(entry, to)

    def exchange(self, entry: Node, other: Node) -> None:
        """Write one exchange."""
        src, to = self.slot(entry), self.slot(other)
        first, other_first = entry not in self._away, other not in self._away
        self.steps.append(Step(EXCHANGE, entry, *src, *to, False, first, other, other_first))
        self._stand(entry, to)
        self._stand(other, src)

    def _stand(self, entry: Node, at: Slot) -> None:
        if at[0] is entry.parent and at[1] == entry.name:
            self._hold(at, None)  # nobody else ever wants a slot that its final owner has
            self._away.pop(entry, None)
            del self.left[entry]
        else:
            self._hold(at, entry)
            self._away[entry] = at

    def _hold(self, slot: Slot, entry: Node | None) -> None:
        row = self.held.get(slot[0])
        if row is not None and slot[1] in row:
            row[slot[1]] = entry


class _Order:
    """Decides what comes next: an entry's step is written once nothing it waits for is left."""

    def __init__(self, board: _Board, vaults: set[Node]) -> None:
        self.board = board
        self._removed = {entry for entry in board.entries if entry.parent in vaults}
        self._last = {entry for entry in self._removed if entry.kind is Kind.DIR}  # once emptied of what leaves them
        self._queue = deque(entry for entry in board.entries if entry not in self._last)
        self._heirs: dict[Node, Node] = {}  # who shall have the slot that an entry holds
        self._waits: dict[Node, Node] = {}
        self._waiting: dict[Node, list[Node]] = {}  # the reverse of _waits
        self._groups: dict[Node, list[tuple[Pair, list[Node]]]] = {}  # plain groups by the folder they wait for
        self._hasty: set[Node] = set()  # files that no longer wait for the folder they go into
        self._all_hasty = False
        self._searched = False
        for entry in board.entries:
            blocker = board.blocker(entry)
            if blocker is not None:
                self._heirs[blocker] = entry

    def release(self, pair: Pair, entries: list[Node]) -> None:
        """Write the renames of a plain group, or keep it until the folder it goes into stands."""
        folder = self.board.unplaced(pair[1])
        if folder is not None and folder not in self._last:
            self._groups.setdefault(folder, []).append((pair, entries))
            return
        src, dst = pair
        self.board.steps.extend(
            Step(RENAME, entry, src, entry.home_name, dst, entry.name, True, True) for entry in entries
        )

    def run(self) -> None:
        """Write all steps."""
        self._drain()
        for entry in self.board.entries:
            while entry in self.board.left and entry not in self._last:
                self._untie(entry)
                self._drain()
        for entry in sorted(self._last & self.board.left.keys(), key=self._depth, reverse=True):
            self._step(entry)

    def _depth(self, entry: Node) -> tuple[int, int]:
        """For removals: inner folders before outer ones, else in the given order."""
        depth, node = 0, entry.home
        while node is not None:
            depth, node = depth + 1, node.home
        return depth, 0

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
        if entry.kind is Kind.DIR or not (self._all_hasty or entry in self._hasty):
            folder = self.board.unplaced(entry.parent)
            if folder is not None:
                return folder
        blocker = self.board.blocker(entry)
        return None if blocker is None or self._relieves(entry, blocker) else blocker

    def _relieves(self, heir: Node, old: Node) -> bool:
        """Whether an entry takes its predecessor's place by exchange, so that the path is never missing."""
        files = heir.kind is not Kind.DIR and old.kind is not Kind.DIR
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
        """Find why an entry does not get its turn, and write one step, or give up one wish, that helps."""
        ...
