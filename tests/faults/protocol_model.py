"""The protocol of one run (database, journal, tree) as a small model, explored to its last state.

A `Disk` is everything that outlives a process. The programs `apply` and
`recover` are generators that yield after every act on it. `explore` runs them
from every disk that can be reached, crashes them after every act, by kill
(what was written stays) and by power cut (of what was not synced, any subset
stays, in any order, torn frames too), and goes on until no new disk appears:
so any number of crashes is covered. What must hold is checked on every disk.

`Protocol` holds the rules of engine.apply and engine.recover, each of which
can be broken; `explore` then has to find the breakage.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, product
from typing import NamedTuple


class Protocol(NamedTuple):
    """Which rules are kept; all true is the protocol as it is."""

    approval_consumed_first: bool = True
    upto_before_act: bool = True
    done_after_sync: bool = True
    folders_synced: bool = True
    direction_durable: bool = True
    direction_kept: bool = True
    new_segment: bool = True
    read_is_synced: bool = True
    recovery_syncs_all: bool = True
    end_before_database: bool = True
    looks_at_tree: bool = True


class Move(NamedTuple):
    """One step: `entry` from slot to slot, or changing places with `other`."""

    entry: str
    src: str
    dst: str
    other: str = ""


class Frame(NamedTuple):
    """One frame of the journal: begin, batch (steps below `upto` may happen, those below `done` did), back, end."""

    kind: str
    upto: int = 0
    done: int = 0
    outcome: str = ""
    after: int = 0  # how many frames its segment's writer had read: the chain across segments


BAD = Frame("bad")
Slots = tuple[tuple[str, str], ...]  # (slot, entry), sorted


class Disk(NamedTuple):
    """What outlives the process; the last segment's and the tree's last acts may not be synced."""

    db: str
    segments: tuple[tuple[Frame, ...], ...]
    synced: tuple[int, ...]  # frames synced, for each segment
    tree: Slots  # as synced
    pending: tuple[tuple[int, bool], ...]  # (step, reversed), in order, not synced
    turned: bool = False  # told by nobody, known to us: a reverse step was made


class Plan(NamedTuple):
    """A tiny plan: the tree before, its steps, their batch size, and the step whose rename fails (-1: none)."""

    name: str
    before: Slots
    steps: tuple[Move, ...]
    batch: int = 2
    fails: int = -1

    @property
    def after(self) -> Slots:
        tree = self.before
        for step in self.steps:
            tree = moved(tree, step, False)
        return tree


class Violation(Exception):
    """Something that must never be, and the disk it was seen on."""


class Damaged(Exception):
    """The journal has a bad frame with a valid one behind it."""


def moved(tree: Slots, step: Move, back: bool) -> Slots:
    """The tree after a step, or KeyError where the step cannot be made."""
    slots = dict(tree)
    src, dst = (step.dst, step.src) if back else (step.src, step.dst)
    if slots.get(src) != step.entry or slots.get(dst, "") != step.other:
        raise KeyError(step)
    del slots[src]
    slots[dst] = step.entry
    if step.other:
        slots[src] = step.other
    return tuple(sorted(slots.items()))


def seen(disk: Disk, plan: Plan) -> Slots:
    """The tree as processes see it: synced or not."""
    tree = disk.tree
    for number, back in disk.pending:
        tree = moved(tree, plan.steps[number], back)
    return tree


class World:
    """A running machine: every act goes to `disk`, as it stands in the page cache."""

    def __init__(self, disk: Disk, plan: Plan) -> None:
        self.disk = disk
        self.plan = plan

    def commit(self, state: str) -> None:
        self.disk = self.disk._replace(db=state)

    def open_segment(self) -> None:
        d = self.disk
        self.disk = d._replace(segments=(*d.segments, ()), synced=(*d.synced, 0))

    def append(self, frame: Frame) -> None:
        *rest, last = self.disk.segments
        self.disk = self.disk._replace(segments=(*rest, (*last, frame)))

    def sync_last(self) -> None:
        d = self.disk
        self.disk = d._replace(synced=(*d.synced[:-1], len(d.segments[-1])))

    def sync_journal(self) -> None:
        self.disk = self.disk._replace(synced=tuple(len(s) for s in self.disk.segments))

    def rename(self, number: int, back: bool = False) -> None:
        moved(seen(self.disk, self.plan), self.plan.steps[number], back)
        pending = (*self.disk.pending, (number, back))
        self.disk = self.disk._replace(pending=pending, turned=self.disk.turned or back)

    def sync_tree(self) -> None:
        self.disk = self.disk._replace(tree=seen(self.disk, self.plan), pending=())


class Told(NamedTuple):
    """What the journal tells: the same questions that engine.journal.Story answers."""

    begun: bool = False
    upto: int = 0
    done: int = 0
    back: bool = False
    ended: str = ""
    frames: int = 0


def read(segments: tuple[tuple[Frame, ...], ...]) -> Told:
    """The torn-tail rule: a bad frame ends its segment, unless a valid one stands behind it."""
    told = Told()
    for frames in segments:
        good = frames[: frames.index(BAD)] if BAD in frames else frames
        if any(f != BAD for f in frames[len(good) :]):
            raise Damaged(frames)
        if good and good[0].after != told.frames:
            raise Damaged("the chain is broken between segments")
        for f in good:
            told = told._replace(
                begun=told.begun or f.kind == "begin",
                upto=max(told.upto, f.upto),
                done=max(told.done, f.done),
                back=told.back or f.kind == "back",
                ended=f.outcome or told.ended,
                frames=told.frames + 1,
            )
    return told


def steps_done(tree: Slots, plan: Plan) -> list[bool]:
    """Which steps are done, judged by where each entry is."""
    at = {entry: slot for slot, entry in tree}
    done = [False] * len(plan.steps)
    for entry in at:
        mine = [
            (i, s.dst if s.entry == entry else s.src) for i, s in enumerate(plan.steps) if entry in (s.entry, s.other)
        ]
        reached = [k for k, (_, slot) in enumerate(mine) if slot == at[entry]]
        for i, _ in mine[: reached[-1] + 1 if reached else 0]:
            done[i] = True
    return done


Run = Iterator[None]


def apply(w: World, p: Protocol) -> Run:
    """Stages 1 to 5 of the durability contract."""
    plan, count = w.plan, len(w.plan.steps)
    if p.approval_consumed_first:
        yield w.commit("applying")
    yield w.open_segment()
    yield w.append(Frame("begin"))
    yield w.sync_last()
    done = 0
    for low in range(0, count, plan.batch):
        high = min(low + plan.batch, count)
        told = done if p.done_after_sync else high
        if p.upto_before_act:
            yield w.append(Frame("batch", high, told))
            yield w.sync_last()
        for number in range(low, high):
            if number == plan.fails:
                yield from turn_back(w, p, list(range(number)))
                return
            yield w.rename(number)
        if p.folders_synced:
            yield w.sync_tree()
        done = high
    yield from end(w, p, "applied", done)


def end(w: World, p: Protocol, outcome: str, done: int = 0) -> Run:
    """The last frame and the last transaction."""
    if not p.end_before_database:
        yield w.commit(outcome)
    yield w.append(Frame("end", 0, done, outcome, after=_frames(w)))
    yield w.sync_last()
    yield w.commit(outcome)


def _frames(w: World) -> int:
    """What a frame written now has to name as the frames before its segment, if it is the first in it."""
    return read(w.disk.segments[:-1]).frames if len(w.disk.segments) > 1 and not w.disk.segments[-1] else 0


def turn_back(w: World, p: Protocol, done: list[int]) -> Run:
    """The direction first, then the reverse steps."""
    yield w.append(Frame("back", after=_frames(w)))
    if p.direction_durable:
        yield w.sync_last()
    yield from reverse(w, p, done)


def reverse(w: World, p: Protocol, done: list[int]) -> Run:
    for number in reversed(done):
        yield w.rename(number, back=True)
    if p.folders_synced:
        yield w.sync_tree()
    yield from end(w, p, "rolled-back")


def recover(w: World, p: Protocol, wish_back: bool) -> Run:
    """What engine.recover does; the same decisions for the same disks."""
    if w.disk.db != "applying":
        return
    told = read(w.disk.segments)
    if p.read_is_synced:
        yield w.sync_journal()
    if not told.begun:
        yield w.commit("approved")
        return
    if told.ended:
        yield w.commit(told.ended)
        return
    if p.new_segment:
        yield w.open_segment()
    flags = steps_done(seen(w.disk, w.plan), w.plan)
    if not p.looks_at_tree:
        flags = [i < told.done for i in range(len(flags))]
    done = [i for i, flag in enumerate(flags) if flag]
    if told.back and p.direction_kept:
        yield from reverse(w, p, done)
    elif wish_back:
        yield from turn_back(w, p, done)
    else:
        yield from forward(w, p, [i for i, flag in enumerate(flags) if not flag])


def forward(w: World, p: Protocol, remaining: list[int]) -> Run:
    """The steps still to be made; an error among them turns back."""
    if remaining:
        yield w.append(Frame("batch", len(w.plan.steps), 0, after=_frames(w)))
        yield w.sync_last()
    for number in remaining:
        if number == w.plan.fails:
            flags = steps_done(seen(w.disk, w.plan), w.plan)
            yield from turn_back(w, p, [i for i, flag in enumerate(flags) if flag])
            return
        yield w.rename(number)
    if p.recovery_syncs_all and p.folders_synced:
        yield w.sync_tree()
    yield from end(w, p, "applied", len(w.plan.steps))


def power_cuts(disk: Disk, plan: Plan) -> Iterator[Disk]:
    """Every disk that a power cut can leave: subsets of the unsynced, frames kept, torn or gone."""
    for segments in product(*(list(_torn(s, n)) for s, n in zip(disk.segments, disk.synced, strict=True))):
        for kept in _subsets(disk.pending):
            tree = disk.tree
            try:
                for number, back in kept:
                    tree = moved(tree, plan.steps[number], back)
            except KeyError:
                continue
            synced = tuple(len(s) for s in segments)
            yield disk._replace(segments=segments, synced=synced, tree=tree, pending=())


def _torn(frames: tuple[Frame, ...], synced: int) -> Iterator[tuple[Frame, ...]]:
    tail = frames[synced:]
    for length in range(len(tail) + 1):
        for pick in product(*([f, BAD] for f in tail[:length])):
            yield (*frames[:synced], *pick)


def _subsets(pending: tuple[tuple[int, bool], ...]) -> Iterator[tuple[tuple[int, bool], ...]]:
    for size in range(len(pending) + 1):
        yield from combinations(pending, size)


def check_disk(disk: Disk, plan: Plan) -> None:
    """What must hold on every disk, in the middle of a run too."""
    try:
        told = read(disk.segments)
    except Damaged as e:
        raise Violation(f"a crash left a journal that reads as damaged: {e}") from e
    if told.begun and disk.db == "approved":
        raise Violation("the run began, and its approval could be used again")
    tree = seen(disk, plan)
    flags = steps_done(tree, plan)
    if not told.back and not told.ended and not all(flags[: told.done]):
        raise Violation("a step told as done is not there")
    if any(flags[told.upto :]) and not told.ended:
        raise Violation("a step was made that the journal had not announced")
    if told.ended and tree != (plan.after if told.ended == "applied" else plan.before):
        raise Violation(f"the journal ended as {told.ended}, and the tree is not so")
    if disk.db in ("applied", "rolled-back") and told.ended != disk.db:
        raise Violation("database and journal tell two stories")
    if disk.turned and "applied" in (told.ended, disk.db):
        raise Violation("a rollback that crashed went forward")


KEPT = Protocol()


def explore(plan: Plan, p: Protocol = KEPT, power: bool = True) -> int:
    """How many disks can be reached; raises Violation where one breaks the contract."""
    start = Disk("approved", (), (), plan.before, ())
    reached, todo = {start}, [start]
    while todo:
        disk = todo.pop()
        for crashed in map(shortened, set(_crashes(disk, plan, p, power))):
            if crashed not in reached:
                reached.add(crashed)
                todo.append(crashed)
    return len(reached)


def shortened(disk: Disk) -> Disk:
    """An equal disk with fewer segments: those that are never written again tell no more than their sum."""
    *old, last = disk.segments or ((),)
    if len(old) < 1 or any(n < len(s) for s, n in zip(disk.segments[:-1], disk.synced, strict=False)):
        return disk
    told, now = read(tuple(old)), ()
    now += (Frame("begin"),) * told.begun + (Frame("batch", told.upto, told.done),)
    now += (Frame("back"),) * told.back + (Frame("end", outcome=told.ended),) * bool(told.ended)
    if last and last[0] != BAD:
        last = (last[0]._replace(after=len(now)), *last[1:])
    return disk._replace(segments=(now, last), synced=(len(now), disk.synced[-1]))


def _crashes(disk: Disk, plan: Plan, p: Protocol, power: bool) -> Iterator[Disk]:
    for program in _programs(disk, plan, p):
        for after in program:
            check_disk(after, plan)
            yield after
            if power:
                for cut in power_cuts(after, plan):
                    check_disk(cut, plan)
                    yield cut


def _programs(disk: Disk, plan: Plan, p: Protocol) -> Iterator[Iterator[Disk]]:
    if disk.db == "approved" and not disk.segments:
        yield _steps(disk, plan, lambda w: apply(w, p))
    for wish in (False, True):
        yield _steps(disk, plan, lambda w, wish=wish: recover(w, p, wish))


def _steps(disk: Disk, plan: Plan, program) -> Iterator[Disk]:  # type: ignore[no-untyped-def]
    """Every disk along one run of a program; at its end database, journal and tree must agree."""
    world = World(disk, plan)
    try:
        for _ in program(world):
            yield world.disk
    except (Damaged, KeyError) as e:
        raise Violation(f"recovery cannot go on: {e!r}") from e
    if world.disk.db == "applying":
        raise Violation("the program ended, and the run did not")
    tree, want = seen(world.disk, plan), plan.after if world.disk.db == "applied" else plan.before
    if tree != want:
        raise Violation(f"{world.disk.db}, and the tree is not so")


def _slots(*pairs: str) -> Slots:
    return tuple(sorted((pair[0], pair[1]) for pair in pairs))


PLANS = [
    Plan("one move", _slots("aA"), (Move("A", "a", "b"),)),
    Plan("chain", _slots("aA", "bB"), (Move("B", "b", "c"), Move("A", "a", "b"))),
    Plan("chain of three, batches of two", _slots("aA", "bB", "cC"),
         (Move("C", "c", "d"), Move("B", "b", "c"), Move("A", "a", "b"))),
    Plan("swap", _slots("aA", "bB"), (Move("A", "a", "b", "B"),)),
    Plan("cycle of three", _slots("aA", "bB", "cC"), (Move("A", "a", "b", "B"), Move("B", "a", "c", "C"))),
    Plan("swap by parking", _slots("aA", "bB"), (Move("A", "a", "p"), Move("B", "b", "a"), Move("A", "p", "b"))),
    Plan("replace and keep", _slots("nN", "aA"), (Move("N", "n", "a", "A"), Move("A", "n", "v"))),
    Plan("error at the second", _slots("aA", "bB"), (Move("A", "a", "c"), Move("B", "b", "d")), fails=1),
    Plan("error at the third, batches of two", _slots("aA", "bB", "cC"),
         (Move("C", "c", "d"), Move("B", "b", "c"), Move("A", "a", "b")), fails=2),
    Plan("error at the first", _slots("aA"), (Move("A", "a", "b"),), fails=0),
]  # fmt: skip
