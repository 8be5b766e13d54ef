"""Runs asked for now and carried out as soon as their cases are free, by whoever runs the jobs: the service."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager, suppress
from functools import partial
from typing import Any, NamedTuple

import msgspec

from treegate.engine import jobs, journal, pauses, receipts, tablefile
from treegate.engine.jobs import Job, JobState
from treegate.engine.locks import passing_lock
from treegate.engine.store import Transaction
from treegate.engine.store.records import Run, StoredPlan
from treegate.errors import Busy, NeedsRecovery, NotFound, TreegateError, Waiting, retold
from treegate.gate import approving, deciding, ending, plans, runs
from treegate.gate.core import Core
from treegate.gate.ending import Applied
from treegate.gate.runs import Asked
from treegate.model.actors import Action
from treegate.model.lifecycle import UNFINISHED, Event, State, refusal

_WELL = frozenset({State.APPLIED, State.UNDONE})


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a run is: `state` is a plan's, or `queued`; steps that are durably made, of all there are."""

    run: str
    plan: str
    state: str
    done: int = 0
    total: int = 0
    back: bool = False  # it is being taken back
    error: dict[str, Any] | None = None  # why it could not be carried out

    @property
    def ended(self) -> bool:
        """Whether nothing more will come of it by itself."""
        return self.state not in {"queued", State.APPLYING.value}


def ask(core: Core, prefix: str) -> Job:
    """Asks for the run of an approved plan; asked again for the same preview, gives the same one."""
    plan = plans.settled(core, core.find_plan(prefix))
    runs.require(core, plan)
    known = core.store.run_of(plan.preview) if plan.preview is not None else None
    if known is not None and known.state in _WELL:
        return _done(known)
    pauses.refuse(core.store, plan.cases)
    with core.store.write() as transaction:
        transaction.expire_due(core.by())
        return _asked(core, transaction, transaction.plan(plan.id))


def enqueue(core: Core, id: str) -> Job:
    """As `ask`, for what was to be carried out anyway: where its cases are paused, it waits until they are not."""
    with core.store.write() as transaction:
        transaction.expire_due(core.by())
        return _asked(core, transaction, transaction.plan(id))


def asked(core: Core, prefix: str) -> Job | None:
    """The job that a plan's current preview has, unless it failed."""
    plan = core.find_plan(prefix)
    core.actor.require(Action.READ, plan.cases)
    return jobs.standing(core.store, plan.preview) if plan.preview is not None else None


def _done(run: Run) -> Job:
    """What was asked for is there already, whatever door it began at."""
    return Job(
        seq=0,
        run=run.id,
        plan=run.plan,
        preview=run.preview,
        cases=run.cases,
        actor="",
        state=JobState.DONE,
        error=None,
        created_at=run.started_at,
        started_at=run.started_at,
        ended_at=run.ended_at,
    )


def approve(
    core: Core, prefix: str, digest: str, comment: str = "", sample: int | None = None, typed: int | None = None
) -> StoredPlan:
    """Approves; where that makes a plan approved and policy applies on approval, its run is asked for with it."""
    plan = core.find_plan(prefix)
    return deciding.approve(
        core, plan.id, digest, comment, sample=sample, typed=typed, then=partial(ask_if_enough, core, plan.id)
    )


def ask_if_enough(core: Core, id: str, transaction: Transaction) -> bool:
    """Asks for the run of a plan that is approved by now, where that is to follow; whether it did."""
    plan = transaction.plan(id)
    if plan.state is not State.APPROVED or not core.config.policy.apply.on_approval or not runs.may(core, plan):
        return False
    _asked(core, transaction, plan)
    return True


def _asked(core: Core, transaction: Transaction, plan: StoredPlan) -> Job:
    standing = jobs.standing(transaction, plan.preview) if plan.preview is not None else None
    if standing is not None:
        return standing
    if plan.state is not State.APPROVED:
        raise refusal(plan.state, Event.APPLY, plan.id)
    approving.refuse_lapsed(core, transaction, plan, plans.model_of(core, plan, transaction))
    return jobs.add(transaction, core.new_id("run"), plan, core.actor, core.by())


