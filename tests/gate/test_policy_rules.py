"""Claims about policy at the gate: who must approve what, what a day allows, and what a change of policy does."""

from __future__ import annotations

import pytest
from gatework import HOUR, Office, create, delete, move, replace

from treegate.engine import audit
from treegate.engine.configfile import FILE
from treegate.errors import Denied, Expired, Rejected, Stale
from treegate.model.actors import Role

GROUPS = '[groups]\npartners = ["anna", "ben"]\n'
TWO_PARTNERS = '[[policy.approval.rule]]\nwhen = { deletes = ">2" }\nrequired = 2\nfrom = ["group:partners"]\n'
MOVES_ARE_FREE = """
[[policy.approval.rule]]
name = "small moves"
when = { only = ["moved", "made"], files = "<=3" }
required = 0
"""


def policy(office: Office, text: str) -> None:
    """Writes a policy; it holds for every gate that is opened from now on."""
    (office.state / FILE).write_text(text)
    office.reopen()


def people(office: Office, **roles: Role) -> dict:
    texts = {name: office.token(name, role) for name, role in roles.items()}
    return {name: office.open(text) for name, text in texts.items()}


def events(office: Office, event: str) -> list:
    return [row for row in audit.rows(office.gate.core.store) if row.event == event]


@pytest.fixture
def partners(firm):
    """A firm in which two partners must approve larger deletions, with its people."""
    policy(firm, GROUPS + TWO_PARTNERS)
    for n in range(20):
        firm.put(f"Smith/{n}.txt")
    return firm, people(firm, bot=Role.AUTHOR, anna=Role.REVIEWER, ben=Role.REVIEWER, cleo=Role.REVIEWER)


def deletions(count: int, first: int = 0) -> list:
    return [delete(f"{n}.txt") for n in range(first, first + count)]


# --- rules -----------------------------------------------------------------------------------------------------


def test_a_rule_asks_for_its_own_people_beside_the_base(partners):
    firm, who = partners
    done = who["bot"].submit(firm.document(*deletions(3)))
    assert done.waiting_for == "2 of partners (anna, ben)"
    who["cleo"].approve(done.id, done.digest)
    assert who["anna"].approve(done.id, done.digest).state == "pending"
    assert who["bot"].show(done.id).waiting_for == "1 of partners (ben)"
    with pytest.raises(Denied) as caught:
        who["bot"].apply(done.id)
    assert caught.value.code == "not-approved"
    assert who["ben"].approve(done.id, done.digest).state == "approved"
    assert who["bot"].apply(done.id).state == "applied"


def test_a_smaller_plan_needs_anyone(partners):
    firm, who = partners
    done = who["bot"].submit(firm.document(*deletions(2)))
    assert done.waiting_for == "a reviewer other than bot"
    assert who["cleo"].approve(done.id, done.digest).state == "approved"


def test_a_partner_cannot_be_one_of_two_for_their_own_plan(partners):
    firm, who = partners
    done = who["anna"].submit(firm.document(*deletions(3)))
    assert done.waiting_for == "2 of partners (only ben can, which is not enough)"
    with pytest.raises(Denied) as caught:
        who["anna"].approve(done.id, done.digest)
    assert caught.value.code == "own-plan"


def test_the_preview_says_which_rule_asks_for_what(partners):
    firm, who = partners
    asked = who["bot"].check(firm.document(*deletions(3))).approvals
    assert asked.required == 2
    assert [(rule.rule, rule.required, rule.people, rule.why) for rule in asked.rules] == [
        ("policy.approval", 1, [], "policy.approval.required = 1"),
        ("policy.approval.rule[1]", 2, ["group:partners"], "deletes is 3, >2"),
    ]
    assert [rule.why for rule in who["bot"].check(firm.document(*deletions(2))).approvals.unmatched] == [
        "deletes is 2, not >2"
    ]


def test_a_move_to_another_case_is_a_class_of_its_own(firm):
    policy(firm, MOVES_ARE_FREE + '[[policy.approval.rule]]\nwhen = { crossings = ">0" }\nrequired = 2\n')
    firm.put("Smith/a.txt")
    across = {"op": "move", "from": "Smith/a.txt", "to": "Jones/a.txt"}
    assert firm.gate.check(firm.document(across, case=None)).approvals.required == 2
    within = firm.gate.check(firm.document(move("a.txt", "b.txt"))).approvals
    assert (within.required, within.why) == (
        0,
        ["small moves asks for nobody: files is 1, <=3; all that happens is moved"],
    )


