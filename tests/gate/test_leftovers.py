"""What nothing needs any more is cleared by a prune: bare vault folders, old step tables, old blobs; and no more."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

import pytest
from gatework import DAY, Office, create, delete, die, move

from treegate.engine import audit, vault
from treegate.engine.blobs import Blobs
from treegate.engine.course import Course
from treegate.engine.locks import case_locks
from treegate.errors import Denied
from treegate.gate import ending, plans
from treegate.gate.leftovers import Leftovers

NOTHING = Leftovers([], [])


def vaults(office: Office) -> list[str]:
    """The runs that have a vault folder."""
    return sorted(path.name for area in areas(office) for path in area.glob("vault/*"))


def areas(office: Office) -> list[Path]:
    return [office.root / ".treegate", *office.root.glob("projects/*/.treegate")]


def tables(office: Office) -> int:
    return len(list((office.state / "previews").iterdir()))


def blobs(office: Office) -> list[str]:
    """The contents that are kept."""
    return sorted(path.read_text() for path in (office.state / "blobs").glob("*/*"))


def aged(office: Office) -> None:
    """More time goes by than anything is kept."""
    office.clock.now += 91 * DAY


def moved(office: Office) -> str:
    """A run that kept nothing."""
    office.put("Smith/a", "a")
    return office.carried_out(move("a", "b")).run


def test_the_vault_folder_of_a_run_that_kept_nothing_goes_when_its_time_has_come(office):
    """Until then its rollback.sh is there; nothing but `vault.keep` says how long."""
    run = moved(office)
    office.clock.now += 90 * DAY - 1
    office.gate.prune()
    assert (office.root / ".treegate/vault" / run / "rollback.sh").exists()
    office.clock.now += 1
    assert office.gate.prune(dry=True).leftovers.runs == [run]
    assert vaults(office) == [run]
    assert office.gate.prune().leftovers.runs == [run]
    assert vaults(office) == []
    assert office.gate.prune().leftovers == NOTHING
    office.sound()


def test_so_does_the_folder_of_a_run_whose_entries_were_all_brought_back(office):
    office.put("Smith/a", "a")
    run = office.carried_out(delete("a")).run
    office.undone(run)
    aged(office)
    office.gate.prune()
    assert vaults(office) == []
    office.sound()


def test_what_is_kept_for_ever_keeps_its_script(office):
    """With `vault.keep = "forever"` no folder goes."""
    office.configure(vault_keep="forever")
    run = moved(office)
    office.clock.now += 10_000 * DAY
    office.gate.prune()
    assert vaults(office) == [run]


def test_a_folder_that_a_live_undo_is_about_stays(office):
    run = moved(office)
    aged(office)
    office.gate.undo(run)
    assert office.gate.prune().leftovers.folders == []
    assert vaults(office) == [run]


def test_a_folder_in_which_something_is_kept_or_set_aside_stays(office):
    """What rollback.sh set aside is somebody's, and so is what lies in `entries` unknown to the store."""
    run = office.carried_out(create("made", "by the run")).run
    folder = office.root / ".treegate/vault" / run
    subprocess.run(["sh", str(folder / "rollback.sh")], check=True, capture_output=True)
    other = moved(office)
    (office.root / ".treegate/vault" / other / "entries/7").write_text("whose?")
    aged(office)
    assert office.gate.prune().leftovers.folders == []
    assert vaults(office) == sorted([run, other])


def test_that_a_script_was_used_is_noted_before_its_mark_goes(office):
    run = moved(office)
    subprocess.run(
        ["sh", str(office.root / ".treegate/vault" / run / "rollback.sh")], check=True, capture_output=True
    )
    aged(office)
    office.gate.prune()
    assert vaults(office) == []
    assert office.story(run) == "undone"


def test_a_run_on_one_filesystem_leaves_no_empty_folder_on_another(disk, mount):
    mount(disk.path("Jones"), "-t", "tmpfs", "-o", "size=8m", "none")
    disk.put("Jones/a", "a")
    disk.reopen()
    run = disk.carried_out(move("Jones/a", "Jones/b"), case=None).run
    assert not (disk.root / ".treegate/vault" / run).exists()
    aged(disk)
    disk.gate.prune()
    assert vaults(disk) == []


def test_a_run_that_went_back_leaves_no_folder(office):
    office.put("Smith/a", "a")
    id = office.approved(delete("a"))
    office.crash(lambda gate: gate.apply(id), (Course, "end", die))
    office.gate.recover(back=True)
    assert vaults(office) == []


def test_step_tables_are_kept_only_of_previews_that_may_be_carried_out(office):
    """Applied, rejected and stale ones go; a pending and an approved one stay, and can be applied."""
    for name in "abcd":
        office.put(f"Smith/{name}", name)
    office.carried_out(move("a", "a2"))
    no = office.submit(move("b", "b2"))
    office.gate.reject(no.id, no.digest, "no")
    pending, approved = office.submit(move("c", "c2")), office.approved(move("d", "d2"))
    assert tables(office) == 4
    assert len(office.gate.prune(dry=True).leftovers.files) == 2
    assert tables(office) == 4
    office.gate.prune()
    assert tables(office) == 2
    office.gate.approve(pending.id, pending.digest)
    for id in (pending.id, approved):
        assert office.gate.apply(id).state == "applied"
    office.gate.prune()
    assert tables(office) == 0
    office.sound()


