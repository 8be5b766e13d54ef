"""Recovery: an unfinished run brought to one end or the other."""

from __future__ import annotations

import os
from dataclasses import replace

from msgspec import structs

from treegate.engine import journal, recover, tablefile
from treegate.engine.aide import aiding
from treegate.engine.caselist import Away, Unreadable
from treegate.engine.context import NOTHING, RunContext
from treegate.engine.store.records import Run, StoredPlan
from treegate.engine.tablefile import Table
from treegate.errors import NeedsRecovery, RolledBack, TreegateError
from treegate.gate import ending, surroundings
from treegate.gate.core import Core
from treegate.gate.ending import Applied
from treegate.model.actors import Action
from treegate.model.lifecycle import State

ENDED = (State.APPLIED, State.UNDONE, State.ROLLED_BACK, State.STALE)


def settle(core: Core, cases: tuple[str, ...] | list[str]) -> None:
    """Brings every unfinished run on these cases to an end; the caller holds their locks."""
    for run in core.store.unfinished(cases):
        _recover(core, run, None)
    for run in _uncleaned(core):
        if set(run.cases) <= set(cases):
            ending.clean(core, run)


def _uncleaned(core: Core) -> list[Run]:
    """Runs that ended, and crashed before they had cleaned up."""
    left = [core.store.known_run(id) for id in os.listdir(core.state / "runs")]
    return sorted((run for run in left if run is not None and run.state in ENDED), key=lambda run: -run.seq)


def recover_all(core: Core, prefix: str = "", back: bool | None = None) -> list[Applied]:
    """Brings unfinished runs that the actor sees to an end: forward if the tree lets them, or back."""
    core.actor.require(Action.RECOVER)
    runs = [core.find_run(prefix)] if prefix else _seen(core, core.store.unfinished())
    done, stuck = [], None
    for run in runs:
        try:
            done += [ending.answer(core, run)] if run.state in ENDED else _recovered(core, run, back)
        except TreegateError as error:  # the others are no worse for it
            stuck = stuck or error
    for run in _seen(core, _uncleaned(core)):
        with core.locked(run.cases):
            ending.clean(core, run)
    if stuck is not None:
        raise stuck
    return done


def _seen(core: Core, runs: list[Run]) -> list[Run]:
    return [run for run in runs if core.actor.sees(run.cases)]


def _recovered(core: Core, run: Run, back: bool | None) -> list[Applied]:
    """The run brought to an end; nothing, if another process did that while this one waited."""
    with core.locked(run.cases):
        unfinished = [now for now in core.store.unfinished(run.cases) if now.id == run.id]
        return [_recover(core, now, back) for now in unfinished]


def _recover(core: Core, run: Run, back: bool | None) -> Applied:
    plan = core.store.plan(run.plan)
    directory = core.run_directory(run.id)
    path = directory / tablefile.NAME
    if not path.exists():
        ending.give_back(core, run)
        return Applied(id=plan.id, run=run.id, state=core.store.plan(plan.id).state.value, seconds=0, receipt=None)
    table = tablefile.read(path, run.table_digest)
    try:
        return _brought_to_an_end(core, plan, run, table, back)
    except (OSError, Unreadable, Away) as error:
        text = f"the recovery of run {run.id} stopped where it was: {error}"
        hint = "put right what the message names (is the workspace mounted?), then recover again"
        raise NeedsRecovery(text, code="recovery-stopped", hint=hint, next="treegate recover") from error


def _brought_to_an_end(core: Core, plan: StoredPlan, run: Run, table: Table, back: bool | None) -> Applied:
    with aiding(table.header.steps) as aide:
        return _ended_with(core, plan, run, replace(surroundings.context_of(core, run, table), aide=aide), back)


def _ended_with(core: Core, plan: StoredPlan, run: Run, context: RunContext, back: bool | None) -> Applied:
    table, directory = context.table, context.directory
    ending.order(core, plan, run, context)
    if not context.lasting:  # a bucket forgets empty folders when it is mounted anew
        core.workspace.make_areas(table.header.volumes or [""], run.id, table.areas())
    ended = journal.read(directory, run.id).outcome
    result = recover.recover(context, back)
    if ended == "" and result.outcome == NOTHING:
        ending.give_back(core, run)
        return Applied(id=plan.id, run=run.id, state=core.store.plan(plan.id).state.value, seconds=0, receipt=None)
    try:
        return ending.conclude(core, plan, run, context, result)
    except RolledBack:
        return structs.replace(ending.answer(core, core.store.run(run.id)), reason=ending.why(result.reason))