@pytest.mark.parametrize(
    ("condition", "within", "across"),
    [
        ('any = ["moved"]', 2, 1),
        ('any = ["crossing"]', 1, 2),
        ('only = ["moved"]', 2, 1),
        ('only = ["crossing"]', 1, 2),
    ],
)
def test_a_move_is_within_its_case_or_a_crossing_and_never_both(firm, condition, within, across):
    policy(firm, f"[[policy.approval.rule]]\nwhen = {{ {condition} }}\nrequired = 2\n")
    firm.put("Smith/a.txt")
    for to, required in (("Smith/b.txt", within), ("Jones/a.txt", across)):
        moved = {"op": "move", "from": "Smith/a.txt", "to": to}
        assert firm.gate.check(firm.document(moved, case=None)).approvals.required == required


def test_a_file_that_takes_anothers_place_from_another_case_crosses_too(firm):
    policy(firm, '[[policy.approval.rule]]\nwhen = { any = ["crossing"] }\nrequired = 2\n')
    firm.put("Smith/a.txt", "a")
    firm.put("Jones/a.txt", "b")
    across = {"op": "move", "from": "Smith/a.txt", "to": "Jones/a.txt", "if_exists": "replace"}
    assert firm.gate.check(firm.document(across, case=None)).approvals.required == 2


@pytest.mark.parametrize(
    ("operation", "asks"),
    [
        (move("a.txt", "Contracts/a.txt"), True),
        (move("Contracts/c.txt", "c.txt"), True),
        ({"op": "copy", "from": "Contracts/c.txt", "to": "c.txt"}, True),
        (delete("Contracts/c.txt"), True),
        (replace("Contracts/c.txt"), True),
        ({"op": "set", "path": "Contracts/c.txt", "mode": "0600"}, True),
        (create("Contracts/new.txt"), True),
        (move("whole", "elsewhere"), True),
        (delete("whole", recursive=True), True),
        (move("plain", "elsewhere"), False),
        (move("a.txt", "b.txt"), False),
    ],
)
def test_a_rule_of_paths_is_woken_at_source_and_at_destination(firm, operation, asks):
    """A folder that goes whole counts if something below it may match."""
    policy(firm, '[[policy.approval.rule]]\nwhen = { paths = ["Contracts/**", "whole/deep/*.txt"] }\nrequired = 2\n')
    for path in ("a.txt", "Contracts/c.txt", "whole/deep/x.txt", "plain/y.txt"):
        firm.put(f"Smith/{path}")
    assert firm.gate.check(firm.document(operation)).approvals.required == (2 if asks else 1)


def test_a_rule_that_spares_some_folder_spares_nothing_that_also_touches_another(firm):
    policy(firm, '[[policy.approval.rule]]\nwhen = { paths = ["Inbox/**"] }\nrequired = 0\n')
    for path in ("Inbox/a.txt", "Inbox/b.txt", "c.txt"):
        firm.put(f"Smith/{path}")
    required = [
        firm.gate.check(firm.document(*operations)).approvals.required
        for operations in (
            [move("Inbox/a.txt", "Inbox/z.txt")],
            [move("Inbox/a.txt", "Inbox/z.txt"), move("c.txt", "d.txt")],
            [move("Inbox/a.txt", "a.txt")],
            [move("Inbox", "Outbox")],
        )
    ]
    assert required == [0, 1, 1, 1]


# --- approval by policy ----------------------------------------------------------------------------------------


def test_a_plan_that_asks_for_nobody_is_approved_and_not_applied(firm):
    policy(firm, MOVES_ARE_FREE)
    firm.put("Smith/a.txt")
    bot = people(firm, bot=Role.AUTHOR)["bot"]
    done = bot.submit(firm.document(move("a.txt", "b.txt")))
    assert done.state == "approved"
    assert firm.path("Smith/a.txt").exists()
    (row,) = events(firm, "approve")
    assert '"by":"policy"' in row.data
    assert "small moves asks for nobody" in row.data
    receipt = bot.apply(done.id).receipt
    assert receipt.approved_by == []
    assert any("approved by policy, no person was asked: small moves" in note for note in receipt.notes)


def test_an_approval_by_policy_runs_out_like_any_other(firm):
    policy(firm, MOVES_ARE_FREE)
    firm.put("Smith/a.txt")
    done = firm.submit(move("a.txt", "b.txt"))
    firm.clock.now += 72 * HOUR
    with pytest.raises(Expired):
        firm.gate.apply(done.id)


