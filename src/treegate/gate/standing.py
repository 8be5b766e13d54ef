"""Where a plan stands, in a sentence: who decided what, what came of it, whose turn it is."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from treegate.engine import jobs, receipts
from treegate.engine.store.records import Decision, Run, StoredPlan, Verdict, standing
from treegate.errors import TreegateError
from treegate.gate import plans
from treegate.gate.core import Core
from treegate.model.lifecycle import State
from treegate.model.names import visible
from treegate.render.receipts import counted

_SAID = {Verdict.REJECT: "Rejected", Verdict.REQUEST_CHANGES: "Changes asked for"}
_TURNED_DOWN = (State.REJECTED, State.CHANGES_REQUESTED)
_ENDED = {
    State.APPLYING: "It is being carried out",
    State.APPLIED: "It is applied",
    State.ROLLED_BACK: "Its run failed, and everything it had done was taken back",
    State.NEEDS_RECOVERY: "Its run was stopped midway and needs recovery",
    State.UNDONE: "It was applied, and is undone",
    State.WITHDRAWN: "It was withdrawn",
    State.EXPIRED: "Its approval ran out unused",
    State.STALE: "The files have changed since: it has to be refreshed",
    State.INVALID: "It cannot be carried out as it is",
    State.DRAFT: "It was revised",
}
COMMENT = 300  # characters of a comment that are told


def of(core: Core, plan: StoredPlan) -> str:
    """Where a plan stands."""
    return " ".join(f"{one}." for one in _sentences(core, plan))


def _sentences(core: Core, plan: StoredPlan) -> Iterator[str]:
    decisions = core.store.decisions_on(plan.preview) if plan.preview is not None else []
    yes = standing(decisions)
    if yes:
        yield f"Approved by {', '.join(map(_who, yes))}"
    said = _SAID.get(decisions[-1].verdict, "") if decisions and plan.state in _TURNED_DOWN else ""
    if said:
        why = f": {comment(decisions[-1].comment)}" if decisions[-1].comment else ""
        yield f"{said} by {_who(decisions[-1])}{why}"
    if plan.state in _ENDED:
        yield _ENDED[plan.state]
    elif plan.preview is not None and jobs.standing(core.store, plan.preview) is not None:
        yield "Its run is asked for"
    elif not said and (waiting := plans.waiting_for(core, plan)):
        yield f"Waiting for {waiting}"


def _who(decision: Decision) -> str:
    return f"{visible(decision.reviewer)} ({decision.channel})"


def comment(text: str) -> str:
    """What somebody wrote, on one line that is not too long."""
    line = " ".join(text.split())
    return line if len(line) <= COMMENT else f"{line[:COMMENT]}\u2026"


def _did(run: Run, core: Core) -> str:
    """What a run did, and how it is taken back."""
    try:
        receipt = msgspec.to_builtins(receipts.read(core.state / "receipts", run.id))
    except TreegateError:
        return ""  # fsck tells of that
    return f": {counted(receipt)}; treegate undo {run.id} takes it back"


def run_ended(run: Run, core: Core) -> str:
    """How a run ended, as a sentence without its full stop."""
    title = core.store.plan(run.plan).title
    named = f" ({visible(title)})" if title else ""
    by = f", asked for by {visible(run.actor)}"
    told = {
        State.APPLIED: f"Applied{named}{by}{_did(run, core)}",
        State.ROLLED_BACK: f"A run failed{named}{by}, and everything it had done was taken back",
        State.NEEDS_RECOVERY: f"A run was stopped midway{named}{by}, and needs recovery: treegate recover {run.id}",
        State.STALE: f"Nothing was done{named}{by}: the files have changed since it was approved",
        State.UNDONE: f"Undone{named}",
    }
    return told.get(run.state, f"The run {run.id} is {run.state.value}")
