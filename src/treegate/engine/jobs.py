"""Jobs: runs that were asked for, in that order, until each is carried out; one at a time per case."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from enum import StrEnum

import msgspec

from treegate.engine import schema
from treegate.engine.schema import Prepared, bind
from treegate.engine.store import By, Reader, Transaction
from treegate.engine.store.records import StoredPlan
from treegate.errors import NotFound
from treegate.model.actors import Actor


class JobState(StrEnum):
    """How far a job is; the run itself says how it ended."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A run that was asked for: its id to be, on whose behalf, what became of it; times in ms since 1970, UTC."""

    seq: int
    run: str
    plan: str
    preview: int
    cases: tuple[str, ...]
    actor: str  # JSON
    state: JobState
    error: str | None  # JSON
    created_at: int
    started_at: int | None
    ended_at: int | None

    @property
    def asker(self) -> Actor:
        """On whose behalf it is done."""
        return msgspec.json.decode(self.actor, type=Actor)


_columns = schema.jobs.c
_JOB = Prepared(schema.jobs.select().where(_columns.run == bind("run")))
_of_preview = schema.jobs.select().where(_columns.preview == bind("preview")).order_by(_columns.seq.desc()).limit(1)
_STANDING = Prepared(_of_preview.where(_columns.state != JobState.FAILED.value))
_RUNNING = Prepared(schema.jobs.select().where(_columns.state == JobState.RUNNING.value).order_by(_columns.seq))
_waits = _columns.state == JobState.QUEUED.value
_oldest = schema.select(schema.func.min(_columns.seq)).where(_waits).group_by(_columns.cases)
_FIRSTS = Prepared(schema.jobs.select().where(_columns.seq.in_(_oldest)).order_by(_columns.seq))
_FAILED = Prepared(_of_preview.where(_columns.state == JobState.FAILED.value))


def add(transaction: Transaction, run: str, plan: StoredPlan, actor: Actor, by: By) -> Job:
    """Asks for the run of a plan's current preview, under an id that nobody else has."""
    values = {
        "run": run,
        "plan": plan.id,
        "preview": plan.preview,
        "cases": plan.cases,
        "actor": msgspec.json.encode(actor).decode(),
        "state": JobState.QUEUED.value,
        "created_at": by.at,
    }
    transaction.insert(schema.jobs, values)
    transaction.log("run-asked", by, plan=plan.id, run=run, data={"preview": plan.preview})
    return job(transaction, run)


def job(reader: Reader, run: str, within: Collection[str] | None = None) -> Job:
    """The job of exactly this run, if it touches none but the cases `within`; raises NotFound."""
    found = reader.one(_JOB, Job, run=run)
    if found is None or (within is not None and not set(found.cases) <= set(within)):
        raise NotFound(f"there is no run {run}", code="run-not-found", hint="see what there is", next="treegate log")
    return found


def standing(reader: Reader, preview: int) -> Job | None:
    """The job that a preview has already, unless it failed: then another may be asked for."""
    return reader.one(_STANDING, Job, preview=preview)


def failed(reader: Reader, preview: int) -> Job | None:
    """The newest job of a preview that failed."""
    return reader.one(_FAILED, Job, preview=preview)


def jobs(reader: Reader, states: Iterable[JobState]) -> list[Job]:
    """The jobs in some states, oldest first."""
    table = schema.jobs
    query = table.select().where(table.c.state.in_([state.value for state in states]))
    return reader.all(query.order_by(table.c.seq), Job)


def running(reader: Reader) -> list[Job]:
    """The jobs that are under way, oldest first."""
    return reader.found(_RUNNING, Job)


def firsts(reader: Reader) -> list[Job]:
    """Of the jobs that wait, the first of each set of cases, oldest first: however many wait, few are read."""
    return reader.found(_FIRSTS, Job)


def stirred(reader: Reader) -> int:
    """When a job was last begun or ended, in ms since 1970; 0 for never."""
    table = schema.jobs
    (found,) = reader.tuples(schema.select(schema.func.max(table.c.started_at), schema.func.max(table.c.ended_at)))
    return max(found[0] or 0, found[1] or 0)


def change(transaction: Transaction, run: str, state: JobState, at: int, error: str | None = None) -> None:
    """Notes how far a job is."""
    values: dict[str, object] = {"state": state.value, "error": error}
    if state is JobState.RUNNING:
        values["started_at"] = at
    if state in {JobState.DONE, JobState.FAILED}:
        values["ended_at"] = at
    transaction.update(schema.jobs, {"run": run}, values)
