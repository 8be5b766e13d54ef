"""Sweeps over the system calls of a deed: each point is a deed of its own, in a process of its own."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import aftermath
import broken
from tracing import CALLS, ERRORS, Call, Fault, apart, calls, traced

from treegate.engine.mounts import mount_of

SHM = "/dev/shm"
MISSED = "the fault did not take place"
Make = Callable[[Path], Any]  # a deed, prepared in a folder
Learned = tuple[list[Call], aftermath.Tree]


def room() -> str | None:
    """A folder for offices whose syncs cost nothing, where the machine has one."""
    return SHM if os.access(SHM, os.W_OK) else None


def filesystem() -> str:
    """What the offices lie on."""
    return mount_of(room() or tempfile.gettempdir()).type


class Sweep:
    """Points of one deed; `outcomes` counts how they ended, `violations` tells what did not hold."""

    def __init__(self, make: Make, engine: str = "") -> None:
        """`engine`: the break of the engine that it runs on, "" for the whole one."""
        self.make = make
        self.engine = engine
        self.outcomes: Counter[str] = Counter()
        self.violations: list[str] = []

    def learned(self) -> Learned:
        """The calls of the deed where nothing goes wrong, and the tree after it."""
        return apart(lambda: self._done(None, None)[1])

    def point(self, fault: Fault, after: aftermath.Tree | None) -> bool:
        """Whether all held after a fault that took place."""
        try:
            how = apart(lambda: self._done(fault, after)[0])
        except AssertionError as error:
            self.violations.append(f"{fault.what} at {fault.call}: {error}")
            return False
        self.outcomes[how] += 1
        return True

    def all(self, faults: Iterable[Fault], after: aftermath.Tree | None) -> None:
        """Tries every one of these; AssertionError with what did not hold."""
        for fault in faults:
            self.point(fault, after)
        assert not self.violations, "\n\n".join(self.violations[:5])
        assert MISSED not in self.outcomes

    def caught(self, faults: Iterable[Fault], after: aftermath.Tree | None) -> bool:
        """Whether something does not hold after one of these, the first of which ends it."""
        return not all(self.point(fault, after) for fault in faults)

    def _done(self, fault: Fault | None, after: aftermath.Tree | None) -> tuple[str, Learned]:
        broken.install(self.engine)
        with tempfile.TemporaryDirectory(dir=room()) as at:
            deed, log = self.make(Path(at) / "deed"), Path(at) / "log"
            ended = traced(deed.act, log, fault, CALLS, deed.follow)
            made = calls(log, Path(at) / "deed") if fault is None else []
            tree = deed.office.tree()
            if fault is not None and not ended.reached:
                return MISSED, (made, tree)
            if fault is not None and fault.torn:
                aftermath.tear(deed.office)
            return deed.check(ended, after), (made, tree)


def kills(made: Sequence[Call], stride: int = 1, offset: int = 0) -> list[Fault]:
    """A kill in front of every `stride`-th call, and every `stride`-th of those that leave half a frame."""
    return [*(Fault(call) for call in made[offset::stride]), *torn(made)[offset::stride]]


def torn(made: Sequence[Call]) -> list[Fault]:
    """A kill at each sync of a frame that was just written to a journal, of which half has come to be there."""
    return [
        Fault(call, torn=True)
        for before, call in pairwise(made)
        if (before.name, call.name) == ("write", "fdatasync") and "/journal." in before.text
    ]


def failures(made: Sequence[Call], stride: int = 1, offset: int = 0) -> list[Fault]:
    """Each error at every `stride`-th call, at others for each."""
    return [
        Fault(call, error)
        for number, error in enumerate(ERRORS)
        for call in made[(offset + number * max(1, stride // len(ERRORS))) % stride :: stride]
    ]
