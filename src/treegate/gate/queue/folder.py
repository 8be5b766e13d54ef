"""Where the queue of a workspace is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager

from treegate.engine.dropbox import Dropbox
from treegate.engine.locks import anybody, presence
from treegate.engine.probe import Finding
from treegate.gate.core import Core

CHANNEL = "queue"  # the door, as the audit log has it


def dropbox(core: Core) -> Dropbox:
    """The folder of dropped plans; raises NotFound where the workspace is not mounted."""
    core.workspace.check_marker()  # nothing is made where a bucket is not mounted
    return Dropbox(core.workspace.root, tuple(core.workspace.folders.database.split("/")))


def attended(core: Core) -> AbstractContextManager[None]:
    """Held by a worker as long as it lives."""
    return presence(core.state / "locks" / "worker")


def findings(core: Core) -> Iterator[Finding]:
    """What is wrong with the queue: plans that nobody takes."""
    waiting = len(dropbox(core).drops())
    if waiting and not anybody(core.state / "locks" / "worker"):
        what = "1 plan was" if waiting == 1 else f"{waiting:,} plans were"
        text = f"{what} dropped into the queue, and no worker runs that would take them"
        yield Finding("error", text, "treegate worker    (or, from cron, treegate worker --once)")
