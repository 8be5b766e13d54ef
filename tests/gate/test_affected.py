"""Claims of `treegate.gate.affected`: what a run upsets is stale, and nothing else is."""

from __future__ import annotations

import pytest
from gatework import Office, move
from queuework import Queue

from treegate.errors import Stale


def test_only_what_the_run_upset_is_stale(office: Office):
    """A plan whose fingerprints hold keeps its digest and its approval; one that moves the same file does not fit."""
    for name in ("a", "b"):
        office.put(f"Smith/{name}.txt", name)
    first = office.approved(move("a.txt", "x.txt"))
    same, other = office.submit(move("a.txt", "y.txt")), office.approved(move("b.txt", "z.txt"))
    before = office.gate.plan(other)
    office.gate.apply(first)
    assert office.gate.recheck("Smith") == [same.id]
    assert office.gate.plan(same.id).state == "stale"
    assert office.gate.plan(other) == before
    assert office.gate.recheck("Smith") == []


def test_a_plan_that_skips_what_is_stale_is_left_as_it_is(office: Office):
    """That it may have to leave something alone is what was approved."""
    for name in ("a", "b"):
        office.put(f"Smith/{name}.txt", name)
    first = office.approved(move("a.txt", "x.txt"))
    skips = office.approved(move("a.txt", "y.txt"), move("b.txt", "z.txt"), on_stale="skip")
    office.gate.apply(first)
    assert office.gate.recheck("Smith") == []
    assert office.gate.apply(skips).state == "applied"


def test_a_stale_plan_that_was_dropped_is_previewed_anew(firm: Office):
    """It was approved as something else, and waits again, under its new digest; other doors' plans stay stale."""
    firm.configure(queue_trust_status="true")
    firm.put("Smith/a.txt", "a")
    queue = Queue(firm)
    first = queue.took(firm.document(move("a.txt", "new/a.txt")), "1.json")
    firm.put("Smith/b.txt", "b")
    second = queue.took(firm.document(move("b.txt", "new/b.txt")), "2.json")
    old = firm.gate.plan(second).digest
    for id in (first, second):
        queue.write(id, "approved")
    assert queue.heed(first) == "decided"
    queue.carry_out()
    assert queue.heed(second) == "decided"
    (job,) = queue.gate.due()
    with pytest.raises(Stale):
        queue.gate.carry_out(job.run)
    assert queue.gate.recheck("Smith") == [second]
    now = firm.gate.plan(second)
    assert (now.state, queue.says(second)) == ("pending", "pending")
    assert now.digest != old
    queue.write(second, "approved")
    assert queue.heed(second) == "decided"
    assert queue.carry_out() == 1
    assert queue.shelf(second) == "done"
