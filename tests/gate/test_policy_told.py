"""Claims about policy told: why it asks what it asks, and that no change of it goes unnoticed."""

from __future__ import annotations

import json

import pytest
from gatework import HOUR, Office, create, delete, move
from test_policy_rules import GROUPS, MOVES_ARE_FREE, TWO_PARTNERS, deletions, events, people, policy

from treegate.errors import Denied
from treegate.model.actors import Role


def test_every_rule_is_told_with_its_reason_and_how_far_it_has_come(firm):
    policy(firm, GROUPS + TWO_PARTNERS + MOVES_ARE_FREE)
    for n in range(20):
        firm.put(f"Smith/{n}.txt", "12345")
    who = people(firm, bot=Role.AUTHOR, anna=Role.REVIEWER, ben=Role.REVIEWER, cleo=Role.REVIEWER)
    done = who["bot"].submit(firm.document(*deletions(3)))
    for name in ("cleo", "anna"):
        who[name].approve(done.id, done.digest)
    told = who["bot"].explain(done.id)
    assert [(one.rule, one.matches, one.given, one.missing) for one in told.rules] == [
        ("policy.approval", True, ["anna", "cleo"], 0),
        ("policy.approval.rule[1]", True, ["anna"], 1),
        ("small moves", False, [], 0),
    ]
    assert told.rules[1].why == "deletes is 3, >2"
    assert told.rules[2].why == "something is deleted"
    assert told.groups == {"partners": ("anna", "ben")}
    assert told.waiting_for == "1 of partners (ben)"
    assert not told.policy_changed
    limits = {one.limit: (one.found, one.allowed, one.passed) for one in told.limits}
    assert limits["deletes"] == ("3", "100", False)
    assert limits["delete_bytes"] == ("15 bytes", "5.0 GiB (5,368,709,120 bytes)", False)
    assert limits["per_day.deletes"] == ("3", "200", False)
    policy(firm, GROUPS + TWO_PARTNERS)
    assert firm.gate.explain(done.id).policy_changed


def test_a_plan_that_is_not_handed_in_is_told_of_too_and_what_is_refused_is_named(firm):
    policy(firm, '[policy.limits]\ndeletes = 1\n[policy.protect]\npaths = ["*.lock"]\n')
    for name in ("a.lock", "b.txt", "c.txt"):
        firm.put(f"Smith/{name}")
    told = firm.gate.explain_document(
        firm.document(move("a.lock", "x.lock"), delete("b.txt"), delete("c.txt"), create("d.lock"))
    )
    assert {one.limit for one in told.limits if one.passed} == {"deletes"}
    assert {one.path for one in told.paths} >= {"Smith/a.lock", "Smith/d.lock"}
    assert any("deletes 2 files" in message for message in told.problems)
    assert told.approved_by == []
    assert firm.gate.list_plans()[0] == []


def test_what_waits_for_partners_is_not_said_to_wait_for_anyone_else(firm):
    policy(firm, GROUPS + TWO_PARTNERS)
    for n in range(20):
        firm.put(f"Smith/{n}.txt")
    who = people(firm, bot=Role.AUTHOR, anna=Role.REVIEWER, cleo=Role.REVIEWER, dora=Role.REVIEWER)
    done = who["bot"].submit(firm.document(*deletions(3)))

    def mine(name: str) -> bool:
        return [item.mine for item in who[name].status().waiting] == [True]

    assert [name for name in who if mine(name)] == ["anna", "cleo", "dora"], "the base requirement is anyone's"
    who["cleo"].approve(done.id, done.digest)
    assert [name for name in who if mine(name)] == ["anna"]
    who["anna"].approve(done.id, done.digest)
    assert [name for name in who if mine(name)] == []


def test_what_counts_already_against_the_day_is_in_the_figure(firm):
    for n in range(100):
        firm.put(f"Smith/{n}.txt")
    first = firm.submit(*deletions(5))
    second = firm.submit(*deletions(5, 5))
    for id in (first.id, second.id):
        (day,) = [one for one in firm.gate.explain(id).limits if one.limit == "per_day.deletes"]
        assert (day.case, day.found) == ("Smith", "10")


# --- a change of policy ----------------------------------------------------------------------------------------


def told(office) -> list:
    return [json.loads(row.data) for row in events(office, "policy-changed")]


def test_a_change_of_policy_is_an_event_with_the_keys_that_changed(firm):
    (first,) = told(firm)
    assert (first["old"], first["changed"]) == ("", [])
    for _ in range(3):
        firm.reopen()
    assert len(told(firm)) == 1, "no change, no event"
    policy(firm, GROUPS + TWO_PARTNERS + "[policy.limits]\ndeletes = 7\n")
    policy(firm, GROUPS.replace("ben", "eve") + TWO_PARTNERS + "[policy.limits]\ndeletes = 7\n[vault]\nkeep = '1d'\n")
    _, second, third = told(firm)
    assert second["changed"] == ["groups.partners", "policy.approval.rule", "policy.limits.deletes"]
    assert third["changed"] == ["groups.partners"], "how long the vault keeps is no rule for plans"
    assert (second["old"], third["old"]) == (first["new"], second["new"])
    firm.reopen()
    assert len(told(firm)) == 3


def test_that_status_files_are_trusted_is_an_event_and_that_they_are_no_more(firm):
    def said() -> list:
        return [json.loads(row.data)["trusts"] for row in events(firm, "queue-trust-changed")]

    assert said() == []
    firm.configure(queue_trust_status="true")
    firm.reopen()
    assert said() == [True]
    firm.configure(queue_trust_status="false")
    firm.reopen()
    assert said() == [True, False]


# --- tokens ----------------------------------------------------------------------------------------------------


def test_a_token_of_another_workspace_is_refused_and_said_to_be_one(firm, tmp_path):
    office = Office(tmp_path / "office", tmp_path / "state")
    with pytest.raises(Denied) as caught:
        firm.open(office.token("anna", Role.REVIEWER))
    office.close()
    assert caught.value.code == "token-unknown"
    assert "it may be another one's" in caught.value.message


def test_a_clock_that_goes_back_brings_no_revoked_token_back(firm):
    text = firm.token("anna", Role.REVIEWER)
    firm.gate.revoke_token("anna")
    firm.clock.now -= 1000 * HOUR
    with pytest.raises(Denied) as caught:
        firm.open(text)
    assert caught.value.code == "token-revoked"
