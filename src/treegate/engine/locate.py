"""Where every entry of a run is, found out by looking: what a crash left is judged by that and by nothing else.

Places are looked at from the roots down, each once it is known where it lies itself; so it does not matter how far
the folders above an entry have come. An entry is recognised by inode and birth time, or, where there is none, by
inode, size and mtime. On a mount without lasting inodes nothing tells one folder from another: there the journal
says how far the run came (every step is announced by itself), and looking only makes sure of it.
"""

from __future__ import annotations

import os
import stat as st
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence

from treegate.engine import posix
from treegate.engine.aide import ALONE, Aide
from treegate.engine.journal import Entry
from treegate.engine.places import Places, Slot
from treegate.engine.prepass import Finding
from treegate.engine.straight import Straight
from treegate.engine.whereabouts import Whereabouts
from treegate.errors import Stale
from treegate.model.names import fold_key
from treegate.model.table import EXCHANGE, ROOT, Step
from treegate.model.tree import Facts, unpack

FOREIGN = -2  # stands for whatever is none of the run's entries

WAITING, ARRIVED = 1, 2  # what is plain of a step
Move = tuple[int, int, Slot, Slot]  # entry, step, from, to


def same_looks(was: Facts, now: Facts | None) -> bool:
    """Whether this may be an entry that a step brought here, where nothing but its kind and size is kept.

    A folder may be missing: a bucket forgets one that is empty.
    """
    if now is None:
        return st.S_ISDIR(was.mode)
    return st.S_IFMT(was.mode) == st.S_IFMT(now.mode) and (st.S_ISDIR(was.mode) or was.size == now.size)


def still(was: Facts, now: Facts, stable: bool = True) -> bool:
    """Whether this is the same entry, edited or not."""
    if st.S_IFMT(was.mode) != st.S_IFMT(now.mode):
        return False
    if not stable:
        return st.S_ISDIR(was.mode) or (was.size, was.mtime) == (now.size, now.mtime)
    if was.ino != now.ino or (was.btime and now.btime):
        return was.ino == now.ino and was.btime == now.btime
    return st.S_ISDIR(was.mode) or (was.size, was.mtime) == (now.size, now.mtime)


_INODE = slice(20, 28)  # of packed facts
_ONE, _NEVER = (1).to_bytes(4, "little"), bytes(8)


def _ones(steps: Sequence[Step]) -> Iterator[bool]:
    """Of each step, whether it is of something with one name, and with a time at which it was born."""
    return (step.facts[4:8] == _ONE and step.facts[52:] != _NEVER for step in steps)


def is_same(was: bytes, now: bytes) -> bool:
    """`still` of packed facts, which are unpacked only where the inode is the same."""
    return was[_INODE] == now[_INODE] and still(unpack(was), unpack(now))


def _key(name: bytes) -> str:
    return fold_key(os.fsdecode(name), case=True, unicode=True)


def moves(steps: Iterable[tuple[int, Step]]) -> Iterator[Move]:
    """What each of some numbered steps does to each entry it moves, in order."""
    for number, step in steps:
        src, dst = (step.src, step.src_name), (step.dst, step.dst_name)
        yield step.entry, number, src, dst
        if step.kind == EXCHANGE:
            yield step.other, number, dst, src


