"""Claims of `queue.steps_per_second`: a run keeps to it, forth and back, and holds nobody up meanwhile."""

from __future__ import annotations

import time

import pytest
from gatework import Office, move

from treegate.errors import RolledBack


@pytest.fixture
def slow(office: Office) -> Office:
    """An office with thirty files, and twenty steps a second."""
    for n in range(30):
        office.put(f"Smith/{n}.txt", str(n))
    office.configure(queue_steps_per_second="20")
    return office


def thirty(office: Office) -> str:
    return office.approved(*(move(f"{n}.txt", f"{n}.pdf") for n in range(30)))


def test_a_run_and_its_undo_keep_to_the_pace(slow: Office):
    began = time.monotonic()
    run = slow.gate.apply(thirty(slow)).run
    assert 1.4 < time.monotonic() - began < 10
    began = time.monotonic()
    slow.undone(run)
    assert time.monotonic() - began > 1.4
    slow.sound()


def test_others_write_to_the_store_meanwhile(slow: Office):
    """No transaction is open while a run waits: somebody who would not wait for one gets through."""
    other, came = slow.open(), []

    def come(done: int, total: int) -> None:
        with other.core.store.write(patience=0) as transaction:
            transaction.expire_due(other.core.by())
        came.append(done)

    slow.gate.watch(come, lambda: False)
    slow.gate.apply(thirty(slow))
    assert came == list(range(2, 31, 2))


def test_a_run_that_is_held_back_stops_when_it_is_asked_to(slow: Office):
    """While it waits, not at the end of a batch; what was done goes back, at the pace, too."""
    id, before = thirty(slow), slow.tree()
    end = time.monotonic() + 0.7
    slow.gate.watch(lambda done, total: None, lambda: time.monotonic() > end)
    began = time.monotonic()
    with pytest.raises(RolledBack):
        slow.gate.apply(id)
    assert time.monotonic() - began < 2.5
    assert slow.tree() == before
    slow.sound()


def test_without_a_limit_nothing_waits(office: Office):
    for n in range(30):
        office.put(f"Smith/{n}.txt", str(n))
    id = thirty(office)
    office.gate.apply(id)
    assert not (office.state / "locks" / "steps").exists()
