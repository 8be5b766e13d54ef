"""Write down what a run made its disks do, and see what is true had the power failed at any moment of it.

What a disk had not been told to flush may be lost in any part, so besides each beginning of the log also random
subsets of the writes since the last flush are looked at.
"""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import blocklog
from blocklog import Event
from crash_sweep import Ended
from cutting import Ground, PowerCuts
from loops import Disk


class Film(NamedTuple):
    """What the disks of a ground did: the run lies between `begin` and `end`, and `ended` is how it did."""

    events: list[Event]
    begin: int
    end: int
    ended: Ended

    def flushes(self) -> list[int]:
        """The moments before each flush of the run, and its end: nothing more can be unsynced than is then."""
        return [at for at in range(self.begin, self.end) if self.events[at].is_flush] + [self.end]


class Watched:
    """A ground whose disks are written down while it is mounted."""

    def __init__(self, ground: Ground) -> None:
        self.folder = ground.folder / "watched"
        self._served, self._log = self.folder / "served", self.folder / "log"
        self.disks = [
            Disk(disk.kind, self._served / name, disk.point, direct=True) for name, disk in ground.disks.items()
        ]

    @contextlib.contextmanager
    def on(self, ground: Ground) -> Iterator[None]:
        """Serves the images and mounts them."""
        images = self.folder / "images"
        images.mkdir(parents=True, exist_ok=True)
        for name, disk in ground.disks.items():
            (images / name).unlink(missing_ok=True)
            os.link(disk.image, images / name)
        with blocklog.recording(images, self._served, self._log):
            try:
                self.mount()
                yield
            finally:
                for disk in self.disks:
                    disk.close()

    def mount(self) -> None:
        for disk in self.disks:
            disk.mount()

    def unmount(self) -> None:
        for disk in self.disks:
            disk.unmount()

    def fail(self, what: str) -> None:
        """From now on each "write", or each "flush", of these disks fails; "" ends that."""
        (self.folder / blocklog.FAILING).write_text(what)

    def events(self) -> list[Event]:
        return blocklog.read(self._log)


@contextlib.contextmanager
def watched(ground: Ground) -> Iterator[Watched]:
    """The ground as it was before the run, mounted, its disks being watched."""
    ground.restore()
    made = Watched(ground)
    with made.on(ground):
        yield made


def film(ground: Ground, work: Callable[[], Ended]) -> Film:
    """What the disks do while `work` does something with the site."""
    with watched(ground) as seen:
        begin = len(seen.events())
        ended = work()
        end = len(seen.events())
        seen.unmount()
        return Film(seen.events(), begin, end, ended)


class Replays(PowerCuts):
    """The power failing at every moment of a film."""

    def moment(self, film: Film, count: int, seed: int | None = None) -> str:
        """What is true if `count` events reached the disks, or with a seed only some of the last, unsynced ones."""
        events = film.events[:count]
        if seed is not None:
            events = some_lost(events, seed)
        self.ground.restore()
        blocklog.replay(events, self._images())
        self.ground.mount()
        try:
            ended = film.ended if count >= film.end else Ended("cut")
            return self.finish(ended, f"after {count} events from {film.begin} to {film.end}, seed {seed}")
        finally:
            self.ground.unmount()

    def _images(self) -> dict[str, Path]:
        return {name: disk.image for name, disk in self.ground.disks.items()}

    def prefixes(self, film: Film, stride: int = 1) -> int:
        """Every moment from the run's beginning to its end; how many these were."""
        counts = [*range(film.begin, film.end, stride), film.end]
        for count in counts:
            self.moment(film, count)
        return len(counts)

    def subsets(self, film: Film, seeds: range) -> int:
        """Random subsets of the unsynced writes at random flushes."""
        for seed in seeds:
            self.moment(film, random.Random(seed).choice(film.flushes()), seed)
        return len(seeds)


def some_lost(events: list[Event], seed: int) -> list[Event]:
    """The events without some of the writes that no flush followed."""
    chance = random.Random(seed + 1)
    kept = chance.random()
    lost = {number for number in blocklog.unsynced(events) if chance.random() > kept}
    return [event for number, event in enumerate(events) if number not in lost]
