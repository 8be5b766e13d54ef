"""How the workspace does just now: what is under way, held, paused or stopped, and how large it has become."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from treegate import __version__
from treegate.engine import audit, checkpoints, jobs, locks
from treegate.engine.audit import Anchor
from treegate.engine.jobs import Job, JobState
from treegate.engine.locks import Holding
from treegate.engine.pauses import Pause
from treegate.engine.store.records import Run
from treegate.gate import health, pausing
from treegate.gate.core import Core
from treegate.model.actors import Action, Role
from treegate.model.lifecycle import State

LOOK = (Role.REVIEWER,)  # who may, besides those who look after it
FAILED = 20  # jobs that failed, of which the newest are told


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator wants to know at once; of jobs, locks, runs and pauses those that the actor may see."""

    version: str
    under_way: list[Job]  # in the order in which they were asked for
    failed: list[Job]  # newest first
    locks: list[Holding]
    unfinished: list[Run]
    paused: list[Pause]
    head: Anchor  # of the audit log
    checkpoint: int | None  # the newest row that a stored checkpoint names
    database: int  # bytes, with its log of writes
    kept: int  # entries of the vault, of the cases that the actor sees
    kept_bytes: int
    settings: list[tuple[str, str]]  # what is not as by default, and where that is said; never a value


def may_look(core: Core) -> bool:
    """Whether whoever acts is told how the workspace does."""
    return core.actor.may(Action.TEND, by=LOOK)


def condition(core: Core) -> Condition:
    """How the workspace does; raises Denied for whoever may not look into that."""
    core.actor.require(Action.TEND, by=LOOK)
    sees = core.actor.sees
    held = [one for one in core.store.vault() if sees([one.case])]
    log = [seq for seq, _ in checkpoints.stored(core.store)]
    return Condition(
        version=__version__,
        under_way=[one for one in jobs.jobs(core.store, (JobState.QUEUED, JobState.RUNNING)) if sees(one.cases)],
        failed=[one for one in reversed(jobs.jobs(core.store, [JobState.FAILED])) if sees(one.cases)][:FAILED],
        locks=[one for one in _locks(core) if not one.case or sees([one.case])],
        unfinished=[run for run in core.store.unfinished() if sees(run.cases)],
        paused=pausing.seen(core),
        head=audit.head(core.store),
        checkpoint=max(log, default=None),
        database=sum(path.stat().st_size for path in _database(core.state)),
        kept=len(held),
        kept_bytes=sum(one.size for one in held),
        settings=sorted(core.config.origins.items()),
    )


def _locks(core: Core) -> list[Holding]:
    return locks.holders(core.state / "locks", core.workspace.cases())


def _database(state: Path) -> Iterator[Path]:
    for name in ("treegate.db", "treegate.db-wal", "treegate.db-shm"):
        if (state / name).exists():
            yield state / name


def needs_a_person(core: Core) -> bool:
    """Whether something stands still until somebody sees to it, as far as the actor may see."""
    stopped = core.store.runs([State.NEEDS_RECOVERY])
    return any(core.actor.sees(run.cases) for run in stopped) or any(health.age(core))
