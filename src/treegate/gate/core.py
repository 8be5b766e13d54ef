"""What every part of the gate shares: the open workspace, its store, who acts, what time it is."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from treegate.engine import keys
from treegate.engine.blobs import Blobs
from treegate.engine.config import Config
from treegate.engine.locks import case_locks
from treegate.engine.store import Store
from treegate.engine.store.records import By, Kept, Run, StoredPlan, new_id
from treegate.engine.workspace import Workspace, generation
from treegate.engine.world import DiskWorld
from treegate.errors import NotFound, NotVerified
from treegate.model.actors import Actor
from treegate.model.likeness import nearest

if TYPE_CHECKING:
    from treegate.engine.sandbox.standby import Standby

_TOGETHER = 1000  # entries of a vault that are asked for at once


def milliseconds() -> int:
    """The time, in milliseconds since 1970, UTC."""
    return time.time_ns() // 1_000_000


class Core:
    """The open workspace; handed to the modules of the gate, of which none holds state of its own."""

    def __init__(
        self, workspace: Workspace, store: Store, actor: Actor, clock: Callable[[], int] = milliseconds
    ) -> None:
        self.workspace = workspace
        self.store = store
        self.actor = actor
        self.clock = clock
        self.blobs = Blobs(self.state / "blobs")
        self.progress: Callable[[int, int], None] = lambda done, total: None
        self.cancelled: Callable[[], bool] = lambda: False
        self.standby: Standby | None = None  # of a process that runs one command after another

    def acting_as(self, actor: Actor) -> Core:
        """The same open workspace for somebody else; cheap, so that a service can have one for each request."""
        self.workspace.look_again()
        core = Core(self.workspace, self.store, actor, self.clock)
        core.progress, core.cancelled, core.standby = self.progress, self.cancelled, self.standby
        return core

    @property
    def config(self) -> Config:
        return self.workspace.config

    @property
    def state(self) -> Path:
        return self.workspace.state

    def by(self) -> By:
        """Who acts, and when, for the rows that record it."""
        return By(self.actor.name, self.actor.channel, self.clock(), self.actor.role.value)

    def new_id(self, prefix: str) -> str:
        return new_id(prefix, secrets.token_bytes(10))

    def key(self) -> keys.Key:
        """The state directory's signing key."""
        return keys.load(self.state)

    def find_plan(self, prefix: str) -> StoredPlan:
        """The plan of a unique prefix, among those that the actor sees: what one may not see is not there."""
        return self.store.find_plan(prefix, self.actor.cases)

    def find_run(self, prefix: str) -> Run:
        """The run of a unique prefix, likewise."""
        return self.store.find_run(prefix, self.actor.cases)

    def check_case(self, case: str, also: Iterable[str] = ()) -> None:
        """Raises NotFound "case-not-found", with the nearest name, unless the case is there, or in `also`."""
        cases = {*self.workspace.cases(), *also}
        if case not in cases:
            seen = [one for one in sorted(cases) if self.actor.sees([one])]
            near = nearest(case, seen)
            hint = f"did you mean {near!r}?" if near else "the cases are " + ", ".join(map(repr, seen[:10]))
            raise NotFound(f"there is no case {case!r}", code="case-not-found", hint=hint, next="treegate status")

    @contextmanager
    def locked(self, cases: Iterable[str], *, shared: bool = False, wait: float | None = None) -> Iterator[None]:
        """The locks of cases, waited for as long as the configuration says, or so many seconds."""
        waits = self.config.lock_wait / 1000 if wait is None else wait
        with case_locks(self.state / "locks", cases, shared=shared, wait=waits):
            self.workspace.check_marker()
            yield

    def world(self) -> DiskWorld:
        """The world as it is now, for a simulation; raises NotFound or NotVerified where it is not mounted."""
        self.workspace.check_marker()
        return DiskWorld(self.workspace, self._kept_now(), self.blobs.size)

    def _kept_now(self) -> Callable[[str, int], tuple[str, str] | None]:
        """What says (case, volume) of a vault entry that the store has as still there; asked for some at a time."""

        @cache
        def some(run: str, number: int) -> dict[int, Kept]:
            return self.store.kept_among(run, number * _TOGETHER, (number + 1) * _TOGETHER)

        def kept(run: str, entry: int) -> tuple[str, str] | None:
            found = some(run, entry // _TOGETHER).get(entry)
            return None if found is None else (found.case, self.workspace.volume(found.case))

        return kept

    def table_path(self, digest: str) -> Path:
        """Where the step table of a preview is kept, by the table's own digest."""
        return self.state / "previews" / f"{digest}.table"

    def run_directory(self, run: str) -> Path:
        """Where the table and journal of an unfinished run are."""
        return self.state / "runs" / run

    def check_age(self) -> None:
        """Raises NotVerified where the database is older than the tree: restored from a backup, say."""
        seen, known = generation(self.workspace.root), self.store.meta().generation
        if seen > known:
            raise NotVerified(
                f"the database knows of {known} runs, and the tree has seen {seen}: it is older than the tree",
                code="database-older-than-tree",
                hint="restore the newest backup of the state directory; until then nothing is applied",
                next="treegate fsck",
            )
