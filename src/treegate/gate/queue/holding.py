"""Holding: a file PAUSED in the queue's folder is `treegate pause`, at every door."""

from __future__ import annotations

from treegate.engine import pauses
from treegate.engine.pauses import WHOLE
from treegate.gate.core import Core
from treegate.gate.queue.folder import CHANNEL, dropbox


def hold(core: Core, before: bool) -> bool:
    """Pauses once a PAUSED lies there, resumes once it is gone; whether it lies there now, and `before`, did before.

    A pause that somebody made at another door is theirs to lift; and who lifts this one there takes the file away.
    """
    box = dropbox(core)
    there = box.paused()
    known = core.store.recalled(("pauses",), lambda: pauses.pauses(core.store))
    found = next((one for one in known if one.case == WHOLE), None)
    if there and found is None and before:
        box.unpause()
        return False
    if there and found is None:
        with core.store.write() as transaction:
            pauses.pause(transaction, WHOLE, "a file PAUSED lies in the queue", core.by())
    elif not there and found is not None and found.channel == CHANNEL:
        with core.store.write() as transaction:
            pauses.resume(transaction, WHOLE, core.by())
    return there
