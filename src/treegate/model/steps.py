"""The step compiler: from where entries are and where they shall be to the fewest renames and exchanges between.

Slots are (parent entry, name), so only two things can stand in a step's way: another entry that still holds the
target slot, and an entry's own inside (a folder cannot go under itself). Hence three kinds of entries:

1. Files whose slots nobody else wants or holds go in groups of one folder pair, once their target folder stands.
2. All else waits for what must be done before it: the folder it goes into, then the entry that holds its slot.
   A folder whose target stands at its final place is never refused; a ring of entries that only wait for each
   other's slots is turned by exchanges, one fewer than its length.
3. Folders that are, before or after, around what is around themselves are a *knot*. A knot with the chains of
   slots it is in makes a tangle. Small tangles are solved exactly (a best-first search, `_fewest`) as soon as all
   that is free of them is done; large ones go entry by entry, parking only where nothing else is allowed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, combinations, count
from typing import NamedTuple

import msgspec

from treegate.model.table import EXCHANGE, RENAME
from treegate.model.tree import Kind, Node

EXACT = 6  # entries of a tangle up to which the fewest steps are searched for (25 ms at worst), not only approached
SEARCHES = 200  # tangles of one plan for which that is done

Slot = tuple[Node, str]
Pair = tuple[Node, Node]
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
        """Where a touched entry stands now."""
        away = self._away.get(entry)
        if away is not None:
            return away
        if entry not in self.left:
            return _goal(entry)
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
        self.rename(entry, _goal(entry))

    def parking(self, entry: Node) -> Slot:
        """A parking place that was never used."""
        self._parked += 1
        return self.park(entry), str(self._parked)

    def rename(self, entry: Node, to: Slot) -> None:
        """Write one rename."""
        src, first = self.slot(entry), self._unmoved(entry)
        free = to[1] not in self.held.get(to[0], ())
        self.steps.append(Step(RENAME, entry, *src, *to, free, first))
        self._hold(src, None)
        self._stand(entry, to)

    def exchange(self, entry: Node, other: Node) -> None:
        """Write one exchange."""
        src, to = self.slot(entry), self.slot(other)
        free = to[1] not in self.held.get(to[0], ())
        first, other_first = self._unmoved(entry), self._unmoved(other)
        self.steps.append(Step(EXCHANGE, entry, *src, *to, free, first, other, other_first))
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


class _Order:
    """Decides what comes next: an entry's step is written once nothing it waits for is left."""

    def __init__(self, board: _Board, vaults: set[Node]) -> None:
        self.board = board
        self._removed = {entry for entry in board.entries if entry.parent in vaults}
        self._last = {entry for entry in self._removed if entry.kind is Kind.DIR}  # once emptied of what leaves them
        self._heirs = _heirs(board)
        self._knots = _knots(board)
        self._tangles = _tangles(board, self._knots, self._heirs)
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
        src, dst = pair
        self.board.steps.extend(
            Step(RENAME, entry, src, entry.home_name, dst, entry.name, True, True) for entry in entries
        )

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
        folders = [each for each in ring if each.kind is Kind.DIR]
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
        slots = list(dict.fromkeys([self.board.slot(each) for each in tangle] + [_goal(each) for each in tangle]))
        number = {slot: place for place, slot in enumerate(slots)}
        self.board.contest(tangle)
        start = tuple(number[self.board.slot(each)] for each in tangle)
        goal = tuple(number[_goal(each)] for each in tangle)
        around = [self._holder(slot[0], tangle) for slot in slots]
        moves = _fewest(start, goal, around, self.board.can_exchange)
        for move in _never_missing(moves, self._replaced(tangle), goal):
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


def _goal(entry: Node) -> Slot:
    assert entry.parent is not None
    return entry.parent, entry.name


def _tangles(board: _Board, knots: dict[Node, set[Node]], heirs: dict[Node, Node]) -> list[list[Node]]:
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


def _knots(board: _Board) -> dict[Node, set[Node]]:
    """The folders that are, before or after, around what is around themselves; with those right around each."""
    around = {entry: _around(board, entry) for entry in board.entries if entry.kind is Kind.DIR}
    for _ in range(2):  # from the top, then from the bottom: what does not lead in, then what does not lead out
        around = _peel(around)
        below: dict[Node, set[Node]] = {entry: set() for entry in around}
        for entry, folders in around.items():
            for folder in folders:
                below[folder].add(entry)
        around = below
    return around