class Survey:
    """The state of the tree, entry by entry; afterwards `places` knows where each folder is.

    `told` is the number of steps that are made on mounts without lasting inodes, and `places` is as they left it.
    `done` says of each step whether it is made, `lost` lists what is at none of its slots, `at` who is where,
    `facts` what was seen there (packed), `doubled` the slots left over by a rename that was cut off midway. Of steps
    that are `plain` nothing more is kept: the file waits untouched for a free place (WAITING), or is there (ARRIVED).
    """

    def __init__(
        self, places: Places, steps: Sequence[Step], built: dict[int, Entry], told: int = 0, aide: Aide = ALONE
    ) -> None:
        self.steps = steps
        self.done = [False] * len(steps)
        self.plain = bytearray(len(steps))
        self.lost: list[Finding] = []
        self.at: dict[Slot, int] = {}
        self.facts: dict[Slot, bytes] = {}
        self.doubled: list[Slot] = []
        self._places = places
        self._aide = aide
        self._home = {number: places.slot(number) for number in places.numbers()}
        self._was: dict[int, Facts] = {}
        self._candidates: dict[Slot, list[int]] = defaultdict(list)
        self._names: dict[int, set[bytes]] = defaultdict(set)
        self._seen: dict[int, set[Slot]] = defaultdict(set)  # entry -> slots where it was recognised
        self._told: dict[int, Slot] = {}  # entry -> where the journal says that it is
        self._closed: set[int] = set()  # folders that cannot be opened
        self._straight, self._others = self._parted(built)
        self._learn(built)
        self._believe(told)
        self._look()
        self._judge()

    # -- what to look for

    def _parted(self, built: dict[int, Entry]) -> tuple[Sequence[int], list[tuple[int, Step]]]:
        """The numbers of the steps that go straight with a file known by its birth time alone; and the others."""
        if self._places.unstable or self._places.folding:
            return [], list(enumerate(self.steps))
        ways, ones = Straight([self.steps], self._home, built.keys()), list(_ones(self.steps))
        if all(ones) and ways.all_go(self.steps):
            return range(len(self.steps)), []
        straight: list[int] = []
        others: list[tuple[int, Step]] = []
        for number, (step, one) in enumerate(zip(self.steps, ones, strict=True)):
            if one and ways.goes(step):
                straight.append(number)
            else:
                others.append((number, step))
        return straight, others

    def _learn(self, built: dict[int, Entry]) -> None:
        for _, step in self._others:
            self._known(step.entry, step.facts, built)
            if step.kind == EXCHANGE:
                self._known(step.other, step.other_facts, built)
        for entry, _, src, dst in moves(self._others):
            for slot in (src, dst):
                if entry not in self._candidates[slot]:
                    self._candidates[slot].append(entry)
                self._names[slot[0]].add(slot[1])

    def _believe(self, told: int) -> None:
        """Take the journal's word for the entries on mounts without lasting inodes."""
        if not self._places.unstable:
            return
        for entry, number, src, dst in moves(self._others):
            if self._places.root(dst[0]) in self._places.unstable:
                self.done[number] = number < told
                self._told.setdefault(entry, src)
                if self.done[number]:
                    self._told[entry] = dst

    def _known(self, entry: int, facts: bytes, built: dict[int, Entry]) -> None:
        if entry not in self._was:
            self._was[entry] = unpack(facts or built[entry].facts)

    # -- looking

    def _look(self) -> None:
        """From the roots down; a folder that moves is looked into where it was recognised."""
        below: dict[int, list[int]] = defaultdict(list)
        for number, (parent, _) in self._home.items():
            if parent != ROOT and (number not in self._was or number in self._told):
                below[parent].append(number)
        todo = deque(self._places.roots())
        while todo:
            place = todo.popleft()
            todo.extend(below[place])
            if self._names[place]:
                todo.extend(self._look_into(place))

    def _look_into(self, place: int) -> Iterator[int]:
        """Look at all slots in one folder; the folders recognised there."""
        handle = self._opened(place)
        if handle is None:
            return
        for name in self._apart(place, handle):
            try:
                now = posix.packed(handle, name)
            except FileNotFoundError:
                continue
            slot = (place, name)
            self.facts[slot], self.at[slot] = now, FOREIGN
            for entry in self._candidates[slot]:
                if entry not in self._told and still(self._was[entry], unpack(now)):
                    self._seen[entry].add(slot)
                    if entry in self._home:
                        self._places.moved(entry, place, name)
                        yield entry

    def _apart(self, place: int, handle: int) -> Iterable[bytes]:
        """The names to look at in a folder; of those that its mount takes for one, what it lists."""
        names = self._names[place]
        if self._places.root(place) not in self._places.folding:
            return names
        listed = set(posix.names(handle))
        shown = {_key(name) for name in names & listed}
        return [name for name in names if name in listed or _key(name) not in shown]

    def _opened(self, place: int) -> int | None:
        """A handle of a folder; None, and told once, where it cannot be opened."""
        try:
            return self._places.handle(place)
        except (OSError, Stale) as error:
            unstable = self._places.root(place) in self._places.unstable
            if place not in self._closed and not (unstable and isinstance(error, FileNotFoundError)):
                self.lost.append(Finding(self._places.shown(place), f"the folder cannot be opened: {error}", place))
            self._closed.add(place)
            return None  # on a bucket, a folder with nothing in it

    # -- what goes straight

    def _find_straight(self) -> None:
        """Where the files are that go straight: at one of two places."""
        self._seen_straight = Whereabouts(self.steps, self._straight, self._opened, self._aide)
        for number in self._seen_straight.waiting:
            self.plain[number] = WAITING
        for number in self._seen_straight.arrived:
            self.plain[number], self.done[number] = ARRIVED, True
        for number in self._seen_straight.unclear:
            self._look_closer(number)
        if self._places.doubling:
            self._look_behind()

    def _look_closer(self, number: int) -> None:
        """Where a file is that goes straight, by looking at both places."""
        step = self.steps[number]
        before = self._sees(step, step.src, step.src_name)
        made = self._sees(step, step.dst, step.dst_name)
        if made and before and self._may_be_two(number):
            self.doubled.append((step.src, step.src_name))
            del self.at[step.src, step.src_name]
        elif not made and not before:
            shown = self._places.shown(step.src, step.src_name)
            self.lost.append(Finding(shown, "is at none of its places", step.entry))
        self.done[number] = made

    def _sees(self, step: Step, place: int, name: bytes) -> bool:
        """Whether a step's file is at a slot."""
        handle = self._opened(place)
        if handle is None:
            return False
        try:
            now = posix.packed(handle, name)
        except FileNotFoundError:
            return False
        found = is_same(step.facts, now)
        self.facts[place, name] = now
        self.at[place, name] = step.entry if found else FOREIGN
        return found

    def _look_behind(self) -> None:
        """Look closer at what arrived and left a place that is taken (again): it may be in the way, or its own second
        name."""
        for number in self._seen_straight.taken_again():
            if self.plain[number]:
                self.plain[number] = 0
                self._look_closer(number)

    # -- concluding

    def _judge(self) -> None:
        """How far each entry came."""
        self._make_sure()
        self._follow()
        self._find_straight()

    def _follow(self) -> None:
        """How far those came that go a longer way. Hard links to one inode cannot be told apart, and go together."""
        groups: dict[tuple[int, int, int], list[Move]] = defaultdict(list)
        for move in moves(self._others):
            if move[0] in self._told:
                continue
            was = self._was[move[0]]
            same_again = 0 if was.btime else was.mtime
            groups[was.ino, was.btime, same_again].append(move)
        votes: dict[int, set[bool]] = defaultdict(set)
        for group in groups.values():
            for number, made in self._came(group):
                votes[number].add(made)
        for number, vote in votes.items():
            self.done[number] = vote == {True}
            if len(vote) > 1:
                self._lose(self.steps[number].entry, "changed places by half")

    def _make_sure(self) -> None:
        """Whether the journal's word may be true."""
        for entry, slot in self._told.items():
            now = self.facts.get(slot)
            if same_looks(self._was[entry], None if now is None else unpack(now)):
                self.at[slot] = entry
            else:
                self.lost.append(Finding(self._places.shown(*slot), "is not as the run left it", entry))

    def _came(self, group: list[Move]) -> Iterator[tuple[int, bool]]:
        """Whether each move of these entries was made: the first moment at which they were where they are now."""
        home: dict[int, Slot] = {}
        for entry, _, src, _ in group:
            home.setdefault(entry, src)
        seen: set[Slot] = set().union(*(self._seen[entry] for entry in home))
        differs = seen ^ set(home.values())
        made, doubled = (-1 if differs else 0), None
        for count, (_, number, src, dst) in enumerate(group, start=1):
            if made >= 0:
                break
            differs ^= {src, dst}
            if not differs and (count == len(group) or group[count][1] != number):
                made = count
            elif differs == {src} and (len(home) == 1 or self._may_be_two(number)):
                doubled = (count, number, src)
        if made < 0 and doubled:
            made = doubled[0]
            if self._may_be_two(doubled[1]):
                self.doubled.append(doubled[2])
        if made < 0:
            for entry in home:
                self._lose(entry, "is at none of its places")
            return
        self._settle(group, made)
        for count, (_, number, _, _) in enumerate(group):
            yield number, count < made

    def _may_be_two(self, number: int) -> bool:
        """Whether a step may have left both its names: made by a second one and the removal of the first, or, as
        btrfs has it, written to the disk by half when the power was cut."""
        step = self.steps[number]
        return step.kind != EXCHANGE and self._places.root(step.src) in self._places.doubling

    def _settle(self, group: list[Move], made: int) -> None:
        where: dict[int, Slot] = {}
        for count, (entry, _, src, dst) in enumerate(group):
            where.setdefault(entry, src)
            if count < made:
                where[entry] = dst
        for entry, slot in where.items():
            self.at[slot] = entry
        for slot in self.doubled:
            self.at.pop(slot, None)

    def _lose(self, entry: int, text: str) -> None:
        place, name = next((src for e, _, src, _ in moves(self._others) if e == entry))
        self.lost.append(Finding(self._places.shown(place, name), text, entry))

    # -- what is possible from here

    def remaining(self) -> list[int]:
        """The numbers of the steps still to be made, in order."""
        return [number for number, done in enumerate(self.done) if not done]

    def made(self) -> list[int]:
        """The numbers of the steps that are made, last one first."""
        return [number for number, done in enumerate(self.done) if done][::-1]

    def obstacles(self, numbers: Iterable[int], back: bool) -> list[Finding]:
        """What stands in the way of making (or taking back) these steps in this order."""
        if back:
            self._look_behind()
        found, at, plain = list(self.lost), dict(self.at), ARRIVED if back else WAITING
        for number in numbers:
            if self.plain[number] == plain:
                continue
            step = self.steps[number]
            src, dst = (step.src, step.src_name), (step.dst, step.dst_name)
            if back:
                src, dst = dst, src
            other = step.other if step.kind == EXCHANGE else None
            if at.get(src) != step.entry:
                found.append(Finding(self._places.shown(*src), "is not where the run left it", step.entry))
            elif at.get(dst) != other:
                found.append(Finding(self._places.shown(*dst), "something else is in the way", step.entry))
            at.pop(src, None)
            at[dst] = step.entry
            if other is not None:
                at[src] = other
        return found
