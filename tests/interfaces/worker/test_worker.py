"""Claims of `treegate worker`, as a process beside the workspace."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from workplace import RULE, Place, until

from treegate.model.actors import Actor, Role
from treegate.model.lifecycle import State

Work = Callable[[], "subprocess.Popen[str]"]
AUTHOR = Actor(name="bot", role=Role.AUTHOR, channel="cli", via="token")
ADMIN = Actor(name="ada", role=Role.ADMIN, channel="cli", via="token")
MOVE = {"op": "move", "from": "a.txt", "to": "b.txt"}


def waiting(place: Place) -> list[Path]:
    return sorted(place.queue.glob("pending/*/status"))


def dropped(place: Place) -> Path:
    """Drops a plan that waits for somebody; its status file."""
    place.put("Smith/a.txt", "alpha\n")
    place.drop("20260131T120000.123Z-Smith.json", MOVE)
    until(lambda: waiting(place))
    (status,) = waiting(place)
    return status


def approve(path: Path, by: str = "rita") -> None:
    """As an editor that writes in place would."""
    path.write_text(path.read_text().replace("pending", "approved", 1).replace("by:", f"by: {by}", 1))


def test_a_plan_goes_from_the_drop_to_done_by_an_edit(place: Place, work: Work):
    """Dropped, validated, approved in the file, carried out, the receipt beside it: nobody typed a command."""
    work()
    approve(dropped(place))
    until(lambda: list(place.queue.glob("done/*/receipt.json")))
    until(lambda: not waiting(place))
    assert (place.root / "projects/Smith/b.txt").read_text() == "alpha\n"
    (done,) = place.queue.glob("done/*/status")
    assert done.read_text().startswith("applied\n")


def test_an_editor_that_puts_a_new_file_in_place_is_understood_too(place: Place, work: Work):
    """Written aside and renamed, as most editors do."""
    work()
    status = dropped(place)
    aside = status.with_name("status~")
    aside.write_text(status.read_text().replace("pending", "rejected", 1).replace("by:", "by: rita"))
    aside.replace(status)
    until(lambda: list(place.queue.glob("failed/*/status")))
    (reasons,) = place.queue.glob("failed/*/reasons.md")
    assert "rita" in reasons.read_text()


def test_a_file_that_is_still_being_written_is_waited_for(place: Place, work: Work):
    """Half a plan is none yet; once it is whole, it is taken, and not a moment earlier."""
    place.environ["TREEGATE_QUEUE_SETTLE"] = "3s"
    place.put("Smith/a.txt", "alpha\n")
    work()
    text = json.dumps({"version": 1, "case": "Smith", "operations": [MOVE]})
    with (place.queue / "slow.json").open("w") as file:
        for start in range(0, len(text), 16):
            assert not waiting(place)
            assert not list(place.queue.glob("failed/*"))
            file.write(text[start : start + 16])
            file.flush()
            os.fsync(file.fileno())
    until(lambda: waiting(place))


def test_two_plans_on_the_same_file_are_told_of_each_other_and_one_is_carried_out(place: Place, work: Work):
    """Each says so before anybody decides; the other does not fit once one is done, and is previewed anew."""
    work()
    place.put("Smith/a.txt", "alpha\n")
    place.put("Smith/c.txt", "gamma\n")
    place.drop("1.json", MOVE)
    until(lambda: len(waiting(place)) == 1)
    place.drop("2.json", {"op": "move", "from": "a.txt", "to": "z.txt"})
    until(lambda: len(waiting(place)) == 2)
    place.drop("3.json", {"op": "move", "from": "c.txt", "to": "d.txt"})
    until(lambda: len(waiting(place)) == 3)
    with place.open() as gate:
        first, second, third = (plan.id for plan in reversed(gate.list_plans()[0]))
        kept = gate.plan(third)
    at = place.queue / "pending"
    until(lambda: f"{second}, waiting, also moves Smith/a.txt" in (at / first / "validation.md").read_text())
    assert f"{first}, waiting, also moves Smith/a.txt" in (at / second / "validation.md").read_text()
    assert "waiting, also" not in (at / third / "validation.md").read_text()
    approve(at / first / "status")
    until((place.queue / "done" / first / "receipt.json").exists)
    until((place.queue / "failed" / second / "reasons.md").exists)
    assert "a.txt" in (place.queue / "failed" / second / "reasons.md").read_text()
    with place.open() as gate:
        assert (gate.plan(second).state, gate.plan(third)) == (State.INVALID, kept)
    approve(at / third / "status")
    until((place.queue / "done" / third / "receipt.json").exists)
    assert sorted(path.name for path in (place.root / "projects/Smith").glob("*.txt")) == ["b.txt", "d.txt"]


def test_a_stale_plan_is_previewed_anew_although_another_door_upset_it(place: Place, work: Work):
    """Carried out at the shell, say: the worker sees to what was dropped."""
    work()
    status = dropped(place)
    old = status.read_text()
    with place.open() as gate:
        done = gate.acting_as(AUTHOR).submit(
            json.dumps(
                {"version": 1, "case": "Smith", "operations": [{"op": "replace", "path": "a.txt", "content": "new"}]}
            )
        )
        gate.acting_as(ADMIN).approve(done.id, done.digest)
        gate.acting_as(ADMIN).apply(done.id)
    until(lambda: status.exists() and status.read_text().startswith("pending") and status.read_text() != old)
    approve(status)
    until(lambda: list(place.queue.glob("done/*/receipt.json")))
    assert (place.root / "projects/Smith/b.txt").read_text() == "new"


def test_once_does_what_there_is_and_ends(place: Place):
    """For cron: what was dropped is taken, what needs nobody is carried out, and what waits keeps waiting."""
    place.environ["TREEGATE_POLICY_APPROVAL_RULE"] = RULE
    place.put("Smith/a.txt", "alpha\n")
    place.put("Jones/a.txt", "alpha\n")
    place.drop("1.json", MOVE)
    place.drop("2.json", {"op": "delete", "path": "a.txt"}, case="Jones")
    (place.queue / "bad.json").write_text("{")
    process = place.start("--once")
    out, error = process.communicate(timeout=60)
    assert process.returncode == 0, error
    assert json.loads(out) == {"queue": str(place.queue)}
    assert (place.root / "projects/Smith/b.txt").exists()
    assert len(waiting(place)) == 1
    assert (place.queue / "failed/bad.json.txt").exists()
    assert len(list(place.queue.glob("done/*"))) == 1


def test_once_ends_although_something_cannot_be_taken_now(place: Place):
    """An author with as many plans waiting as may: the second stays claimed, and is taken another time."""
    place.environ["TREEGATE_POLICY_LIMITS_OPEN_PLANS"] = "1"
    for name in ("1.json", "2.json"):
        place.drop(name, {"op": "create", "path": name, "content": "x"})
    assert place.start("--once").wait(60) == 0
    assert len(waiting(place)) == 1
    with place.open() as gate:
        assert len(gate.claims()) == 1
        gate.withdraw(waiting(place)[0].parent.name)
    assert place.start("--once").wait(60) == 0
    assert len(waiting(place)) == 1


def test_a_worker_that_is_killed_goes_on_where_it_was(place: Place, work: Work):
    """Killed while dozens of plans are on their way; the next one carries out the rest, and each once."""
    place.environ["TREEGATE_POLICY_APPROVAL_RULE"] = RULE
    for n in range(60):
        place.put(f"Smith/{n}.txt", f"{n}\n")
    first = work()
    for n in range(60):
        place.drop(f"{n:03}.json", {"op": "move", "from": f"{n}.txt", "to": f"moved/{n}.txt"})
    until(lambda: len(list(place.queue.glob("done/*"))) > 5)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    work()
    until(lambda: len(list(place.queue.glob("done/*/receipt.json"))) == 60)
    with place.open() as gate:
        assert len(gate.page_runs([State.APPLIED], limit=1000)[0]) == 60
        assert len(gate.list_plans(limit=1000)[0]) == 60
    assert sorted(p.read_text() for p in (place.root / "projects/Smith/moved").iterdir()) == sorted(
        f"{n}\n" for n in range(60)
    )


def test_two_workers_share_a_folder(place: Place, work: Work):
    """Each plan is taken and carried out once, whoever comes first."""
    place.environ["TREEGATE_POLICY_APPROVAL_RULE"] = RULE
    for n in range(40):
        place.put(f"Smith/{n}.txt", f"{n}\n")
    for _ in range(2):
        work()
    for n in range(40):
        place.drop(f"{n:03}.json", {"op": "move", "from": f"{n}.txt", "to": f"moved/{n}.txt"})
    until(lambda: len(list(place.queue.glob("done/*/receipt.json"))) == 40)
    with place.open() as gate:
        assert len(gate.page_runs([State.APPLIED], limit=1000)[0]) == 40
        assert gate.fsck() == []


def test_a_paused_file_holds_the_worker(place: Place, work: Work):
    """Nothing is carried out while it lies there."""
    place.environ["TREEGATE_POLICY_APPROVAL_RULE"] = RULE
    place.put("Smith/a.txt", "alpha\n")
    (place.queue / "PAUSED").touch()
    work()
    place.drop("1.json", MOVE)
    until(lambda: waiting(place))
    with place.open() as gate:
        until(lambda: gate.status().paused)
    assert (place.root / "projects/Smith/a.txt").exists()
    (place.queue / "PAUSED").unlink()
    until(lambda: list(place.queue.glob("done/*/receipt.json")))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_when_it_is_told_to(place: Place, work: Work, number: signal.Signals):
    """Exit status 0; nothing on stderr but lines of JSON."""
    process = work()
    process.send_signal(number)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 0
    assert [json.loads(line) for line in error.splitlines()] == []
