"""Scope: whoever has a token for some cases sees, looks up, tends and hands on nothing of the others."""

from __future__ import annotations

from itertools import count

import pytest
from gatework import DAY, Office, delete, die, move

from treegate.engine.course import Course
from treegate.errors import Denied, NotFound, UsageError
from treegate.gate import Gate, waiting
from treegate.model.actors import Role

SECRET = "JONES-SECRET"


@pytest.fixture
def firm(office: Office) -> Office:
    """An office whose owner approves alone; files in both cases."""
    for case in ("Smith", "Jones"):
        for number in range(3):
            office.put(f"{case}/scan{number}.pdf", f"{case} {number}")
    return office


@pytest.fixture
def ann(firm: Office) -> Gate:
    return firm.person("ann", Role.AUTHOR, cases=["Smith"])


@pytest.fixture
def oz(firm: Office) -> Gate:
    return firm.person("oz", Role.OPERATOR, cases=["Smith"])


@pytest.fixture
def sue(firm: Office) -> Gate:
    """An admin of one case."""
    return firm.person("sue", Role.ADMIN, cases=["Smith"])


def crossing(firm: Office) -> str:
    """The run that took a scan of Smith's to Jones, under a telling title."""
    done = firm.carried_out(move("Smith/scan0.pdf", f"Jones/{SECRET}.pdf"), case=None, title=SECRET)
    return done.run


def code(kind: type[Exception], act, *args, **more) -> str:
    with pytest.raises(kind) as refused:
        act(*args, **more)
    assert SECRET not in str(refused.value)
    return refused.value.code


# --- ids -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("look", ["applied", "run_record", "progress", "outcome", "recover", "undo", "restore"])
def test_a_run_of_another_case_is_not_there(firm, oz, look):
    """By its id, by the beginning of it, and by one that there is not: the same answer."""
    run = firm.carried_out(delete("scan0.pdf"), case="Jones", title=SECRET).run
    said = set()
    for id in (run, run[:8], "run_zzzzzzzz"):
        with pytest.raises(NotFound) as refused:
            getattr(oz, look)(id)
        said.add((refused.value.code, refused.value.message.replace(id, "X"), refused.value.hint, refused.value.next))
    assert {one[0] for one in said} == {"run-not-found"}
    assert len(said) == 1


LOOKS = ["show", "plan", "document", "explain", "wait", "waiting_for", "asked", "folders", "overlaps", "apply"]
LOOKS += ["ask", "refresh", "withdraw", "events_of", "since_approved", "since_seen", "sample", "survivors", "undo"]


@pytest.mark.parametrize("look", LOOKS)
def test_a_plan_of_another_case_is_not_there(firm, oz, look):
    """What one may not see is not told to exist: a full id, its beginning, and none are answered alike."""
    made = firm.submit(delete("scan0.pdf"), case="Jones", title=SECRET)
    more = {"wait": ("decided", 0)}.get(look, ())
    for id in (made.id, made.id[:8], "pl_zzzzzzzz"):
        assert code(NotFound, getattr(oz, look), id, *more) == "plan-not-found"


def test_a_job_of_another_case_is_not_there(firm, ann):
    """A run that was asked for has an id before it begins."""
    job = firm.gate.ask(firm.approved(delete("scan0.pdf"), case="Jones"))
    for look in (ann.progress, ann.run_record, ann.outcome):
        assert code(NotFound, look, job.run) == "run-not-found"


def test_a_prefix_is_looked_up_among_what_one_sees(firm, ann, monkeypatch):
    """What is ambiguous to others is not to whoever sees one of them; and no foreign id is listed."""
    numbers = count(100)
    monkeypatch.setattr(firm.gate.core, "new_id", lambda prefix: f"{prefix}_abc{next(numbers)}")
    for _ in range(2):
        firm.submit(delete("scan0.pdf"), case="Jones")
    mine = firm.submit(delete("scan0.pdf"), case="Smith").id
    assert ann.plan("pl_abc").id == mine
    firm.submit(delete("scan1.pdf"), case="Smith")
    with pytest.raises(UsageError) as refused:
        ann.plan("pl_abc")
    assert refused.value.code == "ambiguous-id"
    theirs = {one.id for one in firm.gate.list_plans(case="Jones")[0]}
    assert not any(id in refused.value.message for id in theirs)


# --- looking after the workspace -------------------------------------------------------------------------------


def test_recovering_settles_only_runs_of_ones_own_cases(firm, oz):
    """A run of Jones' that was stopped midway stays as it is."""
    id = firm.approved(move("scan0.pdf", "a.pdf"), case="Jones")
    firm.crash(lambda gate: gate.apply(id), (Course, "end", die))
    (run,) = firm.gate.core.store.unfinished()
    assert oz.recover() == []
    assert code(NotFound, oz.recover, run.id) == "run-not-found"
    assert firm.gate.core.store.unfinished() == [run]
    assert [one.run for one in firm.gate.recover()] == [run.id]


def test_pruning_lets_go_only_of_ones_own_cases(firm, oz):
    """Neither listed nor removed: another case's entries; and what is of no case is left to whoever sees all."""
    for case in ("Smith", "Jones"):
        firm.carried_out(delete("scan0.pdf"), case=case)
    firm.clock.now += 100 * DAY
    assert {one.case for one in oz.prune(dry=True).entries} == {"Smith"}
    gone = oz.prune()
    assert ({one.case for one in gone.entries}, gone.leftovers.files, gone.leftovers.folders) == ({"Smith"}, [], [])
    assert [one.case for one in firm.gate.list_vault()] == ["Jones"]