def due(core: Core) -> list[Job]:
    """The jobs that may begin now, oldest first: of each case the first that waits, unless it is paused.

    While the workspace is away nothing may: what was approved is carried out once it is back.
    """
    found = _free(core)
    return found if found and _there(core) else []


def held(core: Core) -> bool:
    """Whether something would begin now, were the workspace not away."""
    return bool(_free(core)) and not _there(core)


def _free(core: Core) -> list[Job]:
    """As `free`, asked again only once the database has changed."""
    return core.store.recalled(("jobs due",), partial(free, core))


def free(core: Core) -> list[Job]:
    """The jobs in whose way nothing stands, oldest first, wherever the workspace is."""
    taken = {case for job in jobs.running(core.store) for case in job.cases}
    found, paused = [], {one.case for one in pauses.pauses(core.store)}
    for job in jobs.firsts(core.store):
        if not taken & set(job.cases) and not paused & {pauses.WHOLE, *job.cases}:
            found.append(job)
        taken |= set(job.cases)  # whatever holds it: nothing overtakes on a case
    return found


def _there(core: Core) -> bool:
    try:
        core.workspace.check_marker()
    except TreegateError:
        return False
    return True


def failure(core: Core, plan: StoredPlan) -> TreegateError | None:
    """Why the newest attempt to carry out a plan's current preview came to nothing; None where none did."""
    job = jobs.failed(core.store, plan.preview) if plan.preview is not None else None
    return retold(msgspec.json.decode(job.error)) if job is not None and job.error is not None else None


def carry_out(core: Core, run: str) -> Applied:
    """Does one job, on behalf of whoever asked; how it ended stands in its row, too.

    Raises Busy "locked" where another process is at it: a service and workers may look for jobs side by side.
    """
    with _lock(core, run), core.store.gathering():  # what people read is written once, when it is over
        return _carried_out(core, run)


class Ended(NamedTuple):
    """What became of a job: its plan, its cases, and the code of why it failed, or ""."""

    run: str
    plan: str
    cases: tuple[str, ...]
    code: str = ""


def carry_on(core: Core, run: str, seconds: float, most: int) -> list[Ended]:
    """Does one job, and for so long those that come next; what became of each.

    `most` of the same cases are done in a row, then it is the turn of others that have something due.
    """
    until, row, done, served = time.monotonic() + seconds, 0, dict[str, Ended](), dict[tuple[str, ...], int]()
    job: Job | None = jobs.job(core.store, run)
    while job is not None:
        done[job.run] = Ended(job.run, job.plan, job.cases, _code(core, job))
        row, cases = row + 1, job.cases
        served[cases] = len(done)
        again = not core.cancelled() and time.monotonic() < until
        job = _next(core, done.keys(), cases if row < most else (), served) if again else None
        row = row if job is not None and job.cases == cases else 0
    return [one for one in done.values() if one.code != "locked"]  # somebody else is at it


def _code(core: Core, job: Job) -> str:
    """Does a job; the code of why it came to nothing, or ""."""
    try:
        carry_out(core, job.run)
    except TreegateError as error:
        return error.code
    return ""


def _next(
    core: Core, tried: Collection[str], cases: tuple[str, ...], served: Mapping[tuple[str, ...], int]
) -> Job | None:
    """The job that is next: of these cases if there is one, else of those that had their turn longest ago."""
    found = [job for job in free(core) if job.run not in tried]
    row = next((job for job in found if job.cases == cases), None)
    return row or min(found, key=lambda job: (served.get(job.cases, 0), job.seq), default=None)


def _carried_out(core: Core, run: str) -> Applied:
    job = jobs.job(core.store, run)
    if job.state in {JobState.DONE, JobState.FAILED}:
        return outcome(core, run)  # another one was quicker
    try:
        applied = runs.apply(core.acting_as(job.asker), job.plan, Asked(job.run, job.preview))
    except TreegateError as error:
        _note(core, run, JobState.FAILED, error)
        raise
    if jobs.job(core.store, run).state is not JobState.DONE:  # the same was carried out at another door before
        _note(core, run, JobState.DONE)
    return applied


def _lock(core: Core, run: str) -> AbstractContextManager[None]:
    """Held while a job is done; let go of by whoever dies. Raises Busy."""
    return passing_lock(core.state / "locks", run)


