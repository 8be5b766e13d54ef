"""Commands in sandboxes, run by a crew of their own: who asked longest ago for their last one comes first."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable

from treegate.errors import TreegateError
from treegate.gate import Gate
from treegate.gate.sandboxing.telling import Command
from treegate.interfaces.crew.crew import Crew
from treegate.interfaces.crew.stirring import LONG, Stirring
from treegate.model.actors import Actor
from treegate.model.commands import State
from treegate.model.lifecycle import WrongState

PAUSE = 0.2  # seconds between two looks for commands that were allowed at another door
SWEEP = 3600.0  # seconds between two looks for what is left, or kept no longer
_log = logging.getLogger("treegate.commands")


class Commands:
    """Looks for commands that were asked for at some doors and may run, and has them run."""

    def __init__(self, gate: Gate, crew: Crew, who: Actor, channels: Iterable[str], grace: float) -> None:
        """`grace` is in seconds: how long those under way go on once we are told to end."""
        self._gate, self._crew, self._who, self._grace = gate.acting_as(who), crew, who, grace
        self._channels = frozenset(channels)
        self._stirring = Stirring(self._gate, PAUSE)
        self._running: dict[str, asyncio.Task[None]] = {}
        self._asked: dict[str, Command] = {}  # and not begun yet
        self._put_off: set[str] = set()  # what could not begin is tried again in a while
        self._served: dict[str, int] = {}  # authors, by when they had their turn last
        self._task: asyncio.Task[None] | None = None
        self._swept = 0.0

    def start(self) -> None:
        """Begins; what a crash left is swept first."""
        self._task = asyncio.create_task(self._work())

    def wake(self) -> None:
        """Something was asked for, or allowed."""
        self._stirring.wake()

    def ask(self, command: Command) -> None:
        """Has a command run that was just asked for, if it may: at once, if there is a place."""
        if command.state is State.APPROVED and self._task is not None and not self._task.done():
            self._asked[command.id] = command
            self._begin([])

    def allowed(self, command: Command) -> None:
        """Has a command run that somebody has just approved, if it was asked for at one of our doors."""
        if command.channel in self._channels:
            self.ask(command)

    @property
    def busy(self) -> bool:
        """Whether commands are under way, or are to be tried again."""
        return bool(self._running or self._put_off)

    def rest(self) -> None:
        """Begins no more; they wait for whoever runs commands next."""
        if self._task is not None:
            self._task.cancel()

    async def stop(self) -> None:
        """Begins no more, and waits for those under way; after a while they are ended, and what they did is kept."""
        self.rest()
        if self._task is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._running:
            await asyncio.wait(self._running.values(), timeout=self._grace)
        self._crew.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def _work(self) -> None:
        await self._sweep()
        if self._gate.runs_commands():
            self._crew.warm(most=1)
        while True:
            if asyncio.get_running_loop().time() - self._swept > SWEEP:
                await self._sweep()
            if self._stirring.due():
                with contextlib.suppress(TreegateError):  # a database that is locked now is asked again
                    self._begin(await asyncio.to_thread(self._gate.sandboxes_from, self._channels))
            await self._stirring.rest()

    def _begin(self, found: list[Command]) -> None:
        """Begins as many as there are workers; the others wait."""
        self._asked |= {one.id: one for one in found if one.id not in self._running}
        waiting = [one for one in self._asked.values() if one.id not in self._running and one.id not in self._put_off]
        while waiting and len(self._running) < self._crew.size:
            first = min(waiting, key=lambda one: (self._served.get(one.author, 0), one.seq))
            waiting.remove(first)
            self._served[first.author] = max(self._served.values(), default=0) + 1
            self._asked.pop(first.id, None)
            self._running[first.id] = asyncio.create_task(self._run(first.id))

    async def _run(self, id: str) -> None:
        try:
            await self._crew.call(self._who, "run_sandbox", id)
        except WrongState:  # it was begun, or taken back, while one looked
            pass
        except TreegateError as error:
            _log.warning("command %s: %s", id, error.code)
            if error.code == "worker-died":
                await self._sweep()
            self._put_off.add(id)
            asyncio.get_running_loop().call_later(LONG, self._once_more, id)
        finally:
            self._running.pop(id, None)
            self.wake()

    def _once_more(self, id: str) -> None:
        self._put_off.discard(id)
        self.wake()

    async def _sweep(self) -> None:
        """Notes which commands were lost, and clears what is left of them."""
        self._swept = asyncio.get_running_loop().time()
        try:
            await asyncio.to_thread(self._gate.sweep_sandboxes)
        except TreegateError as error:
            _log.warning("commands could not be swept: %s", error.code)
