"""Holding: a file PAUSED in the queue's folder is `treegate pause`, at every door.

Whoever may drop may also write the folder. So that PAUSED is gone lifts the pause only where no author could have
taken it away, as it was when it was found; elsewhere it is put back, and says how the pause is lifted.
"""

from __future__ import annotations

from treegate.engine import pauses
from treegate.engine.pauses import WHOLE, Pause
from treegate.gate.core import Core
from treegate.gate.queue import trust
from treegate.gate.queue.folder import CHANNEL, dropbox

STAYS = f"{CHANNEL}, until it is resumed"  # the channel of a pause that the file began and cannot end
_PUT_BACK = """\
Nothing is carried out: the workspace is paused.

This file was taken away, and put back: in this folder nobody can tell who did that.
To go on:  treegate resume
"""


def hold(core: Core, before: bool) -> bool:
    """Pauses once a PAUSED lies there, resumes once it is gone; whether it lies there now, and `before`, did before.

    A pause that somebody made at another door is theirs to lift; and who lifts this one there takes the file away.
    """
    box = dropbox(core)
    there = box.paused()
    known = core.store.recalled(("pauses",), lambda: pauses.pauses(core.store))
    found = next((one for one in known if one.case == WHOLE), None)
    if there and found is None:
        if before:
            box.unpause()
            return False
        _pause(core)
    elif not there and found is not None:
        return _gone(core, found)
    return there


def _pause(core: Core) -> None:
    reason = trust.lifting(core, dropbox(core))
    comment = "a file PAUSED lies in the queue"
    if reason:
        comment += f"; taking it away does not lift the pause, for {reason}"
    by = core.by()._replace(channel=STAYS if reason else CHANNEL)
    with core.store.write() as transaction:
        pauses.pause(transaction, WHOLE, comment, by)


def _gone(core: Core, found: Pause) -> bool:
    """No PAUSED lies there: the pause goes too, if the file began it and nobody else could end it."""
    if found.channel == STAYS:
        dropbox(core).put_paused(_PUT_BACK.encode())
        return True
    if found.channel == CHANNEL:
        with core.store.write() as transaction:
            pauses.resume(transaction, WHOLE, core.by())
    return False
