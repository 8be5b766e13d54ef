"""Reviewing: plans revised, refreshed, reduced, sent back, taken back, waited for, paused."""

from __future__ import annotations

import json
import threading
import time

import pytest
from gatework import Office, copy, create, delete, move, plan, replace

from treegate.errors import Busy, Denied, NotFound, PlanError, Rejected, Stale, TreegateError, Waiting
from treegate.gate import Gate
from treegate.model.actors import Role


def refused(kind: type[TreegateError], code: str, act, *args, **named) -> TreegateError:
    with pytest.raises(kind) as caught:
        act(*args, **named)
    assert caught.value.code == code
    return caught.value


def tree(office: Office) -> set[str]:
    root = office.root / "projects"
    return {
        str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() and ".treegate" not in path.parts
    }


@pytest.fixture
def people(firm: Office) -> tuple[Gate, Gate, Gate]:
    """An author and two reviewers."""
    firm.put("Smith/a", "a")
    firm.put("Smith/b", "b")
    return (
        firm.person("bot", Role.AUTHOR), firm.person("ann", Role.REVIEWER), firm.person("ben", Role.REVIEWER)
    )  # fmt: skip


# --- revisions -------------------------------------------------------------------------------------------------


def test_a_revision_keeps_the_id_and_starts_undecided(firm, people):
    bot, ann, _ = people
    done = bot.submit(plan(move("a", "c")))
    ann.request_changes(done.id, done.digest, "call it d")
    again = bot.revise(done.id, plan(move("a", "d")))
    assert (again.id, again.revision, again.state) == (done.id, 2, "pending")
    refused(Stale, "digest-not-current", ann.approve, done.id, done.digest)
    assert ann.approve(done.id, again.digest).state == "approved"


def test_only_its_author_changes_a_plan_or_takes_it_back(firm, people):
    """Another author may not; a reviewer who revises it may no longer approve it."""
    bot, ann, ben = people
    other = firm.person("other", Role.AUTHOR)
    done = bot.submit(plan(move("a", "c")))
    refused(Denied, "not-your-plan", other.revise, done.id, plan(move("a", "x")))
    refused(Denied, "not-your-plan", other.withdraw, done.id)
    refused(Denied, "not-your-plan", ann.withdraw, done.id)
    again = ann.revise(done.id, plan(move("a", "d")))
    refused(Denied, "own-plan", ann.approve, done.id, again.digest)
    refused(Denied, "role-not-allowed", bot.approve, done.id, again.digest)
    assert ben.approve(done.id, again.digest).state == "approved"


def test_two_who_revise_at_once_do_not_overwrite_each_other(firm, people):
    bot, _, _ = people
    done = bot.submit(plan(move("a", "c")))
    bot.revise(done.id, plan(move("a", "d")), expected=1)
    refused(Stale, "revision-not-current", bot.revise, done.id, plan(move("a", "e")), expected=1)


def test_a_rejected_digest_does_not_come_back_by_a_revision(firm, people):
    """Another content does."""
    bot, ann, _ = people
    done = bot.submit(plan(move("a", "c")))
    ann.reject(done.id, done.digest, "not a")
    refused(Rejected, "already-rejected", bot.revise, done.id, plan(move("a", "c")))
    assert bot.plan(done.id).state == "rejected"
    assert bot.revise(done.id, plan(move("b", "c"))).state == "pending"


def test_a_withdrawn_plan_is_over(firm, people):
    bot, ann, _ = people
    done = bot.submit(plan(move("a", "c")))
    assert bot.withdraw(done.id, "no longer needed").state == "withdrawn"
    for act in (lambda: ann.approve(done.id, done.digest), lambda: bot.refresh(done.id), lambda: ann.apply(done.id)):
        refused(Denied, "withdrawn", act)


