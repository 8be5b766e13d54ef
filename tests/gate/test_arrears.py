"""What there is to say of dropped plans may be written later; nothing else may, and nothing is forgotten."""

from __future__ import annotations

import os

import pytest
from gatework import Office, move
from queuework import Queue

from treegate.model.actors import Actor, Role
from treegate.model.measures import DAY

RITA = Actor(name="rita", role=Role.REVIEWER, channel="cli", via="os")


@pytest.fixture
def queue(firm: Office) -> Queue:
    """The queue of a firm, whose worker puts off what there is to say."""
    for name in ("a", "b"):
        firm.put(f"Smith/{name}.txt", f"{name}\n")
    firm.configure(queue_trust_status="true")
    return Queue(firm)


def reports(queue: Queue) -> set[str]:
    """The plans of which something lies among the reports of their case."""
    return {path.stem for path in queue.office.root.glob("Reports/Smith/reorg_plans/*")}


def test_what_is_put_off_is_owed_and_written_as_it_then_stands(queue: Queue):
    """Once, although two things befell the plan."""
    owed = queue.gate.put_off_reports()
    id = queue.took(queue.office.document(move("a.txt", "c.txt")))
    assert os.listdir(queue.at(id)) == []
    assert reports(queue) == set()
    assert owed == {id}
    queue.gate.acting_as(RITA).reject(id, queue.gate.show(id).plan.digest, "no")
    queue.gate.write_up([id])
    assert queue.shelf(id) == "failed"
    assert "rejected" in queue.at(id, "validation.md").read_text()
    assert reports(queue) == {id}


def test_a_plan_of_another_door_is_written_of_at_once(queue: Queue):
    """Nothing in the folder would say that something is owed of it."""
    owed = queue.gate.put_off_reports()
    id = queue.office.submit(move("a.txt", "c.txt")).id
    assert owed == set()
    assert reports(queue) == {id}


def test_a_plan_that_is_met_by_the_way_is_owed_too(queue: Queue):
    """An approval that ran out is noted by whoever begins something else."""
    queue.office.configure(policy_apply_on_approval="false")
    id = queue.took(queue.office.document(move("a.txt", "c.txt")))
    queue.write(id, "approved")
    assert queue.heed(id) == "decided", queue.log(id)
    owed = queue.gate.put_off_reports()
    queue.office.clock.now += 60 * DAY
    with queue.gate.core.store.write() as transaction:
        assert transaction.expire_due(queue.gate.core.by()) == [id]
    assert owed == {id}
    queue.gate.write_up(owed)
    assert queue.shelf(id) == "failed"


def test_what_is_owed_when_a_worker_is_killed_is_written_by_the_next(queue: Queue):
    """It lies in `pending/`, and all that do are looked at."""
    queue.gate.put_off_reports()
    id = queue.took(queue.office.document(move("a.txt", "c.txt")))
    queue.office.reopen()
    for one in queue.gate.stamps():
        queue.heed(one)
    assert queue.says(id) == "pending"
    assert queue.at(id, "validation.md").exists()
    assert reports(queue) == {id}


def test_what_left_the_first_shelf_is_owed_no_more(queue: Queue):
    """Somebody else has written it."""
    id = queue.took(queue.office.document(move("a.txt", "c.txt")))
    queue.gate.acting_as(RITA).reject(id, queue.gate.show(id).plan.digest, "no")
    path = queue.at(id, "validation.md")
    path.unlink()
    queue.gate.write_up([id])
    assert not path.exists()
