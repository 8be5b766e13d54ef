"""Turns: which of the jobs that are due is begun next, where several of one case may be carried out in a row."""

from __future__ import annotations

from collections.abc import Sequence

from treegate.engine.jobs import Job

Cases = tuple[str, ...]


class Turns:
    """So many jobs of a case in a row, then that case waits until all others that have something due had their turn.

    With one at a time every case is handed over at once, and the crew takes them as they come: that is as fair.
    """

    def __init__(self, row: int, places: int) -> None:
        self._row, self._places = row, places
        self._done: dict[Cases, int] = {}  # jobs of the row at hand
        self._served: dict[Cases, int] = {}  # when a case had its turn last
        self._turn = 0

    def chosen(self, due: Sequence[Job], working: int) -> list[Job]:
        """The jobs to begin now, of those that are due and not begun, oldest first; `working` are under way."""
        if self._row == 1:
            return list(due)
        found = sorted(due, key=self._rank)[: max(0, self._places - working)]
        for job in found:
            self._begun(job.cases)
        return found

    def _rank(self, job: Job) -> tuple[bool, int, int]:
        return job.cases not in self._done, self._served.get(job.cases, 0), job.seq

    def _begun(self, cases: Cases) -> None:
        self._turn += 1
        self._served[cases] = self._turn
        self._done[cases] = self._done.get(cases, 0) + 1
        if self._done[cases] >= self._row:
            del self._done[cases]