def test_a_draft_is_previewed_when_it_is_refreshed(firm, people):
    bot, ann, _ = people
    done = bot.submit(plan(move("a", "c")), draft=True)
    assert (done.state, done.digest) == ("draft", "")
    refused(TreegateError, "not-previewed", ann.approve, done.id, "0" * 12)
    again = bot.refresh(done.id)
    assert (again.state, again.revision) == ("pending", 1)
    assert ann.approve(done.id, again.digest).state == "approved"


# --- refresh and diff ------------------------------------------------------------------------------------------


def test_a_stale_plan_is_refreshed_and_shows_what_changed_since_it_was_approved(office):
    office.put("Smith/in/1.pdf", "1")
    office.put("Smith/in/2.pdf", "2")
    id = office.approved({"op": "move", "match": "in/*.pdf", "to": "out/"})
    office.put("Smith/in/3.pdf", "3")
    office.put("Smith/in/1.pdf", "edited")
    found = office.gate.diff(id)
    assert [effect.source for effect in found.effects.came] == ["Smith/in/3.pdf"]
    assert {str(one.path) for one in found.moved_on} == {"Smith/in/1.pdf"}
    refused(Stale, "stale", office.gate.apply, id)
    done = office.gate.refresh(id)
    assert (done.id, done.state) == (id, "pending")
    since = office.gate.since_approved(id)
    assert [effect.source for effect in since.effects.came] == ["Smith/in/3.pdf"]
    assert [(pair.was.size, pair.now.size) for pair in since.effects.changed] == [(1, 6)]
    office.gate.approve(id, done.digest)
    office.gate.apply(id)
    assert tree(office) == {"Smith/out/1.pdf", "Smith/out/2.pdf", "Smith/out/3.pdf"}


def test_refreshing_what_still_stands_changes_nothing(office):
    """The approval stands, too."""
    office.put("Smith/a", "a")
    id = office.approved(move("a", "b"))
    digest = office.gate.plan(id).digest
    assert office.gate.refresh(id).state == "approved"
    assert office.gate.plan(id).digest == digest
    assert office.gate.since_approved(id) is None


def test_an_expired_approval_is_refreshed_and_given_anew(office):
    office.put("Smith/a", "a")
    id = office.approved(move("a", "b"))
    office.clock.now += 73 * 3_600_000
    assert office.gate.status().waiting[0].plan.state == "expired"
    done = office.gate.refresh(id)
    assert done.state == "pending"
    office.gate.approve(id, done.digest)
    assert office.gate.apply(id).state == "applied"


def test_revisions_are_compared_with_each_other(office):
    """What is gone, what came, what goes elsewhere now; what stayed is counted."""
    for name in "abcd":
        office.put(f"Smith/{name}", name)
    done = office.submit(move("a", "x/a"), move("b", "x/b"), delete("c"))
    office.gate.revise(done.id, plan(move("a", "x/a"), move("b", "y/b"), create("new")))
    found = office.gate.diff(done.id, 1)
    assert [(pair.was.path, pair.now.path) for pair in found.effects.changed] == [("Smith/x/b", "Smith/y/b")]
    assert [effect.path for effect in found.effects.gone] == ["Smith/c"]
    assert {effect.path for effect in found.effects.came} == {"Smith/new", "Smith/y"}
    assert found.effects.same == 2  # the folder x, and a
    assert not found.same
    assert office.gate.diff(done.id, 2).same
    refused(NotFound, "revision-not-found", office.gate.diff, done.id, 7)


# --- partial approval ------------------------------------------------------------------------------------------


