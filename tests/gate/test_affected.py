"""Claims of `treegate.gate.affected`: what a run upsets is stale, and nothing else is."""

from __future__ import annotations

import pytest
from gatework import Office, copy, create, delete, die, move, replace
from queuework import Queue

from treegate.errors import Stale, TreegateError
from treegate.gate import affected, ending


def test_only_what_the_run_upset_is_stale(office: Office):
    """A plan whose fingerprints hold keeps its digest and its approval; one that moves the same file does not fit."""
    for name in ("a", "b"):
        office.put(f"Smith/{name}.txt", name)
    first = office.approved(move("a.txt", "x.txt"))
    same, other = office.submit(move("a.txt", "y.txt")), office.approved(move("b.txt", "z.txt"))
    before = office.gate.plan(other)
    office.gate.apply(first)
    assert office.gate.plan(same.id).state == "stale"
    assert office.gate.plan(other) == before


def test_a_plan_that_skips_what_is_stale_is_left_as_it_is(office: Office):
    """That it may have to leave something alone is what was approved."""
    for name in ("a", "b"):
        office.put(f"Smith/{name}.txt", name)
    first = office.approved(move("a.txt", "x.txt"))
    skips = office.approved(move("a.txt", "y.txt"), move("b.txt", "z.txt"), on_stale="skip")
    office.gate.apply(first)
    assert office.gate.plan(skips).state == "approved"
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
    assert firm.gate.plan(second).state == "stale"
    assert queue.heed(second) == "refused"  # it was decided on as it was
    assert [plan.id for plan in queue.gate.stale()] == [second]
    assert queue.gate.renew(second)
    now = firm.gate.plan(second)
    assert (now.state, queue.says(second)) == ("pending", "pending")
    assert now.digest != old
    queue.write(second, "approved")
    assert queue.heed(second) == "decided"
    assert queue.carry_out() == 1
    assert queue.shelf(second) == "done"


def test_one_that_nobody_has_to_look_at_is_asked_for_again_in_the_same_transaction(
    office: Office, monkeypatch: pytest.MonkeyPatch
):
    """Whoever dies right after it was previewed anew does not leave it approved and forgotten."""
    office.configure(policy_approval_rule='[{when = {only = ["made", "moved"]}, required = 0}]')
    office.put("Smith/a.txt", "a")
    office.put("Smith/b.txt", "b")
    queue = Queue(office)
    queue.took(office.document(move("a.txt", "new/a.txt")), "1.json")
    second = queue.took(office.document(move("b.txt", "new/b.txt")), "2.json")
    with pytest.raises(Stale):
        queue.carry_out()  # the first made the folder that the second would have made
    assert office.gate.plan(second).state == "stale"
    gate = queue.gate

    def killed(touched: object) -> None:
        raise SystemExit

    monkeypatch.setattr(gate.core.store, "told", killed)
    with pytest.raises(SystemExit):
        gate.renew(second)
    office.reopen()
    assert office.gate.plan(second).state == "approved"
    assert queue.carry_out() == 1
    assert office.path("Smith/new/b.txt").exists()


@pytest.mark.parametrize(
    ("run", "waits"),
    [
        (move("in", "out"), move("in/a.txt", "b.txt")),  # the folder above it is gone
        (delete("in/a.txt"), move("in", "out")),  # a folder that moves whole holds something else
        (create("b.txt"), move("in/a.txt", "b.txt")),  # its place is taken
        (replace("in/a.txt"), copy("in/a.txt", "b.txt")),  # what would be copied is another file
        (create("in/c.txt"), copy("in", "again")),
        (delete("in/a.txt"), replace("in/a.txt")),
    ],
)
def test_whatever_a_plan_counted_on_is_looked_at(office: Office, run: dict[str, object], waits: dict[str, object]):
    office.put("Smith/in/a.txt", "a")
    office.put("Smith/in/b.txt", "b")
    done, waiting = office.approved(run), office.approved(waits)
    office.gate.apply(done)
    assert office.gate.plan(waiting).state == "stale"
    with pytest.raises(TreegateError):
        office.gate.apply(waiting)


