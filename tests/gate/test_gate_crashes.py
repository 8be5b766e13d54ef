"""Crashes as the gate meets them: database, journal and tree tell one story, whoever was interrupted where."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import sqlite3
import subprocess
import tempfile
from pathlib import Path

import pytest
from gatework import SURVIVED, Office, copy, create, delete, die, dies_after, in_child, move, replace

from treegate.engine import apply as applying
from treegate.engine import handles, journal, locks, posix, schema, staging
from treegate.engine.course import Course
from treegate.errors import Busy, Denied, NeedsRecovery, NotVerified, RolledBack, TreegateError
from treegate.gate import ending, runs, surroundings

MIXED = (
    move("in/a.txt", "b.tmp"),
    move("in/b.txt", "in/a.txt"),
    move("b.tmp", "in/b.txt"),
    move("in/deep", "deep"),
    copy("deep/c.txt", "copies/c.txt"),
    create("INDEX.md", "# Index\n"),
    replace("notes.md", "new notes\n"),
    delete("tmp", recursive=True),
    {"op": "set", "path": "in/a.txt", "mode": "0700"},
)


def filled(office: Office) -> Office:
    office.put("Smith/in/a.txt", "alpha\n")
    office.put("Smith/in/b.txt", "beta\n")
    office.put("Smith/in/deep/c.txt", "gamma\n")
    office.put("Smith/notes.md", "old\n")
    office.put("Smith/tmp/x", "x")
    return office


def last_run(office: Office) -> str:
    return office.open().list_runs()[0].id


def small_steps(monkeypatch: pytest.MonkeyPatch, batch: int = 2) -> None:
    """Batches of a few steps, so that a run has many borders."""
    real = surroundings.context_of
    from dataclasses import replace as changed

    monkeypatch.setattr(surroundings, "context_of", lambda *given: changed(real(*given), batch=batch))


# 16: the four borders between database and journal

BORDERS = {
    "before the run directory": ((runs, "_begun", die), "approved"),
    "before the journal": ((applying.Journal, "create", die), "approved"),
    "after the durable end": ((Course, "end", dies_after(Course.end)), "applied"),
    "before the end in the store": ((ending, "_end_applied", die), "applied"),
    "before the clean-up": ((ending, "clean", die), "applied"),
}


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("by", ["recover", "the next apply", "recover back"])
def test_16_a_crash_between_database_and_journal_is_told_alike_by_both(office, border, by):
    """Before the journal nothing happened and the approval is given back; after its end the run is applied, also
    for who asks to go back; nothing is left over either way."""
    patch, story = BORDERS[border]
    before = filled(office).tree()
    id = office.approved(*MIXED)
    office.crash(lambda gate: gate.apply(id), patch)
    untouched = office.tree() == before
    assert untouched == (story == "approved")
    gate = office.reopen()
    if by == "the next apply":
        assert gate.apply(id).state == "applied"
        story = "applied"
    else:
        done = gate.recover(back=by == "recover back")
        assert [one.state for one in done] == ([] if border == "before the clean-up" else [story])
    assert gate.show(id).plan.state == story
    if story == "approved":
        assert office.tree() == before
        assert gate.list_runs() == []
        assert gate.apply(id).state == "applied"
    office.sound()
    run = gate.list_runs()[0].id
    assert office.story(run) == "applied"
    assert gate.applied(run).receipt.touched == gate.show(id).preview.counts.effects
    office.undone(run)
    assert office.tree() == before


def test_16_a_crash_of_the_recovery_at_each_border_is_recovered_too(office):
    """The recovery of a recovery tells the same story."""
    before = filled(office).tree()
    id = office.approved(*MIXED)
    office.crash(lambda gate: gate.apply(id), (Course, "end", die))
    for patch in ((Course, "end", die), (Course, "end", dies_after(Course.end)), (ending, "_end_applied", die)):
        office.crash(lambda gate: gate.recover(), patch)
    (done,) = office.reopen().recover()
    assert done.state == "applied"
    office.sound()
    office.undone(done.run)
    assert office.tree() == before


# Crashes amid the steps


@pytest.mark.parametrize("back", [False, True])
@pytest.mark.parametrize("batches", [1, 2, 3])
def test_a_crash_amid_the_steps_goes_forward_or_back_as_asked(office, monkeypatch, batches, back):
    """`recover` finishes the run; `recover --back` gives the tree of before, byte for byte."""
    small_steps(monkeypatch)
    before = filled(office).tree()
    id = office.approved(*MIXED)
    office.crash(lambda gate: gate.apply(id), (Course, "append", dies_after(Course.append, 2 * batches)))
    (done,) = office.reopen().recover(back=back)
    assert done.state == ("rolled-back" if back else "applied")
    assert (office.tree() == before) == back
    office.sound()
    if not back:
        office.undone(done.run)
        assert office.tree() == before


@pytest.mark.parametrize(
    ("meanwhile", "reason"),
    [
        ("", "it was asked to go back"),
        ("changed", "it could not go on: Smith/3: was changed"),
        ("going back", "it was on its way back when it was interrupted"),
        ("back", "it had gone back when it was interrupted"),
    ],
)
def test_a_recovery_that_goes_back_says_why(office, monkeypatch, meanwhile, reason):
    """Who asked for it, or which entry is not as it was approved."""
    small_steps(monkeypatch)
    for name in "0123":
        office.put(f"Smith/{name}", name)
    id = office.approved(*(move(name, f"to/{name}") for name in "0123"))
    office.crash(lambda gate: gate.apply(id), (Course, "append", dies_after(Course.append, 4)))
    if meanwhile == "changed":
        office.put("Smith/3", "changed since")
    if meanwhile in ("going back", "back"):
        at = die if meanwhile == "going back" else dies_after(Course.end)
        office.crash(lambda gate: gate.recover(back=True), (Course, "end", at))
    (done,) = office.reopen().recover(back=not meanwhile)
    assert (done.state, done.reason) == ("rolled-back", reason)
    assert sorted(path.name for path in office.path("Smith").iterdir()) == list("0123")


def test_a_command_that_writes_recovers_first(office):
    """The next apply on the case brings the unfinished run to its end before anything else."""
    filled(office)
    office.put("Smith/other", "other")
    id, other = office.approved(*MIXED), office.approved(move("other", "moved"))
    office.crash(lambda gate: gate.apply(id), (Course, "end", die))
    office.reopen().apply(other)
    assert [run.state for run in office.gate.list_runs()] == ["applied", "applied"]
    office.sound()


def test_a_preview_is_refused_while_a_run_is_unfinished(office):
    """The tree is between two states; another case is not held up."""
    filled(office)
    office.put("Jones/j", "j")
    id = office.approved(*MIXED)
    office.crash(lambda gate: gate.apply(id), (Course, "end", die))
    gate = office.reopen()
    with pytest.raises(NeedsRecovery) as refused:
        gate.check(office.document(move("notes.md", "x")))
    assert (refused.value.exit_status, refused.value.next) == (7, "treegate recover")
    assert gate.check(office.document(move("j", "k"), case="Jones")).valid
    assert gate.check(office.document(move("Jones/j", "Jones/k"), case=None)).valid
    for of_both in (
        move("Jones/j", "Smith/j"),
        {"op": "move", "match": "*/j", "to": "Jones/{name}"},
        {"op": "copy", "from": "Smith%2Fin", "to": "Jones/in", "raw": True},
        {"op": "move", "match": "smith/*", "to": "Jones/k/"},  # what is meant is looked for in Smith
    ):
        with pytest.raises(NeedsRecovery):
            gate.check(office.document(of_both, move("Jones/j", "Jones/k"), case=None))
    assert any("unfinished" in found.title for found in gate.fsck())
    assert any("unfinished" in found.title for found in gate.doctor())


def test_out_of_the_vault_of_a_case_whose_run_is_unfinished_nothing_is_previewed(office):
    """That run may be about to take the same out of it."""
    filled(office)
    office.put("Jones/j", "j")
    emptied = office.carried_out(delete("tmp", recursive=True)).run
    restored = office.document({"op": "restore", "run": emptied, "entry": 0, "to": "tmp"}, case="Jones")
    assert office.gate.check(restored).valid
    id = office.approved(move("notes.md", "x"))
    office.crash(lambda gate: gate.apply(id), (Course, "end", die))
    with pytest.raises(NeedsRecovery):
        office.reopen().check(restored)


def test_undo_without_a_name_does_not_pass_over_a_run_that_is_unfinished(office):
    """Who asks for the last run to be undone means that one, and is told the command that takes it back."""
    filled(office)
    office.put("Jones/j", "j")
    older = office.carried_out(move("j", "k"), case="Jones").run
    id = office.approved(*MIXED)
    office.crash(lambda gate: gate.apply(id), (Course, "end", die))
    gate = office.reopen()
    (unfinished,) = (run.id for run in gate.list_runs() if run.id != older)
    with pytest.raises(NeedsRecovery) as refused:
        gate.undo()
    assert (refused.value.exit_status, refused.value.next) == (7, f"treegate recover {unfinished} --back")
    assert gate.undo(older).run == older
    gate.recover(unfinished, back=True)
    assert gate.undo().run == older


def test_13_a_crash_during_undo_is_finished_or_taken_back(office):
    """An undo is a run like any other: recovered forward it has undone, recovered back it has not begun."""
    before = filled(office).tree()
    run = office.carried_out(*MIXED).run
    after = office.tree()
    for back in (True, False):
        undo = office.gate.undo(run).submitted
        office.gate.approve(undo.id, undo.digest)
        office.crash(lambda gate, id=undo.id: gate.apply(id), (Course, "end", die))
        office.reopen().recover(back=back)
        assert office.tree() == (after if back else before)
        assert office.story(run) == ("applied" if back else "undone")
    office.sound()


def test_15_a_rollback_that_crashes_stays_a_rollback(office):
    """Recovered without a wish, it goes on back."""
    before = filled(office).tree()
    id = office.approved(*MIXED)
    office.crash(lambda gate: gate.apply(id), (Course, "end", die))
    office.crash(lambda gate: gate.recover(back=True), (Course, "end", die))
    (done,) = office.reopen().recover()
    assert done.state == "rolled-back"
    assert office.tree() == before
    office.sound()


def test_a_run_that_cannot_be_recovered_holds_up_no_other(office):
    """The one is told, after the others were brought to their end."""
    office.put("Smith/a", "a")
    office.put("Jones/a", "a")
    for case in ("Smith", "Jones"):
        id = office.approved(move("a", "b"), case=case)
        office.crash(lambda gate, id=id: gate.apply(id), (Course, "end", die))
    first = office.open().list_runs(case="Smith")[0].id
    (office.state / "runs" / first / "table").write_bytes(b"garbage")
    with pytest.raises(NotVerified):
        office.reopen().recover()
    assert {run.cases[0]: run.state.value for run in office.gate.list_runs()} == {
        "Smith": "applying",
        "Jones": "applied",
    }


# 14: two recoveries at once


def test_14_of_two_recoveries_at_once_one_has_the_lock(office):
    """The other is told who has it (8), and afterwards finds nothing to do."""
    filled(office)
    id = office.approved(*MIXED)
    office.crash(lambda gate: gate.apply(id), (Course, "end", die))
    office.configure(lock_wait="0s")
    with locks.case_locks(office.state / "locks", ["Smith"], shared=False, wait=0):
        with pytest.raises(Busy) as refused:
            office.gate.recover()
        assert (refused.value.code, refused.value.exit_status) == ("case-locked", 8)
        assert str(os.getpid()) in refused.value.message
    assert [one.state for one in office.gate.recover()] == ["applied"]
    assert office.gate.recover() == []


def test_14_two_recoveries_at_once_tell_one_story(office):
    """Both end well, and the run was ended once."""
    filled(office)
    id = office.approved(*MIXED)
    office.crash(lambda gate: gate.apply(id), (Course, "end", die))
    assert together([office.open().recover] * 2) == [SURVIVED, SURVIVED]
    run = last_run(office)
    assert office.story(run) == "applied"
    assert audited(office, "run-ended", run) == 1
    office.sound()


def audited(office: Office, event: str, run: str) -> int:
    from treegate.engine import audit

    return sum(row.event == event for row in audit.rows(office.gate.core.store, run=run))


def together(acts: list) -> list[int]:
    """Exit statuses of children that act at the same time."""
    gate_read, gate_write = os.pipe()
    pids = []
    for act in acts:
        pid = os.fork()
        if pid == 0:
            os.close(gate_write)
            os.read(gate_read, 1)  # returns when the parent closes its end
            os._exit(in_child(act))
        pids.append(pid)
    os.close(gate_read)
    os.close(gate_write)
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]


def test_39_two_applies_at_once_are_one_run(office):
    """Both answer with the same run."""
    filled(office)
    id = office.approved(*MIXED)
    assert together([lambda: office.open().apply(id)] * 3) == [SURVIVED] * 3
    assert len(office.gate.list_runs()) == 1
    office.sound()


def test_39_two_approvers_at_once_are_one_approval_and_one_run(office):
    """Of two who say yes and apply at once, one run comes."""
    filled(office)
    done = office.submit(*MIXED)

    def decide(gate):
        with contextlib.suppress(Busy, Denied):  # who comes late
            gate.approve(done.id, done.digest)
        gate.apply(done.id)

    from treegate.model.actors import Role

    gates = [office.person(name, Role.REVIEWER) for name in ("ann", "bob")]
    assert together([lambda gate=gate: decide(gate) for gate in gates]) == [SURVIVED, SURVIVED]
    assert len(office.gate.list_runs()) == 1
    office.sound()


def test_an_apply_of_a_locked_case_says_who_holds_it(office):
    """Locked (8), nothing happened, and it works once the lock is gone."""
    before = filled(office).tree()
    id = office.approved(*MIXED)
    office.configure(lock_wait="0s")
    with locks.case_locks(office.state / "locks", ["Smith"], shared=True, wait=0), pytest.raises(Busy):
        office.gate.apply(id)
    assert office.tree() == before
    assert office.gate.apply(id).state == "applied"


# 17: the database is older than the tree


def test_17_a_database_restored_from_a_backup_is_noticed(office):
    """An older database would apply what was applied: nothing is submitted or applied, and it is said (10)."""
    filled(office)
    id = office.approved(move("notes.md", "n"))
    backup = office.state.parent / "backup"
    office.gate.close()
    shutil.copytree(office.state, backup)
    office.reopen().apply(id)
    office.put("Smith/notes.md", "a new file, of the same name")
    after = office.tree()
    office.gate.close()
    for path in office.state.glob("treegate.db*"):
        path.unlink()
    for path in backup.glob("treegate.db*"):
        shutil.copy2(path, office.state)
    gate = office.reopen()
    for act in (lambda: gate.apply(id), lambda: gate.submit(office.document(create("x")))):
        with pytest.raises(NotVerified) as refused:
            act()
        assert (refused.value.code, refused.value.exit_status) == ("database-older-than-tree", 10)
    assert office.tree() == after
    assert any("older" in found.title for found in gate.fsck())
    assert any("older" in found.title for found in gate.doctor())


# Disks: 5, 8, 9, 10, 11, 18


@pytest.fixture
def apart(tmp_path):
    """An office whose state is on another filesystem than its tree."""
    if not os.access("/dev/shm", os.W_OK) or os.stat("/dev/shm").st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs /dev/shm as another filesystem")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        made = Office(tmp_path / "office", Path(folder) / "state")
        yield made
        made.close()


def test_05_a_step_is_synced_at_the_tree_before_the_journal_says_done(apart, monkeypatch):
    """With the journal elsewhere, its own sync says nothing of the tree's: the folders are synced before `done`."""
    small_steps(monkeypatch)
    filled(apart)
    order = []
    for name in ("fsync", "syncfs"):
        real = getattr(posix, name)

        def seen(fd, real=real):
            order.append(("sync", os.fstat(fd).st_dev))
            real(fd)

        monkeypatch.setattr(posix, name, seen)
    real_append, real_carry = Course.append, applying.Course.forward.__globals__["Carrier"].carry
    monkeypatch.setattr(
        Course, "append", lambda self, *r, **k: (order.append(("log", r[0])), real_append(self, *r, **k))[1]
    )
    carrier = applying.Course.forward.__globals__["Carrier"]
    monkeypatch.setattr(
        carrier, "carry", lambda self, steps: (order.append(("carried", 0)), real_carry(self, steps))[1]
    )
    apart.carried_out(*MIXED)
    tree = apart.root.stat().st_dev
    dones = [at for at, (kind, what) in enumerate(order) if kind == "log" and isinstance(what, journal.Done)]
    assert len(dones) > 1
    for at in dones:
        carried = max(n for n in range(at) if order[n][0] == "carried")
        assert ("sync", tree) in order[carried:at]


