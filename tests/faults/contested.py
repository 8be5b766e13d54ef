"""Where races are run: a case, outsiders' grounds beside it, processes that work there, and what must hold after."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import NamedTuple

import broken
from crash_sweep import Ended, Fault, in_child
from outsiders import Grounds, Outsider
from tests import stand_in
from watching import Watch

from treegate.engine import posix

ENDED = ("applied", "rolled-back", "nothing-happened")
HALTED = ("misplaced", "unfinished")  # left to a person, with nothing touched any more
SOUND = Fault()  # none


class Raced(NamedTuple):
    """How a race ended, each process in turn, and what must not have been."""

    how: str
    wrong: list[str]


class Scene:
    """A case (in `folder`/ws) with `paths` that outsiders take an interest in; `break_` breaks the engine."""

    def __init__(self, folder: Path, case: Path, paths: set[str], break_: str = "") -> None:
        self.folder, self.break_ = folder, break_
        self.paths = sorted(paths)
        self.grounds = Grounds.beside(case, folder, self.paths)
        self.lines = _lines(folder / "ws")
        self.watch = Watch(self.grounds.elsewhere)
        self.outcomes: list[str] = []

    def violations(self) -> list[str]:
        """What must not be: something happened elsewhere, or a line that was written is nowhere."""
        touched = [f"elsewhere: {event}" for event in self.watch.seen()]
        said = self.grounds.said.read_text().splitlines() if self.grounds.said.exists() else []
        lost = self.lines | set(said)
        lost -= _lines(self.folder / "ws") | _lines(self.grounds.bin)
        return touched + [f"lost: {line}" for line in sorted(lost)]

    def child(self, work: Callable[[], str], fault: Fault = SOUND) -> list[str]:
        """Let the engine, broken where it is to be, do something in a process of its own; what is wrong with that."""

        def broken_work() -> str:
            broken.install(self.break_)
            return work()

        return self._ended(in_child(broken_work, fault))

    def _ended(self, ended: Ended) -> list[str]:
        self.outcomes.append(ended.how)
        known = ended.how != "internal" and not ended.how.startswith("crashed")
        return [] if known else [f"ended as {ended.how} {ended.text}"]


@contextlib.contextmanager
def ground() -> Iterator[Path]:
    """A folder whose syncs cost nothing, where the machine has one."""
    shared = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="treegate-", dir=shared) as folder:
        yield Path(folder)


def _lines(top: Path) -> set[str]:
    """Every line of every file below a folder, whatever links say."""
    found: set[str] = set()
    for folder, _, files in os.walk(top):
        for path in (os.path.join(folder, name) for name in files):
            if os.path.isfile(path) and not os.path.islink(path):
                with open(path, encoding="utf-8", errors="surrogateescape") as file:
                    found.update(file.read().splitlines())
    return found


class Others:
    """Processes that work in a case at random, from a seed, until they are told to stop."""

    def __init__(self, scene: Scene, seed: object, count: int) -> None:
        self.scene = scene
        self.waiting, self.starting = os.pipe()  # they begin with its first byte, and end when it is closed
        self.pids = [self._forked(Random(f"{seed} {number}"), f"outsider {number}") for number in range(count)]
        os.close(self.waiting)

    def _forked(self, rng: Random, name: str) -> int:
        pid = os.fork()
        if pid:
            return pid
        try:
            os.close(self.starting)
            self._work(rng, Outsider(self.scene.grounds, name))
        finally:
            os._exit(0)

    def _work(self, rng: Random, who: Outsider) -> None:
        os.read(self.waiting, 1)
        os.set_blocking(self.waiting, False)
        for _ in range(rng.choice((1, 3, 10, 1000))):
            who.work(rng, self.scene.paths)
            os.sched_yield()
            if self._stopped():
                break
        who.end()

    def _stopped(self) -> bool:
        try:
            return os.read(self.waiting, 1) == b""
        except BlockingIOError:
            return False

    def start(self) -> None:
        os.write(self.starting, b"go" * len(self.pids))

    def stop(self) -> None:
        os.close(self.starting)
        for pid in self.pids:
            os.waitpid(pid, 0)


def yielding(others: Others, at: str) -> None:
    """Give the processor away before every call that changes something, and start the others at the first `at`."""
    waiting = [at]

    def wrapped(name: str, call: Callable) -> Callable:
        def called(*given: object) -> object:
            if name in waiting:
                waiting.remove(name)
                others.start()
            os.sched_yield()
            return call(*given)

        return called

    stand_in.in_python()
    for name in posix.MUTATING:
        setattr(posix, name, wrapped(name, getattr(posix, name)))
