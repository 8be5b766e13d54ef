"""Whether a plan has the approvals that policy asks for, and who is still missing."""

from __future__ import annotations

from collections.abc import Sequence

from treegate.engine import tokens
from treegate.engine.store import Reader, Transaction
from treegate.engine.store.records import Decision, StoredPlan, standing
from treegate.engine.tokens import Token
from treegate.errors import Denied, Stale
from treegate.gate.core import Core
from treegate.model import approvals
from treegate.model import policy as policies
from treegate.model.approvals import Missing, Yes
from treegate.model.lifecycle import Event, State
from treegate.model.preview import Preview


def refuse_changed_policy(core: Core, plan: StoredPlan, preview: Preview) -> None:
    """Raises Stale where policy (groups included) is no longer the one that the preview was sealed under."""
    if preview.policy_digest != policies.digest_of(core.config.policy):
        raise Stale(
            f"policy has changed since plan {plan.id} was previewed",
            code="policy-changed",
            hint="an approval is of what policy said at the preview too: preview it anew, then decide on that",
            next=f"treegate refresh {plan.id}",
        )


def authors(reader: Reader, plan: StoredPlan) -> set[str]:
    """Who wrote a plan as it stands: who handed it in, and who revised it last."""
    return {plan.author, reader.revisions(plan.id)[-1].author}


def counting(reader: Reader, core: Core, decisions: Sequence[Decision], plan: StoredPlan) -> list[Yes]:
    """The approvals that count: those that stand, by whoever may approve and still holds their token."""
    out = _barred(reader, core, plan)
    known = tokens.tokens(reader)
    return [
        Yes(decision.reviewer, decision.role)
        for decision in standing(list(decisions))
        if decision.reviewer not in out and not _revoked(decision, known)
    ]


def _barred(reader: Reader, core: Core, plan: StoredPlan) -> set[str]:
    """Who may not approve a plan, for it is their own."""
    return set() if core.config.policy.approval.own else authors(reader, plan)


def _revoked(decision: Decision, known: Sequence[Token]) -> bool:
    """Whether the token that a decision was made with was revoked: someone else may have had it.

    A decision names a person and a role, not a token. So one made before any token of theirs was revoked does not
    count, nor one by a person whose tokens are all revoked (a clock that went back hides which came first).
    """
    theirs = [token for token in known if (token.name, token.role.value) == (decision.reviewer, decision.role)]
    ended = [token.revoked_at for token in theirs if token.revoked_at is not None]
    return bool(ended) and (len(ended) == len(theirs) or max(ended) >= decision.at)


DIRECT, BY_POLICY = "policy: sandbox.direct", "policy"
"""The name and role of an approval that policy gives to what a command did; no person has that role."""


def missing(reader: Reader, core: Core, plan: StoredPlan, preview: Preview) -> list[Missing]:
    """What the newest preview of a plan still waits for."""
    decisions = reader.decisions_on(plan.preview) if plan.preview is not None else []
    if core.config.sandbox.direct and any(one.role == BY_POLICY for one in standing(decisions)):
        return []
    decisions = [one for one in decisions if one.role != BY_POLICY]
    given = counting(reader, core, decisions, plan)
    return approvals.missing(preview.approvals, given, core.config.policy.groups)


def waiting(core: Core, plan: StoredPlan, preview: Preview) -> str:
    """Who is missing, in words."""
    decisions = core.store.decisions_on(plan.preview) if plan.preview is not None else []
    given = counting(core.store, core, decisions, plan)
    groups = core.config.policy.groups
    found = approvals.missing(preview.approvals, given, groups)
    return approvals.waiting(found, groups, given, sorted(_barred(core.store, core, plan)))


def wants(core: Core, plan: StoredPlan, preview: Preview) -> bool:
    """Whether an approval by the one who asks would bring a plan nearer to what policy asks for."""
    decisions = core.store.decisions_on(plan.preview) if plan.preview is not None else []
    actor, groups = core.actor, core.config.policy.groups
    said = {decision.reviewer for decision in standing(decisions)}
    if actor.name in said | _barred(core.store, core, plan):
        return False
    found = missing(core.store, core, plan, preview)
    return any(approvals.counts_for(one.people, Yes(actor.name, actor.role.value), groups) for one in found)


def by_policy(core: Core, transaction: Transaction, plan_id: str, preview: Preview) -> None:
    """Approves a plan that was just previewed, where policy asks nobody; it is not applied by itself.

    `policy.apply.on_approval` is about the last person's approval, and here no person has looked.
    """
    plan = transaction.plan(plan_id)
    if plan.state is not State.PENDING or preview.approvals.required:
        return
    by = core.by()
    transaction.set_state(
        plan_id,
        Event.APPROVE,
        by,
        data={"by": "policy", "digest": preview.digest, "why": list(preview.approvals.why)},
        expires_at=by.at + core.config.policy.approval.expires,
    )


def refuse_lapsed(core: Core, transaction: Transaction, plan: StoredPlan, preview: Preview) -> None:
    """Raises Stale or Denied where what approved a plan no longer does: policy changed, or a token was revoked."""
    refuse_changed_policy(core, plan, preview)
    found = missing(transaction, core, plan, preview)
    if found:
        groups = core.config.policy.groups
        raise Denied(
            f"an approval of plan {plan.id} counts no more, for its giver's token or sandbox.direct was revoked; "
            f"it waits for {approvals.waiting(found, groups, ())}",
            code="approval-lapsed",
            hint="have someone else approve it; nothing was done, and the other approvals stand",
            next=f"treegate approve {plan.id}",
        )
