"""The runner: jobs that are due are carried out in worker processes of its own, one at a time per case."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from treegate.engine.jobs import Job
from treegate.errors import TreegateError
from treegate.gate import Gate
from treegate.interfaces.http.crew import Crew
from treegate.model.actors import Actor, Role

OURSELVES = Actor(name="the service", role=Role.OPERATOR, channel="http", via="os")
PAUSE = 0.2  # seconds between two looks for jobs that came in at another door
_log = logging.getLogger("treegate.runner")


class Runner:
    """Looks for jobs that are due and has them done; what a crash left is brought to an end first."""

    def __init__(self, gate: Gate, crew: Crew) -> None:
        self._gate, self._crew = gate.acting_as(OURSELVES), crew
        self._working: dict[str, asyncio.Task[None]] = {}
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins; once what was unfinished is recovered, jobs are looked for."""
        self._task = asyncio.create_task(self._work())

    def wake(self) -> None:
        """Something was asked for: looks at once."""
        self._wake.set()

    def rest(self) -> None:
        """Takes no more jobs; they wait for whoever runs jobs next."""
        if self._task is not None:
            self._task.cancel()

    async def stop(self) -> None:
        """Takes no more jobs, and waits for those under way."""
        self.rest()
        if self._task is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await asyncio.gather(*self._working.values(), return_exceptions=True)

    async def _work(self) -> None:
        await self._settle()
        while True:
            with contextlib.suppress(TreegateError):  # a database that is locked now is asked again
                for job in await asyncio.to_thread(self._gate.due):  # it looks at the mount, which may hang
                    if job.run not in self._working:
                        self._working[job.run] = asyncio.create_task(self._do(job))
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), PAUSE)

    async def _do(self, job: Job) -> None:
        """One job; where the process that did it died, what it left is brought to an end."""
        try:
            await self._crew.call(OURSELVES, "carry_out", job.run)
        except TreegateError as error:
            _log.warning("run %s of %s: %s", job.run, job.plan, error.code)
            if error.code == "worker-died":
                await self._settle()
        finally:
            self._working.pop(job.run, None)
            self.wake()

    async def _settle(self) -> None:
        """Unfinished runs are recovered; jobs that were under way are sorted by what became of their runs."""
        try:
            await self._crew.call(OURSELVES, "recover")
        except TreegateError as error:  # told on every page, and by /metrics; an operator has to look
            _log.error("a run could not be recovered: %s", error.code)
        try:
            await asyncio.to_thread(self._gate.take_up)
        except TreegateError as error:  # the database is locked or full
            _log.error("jobs could not be taken up: %s", error.code)
