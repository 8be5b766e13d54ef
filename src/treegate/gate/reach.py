"""Reach: the cases that a plan speaks of. Whoever hands it in, or looks at it, must have access to all of them.

What a plan does in the end may be less: a case out of which something is only copied is not changed, and a plan with
errors does nothing. But its preview tells of what is there, so the reach is judged before anything is looked at.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from treegate.errors import NotFound
from treegate.gate.core import Core
from treegate.model.effects import Raw, untagged
from treegate.model.operations import Operation, Restore
from treegate.model.plan import Plan

_PATTERN = frozenset("*?[{")  # such a first component may be any case


def spoken_of(core: Core, plan: Plan) -> set[str]:
    """The names of cases that a plan's operations and vault entries lead to, whether or not these cases are there."""
    found = {plan.case} if plan.case else {name for one in plan.operations for name in _first(one)}
    if any(not _PATTERN.isdisjoint(name) for name in found) and not plan.case:
        found |= set(core.workspace.cases())
    for run in {one.run for one in plan.operations if isinstance(one, Restore)}:
        with contextlib.suppress(NotFound):
            found |= set(core.store.run(run).cases)
    return found


def of(core: Core, plan: Plan) -> list[str]:
    """Those of them that are there, sorted; all cases, where there is none: a plan nobody knows the place of."""
    known = core.workspace.cases()
    return sorted([case for case in spoken_of(core, plan) if case in known] or known)


def _first(operation: Operation) -> Iterator[str]:
    """The first component of every path of an operation: in a plan that names no case, a case."""
    for member in ("path", "source", "match", "to"):
        text = getattr(operation, member, None)
        if isinstance(text, str):
            first = text.strip("/").partition("/")[0]
            yield untagged(Raw(first)) if operation.raw is True else first
