"""Retention: the vault list says what will go and when, prune takes exactly that, and never what something names."""

from __future__ import annotations

import pytest
from gatework import DAY, delete, dies_after, move, replace

from treegate.engine.carry import Carrier
from treegate.errors import Denied
from treegate.model.lifecycle import State


def deleted(office, path, size):
    """The run that deleted a file of so many bytes; a minute passes."""
    office.put(path, "x" * size)
    case, _, name = path.partition("/")
    run = office.carried_out(delete(name), case=case).run
    office.clock.now += 60_000
    return run


def said(office):
    """What the list says of each path: when it goes (relative to now), whether it is due, why, and what names it."""
    now = office.clock.now
    return {
        one.path: (None if one.goes_at is None else one.goes_at - now, one.due, one.because.value, one.named_by)
        for one in office.gate.list_vault()
    }


def pruned_as_listed(office):
    """Prunes; what went is exactly what the list said was due."""
    due = [one.path for one in office.gate.list_vault() if one.due]
    assert [one.path for one in office.gate.prune(dry=True).entries] == due
    gone = [one.path for one in office.gate.prune().entries]
    assert gone == due
    assert not any(one.due for one in office.gate.list_vault())
    return gone


def test_each_case_keeps_its_newest(office):
    """`vault.case_max_size` takes the oldest of the one case that has too much."""
    office.configure(vault_case_max_size="10 B")
    for path, size in (("Smith/a", 6), ("Jones/b", 9), ("Smith/c", 6), ("Smith/d", 4)):
        deleted(office, path, size)
    listed = said(office)
    assert listed["Smith/a"] == (0, True, "case-size", "")
    assert {path for path, (_, due, _, _) in listed.items() if due} == {"Smith/a"}
    assert pruned_as_listed(office) == ["Smith/a"]


def test_the_limit_on_all_comes_after_those_of_the_cases(office):
    """What a case gave up counts for the whole vault as well."""
    office.configure(vault_case_max_size="10 B", vault_max_size="12 B")
    for path, size in (("Jones/b", 5), ("Smith/a", 6), ("Smith/c", 6), ("Smith/d", 4)):
        deleted(office, path, size)
    assert {path: because for path, (_, due, because, _) in said(office).items() if due} == {
        "Smith/a": "case-size",
        "Jones/b": "size",
    }
    assert pruned_as_listed(office) == ["Jones/b", "Smith/a"]
    office.sound()


def test_the_oldest_is_told_by_the_order_of_runs_not_by_the_clock(office):
    """A run that was made while the clock was behind is no older for it."""
    first = deleted(office, "Smith/a", 6)
    office.clock.now -= 30 * DAY
    deleted(office, "Smith/c", 6)
    office.clock.now += 30 * DAY
    office.configure(vault_max_size="6 B")
    assert [one.run for one in office.gate.prune().entries] == [first]


def test_the_list_says_on_which_day_an_entry_goes(office):
    """And on that day it goes."""
    deleted(office, "Smith/a", 1)
    (kept,) = office.gate.list_vault()
    assert said(office) == {"Smith/a": (kept.until - office.clock.now, False, "age", "")}
    assert pruned_as_listed(office) == []
    office.clock.now = kept.until
    assert said(office) == {"Smith/a": (0, True, "age", "")}
    assert pruned_as_listed(office) == ["Smith/a"]


def test_what_is_kept_for_good_is_listed_so(office):
    office.configure(vault_keep="forever")
    deleted(office, "Smith/a", 1)
    office.clock.now += 10_000 * DAY
    assert said(office) == {"Smith/a": (None, False, "forever", "")}
    assert pruned_as_listed(office) == []


def test_an_undo_that_waits_names_all_that_it_would_bring_back(office):
    """Deleted and replaced files, and a replaced file that moved; from its submission until it is withdrawn."""
    for name in ("gone", "text", "moved"):
        office.put(f"Smith/{name}", name)
    office.put("Smith/folder/deep", "deep")
    steps = (
        replace("text"),
        replace("moved"),
        move("moved", "there"),
        delete("gone"),
        delete("folder", recursive=True),
    )
    run = office.carried_out(*steps).run
    undo = office.gate.undo(run).submitted
    office.clock.now += 1_000 * DAY
    assert len(said(office)) == 4
    assert set(said(office).values()) == {(None, False, "plan", undo.id)}
    assert pruned_as_listed(office) == []
    office.gate.approve(undo.id, undo.digest)
    office.gate.apply(undo.id)
    assert {name: office.path(f"Smith/{name}").read_text() for name in ("gone", "text", "moved")} == {
        name: name for name in ("gone", "text", "moved")
    }


def test_a_rejected_plan_names_nothing(office):
    run = deleted(office, "Smith/a", 1)
    undo = office.gate.undo(run).submitted
    office.gate.reject(undo.id, undo.digest, "keep it gone")
    office.clock.now += 1_000 * DAY
    assert pruned_as_listed(office) == ["Smith/a"]


def test_while_an_undo_is_unfinished_what_it_takes_out_stays(office):
    """Neither age nor size takes it, and the recovered run finds it."""
    office.put("Smith/a", "a")
    office.put("Smith/b", "b")
    run = office.carried_out(delete("a"), delete("b")).run
    undo = office.gate.undo(run).submitted
    office.gate.approve(undo.id, undo.digest)
    office.crash(lambda gate: gate.apply(undo.id), (Carrier, "carry", dies_after(Carrier.carry)))
    office.configure(vault_max_size="0 B")
    office.clock.now += 1_000 * DAY
    assert {named for _, _, _, named in said(office).values()} == {undo.id}
    assert pruned_as_listed(office) == []
    office.gate.recover()
    assert office.path("Smith/a").read_text() + office.path("Smith/b").read_text() == "ab"


def test_what_a_plan_comes_to_name_before_it_is_let_go_stays(office, monkeypatch):
    """Between the list and the deed somebody submits a restore: the deed looks again."""
    run = deleted(office, "Smith/a", 1)
    office.clock.now += 1_000 * DAY
    gate, other = office.gate, office.open()
    real = gate.core.locked

    def late(*args, **named):
        if other.list_plans([State.PENDING])[0] == []:
            other.restore(run)
        return real(*args, **named)

    monkeypatch.setattr(gate.core, "locked", late)
    assert gate.prune().entries == []
    assert [one.path for one in gate.list_vault()] == ["Smith/a"]
    office.sound()


def test_a_clock_that_went_back_lets_nothing_go_by_age(office):
    """It is earlier than what is on record, so nobody knows what is past its time; size still counts."""
    deleted(office, "Smith/a", 4)
    office.clock.now += 200 * DAY
    deleted(office, "Smith/b", 4)
    office.clock.now -= 50 * DAY
    assert {path: because for path, (_, _, because, _) in said(office).items()} == {
        "Smith/a": "clock",
        "Smith/b": "age",
    }
    for dry in (True, False):
        with pytest.raises(Denied) as refused:
            office.gate.prune(dry=dry)
        assert refused.value.code == "clock-went-back"
    assert [one.path for one in office.gate.prune(trust_clock=True).entries] == ["Smith/a"]


def test_a_clock_that_went_back_hinders_nothing_where_nothing_goes_by_age(office):
    deleted(office, "Smith/a", 4)
    office.clock.now -= 5 * DAY
    assert office.gate.prune().entries == []
    office.configure(vault_max_size="0 B")
    assert [one.path for one in office.gate.prune().entries] == ["Smith/a"]
