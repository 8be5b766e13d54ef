"""Origins: of a plan that came of a command in a sandbox, which that was, and what is to be known of it besides."""

from __future__ import annotations

from treegate.engine import sandboxes
from treegate.engine.projections import Where
from treegate.engine.sandboxes import Sandbox
from treegate.engine.vault import timestamp
from treegate.gate.core import Core
from treegate.model.commands import line_of
from treegate.model.effects import tagged
from treegate.model.preview import Origin
from treegate.model.problems import Problem

LOGS = "mutation_logs"  # in the reports of a case


def found(core: Core, plan: str) -> tuple[Problem, ...]:
    """What there is to say of a plan because of the command that it came of; nothing for any other plan."""
    known = sandboxes.of_plan(core.store, plan)
    return () if known is None else tuple(known.found)


def of(core: Core, plan: str) -> Origin | None:
    """The command that a plan came of; None where somebody has revised it since: what stands in it is theirs."""
    known = sandboxes.of_plan(core.store, plan)
    if known is None or core.store.plan(plan).revision > 1:
        return None
    return Origin(
        sandbox=known.id,
        command=line_of(known.command),
        status=known.status,
        why=known.why or "",
        log=[tagged("/".join(place)) for place in places(core, known)],
        direct=known.direct,
    )


def places(core: Core, known: Sandbox) -> list[Where]:
    """Where people find what a command wrote: in the reports of each of its cases."""
    if known.started_at is None:
        return []
    reports, name = core.workspace.folders.reports.split("/"), f"{timestamp(known.started_at)}.txt"
    return [(*reports, case, LOGS, name) for case in known.cases]