def test_a_pattern_is_left_out_with_what_depends_on_it(firm, people):
    """What falls with it is told first; the rest keeps its reasons, and stays its author's."""
    bot, ann, _ = people
    firm.put("Smith/in/1.pdf", "1")
    firm.put("Smith/in/2.pdf", "2")
    done = bot.submit(plan(
        {"op": "move", "match": "in/*.pdf", "to": "out/", "why": "sorted"},
        create("out/INDEX.md"),
        move("a", "c", why="typo"),
    ))  # fmt: skip
    preview = ann.show(done.id).preview
    made = next(pattern for pattern in preview.patterns if pattern.effect == "made")
    found = ann.reduction(done.id, [made.id])
    assert {effect.path for effect in found.left_out} == {"Smith/out"}
    assert {one.effect.path for one in found.falls} == {"Smith/out/1.pdf", "Smith/out/2.pdf", "Smith/out/INDEX.md"}
    assert ann.plan(done.id).revision == 1
    again = ann.reduce(done.id, [made.id], done.digest)
    assert (again.revision, again.state) == (2, "pending")
    assert [operation.why for operation in ann.document(done.id).operations] == ["typo"]
    assert ann.approve(done.id, again.digest).state == "approved"
    ann.apply(done.id)
    assert tree(firm) == {"Smith/b", "Smith/c", "Smith/in/1.pdf", "Smith/in/2.pdf"}


def test_of_a_swap_both_are_left_out(office):
    """One alone would not be what was previewed."""
    office.put("Smith/a", "a")
    office.put("Smith/b", "b")
    office.put("Smith/c", "c")
    done = office.submit(move("a", "t"), move("b", "a"), move("t", "b"), move("c", "d"))
    effects = {effect.path: effect.id for effect in office.gate.effects(done.id)}
    found = office.gate.reduction(done.id, [effects["Smith/a"]])
    assert [one.effect.path for one in found.falls] == ["Smith/b"]
    again = office.gate.reduce(done.id, [effects["Smith/a"]])
    assert [effect.path for effect in office.gate.effects(done.id)] == ["Smith/d"]
    assert again.state == "pending"


@pytest.mark.parametrize("kind", ["replaced", "copied", "deleted", "created", "made"])
def test_any_one_effect_may_be_left_out_and_nothing_else_changes(office, kind):
    """What remains is the rest of the preview, effect by effect."""
    office.put("Smith/old/x", "x")
    office.put("Smith/b", "b")
    done = office.submit(
        copy("b", "copy"), replace("b", "other"), delete("old/x"), create("new"), {"op": "mkdir", "path": "folder"}
    )
    before = {(effect.effect, effect.path) for effect in office.gate.effects(done.id)}
    (left,) = [effect for effect in office.gate.effects(done.id) if effect.effect == kind]
    office.gate.reduce(done.id, [left.id])
    after = {(effect.effect, effect.path) for effect in office.gate.effects(done.id)}
    assert after == before - {(kind, left.path)}


def test_what_cannot_be_reduced_says_so(office):
    office.put("Smith/a", "a")
    done = office.submit(move("a", "b"))
    refused(PlanError, "nothing-remains", office.gate.reduce, done.id, ["e1"])
    for unknown in ("e2", "e0", "p9", "x", "e", "e99999999999999999999"):
        refused(NotFound, "no-such-effect", office.gate.reduce, done.id, [unknown])
    refused(Stale, "digest-not-current", office.gate.reduce, done.id, ["e1"], "0" * 64)
    office.gate.approve(done.id, done.digest)
    run = office.gate.apply(done.id).run
    refused(Denied, "already-applied", office.gate.reduce, done.id, ["e1"])
    undo = office.gate.undo(run).submitted
    refused(Denied, "undo-plan", office.gate.reduce, undo.id, ["e1"])
    refused(Denied, "undo-plan", office.gate.revise, undo.id, plan(move("b", "z")))


# --- deciding at once ------------------------------------------------------------------------------------------


