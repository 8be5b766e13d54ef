"""Decisions: approve, reject, ask for changes, revoke; each on exactly what a digest names."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from treegate.engine.store import Transaction
from treegate.engine.store.records import Decision, StoredPlan, Verdict
from treegate.errors import Denied, PlanError, UsageError
from treegate.gate import approving, plans
from treegate.gate.core import Core
from treegate.gate.surveying import SAMPLE
from treegate.model import approvals
from treegate.model.actors import SLACK, WEB, Action
from treegate.model.effects import Text
from treegate.model.lifecycle import State

Then = Callable[[Transaction], object]  # what else is written in the transaction of a decision


class Pin(msgspec.Struct, frozen=True, kw_only=True, rename={"source": "from"}):
    """An effect or a pattern that a comment is about, and the operations that it came from."""

    id: str  # "e17", "p3"
    path: Text
    source: Text | None = None
    operations: tuple[int, ...] = ()


def approve(
    core: Core,
    prefix: str,
    digest: str,
    comment: str = "",
    *,
    sample: int | None = None,
    typed: int | None = None,
    then: Then | None = None,
) -> StoredPlan:
    """Approves exactly what a digest (from 12 characters) names; the last approval asked for approves the plan.

    Of a page: `sample` effects drawn by chance were shown on it, and `typed` is the number of files that go away, as
    the reviewer typed it.
    """
    plan = _decidable(core, prefix)
    _refuse_own(core, plan)
    full = plans.full_digest(plan, digest)
    _refuse_untyped(core, plan, typed)
    _refuse_unseen(core, plan, sample)
    by = core.by()
    with core.store.write() as transaction:
        transaction.expire_due(by)
        transaction.decide(
            plan.id,
            digest=full,
            verdict=Verdict.APPROVE,
            by=by,
            comment=comment,
            enough=_enough(core, transaction, plan),
            expires_at=by.at + core.config.policy.approval.expires,
            sample=sample,
        )
        if then is not None:
            then(transaction)
    return core.store.plan(plan.id)


def _refuse_own(core: Core, plan: StoredPlan) -> None:
    if is_own(core, plan):
        raise Denied(
            f"{core.actor.name} wrote plan {plan.id} and may not approve it",
            code="own-plan",
            hint="someone else has to look at it (or an admin sets policy.approval.own, as `init --solo` does)",
            next=f"treegate show {plan.id}",
        )


def reject(core: Core, prefix: str, digest: str, comment: str) -> StoredPlan:
    """Turns down what a digest names; the same digest is refused from then on, with the reason."""
    return _decide(core, prefix, digest, Verdict.REJECT, comment)


def request_changes(core: Core, prefix: str, digest: str, comment: str, pins: Iterable[str] = ()) -> StoredPlan:
    """Sends what a digest names back to its author, who is told what to change; a new revision starts undecided.

    `pins` are ids of the effects and patterns that the comment is about. Raises NotFound for one that there is not.
    """
    return _decide(core, prefix, digest, Verdict.REQUEST_CHANGES, comment, list(dict.fromkeys(pins)))


def revoke(core: Core, prefix: str, digest: str, comment: str = "") -> StoredPlan:
    """Takes one's own approval back, as long as no run has begun on it."""
    return _decide(core, prefix, digest, Verdict.REVOKE, comment)


def pins_of(decision: Decision) -> list[Pin]:
    """What a decision's comment is about."""
    return msgspec.json.decode(decision.pins, type=list[Pin]) if decision.pins else []


def is_own(core: Core, plan: StoredPlan) -> bool:
    """Whether it is the actor's own plan, which somebody else has to approve."""
    return not core.config.policy.approval.own and core.actor.name in plans.authors(core, plan)


def asks_to_type(core: Core, deleted_files: int) -> bool:
    """Whether an approval on the pages has to bring the number of files that go away, typed by whoever approves."""
    return deleted_files > core.config.policy.approval.typed_deletes


def _decidable(core: Core, prefix: str) -> StoredPlan:
    plan = plans.settled(core, core.find_plan(prefix))
    core.actor.require(Action.DECIDE, plan.cases)
    return plan


def _decide(
    core: Core, prefix: str, digest: str, verdict: Verdict, comment: str, pins: list[str] | None = None
) -> StoredPlan:
    plan = _decidable(core, prefix)
    if core.actor.channel in {WEB, SLACK} and verdict is not Verdict.REVOKE and not comment.strip():
        text = "write a word on it: its author has nothing else to go by"
        raise PlanError(
            text, code="comment-needed", hint="go back and say why, or what to change; nothing was decided"
        )
    full = plans.full_digest(plan, digest)
    pinned = msgspec.json.encode(_pins(core, plan, pins)).decode() if pins else None
    by = core.by()
    with core.store.write() as transaction:
        transaction.expire_due(by)
        transaction.decide(plan.id, digest=full, verdict=verdict, by=by, comment=comment, pins=pinned)
    return core.store.plan(plan.id)


def _pins(core: Core, plan: StoredPlan, ids: list[str]) -> list[Pin]:
    preview = plans.model_of(core, plan)
    patterns = {pattern.id: pattern for pattern in preview.patterns}
    made = []
    for id in ids:
        first = plans.positions(preview, [id])[0]
        effect = next(plans.effects_of(core, plan, first, 1))
        if id in patterns:
            path, source = patterns[id].to, patterns[id].source
        else:
            path, source = effect.path, effect.source
        made.append(Pin(id=id, path=path, source=source, operations=effect.operations))
    return made


def _refuse_untyped(core: Core, plan: StoredPlan, typed: int | None) -> None:
    """Raises PlanError where a page's approval lacks the number of files that go away, which policy wants typed."""
    if core.actor.channel not in {WEB, SLACK} or plan.state not in {State.PENDING, State.APPROVED}:
        return
    files = plans.model_of(core, plan).counts.deleted_files
    if core.actor.channel == SLACK and asks_to_type(core, files):
        raise Denied(
            f"the plan deletes {files:,} files: it is approved on its page, where that number is typed",
            code="approve-on-page",
            hint="open the plan's page; nothing was decided",
            next=f"treegate show {plan.id}",
        )
    if asks_to_type(core, files) and typed != files:
        raise PlanError(
            f"the plan deletes {files:,} files, and this number was not typed",
            code="number-not-typed",
            hint="type the number of files that go away, then approve; nothing was decided",
            next=f"treegate show {plan.id}",
        )


def _refuse_unseen(core: Core, plan: StoredPlan, sample: int | None) -> None:
    """Raises UsageError where more effects are said to have been shown than are ever drawn: it would be kept."""
    if sample is None or plan.state not in {State.PENDING, State.APPROVED}:
        return
    most = min(SAMPLE, plans.model_of(core, plan).counts.effects)
    if not 0 <= sample <= most:
        text = f"a sample of {sample:,} effects was not shown: it has {most:,}"
        raise UsageError(text, code="sample-invalid", hint="nothing was decided; open the plan again, then decide")


def _enough(core: Core, transaction: Transaction, plan: StoredPlan) -> Callable[[list[Decision]], bool] | None:
    """Says whether some decisions are all that policy asks for; raises Stale where policy has changed since."""
    if plan.state not in {State.PENDING, State.APPROVED}:
        return None  # the store says what the state does not let happen
    preview = plans.model_of(core, plan)
    approving.refuse_changed_policy(core, plan, preview)
    groups = core.config.policy.groups

    def enough(decisions: list[Decision]) -> bool:
        given = approving.counting(transaction, core, decisions, plan)
        return not approvals.missing(preview.approvals, given, groups)

    return enough
