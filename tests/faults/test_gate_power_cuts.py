"""Power cuts as the gate meets them: approvals, the database and the run hold on the disk mounted anew."""

import os
import sys
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import pytest
from cutting import violated
from loops import KINDS, LOG_DROPPED, Disk, needed, scratch

from treegate.engine.course import Course
from treegate.gate import surroundings

sys.path.append(str(Path(__file__).parents[1] / "gate"))

from gatework import Office, create, delete, die, dies_after, move, replace
from test_gate_crashes import BORDERS

PLAN = (
    *(move(f"in/{name}", f"out/{name}") for name in "abcdef"),
    create("INDEX.md", "# Index\n"),
    replace("notes.md", "new notes\n"),
    delete("tmp", recursive=True),
)
PLACES = {"same": "disk/state", "kept": "state"}
PLACES_TOLD = {"same": "on the same disk", "kept": "on a disk that keeps its power"}


class Wired:
    """An office on a disk of its own, whose power can be cut; its state there too, or elsewhere."""

    def __init__(self, folder: Path, kind: str, state: str) -> None:
        self.disk = Disk(kind, folder / "image", folder / "disk")
        self.disk.make()
        self.disk.mount()
        self.office = Office(folder / "disk/office", folder / PLACES[state])
        for name in "abcdef":
            self.office.put(f"Smith/in/{name}", name)
        self.office.put("Smith/notes.md", "old\n")
        self.office.put("Smith/tmp/x", "x")
        self.disk.sync()
        self.before = self.office.tree()

    def cut(self, how: int) -> None:
        """The power fails; the disk comes back as another device."""
        was = os.stat(self.disk.point).st_dev
        self.office.close()
        self.disk.stop(how)
        self.disk.unmount()
        self.disk.mount()
        assert os.stat(self.disk.point).st_dev != was
        self.office.reopen()

    def approved(self) -> str:
        """A plan whose approval was the last thing before the process died."""
        done = self.office.submit(*PLAN)
        self.office.close()
        self.office.crash(lambda gate: (gate.approve(done.id, done.digest), die()))
        return str(done.id)

    def close(self) -> None:
        self.office.close()
        self.disk.close()


@contextmanager
def wired(kind, state):
    """An office that is gone afterwards."""
    with scratch() as folder:
        made = Wired(folder, kind, state)
        try:
            yield made
        finally:
            made.close()


@pytest.fixture(params=KINDS)
def fault(request):
    """Each type of filesystem, and the cut that leaves least."""
    needed(request.param)
    return request.param, KINDS[request.param].cuts[-1]


def approval_holds(kind, cut, state):
    """Approved, cut, mounted anew, applied, undone."""
    with wired(kind, state) as made:
        id = made.approved()
        made.cut(cut)
        assert made.office.gate.show(id).plan.state == "approved"
        done = made.office.gate.apply(id)
        assert done.state == "applied"
        made.office.sound()
        made.office.undone(done.run)
        assert made.office.tree() == made.before


def recovery_holds(kind, cut, state, back):
    """Approved, killed amid the steps, cut, mounted anew, recovered."""
    real = surroundings.context_of
    from dataclasses import replace as changed

    def small(*given):
        return changed(real(*given), batch=2)

    with wired(kind, state) as made:
        id = made.approved()
        made.office.crash(
            lambda gate: gate.apply(id),
            (surroundings, "context_of", small),
            (Course, "append", dies_after(Course.append, 4)),
        )
        made.cut(cut)
        (done,) = made.office.gate.recover(back=back)
        assert done.state == ("rolled-back" if back else "applied")
        assert (made.office.tree() == made.before) == back
        made.office.sound()


@pytest.mark.parametrize("state", PLACES)
def test_an_approval_holds_on_a_disk_that_was_cut_and_mounted_anew(fault, state):
    """3, 18: what was approved last before the cut is applied, on another device, without asking again."""
    approval_holds(*fault, state)


@pytest.mark.parametrize(("state", "back"), [("same", False), ("kept", True)])
def test_a_recovery_holds_on_a_disk_that_was_cut_and_mounted_anew(fault, state, back):
    """3, 5, 18: the run goes on, or back, on another device; database, journal and tree tell one story."""
    recovery_holds(*fault, state, back)


def test_an_approval_that_hangs_on_a_device_number_is_found_out():
    """18: an engine that keeps device numbers loses its approvals with the mounting."""
    needed("ext4")
    assert violated("device-in-identities", lambda: approval_holds("ext4", LOG_DROPPED, "kept"))


def test_a_recovery_that_hangs_on_a_device_number_is_found_out():
    """18: nor does it know again what it moved."""
    needed("ext4")
    assert violated("device-in-identities", lambda: recovery_holds("ext4", LOG_DROPPED, "kept", False))


def told_alike(kind, cut, border, state):
    """The process dies at a border, and the power goes with it; what was carried out can be undone."""
    patch, story = BORDERS[border]
    with wired(kind, state) as made:
        id = made.approved()
        made.office.crash(lambda gate: gate.apply(id), patch)
        made.cut(cut)
        made.office.gate.recover()
        assert made.office.gate.show(id).plan.state == story
        assert (made.office.tree() == made.before) == (story == "approved")
        if story == "approved":
            assert made.office.gate.apply(id).state == "applied"
        made.office.sound()
        made.office.undone()
        assert made.office.tree() == made.before
    return story


@pytest.mark.parametrize("border", BORDERS)
def test_a_cut_between_database_and_journal_is_told_alike_by_both(border):
    """3, 5, 16: on the disk where both lie."""
    needed("ext4")
    told_alike("ext4", LOG_DROPPED, border, "same")


@pytest.mark.faults
@pytest.mark.parametrize("state", PLACES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_cut_between_database_and_journal_is_told_alike_by_both(kind, state, tally):
    """3, 5, 16: on every filesystem, with every cut, at every border."""
    needed(kind)
    stories = Counter(told_alike(kind, cut, border, state) for cut in KINDS[kind].cuts for border in BORDERS)
    tally(f"power cut between database and journal, state {PLACES_TOLD[state]}", kind, stories)
