"""Runs: an approved plan carried out."""

from __future__ import annotations

import os
from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from treegate.engine import apply as applying
from treegate.engine import jobs, pauses, tablefile
from treegate.engine.aide import aiding
from treegate.engine.context import RunContext
from treegate.engine.jobs import JobState
from treegate.engine.store import Transaction
from treegate.engine.store.records import Run, StoredPlan
from treegate.engine.tablefile import Table
from treegate.engine.workspace import note_generation, sync_names
from treegate.errors import NeedsRecovery, RolledBack, Stale, TreegateError
from treegate.gate import approving, daily, ending, plans, recovery, skipping, surroundings
from treegate.gate.core import Core
from treegate.gate.ending import Applied
from treegate.model.actors import Action, Role
from treegate.model.lifecycle import Event, State, refusal

ROOM = 1 << 20  # bytes that the state's disk must have for a run's record, beside four times its step table


class Asked(NamedTuple):
    """A run that was asked for before it could begin: the id it is to have, and the preview that was approved."""

    run: str
    preview: int


def apply(core: Core, prefix: str, asked: Asked | None = None) -> Applied:
    """Carries out what was approved; asked again, gives the same run. `asked`: as it was asked for earlier.

    Raises Denied or Expired where it is not approved, Stale where the tree moved on, RolledBack where it failed
    midway and all was taken back, NeedsRecovery where it could not be, Busy where its cases are paused.
    """
    plan = plans.settled(core, core.find_plan(prefix))
    require(core, plan)
    with core.locked(plan.cases):
        if _earlier(core, plan) is None:
            pauses.refuse(core.store, plan.cases)
        recovery.settle(core, plan.cases)
        core.check_age()
        plan = plans.settled(core, core.store.plan(plan.id))
        earlier = _earlier(core, plan)
        if earlier is not None:
            return earlier
        if asked is not None and plan.preview != asked.preview:
            text = f"plan {plan.id} was previewed again after this run was asked for"
            raise Stale(text, code="digest-not-current", next=f"treegate show {plan.id}")
        table = skipping.reduced(core, plan)
        with core.store.write() as transaction:
            pauses.refuse(transaction, plan.cases)
            transaction.expire_due(core.by())
            _admit(core, transaction, plan)
            run, new = transaction.begin_run(
                plan.id,
                digest=plan.digest or "",
                run_id=asked.run if asked is not None else core.new_id("run"),
                by=core.by(),
                table_digest=table,
            )
            if new:
                jobs.change(transaction, run.id, JobState.RUNNING, core.clock())
        if not new:  # it ended otherwise than applied
            raise refusal(run.state, Event.APPLY, plan.id)
        return _carry_out(core, plan, run)


def may(core: Core, plan: StoredPlan) -> bool:
    """Whether whoever acts may carry a plan out, once it is approved."""
    return may_for(core, plan.cases)


def may_for(core: Core, cases: Collection[str]) -> bool:
    """Whether whoever acts may carry out what touches these cases."""
    return core.actor.may(Action.APPLY, cases, _roles(core))


def require(core: Core, plan: StoredPlan) -> None:
    """Raises Denied unless whoever acts `may`."""
    require_for(core, plan.cases)


def require_for(core: Core, cases: Collection[str]) -> None:
    """Raises Denied unless whoever acts may carry out what touches these cases."""
    core.actor.require(Action.APPLY, cases, _roles(core))


def _roles(core: Core) -> tuple[Role, ...]:
    return tuple(Role(role) for role in core.config.policy.apply.by)


def _admit(core: Core, transaction: Transaction, plan: StoredPlan) -> None:
    """The last look before the approvals are used up; what the plan's state does not let happen, the store says."""
    if transaction.plan(plan.id).state is State.APPROVED:
        preview = plans.model_of(core, plan)
        approving.refuse_lapsed(core, transaction, plan, preview)
        daily.refuse_over(core, transaction, plan, preview)


def _earlier(core: Core, plan: StoredPlan) -> Applied | None:
    """The run that this very digest had already, if it ended well."""
    stored = core.store.preview(plan.id)
    run = core.store.run_of(stored.seq) if stored is not None else None
    if run is not None and run.state in {State.APPLIED, State.UNDONE}:
        return ending.answer(core, run)
    return None


def _carry_out(core: Core, plan: StoredPlan, run: Run) -> Applied:
    directory = core.run_directory(run.id)
    try:
        context = _begun(core, run, directory)
    except (OSError, TreegateError) as error:
        ending.give_back(core, run)
        raise ending.not_begun(error) from error
    with aiding(context.table.header.steps) as aide:
        context = replace(context, aide=aide)
        ending.order(core, plan, run, context)
        return _run_to_its_end(core, plan, run, context)


def _run_to_its_end(core: Core, plan: StoredPlan, run: Run, context: RunContext) -> Applied:
    try:
        result = applying.run(context)
    except NeedsRecovery:
        # A store that cannot be told has it as under way, which is as good a reason to recover.
        with suppress(TreegateError), core.store.write() as transaction:
            transaction.end_run(run.id, State.NEEDS_RECOVERY, by=core.by())
        raise
    except TreegateError as error:  # found before the first step: the journal has ended
        if isinstance(error, Stale):
            error.next = f"treegate refresh {plan.id}"
        ending.end(core, run, State.STALE if isinstance(error, Stale) else State.ROLLED_BACK)
        ending.clean(core, run)
        raise (ending.rolled_back(run, error) if isinstance(error, RolledBack) else error) from error
    return ending.conclude(core, plan, run, context, result)


def _begun(core: Core, run: Run, directory: Path) -> RunContext:
    """The run's own folders and step table, durable, and its number noted at the tree."""
    core.key()  # without it the run could not be told of in the end
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    sync_names(directory.parent)  # a run whose journal is gone counts as one that did nothing
    table = tablefile.read(core.table_path(run.table_digest), run.table_digest)
    _check_room(core, table)
    core.workspace.make_areas(table.header.volumes or [""], run.id, table.areas())
    note_generation(core.workspace.root, run.generation)
    return surroundings.context_of(core, run, table)


def _check_room(core: Core, table: Table) -> None:
    """Raises RolledBack where the state's disk has no room for the journal and the record of the run."""
    found = os.statvfs(core.state)
    need = ROOM + 4 * table.path.stat().st_size
    if need > found.f_bavail * found.f_frsize:
        raise RolledBack(
            f"the disk of the state directory {core.state} is too full: a run like this wants {need:,} bytes there",
            code="state-disk-full",
            hint="make room and apply again; nothing was done, and the approval stands",
            next="treegate doctor",
        )
