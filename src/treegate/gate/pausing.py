"""Pausing: no run begins on what is paused, whatever the door; what is under way ends as it would have."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from treegate.engine import pauses
from treegate.engine.pauses import WHOLE, Pause
from treegate.errors import TreegateError
from treegate.gate.core import Core
from treegate.gate.queue.folder import dropbox
from treegate.model.actors import Action


def pause(core: Core, case: str | None = None, comment: str = "") -> list[Pause]:
    """Pauses a case, or the whole workspace; what is paused then."""
    scope = _allowed(core, case)
    with core.store.write() as transaction:
        pauses.pause(transaction, scope, comment, core.by())
    return seen(core)


def resume(core: Core, case: str | None = None) -> list[Pause]:
    """Lifts the pause of a case, or that of the whole workspace; what is still paused then."""
    scope = _allowed(core, case, known=[one.case for one in pauses.pauses(core.store)])
    with core.store.write() as transaction:
        pauses.resume(transaction, scope, core.by())
    if scope == WHOLE:
        with suppress(TreegateError, OSError):  # a worker does it, once the folder can be written
            dropbox(core).unpause()
    return seen(core)


def seen(core: Core) -> list[Pause]:
    """What is paused, as far as the actor may see."""
    return [one for one in pauses.pauses(core.store) if not one.case or core.actor.sees([one.case])]


def _allowed(core: Core, case: str | None, known: Iterable[str] = ()) -> str:
    """What is to be paused or resumed, if there is such a case and the actor may."""
    if case is None:
        core.actor.require_everywhere(Action.PAUSE)
    else:
        core.actor.require(Action.PAUSE, [case])
        core.check_case(case, known)
    return WHOLE if case is None else case
