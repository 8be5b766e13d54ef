"""What the engine needs to know of a run's surroundings: its places, its mounts, who asks it to stop."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from treegate.engine.context import RunContext
from treegate.engine.scan import totals_of
from treegate.engine.store.records import Run
from treegate.engine.tablefile import Table
from treegate.engine.throttle import Throttle
from treegate.gate.core import Core


def context_of(core: Core, run: Run, table: Table) -> RunContext:
    """What the engine needs to know of one run."""
    exact = all(core.workspace.capabilities(case).stable_inodes for case in table.header.cases)
    volumes = {volume: core.workspace.capabilities(volume or _any_case(core, table)) for volume in _volumes(table)}
    context = RunContext(
        run=run.id,
        directory=core.run_directory(run.id),
        table=table,
        open_root=lambda key: core.workspace.open_root(key, run.id),
        blob=core.blobs.open,
        totals=partial(totals_of, exact=exact),
        volumes=volumes,
        cancelled=core.cancelled,
        progress=core.progress,
    )
    limit = core.config.queue.steps_per_second
    if not limit:
        return context
    throttle = Throttle(core.state / "locks" / "steps", limit)
    return replace(context, pace=throttle.wait, batch=throttle.batch(context.batch))


def _volumes(table: Table) -> set[str]:
    return {"", *table.header.volumes}


def _any_case(core: Core, table: Table) -> str:
    return next((case for case in table.header.cases if core.workspace.volume(case) == ""), "")