def test_05_a_crash_with_the_journal_on_another_filesystem_is_recovered(apart, monkeypatch):
    """State on one disk, tree on another: recovered both ways."""
    small_steps(monkeypatch)
    before = filled(apart).tree()
    for back in (True, False):
        id = apart.approved(*MIXED)
        apart.crash(lambda gate, id=id: gate.apply(id), (Course, "append", dies_after(Course.append, 4)))
        apart.reopen().recover(back=back)
        assert (apart.tree() == before) == back
    apart.sound()


def test_08_a_failed_sync_halts_the_run_until_the_filesystem_is_mounted_anew(office, monkeypatch):
    """Never tried again: the run stops (7), and recovery waits, for what is read now may not be on the disk."""
    filled(office)
    id = office.approved(*MIXED)
    from treegate.engine.carry import Carrier
    from treegate.engine.durable import SyncFailed

    def fails(self, steps):
        fd = handles.open_root(str(office.root))
        raise SyncFailed(OSError(errno.EIO, "Input/output error"), posix.mount_id(fd))

    with monkeypatch.context() as patched:
        patched.setattr(Carrier, "sync", fails)
        with pytest.raises(NeedsRecovery) as halted:
            office.gate.apply(id)
    assert (halted.value.code, halted.value.exit_status) == ("sync-failed", 7)
    halfway = office.tree()
    assert office.story(last_run(office)) == "needs-recovery"
    with pytest.raises(NeedsRecovery) as waits:
        office.gate.recover()
    assert waits.value.code == "remount-needed"
    assert office.tree() == halfway


