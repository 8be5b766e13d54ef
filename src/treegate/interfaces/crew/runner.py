"""The runner: jobs that are due are carried out in worker processes of its own, one at a time per case."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from treegate.engine.jobs import Job
from treegate.errors import TreegateError
from treegate.gate import Gate
from treegate.gate.jobs import Ended
from treegate.interfaces.crew.crew import Crew
from treegate.model.actors import Actor, Role

OURSELVES = Actor(name="the service", role=Role.OPERATOR, channel="http", via="os")  # where nobody says otherwise
PAUSE = 0.2  # seconds between two looks for jobs that came in at another door, where nobody tells of them
ROW = 0.2  # seconds for which jobs of one case are done in a row, where others may wait
LONG = 5.0  # seconds until one looks although nobody wrote anything: the workspace may be back
_log = logging.getLogger("treegate.runner")


class Runner:
    """Looks for jobs that are due and has them done; what a crash left is brought to an end first."""

    def __init__(
        self,
        gate: Gate,
        crew: Crew,
        who: Actor = OURSELVES,
        pause: float = PAUSE,
        *,
        many: bool = False,
    ) -> None:
        """`many`, as a worker has it: jobs of a case are done in a row, for a moment at a time.

        And once nothing is due, plans that wait are held against what the runs did.
        """
        self._many = many
        self._gate, self._crew, self._who, self._pauses = gate.acting_as(who), crew, who, pause
        self._working: dict[str, asyncio.Task[None]] = {}
        self._cases: set[str] = set()  # on which something is under way
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._settled = False
        self._stamp: int | None = None  # of the database, when jobs were looked for last
        self._looked = 0.0
        self._ran: set[str] = set()  # cases on which something ran, and no other plan was looked at since

    def start(self) -> None:
        """Begins; once what was unfinished is recovered, jobs are looked for."""
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.create_task(self._work())

    def wake(self) -> None:
        """Something was asked for: looks at once."""
        self._wake.set()

    def wake_from_afar(self) -> None:
        """As `wake`, from another thread."""
        self._loop.call_soon_threadsafe(self._wake.set)

    async def busy(self) -> bool:
        """Whether jobs are under way, or due."""
        return not self._settled or bool(self._working or self._ran) or bool(await asyncio.to_thread(self._gate.due))

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
        self._settled = True
        while True:
            if not self._stirred():
                await self._pause()
                continue
            with contextlib.suppress(TreegateError):  # a database that is locked now is asked again
                due = await asyncio.to_thread(self._gate.due)  # it looks at the mount, which may hang
                for job in due:
                    if job.run not in self._working and not self._cases & set(job.cases):
                        self._working[job.run] = asyncio.create_task(self._do(job))
                if not self._working:
                    self._recheck()
            await self._pause()

    def _stirred(self) -> bool:
        """Whether something may be due that was not: somebody called, or wrote to the database; or it is long ago."""
        now, stamp = self._loop.time(), self._gate.core.store.stamp()
        same = stamp is not None and stamp == self._stamp and now - self._looked < LONG
        if same and not self._wake.is_set():
            return False
        self._wake.clear()
        self._stamp, self._looked = stamp, now
        return True

    async def _pause(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._pauses):  # unlike wait_for, it never takes a cancellation for an answer
                await self._wake.wait()

    async def _do(self, job: Job) -> None:
        """One job, or some of its cases; where the process that did it died, what it left is brought to an end."""
        self._cases.update(job.cases)
        try:
            if self._many:
                self._note(await self._crew.call(self._who, "carry_on", job.run, ROW))
            else:
                await self._crew.call(self._who, "carry_out", job.run)
        except TreegateError as error:
            _log.warning("run %s of %s: %s", job.run, job.plan, error.code)
            if error.code == "worker-died":
                await self._settle()
        finally:
            self._working.pop(job.run, None)
            self._cases.difference_update(job.cases)
            self.wake()

    def _note(self, done: list[Ended]) -> None:
        for one in done:
            if one.code:
                _log.warning("run %s of %s: %s", one.run, one.plan, one.code)
            self._ran.update(one.cases)

    def _recheck(self) -> None:
        """Once nothing is due: what the runs did may be what other plans counted on."""
        for case in sorted(self._ran):
            self._working[f"recheck {case}"] = asyncio.create_task(self._look_over(case))
        self._ran.clear()

    async def _look_over(self, case: str) -> None:
        try:
            await self._crew.call(self._who, "recheck", case)
        except TreegateError as error:  # each is looked at before its own run, as ever
            _log.warning("the plans that wait were not looked at: %s", error.code)
        finally:
            self._working.pop(f"recheck {case}", None)
            self.wake()

    async def _settle(self) -> None:
        """Unfinished runs are recovered; jobs that were under way are sorted by what became of their runs."""
        try:
            await self._crew.call(self._who, "recover")
        except TreegateError as error:  # told on every page, and by /metrics; an operator has to look
            _log.error("a run could not be recovered: %s", error.code)
        try:
            await asyncio.to_thread(self._gate.take_up)
        except TreegateError as error:  # the database is locked or full
            _log.error("jobs could not be taken up: %s", error.code)
