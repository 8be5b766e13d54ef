"""The board: where every entry stands while its steps are written down."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from treegate.model.table import EXCHANGE, RENAME
from treegate.model.tree import Node

Slot = tuple[Node, str]
Row = dict[str, Node | None]


class Step(msgspec.Struct, frozen=True, gc=False):
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


class Group(msgspec.Struct, frozen=True, gc=False):
    """Files that all go from one folder to another, each by one rename to a slot that was free before the run."""

    entries: list[Node]
    src: Node
    dst: Node


class Steps:
    """The steps of a run in order. Nearly all are of groups, which stand for them: a million would take 120 MB."""

    def __init__(self) -> None:
        self.parts: list[Step | Group] = []

    def __len__(self) -> int:
        return sum(len(part.entries) if isinstance(part, Group) else 1 for part in self.parts)

    def __iter__(self) -> Iterator[Step]:
        for part in self.parts:
            if isinstance(part, Step):
                yield part
                continue
            src, dst = part.src, part.dst
            for entry in part.entries:
                yield Step(RENAME, entry, src, entry.home_name, dst, entry.name, True, True)


def goal_of(entry: Node) -> Slot:
    """The slot that an entry shall have in the end."""
    assert entry.parent is not None
    return entry.parent, entry.name


class Board:
    """Carries the steps out one by one, in thought, and keeps them."""

    def __init__(
        self, entries: list[Node], held: dict[Node, Row], park: Callable[[Node], Node], exchange: bool
    ) -> None:
        self.entries = entries
        self.left = dict.fromkeys(entries)  # not at their final slots yet
        self.held = held  # contested slots: who is there now, None once vacated
        self.park = park
        self.can_exchange = exchange
        self.steps = Steps()
        self._away: dict[Node, Slot] = {}  # neither at home nor at their final slots
        self._parked = 0

    def slot(self, entry: Node) -> Slot:
        """Where a touched entry stands now."""
        away = self._away.get(entry)
        if away is not None:
            return away
        if entry not in self.left:
            return goal_of(entry)
        assert entry.home is not None
        return entry.home, entry.home_name

    def _unmoved(self, entry: Node) -> bool:
        return entry in self.left and entry not in self._away

    def inside(self, node: Node | None, folder: Node) -> bool:
        """Whether a node is a folder, or lies in it, as things stand now."""
        while node is not None and node is not folder:
            node = self.above(node)
        return node is folder

    def apart(self, one: Node, two: Node) -> bool:
        """Whether neither of two entries lies in the other, as things stand now."""
        return not self.inside(one, two) and not self.inside(two, one)

    def above(self, node: Node) -> Node | None:
        """The folder that a node lies in, as things stand now."""
        return self.slot(node)[0] if node in self.left else node.parent

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

    def contest(self, entries: list[Node]) -> None:
        """Keep the books of the slots of entries that may be used by others on their way."""
        for entry in entries:
            parent, name = self.slot(entry)
            self.held.setdefault(parent, {}).setdefault(name, entry)

    def place(self, entry: Node) -> None:
        """Write the step to an entry's final slot, which is free."""
        self.rename(entry, goal_of(entry))

    def parking(self, entry: Node) -> Slot:
        """A parking place that was never used."""
        self._parked += 1
        return self.park(entry), str(self._parked)

    def rename(self, entry: Node, to: Slot) -> None:
        """Write one rename."""
        src, first = self.slot(entry), self._unmoved(entry)
        free = to[1] not in self.held.get(to[0], ())
        self.steps.parts.append(Step(RENAME, entry, *src, *to, free, first))
        self._hold(src, None)
        self._stand(entry, to)

    def exchange(self, entry: Node, other: Node) -> None:
        """Write one exchange."""
        src, to = self.slot(entry), self.slot(other)
        free = to[1] not in self.held.get(to[0], ())
        first, other_first = self._unmoved(entry), self._unmoved(other)
        self.steps.parts.append(Step(EXCHANGE, entry, *src, *to, free, first, other, other_first))
        self._stand(entry, to)
        self._stand(other, src)

    def _stand(self, entry: Node, at: Slot) -> None:
        if at[0] is entry.parent and at[1] == entry.name:
            self._hold(at, None)  # nobody else ever wants a slot that its final owner has
            self._away.pop(entry, None)
            self.left.pop(entry, None)
        else:
            self._hold(at, entry)
            self._away[entry] = at
            self.left[entry] = None  # the search may move an entry on that had arrived

    def _hold(self, slot: Slot, entry: Node | None) -> None:
        row = self.held.get(slot[0])
        if row is not None and slot[1] in row:
            row[slot[1]] = entry
