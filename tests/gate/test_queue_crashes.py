"""A worker that is killed at each call, from the claim to `done/`: each plan is applied once, none is forgotten."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gatework import CRASHED, SURVIVED, Office, in_child, move
from queuework import Queue
from tests import stand_in

from treegate.engine import posix

# Everything through which the queue, the runs and the reports change files; the database's own commits, too.
CALLS = [(posix, name) for name in posix.MUTATING] + [
    (os, "rename"),
    (os, "replace"),
    (os, "unlink"),
    (os, "link"),
    (os, "fchmod"),
]


class Count:
    """Kills the process in front of a call, by its number."""

    def __init__(self, deadly: int) -> None:
        self.made, self._deadly = 0, deadly

    def before(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **named: Any) -> Any:
            self.made += 1
            if self.made == self._deadly:
                os._exit(CRASHED)
            return real(*args, **named)

        return call

    def install(self) -> None:
        stand_in.in_python()
        for owner, name in CALLS:
            setattr(owner, name, self.before(getattr(owner, name)))
        from sqlalchemy.engine.default import DefaultDialect

        DefaultDialect.do_commit = self.before(DefaultDialect.do_commit)  # type: ignore[method-assign]


Day = Callable[[Office], None]


def step_by_step(office: Office) -> None:
    """What a worker does: all that was dropped or claimed, each status file, each run."""
    queue = Queue(office)
    gate = queue.gate
    gate.recover()
    gate.take_up()
    queue.take()
    for id in gate.stamps():
        gate.heed(id)
    queue.carry_out()


def many_at_once(office: Office) -> None:
    """The same as `treegate worker` does it: some at a time, and what there is to say of them afterwards."""
    gate = Queue(office).gate
    gate.put_off_reports()
    gate.recover()
    gate.take_up()
    for id in gate.claims():
        gate.take_claim(id)
    gate.take_drops(gate.drops())
    for id in gate.stamps():
        gate.heed(id)
    while due := gate.due():
        gate.carry_on(due[0].run, 10, 20)
    gate.write_up(list(gate.stamps()))


def approve_in_files(queue: Queue) -> None:
    for id in queue.gate.stamps():
        if queue.says(id) == "pending":
            queue.write(id, "approved")


def opened(at: Path) -> Office:
    """An office in which two plans were dropped that need nobody, and another waits that rita has just approved."""
    shutil.rmtree(at, ignore_errors=True)
    at.mkdir()
    office = Office(at / "office", at / "state", solo=False)
    office.put("Smith/a.txt", "alpha\n")
    for name in ("c", "e", "g"):
        office.put(f"Smith/{name}.txt", f"{name}\n")
    office.put("Jones/a.txt", "alpha\n")
    rule = '[{when = {operations = ">1"}, required = 0}]'
    office.configure(queue_trust_status="true", policy_approval_rule=rule)
    queue = Queue(office)
    id = queue.took(office.document(move("a.txt", "b.txt"), case="Jones"), "1.json")
    queue.write(id, "approved")
    queue.drop(office.document(move("a.txt", "b.txt"), move("c.txt", "d.txt")), "2.json")
    queue.drop(office.document(move("e.txt", "f.txt"), move("g.txt", "h.txt")), "3.json")
    office.close()
    return office


def child(office: Office, day: Day, count: Count) -> int:
    """The exit status of a worker's day with a deadly call in it."""

    def work() -> None:
        office.reopen()
        count.install()
        day(office)

    return in_child(work)


def settled(office: Office, day: Day) -> None:
    """The day goes on until nothing is left to do; each plan was applied once, and lies in `done/`."""
    office.reopen()
    queue = Queue(office)
    day(office)
    approve_in_files(queue)
    day(office)
    gate = office.gate
    plans = gate.list_plans()[0]
    assert sorted((plan.cases, plan.state.value) for plan in plans) == [
        (("Jones",), "applied"),
        (("Smith",), "applied"),
        (("Smith",), "applied"),
    ]
    assert len(gate.list_runs()) == 3
    for name, was in (("d", "c"), ("f", "e"), ("h", "g")):
        assert office.path(f"Smith/{name}.txt").read_text() == f"{was}\n"
    for case in ("Smith", "Jones"):
        assert not office.path(f"{case}/a.txt").exists()
        assert office.path(f"{case}/b.txt").read_text() == "alpha\n"
    assert gate.drops() == []
    assert gate.claims() == []
    for plan in plans:
        assert queue.shelf(plan.id) == "done"
        assert (queue.at(plan.id, "receipt.json")).exists()
        found = set(os.listdir(queue.at(plan.id)))
        assert found - {"status.log"} == {"plan.json", "validation.md", "status", "receipt.json"}


def points(at: Path, day: Day, step: int) -> int:
    """Kills at each `step`-th call, until a day survives; how many points there were."""
    for tried, deadly in enumerate(range(1, 2_000, step)):
        office = opened(at)
        status = child(office, day, Count(deadly))
        if status == SURVIVED:
            settled(office, day)
            office.close()
            return tried
        assert status == CRASHED
        settled(office, day)
        office.close()
    raise AssertionError("a day has no end")


DAYS = pytest.mark.parametrize("day", [step_by_step, many_at_once])


@DAYS
def test_a_worker_that_is_killed_at_any_call_loses_nothing_and_does_nothing_twice(fast: Path, day: Day):
    """Every eleventh call; `make test-faults` tries each."""
    assert points(fast / "day", day, 11) > 10


@pytest.mark.faults
@DAYS
def test_at_each_call(fast: Path, day: Day):
    """From the claim to `done/`, and from the approval in the file to `done/`."""
    tried = points(fast / "day", day, 1)
    print(f"{day.__name__}: killed at each of {tried} calls")
    assert tried > 100
