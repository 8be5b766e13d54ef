"""The projections: which files in `Reports/` and `Database/` there are, and when they are written.

Written after each transaction, from the store as it is then, and never read back as truth: whoever edits one has
edited a copy. That one could not be written never fails what it tells of; `treegate fsck` writes it later.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from itertools import chain
from pathlib import Path

from treegate.engine import projections
from treegate.engine.projections import Projection, Where
from treegate.engine.store import Touched
from treegate.engine.store.records import StoredPlan
from treegate.engine.unhurried import unhurried_gc
from treegate.engine.vault import timestamp
from treegate.errors import NotFound
from treegate.gate import telling
from treegate.gate.core import Core
from treegate.gate.queue import shelving
from treegate.gate.reporting import alone
from treegate.model.lifecycle import State
from treegate.model.names import visible

PLAN, VALIDATION = "reorg_plan.json", "reorg_validation.md"
EACH = "reorg_plans"
AUDIT, HISTORY = "reorg_audit", "reorg_history"

_Kind = tuple[str, str, str, Callable[[Core, StoredPlan], Iterable[bytes]]]
# Under which name the newest of a case, and the one in the queue, has it; and what it says.
_TWO: tuple[_Kind, ...] = (
    (PLAN, "plan.json", "json", telling.document),
    (VALIDATION, "validation.md", "md", telling.validation),
)
_log = logging.getLogger("treegate")


def note(core: Core, touched: Touched) -> None:
    """Writes the projections of what a transaction spoke of; what cannot be written is warned of, never raised."""
    if not touched.plans:
        return
    try:
        with alone(core), unhurried_gc():
            for projection in _due(core, touched):
                for found in projections.bring(core.workspace.root, projection):
                    if found.error is not None:
                        _warn(shown(found.place), found.how)
            for id in sorted(touched.plans):
                shelving.bring(core, core.store.plan(id))
    except Exception as error:  # whatever it is, the act itself is done, and durable
        _warn("a report", str(error))


def bring(core: Core, id: str) -> None:
    """Writes what there is to say of one dropped plan, where a crash or an hour without a worker kept it back."""
    with alone(core):
        _bring(core, id)


def bring_all(core: Core, ids: Iterable[str]) -> None:
    """As `bring`, for many; what cannot be written is warned of."""
    try:
        with alone(core), unhurried_gc():
            for id in ids:
                _bring(core, id)
    except Exception as error:  # whatever it is, the acts themselves are done, and durable
        _warn("a report", str(error))


def _bring(core: Core, id: str) -> None:
    plan = core.store.plan(id)
    if plan.state is State.APPLYING:
        return  # nothing may come before its first step; it is told of once it has ended
    ended = (found for run in core.store.runs(plan=id) for found in of_ended(core, run.id))
    for projection in chain(of_plan(core, plan), ended):
        for found in projections.bring(core.workspace.root, projection):
            if found.error is not None:
                _warn(shown(found.place), found.how)
    shelving.bring(core, plan)


def _warn(what: str, why: str) -> None:
    _log.warning("%s was not written: %s; `treegate fsck` writes it", what, why)


def shown(place: Where) -> str:
    """A place as messages name it."""
    return visible("/".join(place))


def _due(core: Core, touched: Touched) -> Iterator[Projection]:
    known = [plan for id in sorted(touched.plans) if (plan := core.store.plan(id)).state is not State.APPLYING]
    for plan in known:  # of one that is being carried out nothing is said: nothing may come before its first step
        yield from of_plan(core, plan)
    for id in sorted(touched.beside - touched.plans):
        yield from _of_preview(core, core.store.plan(id))
    for id, case in sorted(touched.left):
        yield from _of_left(core, id, case)
    for id in sorted(touched.runs):
        yield from of_ended(core, id)


def of_known(core: Core, id: str, *, dropped: bool = False) -> Iterator[Projection]:
    """What there is of a plan as the store has it now; of one that was `dropped`, in the queue in any case."""
    plan = core.store.plan(id)
    return of_plan(core, plan, shelving.home(core, plan) if dropped else None)


def of_plan(core: Core, plan: StoredPlan, home: Where | None = None) -> Iterator[Projection]:
    """What there is of a plan: its document and preview in each of its cases, and its history."""
    yield from _in_cases(core, plan, _TWO, home)
    place = (*_database(core), HISTORY, f"{plan.id}.json")
    yield Projection([place], partial(telling.history, core, plan))


def _of_preview(core: Core, plan: StoredPlan) -> Iterator[Projection]:
    """What there is of a plan's preview alone, for it tells of another plan that came or went."""
    if plan.state is not State.APPLYING:
        yield from _in_cases(core, plan, _TWO[1:])


