"""Claims of the queue: dropped, taken, decided on in a file, carried out; nothing is lost, nothing done twice."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from gatework import SURVIVED, Office, create, delete, in_child, move
from queuework import Queue
from sqlalchemy.engine.default import DefaultDialect

from treegate.engine import posix
from treegate.engine.workspace import GENERATION, note_generation
from treegate.errors import TreegateError
from treegate.gate import plans
from treegate.gate.queue.folder import dropbox
from treegate.model.actors import Role
from treegate.model.measures import MINUTE

NAME = "20260131T120000.123Z-Smith.json"


@pytest.fixture
def shared(firm: Office) -> Queue:
    """The queue of a firm on a shared bucket: an admin has said that status files count."""
    firm.put("Smith/a.txt", "alpha\n")
    firm.configure(queue_trust_status="true")
    return Queue(firm)


def test_a_dropped_plan_lives_from_the_drop_to_done(shared: Queue):
    """Validated, approved by whoever edits `status`, carried out, and its receipt lies beside it."""
    id = shared.took(shared.office.document(move("a.txt", "b.txt"), title="Rename it"))
    assert shared.gate.drops() == []
    assert (shared.shelf(id), shared.says(id)) == ("pending", "pending")
    assert "a.txt" in shared.at(id, "validation.md").read_text()
    assert json.loads(shared.at(id, "plan.json").read_text())["title"] == "Rename it"
    shared.write(id, "approved", comment="go on")
    assert shared.heed(id) == "decided"
    assert shared.says(id) == "approved"
    assert shared.carry_out() == 1
    assert (shared.shelf(id), shared.says(id)) == ("done", "applied")
    assert json.loads(shared.at(id, "receipt.json").read_text())["plan"] == id
    assert shared.office.path("Smith/b.txt").read_text() == "alpha\n"
    (decision,) = shared.gate.core.store.decisions(id)
    assert (decision.reviewer, decision.channel, decision.comment) == ("rita", "queue, identity unverified", "go on")
    shared.office.sound()


def test_a_rejection_ends_among_what_failed_with_its_reason(shared: Queue):
    """Who said so, and why, lies beside the plan."""
    id = shared.took(shared.office.document(move("a.txt", "b.txt")))
    shared.write(id, "rejected", comment="not this week")
    assert shared.heed(id) == "decided"
    assert shared.shelf(id) == "failed"
    assert "not this week" in shared.at(id, "reasons.md").read_text()
    assert shared.carry_out() == 0


def test_changes_are_asked_for_in_the_file_and_the_plan_stays(shared: Queue):
    """Its author revises it at any door, and it is decided on anew, under a new digest."""
    id = shared.took(shared.office.document(move("a.txt", "b.txt")))
    old = shared.office.gate.plan(id).digest
    shared.write(id, "changes-requested", comment="call it c")
    assert shared.heed(id) == "decided"
    assert (shared.shelf(id), shared.says(id)) == ("pending", "changes-requested")
    shared.office.gate.revise(id, shared.office.document(move("a.txt", "c.txt")))
    assert shared.says(id) == "pending"
    assert old not in shared.at(id, "status").read_text()
    assert "c.txt" in shared.at(id, "validation.md").read_text()


def test_a_plan_with_errors_ends_among_what_failed(shared: Queue):
    """With its problems; mended at another door, it comes back."""
    id = shared.took(shared.office.document(move("missing.txt", "b.txt")))
    assert (shared.shelf(id), shared.says(id)) == ("failed", "invalid")
    assert "missing.txt" in shared.at(id, "reasons.md").read_text()
    shared.office.gate.revise(id, shared.office.document(move("a.txt", "c.txt")))
    assert (shared.shelf(id), shared.says(id)) == ("pending", "pending")


def test_what_is_decided_at_another_door_shows_in_the_folder(shared: Queue):
    """One state, whatever the door."""
    id = shared.took(shared.office.document(move("a.txt", "b.txt")))
    rita = shared.office.person("rita", Role.REVIEWER)
    rita.approve(id, str(shared.office.gate.plan(id).digest))
    assert shared.says(id) == "approved"
    shared.office.gate.apply(id)
    assert (shared.shelf(id), shared.says(id)) == ("done", "applied")


def test_an_older_digest_is_refused_and_answered(shared: Queue):
    """Whoever looked at what the plan was before approves nothing; the file shows what it is now."""
    id = shared.took(shared.office.document(move("a.txt", "b.txt")))
    path = shared.at(id, "status")
    old = path.read_text()
    shared.office.gate.revise(id, shared.office.document(move("a.txt", "c.txt")))
    path.write_text(old.replace("pending", "approved", 1).replace("by:", "by: rita"))
    assert shared.heed(id) == "refused"
    assert "digest" in shared.log(id)
    assert shared.office.gate.plan(id).state == "pending"


def test_an_edit_of_an_older_digest_is_never_lost_without_a_word(shared: Queue):
    """Where the plan changes before anybody heeds the edit, whoever made it reads that it came too late."""
    id = shared.took(shared.office.document(move("a.txt", "b.txt")))
    shared.write(id, "approved")
    shared.office.gate.revise(id, shared.office.document(move("a.txt", "c.txt")))
    assert "rita said approved too late" in shared.log(id)
    assert shared.says(id) == "pending"


def test_an_edit_that_waits_to_be_heeded_is_not_written_over(shared: Queue):
    """Another approval at another door leaves it as it is."""
    shared.office.configure(policy_approval_required="2")
    id = shared.took(shared.office.document(move("a.txt", "b.txt")))
    shared.write(id, "approved")
    shared.office.person("sam", Role.REVIEWER).approve(id, str(shared.office.gate.plan(id).digest))
    assert "by: rita" in shared.at(id, "status").read_text()
    assert shared.heed(id) == "decided"
    assert shared.office.gate.plan(id).state == "approved"


def test_two_people_may_be_needed(shared: Queue):
    """After the first the file is ready for the second, and says who is missing; one twice is not two."""
    shared.office.configure(policy_approval_required="2")
    id = shared.took(shared.office.document(move("a.txt", "b.txt")))
    for by, state in (("rita", "pending"), ("rita", "pending"), ("sam", "approved")):
        shared.write(id, "approved", by=by)
        shared.heed(id)
        assert shared.office.gate.plan(id).state == state
    assert len(shared.gate.core.store.decisions(id)) == 2


@pytest.mark.parametrize(
    ("word", "by", "says"),
    [("yes", "rita", "no word for a decision"), ("approved", "", "who says so"), ("ok approved", "x", "no word")],
)
def test_an_unknown_word_is_answered_once(shared: Queue, word: str, by: str, says: str):
    """In status.log; asked again, the same is not said again, and what was written stays to be corrected."""
    id = shared.took(shared.office.document(move("a.txt", "b.txt")))
    shared.write(id, word, by=by)
    assert [shared.heed(id), shared.heed(id)] == ["refused", "refused"]
    assert says in shared.log(id)
    assert len(shared.log(id).splitlines()) == 1
    assert shared.says(id) == word.split()[0]
    shared.write(id, "approved")
    assert shared.heed(id) == "decided"


def test_a_decision_during_a_run_is_refused(shared: Queue):
    """What was approved and applied cannot be rejected in the file; that is answered."""
    id = shared.took(shared.office.document(move("a.txt", "b.txt")))
    shared.write(id, "approved")
    shared.heed(id)
    shared.carry_out()
    text = shared.at(id, "status").read_text()
    shared.at(id, "status").write_text(text.replace("applied", "rejected", 1).replace("by:", "by: rita"))
    shared.office.gate.undo(shared.office.gate.list_runs()[0].id)
    assert shared.office.gate.plan(id).state == "applied"


def test_an_author_decides_nothing_in_the_file(shared: Queue):
    """Neither the plan's own author, nor who is known as an author, nor the agents' user."""
    shared.office.token("bot", Role.AUTHOR)
    shared.office.configure(agent_user="agent")
    id = shared.took(shared.office.document(move("a.txt", "b.txt")))
    author = shared.office.gate.plan(id).author
    for by, code in ((author, "own-plan"), ("bot", "role-not-allowed"), ("agent", "role-not-allowed")):
        shared.write(id, "approved", by=by)
        assert shared.heed(id) == "refused"
        assert code in shared.log(id)
    assert shared.office.gate.plan(id).state == "pending"


def test_without_trust_a_file_that_the_author_could_write_counts_for_nothing(firm: Office):
    """The same user dropped the plan and runs treegate: nobody can tell who edited the file."""
    firm.put("Smith/a.txt", "alpha\n")
    queue = Queue(firm)
    id = queue.took(firm.document(move("a.txt", "b.txt")))
    queue.write(id, "approved")
    assert queue.heed(id) == "refused"
    assert "status-not-trusted" in queue.log(id)
    assert firm.gate.plan(id).state == "pending"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be two users")
def test_permissions_prove_that_no_author_wrote_it(firm: Office):
    """A file of somebody else's, in a sticky folder: they can drop, and touch nothing else. Opened up, it ends."""
    firm.put("Smith/a.txt", "alpha\n")
    firm.root.parent.chmod(0o755)  # temporary folders let nobody else through
    queue = Queue(firm)
    queue.folder.chmod(0o1777)
    path = queue.drop(firm.document(move("a.txt", "b.txt")))
    os.chown(path, 65534, 65534)
    (taken,) = queue.take()
    id = taken.id
    assert firm.gate.plan(id).author == "nobody"
    queue.at(id, "status").chmod(0o644)
    queue.folder.chmod(0o777)  # not sticky: they could put another `pending` in place
    queue.write(id, "approved")
    assert queue.heed(id) == "refused"
    queue.folder.chmod(0o1777)
    assert queue.heed(id) == "nothing", "what did not count when it was looked at does not count later"
    assert firm.gate.plan(id).state == "pending"
    queue.write(id, "approved")
    assert queue.heed(id) == "decided"
    (decision,) = firm.gate.core.store.decisions(id)
    assert decision.channel == "queue"


