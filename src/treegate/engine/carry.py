"""Making steps, forwards or backwards: the renames, the look behind each, the syncs behind all."""

from __future__ import annotations

import contextlib
import errno
import os
import stat as st
import struct
from collections.abc import Iterable, Sequence
from itertools import islice

from treegate.engine import many, piecemeal, posix
from treegate.engine.context import RunContext
from treegate.engine.durable import sync_folder, sync_volume
from treegate.engine.journal import Entry
from treegate.engine.native import Move
from treegate.engine.places import Places
from treegate.errors import Stale
from treegate.model.table import EXCHANGE, ROOT, Step
from treegate.model.tree import PACKED, unpack

STRETCH = 1000  # plain moves that are made ready at once
FOLDERS = 16  # above this many on a filesystem, one sync of all of it is cheaper
RETRIES = 100  # of a call that signals keep interrupting
# The inode number in packed facts: unpacking all of them costs too much for every step.
inode_in = struct.Struct("<Q").unpack_from
INODE_AT = struct.calcsize(PACKED.format[: PACKED.format.index("Q")])


def flipped(step: Step) -> Step:
    """The step that takes this one back."""
    return Step(
        step.kind, step.entry, step.facts, 0, step.dst, step.dst_name, step.src, step.src_name, False, step.is_dir,
        step.other, step.other_facts, 0, step.other_is_dir,
    )  # fmt: skip


def _take_away(folder: int, name: bytes) -> None:
    """The second half of a rename that is made of link and unlink."""
    for _ in range(RETRIES - 1):
        with contextlib.suppress(InterruptedError):
            return posix.unlink(folder, name)
    return posix.unlink(folder, name)


