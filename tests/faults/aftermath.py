"""What must hold once a deed was cut short, by killing or by failing it, and what is left of it was recovered.

The tree is before or after, byte for byte; what was in a file still is in one, in the tree or in the vault; database,
journal and tree tell one story; and it can go on from there.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tests.gate.gatework import Office
from tracing import Ended

from treegate.engine import frames, journal, posix, tablefile
from treegate.engine.journal import Back, Built, Done, End
from treegate.engine.locate import Survey
from treegate.errors import NeedsRecovery
from treegate.gate import Gate, surroundings
from treegate.model.lifecycle import State

if TYPE_CHECKING:
    from deeds import Applying

Tree = dict[bytes, tuple[object, ...]]
BEFORE = {"approved", "rolled-back", "stale"}  # states of a plan with which the tree is before


def of_run(deed: Applying, ended: Ended, after: Tree | None) -> str:
    """Checks a run; "how it ended -> the state it was recovered to"."""
    office = deed.office
    assert not ended.how.startswith("crashed"), f"{ended.how}: {ended.text}"
    answer_is_true(deed, ended, after)
    back = turned_back(office)
    recover(office)
    state = office.gate.show(deed.plan).plan.state.value
    stay_back(office, back)
    came_to(deed, state, after)
    assert ended.kinds or ended.how not in ("applied", "rolled-back") or state == ended.how, ended
    office.sound()
    goes_on(deed, state, after)
    office.close()
    return f"{ended.how} -> {state}"


def answer_is_true(deed: Applying, ended: Ended, after: Tree | None) -> None:
    """What a run said of itself held when it said so."""
    if ended.how == "applied" and after is not None:
        same(deed.office.tree(), after, "it said that it is applied")
    if ended.how == "rolled-back" or {"RolledBack", "Stale", "Denied"} & set(ended.kinds):
        same(deed.office.tree(), deed.before, f"it said {ended.how}")


def came_to(deed: Applying, state: str, after: Tree | None) -> None:
    """The tree is what the store says it is, no content is lost, and there was one run at most."""
    tree = deed.office.tree()
    assert state == "applied" or state in BEFORE, f"the plan is {state}"
    if state in BEFORE or after is not None:
        same(tree, deed.before if state in BEFORE or after is None else after, state)
    assert deed.contents <= contents(deed.office), "bytes were lost"
    runs = [run for run in deed.office.gate.list_runs() if run.plan == deed.plan]
    assert len(runs) == (state != "approved"), runs


def goes_on(deed: Applying, state: str, after: Tree | None) -> None:
    """What was given back can be applied, what was taken back can be asked for anew, what was applied is undone."""
    office = deed.office
    if state == "applied":
        run = next(run.id for run in office.gate.list_runs() if run.plan == deed.plan)
        office.undone(run)
        same(office.tree(), deed.before, "undone")
    else:
        plan = deed.plan if state == "approved" else deed.approved()
        assert office.gate.apply(plan).state == "applied"
        same(office.tree(), office.tree() if after is None else after, "applied after all")


def same(tree: Tree, wanted: Tree, what: str) -> None:
    """Two trees are the same; else the paths at which they are not."""
    differs = [path for path in sorted({*tree, *wanted}) if tree.get(path) != wanted.get(path)]
    assert not differs, (what, [(path, tree.get(path), wanted.get(path)) for path in differs[:3]])


def contents(office: Office) -> set[str]:
    """Every content of a file there is in a workspace, its vault included."""
    found = set()
    for folder, _, names in os.walk(office.root):
        for name in names:
            path = Path(folder, name)
            if not path.is_symlink() and {"projects", "entries"} & set(path.parts):
                found.add(hashlib.sha256(path.read_bytes()).hexdigest())
    return found


def recover(office: Office) -> Gate:
    """Recovers as a new process would; where a sync had failed, after the disk was mounted anew."""
    try:
        office.reopen().recover()
    except NeedsRecovery as error:
        if error.code != "remount-needed":
            raise
        posix.boot_id = lambda: "another boot"
        office.reopen().recover()
    return office.gate


# -- the journal, before it is recovered


def turned_back(office: Office) -> list[str]:
    """The runs that had turned back when they were cut short; after a look whether what the journals tell is so."""
    gate, found = office.reopen(), []
    for run in gate.core.store.unfinished():
        directory = gate.core.run_directory(run.id)
        records = list(records_of(directory))
        outcome = next((record.outcome for record in records if isinstance(record, End)), "")
        back = any(isinstance(record, Back) for record in records)
        if back and outcome != "applied":
            found.append(run.id)
        if records and not back and not outcome:
            done_is_made(gate, run.id, records)
    return found


def records_of(directory: Path) -> Iterator[journal.Record]:
    """Every record of a journal, read apart from the engine."""
    for path in sorted(directory.glob("journal.*")):
        for frame in frames.chained(path.read_bytes(), journal._key(directory.name, int(path.suffix[1:])))[0]:
            yield from journal._records(frame, directory)


def done_is_made(gate: Gate, id: str, records: list[journal.Record]) -> None:
    """Every step that the journal tells as done is made."""
    run = gate.core.store.run(id)
    table = tablefile.read(gate.core.run_directory(id) / tablefile.NAME, run.table_digest)
    built = {entry.number: entry for one in records if isinstance(one, Built) for entry in one.entries}
    done = max((record.step for record in records if isinstance(record, Done)), default=0)
    if not done:
        return
    with surroundings.context_of(gate.core, run, table).places() as places:
        for entry in built.values():
            places.expect(entry.number, entry.facts)
        made = Survey(places, list(table.steps()), built).done[:done]
    assert all(made), f"the journal tells {done} steps as done, of which {made.count(False)} are not made"


def stay_back(office: Office, runs: list[str]) -> None:
    """Runs that had turned back were taken back."""
    for run in runs:
        state = office.gate.core.store.run(run).state
        assert state is State.ROLLED_BACK, f"it had turned back, and is {state}"


def tear(office: Office) -> None:
    """Leaves of the last frame of a journal what a write cut short leaves: its first half, and zeros."""
    paths = sorted((office.state / "runs").glob("*/journal.*"))
    if not paths:
        return
    path = paths[-1]
    data = bytearray(path.read_bytes())
    found, end = frames.chained(bytes(data), journal._key(path.parent.name, int(path.suffix[1:])))
    if found:
        half = (frames.HEAD.size + len(found[-1].payload)) // 2
        data[end - half : end] = bytes(half)
        path.write_bytes(data)
