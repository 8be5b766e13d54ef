"""What waits for whom: the whole workspace at a glance, and one plan until it is decided or applied."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Literal

import msgspec

from treegate.engine.pauses import Pause
from treegate.engine.store.records import Run, StoredPlan
from treegate.errors import TreegateError, Waiting
from treegate.gate import approving, pausing, plans
from treegate.gate.core import Core
from treegate.gate.sandboxing import looking as sandboxes
from treegate.gate.sandboxing.telling import Command, told
from treegate.model import commands
from treegate.model.actors import Action, Role
from treegate.model.lifecycle import Event, State, refusal
from treegate.model.preview import Preview

Until = Literal["decided", "applied"]

OPEN = (
    State.PENDING,
    State.APPROVED,
    State.APPLYING,
    State.NEEDS_RECOVERY,
    State.INVALID,
    State.CHANGES_REQUESTED,
    State.DRAFT,
    State.STALE,
    State.EXPIRED,
    State.ROLLED_BACK,
)
"""States in which somebody is waited for, the most urgent first within what is listed."""

MOST_LISTED = 1000  # plans of a status; the others are counted
_SHORTEST, _LONGEST = 0.05, 1.0  # seconds between two looks at a plan that is waited for


class Risk(msgspec.Struct, frozen=True, kw_only=True):
    """What of a plan wants a careful look, counted; all 0 for one that is not previewed."""

    effects: int = 0
    bytes: int = 0  # what is touched holds
    deleted: int = 0
    deleted_files: int = 0  # with what folders hold
    replaced: int = 0
    crossing: int = 0  # leave their case
    errors: int = 0
    odd: int = 0


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """A plan that waits, for whom, and whether for the one who asks."""

    plan: StoredPlan
    summary: str
    waiting_for: str
    mine: bool
    risk: Risk


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """The workspace at a glance, oldest plan first; times in milliseconds since 1970, UTC."""

    paused: list[Pause]
    unrecovered: list[Run]
    waiting: list[Item]
    more: int  # plans that wait and are not listed
    commands: list[Command] = []  # that wait for somebody, or run


def status(core: Core, case: str | None = None) -> Status:
    """What waits for whom, what is paused, which runs are unfinished."""
    found, after = core.store.list_plans(OPEN, case, MOST_LISTED, within=core.actor.cases)
    seen = [plans.settled(core, plan) for plan in found]
    unfinished = core.store.unfinished(None if case is None else [case])
    return Status(
        paused=pausing.seen(core),
        unrecovered=[run for run in unfinished if core.actor.sees(run.cases)],
        waiting=[_item(core, plan) for plan in reversed(seen)],
        more=0 if after is None else core.store.count_plans(OPEN, case, core.actor.cases) - MOST_LISTED,
        commands=_commands(core, case),
    )


def _commands(core: Core, case: str | None) -> list[Command]:
    """The commands that wait for somebody, or run, oldest first."""
    found = sandboxes.listed(core, [commands.State.WAITING, commands.State.RUNNING], case, MOST_LISTED)
    open_ = {commands.State.WAITING, commands.State.RUNNING}
    return [told(core, one) for one in reversed(found) if one.state in open_]


def _item(core: Core, plan: StoredPlan) -> Item:
    preview = plans.model_of(core, plan) if plan.preview is not None else None
    return Item(
        plan=plan,
        summary=preview.summary if preview is not None else "",
        waiting_for=plans.waiting_for(core, plan, preview),
        mine=_mine(core, plan, preview),
        risk=_risk(preview) if preview is not None else Risk(),
    )


def _risk(preview: Preview) -> Risk:
    counts = preview.counts
    return Risk(
        effects=counts.effects,
        bytes=counts.bytes,
        deleted=counts.deleted,
        deleted_files=counts.deleted_files,
        replaced=counts.replaced,
        crossing=counts.crossing,
        errors=preview.errors,
        odd=preview.oddity_count + sum(one.code.startswith("sandbox-") for one in preview.problems),
    )


def _mine(core: Core, plan: StoredPlan, preview: Preview | None) -> bool:
    """Whether it is the turn of the one who asks."""
    actor = core.actor
    if plan.state is State.PENDING and preview is not None:
        return actor.may(Action.DECIDE, plan.cases) and approving.wants(core, plan, preview)
    if plan.state is State.APPROVED:
        return actor.may(Action.APPLY, plan.cases, [Role(role) for role in core.config.policy.apply.by])
    if plan.state in (State.NEEDS_RECOVERY, State.APPLYING):
        return plan.state is State.NEEDS_RECOVERY and actor.may(Action.RECOVER, plan.cases)
    return actor.name in plans.authors(core, plan)


_DECIDED = frozenset(State) - {State.DRAFT, State.PENDING}
_NOT_YET = {
    "decided": frozenset(State) - _DECIDED,
    "applied": frozenset({State.DRAFT, State.PENDING, State.APPROVED, State.APPLYING}),
}
_WELL = {
    "decided": frozenset({State.APPROVED, State.APPLYING, State.APPLIED, State.UNDONE}),
    "applied": frozenset({State.APPLIED, State.UNDONE}),
}


def wait(
    core: Core,
    prefix: str,
    until: Until,
    timeout: float | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> StoredPlan:
    """Waits until a plan is decided or applied; `timeout` in seconds, by a clock that never jumps.

    Raises Waiting when the time is up; and, where the plan ended otherwise, the refusal of its state: Rejected,
    Expired, Stale, PlanError, Denied (changes requested, withdrawn), RolledBack, NeedsRecovery.
    """
    id = core.find_plan(prefix).id

    def look() -> StoredPlan:
        plan = plans.settled(core, core.store.plan(id))
        core.actor.require(Action.READ, plan.cases)
        return plan

    return looked_at(look, lambda plan: plans.waiting_for(core, plan), until, timeout, cancelled)


def looked_at(
    look: Callable[[], StoredPlan],
    whom: Callable[[StoredPlan], str],
    until: Until,
    timeout: float | None,
    cancelled: Callable[[], bool],
) -> StoredPlan:
    """The same, from wherever the plan is looked at; `whom` says in words whom it waits for."""
    for _ in looks(timeout):
        plan = look()
        if plan.state in _WELL[until]:
            return plan
        if plan.state not in _NOT_YET[until]:
            raise _otherwise(plan)
        if cancelled():
            break
    raise Waiting(
        f"plan {plan.id} is {plan.state}, not {until} yet: it waits for {whom(plan) or 'its run'}",
        hint="wait longer, or look again later",
        next=f"treegate show {plan.id}",
    )


def looks(timeout: float | None) -> Iterator[None]:
    """One look at once, then ever fewer, then one when the time is up."""
    end, pause = None if timeout is None else time.monotonic() + timeout, _SHORTEST
    while True:
        yield
        left = _LONGEST if end is None else end - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(pause, left))
        pause = min(pause * 1.5, _LONGEST)


def _otherwise(plan: StoredPlan) -> TreegateError:
    return refusal(plan.state, Event.APPLY, plan.id)
