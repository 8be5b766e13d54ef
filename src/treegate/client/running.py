"""Runs over the wire: asked for, followed until they end, recovered, taken back."""

from __future__ import annotations

from collections.abc import Iterable

from treegate.client.base import Far
from treegate.client.wire import patiently, segment
from treegate.engine.store.records import Run
from treegate.errors import Waiting
from treegate.gate import waiting
from treegate.gate.ending import Applied
from treegate.gate.jobs import Progress
from treegate.gate.undoing import Undo

RUNS = 500  # of one page


class Running(Far):
    """Runs over the wire: asked for, followed until they end, recovered, taken back."""

    def apply(self, plan: str, *, verify: bool = False) -> Applied:
        """Carries out what was approved; `verify` hashes every touched content before and after.

        The service does it; whoever stops watching (`watch`) raises Waiting "still-running", and the run goes on.
        """
        if verify:
            return self._wire.post(f"/plans/{segment(plan)}/apply-verified", Applied)
        return self._followed(self._wire.post(f"/plans/{segment(plan)}/apply", str, member="run"))

    def _followed(self, run: str) -> Applied:
        """What came of a run, once something has; progress is told on the way."""
        look = patiently(lambda: self.progress(run))
        for _ in waiting.looks(None):
            now = look()
            if now.total:
                self._progress(now.done, now.total)
            if now.ended:
                break
            if self._cancelled():
                text = f"run {now.run} goes on at the service; only watching it has ended"
                hint = "an operator can take it back once it is done"
                raise Waiting(text, code="still-running", hint=hint, next=f"treegate show {now.run}")
        return self._ended(now.run)

    def _ended(self, run: str) -> Applied:
        """The outcome of a run that has ended; what is noted of it may come a moment later."""
        look = patiently(lambda: self.outcome(run))
        for _ in waiting.looks(10):
            try:
                return look()
            except Waiting as error:
                late = error
        raise late

    def progress(self, run: str) -> Progress:
        """How far a run is, whatever door it began at."""
        return self._wire.get(f"/runs/{segment(run)}", Progress, member="progress")

    def outcome(self, run: str) -> Applied:
        """What came of a run that was asked for, as `apply` answers or raises it; raises Waiting while it goes on."""
        return self._wire.get(f"/runs/{segment(run)}/outcome", Applied)

    def recover(self, run: str = "", *, back: bool = False) -> list[Applied]:
        """Brings unfinished runs to an end."""
        path = f"/runs/{segment(run)}/recover" if run else "/recover"
        return self._wire.post(path, list[Applied], {"back": back}, member="runs")

    def undo(self, run: str = "", paths: Iterable[str] = ()) -> Undo:
        """Submits the plan that takes a run back, or what it did at some paths."""
        return self._wire.post("/undo", Undo, {"run": run, "paths": list(paths)})

    def list_runs(self, case: str | None = None, limit: int = 50) -> list[Run]:
        """Runs, newest first: those all of whose cases the actor may see."""
        return self._wire.get("/runs", list[Run], member="runs", query={"case": case, "limit": min(limit, RUNS)})

    def applied(self, prefix: str) -> Applied:
        """What is to be said of a run."""
        return self._wire.get(f"/runs/{segment(prefix)}/applied", Applied)