def _around(board: _Board, entry: Node) -> set[Node]:
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


def _heirs(board: _Board) -> dict[Node, Node]:
    """Who shall have the slot that an entry holds."""
    blockers = ((board.blocker(entry), entry) for entry in board.entries)
    return {blocker: entry for blocker, entry in blockers if blocker is not None}


def _chained(board: _Board, heirs: dict[Node, Node], entry: Node) -> Iterator[Node]:
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


PARKED = -1
State = tuple[int, ...]  # the slot of each entry, by number; PARKED is room for all


class Move(NamedTuple):
    """A step of the search: an entry goes to a slot, or (then without one) changes places with another (-1: none)."""

    entry: int
    slot: int
    other: int = -1


def _fewest(start: State, goal: State, around: list[int], exchange: bool) -> list[Move]:
    """The fewest moves from one placement to another, by best-first search (A*).

    `around[slot]` is the entry that the slot lies in, or -1.
    """
    cost = {start: 0}
    came: dict[State, tuple[State, Move]] = {}
    least = _bound(start, goal, exchange)
    agenda: list[list[State]] = [[start]]  # by how many moves more than the bound are needed at least
    done: set[State] = set()
    for extra in count():
        while len(agenda) <= extra + 2:
            agenda.append([])
        while agenda[extra]:
            state = agenda[extra].pop()
            if state == goal:
                return _way(came, goal)
            if state in done:
                continue
            done.add(state)
            for move, after in _moves(state, goal, around, exchange):
                spent = cost[state] + 1
                if spent < cost.get(after, spent + 1):
                    cost[after] = spent
                    came[after] = state, move
                    agenda[spent + _bound(after, goal, exchange) - least].append(after)
    raise AssertionError("every placement can be reached by parking all")


def _never_missing(moves: list[Move], replaced: dict[int, int], goal: State) -> list[Move]:
    """As many moves, but a replaced file leaves by exchange with its successor, where nothing stands against it."""
    for old, new in replaced.items():
        gone = next(place for place, move in enumerate(moves) if old in (move.entry, move.other))
        taking = Move(new, goal[new])
        if moves[gone] != Move(old, goal[old]) or taking not in moves[gone:]:
            continue
        taken = moves.index(taking, gone)
        between = moves[gone + 1 : taken]
        if not any(move.slot == goal[new] or old in (move.entry, move.other) for move in between):
            moves[gone : taken + 1] = [*between, Move(new, PARKED, old), moves[gone]]
    return moves


def _way(came: dict[State, tuple[State, Move]], state: State) -> list[Move]:
    way = []
    while state in came:
        state, move = came[state]
        way.append(move)
    return way[::-1]


def _bound(state: State, goal: State, exchange: bool) -> int:
    """How many moves it takes at least: one an entry, one less (without exchange: more) a ring."""
    holder = {slot: entry for entry, slot in enumerate(state) if slot != PARKED and slot != goal[entry]}
    astray = sum(slot != goal[entry] for entry, slot in enumerate(state))
    rings = 0
    while holder:
        first, entry = holder.popitem()
        while goal[entry] in holder:
            entry = holder.pop(goal[entry])
        rings += goal[entry] == first
    return astray - rings if exchange else astray + rings


def _moves(state: State, goal: State, around: list[int], exchange: bool) -> Iterator[tuple[Move, State]]:
    """Every allowed move, the plainest last, for that is looked at first."""
    free = [slot for slot in range(PARKED, len(around)) if slot == PARKED or slot not in state]
    entries = range(len(state))
    for entry in entries:
        for slot in free:
            if slot != state[entry] and not _within(state, around, slot, entry):
                yield Move(entry, slot), (*state[:entry], slot, *state[entry + 1 :])
    for entry, other in combinations(entries, 2) if exchange else ():
        if not _within(state, around, state[entry], other) and not _within(state, around, state[other], entry):
            after = list(state)
            after[entry], after[other] = state[other], state[entry]
            gets_home = after[entry] == goal[entry]
            yield (Move(entry, PARKED, other) if gets_home else Move(other, PARKED, entry)), tuple(after)


def _within(state: State, around: list[int], slot: int, entry: int) -> bool:
    """Whether a slot lies in an entry."""
    while slot != PARKED and around[slot] >= 0:
        if around[slot] == entry:
            return True
        slot = state[around[slot]]
    return False