def test_08_a_sync_that_fails_before_the_journal_began_gives_the_approval_back(office, monkeypatch):
    """The run halted and nothing had happened: once the filesystem was mounted anew, its plan is as before."""
    from treegate.engine import tablefile
    from treegate.engine.durable import SyncFailed

    before = filled(office).tree()
    id = office.approved(*MIXED)

    def fails(fd):
        raise SyncFailed(OSError(errno.EIO, "Input/output error"), posix.mount_id(fd))

    with monkeypatch.context() as patched:
        patched.setattr(tablefile, "sync_folder", fails)
        with pytest.raises(NeedsRecovery) as halted:
            office.gate.apply(id)
    assert halted.value.code == "sync-failed"
    monkeypatch.setattr(posix, "boot_id", lambda: "another boot")
    (done,) = office.reopen().recover()
    assert done.state == "approved"
    assert office.tree() == before
    assert office.gate.apply(id).state == "applied"
    office.sound()


def test_a_run_that_cannot_begin_says_so_and_its_approval_stands(office, monkeypatch):
    """Not that it was taken back: nothing had been done."""
    before = filled(office).tree()
    id = office.approved(*MIXED)

    def fails(*given):
        raise OSError(errno.EROFS, "Read-only file system")

    with monkeypatch.context() as patched:
        patched.setattr(runs, "_begun", fails)
        with pytest.raises(RolledBack, match=r"could not begin.*Read-only") as refused:
            office.gate.apply(id)
    assert (refused.value.code, refused.value.exit_status) == ("not-begun", 6)
    assert (office.tree(), office.gate.show(id).plan.state) == (before, "approved")
    assert office.gate.apply(id).state == "applied"


