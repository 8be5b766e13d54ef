"""One plan on a bucket mount, and the mount killed in the middle of it: what must hold however far it had come.

The kill comes from the S3 server, at the moment when it has carried out so many changes of the run: between the copy
of an object and the removal of the old one as well as anywhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from bucketwork import BucketOffice, Store, mounted
from gatework import OLD, copy, create, delete, move, replace

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
# The objects that were put there with a date of their own, which goes wherever they go.
DATED = ("Smith/gonedir/deep/y", "Smith/in/001.txt", "Smith/in/deep/003.txt", "Smith/copyme")
# The others have the date of their last copy. Killed before the old one is given back to such an object in a folder,
# nobody knows it any more; the vault then says so of the folder. What is moved by itself has its date in the journal.
DATELESS = {name for name in BEFORE if name.startswith(("Smith/in/", "Smith/gonedir/"))} - {*DATED}
REDATED = "(Smith/gonedir) holds something else than it did"
VAULT = {f"Smith/{name}": BEFORE[f"Smith/{name}"] for name in ("old.txt", "gone.txt", "gonedir/x", "gonedir/deep/y")}
LATE = ", the last kill came too late"


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
        store.put(f"projects/{name}", content, dated=OLD if name in DATED else None)


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
        dates = _dates(mount.root)
        acts: list[Callable[[Gate], object]] = [lambda gate: gate.apply(plan), *[Gate.recover] * (len(kills) - 1)]
        for act, change in zip(acts, kills, strict=True):
            at = store.kill_at(mount, change)
            wrong += _tried(office.gate, act)
            late = store.changes() < at
            office.again()
        wrong += _tried(office.gate, Gate.recover, clean=True)
        redated = {name for name, date in _dates(mount.root).items() if date != dates[name]}
        wrong += _ill_dated(redated, len(kills)) + _told(office, redated)
        state = office.gate.core.store.plan(plan).state.value
        places = {f"{one.run}/entries/{one.entry}": one.path for one in office.gate.core.store.vault()}
        office.close()
        mount.unmount()
        point = _judged(state, store.objects(), places, wrong)
        more = ", an object in a folder dated anew" * bool(redated) + LATE * late
        return point._replace(outcome=point.outcome + more)


def _dates(root: Path) -> dict[str, int]:
    """When each object was last changed (ns since 1970), as the mount tells it, by its name before the run."""
    names = {content: name for name, content in BEFORE.items()}
    found = [path for top in ("projects", ".treegate/vault") for path in (root / top).rglob("*") if path.is_file()]
    named = [(names.get(path.read_bytes()), path) for path in found if path.name != "copied"]
    return {name: path.stat().st_mtime_ns for name, path in named if name}


def _ill_dated(redated: set[str], kills: int) -> list[str]:
    """What is wrong with these being dated anew: a kill may cost one date, and only one that nobody else knows."""
    wrong = [f"{name} is dated anew" for name in sorted(redated - DATELESS)]
    return wrong + [f"{kills} kills, and dated anew are {sorted(redated)}"] * (len(redated) > kills)


def _told(office: BucketOffice, redated: set[str]) -> list[str]:
    """What the gate finds wrong, but for the deleted folder with an object that is dated anew."""
    told = [f"fsck: {one.title}" for one in office.open().fsck() if one.severity == "error"]
    known = REDATED if "Smith/gonedir/x" in redated else None
    return [text for text in told if known is None or not text.endswith(known)]


def _tried(gate: Gate, act: Callable[[Gate], object], *, clean: bool = False) -> list[str]:
    """What is wrong with how an act ended: well, or (unless it was to be `clean`) with an error that says so."""
    try:
        act(gate)
    except TreegateError as error:
        return [] if _clear(error) and not clean else [f"{error.code} ({error.exit_status}): {error}"]
    except Exception as error:
        return [f"not an error of ours: {error!r}"]
    return []


def _clear(error: TreegateError) -> bool:
    """Whether an error says what became of the run, or that the mount was gone before anything began."""
    if isinstance(error, UsageError | NotFound):
        return bool(error.hint) or "not connected" in str(error) or "abort" in str(error)
    return error.exit_status in (6, 7) and bool(error.hint)


def _judged(state: str, objects: dict[str, bytes], places: dict[str, str], wrong: list[str]) -> Point:
    """A tree and a vault before or after, as the plan's state says, and no content lost."""
    kept = {key.removeprefix("projects/"): objects[key] for key in objects if key.startswith("projects/")}
    wrong += _differing(state, AFTER if state == "applied" else BEFORE, kept)
    wrong += _differing(f"{state}, vault", VAULT if state == "applied" else {}, _vault(objects, places))
    everything = set(objects.values())
    wrong += [f"{name} is lost" for name, content in BEFORE.items() if content not in everything]
    outcome = {"applied": "applied", "rolled-back": "rolled back"}.get(state, "nothing done")
    return Point(outcome, wrong)


def _differing(where: str, expected: dict[str, bytes], found: dict[str, bytes]) -> list[str]:
    names = sorted(expected.keys() | found.keys())
    return [f"{where}: {name} is {found.get(name)!r}" for name in names if expected.get(name) != found.get(name)]


def _vault(objects: dict[str, bytes], places: dict[str, str]) -> dict[str, bytes]:
    """What the vault holds, under the names from which it came; `places` are its entries as the store has them."""
    keys = {key: key.removeprefix(".treegate/vault/").split("/") for key in objects if "/entries/" in key}
    kept = {key: ("/".join(parts[:3]), parts[3:]) for key, parts in keys.items()}
    return {"/".join([places.get(entry, entry), *rest]): objects[key] for key, (entry, rest) in kept.items()}