class Carrier:
    """Makes the steps of one run; `made` counts those of the batch at hand, the one that failed not among them."""

    def __init__(self, ctx: RunContext, places: Places, built: dict[int, Entry]) -> None:
        self._places = places
        self._built = built
        self._renames = {root: posix.renamer(ctx.caps(key)) for root, key in places.roots().items()}
        self._plain = all(rename is posix.rename for rename in self._renames.values()) and not places.unstable
        self._folder_sync = {root: ctx.caps(key).directory_fsync for root, key in places.roots().items()}
        self.made = 0

    def carry(self, steps: Sequence[Step]) -> None:
        """Make these steps in order; raises OSError, or Stale where another entry than the known one came along.

        Whatever it raises, `made` of the steps are made and the others are not.
        """
        self.made = 0
        self._places.forget()
        while self.made < len(steps):
            step = steps[self.made]
            src, dst = self._places.pair(step.src, step.dst)
            moves = self._stretch(steps)
            if moves:
                self._move(steps, moves)
            else:
                self._one(step, src, dst)
                self.made += 1

    def _stretch(self, steps: Sequence[Step]) -> list[Move]:
        """The plain moves of files that come next, as far as their folders are held: no handle goes meanwhile."""
        moves: list[Move] = []
        among: set[int] = set()
        held, between = self._places.held, (ROOT, ROOT)
        for step in islice(steps, self.made, self.made + STRETCH) if self._plain else ():
            if between != (step.src, step.dst):
                between = (step.src, step.dst)
                src, dst = map(held, between)
            if step.is_dir or step.kind == EXCHANGE or not step.facts or src is None or dst is None:
                break
            if step.entry in among:  # it is looked at where it came to before it goes on
                break
            among.add(step.entry)
            moves.append((src, step.src_name, dst, step.dst_name, inode_in(step.facts, INODE_AT)[0]))
        return moves

    def _move(self, steps: Sequence[Step], moves: list[Move]) -> None:
        """Make these moves; with what stops them it is as with a step by itself."""
        made, error = many.rename_each(moves)
        self.made += made
        if made < len(moves):
            step, (src, _, dst, _, _) = steps[self.made], moves[made]
            if error is not None:
                self._settle(step, error, src, dst)
            if not self._arrived(step, src, dst):
                self._put_back(step, src, dst)
            self.made += 1

    def _one(self, step: Step, src: int, dst: int) -> None:
        """A step off the beaten track: an exchange, an entry of the run's own, a weaker mount."""
        try:
            self._act(step, src, dst)
        except OSError as error:
            self._settle(step, error, src, dst)
        if not self._arrived(step, src, dst):
            self._put_back(step, src, dst)
        self._places.moved(step.entry, step.dst, step.dst_name)
        if step.kind == EXCHANGE:
            self._places.moved(step.other, step.src, step.src_name)

    def _act(self, step: Step, src: int, dst: int) -> None:
        if step.kind == EXCHANGE:
            posix.exchange(src, step.src_name, dst, step.dst_name)
            return
        root = self._places.root(step.dst)
        if root in self._places.piecemeal:
            piecemeal.move(self._renames[root], src, step.src_name, dst, step.dst_name, folder=step.is_dir)
        else:
            self._renames[root](src, step.src_name, dst, step.dst_name)

    def finish(self, step: Step) -> bool:
        """Go on with a step that may have stopped anywhere, where looking can tell; whether it is made now."""
        src, dst = self._places.pair(step.src, step.dst)
        root = self._places.root(step.dst)
        if step.kind == EXCHANGE or root not in self._places.piecemeal:
            return self._arrived(step, src, dst)
        made = piecemeal.finish(self._renames[root], src, step.src_name, dst, step.dst_name)
        if made and not step.is_dir:
            piecemeal.keep_time(dst, step.dst_name, unpack(step.facts or self._built[step.entry].facts))
        return made

    def _settle(self, step: Step, error: OSError, src: int, dst: int) -> None:
        """After an error, look where the entry is: the call may have done its work, or may be tried again.

        Returns if the step is made, else raises the error that stands.
        """
        for _ in range(RETRIES):
            if self._arrived(step, src, dst):
                if not self._left(step, src):
                    if self._places.root(step.src) not in self._places.linked:
                        break  # somebody else gave it a second name
                    _take_away(src, step.src_name)
                return
            if error.errno != errno.EINTR or not self._here(step.entry, step.facts, step.src, src, step.src_name):
                break
            try:
                self._act(step, src, dst)
            except OSError as again:
                error = again
        if isinstance(error, FileExistsError | FileNotFoundError):
            raise self._stale(step) from error
        raise error

    def _left(self, step: Step, src: int) -> bool:
        """Whether what arrived has left the slot that it was in, where looking can tell."""
        if step.kind == EXCHANGE or self._places.root(step.src) in self._places.unstable:
            return True
        return not self._here(step.entry, step.facts, step.src, src, step.src_name)

    def arrived(self, step: Step) -> bool:
        """Whether a step is made, by where its entry is; raises what forbids to look."""
        try:
            src, dst = self._places.pair(step.src, step.dst)
            linked = self._places.root(step.src) in self._places.linked
            return self._arrived(step, src, dst) and (linked or self._left(step, src))
        except (FileNotFoundError, Stale):
            return False  # a folder that is not where the step needs it: the step was not made

    def _arrived(self, step: Step, src: int, dst: int) -> bool:
        arrived = self._here(step.entry, step.facts, step.dst, dst, step.dst_name)
        if step.kind != EXCHANGE:
            return arrived and not (step.is_dir and self._split(step, src))
        return arrived and self._here(step.other, step.other_facts, step.src, src, step.src_name)

    def _split(self, step: Step, src: int) -> bool:
        """Whether a folder that moves entry by entry is at its old slot still."""
        return self._places.root(step.src) in self._places.piecemeal and posix.exists(src, step.src_name)

    def _here(self, entry: int, facts: bytes, place: int, folder: int, name: bytes) -> bool:
        try:
            now = os.lstat(name, dir_fd=folder)
        except FileNotFoundError:
            return False
        was = PACKED.unpack(facts or self._built[entry].facts)
        if self._places.unstable and self._places.root(place) in self._places.unstable:
            return st.S_IFMT(was[0]) == st.S_IFMT(now.st_mode) and (was[6] == now.st_size or st.S_ISDIR(was[0]))
        return bool(was[5] == now.st_ino and st.S_IFMT(was[0]) == st.S_IFMT(now.st_mode))

    def _put_back(self, step: Step, src: int, dst: int) -> None:
        """Something else had taken the entry's name: it goes back where it was, and the run does not go on."""
        self._act(flipped(step), dst, src)
        raise self._stale(step)

    def _stale(self, step: Step) -> Stale:
        here, there = self._places.shown(step.src, step.src_name), self._places.shown(step.dst, step.dst_name)
        return Stale(
            f"{here} or {there} was changed by someone else while the run was under way",
            code="changed-during-run",
            hint="see to it that nobody else works in the case, then refresh the plan",
            path=here,
        )

    def sync(self, steps: Iterable[Step]) -> None:
        """Make what these steps did durable: their folders one by one, or the filesystem where they are many."""
        by_volume: dict[int, set[int]] = {}
        device: dict[int, int] = {}
        for place in {place for step in steps for place in (step.src, step.dst)}:
            root = self._places.root(place)
            if root not in device:
                device[root] = posix.device(self._places.handle(root))
            by_volume.setdefault(device[root], set()).add(place)
        for touched in by_volume.values():
            root = self._places.root(next(iter(touched)))
            if len(touched) > FOLDERS or not self._folder_sync[root]:
                sync_volume(self._places.handle(root))
            else:
                for place in sorted(touched):
                    sync_folder(self._places.handle(place))

    def sync_all(self) -> None:
        """Make everything on every filesystem of the run durable."""
        seen: set[int] = set()
        for root in self._places.roots():
            handle = self._places.handle(root)
            if posix.device(handle) not in seen:
                seen.add(posix.device(handle))
                sync_volume(handle)
