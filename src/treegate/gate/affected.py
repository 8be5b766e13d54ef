"""Affected: what a run did may be what other plans that wait counted on; those, and only those, are stale then."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from treegate.engine import jobs, tablefile
from treegate.engine.store.records import StoredPlan
from treegate.errors import TreegateError
from treegate.gate import freshness, plans
from treegate.gate.core import Core
from treegate.gate.queue import renewing
from treegate.model.lifecycle import Event, State

MOST = 200  # plans of a case that are looked at, the newest: any other is looked at before its own run, as ever
_WAITING = (State.PENDING, State.APPROVED)


def recheck(core: Core, case: str) -> list[str]:
    """After a run on a case: the plans that no longer fit are stale, and those that were dropped are previewed anew.

    A plan whose fingerprints all hold is left as it is, with its approvals. Returns the ids of those touched.
    """
    stale = [plan.id for plan in _waiting(core, case) if _goes_stale(core, plan)]
    return [*stale, *renewing.renew(core, case)]


def _waiting(core: Core, case: str) -> Iterator[StoredPlan]:
    """The plans of a case that wait for somebody; one that waits for its run is looked at by the run."""
    found, _ = core.store.list_plans(_WAITING, case, MOST, within=core.actor.cases)
    for plan in found:
        if plan.preview is not None and jobs.standing(core.store, plan.preview) is None:
            yield plan


def _goes_stale(core: Core, plan: StoredPlan) -> bool:
    """Notes that a plan is stale, if it is; where that cannot be found out now, its run finds it out."""
    stored = core.store.preview(plan.id)
    if stored is None or not stored.table_digest:
        return False
    with suppress(TreegateError, OSError):
        if plans.model_of(core, plan).on_stale == "skip":
            return False  # what has changed will be left alone, as was approved
        with core.locked(plan.cases, shared=True):
            found = freshness.findings(
                core, tablefile.read(core.table_path(stored.table_digest), stored.table_digest)
            )
            if found:
                return _note(core, plan, found[0].text)
    return False


def _note(core: Core, plan: StoredPlan, text: str) -> bool:
    with core.store.write() as transaction:
        now = transaction.plan(plan.id)
        if now.preview != plan.preview or now.state not in _WAITING:
            return False  # somebody did something to it in between
        transaction.set_state(plan.id, Event.GO_STALE, core.by(), data={"why": text})
    return True
