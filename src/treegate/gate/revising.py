"""Revising: a plan changed by its author, looked at anew on the tree as it is, taken back."""

from __future__ import annotations

from treegate.engine.store import Transaction
from treegate.engine.store.records import StoredPlan
from treegate.errors import Denied
from treegate.gate import origins, plans
from treegate.gate.core import Core
from treegate.gate.plans import Submitted, Then
from treegate.model.actors import Action, Role
from treegate.model.lifecycle import TABLE, Event, next_state
from treegate.model.plan import Plan
from treegate.model.problems import Problem
from treegate.model.seal import About


def revise(
    core: Core,
    prefix: str,
    plan: Plan,
    expected: int | None = None,
    *,
    then: Then | None = None,
    found: tuple[Problem, ...] = (),
) -> Submitted:
    """Stores a new revision of a plan and its preview; it starts undecided.

    `expected` is the revision that the author had before them. Raises Denied "not-your-plan" for another author's
    plan, Stale "revision-not-current", or the refusal of the plan's state. `then` and `found` are as for `submit`.
    """
    old = core.find_plan(prefix)
    check_may_change(core, old)
    next_state(old.state, Event.REVISE, old.id)
    return new_revision(
        core, old, plan, expected=old.revision if expected is None else expected, then=then, found=found
    )


def new_revision(
    core: Core,
    old: StoredPlan,
    plan: Plan,
    *,
    expected: int,
    author: str = "",
    reduces: str = "",
    then: Then | None = None,
    found: tuple[Problem, ...] = (),
) -> Submitted:
    """Stores a document as the next revision of a plan, written by `author` (else by who acts)."""
    core.check_age()

    def enter(transaction: Transaction, cases: list[str]) -> None:
        transaction.add_revision(
            old.id,
            cases=cases,
            title=plan.title,
            document=plan.document,
            plan_digest=plan.digest,
            by=core.by(),
            author=author,
            reduces=reduces,
            expected=expected,
            claims=plans.claims(plan),
        )

    said = found or origins.found(core, old.id)
    about = About(core.workspace.id, old.id, expected + 1, author or core.actor.name, found=said)
    return plans.store(core, plan, about, enter, then)


def check_may_change(core: Core, plan: StoredPlan) -> None:
    """Raises Denied where who acts may not give the plan another content."""
    core.actor.require(Action.PROPOSE, plan.cases)
    check_no_undo(plan)
    if core.actor.role is Role.AUTHOR and core.actor.name not in plans.authors(core, plan):
        raise _not_yours(core, plan)


def check_no_undo(plan: StoredPlan) -> None:
    """Raises Denied for a plan that takes a run back: its effects are those of the run."""
    if plan.undo_of is not None:
        raise Denied(
            f"plan {plan.id} takes run {plan.undo_of} back: treegate wrote it, and it is not changed by hand",
            code="undo-plan",
            hint="withdraw it, and undo what is wanted of the run with --path",
            next=f"treegate withdraw {plan.id}",
        )


def _not_yours(core: Core, plan: StoredPlan) -> Denied:
    return Denied(
        f"plan {plan.id} is {plan.author}'s, not {core.actor.name}'s",
        code="not-your-plan",
        hint="hand in a plan of your own, or ask its author",
        next=f"treegate show {plan.id}",
    )


def refresh(core: Core, prefix: str, then: Then | None = None) -> Submitted:
    """Previews a plan as it is on the tree as it is now; `then` is done with its preview.

    Nothing changes where the preview is the same and still stands; else the plan is undecided again.
    """
    plan = plans.settled(core, core.find_plan(prefix))
    core.actor.require(Action.PROPOSE, plan.cases)
    core.check_age()
    next_state(plan.state, Event.PREVIEW, plan.id)
    author = core.store.revisions(plan.id)[-1].author
    about = About(core.workspace.id, plan.id, plan.revision, author, plan.undo_of or "", origins.found(core, plan.id))
    document = Plan.decode(core.store.document(plan.id, plan.revision))
    return plans.store(
        core, document, about, lambda transaction, cases: transaction.rescope(plan.id, cases, plan.revision), then
    )


def withdraw(core: Core, prefix: str, comment: str = "") -> StoredPlan:
    """Takes a plan back before a run began on it; its author may, and so may an admin."""
    plan = core.find_plan(prefix)
    core.actor.require(Action.PROPOSE, plan.cases)
    if not _withdraws(core, plan):
        raise _not_yours(core, plan)
    with core.store.write() as transaction:
        return transaction.set_state(
            plan.id, Event.WITHDRAW, core.by(), data={"comment": comment} if comment else None
        )


def may_withdraw(core: Core, plan: StoredPlan) -> bool:
    """Whether whoever acts may take a plan back as it stands."""
    return (
        Event.WITHDRAW in TABLE[plan.state] and core.actor.may(Action.PROPOSE, plan.cases) and _withdraws(core, plan)
    )


def _withdraws(core: Core, plan: StoredPlan) -> bool:
    return core.actor.role is Role.ADMIN or core.actor.name in plans.authors(core, plan)
