"""Following a plan: where it stands, what people said of it, and carrying out what they approved."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Any, Literal

from msgspec import Meta

from treegate.errors import TreegateError, Waiting
from treegate.interfaces.agent import telling
from treegate.interfaces.agent.desk import Desk
from treegate.interfaces.agent.proposing import PlanId
from treegate.interfaces.agent.tool import Taken, Tool
from treegate.model.lifecycle import State

MOST_SECONDS = 300
_MOST_LISTED = 30  # plans
_NOT_YET = {"decided": ("draft", "pending"), "applied": ("draft", "pending", "approved", "applying")}


class PlanStatus(Taken, frozen=True, kw_only=True):
    """A plan, or all that are open."""

    id: Annotated[str, Meta(description="A plan's id; without one, the plans that wait.", max_length=64)] = ""


class WaitForDecision(Taken, frozen=True, kw_only=True):
    """A plan that is waited for."""

    id: PlanId
    until: Annotated[
        Literal["decided", "applied"], Meta(description="Until a person decided, or until it is carried out.")
    ] = "decided"
    seconds: Annotated[float, Meta(ge=0, le=MOST_SECONDS, description="How long to wait in this call.")] = 30.0


class ApplyPlan(Taken, frozen=True, kw_only=True):
    """A plan that was approved."""

    id: PlanId


def plan_status(desk: Desk, asked: PlanStatus) -> dict[str, Any]:
    """Where a plan stands; without one, what waits."""
    if asked.id:
        return standing(desk, asked.id)
    found = desk.door.status()
    waiting = [
        {
            "plan": item.plan.id,
            "title": item.plan.title[:80],
            "author": item.plan.author,
            "state": item.plan.state.value,
            "waiting_for": item.waiting_for,
            "your_turn": item.mine,
        }
        for item in found.waiting[:_MOST_LISTED]
    ]
    more = len(found.waiting) - len(waiting) + found.more
    return {"plans": waiting, "paused": bool(found.paused), **({"more": more} if more else {})}


def standing(desk: Desk, id: str) -> dict[str, Any]:
    """Where a plan stands, with its run once there is one."""
    plan = desk.door.plan(id)
    told = telling.standing(plan, desk.door.waiting_for(plan.id), desk.door.decisions(plan.id))
    if plan.state is State.INVALID:
        told |= telling.listed(desk.door.show(plan.id).preview.problems)
    if plan.state in (State.APPLYING, State.APPLIED, State.ROLLED_BACK, State.UNDONE, State.NEEDS_RECOVERY):
        run = desk.door.show(plan.id).run
        told |= {"run": run.id} if run is not None else {}
    return told


def wait_for_decision(desk: Desk, asked: WaitForDecision) -> dict[str, Any]:
    """Waits, and says where the plan stands then; what people said is in `decisions`."""
    with suppress(TreegateError):  # however it ended, where it stands tells it
        desk.door.wait(asked.id, asked.until, asked.seconds)
    told = standing(desk, asked.id)
    if told["state"] in _NOT_YET[asked.until]:
        told["next"] = "not yet: call wait_for_decision again, or do something else meanwhile"
    return told


def apply_plan(desk: Desk, asked: ApplyPlan) -> dict[str, Any]:
    """Carries out what a person approved, if policy lets authors do that and nothing changed since."""
    try:
        applied = desk.door.apply(asked.id)
    except Waiting:
        return standing(desk, asked.id)
    told: dict[str, Any] = {
        "plan": applied.id,
        "run": applied.run,
        "state": applied.state,
        "seconds": applied.seconds,
    }
    if applied.receipt is not None:
        told["effects"] = applied.receipt.counts.effects
        told["kept_in_vault"] = applied.kept
    told["next"] = telling.NEXT[State(applied.state)]
    return told


WAIT = Tool(
    name="wait_for_decision",
    says="Wait until a person decided on your plan (or it is carried out). Nobody but a person can decide; "
    "a comment that asks for changes comes with the operations that it is `about`.",
    takes=WaitForDecision,
    does=wait_for_decision,
    reads=True,
    repeats=True,
)

TOOLS = (
    Tool(
        name="plan_status",
        says="Where a plan stands, whose turn it is, what reviewers said; without an id, which plans wait.",
        takes=PlanStatus,
        does=plan_status,
        reads=True,
        repeats=True,
    ),
    WAIT,
    Tool(
        name="apply_plan",
        says="Carry out a plan that a person approved, exactly as approved; refused if anything changed since.",
        takes=ApplyPlan,
        does=apply_plan,
        destroys=True,
        repeats=True,
    ),
)
