"""Races: a run on a case in which others work at the same time.

Two ways. `between`: one thing is done by an outsider exactly before a given rename, after everything was looked at.
`at_once`: other processes work in the case at random, from a seed, while the run goes on in its own.

Afterwards every line that was ever written is somewhere (the case, treegate's areas, an outsider's bin), nothing
happened in the folder elsewhere that links were made to point to, and the run ended, or can be ended, as it says.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import TypeAlias

from contested import ENDED, HALTED, SOUND, Others, Raced, Scene, ground, yielding
from crash_sweep import Fault, applying
from outsiders import Outsider
from planned import every_operation
from tables import Site
from tests import stand_in

from treegate.engine import apply, posix, recover

Build: TypeAlias = Callable[[Path], Site]

# name -> what an outsider does at the source or the target of the rename that comes next
BETWEEN: dict[str, Callable[[Outsider, str, str], object]] = {
    "edits the source": lambda who, source, target: who.edit(source),
    "writes over the source": lambda who, source, target: who.write_over(source),
    "deletes the source": lambda who, source, target: who.delete(source),
    "renames the source": lambda who, source, target: who.rename(source),
    "links the source": lambda who, source, target: who.link(source),
    "holds the source open": lambda who, source, target: who.hold(source),
    "swaps the source": lambda who, source, target: who.swap(source, "run.sh"),
    "puts a link in the source's place": lambda who, source, target: who.swap_for_link(source),
    "puts a link in the source folder's place": lambda who, source, target: who.swap_for_link(_above(source)),
    "makes a file at the target": lambda who, source, target: who.create(target),
    "makes a folder at the target": lambda who, source, target: who.make_folder(target),
    "makes a link at the target": lambda who, source, target: who.make_link(target),
    "puts a link in the target folder's place": lambda who, source, target: who.swap_for_link(_above(target)),
    "deletes the target's folder": lambda who, source, target: who.delete(_above(target)),
    "renames the target's folder": lambda who, source, target: who.rename(_above(target)),
}
# What puts another entry in the place of the one that was looked at.
SWAPPED_IN = ("writes over the source", "swaps the source", "puts a link in the source's place")


def _above(path: str) -> str:
    above = os.path.dirname(path)
    if not above:
        raise FileNotFoundError("the case itself stays")
    return above


class Around(Scene):
    """A scene around a site with a sealed table."""

    def __init__(self, folder: Path, build: Build, break_: str) -> None:
        self.site = build(folder)
        before = set(self.site.picture())
        super().__init__(folder, self.site.case, before | _after(build), break_)
        self.grounds.known |= {(self.site.case / path).lstat().st_ino for path in before}

    def recovered(self) -> list[str]:
        return self.child(lambda: recover.recover(self.site.context()).outcome, Fault(anew=True))

    def settled(self) -> list[str]:
        """Recover, if that can be; what is wrong with how it ends."""
        wrong = self.recovered()
        if self.outcomes[-1] in ENDED and self.outcomes[0] in ENDED and self.outcomes[0] != self.outcomes[-1]:
            wrong.append(f"told as {self.outcomes[0]}, found to be {self.outcomes[-1]}")
        return wrong


@functools.cache
def _after(build: Build) -> frozenset[str]:
    """The paths of the case after a run that nobody disturbs."""
    with ground() as folder:
        site = build(folder)
        assert applying(site).how == "applied"
        return frozenset(site.picture())


@contextlib.contextmanager
def _scene(build: Build, break_: str) -> Iterator[Around]:
    with ground() as folder:
        made = Around(folder, build, break_)
        try:
            yield made
        finally:
            made.watch.close()


# -- exactly between the look and the rename


class _Between:
    """Lets an outsider do something before rename number `at`; in the process of the run, behind its back."""

    def __init__(self, scene: Around, act: str, at: int) -> None:
        self.scene, self.act, self.left = scene, act, at
        self.who = Outsider(scene.grounds, "outsider")
        self.done = False

    def install(self) -> None:
        stand_in.in_python()
        posix.rename, posix.exchange = self._wrapped(posix.rename), self._wrapped(posix.exchange)

    def _wrapped(self, call: Callable) -> Callable:
        def renamed(src: int, old: bytes, dst: int, new: bytes) -> None:
            self.left -= 1
            if self.left == 0:
                with contextlib.suppress(OSError):
                    BETWEEN[self.act](self.who, self._path(src, old), self._path(dst, new))
                    self.done = True
            call(src, old, dst, new)

        return renamed

    def _path(self, folder: int, name: bytes) -> str:
        """A slot as a path of the case; what is in treegate's own areas is nobody else's."""
        path = os.path.join(os.readlink(f"/proc/self/fd/{folder}"), os.fsdecode(name))
        shown = os.path.relpath(path, self.scene.site.case)
        return shown if not shown.startswith("..") else "not/in/the/case"

    def applied(self) -> str:
        """The work of the child: apply, and leave word of what was done."""
        self.install()
        try:
            return apply.run(self.scene.site.context()).outcome
        finally:
            self.who.end()
            self.word.write_text(json.dumps([self.done, self.who.links]))

    @property
    def word(self) -> Path:
        return self.scene.folder / "word"


def between(act: str, at: int, break_: str = "", build: Build = every_operation, fault: Fault = SOUND) -> Raced:
    """Apply (with a fault) with one thing done right before rename number `at`, then recover."""
    with _scene(build, break_) as found:
        acting = _Between(found, act, at)
        wrong = found.child(acting.applied, fault)
        acting.done, acting.who.links = json.loads(acting.word.read_text())
        if act in SWAPPED_IN and acting.done and found.outcomes == ["applied"]:
            wrong.append("went on with an entry that nobody had approved")
        wrong += found.settled()
        if acting.who.links and found.outcomes[-1] in HALTED and acting.who.do("put_back"):
            wrong += found.settled() + ([] if found.outcomes[-1] in ENDED else ["halted for good"])
        wrong += found.violations()
        how = " -> ".join(found.outcomes) if acting.done else "not done"
        return Raced(how, [f"{act}, {at}: {one}" for one in wrong])


# -- at once


def at_once(seed: int, break_: str = "", build: Build = every_operation) -> Raced:
    """Apply while others work in the case; sometimes killed midway and recovered while they do; then recover."""
    rng = Random(seed)
    with _scene(build, break_) as found:
        others = Others(found, seed, rng.choice((1, 1, 2, 3)))
        fault = Fault(kill=rng.choice((0, 0, rng.randint(20, 90))))
        try:
            wrong = _while(found, others, rng.choice(("make_file", "rename", "rename", "rename")), fault)
        finally:
            others.stop()
        wrong += found.settled() + found.violations()
        return Raced(" -> ".join(found.outcomes), [f"seed {seed}: {one}" for one in wrong])


def _while(found: Around, others: Others, at: str, fault: Fault) -> list[str]:
    def applied() -> str:
        yielding(others, at)
        return apply.run(found.site.context()).outcome

    wrong = found.child(applied, fault)
    return wrong + (found.recovered() if found.outcomes[-1] == "killed" else [])
