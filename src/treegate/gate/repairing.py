"""Repair: a plan with the suggestions of its problems taken, looked at again, until none is left to take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from treegate.errors import PlanError
from treegate.model.plan import Plan
from treegate.model.preview import Preview
from treegate.model.problems import Problem
from treegate.model.repair import Mended, difference, repaired

MOST_ROUNDS = 10  # what one suggestion mends may show the next problem; two that undo each other must end


class Repaired(NamedTuple):
    """A repaired plan: its document, how many suggestions were taken, what they changed, what is still wrong."""

    document: bytes
    taken: int
    difference: list[Mended]
    problems: Sequence[Problem]


def repair(document: bytes, check: Callable[[Plan], Preview]) -> Repaired:
    """Takes suggestions until there are none; raises PlanError for what is no plan and cannot be made one."""
    given, taken = document, 0
    kept: list[int] | None = None
    for _ in range(MOST_ROUNDS):
        problems = _problems(document, check)
        if not any(found.suggests for found in problems):
            break
        document, now, left = repaired(document, problems)
        kept = left if kept is None else [kept[number - 1] for number in left]
        taken += now
    changed = [] if kept is None else difference(given, document, kept)
    return Repaired(document, taken, changed, _problems(document, check))


def _problems(document: bytes, check: Callable[[Plan], Preview]) -> Sequence[Problem]:
    try:
        return check(Plan.decode(document)).problems
    except PlanError as error:
        if not error.problems or any(found.operation is None for found in error.problems):
            raise
        return error.problems
