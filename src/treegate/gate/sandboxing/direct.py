"""Direct: what a command did is applied as soon as it ends, where policy lets that be, approved by that policy.

The approval is a decision like any other, with a name and a role that no person can have, so that receipt and audit
log tell it from a person's. It stands for what policy asks of every plan. Where a rule asks for somebody, the plan
waits for them: that rule was written for such plans.
"""

from __future__ import annotations

from treegate.engine.sandboxes import Sandbox
from treegate.engine.store import Transaction
from treegate.engine.store.records import By, Verdict
from treegate.gate import approving, plans, runs
from treegate.gate.core import Core
from treegate.gate.sandboxing import deciding
from treegate.model.approvals import BASE
from treegate.model.commands import line_of
from treegate.model.lifecycle import State
from treegate.model.preview import Preview


def approve(core: Core, transaction: Transaction, sandbox: Sandbox, plan_id: str) -> str:
    """Approves the plan that came of a command, in the transaction that stores it; why not, or ""."""
    plan = transaction.plan(plan_id)
    if plan.state is State.APPROVED:  # policy asks for nobody
        return ""
    if plan.state is not State.PENDING or plan.digest is None:
        return f"the plan is {plan.state.value}"
    preview = plans.model_of(core, plan, transaction)
    why_not = _refused(core, preview)
    if why_not:
        return why_not
    at = core.clock()
    transaction.decide(
        plan_id,
        digest=plan.digest,
        verdict=Verdict.APPROVE,
        by=By(approving.DIRECT, core.actor.channel, at, approving.BY_POLICY),
        comment=f"{core.actor.name} ran `{line_of(sandbox.command)}` with --direct ({sandbox.id})",
        expires_at=at + core.config.policy.approval.expires,
    )
    return ""


def _refused(core: Core, preview: Preview) -> str:
    """Why what a command did is not applied without anybody."""
    if not core.config.sandbox.direct:
        return "sandbox.direct was taken back meanwhile"
    if not deciding.still_holds(core):
        return f"the token of {core.actor.name} was revoked or has expired meanwhile"
    rules = [rule for rule in preview.approvals.rules if rule.required and rule.rule != BASE]
    if rules:
        return f"a rule of policy asks for somebody: {', '.join(rule.rule for rule in rules)}"
    return "" if runs.may_for(core, preview.cases) else f"{core.actor.name} may not apply plans"
