"""Scripts: those that were dropped and may run are run, some at a time, beside all else that a worker does."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from treegate.errors import TreegateError
from treegate.gate import Gate
from treegate.interfaces.crew.crew import Crew
from treegate.interfaces.crew.stirring import Stirring

_log = logging.getLogger("treegate.worker")


class Scripts:
    """Scripts on their way to be plans; a long one keeps up nobody but those that wait for its place."""

    def __init__(self, gate: Gate, crew: Crew, pause: float) -> None:
        """`pause`: the seconds after which one looks, though nothing tells that there is anything."""
        self._gate, self._crew = gate, crew
        self.stirring = Stirring(gate, pause)
        self._running: dict[str, asyncio.Task[None]] = {}
        self._task: asyncio.Task[None] | None = None
        self._looked = False

    def start(self) -> None:
        """Begins."""
        self._task = asyncio.create_task(self._work())

    def wake(self) -> None:
        """Something may be due: looks at once."""
        self.stirring.wake()

    async def busy(self) -> bool:
        """Whether scripts run, or are due."""
        return not self._looked or bool(self._running) or bool(await asyncio.to_thread(self._gate.due_sandboxes))

    def rest(self) -> None:
        """Begins no more."""
        if self._task is not None:
            self._task.cancel()

    async def stop(self) -> None:
        """Begins no more, and waits for those under way."""
        self.rest()
        if self._task is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def _work(self) -> None:
        with contextlib.suppress(TreegateError, OSError):
            await asyncio.to_thread(self._gate.settle_scripts)
        while True:
            if self.stirring.due():
                with contextlib.suppress(TreegateError):  # a database that is locked now is asked again
                    await self._begin()
            self._looked = True
            await self.stirring.rest()

    async def _begin(self) -> None:
        for found in await asyncio.to_thread(self._gate.due_sandboxes):
            if found.id not in self._running and len(self._running) < self._crew.size:
                self._running[found.id] = asyncio.create_task(self._run(found.id))

    async def _run(self, id: str) -> None:
        try:
            await self._crew.call(self._gate.actor, "run_sandbox", id)
        except TreegateError as error:
            _log.warning("the script %s: %s", id, error.code)
            self.stirring.later()
        else:
            self.wake()  # there is a place for another
        finally:
            self._running.pop(id, None)
