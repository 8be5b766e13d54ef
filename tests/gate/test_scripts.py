"""Scripts that are dropped into the queue, run for real: where each lies, what beside it, what a crash leaves."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from gatework import Office
from queuework import Queue
from sandboxwork import needs_sandbox, small

from treegate.gate.sandboxing import running
from treegate.model.actors import Actor, Role
from treegate.model.commands import State

NAME = "20260131T120000.123Z-Smith.sh"


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    """A queue in which scripts run, and nobody decides on what is theirs."""
    needs_sandbox()
    office = Office(tmp_path / "firm", tmp_path / "state", solo=False)
    small(office, queue_trust_status="true")
    yield Queue(office)
    office.close()


def ran(queue: Queue, script: str, name: str = NAME) -> str:
    """The id under which a script lies that was dropped and run."""
    id = queue.took(script, name)
    for one in queue.gate.due_sandboxes():
        queue.gate.run_sandbox(one.id)
    return id


def test_a_script_waits_for_approval_as_a_plan_with_its_command_and_output_beside_it(queue: Queue):
    """Under the id that it was claimed under; decided in its status file, then in `done/`."""
    queue.office.put("Smith/a.txt", "one")
    id = ran(queue, "mv /case/a.txt /case/b.txt\necho moved\n")
    assert (queue.shelf(id), queue.says(id)) == ("pending", "pending")
    assert queue.at(id, "output.txt").read_text() == "moved\n"
    assert "mv /case/a.txt /case/b.txt\necho moved\n" in queue.at(id, "command").read_text()
    assert queue.office.path("Smith/a.txt").exists()
    queue.write(id, "approved")
    assert queue.heed(id) == "decided"
    queue.carry_out()
    assert queue.shelf(id) == "done"
    assert queue.office.path("Smith/b.txt").read_text() == "one"
    assert queue.at(id, "output.txt").read_text() == "moved\n"


def test_until_it_has_run_its_folder_says_how_far_it_is(queue: Queue):
    """It is taken at once, whatever it will take to run."""
    id = queue.took("sleep 1000", NAME)
    assert "approved: it runs as soon as there is a place" in queue.at(id, "command").read_text()
    assert queue.gate.claims() == []
    (due,) = queue.gate.due_sandboxes()
    queue.office.gate.cancel_sandbox(due.id)
    assert queue.shelf(id) == "failed"


@pytest.mark.parametrize(
    ("script", "says"), [("echo bad; exit 4", "exit status 4"), ("sleep 60", "its time ran out; exit status 137")]
)
def test_a_script_that_failed_without_a_change_lies_among_what_failed(queue: Queue, script: str, says: str):
    """Whoever watches that folder learns of it, and why."""
    queue.office.configure(sandbox_limits_time="1s")
    queue.office.reopen()
    id = ran(queue, script)
    assert queue.shelf(id) == "failed"
    assert says in queue.at(id, "command").read_text()


def test_a_script_that_changed_nothing_is_done(queue: Queue):
    """With its output; there is no plan."""
    id = ran(queue, "ls")
    assert queue.shelf(id) == "done"
    assert "it changed nothing" in queue.at(id, "command").read_text()
    assert {path.name for path in queue.at(id).iterdir()} == {"command", "output.txt"}


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("20260131T120000.123Z-Nope.sh", b"ls", "case-not-found"),
        ("Smith.sh", b"ls", "drop-name"),
        (NAME, b"#" * (1 << 20) + b"#", "script-too-large"),
    ],
)
def test_a_script_that_cannot_be_taken_lies_among_what_failed(queue: Queue, name: str, data: bytes, code: str):
    queue.drop(data, name)
    (taken,) = queue.take()
    assert (taken.how, taken.code) == ("refused", code)
    assert (queue.folder / "failed" / name).read_bytes() == data


def test_policy_holds_for_scripts_too(queue: Queue):
    """The interpreter, and hashes where any are listed."""
    queue.office.configure(sandbox_interpreters="python3")
    queue.drop("ls", NAME)
    assert queue.take()[0].code == "interpreter-not-allowed"
    queue.office.configure(sandbox_interpreters="sh", sandbox_tools="a" * 64)
    queue.drop("ls -l", NAME)
    assert queue.take()[0].code == "tool-not-listed"


def test_where_commands_are_approved_a_script_waits_for_that(queue: Queue):
    """Its folder says what to type; rejected, it lies in `failed/`."""
    queue.office.configure(sandbox_approve_command="true")
    id = ran(queue, "touch /case/x")
    assert "treegate approve sb_" in queue.at(id, "command").read_text()
    (waits,) = queue.office.gate.sandboxes([State.WAITING])
    assert waits.script == "touch /case/x"
    rita = queue.office.gate.acting_as(Actor(name="rita", role=Role.REVIEWER))
    rita.approve_sandbox(waits.id, waits.digest)
    queue.gate.run_sandbox(waits.id)
    assert queue.says(id) == "pending"
    other = ran(queue, "touch /case/y", "20260131T120001Z-Smith.sh")
    (waits,) = queue.office.gate.sandboxes([State.WAITING])
    rita.reject_sandbox(waits.id, waits.digest, "why?")
    assert queue.shelf(other) == "failed"
    assert "why?" in queue.at(other, "command").read_text()


def test_a_script_whose_worker_died_lies_in_failed_once_another_looks(queue: Queue):
    """It did nothing, and is not run again by itself."""
    id = queue.took("touch /case/x; echo go; sleep 30", NAME)
    (due,) = queue.gate.due_sandboxes()
    queue.office.crash(
        lambda gate: gate.run_sandbox(due.id), (running._Run, "_note", lambda self, what: os._exit(77))
    )
    assert queue.shelf(id) == "pending"
    queue.gate.settle_scripts()
    assert queue.shelf(id) == "failed"
    assert queue.gate.due_sandboxes() == []
    assert "lost" in queue.at(id, "command").read_text()


def test_a_crash_between_asking_and_letting_go_asks_once(queue: Queue):
    """The claim is gone on with, and the script stands in the store once."""
    from treegate.engine.dropbox import Dropbox

    queue.drop("ls", NAME)
    queue.office.crash(
        lambda gate: gate.acting_as(queue.gate.actor).take_drops(gate.drops()),
        (Dropbox, "let_go", lambda *_: os._exit(77)),
    )
    queue.office.reopen()
    (taken,) = queue.take()
    assert (taken.how, len(queue.office.gate.sandboxes())) == ("plan", 1)


def test_fsck_writes_anew_what_a_command_wrote(queue: Queue):
    """The log, and what lies beside the plan."""
    id = ran(queue, "touch /case/x; echo said")
    (log,) = (queue.office.root / "Reports/Smith/mutation_logs").iterdir()
    text = log.read_text()
    log.unlink()
    queue.at(id, "output.txt").unlink()
    rebuilt = {one.title.partition(":")[0] for one in queue.office.gate.fsck() if one.severity == "rebuilt"}
    assert len(rebuilt) == 2
    assert (log.read_text(), queue.at(id, "output.txt").read_text()) == (text, "said\n")
