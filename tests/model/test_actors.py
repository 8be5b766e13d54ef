"""Who may do what."""

import pytest

from treegate.errors import Denied
from treegate.model.actors import ALLOWED, Action, Actor, Role, os_user


def actor(role: Role, cases: tuple[str, ...] | None = None) -> Actor:
    return Actor(name="x", role=role, cases=cases)


def test_an_author_reads_and_proposes_and_nothing_else() -> None:
    assert ALLOWED[Role.AUTHOR] == {Action.READ, Action.PROPOSE}


def test_a_reviewer_decides_and_submits_but_does_not_carry_out() -> None:
    assert ALLOWED[Role.REVIEWER] == {Action.READ, Action.PROPOSE, Action.DECIDE}


def test_an_operator_carries_out_and_submits_but_does_not_decide() -> None:
    may = ALLOWED[Role.OPERATOR]
    assert {Action.APPLY, Action.UNDO, Action.RECOVER, Action.PROPOSE, Action.PAUSE} <= may
    assert not may & {Action.DECIDE, Action.TOKENS, Action.POLICY}


def test_only_an_admin_manages_tokens_and_policy() -> None:
    for action in (Action.TOKENS, Action.POLICY):
        assert [role for role in Role if action in ALLOWED[role]] == [Role.ADMIN]


def test_policy_can_let_an_author_apply_but_only_where_it_says_so() -> None:
    assert not actor(Role.AUTHOR).may(Action.APPLY)
    assert actor(Role.AUTHOR).may(Action.APPLY, by={Role.AUTHOR})
    assert not actor(Role.AUTHOR).may(Action.APPLY, by={Role.REVIEWER})


def test_a_token_for_some_cases_covers_a_plan_only_if_it_covers_all_its_cases() -> None:
    limited = actor(Role.REVIEWER, cases=("A", "B"))
    assert limited.may(Action.DECIDE, ["A", "B"])
    assert not limited.may(Action.DECIDE, ["A", "C"])
    assert not actor(Role.ADMIN, cases=()).may(Action.READ, ["A"])
    assert not limited.may(Action.APPLY, ["C"], by={Role.REVIEWER})


def test_a_refusal_says_whether_it_was_the_role_or_the_case() -> None:
    with pytest.raises(Denied, match="an author and may not apply") as caught:
        actor(Role.AUTHOR).require(Action.APPLY)
    assert caught.value.code == "role-not-allowed"
    assert "operator" in caught.value.hint
    with pytest.raises(Denied) as caught:
        actor(Role.ADMIN, cases=("A",)).require(Action.APPLY, ["B"])
    assert caught.value.code == "case-not-allowed"


def test_the_person_at_the_shell_is_admin_of_every_case() -> None:
    me = os_user("ann")
    assert (me.role, me.cases, me.via) == (Role.ADMIN, None, "os")
    assert all(me.may(action, ["any"]) for action in Action)