def take_up(core: Core) -> None:
    """After a crash: jobs that were under way are done, failed, or wait again, as their runs say."""
    for job in jobs.running(core.store):
        with suppress(Busy), _lock(core, job.run):  # one that somebody is at is theirs
            _sort(core, jobs.job(core.store, job.run))


def _sort(core: Core, job: Job) -> None:
    if job.state is not JobState.RUNNING:
        return  # it ended in between
    known = core.store.run_of(job.preview)
    if known is None:
        _note(core, job.run, JobState.QUEUED)
    elif known.state in _WELL:
        _note(core, job.run, JobState.DONE)
    elif known.state not in UNFINISHED:
        _note(core, job.run, JobState.FAILED, ending.rolled_back(known, None))
    else:
        text = f"run {known.id} was stopped midway"
        _note(core, job.run, JobState.FAILED, NeedsRecovery(text, next="treegate recover"))


def _note(core: Core, run: str, state: JobState, error: TreegateError | None = None) -> None:
    told = None
    if error is not None:
        names = ("code", "message", "hint", "next", "exit_status")
        told = msgspec.json.encode({name: getattr(error, name) for name in names}).decode()
    with core.store.write() as transaction:
        jobs.change(transaction, run, state, core.clock(), told)
        job = jobs.job(transaction, run)
        if error is not None and transaction.run_of(job.preview) is None:  # a run that began tells its end itself
            data = {"code": error.code, "message": error.message}
            transaction.log("run-failed", core.by(), plan=job.plan, run=run, data=data)


def progress(core: Core, prefix: str) -> Progress:
    """How far a run is, whatever door it began at: read from its journal."""
    try:
        run = core.find_run(prefix)
    except NotFound:
        return _waiting(core, jobs.job(core.store, prefix, core.actor.cases))
    core.actor.require(Action.READ, run.cases)
    if run.state not in UNFINISHED:
        steps = _steps(core, run)
        done = steps if run.state in _WELL else 0
        return Progress(run=run.id, plan=run.plan, state=run.state.value, done=done, total=steps)
    directory = core.run_directory(run.id)
    story = journal.peek(directory, run.id)
    try:
        total = tablefile.steps_in(directory / tablefile.NAME)
    except OSError:
        total = 0
    return Progress(
        run=run.id, plan=run.plan, state=run.state.value, done=min(story.done, total), total=total, back=story.back
    )


def _steps(core: Core, run: Run) -> int:
    """How many steps a run had that has ended; 0 where its receipt cannot be read: fsck tells of that."""
    try:
        return receipts.read(core.state / "receipts", run.id).steps
    except TreegateError:
        return 0


def outcome(core: Core, prefix: str) -> Applied:
    """What came of a run that was asked for, as `runs.apply` answers or raises it; Waiting while it goes on."""
    now = progress(core, prefix)
    error = retold(now.error) if now.error is not None else None
    if error is None and now.ended:
        error = _failure(core, now)
    elif error is None:
        error = _going_on(now)
    if error is not None:
        raise error
    return ending.answer(core, core.store.run(now.run))


def _failure(core: Core, now: Progress) -> TreegateError | None:
    """Why a run ended otherwise than well; None if it ended well."""
    known = core.store.run(now.run)
    if known.state in _WELL:
        return None
    try:
        job = jobs.job(core.store, known.id)
    except NotFound:  # it began at another door, which told why
        return ending.rolled_back(known, None)
    return retold(msgspec.json.decode(job.error)) if job.error is not None else _going_on(now)


def _going_on(now: Progress) -> Waiting:
    text = f"run {now.run} is {now.state}: {now.done:,} of {now.total:,} steps are made"
    return Waiting(text, code="still-running", next=f"treegate show {now.run}")


def _waiting(core: Core, job: Job) -> Progress:
    known = core.store.run_of(job.preview)
    if known is not None:
        return progress(core, known.id)
    if job.state is JobState.FAILED:
        return Progress(run=job.run, plan=job.plan, state="failed", error=msgspec.json.decode(job.error or "{}"))
    return Progress(run=job.run, plan=job.plan, state="queued")
