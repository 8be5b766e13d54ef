"""Kill a run at any call, cut the power of its disks, mount them anew, and see what is true: the power cut method.

The case lies on a filesystem of its own; the journal on the same one (SAME), on another that loses its power too
(ANOTHER), or on one that loses nothing (KEPT).
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from broken import install
from crash_sweep import Ended, Fault, applying, recovering
from loops import AS_IT_IS, KINDS, LOG_DROPPED, LOG_FLUSHED, Disk, copy_sparse, scratch
from planned import every_operation
from tables import RUN, Site

from treegate.engine import journal
from treegate.engine.context import APPLIED, NOTHING, ROLLED_BACK
from treegate.engine.locate import Survey
from treegate.errors import TreegateError

SAME, ANOTHER, KEPT = "same", "another", "kept"
UNHURT = Fault()
ENDS = (APPLIED, ROLLED_BACK, NOTHING)
CUTS = {LOG_FLUSHED: "log flushed", LOG_DROPPED: "log dropped", AS_IT_IS: "as it is"}


class Ground:
    """A site on disks of its own, which can be given back as they were before the run."""

    def __init__(self, folder: Path, kind: str, state: str, build: Callable[[Path], Site]) -> None:
        self.folder, self.kind, self.state = folder, kind, state
        self.top = folder / "site"
        points = {SAME: {"tree": ""}, ANOTHER: {"tree": "ws", "state": "state"}, KEPT: {"tree": "ws"}}[state]
        self.disks = {name: Disk(kind, folder / name, self.top / point) for name, point in points.items()}
        self.build = build

    def settle(self) -> None:
        """Build the site, durably, and remember it; the disks are not mounted afterwards."""
        for disk in self.disks.values():
            disk.make()
            disk.mount()
        self.site = self.build(self.top)
        self.before, self.contents = self.site.picture(), self.site.contents()
        for disk in self.disks.values():
            disk.sync()
        self.unmount()
        for disk in self.disks.values():
            copy_sparse(disk.image, self.whole(disk))
        if self.state == KEPT:
            shutil.copytree(self.top / "state", self.folder / "state.whole")

    def whole(self, disk: Disk) -> Path:
        """The image of a disk before the run."""
        return disk.image.with_suffix(".whole")

    def restore(self) -> None:
        """Everything as it was before the run; not mounted."""
        for disk in self.disks.values():
            copy_sparse(self.whole(disk), disk.image)
        if self.state == KEPT:
            shutil.rmtree(self.top / "state")
            shutil.copytree(self.folder / "state.whole", self.top / "state")

    def mount(self) -> None:
        for disk in self.disks.values():
            disk.mount()

    def unmount(self) -> None:
        for disk in self.disks.values():
            disk.unmount()

    def cut(self, how: int) -> None:
        """The power fails: all disks at once, and each is mounted anew as another device."""
        for disk in self.disks.values():
            disk.stop(how)
        self.unmount()
        self.mount()

    def close(self) -> None:
        for disk in self.disks.values():
            disk.close()


@contextlib.contextmanager
def ground(kind: str, state: str = SAME, build: Callable[[Path], Site] = every_operation) -> Iterator[Ground]:
    """A settled ground, all of it gone afterwards."""
    with scratch() as folder:
        made = Ground(folder, kind, state, build)
        try:
            made.settle()
            yield made
        finally:
            made.close()


class PowerCuts:
    """A run that is killed, cut off from power, recovered, cut off again: what must hold at each of these moments."""

    def __init__(self, ground: Ground) -> None:
        self.ground, self.site = ground, ground.site
        self.outcomes: Counter[str] = Counter()

    def learn(self, base: Fault = UNHURT) -> tuple[str, ...]:
        """One run without a kill: its calls, and the tree after it, if it was applied."""
        self.ground.restore()
        self.ground.mount()
        ended = applying(self.site, base)
        assert ended.how == (ROLLED_BACK if base.fail else APPLIED), ended
        if ended.how == APPLIED:
            self.after = self.site.picture()
        self.ground.unmount()
        return ended.names

    def point(self, cut: int, first: Fault, *more: Fault, back: bool | None = None) -> str:
        """Apply with a fault, recover with each of the others, the power cut after each; how it all ended."""
        self.ground.restore()
        self.ground.mount()
        try:
            ended = applying(self.site, first)
            assert ended.how in ("killed", *ENDS), (ended, first)
            self.ground.cut(cut)
            for fault in more:
                self.check_what_is_told()
                if ended.how in ENDS:
                    break
                ended = recovering(self.site, fault, back)
                self.ground.cut(cut)
            return self.finish(ended, (CUTS[cut], first, *more), back)
        finally:
            self.ground.unmount()

    def finish(self, ended: Ended, which: object, back: bool | None = None) -> str:
        """What must hold from here on; `ended` is what was told of the run before the last cut."""
        self.check_what_is_told()
        last = recovering(self.site, back=back)
        assert last.how in ENDS, (last, ended, which)
        if ended.how in ENDS:
            assert last.how == ended.how, (last, ended, which)
        self.check(last.how, which)
        # What a recovery told as its end is kept, whatever comes after.
        self.ground.cut(KINDS[self.ground.kind].cuts[-1])
        self.check_what_is_told()
        again = recovering(self.site, back=back)
        assert again.how == last.how, (again, last, which)
        self.check(last.how, which)
        assert not self.site.leftovers(), (self.site.leftovers(), last.how, which)
        how = f"{ended.how} -> {last.how}"
        self.outcomes[how] += 1
        return how

    def check_what_is_told(self) -> None:
        """The journal tells no step as done that is not made."""
        try:
            story = journal.read(self.site.directory, RUN)
        except TreegateError as error:
            raise AssertionError(f"the journal cannot be read: {error}") from error
        gone_back = story.back or story.outcome == ROLLED_BACK
        if gone_back or not (story.done or story.outcome):
            return
        ctx = self.site.context()
        with ctx.places() as places:
            for entry in story.built.values():
                places.expect(entry.number, entry.facts)
            done = Survey(places, list(ctx.table.steps()), story.built).done
        told = len(done) if story.outcome == APPLIED else story.done
        missing = [number for number in range(told) if not done[number]]
        assert not missing, f"{told} steps are told as done, and these are not made: {missing}"

    def check(self, how: str, which: object) -> None:
        """The tree is as before or as after, as told, and every content is still there."""
        picture = self.site.picture()
        wanted = self.after if how == APPLIED else self.ground.before
        wrong = {path for path in {*picture, *wanted} if self._seen(picture, path) != self._seen(wanted, path)}
        assert not wrong, (how, which, [(path, wanted.get(path), picture.get(path)) for path in sorted(wrong)])
        lost = self.ground.contents - self.site.contents()
        assert not lost, ("bytes were lost", how, which)

    def _seen(self, picture: dict, path: str) -> tuple | None:
        return self.site.timeless({path: picture[path]})[path] if path in picture else None


def only_moves(folder: Path) -> Site:
    """A table of plain moves between two folders: nothing of it is durable but by the syncs of its own batches."""
    site = Site(folder)
    for path in ("one/a", "one/b", "one/c", "two/d", "two/e", "two/f"):
        site.file(path)
    one, two = site.place("one"), site.place("two")
    for name in "abc":
        site.move(f"one/{name}", (two, f"{name} moved"))
    for name in "def":
        site.move(f"two/{name}", (one, f"{name} moved"))
    site.seal()
    return site


def kills(names: tuple[str, ...], stride: int = 1, start: int = 1) -> Iterator[Fault]:
    """Killed before each of these calls, in the middle of each write, and not at all."""
    for kill in range(start, len(names) + 1, stride):
        yield Fault(kill=kill)
        if names[kill - 1] == "write":
            yield Fault(kill=kill, half=True)
    yield UNHURT


def violated(broken: str, work: Callable[[], object]) -> str:
    """What is found wrong when `work` is done by a broken engine, in a process of its own; "" if nothing is."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(writing, _found(broken, work)[:1000].encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        found = pipe.read().decode()
    os.waitpid(child, 0)
    assert not found.startswith("not a finding"), found
    return found


def _found(broken: str, work: Callable[[], object]) -> str:
    try:
        install(broken)
        work()
    except (AssertionError, TreegateError) as error:
        return f"{error}" or "violated"
    except BaseException as error:
        return f"not a finding: {error!r}"
    return ""
