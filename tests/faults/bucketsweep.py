"""One plan on a bucket mount, and the mount killed in the middle of it: what must hold however far it had come.

The kill comes from the S3 server, at the moment when it has carried out so many changes of the run: between the copy
of an object and the removal of the old one as well as anywhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from bucketwork import BucketOffice, Store, mounted
from gatework import copy, create, delete, move, replace

from treegate.errors import NotFound, TreegateError, UsageError
from treegate.gate import Gate

FOLDER = {f"Smith/in/{'deep/' * (n % 3 == 0)}{n:03}.txt": b"page %d\n" % n for n in range(9)}
PLAIN = ("a.txt", "b.txt", "c.txt", "old.txt", "gone.txt", "gonedir/x", "gonedir/deep/y", "copyme")
BEFORE = {**FOLDER, **{f"Smith/{name}": f"content of {name}\n".encode() for name in PLAIN}, "Jones/memo": b"memo\n"}

OPERATIONS = [
    {"op": "rename", "path": "a.txt", "name": "A.txt"},
    move("in", "out"),
    move("b.txt", "b.aside"),
    move("c.txt", "b.txt"),
    move("b.aside", "c.txt"),
    replace("old.txt", "the successor\n"),
    delete("gone.txt"),
    delete("gonedir", recursive=True),
    copy("copyme", "copied"),
    create("made/new.txt", "brought\n"),
]
# A bucket may date an object by its last copy. Killed before the old date is given back to one in a folder, nobody
# knows that date any more; the vault then says so of the folder, whose contents are compared here all the same.
REDATED = "(Smith/gonedir) holds something else than it did"


def _after() -> dict[str, bytes]:
    kept = {name: content for name, content in BEFORE.items() if not name.startswith(("Smith/in/", "Smith/gone"))}
    renamed = {"Smith/A.txt": kept.pop("Smith/a.txt"), "Smith/b.txt": kept["Smith/c.txt"]}
    renamed |= {"Smith/c.txt": kept["Smith/b.txt"], "Smith/copied": kept["Smith/copyme"]}
    moved = {name.replace("/in/", "/out/"): content for name, content in FOLDER.items()}
    return {**kept, **moved, **renamed, "Smith/old.txt": b"the successor\n", "Smith/made/new.txt": b"brought\n"}


AFTER = _after()


class Point(NamedTuple):
    """One try: how it ended, and what did not hold."""

    outcome: str
    wrong: list[str]


def fill(store: Store, contents: dict[str, bytes]) -> None:
    """Go on with a bucket that holds these cases, as others have put them there."""
    store.anew()
    for name, content in contents.items():
        store.put(f"projects/{name}", content)


def changes(kind: str, store: Store, folder: Path) -> int:
    """How many changes of the bucket an undisturbed run makes."""
    fill(store, BEFORE)
    with mounted(kind, store, folder) as mount:
        office = BucketOffice(mount, folder / "state")
        plan = office.approved(*OPERATIONS)
        before = store.changes()
        office.gate.apply(plan)
        office.close()
        return store.changes() - before


def killed(kind: str, store: Store, folder: Path, *kills: int) -> Point:
    """Kill the mount at a change of the run, mount anew and recover; at a change of that recovery too, and so on."""
    fill(store, BEFORE)
    with mounted(kind, store, folder) as mount:
        office = BucketOffice(mount, folder / "state")
        plan, wrong = office.approved(*OPERATIONS), []
        acts: list[Callable[[Gate], object]] = [lambda gate: gate.apply(plan), *[Gate.recover] * (len(kills) - 1)]
        for act, change in zip(acts, kills, strict=True):
            store.kill_at(mount, change)
            wrong += _tried(office.gate, act)
            office.again()
        wrong += _tried(office.gate, Gate.recover, clean=True)
        told = [f"fsck: {one.title}" for one in office.open().fsck() if one.severity == "error"]
        dated = [text for text in told if REDATED in text]
        wrong += [text for text in told if text not in dated]
        state = office.gate.core.store.plan(plan).state.value
        office.close()
        mount.unmount()
        point = _judged(state, office.kept(), set(store.objects().values()), wrong)
        return point._replace(outcome=point.outcome + ", an object in a folder dated anew" * bool(dated))


def _tried(gate: Gate, act: Callable[[Gate], object], *, clean: bool = False) -> list[str]:
    """What is wrong with how an act ended: well, or (unless it was to be `clean`) with an error that says so."""
    try:
        act(gate)
    except (UsageError, NotFound) as error:  # the mount was gone before anything began
        return [] if error.hint or "not connected" in str(error) or "abort" in str(error) else [f"unclear: {error}"]
    except TreegateError as error:
        told = error.exit_status in (6, 7) and error.hint and not clean
        return [] if told else [f"{error.code} ({error.exit_status}): {error}"]
    except Exception as error:
        return [f"not an error of ours: {error!r}"]
    return []


def _judged(state: str, kept: dict[str, bytes], everything: set[bytes], wrong: list[str]) -> Point:
    """A tree before or after, as the plan's state says, and no content lost."""
    expected = AFTER if state == "applied" else BEFORE
    for name in sorted(expected.keys() | kept.keys()):
        if expected.get(name) != kept.get(name):
            wrong.append(f"{state}, and {name} is {kept.get(name)!r}")
    wrong += [f"{name} is lost" for name, content in BEFORE.items() if content not in everything]
    outcome = {"applied": "applied", "rolled-back": "rolled back"}.get(state, "nothing done")
    return Point(outcome, wrong)