def test_reviewers_who_decide_at_once_each_count_once(firm, people):
    """A rejection wins over any number of approvals that come at the same time."""
    bot, _, _ = people
    done = bot.submit(plan(move("a", "c")))
    gates = [firm.person(f"r{n}", Role.REVIEWER) for n in range(6)]
    wrong: list[Exception] = []

    def decide(gate: Gate, number: int) -> None:
        try:
            if number == 3:
                gate.reject(done.id, done.digest, "no")
            else:
                gate.approve(done.id, done.digest)
        except TreegateError as error:
            wrong.append(error)

    threads = [threading.Thread(target=decide, args=(gate, number)) for number, gate in enumerate(gates)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert bot.plan(done.id).state == "rejected"
    assert all(isinstance(error, Rejected) for error in wrong)
    refused(Rejected, "already-rejected", gates[0].apply, done.id)


def test_an_approval_is_taken_back_until_the_run_begins(firm, people):
    bot, ann, ben = people
    firm.configure(policy_apply_on_approval="false")
    done = bot.submit(plan(move("a", "c")))
    ann.approve(done.id, done.digest)
    refused(Denied, "nothing-to-revoke", ben.revoke, done.id, done.digest)
    assert ann.revoke(done.id, done.digest, "wait").state == "pending"
    refused(Denied, "not-approved", ann.apply, done.id)
    ben.approve(done.id, done.digest)
    ben.apply(done.id)
    refused(TreegateError, "already-applied", ben.revoke, done.id, done.digest)


# --- status, wait, pause ---------------------------------------------------------------------------------------


def test_status_tells_each_whose_turn_it_is(firm, people):
    bot, ann, _ = people
    pending = bot.submit(plan(move("a", "c")))
    broken = bot.submit(plan(move("nothing", "c")))
    mine = {item.plan.id for item in ann.status().waiting if item.mine}
    assert mine == {pending.id}
    assert {item.plan.id for item in bot.status().waiting if item.mine} == {broken.id}
    ann.approve(pending.id, pending.digest)
    assert [item.plan.state for item in ann.status().waiting if item.mine] == ["approved"]


def test_waiting_ends_with_the_decision_or_when_the_time_is_up(firm, people):
    bot, ann, _ = people
    done = bot.submit(plan(move("a", "c")))
    refused(Waiting, "still-waiting", bot.wait, done.id, "decided", 0.05)
    thread = threading.Thread(target=lambda: (time.sleep(0.2), ann.approve(done.id, done.digest)))
    thread.start()
    assert bot.wait(done.id, "decided", 20).state == "approved"
    thread.join()
    ann.apply(done.id)
    assert bot.wait(done.id, "applied", 0).state == "applied"
    other = bot.submit(plan(move("b", "d")))
    ann.reject(other.id, other.digest, "no")
    refused(Rejected, "already-rejected", bot.wait, other.id, "decided", 20)


def test_no_run_begins_on_what_is_paused(office):
    """A case, or all of it; plans are still handed in and decided on, and a run that was made is still told."""
    office.put("Smith/a", "a")
    office.put("Jones/a", "a")
    smith, jones = office.approved(move("a", "b")), office.approved(move("a", "b"), case="Jones")
    assert [one.case for one in office.gate.pause("Smith", "moving offices")] == ["Smith"]
    said = refused(Busy, "paused", office.gate.apply, smith)
    assert "moving offices" in said.message
    assert office.gate.apply(jones).state == "applied"
    office.gate.pause()
    assert office.gate.resume("Smith")[0].case == ""
    refused(Busy, "paused", office.gate.apply, smith)
    assert office.gate.apply(jones).state == "applied"  # it was: nothing begins
    later = office.approved(move("a", "c"))
    assert office.gate.plan(later).state == "approved"
    assert office.gate.resume() == []
    assert office.gate.apply(smith).state == "applied"
    assert office.gate.plan(later).state == "stale"  # it would have moved the same file


def test_a_pause_that_comes_while_a_run_waits_for_its_lock_holds_it(office, monkeypatch):
    """It is asked again in the transaction that begins the run."""
    from treegate.gate import runs

    office.put("Smith/a", "a")
    id = office.approved(move("a", "b"))
    real = runs.skipping.reduced
    monkeypatch.setattr(runs.skipping, "reduced", lambda *args: (office.open().pause(), real(*args))[1])
    refused(Busy, "paused", office.gate.apply, id)
    assert office.gate.plan(id).state == "approved"
    assert tree(office) == {"Smith/a"}


def test_nothing_is_let_go_of_what_is_paused(office):
    """The vault of a paused case waits, too; to look at what would go is free."""
    office.put("Smith/a", "a")
    office.carried_out(delete("a"))
    office.clock.now += 100 * 24 * 3_600_000
    office.gate.pause("Smith")
    assert len(office.gate.prune(dry=True).entries) == 1
    refused(Busy, "paused", office.gate.prune)
    office.gate.resume("Smith")
    assert len(office.gate.prune().entries) == 1


def test_pausing_is_for_operators_and_cases_that_there_are(firm, people):
    bot, ann, _ = people
    refused(Denied, "role-not-allowed", bot.pause)
    refused(Denied, "role-not-allowed", ann.resume)
    near = refused(NotFound, "case-not-found", firm.gate.pause, "Smth")
    assert "Smith" in near.hint
    only = firm.person("olga", Role.OPERATOR, cases=["Smith"])
    refused(Denied, "case-not-allowed", only.pause)
    assert [one.case for one in only.pause("Smith")] == ["Smith"]


# --- looking into files ----------------------------------------------------------------------------------------


def test_the_text_of_a_replaced_file_is_shown_line_by_line(office):
    office.put("Smith/notes.txt", "one\ntwo\nthree\n")
    office.put("Smith/bin", b"\0\1")
    office.put("Smith/gone.txt", "bye\n")
    done = office.submit(
        replace("notes.txt", "one\n2\nthree\n"), replace("bin", "text"), delete("gone.txt"), create("new.txt", "hi\n")
    )
    shown = {effect.path: office.gate.text_difference(done.id, effect.id) for effect in office.gate.effects(done.id)}
    notes = shown["Smith/notes.txt"]
    assert [line for line in notes.lines if line[0] in "+-"] == ["-two", "+2"]
    assert (shown["Smith/bin"].lines, shown["Smith/bin"].note) == ([], "no text: it cannot be shown as lines")
    assert shown["Smith/gone.txt"].lines[-1] == "-bye"
    assert shown["Smith/new.txt"].lines[-1] == "+hi"
    refused(NotFound, "no-such-effect", office.gate.text_difference, done.id, "e99")


def test_every_act_is_an_event(firm, people):
    """In the order in which they happened, with who did it."""
    bot, ann, _ = people
    done = bot.submit(plan(move("a", "c"), move("b", "d")))
    ann.request_changes(done.id, done.digest, "b stays")
    bot.revise(done.id, plan(move("a", "c"), move("b", "e")))
    digest = ann.plan(done.id).digest
    ann.reduce(done.id, ["e2"], digest)
    ann.approve(done.id, ann.plan(done.id).digest)
    ann.revoke(done.id, ann.plan(done.id).digest)
    bot.withdraw(done.id)
    events = [(row.event, row.actor) for row in reversed(firm.gate.log(limit=100)) if row.plan == done.id]
    assert [event for event in events if event[0] != "previewed"] == [
        ("submitted", "bot"), ("request-changes", "ann"), ("revised", "bot"), ("reduced", "ann"), ("approve", "ann"),
        ("revoke", "ann"), ("withdraw", "bot"),
    ]  # fmt: skip
    assert firm.gate.verify_audit().verified


def test_a_reduced_plan_is_the_document_that_it_shows(office):
    """It can be read back, checked and handed in elsewhere."""
    for name in "abc":
        office.put(f"Smith/{name}", name)
    done = office.submit(move("a", "x/a"), replace("b", "other"), delete("c"), title="Sort", reason="asked for")
    office.gate.reduce(done.id, ["e1"])
    document = json.loads(office.gate.document(done.id).document)
    assert (document["title"], document["reason"]) == ("Sort", "asked for")
    assert office.gate.check(json.dumps(document)).valid
