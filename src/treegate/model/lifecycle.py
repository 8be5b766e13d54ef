"""The lifecycle of a plan: states x events, one table; the diagram in docs/ is made from it.

What the table does not list is refused, with an error that says why in terms of
the state: a rejected plan is `Rejected`, one whose approval ran out is
`Expired` and never a denial.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from treegate.errors import Busy, Denied, Expired, NeedsRecovery, PlanError, Rejected, Stale, TreegateError


class State(StrEnum):
    """Where a plan stands."""

    DRAFT = "draft"  # stored, not previewed
    INVALID = "invalid"
    PENDING = "pending"
    CHANGES_REQUESTED = "changes-requested"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    STALE = "stale"
    APPLYING = "applying"
    APPLIED = "applied"
    ROLLED_BACK = "rolled-back"  # the tree is as before
    NEEDS_RECOVERY = "needs-recovery"
    UNDONE = "undone"


class Event(StrEnum):
    """What can happen to a plan."""

    REVISE = "revise"  # a new revision, which starts undecided
    PREVIEW = "preview"  # previewed without errors; also by `refresh`
    FIND_ERRORS = "find-errors"  # previewed, with errors
    APPROVE = "approve"  # the last approval that policy asks for is in
    REJECT = "reject"
    REQUEST_CHANGES = "request-changes"
    REVOKE = "revoke"  # an approval is taken back
    EXPIRE = "expire"
    WITHDRAW = "withdraw"
    GO_STALE = "go-stale"  # the tree is no longer as previewed
    APPLY = "apply"
    GIVE_BACK = "give-back"  # the run never began: the approval is as before
    FINISH = "finish"
    ROLL_BACK = "roll-back"
    HALT = "halt"  # the run stopped midway
    UNDO = "undo"  # another run took all of it back
    REDO = "redo"  # that undo was itself undone


_REVISABLE = {Event.REVISE: State.DRAFT, Event.WITHDRAW: State.WITHDRAWN}
_PREVIEWABLE = {**_REVISABLE, Event.PREVIEW: State.PENDING, Event.FIND_ERRORS: State.INVALID}
_DECIDABLE = {
    **_PREVIEWABLE,
    Event.APPROVE: State.APPROVED,
    Event.REJECT: State.REJECTED,
    Event.REQUEST_CHANGES: State.CHANGES_REQUESTED,
    Event.REVOKE: State.PENDING,
    Event.GO_STALE: State.STALE,
}
_ENDING = {Event.FINISH: State.APPLIED, Event.ROLL_BACK: State.ROLLED_BACK, Event.HALT: State.NEEDS_RECOVERY}

TABLE: Mapping[State, Mapping[Event, State]] = {
    State.DRAFT: _PREVIEWABLE,
    State.INVALID: _PREVIEWABLE,
    State.PENDING: _DECIDABLE,
    State.CHANGES_REQUESTED: {**_REVISABLE, Event.REJECT: State.REJECTED},
    State.APPROVED: {**_DECIDABLE, Event.EXPIRE: State.EXPIRED, Event.APPLY: State.APPLYING},
    State.REJECTED: {Event.REVISE: State.DRAFT},
    State.EXPIRED: {**_PREVIEWABLE, Event.GO_STALE: State.STALE},
    State.WITHDRAWN: {},
    State.STALE: {**_PREVIEWABLE, Event.GO_STALE: State.STALE},
    State.APPLYING: {**_ENDING, Event.GIVE_BACK: State.APPROVED, Event.GO_STALE: State.STALE},
    State.APPLIED: {Event.UNDO: State.UNDONE},
    State.ROLLED_BACK: _PREVIEWABLE,
    State.NEEDS_RECOVERY: {**_ENDING, Event.GIVE_BACK: State.APPROVED},  # halted before its journal began
    State.UNDONE: {Event.REDO: State.APPLIED},
}

LIVE = frozenset(
    state for state in State if state not in {State.REJECTED, State.WITHDRAWN, State.APPLIED, State.UNDONE}
)
"""States from which a plan may still be carried out: what it names in a vault must be kept."""

UNFINISHED = frozenset({State.APPLYING, State.NEEDS_RECOVERY})
"""States in which a run is under way, or stopped midway."""

AS_PREVIEWED = UNFINISHED | {State.PENDING, State.APPROVED}
"""States in which the newest preview may still be carried out as it is: its step table must be kept."""


class WrongState(Denied):
    """A plan or a run is not in the state for what was asked; whoever asked may do it in another."""

    http_status = 409


class _Refusal(NamedTuple):
    """Why a state does not let something happen, and what to do about it."""

    error: type[TreegateError]
    code: str
    says: str  # completes "plan pl_x ..."
    hint: str
    next: str  # "{plan}" stands for the id


_REFUSED: Mapping[State, _Refusal] = {
    State.DRAFT: _Refusal(
        WrongState,
        "not-previewed",
        "is a draft that was never previewed",
        "have it previewed on the tree as it is now",
        "refresh {plan}",
    ),
    State.INVALID: _Refusal(
        PlanError, "plan-invalid", "has errors", "repair what its problems name, then revise it", "revise {plan} PLAN"
    ),
    State.PENDING: _Refusal(WrongState, "still-pending", "waits for a decision", "decide on it first", "show {plan}"),
    State.CHANGES_REQUESTED: _Refusal(
        WrongState,
        "changes-requested",
        "was sent back for changes",
        "change it as the reviewer asked, and revise it",
        "revise {plan} PLAN",
    ),
    State.APPROVED: _Refusal(
        WrongState, "not-applied", "is approved and not applied yet", "apply it", "apply {plan}"
    ),
    State.REJECTED: _Refusal(
        Rejected,
        "already-rejected",
        "was rejected",
        "the reviewer's comment says why; a revision starts undecided",
        "revise {plan} PLAN",
    ),
    State.EXPIRED: _Refusal(
        Expired,
        "approval-expired",
        "was approved, but the approval ran out before it was applied",
        "refresh it: it is previewed on the tree as it is now, and decided on again",
        "refresh {plan}",
    ),
    State.WITHDRAWN: _Refusal(
        WrongState, "withdrawn", "was withdrawn by its author", "submit it anew as a plan of its own", "submit PLAN"
    ),
    State.STALE: _Refusal(
        Stale,
        "stale",
        "was previewed on a tree that has changed since",
        "refresh it: it is previewed on the tree as it is now, and decided on again",
        "refresh {plan}",
    ),
    State.APPLYING: _Refusal(
        Busy,
        "already-applying",
        "is being applied",
        "wait for the run to end; if its process died, recover",
        "show {plan}",
    ),
    State.APPLIED: _Refusal(
        WrongState,
        "already-applied",
        "is applied",
        "undo it, or submit what is still to be done as a new plan",
        "undo",
    ),
    State.ROLLED_BACK: _Refusal(
        WrongState,
        "approval-used",
        "failed midway and was taken back; its approval is used up",
        "refresh it: it is previewed on the tree as it is now, and decided on again",
        "refresh {plan}",
    ),
    State.NEEDS_RECOVERY: _Refusal(
        NeedsRecovery,
        "needs-recovery",
        "was stopped midway",
        "finish the run or take it back: nothing else may touch its cases before",
        "recover",
    ),
    State.UNDONE: _Refusal(
        WrongState, "already-undone", "was applied and undone", "submit it anew as a plan of its own", "submit PLAN"
    ),
}

_NOT_APPROVED = _Refusal(
    WrongState, "not-approved", "is not approved", "have a reviewer approve exactly this preview", "approve {plan}"
)
_NOT_APPLIED = _Refusal(
    WrongState, "not-applied", "is not applied, so there is nothing to undo", "see where it stands", "show {plan}"
)
_UNAPPLIED = frozenset(State) - UNFINISHED - {State.APPLIED, State.UNDONE}

_REFUSED_EVENT: Mapping[tuple[State, Event], _Refusal] = {
    **{(s, Event.APPLY): _NOT_APPROVED for s in (State.DRAFT, State.PENDING, State.CHANGES_REQUESTED)},
    **{(s, Event.UNDO): _NOT_APPLIED for s in _UNAPPLIED},
}


def next_state(state: State, event: Event, plan: str = "") -> State:
    """The state that `event` leads to; `plan` is the id that messages name.

    Raises the refusal of the state: WrongState, PlanError, Rejected, Expired, Stale, Busy or NeedsRecovery.
    """
    after = TABLE[state].get(event)
    if after is None:
        raise refusal(state, event, plan)
    return after


def refusal(state: State, event: Event, plan: str = "") -> TreegateError:
    """The error that says why `event` cannot happen to a plan in `state`."""
    why = _REFUSED_EVENT.get((state, event)) or _REFUSED[state]
    return why.error(
        f"plan {plan} {why.says}" if plan else f"the plan {why.says}",
        code=why.code,
        hint=why.hint,
        next="treegate " + why.next.format(plan=plan or "ID"),
    )


def diagram() -> str:
    """The table as a Mermaid state diagram; events with the same two ends share an arrow."""
    arrows: dict[tuple[State, State], list[str]] = {}
    for state, row in TABLE.items():
        for event, after in row.items():
            arrows.setdefault((state, after), []).append(event.value)
    lines = ["stateDiagram-v2"]
    lines += [f'    state "{state}" as {_alias(state)}' for state in State if "-" in state]
    lines += ["    [*] --> draft"]
    lines += [f"    {_alias(a)} --> {_alias(b)}: {', '.join(events)}" for (a, b), events in arrows.items()]
    return "\n".join(lines) + "\n"


def _alias(state: State) -> str:
    return state.value.replace("-", "_")
