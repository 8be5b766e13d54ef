"""The lifecycle table: what may happen to a plan in each state, and how the rest is refused."""

import pytest

from treegate.errors import Busy, Denied, Expired, NeedsRecovery, PlanError, Rejected, Stale, TreegateError
from treegate.model.lifecycle import AS_PREVIEWED, LIVE, TABLE, UNFINISHED, Event, State, diagram, next_state, refusal

CONTRACT = {
    *("draft", "invalid", "pending", "changes-requested", "approved", "rejected", "expired"),
    *("withdrawn", "stale", "applying", "applied", "rolled-back", "needs-recovery", "undone"),
}


def walk(*events: Event) -> State:
    state = State.DRAFT
    for event in events:
        state = next_state(state, event)
    return state


def test_the_states_are_those_of_the_contract() -> None:
    assert {state.value for state in State} == CONTRACT
    assert set(TABLE) == set(State)


def test_the_straight_way_leads_to_applied_and_undone() -> None:
    assert walk(Event.PREVIEW, Event.APPROVE, Event.APPLY, Event.FINISH, Event.UNDO) is State.UNDONE


@pytest.mark.parametrize(
    ("state", "error", "code", "status"),
    [
        (State.DRAFT, Denied, "not-approved", 4),
        (State.PENDING, Denied, "not-approved", 4),
        (State.CHANGES_REQUESTED, Denied, "not-approved", 4),
        (State.INVALID, PlanError, "plan-invalid", 3),
        (State.REJECTED, Rejected, "already-rejected", 12),
        (State.EXPIRED, Expired, "approval-expired", 13),
        (State.WITHDRAWN, Denied, "withdrawn", 4),
        (State.STALE, Stale, "stale", 5),
        (State.APPLYING, Busy, "already-applying", 8),
        (State.APPLIED, Denied, "already-applied", 4),
        (State.ROLLED_BACK, Denied, "approval-used", 4),
        (State.NEEDS_RECOVERY, NeedsRecovery, "needs-recovery", 7),
        (State.UNDONE, Denied, "already-undone", 4),
    ],
)
def test_applying_what_is_not_approved_is_refused_for_the_state_s_own_reason(
    state: State, error: type[TreegateError], code: str, status: int
) -> None:
    with pytest.raises(error) as caught:
        next_state(state, Event.APPLY, "pl_x")
    assert (caught.value.code, caught.value.exit_status) == (code, status)
    assert "pl_x" in caught.value.message


def test_an_expired_approval_is_expired_and_never_denied() -> None:
    """Fault 42: whatever is tried on it, the word is not that somebody said no."""
    for event in set(Event) - set(TABLE[State.EXPIRED]) - {Event.UNDO}:
        error = refusal(State.EXPIRED, event)
        assert isinstance(error, Expired)
        assert error.code == "approval-expired"


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", Event)
def test_every_event_in_every_state_moves_or_explains_itself(state: State, event: Event) -> None:
    """A refusal has a code of its own, a hint, and a command to type; a raw KeyError is never the answer."""
    if event in TABLE[state]:
        assert next_state(state, event) in TABLE
        return
    with pytest.raises(TreegateError) as caught:
        next_state(state, event)
    assert caught.value.code not in {"internal", "denied"}
    assert caught.value.hint
    assert caught.value.next.startswith("treegate ")
    assert "{" not in caught.value.next


def test_any_rejection_wins_over_approvals_until_the_run_begins() -> None:
    for state in (State.PENDING, State.APPROVED, State.CHANGES_REQUESTED):
        assert next_state(state, Event.REJECT) is State.REJECTED
    with pytest.raises(Busy):
        next_state(State.APPLYING, Event.REJECT)


def test_a_revoke_wins_until_the_run_begins() -> None:
    assert next_state(State.APPROVED, Event.REVOKE) is State.PENDING
    with pytest.raises(Busy):
        next_state(State.APPLYING, Event.REVOKE)


def test_a_revised_plan_starts_undecided() -> None:
    """Fault 43: from wherever it is revised, the next state is draft, and draft cannot be applied."""
    assert {row[Event.REVISE] for row in TABLE.values() if Event.REVISE in row} == {State.DRAFT}
    with pytest.raises(Denied):
        next_state(State.DRAFT, Event.APPROVE)


def test_only_approved_plans_begin_and_only_begun_ones_end() -> None:
    begins = {state for state, row in TABLE.items() if Event.APPLY in row}
    ends = {state for state, row in TABLE.items() if Event.FINISH in row}
    assert begins == {State.APPROVED}
    assert ends == UNFINISHED == {State.APPLYING, State.NEEDS_RECOVERY}


def test_a_run_that_needs_recovery_can_only_end_or_turn_out_never_to_have_begun() -> None:
    ends = {Event.FINISH, Event.ROLL_BACK, Event.HALT}
    assert set(TABLE[State.NEEDS_RECOVERY]) == ends | {Event.GIVE_BACK}


def test_every_state_can_be_reached_from_a_draft() -> None:
    reached, fresh = set(), {State.DRAFT}
    while fresh:
        reached |= fresh
        fresh = {after for state in fresh for after in TABLE[state].values()} - reached
    assert reached == set(State)


def test_live_states_are_those_from_which_a_plan_can_come_to_run_or_is_running() -> None:
    def leads_to_a_run(state: State) -> bool:
        """Without a new revision, which would name anew what it needs."""
        seen, fresh = set(), {state}
        while fresh:
            seen |= fresh
            fresh = {a for s in fresh for e, a in TABLE[s].items() if e is not Event.REVISE} - seen
        return bool(seen & UNFINISHED)

    assert {state for state in State if leads_to_a_run(state)} <= LIVE


def test_a_preview_is_kept_as_long_as_it_may_be_carried_out_as_it_is() -> None:
    def leads_to_a_run(state: State) -> bool:
        """Without being previewed anew."""
        seen, fresh = set(), {state}
        anew = {Event.REVISE, Event.PREVIEW, Event.FIND_ERRORS}
        while fresh:
            seen |= fresh
            fresh = {a for s in fresh for e, a in TABLE[s].items() if e not in anew} - seen
        return bool(seen & UNFINISHED)

    assert {state for state in State if leads_to_a_run(state)} == AS_PREVIEWED


def test_the_diagram_shows_every_arrow_of_the_table_and_no_other() -> None:
    lines = [line.strip() for line in diagram().splitlines()]
    assert lines[0] == "stateDiagram-v2"
    drawn = set()
    for line in lines:
        if " --> " in line and not line.startswith("[*]"):
            ends, events = line.split(": ")
            before, after = (end.replace("_", "-") for end in ends.split(" --> "))
            drawn |= {(before, event, after) for event in events.split(", ")}
    assert drawn == {(s.value, e.value, a.value) for s, row in TABLE.items() for e, a in row.items()}