@pytest.mark.parametrize("seen", [True, False], ids=["seen beforehand", "midway"])
def test_09_a_disk_that_fills_while_staging_leaves_nothing_begun(tmp_path, mount, monkeypatch, seen):
    """The room that the preview saw is gone: failed (6), tree and vault as before, nothing left behind."""
    room = mount(tmp_path / "small", "-t", "tmpfs", "-o", "size=2m", "none")
    small = Office(room / "office", tmp_path / "small-state")
    small.put("Smith/big", os.urandom(700_000))
    before = small.tree()
    id = small.approved(copy("big", "again"), move("big", "moved"))
    (room / "filler").write_bytes(bytes(900_000))
    if not seen:  # the room goes just after it was counted
        monkeypatch.setattr(staging, "_check_room", lambda *given: None)
    with pytest.raises(RolledBack) as failed:
        small.gate.apply(id)
    assert failed.value.exit_status == 6
    assert failed.value.code == "disk-full"
    assert str(room) in failed.value.message
    assert small.tree() == before
    small.sound()
    (room / "filler").unlink()
    assert small.carried_out(copy("big", "again"), move("big", "moved")).state == "applied"
    small.close()


def test_10_a_state_disk_that_is_full_is_found_before_the_first_step(tmp_path, fast, mount):
    """However much is left of it, the plan is applied whole or refused with the tree untouched; with room again
    it goes through."""
    room = mount(tmp_path / "small", "-t", "tmpfs", "-o", "size=32m", "none")
    office = Office(fast / "office", room / "state")
    for number in range(40):
        office.put(f"Smith/{number:04}" + "x" * 200, str(number))
    outcomes = set()
    for free in [0, 16_384, 65_536, 400_000, 4_000_000]:
        before = office.tree()
        id = office.approved({"op": "move", "match": "*", "to": f"at-{free}/{{name}}"})
        filler = room / "filler"
        left = os.statvfs(room).f_bavail * 4096
        filler.write_bytes(bytes(max(0, left - free)))
        try:
            done = office.gate.apply(id).state
        except (TreegateError, OSError) as error:
            done = getattr(error, "code", "system-error")
            assert office.tree() == before, done
        finally:
            filler.unlink()
        office.reopen().recover()
        done = done if office.gate.show(id).plan.state == "applied" else f"refused: {done}"
        if done.startswith("refused"):
            assert office.tree() == before
            assert office.gate.apply(id).state == "applied"
        outcomes.add(done)
        office.undone(last_run(office))
    assert {"applied", "refused: state-disk-full"} <= outcomes
    office.sound()
    office.close()