def test_what_speaks_of_every_case_is_for_those_who_see_them_all(sue):
    """The doctor, fsck, the settings, the key, the export: refused by scope, whatever the role."""
    for act in (sue.doctor, sue.fsck, sue.settings, sue.checkpoint, sue.rekey, sue.export_audit, sue.pause):
        assert code(Denied, act) == "case-not-allowed"


def test_pausing_tells_of_no_other_cases_pause(firm, oz):
    """Nor, where a name is wrong, how other cases are called."""
    firm.gate.pause("Jones", SECRET)
    assert [one.case for one in oz.pause("Smith")] == ["Smith"]
    assert oz.resume("Smith") == []
    assert code(Denied, oz.pause, "Jones") == code(Denied, oz.pause, "Nobody") == "case-not-allowed"


# --- tokens ----------------------------------------------------------------------------------------------------


def test_an_admin_of_one_case_makes_tokens_for_no_other(firm, sue):
    """Nor for all of them: that would be more than they have."""
    for cases in (None, ["Jones"], ["Smith", "Jones"]):
        assert code(Denied, sue.create_token, "eve", Role.ADMIN, cases) == "case-not-allowed"
    made, _ = sue.create_token("kim", Role.AUTHOR, ["Smith"])
    firm.token("joe", Role.AUTHOR, cases=["Jones"])
    firm.token("all", Role.AUTHOR)
    assert {one.name for one in sue.list_tokens()} == {"sue", "kim"}
    for name in ("joe", "all", "nobody"):
        assert code(NotFound, sue.revoke_token, name) == "token-not-found"
    assert sue.revoke_token("kim").id == made.id
    assert len(firm.gate.list_tokens()) == 4


def test_by_a_name_an_admin_of_one_case_ends_their_own_token_only(firm, sue):
    """A name that was theirs may be another's by now."""
    sue.create_token("kim", Role.AUTHOR, ["Smith"])
    sue.revoke_token("kim")
    firm.token("kim", Role.AUTHOR, cases=["Jones"])
    sue.revoke_token("kim")
    assert [one.revoked_at is None for one in firm.gate.list_tokens() if one.name == "kim"] == [False, True]


@pytest.mark.parametrize("name", ["", "  ", "a\0b", "a\nb", "a\u202eb", "\ud800", "x" * 201])
def test_a_token_has_a_name_that_can_be_read(firm, name):
    assert code(UsageError, firm.gate.create_token, name, Role.AUTHOR) == "token-name"


def test_a_name_may_be_long_and_foreign(firm):
    assert firm.gate.create_token("Ümit " + "x" * 195, Role.AUTHOR)[0].name.startswith("Ümit")


# --- what is told ----------------------------------------------------------------------------------------------


def test_the_life_of_a_file_does_not_tell_what_happened_elsewhere(firm, ann):
    """Where a file of Smith's went to Jones: neither where to, nor under what title, nor what became of it there."""
    crossing(firm)
    firm.carried_out(delete(f"{SECRET}.pdf"), case="Jones", title=SECRET)
    (told,) = ann.history("Smith/scan0.pdf")
    assert SECRET not in str(told)
    assert told.kept is None
    assert {one.title for one in told.happened} == {"(another case)"}
    (whole,) = firm.gate.history("Smith/scan0.pdf")
    assert {one.title for one in whole.happened} == {SECRET}
    assert whole.kept is not None


def test_the_status_of_one_case_is_whole_whatever_waits_elsewhere(firm, ann, monkeypatch):
    """Plans of others neither push one's own off the list nor are counted."""
    monkeypatch.setattr(waiting, "MOST_LISTED", 2)
    mine = [firm.submit(delete(f"scan{number}.pdf")).id for number in range(2)]
    for number in range(3):
        firm.submit(delete(f"scan{number}.pdf"), case="Jones")
    status = ann.status()
    assert ([one.plan.id for one in status.waiting], status.more) == (mine, 0)
    third = firm.submit(delete("scan2.pdf")).id
    status = ann.status()
    assert ([one.plan.id for one in status.waiting], status.more) == ([mine[1], third], 1)


def test_the_vault_names_no_plan_that_one_may_not_see(firm, ann):
    """That an entry stays is told, and that it is for another case; one's own plan is named."""
    run = firm.carried_out(delete("scan0.pdf"), case="Smith").run
    theirs = firm.submit({"op": "restore", "run": run, "entry": 0, "to": "Jones/x.pdf"}, case=None)
    assert theirs.state == "pending", theirs.problems
    (held,) = ann.list_vault()
    assert (held.named_by, held.because, held.due) == ("(another case)", "plan", False)
    firm.gate.withdraw(theirs.id)
    mine = firm.gate.restore(run)
    (held,) = ann.list_vault()
    assert held.named_by == mine.id


def test_undo_of_the_last_run_is_of_the_last_that_one_sees(firm, ann):
    """Not refused because somebody else did something since."""
    assert code(NotFound, ann.undo) == "no-run"
    run = firm.carried_out(delete("scan0.pdf"), case="Smith").run
    firm.carried_out(delete("scan0.pdf"), case="Jones")
    assert ann.undo().run == run


def test_the_runs_of_a_plan_that_one_may_not_see_are_not_listed(firm, ann):
    made = firm.approved(delete("scan0.pdf"), case="Jones")
    firm.gate.apply(made)
    assert ann.list_runs() == []
    assert code(NotFound, ann.page_runs, plan=made) == "plan-not-found"


def test_a_reduction_by_nothing_is_refused(firm):
    """It would be a new revision, without its approvals, that says the same."""
    made = firm.submit(delete("scan0.pdf"), delete("scan1.pdf"))
    assert code(UsageError, firm.gate.reduce, made.id, []) == "nothing-left-out"
    assert firm.gate.plan(made.id).revision == 1