def _in_cases(
    core: Core, plan: StoredPlan, kinds: Iterable[_Kind], home: Where | None = None
) -> Iterator[Projection]:
    cases = [case for case in plan.cases if case in core.workspace.cases()]  # an invalid plan may name others
    queued = home or shelving.place_of(core, plan.id)
    latest = [case for case in cases if _newest(core, case) == plan.id]
    for name, mine, ending, tell in kinds:
        places = [(*_reports(core, case), EACH, f"{plan.id}.{ending}") for case in cases]
        places += [(*_reports(core, case), name) for case in latest]
        places += [(*queued, mine)] if queued is not None else []
        yield Projection(places, _once(partial(tell, core, plan)))


def _once(tell: Callable[[], Iterable[bytes]]) -> Callable[[], list[bytes]]:
    """A content that is made when it is first wanted, and kept: it has many places."""
    return cache(lambda: list(tell()))


def _of_left(core: Core, plan: str, case: str) -> Iterator[Projection]:
    """A case that a plan no longer touches: another is its latest now, or none."""
    reports, newest = _reports(core, case), _newest(core, case)
    places = [(*reports, EACH, f"{plan}.json"), (*reports, EACH, f"{plan}.md")]
    if newest is None:
        places += [(*reports, PLAN), (*reports, VALIDATION)]
    else:
        yield from of_plan(core, core.store.plan(newest))
    yield Projection(places, None)


def of_ended(core: Core, id: str) -> Iterator[Projection]:
    """What there is of a run, once it ended or stopped midway: each of its mutations with its result."""
    try:
        run = core.store.run(id)
    except NotFound:
        return  # its approval was given back: it never was
    if run.ended_at is not None:
        place = (*_database(core), AUDIT, f"{timestamp(run.started_at)}-{run.id}.json")
        yield Projection([place], partial(telling.mutations, core, run))


def strays(core: Core) -> Iterator[Projection]:
    """Names under which something stands that belongs there no more: of a plan that left the case.

    An office keeps files of its own among the reports, too.
    """
    by_id = {plan.id: plan for plan in core.store.list_plans(limit=1 << 30)[0]}
    told = {case for plan in by_id.values() for case in plan.cases}
    folder = core.workspace.root / core.workspace.folders.reports
    for case in filter(
        lambda name: (folder / name).is_dir(), _listed(folder)
    ):  # an office keeps files of its own there
        reports = _reports(core, case)
        names = _listed(core.workspace.root.joinpath(*reports, EACH))
        left = [(*reports, EACH, name) for name in names if _left(by_id.get(Path(name).stem), case)]
        left += [] if case in told else [(*reports, PLAN), (*reports, VALIDATION)]
        yield Projection(left, None)


def _left(plan: StoredPlan | None, case: str) -> bool:
    return plan is not None and case not in plan.cases


def _listed(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir())
    except OSError:
        return []


def _newest(core: Core, case: str) -> str | None:
    return core.store.newest_plan(case)


def _reports(core: Core, case: str) -> Where:
    return (*core.workspace.folders.reports.split("/"), case)


def _database(core: Core) -> Where:
    return tuple(core.workspace.folders.database.split("/"))
