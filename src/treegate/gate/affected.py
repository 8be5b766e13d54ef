"""Affected: what a run did may be what other plans that wait counted on; those, and only those, are stale then.

Looked at as the run ends, under its locks, and noted in the transaction that notes its end: whoever learns that a run
is applied, at whatever door, finds the others as it left them.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext, suppress
from typing import NamedTuple

from treegate.engine import footprints, tablefile
from treegate.engine.store import Transaction
from treegate.engine.store.records import Run, StoredPlan
from treegate.errors import TreegateError
from treegate.gate import freshness, plans
from treegate.gate.core import Core
from treegate.model.lifecycle import Event, State

MOST = 200  # plans that are looked at, the oldest: any other is looked at before its own run, as ever
_WAITING = (State.PENDING, State.APPROVED)


class Upset(NamedTuple):
    """A plan that does not fit any more, as it was when it was looked at, and why."""

    plan: StoredPlan
    why: str


def upset(core: Core, run: Run) -> list[Upset]:
    """The plans that wait and do not fit any more, now that a run has changed the tree; it holds its locks.

    Only those are looked at that have to do with the same places. A plan whose fingerprints all hold is left as it
    is, with its approvals.
    """
    plan = core.store.plan(run.plan)
    others = [core.store.plan(id) for id in footprints.upset(core.store, plan.seq, MOST)]
    found = [(other, _why(core, other, run)) for other in others if other.state in _WAITING]
    return [Upset(other, why) for other, why in found if why]


def note(core: Core, transaction: Transaction, found: list[Upset]) -> None:
    """Notes that these plans are stale, but for any that somebody did something to in between."""
    for plan, why in found:
        now = transaction.plan(plan.id)
        if now.preview == plan.preview and now.state in _WAITING:
            transaction.set_state(plan.id, Event.GO_STALE, core.by(), data={"why": why})


def _why(core: Core, plan: StoredPlan, run: Run) -> str:
    """Why a plan is stale; "" if it is not, or that cannot be found out now: its own run finds it out."""
    stored = core.store.preview(plan.id)
    if stored is None or not stored.table_digest:
        return ""
    with suppress(TreegateError, OSError):
        if plans.model_of(core, plan).on_stale == "skip":
            return ""  # what has changed will be left alone, as was approved
        with _locked(core, plan, run):
            table = tablefile.read(core.table_path(stored.table_digest), stored.table_digest)
            found = freshness.findings(core, table)
            return found[0].text if found else ""
    return ""


def _locked(core: Core, plan: StoredPlan, run: Run) -> AbstractContextManager[None]:
    """The locks of a plan's other cases, if they are free: nobody waits for another run while holding one."""
    others = set(plan.cases) - set(run.cases)
    return core.locked(others, shared=True, wait=0) if others else nullcontext()