def test_10_a_record_that_cannot_be_written_is_written_by_a_recovery(office, monkeypatch):
    """Should the room go after all while the run is under way: needs recovery (7), and that is all it needs."""
    from treegate.engine import receipts

    before = filled(office).tree()
    id = office.approved(*MIXED)

    def full(*given):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(receipts, "write_lines", full)
        with pytest.raises(NeedsRecovery) as failed:
            office.gate.apply(id)
    assert (failed.value.code, failed.value.exit_status) == ("record-unwritten", 7)
    (done,) = office.gate.recover()
    assert done.state == "applied"
    office.undone(done.run)
    assert office.tree() == before
    office.sound()


@pytest.mark.parametrize("by", ["apply", "recover"])
@pytest.mark.parametrize("fault", [sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR], ids=["full", "unreadable"])
def test_10_an_end_that_the_store_cannot_be_told_is_not_told_as_a_run_that_went_back(office, monkeypatch, by, fault):
    """The tree is after by then: needs recovery (7), from an apply and from a recovery alike."""
    filled(office)
    id = office.approved(*MIXED)
    if by == "recover":
        office.crash(lambda gate: gate.apply(id), (Course, "end", die))

    def fails(*given):
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = fault
        raise schema._translate(error, str(office.state / "treegate.db"))

    gate = office.reopen()
    with monkeypatch.context() as patched:
        patched.setattr(ending, "_end_applied", fails)
        with pytest.raises(NeedsRecovery) as failed:
            gate.apply(id) if by == "apply" else gate.recover()
    assert (failed.value.code, failed.value.exit_status) == ("record-unwritten", 7)
    (done,) = gate.recover()
    assert done.state == "applied"
    office.sound()


