"""Renewing: a dropped plan that went stale is previewed anew, for nobody at this door could ask for it."""

from __future__ import annotations

from treegate.engine.store.records import StoredPlan
from treegate.gate import jobs, origins, revising
from treegate.gate.core import Core
from treegate.gate.queue import intake
from treegate.gate.queue.folder import dropbox
from treegate.model.lifecycle import State

MOST = 1000


def stale(core: Core) -> list[StoredPlan]:
    """The plans that are stale, oldest first, whatever door they came in at."""
    return core.store.recalled(("stale",), lambda: core.store.list_plans([State.STALE], limit=MOST)[0][::-1])


def renew(core: Core, id: str) -> bool:
    """Previews a stale plan, if it was dropped; one that nobody has to look at is asked for again, with it.

    What somebody approved is another preview now, and waits to be approved anew. Raises TreegateError.
    """
    plan = core.store.plan(id)
    if plan.state is not State.STALE or dropbox(core).shelf_of(id) is None:
        return False
    if any(one.code == "sandbox-changed" for one in origins.found(core, id)):
        return False  # what a command did rests on what others have changed: somebody has to look at that
    author = intake.as_author(core, plan)
    revising.refresh(core, id, lambda transaction: jobs.ask_if_enough(author, id, transaction))
    return True
