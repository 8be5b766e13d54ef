"""Stories that the random ones of tests/faults/gate_machine.py came upon, each told as plainly as it can be."""

from __future__ import annotations

import pytest
from gatework import create, move

from treegate.errors import Denied, Rejected, Stale
from treegate.model.actors import Role


def test_of_two_undo_plans_of_one_run_the_second_is_refused_before_it_begins(office):
    """A mode that is set back twice changes nothing, and no run is left that cannot be ended."""
    office.put("Smith/a", "a", mode=0o640)
    run = office.carried_out({"op": "set", "path": "a", "mode": "0700"}).run
    first, second = (office.gate.undo(run).submitted for _ in range(2))
    for undo in (first, second):
        office.gate.approve(undo.id, undo.digest)
    office.gate.apply(first.id)
    with pytest.raises(Denied) as refused:
        office.gate.apply(second.id)
    assert refused.value.code == "already-undone"
    assert [one.state.value for one in office.gate.list_runs()] == ["applied", "undone"]
    office.sound()


def test_what_was_rejected_in_one_plan_is_not_approved_in_its_twin(firm):
    """The same plan, handed in twice: the rejection of the one holds for the other."""
    first, second = (firm.submit(create("x")) for _ in range(2))
    assert first.digest == second.digest
    ann, bob = firm.person("ann", Role.REVIEWER), firm.person("bob", Role.REVIEWER)
    ann.reject(first.id, first.digest, "not this")
    with pytest.raises(Rejected) as refused:
        bob.approve(second.id, second.digest)
    assert refused.value.code == "already-rejected"
    assert firm.gate.plan(second.id).state == "pending"


def test_what_was_approved_is_not_applied_once_its_twin_is_rejected(firm):
    """Any rejection wins, whichever of two plans with the same digest it was said of."""
    first, second = (firm.submit(create("x")) for _ in range(2))
    ann, bob = firm.person("ann", Role.REVIEWER), firm.person("bob", Role.REVIEWER)
    bob.approve(second.id, second.digest)
    ann.reject(first.id, first.digest, "not this")
    with pytest.raises(Rejected):
        bob.apply(second.id)
    assert firm.gate.list_runs() == []


@pytest.mark.parametrize("case", ["moved away", "another in its place"])
def test_a_folder_whose_own_folder_is_gone_makes_a_plan_stale(office, case):
    """19: a plan that moves a folder out of one that somebody renamed is stale (5), and no run fails on the way."""
    office.put("Smith/in/deep/c", "c")
    id = office.approved(move("in/deep", "deep"))
    office.path("Smith/in").rename(office.path("Smith/elsewhere"))
    if case == "another in its place":
        office.path("Smith/in").mkdir()
    before = office.tree()
    with pytest.raises(Stale):
        office.gate.apply(id)
    assert office.gate.plan(id).state == "stale"
    assert office.tree() == before


@pytest.mark.parametrize("case", ["moved away", "another in its place"])
def test_a_run_that_moves_a_folder_away_upsets_the_plans_that_work_in_it(office, case):
    """They are told as stale at once, also those that would move a folder out of it."""
    office.put("Smith/in/deep/c", "c")
    waiting = office.submit(move("in/deep", "deep")).id
    more = [{"op": "mkdir", "path": "in"}] if case == "another in its place" else []
    office.carried_out(move("in", "elsewhere"), *more)
    assert office.gate.plan(waiting).state == "stale"
