"""The queue: what is dropped, taken, and decided on in files."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import AbstractContextManager
from pathlib import Path

from treegate.engine.dropbox import PENDING, Drop
from treegate.engine.store.records import StoredPlan
from treegate.gate.face.base import Face
from treegate.gate.queue import arrears, heeding, holding, intake, rehearsal, renewing, shelving
from treegate.gate.queue.folder import attended, dropbox
from treegate.gate.queue.heeding import Heeded
from treegate.gate.queue.intake import Taken


class Queueing(Face):
    """The queue: what is dropped, taken, and decided on in files."""

    def make_queue(self) -> Path:
        """Makes the folder into which plans are dropped, where it is missing; where it is."""
        box = dropbox(self._core)
        box.make()
        return box.path

    def attended(self) -> AbstractContextManager[None]:
        """Held by a worker as long as it lives, so that `doctor` knows of it."""
        return attended(self._core)

    def rehearse(self) -> None:
        """Has this process ready for the first plan, which then need not wait for that."""
        rehearsal.rehearse(self._core)

    def drops(self) -> list[Drop]:
        """What was dropped and is not taken yet, by name."""
        return dropbox(self._core).drops()

    def read_drop(self, drop: Drop) -> bytes | None:
        """What was dropped; None if it changed since it was looked at."""
        return dropbox(self._core).read(drop)

    def take_drops(self, drops: list[Drop]) -> list[Taken]:
        """Makes a plan of each thing that was dropped, in that order, or says beside it why not."""
        return intake.take(self._core, drops)

    def put_off_reports(self) -> set[str]:
        """From now on, what there is to say of dropped plans waits for `write_up`; the plans, as they come."""
        return arrears.put_off(self._core)

    def write_up(self, plans: list[str]) -> None:
        """Writes what there is to say of dropped plans, as they stand now."""
        arrears.write_up(self._core, plans)

    def claims(self) -> list[str]:
        """What was claimed and is not a plan yet: left by a crash, or for later."""
        return intake.claims(self._core)

    def take_claim(self, id: str) -> Taken:
        """Goes on with what was claimed."""
        return intake.take_up(self._core, id)

    def stamps(self, plans: Collection[str] | None = None) -> dict[str, tuple[int, ...]]:
        """Of dropped plans, by default all that wait, what changes as soon as somebody writes their status file."""
        return dropbox(self._core).stamps(PENDING, shelving.STATUS, plans)

    def heed(self, plan: str, *, bring: bool = True) -> Heeded:
        """Does what somebody wrote into the status file of a plan that waits, or answers it.

        Where nobody did, what a crash kept back is written, unless `bring` says that nothing was.
        """
        return heeding.heed(self._core, plan, bring=bring)

    def stale(self) -> list[StoredPlan]:
        """The plans that are stale, oldest first."""
        return renewing.stale(self._core)

    def renew(self, plan: str) -> bool:
        """Previews a stale plan anew that was dropped, for nobody could ask for it in the folder; whether it was."""
        return renewing.renew(self._core, plan)

    def hold(self, before: bool) -> bool:
        """Pauses and resumes as a file PAUSED in the queue says; whether it lies there, and did `before`."""
        return holding.hold(self._core, before)
