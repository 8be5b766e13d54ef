"""Reach: the cases that a plan speaks of. Whoever hands it in, or looks at it, must have access to all of them.

What a plan does in the end may be less: a case out of which something is only copied is not changed, and a plan with
errors does nothing. But its preview tells of what is there, so the reach is judged before anything is looked at.
"""

from __future__ import annotations

import contextlib

from msgspec import UNSET

from treegate.errors import NotFound
from treegate.gate.core import Core
from treegate.model.effects import Raw, untagged
from treegate.model.operations import OPERATIONS, Operation, Restore
from treegate.model.plan import Plan

_PATTERN = frozenset("*?[{")  # such a first component may be any case


def spoken_of(core: Core, plan: Plan) -> set[str]:
    """The names of cases that a plan's operations and vault entries lead to, whether or not these cases are there."""
    found, runs = {plan.case} if plan.case else set[str](), set[str]()
    for one in plan.operations:  # which are decoded as they are asked for: once is enough
        if not plan.case:
            found.update(_first(one))
        if type(one) is Restore:
            runs.add(one.run)
    if any(not _PATTERN.isdisjoint(name) for name in found) and not plan.case:
        found |= set(core.workspace.cases())
    for run in runs:
        with contextlib.suppress(NotFound):
            found |= set(core.store.run(run).cases)
    return found


def of(core: Core, plan: Plan) -> list[str]:
    """Those of them that are there, sorted; all cases, where there is none: a plan nobody knows the place of."""
    known = core.workspace.cases()
    return sorted([case for case in spoken_of(core, plan) if case in known] or known)


_PATHS = {kind: [name for name in kind.__struct_fields__ if name in ("path", "source", "match", "to")]
          for kind in OPERATIONS}  # fmt: skip


def _first(operation: Operation) -> list[str]:
    """The first component of every path of an operation: in a plan that names no case, a case."""
    texts = [getattr(operation, member) for member in _PATHS[type(operation)]]
    known = [text for text in texts if text is not UNSET]
    whole = [untagged(Raw(text)) for text in known] if operation.raw is True else known  # a slash may be escaped
    return [text.strip("/").partition("/")[0] for text in whole]
