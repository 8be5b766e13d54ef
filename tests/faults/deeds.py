"""Runs of a small office, to be cut short at any system call: an apply, a way back, a recovery, an undo.

Each is prepared afresh, for a preview is of inodes, which no copy has. What must hold afterwards is in aftermath.
"""

from __future__ import annotations

import os
from dataclasses import replace as changed
from pathlib import Path
from typing import Any, ClassVar

import aftermath
from tests.gate.gatework import Office, copy, create, delete, dies_after, move, replace
from tracing import Ended, Fault, traced

from treegate.engine import aide
from treegate.engine.course import Course
from treegate.gate import surroundings

WHEN = "2024-03-01T09:00:00.000000001Z"
BATCH = 3  # steps at a time, so that a run has several borders

OPERATIONS: tuple[dict[str, Any], ...] = (
    {"op": "mkdir", "path": "made"},
    move("in/a.txt", "b.tmp"),
    move("in/b.txt", "in/a.txt"),
    move("b.tmp", "in/b.txt"),
    move("in/deep", "deep"),
    move("h1", "made/h1"),
    copy("deep/c.txt", "copies/c.txt"),
    create("INDEX.md", "# Index\n", mtime=WHEN),
    replace("notes.md", "new notes\n", mtime=WHEN),
    delete("gone.txt"),
    delete("tmp", recursive=True),
    {"op": "symlink", "path": "latest", "target": "made"},
    {"op": "set", "path": "in/a.txt", "mode": "0700", "mtime": WHEN},
)
FILES = ("in/a.txt", "in/b.txt", "in/deep/c.txt", "notes.md", "gone.txt", "tmp/x", "tmp/deep/y", "h1")


def small_batches() -> None:
    """Has every run of this process make its steps a few at a time."""
    real = surroundings.context_of
    surroundings.context_of = lambda *given: changed(real(*given), batch=BATCH)


def filled(at: Path, **more: Any) -> Office:
    """An office in a folder that is made, with files that OPERATIONS can be done to."""
    at.mkdir(exist_ok=True)
    office = Office(at / "office", at / "state", **more)
    for name in FILES:
        office.put(f"Smith/{name}", f"{name}\n")
    os.link(office.path("Smith/h1"), office.path("Smith/h2"))
    return office


class Applying:
    """An approved plan with every kind of step, carried out."""

    method: ClassVar = "an apply"
    follow: ClassVar = True

    def __init__(self, at: Path) -> None:
        small_batches()
        self.at = at
        self.office = filled(at)
        self.prepare()
        self.before, self.contents = self.office.tree(), aftermath.contents(self.office)
        self.office.close()
        self.interrupt()

    def prepare(self) -> None:
        """All that comes before the deed."""
        self.plan = self.approved()

    def interrupt(self) -> None:
        """What cuts the run short, where the deed is to recover it."""

    def approved(self) -> str:
        """The plan, approved; another like it where the first came to nothing."""
        return self.office.approved(*OPERATIONS)

    def act(self) -> str:
        """The deed, in a process of its own; its answer."""
        return self.office.reopen().apply(self.plan).state

    def check(self, ended: Ended, after: aftermath.Tree | None) -> str:
        """How it ended, and ended again once it was recovered; AssertionError where something does not hold.

        `after`: the tree as it is when all went well, None where that is to be learned.
        """
        return aftermath.of_run(self, ended, after)


class Aided(Applying):
    """A run of moves with an aide, which is not traced itself: what becomes of it changes nothing."""

    method = "an apply with an aide"
    follow = False

    def prepare(self) -> None:
        for number in range(8):
            self.office.put(f"Smith/many/{number}", f"number {number}\n")
        super().prepare()

    def approved(self) -> str:
        return self.office.approved(*(move(f"many/{number}", f"tmp/{number}") for number in range(8)))

    def act(self) -> str:
        aide.LARGE, aide.SHARED = 1, 2
        os.sched_getaffinity = lambda _: {0, 1}
        return super().act()


class Undoing(Applying):
    """The undo of an applied run, carried out."""

    method = "an undo"

    def prepare(self) -> None:
        self.run = self.office.carried_out(*OPERATIONS).run
        super().prepare()

    def approved(self) -> str:
        undo = self.office.gate.undo(self.run).submitted
        self.office.gate.approve(undo.id, undo.digest)
        return str(undo.id)


class Stopping(Applying):
    """A run that is told to stop midway, and goes back."""

    method = "a run that goes back"

    def act(self) -> str:
        gate, made = self.office.reopen(), [0]
        gate.watch(lambda done, _: made.append(done), lambda: made[-1] > BATCH)
        return gate.apply(self.plan).state


class GoingBack(Applying):
    """`recover --back` of a run that was killed when most of its steps were made."""

    method = "a recovery that goes back"

    def interrupt(self) -> None:
        self.office.crash(lambda gate: gate.apply(self.plan), (Course, "append", dies_after(Course.append, 8)))

    def act(self) -> str:
        return str(self.office.reopen().recover(back=True)[0].state)


class Recovering(Applying):
    """The recovery of an apply that was cut short by a fault of its own."""

    method = "the recovery from a kill"

    def __init__(self, at: Path, first: Fault) -> None:
        self._first = first
        super().__init__(at)

    def interrupt(self) -> None:
        traced(super().act, self.at / "first", self._first)
        if self._first.torn:
            aftermath.tear(self.office)

    def act(self) -> str:
        done = self.office.reopen().recover()
        return str(done[0].state) if done else "nothing to do"
