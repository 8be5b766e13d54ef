"""Races on a whole workspace: a plan applied, and undone, through the gate, while others work in the case."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from random import Random

from contested import ENDED, Others, Raced, Scene, ground, yielding

from treegate.errors import TreegateError
from treegate.gate import Gate

sys.path.append(str(Path(__file__).parents[1] / "gate"))
from gatework import Office, copy, create, delete, move, replace

FILES = (*(f"in/{number}" for number in range(8)), "old/x", "old/deep/y", "one", "two", "gone", "status", "run")
OPERATIONS = (
    *(move(f"in/{number}", f"sorted/{number}.txt") for number in range(6)),
    move("old", "sorted/old"),
    move("one", "aside"),
    move("two", "one"),
    move("aside", "two"),
    delete("gone"),
    delete("in", recursive=True),
    replace("status", "a successor\n"),
    copy("sorted/old", "binder"),
    create("index", "an index\n"),
    {"op": "set", "path": "run", "mode": "0755"},
)
AFTER = ("sorted", "binder", "index", "in", "old", "sorted/old", "sorted/1.txt", "sorted/5.txt", "sorted/old/x")


def at_office(seed: int, break_: str = "") -> Raced:
    """Apply a plan while others work in its case, recover what needs it, undo it likewise."""
    rng = Random(seed)
    with ground() as folder, contextlib.closing(_office(folder)) as office:
        scene = Scene(folder, office.path("Smith"), {*FILES, *AFTER}, break_)
        scene.grounds.known |= {office.path(f"Smith/{path}").stat().st_ino for path in FILES}
        with contextlib.closing(scene.watch):
            wrong = _disturbed(scene, office, rng, office.approved(*OPERATIONS))
            if scene.outcomes[-1] == "applied":
                wrong += _undone(scene, office, rng)
            wrong += scene.violations()
    return Raced(" -> ".join(scene.outcomes), [f"seed {seed}: {one}" for one in wrong])


def _office(folder: Path) -> Office:
    office = Office(folder / "ws", folder / "state")
    for path in FILES:
        office.put(f"Smith/{path}", f"content of {path}\n")
    return office


def _disturbed(scene: Scene, office: Office, rng: Random, id: str) -> list[str]:
    """Apply a plan in a child while others work in its case; then recover, if it is unfinished."""
    others, at = Others(scene, rng.random(), rng.choice((1, 2))), rng.choice(("mkdir", "rename", "rename"))

    def applied() -> str:
        gate = _opened(office)
        yielding(others, at)
        return gate.apply(id).state

    wrong = scene.child(applied)
    others.stop()
    if scene.outcomes[-1] not in ENDED:
        wrong += scene.child(lambda: _recovered(office))
    return wrong


def _opened(office: Office) -> Gate:
    """A gate for a child: what its parent holds is the parent's."""
    return Gate.open(office.root, office.environ)


def _recovered(office: Office) -> str:
    done = _opened(office).recover()
    return done[-1].state if done else "nothing-happened"


def _undone(scene: Scene, office: Office, rng: Random) -> list[str]:
    try:
        undo = office.reopen().undo("", ()).submitted
        office.gate.approve(undo.id, undo.digest)
    except TreegateError as error:  # what others did is in its way
        scene.outcomes.append(error.code)
        return []
    return _disturbed(scene, office, rng, undo.id)
