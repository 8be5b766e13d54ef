"""Carrying: one call from a command to what came of it, for whoever waits for that, and for worker processes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from treegate.engine import sandboxes
from treegate.engine.sandboxes import Sandbox
from treegate.errors import TreegateError, Waiting
from treegate.gate.core import Core
from treegate.gate.sandboxing import asking, deciding, events, landing, looking, running
from treegate.gate.sandboxing.asking import Asked
from treegate.gate.sandboxing.events import Event, Finished
from treegate.model.commands import BEGIN_BY_THEMSELVES, State


def run(core: Core, asked: Asked) -> Iterator[Event]:
    """Asks for a command and runs it, telling what it does; raises Waiting where somebody has to approve it first."""
    return follow(core, asking.ask(core, asked))


def follow(core: Core, found: Sandbox) -> Iterator[Event]:
    """Runs a command that was asked for, or tells what one does, or did, that has begun already.

    Raises Waiting where somebody has to approve it first, Denied, and WrongState where it never runs.
    """
    refuse(core, found)
    return running.carry_out(core, found.id) if found.state is State.APPROVED else _begun_elsewhere(core, found)


def _begun_elsewhere(core: Core, found: Sandbox) -> Iterator[Event]:
    """What a command does, or did; whoever is told to stop meanwhile ends it, as one that they run themselves."""
    watching, last, asked = core.acting_as(core.actor), None, False

    def end_if_asked() -> bool:
        nonlocal asked
        if core.cancelled() and not asked:
            asked = True
            deciding.cancel(core, found.id)
        return False

    watching.cancelled = end_if_asked
    for last in looking.events(watching, found.id):
        yield last
    if last is None or not isinstance(last.what, Finished):  # it never ran, or was lost
        number = 1 if last is None else last.n + 1
        yield Event(n=number, at=core.clock(), what=landing.finished(core, found))


def refuse(core: Core, found: Sandbox) -> None:
    """Raises what keeps whoever acts from having a command run, or watching it: Denied, Waiting, WrongState."""
    deciding.require_own(core, found)
    if found.state is State.WAITING:
        begins = "it begins by itself" if found.channel in BEGIN_BY_THEMSELVES else f"treegate run {found.id}"
        raise Waiting(
            f"the command {found.id} waits for somebody to approve it",
            code="command-waits",
            hint=f"once somebody has: {begins}",
            next=f"treegate approve {found.id} --digest {found.digest[:12]}",
        )
    if found.state in {State.REJECTED, State.EXPIRED, State.WITHDRAWN}:
        raise deciding.not_in_state(found)


def carry_out(core: Core, id: str) -> Finished:
    """Runs a command that may run until its end; what it does is told by `looking.events`, whoever asks."""
    finished: Finished | None = None
    for event in running.carry_out(core, id):
        if isinstance(event.what, Finished):
            finished = event.what
    if finished is None:
        raise TreegateError(f"nothing is told of the end of the command {id}", code="sandbox-lost")
    return finished


def outcome(core: Core, prefix: str) -> Finished:
    """What came of a command, as it was told in the end; raises Waiting where that is not said yet."""
    found = looking.one(core, prefix)
    last: Finished | None = None
    for event in events.read(looking.folder(core, found.id)):
        if isinstance(event.what, Finished):
            last = event.what
    if last is not None:
        return last
    if found.state in {State.WAITING, State.APPROVED, State.RUNNING}:
        raise Waiting(f"the command {found.id} is {found.state.value}", next=f"treegate show {found.id}")
    return landing.finished(core, found)


def due_at(core: Core, channels: Iterable[str]) -> list[Sandbox]:
    """The commands that were asked for at some doors and may run now, oldest first."""
    doors = frozenset(channels)
    return [one for one in sandboxes.in_state(core.store, State.APPROVED) if one.channel in doors]


def due(core: Core) -> list[Sandbox]:
    """The scripts that were dropped and may run now, oldest first."""
    return [one for one in sandboxes.in_state(core.store, State.APPROVED) if one.wanted is not None]
