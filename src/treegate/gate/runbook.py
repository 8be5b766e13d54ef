"""Runs as people look them up: page by page, and one with what the store knows of it besides its receipt."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from treegate.engine import jobs, schema
from treegate.engine.jobs import Job
from treegate.engine.store.lookups import RUNS
from treegate.engine.store.records import Run, StoredPlan, StoredPreview
from treegate.errors import NotFound
from treegate.gate import plans
from treegate.gate.core import Core
from treegate.model.actors import Action
from treegate.model.effects import Effect, untagged


class RunPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some runs, newest first; `before` is where the next page begins, None where there is none."""

    runs: list[Run]
    before: int | None
    titles: dict[str, str]  # of their plans


class RunRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One run: `run` is None for one that never began, `job` for one that was not asked for at the service."""

    run: Run | None
    job: Job | None
    plan: StoredPlan
    preview: StoredPreview
    error: dict[str, Any]  # why it was not carried out, where that was told
    undone: frozenset[str]  # the ids of its effects that later runs took back
    undone_by: list[str]  # those runs


def page(core: Core, case: str = "", state: str = "", before: int | None = None, count: int = 50) -> RunPage:
    """Runs of a case, in a state; those all of whose cases the actor may see."""
    table, of = schema.runs, schema.run_cases
    query = table.select().order_by(table.c.seq.desc()).limit(count + 1)
    if case:
        query = query.where(table.c.id.in_(schema.select(of.c.run).where(of.c.case == case)))
    if state:
        query = query.where(table.c.state == state)
    if before is not None:
        query = query.where(table.c.seq < before)
    if core.actor.cases is not None:
        query = query.where(RUNS.within(core.actor.cases))
    found = core.store.all(query, Run)
    shown = found[:count]
    return RunPage(runs=shown, before=shown[-1].seq if len(found) > count else None, titles=_titles(core, shown))


def record(core: Core, prefix: str) -> RunRecord:
    """What the store knows of a run, also of one that was asked for and has not begun."""
    try:
        run = core.find_run(prefix)
    except NotFound:
        job = jobs.job(core.store, prefix, core.actor.cases)
        return _record(core, core.store.run_of(job.preview), job)
    core.actor.require(Action.READ, run.cases)
    try:
        return _record(core, run, jobs.job(core.store, run.id))
    except NotFound:
        return _record(core, run, None)


def _record(core: Core, run: Run | None, job: Job | None) -> RunRecord:
    of = run or job
    assert of is not None
    preview = core.store.preview_of(of.preview)
    assert preview is not None  # a foreign key
    table = schema.undone
    rows = core.store.rows(table.select().where(table.c.run == run.id)) if run is not None else []
    return RunRecord(
        run=run,
        job=job,
        plan=core.store.plan(of.plan),
        preview=preview,
        error=msgspec.json.decode(job.error, type=dict[str, Any]) if job is not None and job.error else {},
        undone=frozenset(row["effect"] for row in rows),
        undone_by=sorted({row["by_run"] for row in rows}),
    )


def places(core: Core, prefix: str, ids: Iterable[str]) -> list[str]:
    """The paths of some effects of a run; raises NotFound "no-effect-there" for an id that it has none of."""
    found = record(core, prefix)
    return [untagged(_effect(core, found, id).path) for id in ids]


def _effect(core: Core, found: RunRecord, id: str) -> Effect:
    """The effect of an id: they are numbered in the order in which they are shown."""
    number = int(id[1:]) if id[1:].isascii() and id[1:].isdigit() and len(id) < 12 else 0
    effects = plans.effects_in(core, found.preview, number - 1, 1) if number else iter(())
    effect = next(effects, None)
    if effect is None or effect.id != id:
        raise NotFound(f"the run has no effect {id!r}", code="no-effect-there", hint="tick it on the page of the run")
    return effect


def _titles(core: Core, runs: Iterable[Run]) -> dict[str, str]:
    table, ids = schema.plans, {run.plan for run in runs}
    query = schema.select(table.c.id, table.c.title).where(table.c.id.in_(ids))
    return {row["id"]: row["title"] for row in core.store.rows(query)} if ids else {}