def test_16_a_crash_as_an_approval_is_given_back_leaves_nothing_for_good(office):
    """The store forgets the run last, so that the next recovery knows what is to be cleared."""
    before = filled(office).tree()
    id = office.approved(*MIXED)
    office.crash(lambda gate: gate.apply(id), (applying.Journal, "create", die))
    office.crash(lambda gate: gate.recover(), (ending.shutil, "rmtree", die))
    office.reopen().recover()
    assert office.tree() == before
    office.sound()
    assert office.gate.apply(id).state == "applied"


@pytest.mark.parametrize("outcome", ["applied", "rolled-back"])
def test_an_area_that_could_not_be_cleared_is_cleared_by_the_next_recovery(office, monkeypatch, outcome):
    """The disk reports an error as an ended run is cleared away: nothing of it stays for good."""
    filled(office)
    id = office.approved(*MIXED)
    real = shutil.rmtree
    if outcome == "rolled-back":
        office.gate.watch(lambda done, total: None, lambda: True)
    with monkeypatch.context() as patched, contextlib.suppress(RolledBack):
        patched.setattr(ending.shutil, "rmtree", lambda path, **how: "new" in os.listdir(path) or real(path, **how))
        office.gate.apply(id)
    assert office.gate.show(id).plan.state == outcome
    office.reopen().recover()
    office.sound()


