"""Renewing: a dropped plan that went stale is previewed anew, for nobody at this door could ask for it."""

from __future__ import annotations

from contextlib import suppress

from treegate.errors import TreegateError
from treegate.gate import revising
from treegate.gate.core import Core
from treegate.gate.queue import intake
from treegate.gate.queue.folder import dropbox
from treegate.model.lifecycle import State

MOST = 1000


def renew(core: Core, case: str) -> list[str]:
    """Previews the stale plans of a case that were dropped; those that nobody has to look at are asked for again.

    What somebody approved is another preview now, and waits to be approved anew.
    """
    found, _ = core.store.list_plans([State.STALE], case, MOST, within=core.actor.cases)
    renewed = []
    for plan in reversed(found):  # oldest first
        if dropbox(core).shelf_of(plan.id) is None:
            continue
        with suppress(TreegateError):  # busy, or unfinished: it stays stale, and is seen to after the next run
            revising.refresh(core, plan.id)
            intake.ask(core, plan.id)
            renewed.append(plan.id)
    return renewed
