"""Looking at commands: where each stands, and what became of those whose process died with them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from treegate.engine import handles, sandboxes
from treegate.engine.clearing import clear_tree
from treegate.engine.locks import passing_lock
from treegate.engine.sandbox import leftovers, standby
from treegate.engine.sandboxes import Sandbox
from treegate.engine.store import Transaction
from treegate.errors import Busy, TreegateError
from treegate.gate.core import Core
from treegate.gate.sandboxing.events import Event, Finished, Tail
from treegate.model.actors import Action
from treegate.model.commands import OVER, State

SCRATCH = "scratch"  # in the folder of a command: what does not outlast its run
_SWEPT, _HOUR = "sandboxes-swept", 3600.0  # seconds
_SHORTEST, _LONGEST = 0.01, 0.25  # seconds between two looks for more


def folder(core: Core, id: str) -> Path:
    """Where all is that is kept of a command."""
    return core.state / "sandboxes" / id


def one(core: Core, prefix: str) -> Sandbox:
    """A command by its id, or the beginning of it, as it stands now."""
    found = sandboxes.find(core.store, prefix, core.actor.cases)
    core.actor.require(Action.READ, found.cases)
    return settled(core, found)


def listed(
    core: Core, states: Iterable[State] = (), case: str | None = None, limit: int = 50, cursor: int | None = None
) -> list[Sandbox]:
    """Commands, newest first: those that see none but cases that the actor may see."""
    core.actor.require(Action.READ)
    found = sandboxes.listed(core.store, states, case, limit, cursor, core.actor.cases)
    return [settled(core, sandbox) for sandbox in found]


def settled(core: Core, found: Sandbox) -> Sandbox:
    """The command, noted as lost if the process that ran it has died, or as expired."""
    if found.state is State.APPROVED:
        return _expired(core, found)
    if found.state is not State.RUNNING:
        return found
    try:
        with passing_lock(core.state / "locks", found.id):
            now = sandboxes.sandbox(core.store, found.id)
            return _lost(core, now) if now.state is State.RUNNING else now
    except Busy:  # somebody is at it
        return found


def _expired(core: Core, found: Sandbox) -> Sandbox:
    if not _has_expired(core, found):
        return found
    with core.store.write() as transaction:
        expire(core, transaction, sandboxes.sandbox(transaction, found.id))
    return sandboxes.sandbox(core.store, found.id)


def expire(core: Core, transaction: Transaction, found: Sandbox) -> bool:
    """Whether the approval of a command has run out, which is noted then."""
    if found.state is not State.APPROVED or not _has_expired(core, found):
        return False
    sandboxes.change(transaction, found.id, state=State.EXPIRED.value, ended_at=core.clock())
    sandboxes.log(transaction, "sandbox-expired", core.by(), found.id, {"expired": found.expires_at})
    return True


def _has_expired(core: Core, found: Sandbox) -> bool:
    return found.expires_at is not None and found.expires_at <= core.clock()


def _lost(core: Core, found: Sandbox) -> Sandbox:
    by = core.by()
    with core.store.write() as transaction:
        sandboxes.change(transaction, found.id, state=State.LOST.value, ended_at=by.at)
        sandboxes.log(transaction, "sandbox-lost", by, found.id, {"began": found.started_at})
    clear(core, found.id)
    now = sandboxes.sandbox(core.store, found.id)
    from treegate.gate.sandboxing import report  # which looks for what it tells of here

    report.bring(core, now)
    return now


def clear(core: Core, id: str) -> None:
    """Takes away what a run has left in its scratch folder; what is still mounted there is let go first."""
    with suppress(OSError):  # what stays is found by the next sweep
        leftovers.clear(str(folder(core, id) / SCRATCH))


def sweep(core: Core, *, at_leisure: bool = True) -> list[str]:
    """Notes commands whose process died, and clears what is left of them, and of those that ended long ago.

    What runners left that were killed is told, in words. What a command wrote is kept as long as what runs take away
    (`vault.keep`); all that is kept is looked through `at_leisure`, or once an hour.
    """
    removed: list[str] = []
    for name in ("sandboxes", leftovers.HELPED):
        with suppress(OSError):
            removed += leftovers.sweep(str(core.state / name))
    for state in (State.RUNNING, State.APPROVED):
        for found in sandboxes.in_state(core.store, state):
            settled(core, found)
    standby.sweep(core.state / "sandboxes", core.state / "locks")
    if at_leisure or _is_time(core.state / _SWEPT):
        _let_go(core)
    return removed


def _is_time(stamp: Path) -> bool:
    """Whether it is a while ago that somebody looked through all that is kept; noted as done now."""
    with suppress(OSError):
        if stamp.exists() and stamp.stat().st_mtime + _HOUR > time.time():
            return False
        stamp.touch(mode=0o600)
    return True


def _let_go(core: Core) -> None:
    keep = core.config.vault.keep
    for path in _folders(core):
        with suppress(TreegateError):
            found = sandboxes.sandbox(core.store, path.name)
            if found.state in OVER:
                clear(core, found.id)
            if keep is not None and found.ended_at is not None and found.ended_at + keep <= core.clock():
                _remove(path)


def _remove(path: Path) -> None:
    with suppress(OSError), handles.closing(handles.open_root(str(path.parent))) as held:
        clear_tree(held, path.name.encode())


def _folders(core: Core) -> list[Path]:
    with suppress(FileNotFoundError):
        return sorted((core.state / "sandboxes").glob("sb_*"))
    return []


def events(core: Core, prefix: str, after: int = 0) -> Iterator[Event]:
    """What a command did, from the event behind the number `after` on: what is kept of it, then what comes.

    Ends once nothing more can come.
    """
    found = one(core, prefix)
    tail, pause, until = Tail(folder(core, found.id), after), _SHORTEST, time.monotonic() + _LONGEST
    while True:
        over = found.state in OVER
        for event in tail.more():
            yield event
            pause = _SHORTEST
            if isinstance(event.what, Finished):
                return
        if over and not _at_it(core, found.id):
            yield from tail.more()
            return
        if core.cancelled():
            return
        time.sleep(pause)
        pause = min(pause * 1.5, _LONGEST)
        if not over and time.monotonic() >= until:
            found, until = settled(core, sandboxes.sandbox(core.store, found.id)), time.monotonic() + _LONGEST


def tail(core: Core, prefix: str, after: int = 0) -> Tail:
    """What is kept of what a command did, for whoever comes back for more."""
    return Tail(folder(core, one(core, prefix).id), after)


def is_over(core: Core, prefix: str) -> bool:
    """Whether nothing more comes of a command than what is kept of it."""
    found = one(core, prefix)
    return found.state in OVER and not _at_it(core, found.id)


def _at_it(core: Core, id: str) -> bool:
    """Whether some process has the command now, which may have more to tell of it."""
    try:
        with passing_lock(core.state / "locks", id):
            return False
    except Busy:
        return True
