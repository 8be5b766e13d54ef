"""Landing: what a command did is handed in as its author's plan, and what came of the command is noted with it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from treegate.engine import sandboxes
from treegate.engine.audit import Json
from treegate.engine.sandbox import ancestry
from treegate.engine.sandbox.order import Captured, Ended, Exited
from treegate.engine.sandboxes import Sandbox
from treegate.engine.store import Transaction
from treegate.errors import Busy, Denied, NeedsRecovery, TreegateError
from treegate.gate import jobs, origins, plans, runs
from treegate.gate.core import Core
from treegate.gate.plans import Submitted
from treegate.gate.sandboxing import direct, meanwhile
from treegate.gate.sandboxing.events import Finished
from treegate.gate.sandboxing.ordering import DOCUMENT
from treegate.model.commands import CUT_SHORT, State
from treegate.model.effects import Effect
from treegate.model.lifecycle import Event
from treegate.model.lifecycle import State as PlanState
from treegate.model.names import visible
from treegate.model.problems import CODES, Problem, problem

_PATIENCE = 60.0  # seconds in which a case that others have is tried again: what a command did is not done again
_PAUSE = 0.5
_MOST = 1000  # problems, and changed paths in the audit log, that are kept


class _Landing(NamedTuple):
    """What was handed in, why it was not approved directly, and how."""

    submitted: Submitted
    held: str


def land(core: Core, found: Sandbox, exited: Exited | None, captured: Captured, folder: Path) -> Finished:
    """Ends a command that was captured: its plan is stored with the note that it came of it, in one transaction.

    Applied at once where that was asked for and policy allows it; what stands against that is told: the plan waits.
    """
    if not captured.operations:
        with core.store.write() as transaction:
            _ended(core, transaction, found, exited)
        _clear(folder)
        return finished(core, found)
    try:
        done = _hand_in(core, found, exited, captured, folder)
    except (TreegateError, OSError) as error:
        return fail(core, found, exited, _unlanded(error, folder))
    _clear(folder)
    if not found.direct:
        return finished(core, found, done.submitted)
    return _applied(core, found, done)


def _clear(folder: Path) -> None:
    for path in (str(folder / DOCUMENT), ancestry.beside(str(folder / DOCUMENT))):
        with suppress(FileNotFoundError):
            os.unlink(path)


def fail(core: Core, found: Sandbox, exited: Exited | None, error: TreegateError) -> Finished:
    """Ends a command of which nothing comes."""
    made = document_of(error)
    values = {"state": State.FAILED.value, "error": json.dumps(made), "ended_at": core.clock(), **_exit(exited)}
    with core.store.write() as transaction:
        sandboxes.change(transaction, found.id, **values)
        sandboxes.log(transaction, "sandbox-failed", core.by(), found.id, {"code": error.code})
    return finished(core, found, error=made)


def document_of(error: TreegateError) -> dict[str, Any]:
    """An error as every door tells it."""
    return {
        "code": error.code,
        "message": error.message,
        "hint": error.hint,
        "next": error.next,
        "exit_status": error.exit_status,
    }


def _exit(exited: Exited | None) -> dict[str, Any]:
    return {} if exited is None else {"status": exited.status, "why": exited.ended.value}


def _ended(core: Core, transaction: Transaction, found: Sandbox, exited: Exited | None, **more: Any) -> None:
    values = {"state": State.ENDED.value, "ended_at": core.clock(), **_exit(exited), **more}
    sandboxes.change(transaction, found.id, **values)
    plan = str(more["plan"]) if "plan" in more else None
    data: dict[str, Json] = {"status": values.get("status"), "why": values.get("why")}
    sandboxes.log(transaction, "sandbox-ended", core.by(), found.id, data, plan=plan)


def _hand_in(core: Core, found: Sandbox, exited: Exited | None, captured: Captured, folder: Path) -> _Landing:
    plan = plans.decode((folder / DOCUMENT).read_bytes())
    id, said, held = found.wanted or core.new_id("pl"), problems_of(exited, captured), list[str]()

    def then(transaction: Transaction) -> None:
        late = changed_late(core, transaction, id, captured, folder)
        told = msgspec.json.encode([*_of_changes(late), *said][:_MOST]).decode()
        _ended(core, transaction, found, exited, plan=id, problems=told)
        changed = [visible(path) for path in (*captured.changed, *late)[:_MOST]]
        if changed and transaction.plan(id).state in {PlanState.PENDING, PlanState.APPROVED}:
            transaction.set_state(id, Event.GO_STALE, core.by(), data={"sandbox": found.id, "changed": changed})
            held.append("others changed what it rests on since it began")
        elif found.wanted is not None and not _cut_short(exited):
            jobs.ask_if_enough(core, id, transaction)  # where policy asks for nobody: it was dropped for that
        elif found.direct:
            held.append(_cut_short(exited) or direct.approve(core, transaction, found, id))

    submitted = _patiently(partial(plans.submit, core, plan, id=id, then=then, found=tuple(said)))
    return _Landing(submitted, held[0] if held else "")


def changed_late(core: Core, transaction: Transaction, id: str, captured: Captured, folder: Path) -> list[str]:
    """What others changed of what a plan touches, or above it, after it was captured and before it was previewed."""
    stored = transaction.preview(id)
    if stored is None or not captured.since:
        return []
    effects = map(msgspec.json.Decoder(Effect).decode, transaction.effects(stored))
    with core.world() as world:
        swapped = ancestry.replaced(ancestry.beside(str(folder / DOCUMENT)), core.workspace.place)
        found = (*swapped, *meanwhile.changed(world, effects, captured.since))
        return list(dict.fromkeys(path for path in found if path not in captured.changed))


def _cut_short(exited: Exited | None) -> str:
    """Why a command did not do all that it was to do: then nobody but a person says that half of it will do."""
    if exited is None:
        return "nobody knows how it ended"
    if exited.ended is not Ended.ITSELF:
        return f"it was ended before it was done: {CUT_SHORT[exited.ended]}"
    return f"it ended with exit status {exited.status}" if exited.status else ""


def _patiently(act: Callable[[], Submitted]) -> Submitted:
    """Hands in, and again while somebody else has the cases."""
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            return act()
        except (Busy, NeedsRecovery):
            if time.monotonic() >= until:
                raise
        time.sleep(_PAUSE)


def _unlanded(error: Exception, folder: Path) -> TreegateError:
    """What is said where a command was captured and no plan could be stored: its document is kept."""
    if not isinstance(error, TreegateError):
        return TreegateError(f"what the command did could not be handed in: {error}", code="system-error")
    error.hint = f"{error.hint + '; ' if error.hint else ''}what it did is kept, as a plan, for a day"
    error.next = f"treegate submit {folder / DOCUMENT}"
    return error


# -- what is to be known of the plan besides


def problems_of(exited: Exited | None, captured: Captured) -> list[Problem]:
    """What there is to say of the plan that its operations do not say; sealed with each of its previews."""
    changes = list(_of_changes(captured.changed, captured.changed_more))  # first: none may be crowded out
    return [*changes, *_of_end(exited), *_of_findings(captured)][:_MOST]


def _of_end(exited: Exited | None) -> Iterator[Problem]:
    if exited is None:
        return
    if exited.ended is not Ended.ITSELF:
        yield problem("sandbox-ended", f"the command was ended before it was done: {CUT_SHORT[exited.ended]}")
    elif exited.status:
        yield problem("sandbox-failed-command", f"the command ended with exit status {exited.status}")


def _of_findings(captured: Captured) -> Iterator[Problem]:
    for one in captured.findings:
        code = one.code if one.code in CODES else "sandbox-special-file"
        where = f"'{visible(one.path)}': " if one.path else ""
        yield problem(code, f"{where}{visible(one.text)}", path=one.path or None, severity="warning")


def _of_changes(changed: Sequence[str], more: int = 0) -> Iterator[Problem]:
    for path in changed:
        text = f"others changed '{visible(path)}' after the command began"
        yield problem("sandbox-changed", text, path=path)
    if more:
        yield problem("sandbox-changed", f"others changed {more:,} more that it rests on")


# -- applied at once


def _applied(core: Core, found: Sandbox, done: _Landing) -> Finished:
    """Applies what policy approved; what keeps it from that is told, and the plan waits as any other."""
    if done.held or done.submitted.state != PlanState.APPROVED:
        why = done.held or f"the plan is {done.submitted.state}"
        held = Denied(f"it was not applied at once: {why}", code="not-applied-directly")
        return finished(core, found, done.submitted, error=document_of(held))
    try:
        applied = runs.apply(core, done.submitted.id)
    except TreegateError as error:
        return finished(core, found, done.submitted, error=document_of(error))
    return finished(core, found, done.submitted, run=applied.run)


def finished(
    core: Core,
    found: Sandbox,
    submitted: Submitted | None = None,
    *,
    run: str = "",
    error: dict[str, Any] | None = None,
) -> Finished:
    """What there is to say of a command that is over."""
    now = sandboxes.sandbox(core.store, found.id)
    plan = core.store.plan(now.plan) if now.plan is not None else None
    if error is None and now.error is not None:
        error = json.loads(now.error)
    return Finished(
        id=now.id,
        state=now.state.value,
        status=now.status,
        why=now.why,
        plan=now.plan,
        plan_state=plan.state.value if plan is not None else "",
        waiting_for=plans.waiting_for(core, plan) if plan is not None else "",
        summary=submitted.summary if submitted is not None else "",
        digest=(plan.digest or "") if plan is not None else "",
        warnings=len(submitted.problems) if submitted is not None else 0,
        run=run,
        logs=tuple(visible("/".join(place)) for place in origins.places(core, now)),
        error=error,
    )