def test_a_plan_that_nobody_has_to_look_at_is_carried_out(shared: Queue):
    """Policy asks for nobody, and the author may apply: dropping it is asking for it."""
    shared.office.configure(policy_approval_rule='[{when = {only = ["made", "moved"]}, required = 0}]')
    id = shared.took(shared.office.document(move("a.txt", "b.txt")))
    assert shared.carry_out() == 1
    assert shared.shelf(id) == "done"


# Bad drops


BAD: dict[str, tuple[bytes, str]] = {
    "half.json": (b'{"version": 1, "oper', "not-json"),
    "latin1.json": (b'{"version": 1, "title": "M\xfcller", "operations": []}', "not-utf-8"),
    "text.json": (b"hello", "not-json"),
    "script.sh": (b"rm -rf /\n", "drop-name"),
    "plan.yaml": (b"version: 1\n", "drop-name"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_plan_lies_among_what_failed_with_a_message(shared: Queue, name: str):
    """Its bytes untouched, why, and what to do."""
    data, code = BAD[name]
    shared.drop(data, name)
    (taken,) = shared.take()
    assert (taken.how, shared.gate.drops(), shared.gate.claims()) == ("refused", [], [])
    assert (shared.folder / "failed" / name).read_bytes() == data
    told = (shared.folder / "failed" / f"{name}.txt").read_text()
    assert f"code: {taken.code}" in told
    assert taken.code == code or name == "latin1.json"


def test_a_folder_a_link_and_a_pipe_are_not_followed(shared: Queue, tmp_path: Path):
    """Each lies among what failed as what it was; nothing behind it was read."""
    secret = tmp_path / "secret.json"
    secret.write_text(shared.office.document(move("a.txt", "b.txt")))
    (shared.folder / "link.json").symlink_to(secret)
    (shared.folder / "folder.json").mkdir()
    os.mkfifo(shared.folder / "pipe.json")
    assert {taken.code for taken in shared.take()} == {"drop-no-file"}
    assert (shared.folder / "failed" / "link.json").is_symlink()
    assert (shared.folder / "failed" / "folder.json").is_dir()
    assert (shared.folder / "failed" / "pipe.json").is_fifo()
    assert shared.office.gate.list_plans()[0] == []


def test_the_same_name_fails_twice_and_neither_is_lost(shared: Queue):
    """The second lies beside the first, under a name of its own."""
    for data in (b"one", b"two"):
        shared.drop(data, NAME)
        shared.take()
    failed = shared.folder / "failed"
    assert (failed / NAME).read_bytes() == b"one"
    assert (failed / "20260131T120000.123Z-Smith (2).json").read_bytes() == b"two"
    assert (failed / "20260131T120000.123Z-Smith (2).json.txt").exists()


def test_a_file_of_more_than_any_plan_is_not_read(shared: Queue):
    """A gibibyte and a byte, as a hole: refused by its size."""
    path = shared.drop(b"", "huge.json")
    os.truncate(path, (1 << 30) + 1)
    (taken,) = shared.take()
    assert taken.code == "plan-too-large"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_told(shared: Queue):
    """It cannot be read, and lies where that is said."""
    shared.drop(b"{}").chmod(0)
    (taken,) = shared.take()
    assert taken.code == "drop-unreadable"


def test_a_plan_for_a_case_whose_run_is_unfinished_waits_for_it(shared: Queue):
    """It is claimed, and taken once the run is recovered; what was dropped is not forgotten meanwhile."""
    from gatework import die

    from treegate.engine.course import Course

    shared.office.put("Smith/x.txt", "x")
    id = shared.took(shared.office.document(move("x.txt", "y.txt")))
    shared.office.person("rita", Role.REVIEWER).approve(id, str(shared.office.gate.plan(id).digest))
    shared.office.crash(lambda gate: gate.apply(id), (Course, "end", die))
    shared.drop(shared.office.document(create("new.txt")), "second.json")
    (taken,) = shared.take()
    assert (taken.how, taken.code) == ("later", "needs-recovery")
    shared.office.gate.recover()
    (again,) = shared.take()
    assert (again.how, again.id) == ("plan", taken.id)


def test_one_author_fills_the_inbox_and_the_rest_waits(shared: Queue):
    """Above policy.limits.open_plans a drop is claimed, and taken once there is room."""
    shared.office.configure(policy_limits_open_plans="1")
    first = shared.took(shared.office.document(create("1.txt")))
    shared.drop(shared.office.document(create("2.txt")), "second.json")
    (taken,) = shared.take()
    assert (taken.how, taken.code) == ("later", "too-many-open-plans")
    shared.office.gate.withdraw(first)
    assert [one.how for one in shared.take()] == ["plan"]


def test_two_workers_take_a_drop_once(shared: Queue):
    """The second finds it gone."""
    shared.drop(shared.office.document(create("1.txt")))
    drop = shared.look(NAME)
    assert [shared.gate.take_drops([drop])[0].how for _ in range(2)] == ["plan", "gone"]
    assert len(shared.office.gate.list_plans()[0]) == 1


def test_a_workspace_that_is_away_is_not_taken_for_an_empty_queue(shared: Queue):
    """Nothing is made, nothing is taken."""
    marker = shared.office.root / ".treegate" / "workspace.json"
    aside = marker.with_suffix(".away")
    marker.rename(aside)
    with pytest.raises(TreegateError) as refused:
        shared.gate.drops()
    assert refused.value.code == "marker-missing"
    aside.rename(marker)


# Holding


def test_a_file_paused_is_a_pause_at_every_door(shared: Queue):
    """While it lies there nothing is carried out; once it is gone, what waited is."""
    id = shared.took(shared.office.document(move("a.txt", "b.txt")))
    shared.write(id, "approved")
    shared.heed(id)
    (shared.folder / "PAUSED").touch()
    assert shared.gate.hold(False)
    assert shared.carry_out() == 0
    with pytest.raises(TreegateError) as refused:
        shared.office.gate.apply(id)
    assert refused.value.exit_status == 8
    (shared.folder / "PAUSED").unlink()
    assert not shared.gate.hold(True)
    assert shared.carry_out() == 1


def test_who_may_drop_does_not_lift_a_pause(firm: Office):
    """Nothing proves who took PAUSED away: it is put back, and says what to do; `resume` takes both away."""
    queue = Queue(firm)
    paused = queue.folder / "PAUSED"
    paused.touch()
    before = queue.gate.hold(False)
    paused.unlink()
    assert queue.gate.hold(before)
    assert "treegate resume" in paused.read_text()
    (pause,) = firm.gate.status().paused
    assert "agent.user" in pause.comment
    paused.unlink()
    assert queue.gate.hold(False)  # another worker, which never saw the file
    assert paused.exists()
    firm.gate.resume()
    assert not paused.exists()
    assert not queue.gate.hold(True)
    assert firm.gate.status().paused == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be two users")
def test_an_author_can_drop_and_neither_write_nor_replace_a_status(firm: Office):
    """As docs/queue.md sets it up, tried by a process of that user."""
    firm.put("Smith/a.txt", "alpha\n")
    firm.root.parent.chmod(0o755)
    firm.configure(agent_user="nobody")
    queue = Queue(firm)
    queue.folder.chmod(0o1777)

    def as_nobody(act: Callable[[], object]) -> int:
        def work() -> None:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            act()

        return in_child(work)

    def refused(act: Callable[[], object]) -> None:
        def work() -> None:
            with pytest.raises(PermissionError):
                act()

        assert as_nobody(work) == SURVIVED

    document = firm.document(move("a.txt", "b.txt"))
    assert as_nobody(lambda: (queue.folder / "1.json").write_text(document)) == SURVIVED
    (taken,) = queue.take()
    assert firm.gate.plan(taken.id).author == "nobody"
    folder, status = queue.at(taken.id), queue.at(taken.id, "status")
    paused = queue.folder / "PAUSED"
    paused.touch()
    refused(lambda: status.write_text("approved\n"))
    refused(status.unlink)
    refused(lambda: (folder / "status.new").write_text("approved\n"))
    refused(lambda: (folder / "status.log").write_text(""))
    refused(lambda: folder.rename(folder.with_name("other")))
    refused(lambda: folder.parent.rename(queue.folder / "elsewhere"))
    refused(paused.unlink)
    refused(lambda: paused.rename(queue.folder / "elsewhere"))
    paused.unlink()
    queue.write(taken.id, "approved")
    assert queue.heed(taken.id) == "decided"
    assert queue.carry_out() == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be two users")
@pytest.mark.parametrize(("mode", "owner", "lifts"), [(0o1777, 0, True), (0o777, 0, False), (0o1777, 65534, False)])
def test_permissions_prove_that_no_author_lifted_a_pause(firm: Office, mode: int, owner: int, lifts: bool):
    """A sticky folder keeps the agents' user from a file that is not theirs; their own pause is lifted at a door."""
    firm.root.parent.chmod(0o755)
    firm.configure(agent_user="nobody")
    queue = Queue(firm)
    queue.folder.chmod(mode)
    paused = queue.folder / "PAUSED"
    paused.touch()
    os.chown(paused, owner, owner)
    before = queue.gate.hold(False)
    paused.unlink()
    assert queue.gate.hold(before) is not lifts
    assert (firm.gate.status().paused == []) is lifts


def test_who_resumes_while_no_worker_runs_is_not_paused_again(shared: Queue):
    """The file goes with the pause, so that a worker that starts later does not find it."""
    (shared.folder / "PAUSED").touch()
    shared.gate.hold(False)
    shared.office.gate.resume()
    assert not shared.gate.hold(False)
    assert shared.office.gate.status().paused == []


def test_a_pause_of_another_door_is_not_lifted_by_the_folder(shared: Queue):
    """It has no PAUSED, and stays."""
    shared.office.gate.pause(None, "audit")
    assert not shared.gate.hold(False)
    assert [one.comment for one in shared.office.gate.status().paused] == ["audit"]


def test_who_resumes_at_another_door_takes_the_file_away(shared: Queue):
    """So every door shows the same."""
    (shared.folder / "PAUSED").touch()
    before = shared.gate.hold(False)
    shared.office.gate.resume()
    assert not shared.gate.hold(before)
    assert not (shared.folder / "PAUSED").exists()
    assert shared.office.gate.status().paused == []


def test_deleting_says_so_in_the_file_that_people_read(shared: Queue):
    """validation.md is the preview, deletions first."""
    id = shared.took(shared.office.document(delete("a.txt")))
    text = shared.at(id, "validation.md").read_text()
    assert "1 deleted" in text
    assert "a.txt" in text


def queue_findings(office: Office) -> list[tuple[str, str]]:
    return [(one.severity, one.title) for one in office.gate.doctor() if "queue" in one.title]


def test_doctor_tells_of_plans_that_nobody_takes(shared: Queue):
    """Once they have lain there for five minutes; an error without a worker, a warning with one that takes none."""
    shared.drop(shared.office.document(create("1.txt")))
    since = time.time_ns() // 1_000_000
    shared.office.clock.now = since + 4 * MINUTE
    assert queue_findings(shared.office) == []  # one that is started every minute is in time
    shared.office.clock.now = since + 7 * MINUTE
    told = "1 plan dropped into the queue and not taken, the oldest 7 minutes ago"
    assert queue_findings(shared.office) == [("error", f"{told}, and no worker runs")]
    with shared.gate.attended():
        assert queue_findings(shared.office) == [("warning", f"{told}, though a worker runs")]


def test_a_drop_waits_from_when_it_was_dropped_and_not_from_when_it_was_written(shared: Queue):
    """It may have been moved there, its old time with it."""
    path = shared.drop(shared.office.document(create("1.txt")))
    os.utime(path, (0, 0))
    shared.office.clock.now = time.time_ns() // 1_000_000
    assert queue_findings(shared.office) == []


def test_what_is_claimed_and_no_plan_yet_waits_too(shared: Queue):
    """A worker died over it, and none came after."""
    shared.drop(shared.office.document(create("1.txt")))
    (drop,) = shared.gate.drops()
    assert dropbox(shared.gate.core).claim({"pl_0123456789abcdef": drop})
    shared.office.clock.now = time.time_ns() // 1_000_000 + 6 * MINUTE
    assert [severity for severity, _ in queue_findings(shared.office)] == ["error"]


def test_a_wrong_backup_is_no_fault_of_what_is_dropped(shared: Queue):
    """The database is older than the tree: it is claimed and waits, and is a plan once the right one is there."""
    (area,) = [path.parent for path in shared.office.root.glob(".treegate/workspace.json")]
    known = shared.gate.core.store.meta().generation
    note_generation(shared.office.root, known + 1)
    shared.drop(shared.office.document(create("1.txt")))
    (taken,) = shared.take()
    assert (taken.how, taken.code) == ("later", "database-older-than-tree")
    (area / GENERATION).unlink()
    assert [one.how for one in shared.take()] == ["plan"]


def test_an_edit_that_a_crash_left_aside_is_put_back(shared: Queue):
    """Saved in the instant in which the file was written anew, and the process died before it looked."""
    id = shared.took(shared.office.document(move("a.txt", "b.txt")))
    path = shared.at(id, "status")
    ours = path.read_bytes()
    shared.write(id, "approved")
    path.rename(path.with_name(".status.new"))
    path.write_bytes(ours)
    shared.heed(id)
    assert "by: rita" in path.read_text()
    assert shared.heed(id) == "decided"
    assert not path.with_name(".status.new").exists()


def test_a_full_disk_is_no_fault_of_the_plan(shared: Queue, monkeypatch: pytest.MonkeyPatch):
    """It stays claimed, and is taken once there is room: it does not lie among what failed."""

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    shared.drop(shared.office.document(move("a.txt", "b.txt")))
    with monkeypatch.context() as patched:
        patched.setattr(plans, "submit", full)
        (taken,) = shared.take()
    assert taken.how == "later"
    assert list((shared.folder / "failed").iterdir()) == []
    assert [one.how for one in shared.take()] == ["plan"]


def unsynced(*_: object) -> None:
    """A sync on a disk that fails."""
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def unwritable(*_: object) -> None:
    """A commit on a disk that can only be read."""
    error = sqlite3.OperationalError("attempt to write a readonly database")
    error.sqlite_errorcode = sqlite3.SQLITE_READONLY
    raise error


FAILING = [(posix, "fsync", unsynced), (DefaultDialect, "do_commit", unwritable)]


@pytest.mark.parametrize("failing", FAILING, ids=["the steps", "the database"])
def test_a_disk_that_fails_is_no_fault_of_the_plan(
    shared: Queue, monkeypatch: pytest.MonkeyPatch, failing: tuple[object, str, object]
):
    """It cannot be written what is to be done, or what was handed in: it is taken once the disk is mended."""
    shared.drop(shared.office.document(move("a.txt", "b.txt")))
    with monkeypatch.context() as patched:
        patched.setattr(*failing)
        (taken,) = shared.take()
    assert taken.how == "later"
    assert list((shared.folder / "failed").iterdir()) == []
    assert [(one.how, one.id) for one in shared.take()] == [("plan", taken.id)]


def test_what_is_no_plan_is_refused_once_it_is_certain_that_none_came_of_it(
    shared: Queue, monkeypatch: pytest.MonkeyPatch
):
    """While the database cannot be written, a commit that failed may still come back: until then it stays claimed."""
    shared.drop(b"{")
    with monkeypatch.context() as patched:
        patched.setattr(DefaultDialect, "do_commit", unwritable)
        assert [(one.how, one.code) for one in shared.take()] == [("later", "database-unwritable")]
    assert [(one.how, one.code) for one in shared.take()] == [("refused", "not-json")]


def test_what_became_a_plan_never_lies_among_what_failed(shared: Queue, monkeypatch: pytest.MonkeyPatch):
    """Whatever goes wrong after it was stored: it stays claimed, and is brought to its shelf later."""
    real = plans.submit

    def faulty(*given: object, **more: object) -> object:
        real(*given, **more)  # type: ignore[arg-type]
        raise ZeroDivisionError

    shared.drop(shared.office.document(move("a.txt", "b.txt")))
    with monkeypatch.context() as patched:
        patched.setattr(plans, "submit", faulty)
        (taken,) = shared.take()
    assert taken.how == "later"
    assert [one.how for one in shared.take()] == ["plan"]
    assert shared.shelf(taken.id) == "pending"


@pytest.mark.parametrize("more", [b"more", b""])
def test_what_changed_since_it_was_looked_at_is_not_read(shared: Queue, more: bytes):
    """It grew, or was written anew: what was read might be half of the one and half of the other."""
    path = shared.drop(b'{"version": 1}')
    drop = shared.look(NAME)
    assert shared.gate.read_drop(drop) == b'{"version": 1}'
    path.write_bytes(b'{"version": 2}' + more)
    os.utime(path, ns=(1, 1))
    assert shared.gate.read_drop(drop) is None


def test_a_shelf_that_a_crash_left_half_cleared_is_cleared(shared: Queue):
    """What lies on both shelves may be two names of one file, of which a rename would leave both."""
    id = shared.took(shared.office.document(move("a.txt", "b.txt")))
    there = shared.at(id)
    other = shared.folder / "done" / id
    other.mkdir()
    (other / "plan.json").hardlink_to(there / "plan.json")
    dropbox(shared.gate.core).move(id, "pending", "done")
    assert not there.exists()
    assert {path.name for path in other.iterdir()} == {"plan.json", "validation.md", "status"}


# Revised elsewhere


def test_a_plan_that_is_revised_at_another_door_is_shown_anew(shared: Queue):
    """Document, preview and digest are the new ones; an edit of the older digest is answered, and decides nothing."""
    gate, office = shared.office.gate, shared.office
    id = shared.took(office.document(move("a.txt", "b.txt")))
    old = gate.plan(id).digest
    shared.write(id, "approved")
    gate.revise(id, office.document(move("a.txt", "c.txt")))
    now = gate.plan(id)
    assert now.digest != old
    assert json.loads(shared.at(id, "plan.json").read_text())["operations"][0]["to"] == "c.txt"
    assert "c.txt" in shared.at(id, "validation.md").read_text()
    assert f"digest: {now.digest}" in shared.at(id, "status").read_text()
    assert shared.says(id) == "pending"
    said = f"rita said approved too late: that was of digest {str(old)[:12]}, and is of {str(now.digest)[:12]} now"
    assert said in shared.log(id)
    shared.write(id, "approved", digest=str(old))
    assert shared.heed(id) == "refused"
    assert "digest-not-current" in shared.log(id)
    assert gate.plan(id).state == "pending"
    shared.write(id, "approved", digest=str(now.digest))
    assert shared.heed(id) == "decided"
    shared.carry_out()
    assert office.path("Smith/c.txt").exists()


def test_a_plan_that_failed_comes_back_once_it_is_mended(shared: Queue):
    """From `failed/` to `pending/`, whatever the door, with nothing of the old revision left."""
    id = shared.took(shared.office.document(move("missing.txt", "b.txt")))
    assert shared.shelf(id) == "failed"
    shared.office.gate.revise(id, shared.office.document(move("a.txt", "b.txt")))
    assert shared.shelf(id) == "pending"
    assert shared.says(id) == "pending"
    shared.write(id, "approved")
    assert shared.heed(id) == "decided"
    assert shared.carry_out() == 1
    assert not (shared.at(id) / "reasons.md").exists()


@pytest.mark.parametrize("by", ["x" * 201, "rita\u202eatir", "ri\tta", "\u200b"])
def test_who_decides_has_a_name_that_can_be_read(shared: Queue, by: str):
    """As tokens have: it stands in every log."""
    id = shared.took(shared.office.document(move("a.txt", "b.txt")))
    shared.write(id, "approved", by=by)
    assert shared.heed(id) == "refused"
    assert "status-by-invalid" in shared.log(id)
    assert shared.office.gate.plan(id).state == "pending"


# Folders that are gone


@pytest.mark.parametrize("shelf", ["pending", "failed", "done"])
def test_fsck_makes_the_folder_of_a_dropped_plan_anew(shared: Queue, shelf: str):
    """As it was, but for the log of answers; `status` can be filled in again, and one that is there is left alone."""
    id = shared.took(shared.office.document(move("a.txt", "b.txt")))
    if shelf != "pending":
        shared.write(id, "approved" if shelf == "done" else "rejected")
        shared.heed(id)
        shared.carry_out()
    there = shared.at(id)
    assert there.parent.name == shelf
    before = {path.name: path.read_bytes() for path in there.iterdir()}
    shutil.rmtree(there)
    assert shared.office.gate.fsck(dry=True)
    assert not there.exists()
    told = [one.title for one in shared.office.gate.fsck() if one.severity == "rebuilt"]
    assert len(told) == len(before)
    assert {path.name: path.read_bytes() for path in there.iterdir()} == before
    assert shared.at(id, "status").stat().st_mode & 0o777 == 0o664
    assert shared.office.gate.fsck() == []
    if shelf == "pending":
        shared.write(id, "approved")
        assert shared.office.gate.fsck() == []
        assert shared.heed(id) == "decided"


def test_fsck_makes_no_folder_for_a_plan_of_another_door(shared: Queue):
    done = shared.office.submit(move("a.txt", "b.txt"))
    assert shared.office.gate.fsck() == []
    assert not list(shared.folder.glob(f"*/{done.id}"))


# What came with others


def test_a_name_as_long_as_a_name_can_be_fails_with_its_message(shared: Queue):
    """It lies among what failed under a shorter one, for its message has a longer; the others are taken."""
    shared.drop("{", "a" * 250 + ".json")
    shared.drop(shared.office.document(move("a.txt", "b.txt")), "b.json")
    assert [one.how for one in shared.gate.take_drops(shared.gate.drops())] == ["refused", "plan"]
    name = "a" * 215 + ".json"
    assert sorted(os.listdir(shared.folder / "failed")) == [name, f"{name}.txt"]
    assert shared.gate.claims() == []


def test_a_fault_of_ours_keeps_back_nobody_else(shared: Queue, monkeypatch: pytest.MonkeyPatch):
    """The drop is put aside, and says that it was no fault of its own."""

    real, calls = plans.submit, []

    def faulty(*given: object, **more: object) -> object:
        calls.append(given)
        if len(calls) == 1:
            raise ZeroDivisionError
        return real(*given, **more)  # type: ignore[arg-type]

    shared.drop(shared.office.document(move("a.txt", "b.txt")), "a.json")
    shared.drop(shared.office.document(move("a.txt", "c.txt")), "b.json")
    monkeypatch.setattr(plans, "submit", faulty)
    taken = shared.gate.take_drops(shared.gate.drops())
    assert [(one.how, one.code) for one in taken] == [("refused", "internal"), ("plan", "")]
    assert "ZeroDivisionError" in (shared.folder / "failed/a.json.txt").read_text()


def test_what_waits_for_the_workspace_alone_is_known(shared: Queue):
    """So that whoever runs jobs looks again soon: nothing tells that it is back."""
    shared.office.configure(policy_approval_rule='[{when = {only = ["made", "moved"]}, required = 0}]')
    shared.took(shared.office.document(move("a.txt", "b.txt")))
    assert not shared.gate.held()
    area, away = shared.office.root / ".treegate", shared.office.root / "away"
    area.rename(away)
    assert shared.gate.due() == []
    assert shared.gate.held()
    away.rename(area)
    assert not shared.gate.held()
    assert shared.carry_out() == 1