def test_a_reviewer_can_still_reject_what_policy_approved(firm):
    policy(firm, MOVES_ARE_FREE)
    firm.put("Smith/a.txt")
    done = firm.submit(move("a.txt", "b.txt"))
    firm.gate.reject(done.id, done.digest, "not that one")
    with pytest.raises(Rejected):
        firm.gate.apply(done.id)


def test_a_plan_with_errors_is_not_approved_by_policy(firm):
    policy(firm, MOVES_ARE_FREE)
    assert firm.submit(move("nothing.txt", "b.txt")).state == "invalid"


# --- what an approval rests on ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changed",
    [
        GROUPS.replace("ben", "eve") + TWO_PARTNERS,
        GROUPS + TWO_PARTNERS.replace("2", "3"),
        GROUPS + TWO_PARTNERS + '[policy.protect]\npaths = ["*.pdf"]\n',
    ],
)
def test_neither_an_approval_nor_a_run_outlives_a_change_of_policy(partners, changed):
    firm, who = partners
    waits, approved = (who["bot"].submit(firm.document(*deletions(1, n))) for n in (0, 1))
    who["anna"].approve(approved.id, approved.digest)
    policy(firm, changed)
    for act in (lambda: firm.gate.approve(waits.id, waits.digest), lambda: firm.gate.apply(approved.id)):
        with pytest.raises(Stale) as caught:
            act()
        assert caught.value.code == "policy-changed"
        assert "treegate refresh pl_" in caught.value.next
    assert firm.path("Smith/1.txt").exists()
    assert firm.gate.reject(waits.id, waits.digest, "no").state == "rejected"
    policy(firm, GROUPS + TWO_PARTNERS)
    assert firm.gate.apply(approved.id).state == "applied", "nothing was used up"


def test_an_approval_does_not_count_once_its_givers_token_is_revoked(partners):
    firm, who = partners
    done = who["bot"].submit(firm.document(*deletions(1)))
    who["anna"].approve(done.id, done.digest)
    firm.clock.now += 1
    firm.gate.revoke_token("anna")
    with pytest.raises(Denied) as caught:
        who["bot"].apply(done.id)
    assert caught.value.code == "approval-lapsed"
    assert firm.path("Smith/0.txt").exists()
    who["ben"].approve(done.id, done.digest)
    assert who["bot"].apply(done.id).state == "applied"


def test_a_new_token_of_the_same_name_does_not_bring_the_old_approval_back(partners):
    firm, who = partners
    done = who["bot"].submit(firm.document(*deletions(1)))
    who["anna"].approve(done.id, done.digest)
    firm.clock.now += 1
    firm.gate.revoke_token("anna")
    firm.clock.now += 1
    again = firm.person("anna", Role.REVIEWER)
    with pytest.raises(Denied, match="counts no more"):
        again.apply(done.id)
    later = who["bot"].submit(firm.document(*deletions(1, 5)))
    again.approve(later.id, later.digest)
    assert who["bot"].apply(later.id).state == "applied", "what is approved with the new one counts"


def test_a_clock_that_went_back_does_not_hide_that_a_token_was_revoked(partners):
    firm, who = partners
    done = who["bot"].submit(firm.document(*deletions(1)))
    who["anna"].approve(done.id, done.digest)
    firm.clock.now -= HOUR
    firm.gate.revoke_token("anna")
    with pytest.raises(Denied, match="counts no more"):
        who["bot"].apply(done.id)


# --- the limits of a day ---------------------------------------------------------------------------------------


@pytest.fixture
def big(firm):
    """A case of 1,000 files, a bot that hands in plans, and someone who approves them."""
    for n in range(1000):
        firm.put(f"Smith/{n}.txt", "12345")
    return firm, people(firm, bot=Role.AUTHOR, other=Role.AUTHOR, anna=Role.REVIEWER)


def deleted(firm, who, count: int, first: int) -> str:
    """Files deleted by a plan of the bot's: the id of the run."""
    done = who["bot"].submit(firm.document(*deletions(count, first)))
    assert done.state == "pending", done.problems
    who["anna"].approve(done.id, done.digest)
    return who["bot"].apply(done.id).run


def test_a_large_deletion_is_not_passed_by_splitting_it_into_fifty_plans(big):
    """44: nothing has been applied yet: what waits counts as well."""
    firm, who = big
    plans = [who["bot"].submit(firm.document(*deletions(5, 5 * n))) for n in range(41)]
    assert {plan.state for plan in plans[:40]} == {"pending"}
    assert plans[40].state == "invalid"
    (found,) = plans[40].problems
    assert found.code == "day-limit-passed"
    assert "deletes 5 files of 'Smith'; bot would delete 200 files there by what waits" in found.message
    assert f"{plans[39].id} and 37 more); policy allows 200 files in 24 hours" in found.message
    assert "have what waits decided, or withdraw it" in found.hint
    assert who["other"].check(firm.document(*deletions(5))).valid, "the day is an author's own"
    assert who["bot"].submit(firm.document(move("900.txt", "a.txt"))).state == "pending", "a move takes nothing away"


