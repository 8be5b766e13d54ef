"""Runs with an aide: the same tree, the same record, and no new way to lose anything."""

from __future__ import annotations

import errno
import os
import signal
from functools import partial

import pytest
from gatework import copy, create, delete, dies_after, in_child, move

from treegate.engine import aide, posix, vault
from treegate.engine.aide import ALONE, Aide
from treegate.engine.course import Course
from treegate.errors import RolledBack, Stale
from treegate.gate.accounts import Account

FILES = [f"{number:02}.txt" for number in range(40)]
MOVES = [move(f"in/{name}", f"out/{name}") for name in FILES]


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    """Small runs have aides that take part in every look: each is waited for."""
    monkeypatch.setattr(aide, "LARGE", 1)
    monkeypatch.setattr(aide, "SHARED", 2)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    real = Aide._is_free

    def waited(self):
        while self._end is not None and not self._ready and not self._end.has_come():
            pass
        return real(self)

    monkeypatch.setattr(Aide, "_is_free", waited)


@pytest.fixture
def full(office):
    """An office with files to move, and a folder that they may go to."""
    for name in FILES:
        office.put(f"Smith/in/{name}", name)
    office.put("Smith/out/there", "there")
    office.put("Smith/deep/folder/leaf", "leaf")
    return office


@pytest.fixture
def compared(monkeypatch):
    """What the aide wrote for each run, after it is compared with what the run would have written itself."""
    found = []

    def both(owner, name):
        real = getattr(owner, name)

        def compare(*given):
            helped = real(*given)
            assert real(*given[:-1], ALONE) == helped
            return helped

        monkeypatch.setattr(owner, name, compare)

    def files(self, name, real=Aide.files):
        made = real(self, name)
        if self is not ALONE:
            found.append((name, [file is not None for file in made]))
        return made

    monkeypatch.setattr(Aide, "files", files)
    both(Account, "write_lines")
    both(vault, "write")
    return found


DONE, LEFT, NEVER = [True], [False], []


@pytest.mark.parametrize(("operations", "lines", "data"), [
    (MOVES, DONE, DONE),
    ([move("in/00.txt", "in/tmp"), move("in/01.txt", "in/00.txt"), move("in/tmp", "in/01.txt")], DONE, DONE),
    ([*MOVES, move("deep", "deeper")], LEFT, DONE),  # the receipt says what a folder holds
    ([*MOVES, delete("deep/folder/leaf")], NEVER, DONE),
    ([*MOVES, create("new.txt")], NEVER, NEVER),
    ([*MOVES, copy("deep/folder/leaf", "again")], NEVER, NEVER),
])  # fmt: skip
def test_the_record_is_what_the_run_would_have_written(full, compared, operations, lines, data):
    """Byte by byte, there and back; what the aide cannot know it leaves alone."""
    run = full.carried_out(*operations)
    assert compared == [("lines", lines), ("rollback.data", data)]
    before = full.tree()
    full.sound()
    full.undone(run.run)
    assert full.tree() != before
    full.sound()


def test_a_file_that_cannot_be_given_a_name_is_written_anew(full, compared, monkeypatch):
    """Where there is no /proc, or its folder lies on another filesystem than the file was made on."""

    def refused(*_):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(posix, "give_name", refused)
    full.carried_out(*MOVES)
    assert compared == [("lines", DONE), ("rollback.data", DONE)]
    full.sound()


def test_two_volumes_have_their_data_each(full, compared, mount):
    """A case with a filesystem of its own has a vault of its own."""
    folder = mount(full.path("Brown"), "-t", "tmpfs", "none")
    (folder / "x").write_text("x")
    full.reopen()
    full.carried_out(move("Smith/in/00.txt", "Smith/00.txt"), move("Brown/x", "Brown/y"), case=None)
    assert compared == [("lines", DONE), ("rollback.data", [True, True])]
    full.sound()


def test_what_changed_in_the_half_of_the_aide_stops_the_run(full):
    """30: nothing is moved, and the entry is named."""
    id = full.approved(*MOVES)
    full.put("Smith/in/39.txt", "edited since")
    before = full.tree()
    with pytest.raises(Stale, match=r"39\.txt"):
        full.gate.apply(id)
    assert full.tree() == before
    full.sound()


def test_a_run_that_goes_back_leaves_nothing_of_its_aide(full, monkeypatch):
    """Nothing that was written has a name yet."""

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    id = full.approved(*MOVES)
    before = full.tree()
    monkeypatch.setattr(posix, "rename", full_disk)
    monkeypatch.setattr(posix, "rename_each", lambda *_: (0, OSError(28, "No space left on device")))
    with pytest.raises(RolledBack):
        full.gate.apply(id)
    assert full.tree() == before
    assert list((full.state / "receipts").iterdir()) == []
    full.sound()


@pytest.mark.parametrize("name", ["look_each", "begin", "files"])
def test_an_aide_that_is_killed_costs_nothing(full, name, monkeypatch):
    """Whenever it goes, the run ends as it does without it."""
    real = getattr(Aide, name)

    def kills(self, *given):
        if self._process is not None:
            os.kill(self._process.pid, signal.SIGKILL)
            self._process.wait()
        return real(self, *given)

    monkeypatch.setattr(Aide, name, kills)
    run = full.carried_out(*MOVES)
    full.sound()
    full.undone(run.run)
    full.sound()


@pytest.mark.parametrize(("times", "made"), [(1, DONE), (3, NEVER)])
def test_a_run_that_was_killed_is_recovered_with_an_aide(full, compared, times, made):
    """2, 6: with one that looks where everything is, and writes the record; of a run that had ended, nothing."""
    id = full.approved(*MOVES)
    full.crash(lambda gate: gate.apply(id), (Course, "append", dies_after(Course.append, times)))
    (done,) = full.reopen().recover()
    assert done.state == "applied"
    assert compared == [("lines", made), ("rollback.data", made)]
    assert {path.name for path in full.path("Smith/out").iterdir()} == {*FILES, "there"}
    full.sound()


@pytest.mark.parametrize("name", ["give_name", "fsync"])
@pytest.mark.parametrize("times", [1, 2])
def test_a_crash_as_a_file_of_the_aide_gets_its_name_is_recovered(full, name, times):
    """1, 16: what has a name by then is written anew."""
    id = full.approved(*MOVES)
    real = getattr(posix, name)

    def act(gate):
        begin = Account.write_lines

        def then(*given):
            setattr(posix, name, dies_after(real, times))
            return begin(*given)

        Account.write_lines = then
        gate.apply(id)

    assert in_child(partial(act, full.open())) == 77
    assert [one.state for one in full.reopen().recover()] == ["applied"]
    full.sound()
