"""Runs: carried out, watched, recovered, taken back."""

from __future__ import annotations

from collections.abc import Iterable

from treegate.engine.jobs import Job
from treegate.engine.store.records import Run, StoredPlan
from treegate.errors import TreegateError
from treegate.gate import ending, jobs, proof, recovery, runbook, runs, undoing
from treegate.gate.ending import Applied
from treegate.gate.face.base import Face
from treegate.gate.jobs import Ended, Progress
from treegate.gate.runbook import RunPage, RunRecord
from treegate.gate.undoing import Undo
from treegate.model.lifecycle import State


class Running(Face):
    """Runs: carried out, watched, recovered, taken back."""

    def apply(self, plan: str, *, verify: bool = False) -> Applied:
        """Carries out what was approved; `verify` hashes every touched content before and after."""
        if verify:
            return proof.apply_verified(self._core, plan)
        return runs.apply(self._core, plan)

    def ask(self, plan: str) -> Job:
        """Asks for the run of an approved plan, for whoever runs the jobs; the same one if asked again."""
        return jobs.ask(self._core, plan)

    def asked(self, plan: str) -> Job | None:
        """The job that a plan's current preview has, unless it failed."""
        return jobs.asked(self._core, plan)

    def failure(self, plan: StoredPlan) -> TreegateError | None:
        """Why the newest attempt to carry out a plan's current preview came to nothing; None where none did."""
        return jobs.failure(self._core, plan)

    def approve_and_ask(
        self, plan: str, digest: str, comment: str = "", *, sample: int | None = None, typed: int | None = None
    ) -> StoredPlan:
        """Approves; the run is asked for with the last approval, where policy applies on approval."""
        return jobs.approve(self._core, plan, digest, comment, sample, typed)

    def due(self) -> list[Job]:
        """The jobs that may begin now."""
        return jobs.due(self._core)

    def held(self) -> bool:
        """Whether jobs wait for nothing but the workspace, which is away."""
        return jobs.held(self._core)

    def carry_out(self, run: str) -> Applied:
        """Does one job, on behalf of whoever asked for it."""
        return jobs.carry_out(self._core, run)

    def carry_on(self, run: str, seconds: float, most: int) -> list[Ended]:
        """Does one job, and for so long those that come next, `most` of a case in a row; what became of each."""
        return jobs.carry_on(self._core, run, seconds, most)

    def take_up(self) -> None:
        """Sorts the jobs that a crash left under way."""
        jobs.take_up(self._core)

    def progress(self, run: str) -> Progress:
        """How far a run is, whatever door it began at."""
        return jobs.progress(self._core, run)

    def outcome(self, run: str) -> Applied:
        """What came of a run that was asked for, as `apply` answers or raises it; raises Waiting while it goes on."""
        return jobs.outcome(self._core, run)

    def recover(self, run: str = "", *, back: bool = False) -> list[Applied]:
        """Brings unfinished runs to an end."""
        return recovery.recover_all(self._core, run, True if back else None)

    def undo(self, run: str = "", paths: Iterable[str] = ()) -> Undo:
        """Submits the plan that takes a run back, or what it did at some paths."""
        return undoing.undo(self._core, run, paths)

    def list_runs(self, case: str | None = None, limit: int = 50) -> list[Run]:
        """Runs, newest first: those all of whose cases the actor may see."""
        return self._core.store.runs(case=case, limit=limit, within=self._core.actor.cases)

    def page_runs(
        self,
        states: Iterable[State] = (),
        plan: str | None = None,
        case: str | None = None,
        limit: int = 50,
        cursor: int | None = None,
    ) -> tuple[list[Run], int | None]:
        """Runs as `list_runs`, of a plan or in some states if need be, and the cursor of the next page."""
        of = None if plan is None else self._core.find_plan(plan).id
        found = self._core.store.runs(states, of, case, limit + 1, cursor, self._core.actor.cases)
        return found[:limit], found[limit - 1].seq if len(found) > limit else None

    def runs_page(self, case: str = "", state: str = "", before: int | None = None, count: int = 50) -> RunPage:
        """Runs of a case, in a state, newest first, page by page."""
        return runbook.page(self._core, case, state, before, count)

    def run_record(self, run: str) -> RunRecord:
        """What the store knows of a run besides its receipt, also of one that has not begun."""
        return runbook.record(self._core, run)

    def places_of(self, run: str, effects: Iterable[str]) -> list[str]:
        """The paths of some effects of a run, by their ids: for `undo`."""
        return runbook.places(self._core, run, effects)

    def applied(self, prefix: str) -> Applied:
        """What is to be said of a run."""
        return ending.answer(self._core, self._core.find_run(prefix))
