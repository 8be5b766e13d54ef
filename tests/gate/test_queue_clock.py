"""A clock that jumps between the drop and the end: order, expiry and waiting are no worse for it."""

from __future__ import annotations

import os

import pytest
from gatework import DAY, HOUR, Office, move
from queuework import Queue

from treegate.engine.dropbox import Drop
from treegate.errors import Expired
from treegate.gate.queue.settling import Settling


@pytest.fixture
def shared(firm: Office) -> Queue:
    """The queue of a firm on a shared bucket."""
    for name in ("a", "b", "c"):
        firm.put(f"Smith/{name}.txt", name)
    firm.configure(queue_trust_status="true", policy_approval_expires="7d")
    return Queue(firm)


@pytest.mark.parametrize("jump", [-400 * DAY, -HOUR, HOUR, 400 * DAY])
@pytest.mark.parametrize("when", ["dropped", "taken", "decided"])
def test_a_jump_stops_no_plan_but_one_whose_approval_ran_out(shared: Queue, jump: int, when: str):
    """Backwards or forwards, between any two acts; the log is whole, and every file says what the store says."""
    clock, gate = shared.office.clock, shared.office.gate

    def moment(now: str) -> None:
        if when == now:
            clock.now += jump

    shared.drop(shared.office.document(move("a.txt", "new.txt")))
    moment("dropped")
    (taken,) = shared.take()
    moment("taken")
    shared.write(taken.id, "approved")
    assert shared.heed(taken.id) == "decided"
    moment("decided")
    if when == "decided" and jump > 7 * DAY:
        (job,) = shared.gate.due()
        with pytest.raises(Expired):
            shared.gate.carry_out(job.run)
        assert gate.plan(taken.id).state == "expired"
    else:
        assert shared.carry_out() == 1
        assert (gate.plan(taken.id).state, shared.shelf(taken.id)) == ("applied", "done")
    assert [one for one in gate.fsck() if one.severity != "rebuilt"] == []


def test_what_expired_stays_expired_when_the_clock_goes_back(shared: Queue):
    """Nobody gets an approval back by setting the clock."""
    clock, gate = shared.office.clock, shared.office.gate
    id = shared.took(shared.office.document(move("a.txt", "new.txt")))
    shared.write(id, "approved")
    assert shared.heed(id) == "decided"
    clock.now += 8 * DAY
    assert gate.plan(id).state == "expired"
    with pytest.raises(Expired):
        gate.apply(id)
    clock.now -= 8 * DAY
    assert gate.plan(id).state == "expired"
    with pytest.raises(Expired):
        gate.apply(id)
    assert shared.shelf(id) == "failed"


def test_plans_keep_their_order_although_the_clock_goes_back(shared: Queue):
    """The order is that in which they were taken, and that is by name: times in names are only letters."""
    for name, source in (("20990101T000000Z-Smith", "c"), ("19700101T000000Z-Smith", "a"), ("2026-Smith", "b")):
        shared.drop(shared.office.document(move(f"{source}.txt", f"{source}2.txt"), title=source), f"{name}.json")
    for drop in shared.gate.drops():
        shared.gate.take_drops([drop])
        shared.office.clock.now -= DAY
    assert [plan.title for plan in reversed(shared.gate.list_plans()[0])] == ["a", "b", "c"]
    for plan in shared.gate.list_plans()[0]:
        shared.write(plan.id, "approved")
    for id in shared.gate.stamps():
        shared.heed(id)
    assert shared.carry_out() == 3


@pytest.mark.parametrize("at", [0, 1, 4_000_000_000])
def test_a_time_of_change_in_the_future_or_long_ago_keeps_nothing_waiting(shared: Queue, at: int):
    """What is whole is taken at once, and what is not once it has stayed as it is for a while, by our own watch."""
    whole = shared.drop(shared.office.document(move("a.txt", "b2.txt")), "1.json")
    half = shared.drop('{"version": 1,', "2.json")
    for path in (whole, half):
        os.utime(path, (at, at))
    settling = Settling(2.0)
    gate = shared.gate

    def ripe(now: float) -> list[str]:
        return [one.name for one in settling.ripe(gate.drops(), now, gate.read_drop)]

    assert ripe(100.0) == ["1.json"]
    assert ripe(101.9) == ["1.json"]
    assert ripe(102.0) == ["1.json", "2.json"]
    drops: list[Drop] = gate.drops()
    assert [taken.how for taken in gate.take_drops(drops)] == ["plan", "refused"]