def test_blobs_are_kept_as_long_as_a_live_plan_brings_them(office):
    office.carried_out(create("old", "old"))
    id = office.approved(create("new", "new"))
    office.clock.now += DAY
    office.gate.prune()
    assert blobs(office) == ["new"]
    assert office.gate.apply(id).state == "applied"
    office.gate.prune()
    assert blobs(office) == []


def test_nothing_is_cleared_while_a_plan_is_being_stored(office, monkeypatch):
    """Its contents and its step table are there before the store knows of it."""
    office.configure(lock_wait="0s")
    other, seen = office.open(), []

    def watched(real):
        def call(*given, **named):
            done = real(*given, **named)
            seen.append(other.prune(dry=True).leftovers)
            return done

        return call

    monkeypatch.setattr(Blobs, "put_all", watched(Blobs.put_all))
    monkeypatch.setattr(plans, "kept_table", watched(plans.kept_table))
    id = office.approved(create("new", "new"))
    assert seen == [NOTHING, NOTHING]
    assert office.gate.apply(id).state == "applied"


def test_a_blob_that_came_today_stays(office):
    """It may have been sent before the plan that names it."""
    office.carried_out(create("made", "made"))
    for path in (office.state / "blobs").glob("*/*"):
        os.utime(path, (office.clock.now / 1000, office.clock.now / 1000))
    office.clock.now += DAY - 1
    office.gate.prune()
    assert blobs(office) == ["made"]
    office.clock.now += 1
    office.gate.prune()
    assert blobs(office) == []


@pytest.mark.parametrize("skip", [False, True], ids=["fail", "skip"])
def test_an_unfinished_run_loses_nothing(office, skip):
    """After a prune it is recovered as if there had been none, also where it leaves something alone."""
    office.put("Smith/a", "a")
    office.put("Smith/b", "b")
    head = {"on_stale": "skip"} if skip else {}
    id = office.approved(move("a", "a2"), delete("b"), create("c", "content"), **head)
    if skip:
        office.put("Smith/b", "changed", mtime=1)
    office.crash(lambda gate: gate.apply(id), (ending, "conclude", die))
    aged(office)
    office.gate.prune()
    (done,) = office.gate.recover()
    assert done.state == "applied"
    assert office.path("Smith/c").read_text() == "content"
    assert office.path("Smith/b").exists() == skip
    office.sound()


def test_what_is_cleared_is_in_the_audit_log_before_it_goes(office, monkeypatch):
    run = moved(office)
    aged(office)

    def gone(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("treegate.engine.vault.remove", gone)
    with pytest.raises(KeyboardInterrupt):
        office.gate.prune()
    last = [row for row in audit.rows(office.gate.core.store) if row.event == "cleared"][-1]
    assert run in last.data
    assert vaults(office) == [run]
    monkeypatch.undo()
    office.gate.prune()
    assert vaults(office) == []


def test_while_somebody_is_at_work_leftovers_wait(office):
    """What retention lets go is let go; the rest is for the next prune."""
    run = moved(office)
    aged(office)
    office.configure(lock_wait="0s")
    with case_locks(office.state / "locks", ["Jones"], shared=True, wait=0):
        assert office.gate.prune().leftovers == NOTHING
    assert office.gate.prune().leftovers.runs == [run]


@pytest.mark.parametrize("stopped", [die, None], ids=["killed", "failed"])
def test_what_a_prune_noted_and_did_not_come_to_remove_goes_with_the_next(office, monkeypatch, stopped):
    """What is said to be gone does not stay for good, whether the prune was killed or a disk failed; what is kept of
    the same run stays."""
    for name in ("old", "older", "named"):
        office.put(f"Smith/{name}", name)
    run = office.carried_out(delete("old"), delete("older"), delete("named")).run
    office.gate.undo(run, ["named"])
    aged(office)
    if stopped is die:
        office.crash(lambda gate: gate.prune(), (vault, "remove", die))
    else:
        with monkeypatch.context() as patched:
            patched.setattr(vault, "clear_tree", fails)
            with pytest.raises(Denied):
                office.gate.prune()
    gate = office.reopen()
    assert len(gate.list_vault()) == 1
    assert len(kept_in(office, run)) == 3
    assert gate.prune(dry=True).leftovers.runs == [run]
    assert gate.prune().leftovers.runs == [run]
    assert kept_in(office, run) == ["named"]
    assert gate.prune().leftovers == NOTHING
    office.sound()


def fails(*given):
    raise OSError(errno.EIO, "Input/output error")


def kept_in(office: Office, run: str) -> list[str]:
    """The contents in the vault of a run."""
    return sorted(path.read_text() for path in (office.root / ".treegate/vault" / run / "entries").iterdir())