def test_what_runs_did_counts_until_a_day_has_passed(big):
    firm, who = big
    first = deleted(firm, who, 100, 0)
    firm.clock.now += HOUR
    second = deleted(firm, who, 95, 100)
    (found,) = who["bot"].check(firm.document(*deletions(6, 200))).problems
    assert f"bot deleted 195 files there in the last 24 hours ({first}, {second})" in found.message
    assert "there is room again at 2027-01-16 08:01 UTC" in found.hint
    assert who["bot"].check(firm.document(*deletions(5, 200))).valid
    firm.clock.now += 23 * HOUR
    assert who["bot"].check(firm.document(*deletions(100, 200))).valid


def test_a_clock_that_went_back_gives_no_second_day(big):
    firm, who = big
    deleted(firm, who, 100, 0)
    deleted(firm, who, 100, 100)
    firm.clock.now -= 90 * 24 * HOUR
    (found,) = who["bot"].check(firm.document(delete("300.txt"))).problems
    assert found.code == "day-limit-passed"


def test_an_undone_run_does_not_count_and_undoing_is_never_limited(big):
    firm, who = big
    policy(firm, "[policy.limits.per_day]\ndeletes = 100\n")
    who = {name: firm.person(f"{name}2", role) for name, role in (("bot", Role.AUTHOR), ("anna", Role.REVIEWER))}
    run = deleted(firm, who, 100, 0)
    assert not who["bot"].check(firm.document(delete("300.txt"))).valid
    undo = firm.gate.undo(run).submitted
    who["anna"].approve(undo.id, undo.digest)
    firm.gate.apply(undo.id)
    assert who["bot"].check(firm.document(delete("300.txt"))).valid
    again = firm.gate.undo(firm.gate.core.store.last_run().id).submitted
    assert again.state == "pending"
    who["anna"].approve(again.id, again.digest)
    firm.gate.apply(again.id)
    assert not who["bot"].check(firm.document(delete("300.txt"))).valid, "done once more, it counts once more"


def test_replacements_and_bytes_have_their_days_too(big):
    firm, _ = big
    policy(firm, '[policy.limits.per_day]\nreplacements = 1\ndelete_bytes = "12 B"\n')
    gate = firm.gate
    assert gate.check(firm.document(replace("1.txt"))).valid
    (found,) = gate.check(firm.document(replace("1.txt"), replace("2.txt"))).problems
    assert "replaces 2 files of 'Smith'; policy allows 1 files in 24 hours" in found.message
    assert "change less in this plan" in found.hint
    assert gate.check(firm.document(*deletions(2))).valid
    (found,) = gate.check(firm.document(*deletions(3))).problems
    assert "deletes 15 bytes of 'Smith'; policy allows 12 bytes" in found.message


def test_a_plan_that_passed_when_handed_in_is_stopped_when_the_day_was_used_up_meanwhile(big):
    """Two plans handed in at once do not see each other waiting; the look before the run sees what was done."""
    firm, who = big
    ready = []
    for first in (0, 150):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(firm.gate.core.store), "waiting_shares", lambda *_, **__: iter(()))
            ready.append(who["bot"].submit(firm.document(*deletions(100 if first else 90, first))))
        who["anna"].approve(ready[-1].id, ready[-1].digest)
    deleted_now = who["bot"].apply(ready[0].id)
    policy_says = who["bot"].check(firm.document(*deletions(20, 300)))
    assert not policy_says.valid, "the other one still waits"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(firm.gate.core.store), "waiting_shares", lambda *_, **__: iter(()))
        late = who["bot"].submit(firm.document(*deletions(100, 400)))
    who["anna"].approve(late.id, late.digest)
    who["bot"].apply(ready[1].id)
    before = firm.tree("Smith")
    with pytest.raises(Denied) as caught:
        who["bot"].apply(late.id)
    assert caught.value.code == "day-limit-passed"
    assert deleted_now.run in caught.value.message
    assert firm.tree("Smith") == before
    assert firm.gate.show(late.id).plan.state == "approved", "nothing was used up"
    firm.clock.now += 24 * HOUR
    assert who["bot"].apply(late.id).state == "applied"
