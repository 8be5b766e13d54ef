"""Notices: rows of the audit log as notifications, one after the other for each sink."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec

from treegate.engine import audit, outbox, sandboxes
from treegate.engine.audit import AuditRow
from treegate.engine.outbox import Place, Post
from treegate.engine.store.records import StoredPlan
from treegate.errors import NotFound
from treegate.gate import deciding, plans, standing
from treegate.gate.core import Core
from treegate.model import commands
from treegate.model.lifecycle import State
from treegate.model.names import visible
from treegate.model.notification import KINDS, About, Kind, Notification
from treegate.render import words
from treegate.render.text import clip, inert

MANY = 1000  # rows of the audit log that tell nothing, and are looked through each time; more are passed for good
_LINE = 200  # columns of a command that are told
_GRAVE = {"rolled-back", "needs-recovery"}  # ends of a run that somebody has to see to
_DECIDED = {
    "approve": "approved",
    "reject": "rejected",
    "request-changes": "asked for changes to",
    "revoke": "took back the approval of",
}
_CHANGED = {
    "revised": "was revised by {who}",
    "reduced": "was reduced by {who}",
    "withdraw": "was withdrawn by {who}",
    "go-stale": "is stale: the files have changed since it was previewed",
    "expire": "was approved, and that has run out unused",
}


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """What a sink is to be told next; `doubtful` where it may have been told already, at `since` (ms)."""

    notification: Notification
    doubtful: bool
    since: int


def next_for(core: Core, sink: str, kinds: Collection[str]) -> Due | None:
    """What a sink is to be told next; None where it knows all. A new sink is told what happens from now on."""
    here, head = place(core, sink), audit.head(core.store).seq  # the head first: what comes later is looked at later
    events = [event for event, kind in KINDS.items() if kind in kinds]
    seq = here.seq
    while row := outbox.following(core.store, seq, events):
        found = _notification(core, row)
        if found is not None:
            return Due(notification=found, doubtful=here.trying == row.seq, since=here.tried_at or row.at)
        seq = row.seq
    if head - here.seq > MANY:
        told(core, sink, head, None)
    return None


def place(core: Core, sink: str) -> Place:
    """How far a sink is; one that nobody has seen yet begins now."""
    found = outbox.place(core.store, sink)
    if found is not None:
        return found
    with core.store.write() as transaction:
        return outbox.place(transaction, sink) or outbox.enter(transaction, sink)


def trying(core: Core, sink: str, seq: int) -> None:
    """Notes that a sink is being told a row."""
    with core.store.write() as transaction:
        outbox.trying(transaction, sink, seq, core.clock())


def told(core: Core, sink: str, seq: int, post: Post | None) -> None:
    """Notes that a sink was told a row, and, where that left one, the message that speaks of its plan now."""
    with core.store.write() as transaction:
        outbox.told(transaction, sink, seq)
        if post is not None:
            outbox.keep_post(transaction, sink, post)


def failed(core: Core, sink: str, error: str, *, known: bool) -> None:
    """Notes that a sink could not be told; `known` where nothing can have arrived."""
    with core.store.write() as transaction:
        outbox.failed(transaction, sink, core.clock(), error[:500], known=known)


def about(core: Core, plan: StoredPlan) -> About:
    """What is told of a plan as it stands now."""
    now = plans.settled(core, plan)
    stored = core.store.preview(now.id) if now.preview is not None else None
    preview = None if stored is None else plans.model_in(core, stored)
    return About(
        id=now.id,
        title=now.title,
        cases=now.cases,
        author=now.author,
        state=now.state.value,
        revision=now.revision,
        digest=now.digest,
        preview=0 if stored is None else stored.seq,
        summary="" if preview is None else preview.summary,
        by_page=preview is not None and deciding.asks_to_type(core, preview.counts.deleted_files),
        standing=standing.of(core, now),
    )


def _notification(core: Core, row: AuditRow) -> Notification | None:
    """What a row tells; None where nobody has to hear of it."""
    data = msgspec.json.decode(row.data, type=dict[str, Any])
    plan = None if row.plan is None else about(core, core.store.plan(row.plan))
    kind = KINDS[row.event]
    if kind is Kind.ALERT_CLEARED and row.plan is not None:
        return None  # a reminder is over once the plan has moved on, which is told by itself
    if kind is Kind.PLAN_WAITING and not _asks(core, row, data):
        return None
    text = _text(core, row, plan, data)
    if not text:
        return None
    return Notification(
        seq=row.seq,
        at=row.at,
        kind=kind,
        event=row.event,
        actor=row.actor,
        channel=row.channel,
        workspace=core.workspace.id,
        text=text,
        grave=kind is Kind.ALERT_RAISED or data.get("outcome") in _GRAVE or row.event == "run-failed",
        plan=plan,
        run=row.run or "",
        data=data,
        link=_link(kind, row, data),
    )


def _asks(core: Core, row: AuditRow, data: dict[str, Any]) -> bool:
    """Whether a preview asked somebody: one with errors, or that policy approves by itself, does not."""
    if not data.get("valid") or row.plan is None:
        return False
    for stored in core.store.previews(row.plan):
        if stored.digest == data.get("digest"):
            return bool(plans.model_in(core, stored).approvals.required)
    return False


def _text(core: Core, row: AuditRow, plan: About | None, data: dict[str, Any]) -> str:
    named = _named(plan)
    if row.event == "previewed":
        return f"{named} waits for a decision: {plan.summary if plan is not None else ''}"
    if row.event in _DECIDED:
        said = standing.comment(str(data.get("comment", "")))
        return f"{visible(row.actor)} {_DECIDED[row.event]} {named}{f': {said}' if said else ''}"
    if row.event in _CHANGED:
        return f"{named} {_CHANGED[row.event].format(who=visible(row.actor))}"
    if row.event in {"run-ended", "undone"}:
        return _of_run(core, row, data)
    if row.event == "sandbox-asked":
        return _of_command(core, str(data["sandbox"]))
    if row.event == "run-failed":
        return f"{named} was to be carried out, and could not be: {data.get('message', '')}"
    if row.event == "alert-raised":
        return str(data["text"])
    if row.event == "alert-cleared":
        return f"No more: {data['text']}"
    return _of_gate(row, data)


def _of_gate(row: AuditRow, data: dict[str, Any]) -> str:
    cases = [visible(one if isinstance(one, str) else str(one.get("raw", ""))) for one in data.get("cases") or ()]
    said = f": {standing.comment(str(data['comment']))}" if data.get("comment") else ""
    return f"{visible(row.actor)} {row.event} {', '.join(cases) or 'the whole workspace'}{said}"


def _named(plan: About | None) -> str:
    if plan is None:
        return "A plan"
    return f"{visible(plan.title)} ({plan.id})" if plan.title else f"Plan {plan.id}"


def _of_run(core: Core, row: AuditRow, data: dict[str, Any]) -> str:
    try:
        run = core.store.run(row.run or "")
    except NotFound:
        return ""  # its approval was given back: it never was
    if row.event == "undone":
        if not data.get("whole"):
            return f"Undone in part: {words.plural(int(data.get('effects', 0)), 'effect')} of {run.id}"
        return standing.run_ended(msgspec.structs.replace(run, state=State.UNDONE), core)
    return standing.run_ended(msgspec.structs.replace(run, state=State(str(data["outcome"]))), core)


def _of_command(core: Core, id: str) -> str:
    """What is told of a command that was asked for: nothing unless it waits for somebody."""
    found = sandboxes.sandbox(core.store, id)
    if found.state is not commands.State.WAITING:
        return ""
    cases = ", ".join(map(visible, found.cases))
    line = clip(inert(commands.line_of(found.command)), _LINE)
    return (
        f"{visible(found.author)} asks to run `{line}` on {cases}; it waits for somebody to approve it ({found.id})"
    )


def _link(kind: Kind, row: AuditRow, data: dict[str, Any]) -> str:
    if row.run and kind is Kind.RUN_ENDED and row.event != "run-failed":
        return f"/ui/runs/{row.run}"
    if row.plan:
        return f"/ui/plans/{row.plan}"
    if kind is Kind.COMMAND_WAITING:
        return f"/ui/commands/{data['sandbox']}"
    return "/ui/health" if kind in {Kind.ALERT_RAISED, Kind.ALERT_CLEARED} else "/ui/"
