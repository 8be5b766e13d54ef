"""Where the queue of a workspace is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager

from treegate.engine.dropbox import Drop, Dropbox
from treegate.engine.locks import anybody, presence
from treegate.engine.probe import Finding
from treegate.gate.core import Core
from treegate.model.actors import QUEUE
from treegate.model.measures import MINUTE

CHANNEL = QUEUE  # the door, as the audit log has it
PATIENCE = 5 * MINUTE  # a worker that is started every minute comes four times before anybody need be told


def dropbox(core: Core) -> Dropbox:
    """The folder of dropped plans; raises NotFound where the workspace is not mounted."""
    core.workspace.check_marker()  # nothing is made where a bucket is not mounted
    return Dropbox(core.workspace.root, tuple(core.workspace.folders.database.split("/")))


def attended(core: Core) -> AbstractContextManager[None]:
    """Held by a worker as long as it lives."""
    return presence(core.state / "locks" / "worker")


def overdue(core: Core) -> list[Drop]:
    """What was dropped, or claimed, so long ago that whoever is to take it does not; oldest first."""
    box = dropbox(core)
    found = [*box.drops(), *filter(None, map(box.claimed, box.claims()))]
    return sorted((one for one in found if core.clock() - one.since >= PATIENCE), key=lambda one: one.since)


def findings(core: Core) -> Iterator[Finding]:
    """What is wrong with the queue: plans that nobody takes."""
    late = overdue(core)
    if not late:
        return
    waited = (core.clock() - late[0].since) // MINUTE
    what = "1 plan" if len(late) == 1 else f"{len(late):,} plans"
    text = f"{what} dropped into the queue and not taken, the oldest {waited:,} minutes ago"
    if anybody(core.state / "locks" / "worker"):
        advice = (
            "its log says what it cannot take; queue.plans_per_minute and policy.limits.open_plans hold plans back"
        )
        yield Finding("warning", f"{text}, though a worker runs", advice)
    else:
        advice = "treegate worker    (or, from cron, treegate worker --once)"
        yield Finding("error", f"{text}, and no worker runs", advice)
