"""Policy told: why it asks what it asks of a plan; and a change of policy noted in the audit log."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from treegate.engine.sandbox.configured import Sandbox
from treegate.engine.store.records import Meta
from treegate.gate import approving, plans
from treegate.gate.core import Core
from treegate.gate.daily import day_of
from treegate.model import policy as policies
from treegate.model.actors import Action
from treegate.model.explaining import Explained, explained
from treegate.model.plan import Plan
from treegate.model.preview import Preview
from treegate.model.seal import About


def explain(core: Core, prefix: str) -> Explained:
    """What policy says of a stored plan, by its newest preview."""
    plan = plans.settled(core, core.find_plan(prefix))
    core.actor.require(Action.READ, plan.cases)
    preview = plans.model_of(core, plan)
    decisions = core.store.decisions_on(plan.preview) if plan.preview is not None else []
    return explained(
        core.config.policy,
        preview,
        _days(core, preview),
        approving.counting(core.store, core, decisions, plan),
        state=plan.state.value,
        waiting_for=plans.waiting_for(core, plan, preview),
        policy_changed=preview.policy_digest != policies.digest_of(core.config.policy),
    )


def explain_document(core: Core, plan: Plan) -> Explained:
    """What policy would say of a plan that is not handed in."""
    preview = plans.check(core, plan)
    return explained(
        core.config.policy, preview, _days(core, preview), (), state="", waiting_for="", policy_changed=False
    )


def _days(core: Core, preview: Preview) -> dict[str, Any]:
    """What counts already, in each case that loses something; taking a run back is limited by nothing."""
    if preview.undo_of:
        return {}
    day = day_of(core, About(core.workspace.id, preview.plan, author=preview.author))
    own = {run.id for run in core.store.runs(plan=preview.plan)} if preview.plan else set()
    days = {share.case: day(share.case) for share in preview.by_case}
    others = {case: tuple(deed for deed in found.done if deed.id not in own) for case, found in days.items()}
    return {case: found._replace(done=others[case]) for case, found in days.items()}


# --- a change of policy ----------------------------------------------------------------------------------------


def note_policy(core: Core, meta: Meta) -> None:
    """Writes an event where policy is not the one that was noted last; the first opening notes it too."""
    now = msgspec.json.encode(policies.canonical(core.config.policy), order="sorted").decode()
    if now == meta.policy:
        return
    with core.store.write() as transaction:
        before = transaction.meta().policy
        if now != before:
            changed = _changed(_leaves(before), _leaves(now)) if before else []
            transaction.note_policy(now, core.by(), old=_digest(before), new=_digest(now), changed=changed)


def note_trust(core: Core, meta: Meta) -> None:
    """Writes an event where status files of the queue count otherwise than was noted last; at first they do not."""
    now = core.config.queue.trust_status
    if now == meta.trusts:
        return
    with core.store.write() as transaction:
        if transaction.meta().trusts != now:
            transaction.note_trust(now, core.by())


def note_sandbox(core: Core, meta: Meta) -> None:
    """Writes an event where commands in sandboxes may do other than was noted last; at first, what is the default."""
    now = _of_sandboxes(core.config.sandbox)
    if now == (meta.sandbox or _of_sandboxes(Sandbox())):
        return
    with core.store.write() as transaction:
        before = transaction.meta().sandbox or _of_sandboxes(Sandbox())
        if before != now:
            old, new = _leaves(before), _leaves(now)
            transaction.note_sandbox(
                now, core.by(), sorted(f"sandbox.{key}" for key in new if old.get(key) != new[key])
            )


def _of_sandboxes(rules: Sandbox) -> str:
    """The part of the settings that is policy: what may run, and what may come of it without anybody."""
    kept = ("interpreters", "tools", "approve_command", "direct")
    return msgspec.json.encode({key: getattr(rules, key) for key in kept}, order="sorted").decode()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest() if text else ""


def _changed(before: dict[str, object], now: dict[str, object]) -> list[str]:
    """The keys whose values differ, as they stand in the file."""
    nothing = object()
    found = [key for key in before.keys() | now.keys() if before.get(key, nothing) != now.get(key, nothing)]
    return sorted(key if key.startswith("groups.") else f"policy.{key}" for key in found)


def _leaves(text: str) -> dict[str, object]:
    return dict(_walk("", msgspec.json.decode(text)))


def _walk(prefix: str, value: object) -> list[tuple[str, object]]:
    if not isinstance(value, dict):
        return [(prefix, value)]
    return [leaf for key, inner in value.items() for leaf in _walk(f"{prefix}.{key}" if prefix else key, inner)]
