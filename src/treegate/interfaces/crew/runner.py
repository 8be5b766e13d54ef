"""The runner: jobs that are due are carried out in worker processes of its own, one at a time per case."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from treegate.engine.jobs import Job
from treegate.engine.store.records import StoredPlan
from treegate.errors import Busy, NeedsRecovery, TreegateError
from treegate.gate import Gate
from treegate.gate.jobs import Ended
from treegate.interfaces.crew.crew import Crew
from treegate.interfaces.crew.stirring import LONG, Stirring
from treegate.model.actors import Actor, Role

OURSELVES = Actor(name="the service", role=Role.OPERATOR, channel="http", via="os")  # where nobody says otherwise
PAUSE = 0.2  # seconds between two looks for jobs that came in at another door, where nobody tells of them
ROW = 1.0  # seconds for which a worker process goes on to the next job by itself
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
        """`many`, as a worker has it: whoever does a job goes on to the next, for a moment at a time.

        And once nothing is due, dropped plans that went stale are previewed anew.
        """
        self._many = many
        self._gate, self._crew, self._who = gate.acting_as(who), crew, who
        self.stirring = Stirring(self._gate, pause)
        self._row = self._gate.core.config.queue.batch
        self._working: dict[str, asyncio.Task[None]] = {}
        self._cases: set[str] = set()  # on which something is under way
        self._served: dict[tuple[str, ...], int] = {}  # cases, by when they had their turn last
        self._turn = 0
        self._task: asyncio.Task[None] | None = None
        self._settled = False
        self._tried: set[tuple[str, int | None]] = set()  # stale plans that were previewed anew, or could not be

    def start(self) -> None:
        """Begins; once what was unfinished is recovered, jobs are looked for."""
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.create_task(self._work())

    def wake(self) -> None:
        """Something was asked for: looks at once."""
        self.stirring.wake()

    def wake_from_afar(self) -> None:
        """As `wake`, from another thread."""
        self._loop.call_soon_threadsafe(self.wake)

    async def busy(self) -> bool:
        """Whether jobs are under way, or due."""
        if not self._settled or self._working or bool(await asyncio.to_thread(self._gate.due)):
            return True
        return self._many and bool(await asyncio.to_thread(self._unfit))

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
            if not self.stirring.due():
                await self.stirring.rest()
                continue
            with contextlib.suppress(TreegateError):  # a database that is locked now is asked again
                found = await asyncio.to_thread(self._due)  # it looks at the mount, which may hang
                for job in sorted(found, key=lambda job: (self._served.get(job.cases, 0), job.seq)):
                    if self._many and len(self._working) >= self._crew.size:
                        break  # whoever is at work goes on to the next by themselves
                    if job.run not in self._working and not self._cases & set(job.cases):
                        self._working[job.run] = asyncio.create_task(self._do(job))
                if self._many and not self._working:
                    self._renew(await asyncio.to_thread(self._unfit))
            await self.stirring.rest()

    def _due(self) -> list[Job]:
        found = self._gate.due()
        if not found and self._gate.held():  # nothing tells that the workspace is back
            self._loop.call_soon_threadsafe(self.stirring.later)
        return found

    async def _do(self, job: Job) -> None:
        """One job, or some of its cases; where the process that did it died, what it left is brought to an end."""
        self._cases.update(job.cases)
        try:
            if self._many:
                self._note(await self._crew.call(self._who, "carry_on", job.run, ROW, self._row))
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

    def _serve(self, cases: tuple[str, ...]) -> None:
        """These have had their turn: others come before them now."""
        self._turn += 1
        self._served[cases] = self._turn

    def _note(self, done: list[Ended]) -> None:
        for one in done:
            self._serve(one.cases)
            if one.code:
                _log.warning("run %s of %s: %s", one.run, one.plan, one.code)

    def _unfit(self) -> list[StoredPlan]:
        """Stale plans that nobody has tried to preview anew."""
        return [plan for plan in self._gate.stale() if (plan.id, plan.preview) not in self._tried]

    def _renew(self, unfit: list[StoredPlan]) -> None:
        for plan in unfit:
            self._tried.add((plan.id, plan.preview))
            self._working[plan.id] = asyncio.create_task(self._preview(plan))

    async def _preview(self, plan: StoredPlan) -> None:
        try:
            await self._crew.call(self._who, "renew", plan.id)
        except (Busy, NeedsRecovery):
            self._loop.call_later(LONG, self._once_more, plan)
        except TreegateError as error:  # it stays stale; its author sees why once they ask
            _log.warning("plan %s could not be previewed anew: %s", plan.id, error.code)
        finally:
            self._working.pop(plan.id, None)
            self.wake()

    def _once_more(self, plan: StoredPlan) -> None:
        """What was in the way of a plan may be gone, and nobody tells of that."""
        self._tried.discard((plan.id, plan.preview))
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
