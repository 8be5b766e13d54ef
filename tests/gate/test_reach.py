"""Reach: a token for some cases hands in, checks and sees plans that speak of those, and of no others."""

from __future__ import annotations

import os

import pytest
from gatework import Office, copy, create, delete, move, plan

from treegate.errors import Denied, NotFound, PlanError
from treegate.gate import Gate
from treegate.model.actors import Role


@pytest.fixture
def people(firm: Office) -> tuple[Gate, Gate, Gate]:
    """An author and a reviewer for Smith alone, and an author for all cases."""
    firm.put("Smith/a.txt", "a")
    firm.put("Jones/secret.txt", "top secret")
    return (
        firm.person("ann", Role.AUTHOR, cases=["Smith"]),
        firm.person("sam", Role.REVIEWER, cases=["Smith"]),
        firm.person("bob", Role.AUTHOR),
    )


ELSEWHERE = {
    "a copy out of another case": [copy("Jones/secret.txt", "Smith/mine.txt")],
    "a raw copy out of it": [{**copy("Jones%2Fsecret.txt", "Smith/mine.txt"), "raw": True}, create("Smith/b")],
    "a pattern there": [{"op": "copy", "match": "Jones/*", "to": "Smith/"}],
    "a pattern of all cases": [{"op": "copy", "match": "*/secret.txt", "to": "Smith/"}],
    "a move within it": [move("Jones/secret.txt", "Jones/x.txt")],
    "a path that is mistyped": [delete("Jones/secrt.txt")],
    "a case that is mistyped": [delete("Jone/secret.txt")],
    "both": [create("Smith/b.txt"), create("Jones/b.txt")],
}


@pytest.mark.parametrize("operations", ELSEWHERE.values(), ids=ELSEWHERE.keys())
def test_what_speaks_of_another_case_is_refused_before_it_is_looked_at(people, operations):
    """Neither checked nor stored, and nothing of what is there is told."""
    ann, _, _ = people
    for act in (ann.check, ann.submit, ann.explain_document):
        with pytest.raises(Denied) as refused:
            act(plan(*operations, case=None))
        assert refused.value.code == "case-not-allowed"
        assert "secret" not in f"{refused.value.message}{refused.value.hint}"
    assert ann.list_plans()[0] == []


def test_a_raw_name_leads_to_the_case_that_it_spells(people):
    """Also where the slash behind it is escaped: who decides for Smith alone does not decide on what Jones has."""
    _, sam, bob = people
    made = bob.submit(plan({**copy("Jones%2Fsecret.txt", "Smith/mine.txt"), "raw": True}, case=None))
    assert (made.state, bob.plan(made.id).cases) == ("pending", ("Jones", "Smith"))
    assert sam.list_plans()[0] == []
    with pytest.raises((Denied, NotFound)):
        sam.approve(made.id, made.digest)


def test_out_of_another_cases_vault_nothing_is_taken(firm, people):
    """A restore leads to the case that the entry came from."""
    ann, _, bob = people
    made = bob.submit(plan(delete("secret.txt"), case="Jones"))
    rita = firm.person("rita", Role.REVIEWER)
    rita.approve(made.id, made.digest)
    run = rita.apply(made.id).run
    for case in (None, "Smith"):
        to = "Smith/mine.txt" if case is None else "mine.txt"
        with pytest.raises(Denied):
            ann.submit(plan({"op": "restore", "run": run, "entry": 0, "to": to}, case=case))


def test_whoever_has_one_of_two_cases_neither_sees_nor_decides(people):
    """A copy into Smith out of Jones is a matter of both."""
    _, sam, bob = people
    made = bob.submit(plan(copy("Jones/secret.txt", "Smith/theirs.txt"), case=None))
    assert bob.plan(made.id).cases == ("Jones", "Smith")
    assert sam.list_plans()[0] == []
    with pytest.raises(NotFound):
        sam.approve(made.id, made.digest)


def test_a_case_that_is_spelt_in_bytes_is_that_case(people):
    """`raw` paths are percent-encoded: a copy out of Jones stays a matter of Jones."""
    ann, _, bob = people
    spelt = {"op": "copy", "from": "Jon%65s/secret.txt", "to": "Smith/theirs.txt", "raw": True}
    assert bob.plan(bob.submit(plan(spelt, case=None)).id).cases == ("Jones", "Smith")
    with pytest.raises(Denied):
        ann.check(plan(spelt, case=None))


@pytest.mark.parametrize("path", ["Jones/secrt.txt", "Nowhere/x.txt"])
def test_a_plan_with_errors_is_a_matter_of_the_cases_that_it_speaks_of(people, path):
    """Of one that speaks of none that is there, all of them."""
    _, sam, bob = people
    made = bob.submit(plan(delete(path), case=None))
    assert made.state == "invalid"
    assert bob.plan(made.id).cases
    assert sam.list_plans()[0] == []
    assert sam.status().waiting == []
    with pytest.raises(NotFound):
        sam.refresh(made.id)


def test_within_ones_cases_all_is_as_before(people):
    """A plan that names its case, and one whose paths do."""
    ann, sam, _ = people
    for document in (plan(move("a.txt", "b.txt")), plan(move("Smith/a.txt", "Smith/c.txt"), case=None)):
        made = ann.submit(document)
        assert sam.plan(made.id).cases == ("Smith",)


def test_a_case_whose_name_is_not_utf8_is_told_of_and_nothing_is_stored(office: Office):
    """Its files may be read; what is in other cases may have such names."""
    os.mkdir(os.fsencode(office.root / "projects") + b"/ca\xffse")
    (office.root / "projects" / os.fsdecode(b"ca\xffse") / "a.txt").write_text("a")
    operation = {**move("ca%FFse/a.txt", "ca%FFse/b.txt"), "raw": True}
    for act in (office.gate.check, office.gate.submit):
        with pytest.raises(PlanError) as told:
            act(plan(operation, case=None))
        assert told.value.code == "case-not-utf8"
        assert "ca%FFse" in told.value.message
    assert office.gate.list_plans()[0] == []


def test_nor_is_anything_copied_out_of_it(office: Office):
    os.mkdir(os.fsencode(office.root / "projects") + b"/ca\xffse")
    (office.root / "projects" / os.fsdecode(b"ca\xffse") / "a.txt").write_text("a")
    operation = {**copy("ca%FFse/a.txt", "Smith/b.txt"), "raw": True}
    with pytest.raises(PlanError) as told:
        office.gate.submit(plan(operation, case=None))
    assert told.value.code == "case-not-utf8"
    assert office.gate.list_plans()[0] == []