def test_a_plan_is_looked_at_and_found_well(office: Office):
    """It goes into the folder that the run went into; nothing it counted on has changed."""
    office.put("Smith/a.txt", "a")
    office.put("Smith/b.txt", "b")
    office.put("Smith/in/c.txt", "c")
    done, waiting = office.approved(move("a.txt", "in/a.txt")), office.approved(move("b.txt", "in/b.txt"))
    office.gate.apply(done)
    assert office.gate.apply(waiting).state == "applied"


def test_the_end_and_what_it_upset_are_one_transaction(office: Office):
    """Nobody ever sees the one without the other: not a reader in between, and not after a crash."""
    office.put("Smith/a.txt", "a")
    first, second = office.approved(move("a.txt", "x.txt")), office.approved(move("a.txt", "y.txt"))
    seen: list[tuple[str, str]] = []
    told = office.gate.core.store.told

    def look(touched: object) -> None:
        other = office.open()
        seen.append((other.plan(first).state, other.plan(second).state))
        told(touched)

    office.gate.core.store.told = look
    office.gate.apply(first)
    assert ("applied", "approved") not in seen
    assert ("applied", "stale") in seen


def test_a_run_that_a_crash_cut_off_upsets_no_less(office: Office):
    office.put("Smith/a.txt", "a")
    first, second = office.approved(move("a.txt", "x.txt")), office.approved(move("a.txt", "y.txt"))
    office.crash(lambda gate: gate.apply(first), (ending, "_end_applied", die))
    assert office.reopen().plan(second).state == "approved"
    office.gate.recover()
    assert (office.gate.plan(first).state, office.gate.plan(second).state) == ("applied", "stale")
    office.sound()


def test_a_plan_that_waits_for_its_run_is_stale_as_well(office: Office):
    """So that the door at which it was asked for makes no difference; its run then finds it so."""
    office.put("Smith/a.txt", "a")
    first, second = office.approved(move("a.txt", "x.txt")), office.approved(move("a.txt", "y.txt"))
    asked = office.gate.ask(second)
    office.gate.apply(first)
    assert office.gate.plan(second).state == "stale"
    with pytest.raises(Stale):
        office.gate.carry_out(asked.run)
    with pytest.raises(Stale):
        office.gate.outcome(asked.run)


def test_an_undo_upsets_too(office: Office):
    office.put("Smith/a.txt", "a")
    run = office.carried_out(move("a.txt", "x.txt")).run
    waiting = office.approved(move("x.txt", "y.txt"))
    office.undone(run)
    assert office.gate.plan(waiting).state == "stale"


def test_a_plan_of_more_cases_is_looked_at_as_well(office: Office):
    """Unless somebody is at work there: then its own run finds it out, and nobody waits."""
    office.put("Smith/a.txt", "a")
    office.put("Smith/b.txt", "b")
    first, second = office.approved(move("a.txt", "x.txt")), office.approved(move("b.txt", "z.txt"))
    both = office.approved(move("Smith/a.txt", "Jones/a.txt"), case=None)
    also = office.approved(move("Smith/b.txt", "Jones/b.txt"), case=None)
    office.gate.apply(first)
    assert office.gate.plan(both).state == "stale"
    with office.gate.core.locked(["Jones"]):
        office.gate.apply(second)
    assert office.gate.plan(also).state == "approved"
    with pytest.raises(Stale):
        office.gate.apply(also)


def test_a_run_that_touches_nothing_alike_looks_at_no_plan(office: Office, monkeypatch: pytest.MonkeyPatch):
    """However many wait in its case."""
    office.put("Smith/a.txt", "a")
    office.put("Smith/b.txt", "b")
    first, second = office.approved(move("a.txt", "x.txt")), office.approved(move("b.txt", "y.txt"))
    monkeypatch.setattr(affected, "_why", None)
    office.gate.apply(first)
    assert office.gate.plan(second).state == "approved"