def test_11_a_disk_that_becomes_read_only_midway_halts_the_run_and_it_can_go_on(tmp_path, mount, monkeypatch):
    """The run stops where it was (7); mounted writable again, it goes on to its end."""
    small_steps(monkeypatch)
    room = mount(tmp_path / "disk", "-t", "tmpfs", "-o", "size=8m", "none")
    office = filled(Office(room / "office", tmp_path / "state"))
    before = office.tree()
    id = office.approved(*MIXED)
    from treegate.engine.carry import Carrier

    real = Carrier.carry
    calls = []

    def carry(self, steps):
        calls.append(1)
        if len(calls) == 1:
            return real(self, steps)
        self.made = 0
        raise OSError(errno.EROFS, "Read-only file system")

    with monkeypatch.context() as patched:
        patched.setattr(Carrier, "carry", carry)
        with pytest.raises(NeedsRecovery) as halted:
            office.gate.apply(id)
    assert (halted.value.code, halted.value.exit_status) == ("halted-read-only", 7)
    subprocess.run(["mount", "-o", "remount,ro", str(room)], check=True)
    with pytest.raises(TreegateError):
        office.open().recover()
    subprocess.run(["mount", "-o", "remount,rw", str(room)], check=True)
    (done,) = office.reopen().recover()
    assert done.state == "applied"
    office.undone(done.run)
    assert office.tree() == before
    office.sound()
    office.close()


def test_18_mounted_anew_with_another_device_number_approvals_and_recovery_still_hold(tmp_path, monkeypatch):
    """The same image on another loop device has another st_dev: an approval given before is carried out, and a
    run that crashed before is recovered."""
    if os.geteuid() != 0 or not shutil.which("mkfs.ext4"):
        pytest.skip("needs root and mkfs.ext4, to mount a loop device")
    small_steps(monkeypatch)
    image, room = tmp_path / "image", tmp_path / "room"
    room.mkdir()
    with image.open("wb") as file:
        file.truncate(32 << 20)
    subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
    devices: list[str] = []

    def mounted() -> int:
        taken = [
            subprocess.run(["losetup", "-f", "--show", str(image)], capture_output=True, text=True) for _ in "12"
        ]
        if any(one.returncode for one in taken):
            pytest.skip("needs loop devices")
        names = [one.stdout.strip() for one in taken]
        use = next(name for name in names if name not in devices)
        for name in names:
            if name != use:
                subprocess.run(["losetup", "-d", name], check=True)
        devices.append(use)
        subprocess.run(["mount", use, str(room)], check=True)
        return room.stat().st_dev

    def unmounted() -> None:
        # A mount namespace that another process made meanwhile may hold it, and then nothing is written by this.
        subprocess.run(["sync", "-f", str(room)], check=True)
        subprocess.run(["umount", str(room)], check=True)

    try:
        numbers = [mounted()]
        office = filled(Office(room / "office", tmp_path / "state"))
        before = office.tree()
        id = office.approved(*MIXED)
        unmounted()
        numbers.append(mounted())
        office.crash(lambda gate: gate.apply(id), (Course, "append", dies_after(Course.append, 4)))
        unmounted()
        numbers.append(mounted())
        (done,) = office.reopen().recover()
        assert done.state == "applied"
        office.undone(done.run)
        assert office.tree() == before
        assert len(set(numbers)) > 1
        office.sound()
        office.close()
    finally:
        subprocess.run(["umount", "-l", str(room)], check=False, capture_output=True)
        for name in devices:
            subprocess.run(["losetup", "-d", name], check=False, capture_output=True)


# Damage


def test_07_a_damaged_journal_is_refused_and_nothing_is_touched(office, monkeypatch):
    """A bad frame with a good one behind it: it does not verify (10), in the tree and in the store all stays."""
    small_steps(monkeypatch, 1)
    filled(office)
    id = office.approved(*MIXED)
    office.crash(lambda gate: gate.apply(id), (Course, "end", die))
    halfway = office.tree()
    (path,) = (office.state / "runs").glob("*/journal.1")
    data = bytearray(path.read_bytes())
    data[60] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(NotVerified) as refused:
        office.reopen().recover()
    assert refused.value.exit_status == 10
    assert str(refused.value.message)
    assert office.tree() == halfway


def test_06_garbage_behind_the_journals_last_frame_is_ignored(office):
    """What a power cut leaves behind the last whole frame hinders no recovery."""
    filled(office)
    id = office.approved(*MIXED)
    office.crash(lambda gate: gate.apply(id), (Course, "end", die))
    (path,) = (office.state / "runs").glob("*/journal.1")
    with path.open("ab") as file:
        file.write(os.urandom(500))
    assert [one.state for one in office.reopen().recover()] == ["applied"]
    office.sound()


def test_a_damaged_step_table_is_refused_before_anything_is_done(office):
    """It does not verify (10); the approval stands."""
    before = filled(office).tree()
    id = office.approved(*MIXED)
    (path,) = (office.state / "previews").iterdir()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)
    with pytest.raises(NotVerified) as refused:
        office.gate.apply(id)
    assert refused.value.exit_status == 10
    assert office.tree() == before
    assert office.gate.show(id).plan.state == "approved"
    office.told("cannot be carried out")


def test_a_damaged_key_is_said_and_applies_nothing(office):
    """Without its key a receipt cannot be signed: it does not verify (10), and the tree stays."""
    before = filled(office).tree()
    id = office.approved(*MIXED)
    key = (office.state / "key").read_text()
    (office.state / "key").write_text(key[:20] + ("A" if key[20] != "A" else "B") + key[21:])
    with pytest.raises(NotVerified) as refused:
        office.gate.apply(id)
    assert (refused.value.code, refused.value.exit_status) == ("key-damaged", 10)
    assert office.tree() == before
    (office.state / "key").write_text(key)
    assert office.gate.apply(id).state == "applied"
    office.sound()


def test_a_damaged_database_is_said(office):
    """It does not verify (10), whatever is wrong with it."""
    office.gate.close()
    (office.state / "treegate.db").write_bytes(b"this is no database, and never was one" * 100)
    for path in office.state.glob("treegate.db-*"):
        path.unlink()
    with pytest.raises(NotVerified) as refused:
        office.open()
    assert refused.value.exit_status == 10


# Stopped on purpose


@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_run_that_is_asked_to_stop_is_rolled_back(office, monkeypatch, after):
    """Whenever it is asked, the run ends cleanly: rolled back (6), the tree as before."""
    small_steps(monkeypatch)
    before = filled(office).tree()
    id = office.approved(*MIXED)
    seen = []
    office.gate.watch(lambda done, total: seen.append(done), lambda: len(seen) >= after)
    with pytest.raises(RolledBack) as stopped:
        office.gate.apply(id)
    assert stopped.value.exit_status == 6
    assert office.tree() == before
    assert office.gate.show(id).plan.state == "rolled-back"
    office.sound()


def test_an_error_midway_is_rolled_back(office, monkeypatch):
    """What fails midway is taken back, with the reason in the message."""
    small_steps(monkeypatch)
    before = filled(office).tree()
    id = office.approved(*MIXED)
    calls = []
    from treegate.engine.carry import Carrier

    carry = Carrier.carry

    def fails(self, steps):
        calls.append(1)
        if len(calls) == 3:
            self.made = 0
            raise OSError(errno.EIO, "Input/output error")
        return carry(self, steps)

    monkeypatch.setattr(Carrier, "carry", fails)
    with pytest.raises(RolledBack, match="Input/output error"):
        office.gate.apply(id)
    assert office.tree() == before
    office.sound()


def test_1_a_kill_amid_thousands_of_moves_is_recovered(office):
    """SIGKILL while a few thousand files are moved: recovered, the tree is after; taken back, it is before."""
    for number in range(3000):
        office.put(f"Smith/in/{number:05}", str(number))
    before = office.tree()
    for back in (True, False):
        id = office.approved({"op": "move", "match": "in/*", "to": "out/{name}"})

        def killed(gate, id=id):
            gate.core.progress = lambda done, total: os.kill(os.getpid(), signal.SIGKILL)
            gate.apply(id)

        assert in_child(lambda act=killed: act(office.open())) == -signal.SIGKILL
        (done,) = office.reopen().recover(back=back)
        assert done.state == ("rolled-back" if back else "applied")
        assert (office.tree() == before) == back
    assert len(list(office.path("Smith/out").iterdir())) == 3000
    office.sound()
